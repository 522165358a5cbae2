"""The packaged classifier without torch, against the same weights in torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ferce import models
from ferce.core.protocols import Explainable, Poolable
from ferce.core.types import Face
from ferce.explanation.heatmaps import cam, counterpart, explain, pooled
from ferce.explanation.heatmaps.methods import choose
from ferce.faces import perturb
from ferce.models import embedded, graph_net, prior, torch_net
from ferce.models.hub import CheckpointError
from ferce.models.prior import Prior
from ferce.training import graphs

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "ferce/data/demo/examples/smile.jpg"
LABELS = ("happy", "neutral", "sadly angry", "happily surprised")


@pytest.fixture(scope="module")
def light():
    return models.load_classifier("embedded", "auto")


@pytest.fixture(scope="module")
def heavy(light):
    """The same readers behind the network in torch."""
    parts = embedded.Readers(Prior(embedded.PACKAGED / "prior.safetensors"), light.fusion)
    return embedded.Embedded("embedded", torch_net.load(embedded.PACKAGED), parts, light.mix)


def noise(count):
    rng = np.random.default_rng(0)
    return [Face(crop=rng.integers(0, 256, (224, 224, 3), np.uint8)) for _ in range(count)]


def test_the_packaged_classifier_is_light(light):
    assert isinstance(light, embedded.Light)
    assert isinstance(light, Poolable)
    assert isinstance(light, Explainable)
    assert light.device == "cpu"


def test_scores_are_those_of_torch(light, heavy, smiling):
    faces = [smiling, *noise(19)]
    mine, known = light.scores(faces), heavy.scores(faces)
    np.testing.assert_allclose(mine.outcomes, known.outcomes, atol=1e-3)
    np.testing.assert_allclose(mine.classes, known.classes, atol=1e-3)
    for ours, theirs in zip(mine.units, known.units, strict=True):
        assert set(ours) == set(theirs)
        for number, unit in ours.items():
            assert unit.intensity == pytest.approx(theirs[number].intensity, abs=1e-3)
            assert unit.confidence == pytest.approx(theirs[number].confidence, abs=1e-3)
    assert mine.mass == known.mass
    assert len(light.scores([])) == 0


def test_evidence_of_an_example_is_that_of_torch(light, heavy, smiling):
    hidden = perturb.hide_masks(smiling, list(smiling.regions.values()))
    mine, known = light.evidence(hidden), heavy.evidence(hidden)
    np.testing.assert_allclose(mine, known, atol=1e-3)


def test_the_prior_is_that_of_torch(smiling):
    path = embedded.PACKAGED / "prior.safetensors"
    network = torch_net.load_prior(path, "cpu")
    faces = [smiling, *noise(3)]
    pixels = torch.from_numpy(np.stack([prior._square(face) for face in faces]))
    with torch.inference_mode():
        known = network(pixels.permute(0, 3, 1, 2).float()).log_softmax(1)
    np.testing.assert_allclose(Prior(path)(faces), known.numpy(), atol=1e-3)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("against", [None, "angry"])
def test_grad_cam_is_that_of_autograd(light, heavy, smiling, label, against):
    seen, view = light.pooled(smiling), heavy.view()
    goal = cam.target(view, label, against)
    (known,) = cam.compute(view, view.inputs([smiling]), goal, "grad-cam")
    mine = pooled.compute(seen, label, against)
    assert mine.shape == known.shape
    assert mine == pytest.approx(known, abs=1e-3 * float(known.max()))
    assert seen.layer_name == view.layer_name
    (exact,) = cam.compute(view, view.inputs([smiling]), goal, "hires-cam")
    assert mine == pytest.approx(exact, abs=1e-3 * float(exact.max()))


def test_maps_by_name_are_the_same_and_the_rest_open_torch(light, heavy, smiling):
    assert choose(light, smiling) == choose(heavy, smiling) == "occlusion"
    assert counterpart(light, smiling, "occlusion") == "grad-cam"
    for method in ("grad-cam", "layer-cam"):
        mine, known = (explain(model, smiling, "happy", method) for model in (light, heavy))
        assert mine.layer == known.layer
        np.testing.assert_allclose(mine.values, known.values, atol=1e-3 * known.values.max())


def test_a_graph_that_does_not_fit_is_refused(tmp_path):
    for path in embedded.PACKAGED.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / graph_net.GRAPH).write_bytes(prior.GRAPH.read_bytes())
    with pytest.raises(CheckpointError, match="does not fit its weights"):
        models.load_classifier(f"embedded:{tmp_path}", "cpu")
    (tmp_path / "units.safetensors").unlink()
    with pytest.raises(CheckpointError, match="action-unit head"):
        models.load_classifier(f"embedded:{tmp_path}", "cpu")


def test_a_network_that_pools_otherwise_gets_no_graph(monkeypatch, tmp_path):
    net = torch_net.load(embedded.PACKAGED)
    plain = net.net.network.forward_head
    monkeypatch.setattr(net.net.network, "forward_head", lambda *a, **k: 2 * plain(*a, **k))
    monkeypatch.setattr(torch_net, "load", lambda folder: net)
    with pytest.raises(ValueError, match="not the mean of its last map"):
        graphs.write_network(tmp_path)


def test_the_packaged_graphs_are_those_of_the_weights(tmp_path):
    for name in ("config.json", "model.safetensors", "units.safetensors", "prior.safetensors"):
        (tmp_path / name).write_bytes((embedded.PACKAGED / name).read_bytes())
    made = graphs.write_network(tmp_path), graphs.write_prior(tmp_path)
    for path in made:
        assert abs(path.stat().st_size - (embedded.PACKAGED / path.name).stat().st_size) < 20_000


def test_reading_a_photo_imports_no_torch():
    code = (
        "import sys; from ferce.ui.cli import main; "
        f"status = main([{str(EXAMPLE)!r}, '--voice', 'measured', '--json', '-']); "
        "print(status, {'torch', 'torchvision', 'timm', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "0 set()", done.stderr
