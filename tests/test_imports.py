"""Imports run one way, importing ferce is light, and nothing unsafe is called."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "transformers", "gradio", "mediapipe", "timm", "peft", "cv2", "matplotlib"}
# Who may import torch and gradio at all, as design.md says; inside functions too.
TORCH_HOMES = ("ferce/backends/", "ferce/training/", "ferce/saliency/", "ferce/hub.py", "train/")
GRADIO_HOMES = ("ferce/ui/", "app.py")
# Modules that others import inside functions only, and may be heavy themselves.
LOADED_LATE = (
    "ferce/ui/",
    "ferce/backends/",
    "ferce/training/",
    "ferce/rendering/",
    "ferce/saliency/",
)
# A module imports only from its own level or lower ones; modules not listed are backends or leaves.
LEVELS = (
    {"types", "labels", "errors"},
    {"facs", "action_units", "images", "geometry", "spec", "protocols", "notice", "calibration"},
    {"faces", "hypotheses", "decision", "perturb", "saliency", "metrics", "canvas"},
    {"explanation", "prompts", "faithfulness", "alignment", "deletion", "render"},
    {"pipeline", "report"},
    {"video", "evaluation", "cli"},
    {"ui"},
)


def sources():
    return [p for d in ("ferce", "train") for p in sorted((ROOT / d).rglob("*.py"))] + [
        ROOT / "app.py"
    ]


def imported(tree):
    """(module, is at the top of the file) for every import, absolute ones only."""
    top = set(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node in top
            yield from ((f"{node.module}.{alias.name}", node in top) for alias in node.names)


def level(module):
    name = module.removeprefix("ferce.").split(".")[0]
    return next((i for i, names in enumerate(LEVELS) if name in names), None)


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_keep_their_place(path):
    place = str(path.relative_to(ROOT))
    own = level("ferce." + place.removeprefix("ferce/").removesuffix(".py").replace("/", "."))
    for module, at_top in imported(ast.parse(path.read_text())):
        package = module.split(".")[0]
        if package in ("torch", "torchvision", "transformers", "timm", "peft"):
            assert place.startswith(TORCH_HOMES), f"{place} imports {module}"
        if package == "gradio":
            assert place.startswith(GRADIO_HOMES), f"{place} imports {module}"
        if at_top and package in HEAVY and place.startswith("ferce/"):
            assert place.startswith(LOADED_LATE), f"{place} imports {module} at import"
        other = level(module) if package == "ferce" and place.startswith("ferce/") else None
        if own is not None and other is not None and at_top:
            assert other <= own, f"{place} imports {module}, which stands above it"


def test_importing_ferce_is_light():
    code = (
        "import sys, ferce, ferce.backends, ferce.pipeline, ferce.saliency; "
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_public_names_exist():
    import ferce

    for name in ferce.__all__:
        assert getattr(ferce, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = ferce.nonsense


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_unsafe_is_called(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {a.name for a in node.names} & {"pickle", "dill", "joblib"}, path
        if isinstance(node, ast.Call):
            words = {k.arg: k.value for k in node.keywords}
            for word in ("trust_remote_code", "shell", "allow_pickle"):
                value = words.get(word)
                assert not (isinstance(value, ast.Constant) and value.value is True), (path, word)
            assert ast.unparse(node.func) not in ("torch.load", "eval", "exec"), path
