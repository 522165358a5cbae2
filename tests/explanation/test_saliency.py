import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saliency_fixtures import SIZE, OneUnit, Patch, noisy_face, region

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.core.types import REGIONS, Face, Scores
from ferce.explanation import heatmaps
from ferce.explanation.heatmaps import occlusion

ANY = [name for name, m in heatmaps.METHODS.items() if m.need == "any classifier"]
LABEL = COMPOUNDS[0]


@pytest.mark.parametrize("name", ["brows", "mouth", "cheeks"])
@pytest.mark.parametrize("method", ANY)
def test_heat_lies_where_the_classifier_looks(method: str, name: str) -> None:
    face = noisy_face()
    heat = heatmaps.explain(Patch(region(name)), face, LABEL, method)
    inside, outside = heat.values[region(name)].mean(), heat.values[~region(name)].mean()
    assert inside > 3 * outside, (inside, outside)
    assert max(heat.regions, key=heat.regions.__getitem__) == name
    assert heat.method == method
    assert heat.values.shape == (SIZE, SIZE)


@pytest.mark.parametrize("method", ANY)
def test_a_place_without_a_name_is_found_by_the_free_methods_only(method: str) -> None:
    corner = np.zeros((SIZE, SIZE), np.bool_)
    corner[:14, :14] = True
    heat = heatmaps.explain(Patch(corner), noisy_face(), LABEL, method)
    if method in ("occlusion", "shapley"):
        assert heat.empty
    else:
        assert heat.values[corner].mean() > 4 * heat.values[~corner].mean()


@pytest.mark.parametrize("method", ANY)
def test_map_is_zero_when_nothing_speaks_for_the_label(method: str) -> None:
    heat = heatmaps.explain(Patch(region("mouth"), sign=-1.0), noisy_face(), LABEL, method)
    assert heat.empty
    assert set(heat.regions.values()) == {0.0}


@pytest.mark.parametrize("method", ANY)
def test_map_is_zero_when_the_classifier_does_not_look(method: str) -> None:
    blind = Patch(region("mouth"), sign=0.0)
    assert heatmaps.explain(blind, noisy_face(), LABEL, method).empty


def test_region_value_is_the_drop_itself() -> None:
    face, classifier = noisy_face(), OneUnit(12)
    heat = heatmaps.explain(classifier, face, LABEL, "occlusion")
    centre = heat.values[87, 56]  # the middle of the mouth
    assert centre == pytest.approx(0.7 * 0.8 * 0.9, abs=1e-3)
    assert heat.values.max() <= 0.7 * 0.8 * 0.9 + 1e-6


@pytest.mark.parametrize(("unit", "name"), [(4, "brows"), (5, "eyes"), (12, "mouth"), (17, "chin")])
@pytest.mark.parametrize("method", ANY)
def test_classifier_of_action_units_alone_is_explained(method: str, unit: int, name: str) -> None:
    heat = heatmaps.explain(OneUnit(unit), noisy_face(), LABEL, method)
    assert max(heat.regions, key=heat.regions.__getitem__) == name


def test_auto_costs_one_batched_call() -> None:
    classifier = OneUnit(12)
    face = noisy_face(size=224)
    heatmaps.explain(classifier, face, LABEL)
    classifier.calls = classifier.faces = 0
    heat = heatmaps.explain(classifier, face, LABEL)
    assert (classifier.calls, classifier.faces) == (1, 1 + len(REGIONS))
    assert heat.method == "occlusion"


def test_auto_takes_the_grid_without_landmarks() -> None:
    face = noisy_face(regions=False)
    assert heatmaps.explain(Patch(region("mouth")), face, LABEL).method == "occlusion-grid"
    with pytest.raises(ValueError, match="without landmarks"):
        heatmaps.explain(Patch(region("mouth")), face, LABEL, "occlusion")


class Two:
    """Brows speak for class 0, the mouth for class 1 (`labels` that share no basic emotion)."""

    name = "test:two"

    def scores(self, faces: list[Face]):
        brows = np.array([f.crop[region("brows")].std() / 80 for f in faces])
        mouth = np.array([f.crop[region("mouth")].std() / 80 for f in faces])
        classes = np.full((len(faces), 14), 0.2 / 12)
        classes[:, 3] = 0.4 + 0.2 * (brows - mouth)
        classes[:, 0] = 0.8 - classes[:, 3]
        return Scores(classes)


def test_against_turns_the_map_round() -> None:
    one = heatmaps.explain(Two(), noisy_face(), COMPOUNDS[3], "occlusion", against=COMPOUNDS[0])
    other = heatmaps.explain(Two(), noisy_face(), COMPOUNDS[0], "occlusion", against=COMPOUNDS[3])
    assert one.regions["brows"] > 0.8
    assert other.regions["mouth"] > 0.8


@pytest.mark.parametrize(
    ("basic", "name"), [("sad", "brows"), ("angry", "brows"), ("happy", "mouth")]
)
def test_component_is_the_sum_of_its_compounds(basic: str, name: str) -> None:
    heat = heatmaps.explain(Two(), noisy_face(), basic, "occlusion")
    assert heat.regions[name] > 0.8


def test_labels_are_read_loosely_and_refused_clearly() -> None:
    patch, face = Patch(region("mouth")), noisy_face()
    assert heatmaps.explain(patch, face, "Happily_Surprised").label == LABEL
    with pytest.raises(ValueError, match="Known labels"):
        heatmaps.explain(patch, face, "smug")
    with pytest.raises(ValueError, match="no probability for 'neutral'"):
        heatmaps.explain(patch, face, "neutral")
    with pytest.raises(ValueError, match="Known methods: auto, "):
        heatmaps.explain(patch, face, LABEL, "magic")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6), st.floats(-1, 1))
def test_shapley_values_add_up_and_split_what_is_shared(own: list[float], shared: float) -> None:
    import itertools

    groups = [frozenset(c) for k in range(1, 7) for c in itertools.combinations(REGIONS, k)]
    alone = dict(zip(REGIONS, own, strict=True))
    both = {"eyes", "mouth"}
    worth = {g: sum(alone[n] for n in g) + shared * (both <= g) for g in groups}
    values = {n: occlusion.shapley(n, worth) for n in REGIONS}
    assert sum(values.values()) == pytest.approx(worth[frozenset(REGIONS)], abs=1e-9)
    for name in REGIONS:
        assert values[name] == pytest.approx(alone[name] + shared / 2 * (name in both), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 100))
def test_shares_do_not_depend_on_the_scale(seed: int, scale: float) -> None:
    values = np.random.default_rng(seed).random((SIZE, SIZE)).astype(np.float32)
    regions = {n: region(n) for n in REGIONS}
    one, other = (heatmaps.region_shares(values * k, regions) for k in (1.0, scale))
    assert one == pytest.approx(other, rel=1e-4)
    assert all(0 <= v <= 1 for v in one.values())
    everything = heatmaps.region_shares(values, {"all": np.ones((SIZE, SIZE), np.bool_)})
    assert everything["all"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("method", ANY)
def test_passes_are_counted_right(method: str) -> None:
    seen: list[int] = []

    class Counting(OneUnit):
        def scores(self, faces):
            seen.append(len(faces))
            return super().scores(faces)

    heatmaps.explain(Counting(12), noisy_face(), LABEL, method)
    assert sum(seen) == heatmaps.METHODS[method].passes
    assert max(seen) <= occlusion.BATCH


def test_overlapping_regions_share_their_pixels() -> None:
    face = noisy_face()
    both = face.replace(regions={"mouth": region("mouth"), "chin": region("mouth")})
    values = occlusion.paint({"mouth": 0.6, "chin": 0.2}, both)
    assert values.max() == pytest.approx(0.4, abs=0.01)


def test_every_method_says_what_it_shows() -> None:
    assert all(m.what and m.need for m in heatmaps.METHODS.values())
    assert set(BASICS).isdisjoint(heatmaps.METHODS)
