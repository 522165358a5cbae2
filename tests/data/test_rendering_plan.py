from collections import Counter

import pytest

from ferce.core.labels import COMPOUNDS
from ferce.data.rendering.person import hold_out_last, list_portraits
from ferce.data.rendering.plan import CLAY, PHOTO, Settings, Subject, clay_subjects, plan

SETTINGS = Settings(count=900, seed=3)


def people():
    photos = [Subject(f"p{i:02d}", PHOTO, ("train", "val", "test")[i % 3]) for i in range(30)]
    return [*photos, *clay_subjects(60)]


def test_plan_is_the_same_again_and_grows_at_its_end():
    assert plan(SETTINGS, people()) == plan(SETTINGS, people())
    assert plan(Settings(count=50, seed=3), people()) == plan(SETTINGS, people())[:50]
    assert plan(Settings(count=50, seed=4), people()) != plan(SETTINGS, people())[:50]


def test_no_person_is_in_two_splits():
    splits: dict[str, set[str]] = {}
    for recipe in plan(SETTINGS, people()):
        splits.setdefault(recipe.subject.name, set()).add(recipe.subject.split)
    assert all(len(s) == 1 for s in splits.values())


def test_shares_are_kept_and_labels_balanced_in_every_split():
    recipes = plan(SETTINGS, people())
    kinds = Counter(r.kind for r in recipes)
    assert kinds["compound"] / 900 == pytest.approx(0.5, abs=0.05)
    assert sum(r.subject.style == CLAY for r in recipes) / 900 == pytest.approx(0.3, abs=0.05)
    for split in ("train", "val", "test"):
        labels = Counter(r.label for r in recipes if r.subject.split == split and r.label)
        assert set(labels) == set(COMPOUNDS)
        assert max(labels.values()) - min(labels.values()) <= 1


def test_yaw_stays_within_its_limit_and_is_used():
    yaws = [abs(r.pose.yaw) for r in plan(SETTINGS, people())]
    assert max(yaws) <= 30
    assert max(yaws) > 25


def test_only_compounds_have_a_label():
    for recipe in plan(Settings(count=200), people()):
        assert (recipe.label is not None) == (recipe.kind == "compound")
        assert bool(recipe.activations) == (recipe.kind != "neutral")


def test_without_people_there_is_no_plan():
    with pytest.raises(ValueError, match="people"):
        plan(SETTINGS, [])


@pytest.mark.parametrize("wrong", [{"kinds": (0.5, 0.5, 0.5, 0.5)}, {"yaw": 80.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        Settings(**wrong)


def test_manifest_gives_sources_and_the_last_people_are_held_out(tmp_path):
    rows = ["file,subject,source,licence"]
    rows += [f"b{i}.jpg,b{i // 2},lab,CC0-1.0" for i in range(8)]
    rows += ["a.jpg,a,web,CC0-1.0"]
    (tmp_path / "people.csv").write_text("\n".join(rows))
    portraits = list_portraits(tmp_path, tmp_path / "people.csv")
    assert [p.path.name for p in portraits][:2] == ["a.jpg", "b0.jpg"]
    held = hold_out_last(portraits, "lab", 2)
    assert {p.subject for p in held if p.split == "test"} == {"b2", "b3"}
    assert {p.source for p in list_portraits(tmp_path, tmp_path / "people.csv", ["lab"])} == {"lab"}


def test_manifest_without_files_is_refused(tmp_path):
    (tmp_path / "people.csv").write_text("name\nann\n")
    with pytest.raises(ValueError, match="column `file`"):
        list_portraits(tmp_path, tmp_path / "people.csv")


def test_folder_without_manifest_takes_every_picture(tmp_path):
    for name in ("b.png", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.subject for p in list_portraits(tmp_path)] == ["a", "b"]
