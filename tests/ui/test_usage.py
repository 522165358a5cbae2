"""Wrong usage is told at once: before a model, torch or a picture is opened."""

import subprocess
import sys
from pathlib import Path

import pytest
from reading_fixtures import paint

from ferce import data, models
from ferce.data import DataError
from ferce.evaluation import EvaluationError, Plan
from ferce.models import kinds
from ferce.models.hub import CheckpointError
from ferce.models.spec import parse
from ferce.training.classifier import plan as classifier
from ferce.training.classifier.plan import Plan as TrainingPlan
from ferce.training.language import adapters
from ferce.training.language.plan import LanguagePlan
from ferce.training.progress import TrainingError
from ferce.ui import cli
from train import evaluate as evaluation

ROOT = Path(__file__).parents[2]
# Options of the command line, and words of the one sentence that refuses them.
WRONG = [
    (["--method", "none"], "Unknown method 'none'"),
    (["--method", "grad-cam", "--classifier", "prototypes"], "looks inside a network"),
    (["--method", "q-former"], "the queries of a Q-Former, which 'embedded' does not open"),
    (["--classifier", "crystal:ball"], "Unknown classifier"),
    (["--classifier", "measured"], "Unknown classifier"),
    (["--voice", "prototypes"], "Unknown voice"),
    (["--voice", "Crystal ball"], "Expected a model as kind:where"),
    (["--classifier", "timm:a/b?load"], "Expected options as"),
    (["--classifier", "timm:a/b?load=8bit"], "no options"),
    (["--classifier", "timm"], "Expected timm:owner/name"),
    (["--classifier", "timm:/no/such"], "neither a folder nor"),
    (["--classifier", "timm:./no"], "neither a folder nor"),
    (["--classifier", "embedded?load=8bit"], "one option, mix"),
    (["--classifier", "embedded:/no/such"], "neither a folder nor"),
    (["--classifier", "prototypes?a=b"], "alone"),
    (["--classifier", "clip:a/b?prompts=sonnets"], "must be one of plain"),
    (["--classifier", "clip:a/b?calibrate=grey"], "no prompt prior"),
    (["--voice", "measured:x"], "alone"),
    (["--voice", "blip2:a/b?laod=8bit"], "Unknown option 'laod'"),
    (["--voice", "blip2:a/b+/no/such"], "neither a folder nor"),
    (["--voice", "chat"], "Expected chat:owner/name"),
    (["--voice", "blip2-mini?batch=0"], "batch must be at least 1"),
    (["--voice", "remote:nowhere"], "Expected a remote model"),
    (["--voice", "remote:http://h/v1#m"], "leave this machine"),
    (["--device", "quantum"], "Expected a device as auto, cpu, cuda or cuda:1"),
    (["--target", "hungry"], "Unknown label"),
    (["--ask", " "], "question is empty"),
    (["--rate", "5"], "for videos"),
    (["--rate", "5000"], "at most 1000"),
    (["--rate", "nan"], "must be above 0"),
    (["--max-seconds", "-1"], "must be above 0"),
    (["--jobs", "0"], "must be above 0"),
    (["--max-faces", "0"], "must be above 0"),
    (["--jobs", "two"], "invalid int value"),
    (["--plot", "p.png"], "for videos"),
    (["--json", "no/such/out.json"], "does not exist"),
    (["--resume"], "name it as before"),
]


def never(arguments):
    pytest.fail("models are loaded")


@pytest.mark.parametrize(("options", "words"), WRONG, ids=lambda v: " ".join(v)[:40])
def test_wrong_usage_is_told_before_models_are_loaded(tmp_path, capsys, options, words):
    paint(tmp_path / "a.png", 200)
    assert cli.main([str(tmp_path / "a.png"), *options], opener=never) == cli.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.startswith("ferce: ")
    assert err.count("\n") == 1


def loaded(code):
    """Which heavy libraries a program loads."""
    heavy = "{'torch', 'transformers', 'mediapipe', 'cv2', 'timm', 'accelerate', 'matplotlib'}"
    code = f"import sys\n{code}\nprint(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_wrong_usage_loads_no_model_library(tmp_path):
    paint(tmp_path / "a.png", 200)
    code = f"""
from ferce.ui import cli
for options in {[options for options, _ in WRONG]!r}:
    assert cli.main([{str(tmp_path / "a.png")!r}, *options]) == 2, options
"""
    assert loaded(code) == "[]"


@pytest.mark.parametrize("kind", sorted(models.KINDS))
def test_every_kind_refuses_what_it_cannot_be_and_takes_what_it_can(kind, monkeypatch):
    monkeypatch.setenv("FERCE_ALLOW_REMOTE", "1")
    good = {"remote": "remote:http://host:8000/v1#m", "embedded": "embedded"}
    place = kind in ("timm", "clip", "blip2", "blip-vqa", "chat")
    text = good.get(kind, f"{kind}:owner/name" if place else kind)
    models.KINDS[kind].form(parse(text))
    with pytest.raises(ValueError, match=r"option|alone"):
        models.KINDS[kind].form(parse(f"{text}?nonsense=1"))


def test_what_is_checked_first_is_what_loading_says():
    for spec in ("timm", "clip:a/b?calibrate=grey", "measured:x"):
        load = models.load_voice if spec.startswith("measured") else models.load_classifier
        with pytest.raises(ValueError, match=r".") as said:
            load(spec)
        with pytest.raises(ValueError, match=r".") as checked:
            models.KINDS[parse(spec).kind].form(parse(spec))
        assert str(said.value) == str(checked.value)


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:3"])
def test_devices(name):
    kinds.check_device(name)


def test_a_gpu_that_is_not_there_is_refused():
    from ferce.models.vlm.loading import choose_device

    with pytest.raises(ValueError, match="among"):
        choose_device("cuda:99")


# ---- training and evaluation ----


def test_the_plans_are_checked_without_torch():
    code = """
from ferce.training.classifier.plan import Plan, check
from ferce.training.language import adapters
from ferce.training.language.plan import LanguagePlan
check(Plan())
adapters.check(LanguagePlan())
from train import evaluate
evaluate.check(evaluate.Plan())
"""
    assert loaded(code) == "[]"


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"network": "/no/such"}, TrainingError, "no folder /no/such"),
        ({"data": "tea:leaves"}, DataError, "Unknown data"),
        ({"data": "folder:/no/such"}, DataError, "no folder /no/such"),
        ({"more": "manifest:/no/such.csv"}, DataError, "no table"),
        ({"basic_data": "rafdb:/no/such"}, DataError, "/no/such"),
        ({"few_shot": "cache"}, TrainingError, "needs a CLIP model"),
        ({"few_shot": "prototypes", "network": "clip:a/b"}, TrainingError, "linear or cache"),
        ({"few_shot": "linear", "network": "clip:/no"}, CheckpointError, "neither a folder"),
        ({"loss": "nonsense"}, TrainingError, "loss must be one of"),
    ],
)
def test_a_training_that_cannot_be(settings, error, words):
    with pytest.raises(error, match=words):
        classifier.check(TrainingPlan(**settings))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"scope": "nonsense"}, TrainingError, "Unknown scope"),
        ({"base": "/no/such"}, CheckpointError, "neither a folder"),
        ({"data": "folder:/no/such"}, DataError, "no folder"),
        ({"basic_data": "tea:leaves"}, DataError, "Unknown data"),
        ({"load_in": "3bit"}, TrainingError, "load_in must be one of"),
    ],
)
def test_a_fine_tuning_that_cannot_be(settings, error, words):
    with pytest.raises(error, match=words):
        adapters.check(LanguagePlan(**settings))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"model": "crystal:ball"}, EvaluationError, "Unknown classifier"),
        ({"voice": "crystal:ball"}, EvaluationError, "Unknown voice"),
        ({"data": "folder:/no/such"}, DataError, "no folder"),
        ({"end_to_end": "tea:leaves"}, DataError, "Unknown data"),
        ({"voice": "measured", "clip": "/no/such"}, EvaluationError, "neither a folder"),
        ({"heatmaps": 3, "method": "grad-cam"}, EvaluationError, "no network"),
    ],
)
def test_an_evaluation_that_cannot_be(settings, error, words):
    with pytest.raises(error, match=words):
        evaluation.check(Plan(**settings))


def test_an_evaluation_that_cannot_be_written_or_compared(tmp_path):
    with pytest.raises(EvaluationError, match="device"):
        evaluation.check(Plan(), "quantum")
    with pytest.raises(EvaluationError, match="is no run"):
        evaluation.check(Plan(), run=tmp_path)
    with pytest.raises(EvaluationError, match="folder of an evaluation"):
        evaluation.check(Plan(), against=tmp_path)


def test_figures_of_another_model_are_not_recorded(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    for folder in (run, other):
        folder.mkdir()
        (folder / "metrics.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"")
    evaluation.check(Plan(f"timm:{run}"), run=run)
    evaluation.check(Plan("embedded"), run=ROOT / "ferce" / "weights" / "classifier")
    for model in (f"timm:{other}", "prototypes", "timm:owner/name"):
        with pytest.raises(EvaluationError, match="takes the figures of the model in it; got"):
            evaluation.check(Plan(model), run=run)


def test_data_of_the_hub_is_not_asked_for():
    data.require("hub:owner/name")
