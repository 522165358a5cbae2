"""Rooms stand on floors, importing ferce is light, and nothing unsafe is called."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "transformers", "gradio", "mediapipe", "timm", "peft", "cv2", "matplotlib"}
# Who may import torch and gradio at all; inside functions too.
TORCH_HOMES = (
    "ferce/models/",
    "ferce/training/",
    "ferce/explanation/heatmaps/",
    "ferce/evaluation/similarity.py",
    "train/",
)
GRADIO_HOMES = ("ferce/ui/web/", "app.py")
# Modules that others import inside functions only, and may be heavy themselves.
LOADED_LATE = (
    "ferce/ui/web/",
    "ferce/models/",
    "ferce/training/",
    "ferce/data/rendering/",
    "ferce/explanation/heatmaps/",
)
# A room imports from rooms of lower floors only, also inside functions. "" is ferce/__init__.py,
# whose names lead up to what they name.
FLOORS = (
    {"core"},
    {"facs", "images"},
    {"faces", "report"},
    {"explanation"},
    {"data", "models"},
    {"reading"},
    {"evaluation"},
    {"publishing", "training"},
    {"ui"},
    {"", "__main__"},
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


def room(path):
    """The folder below ferce/ that a file is in, or the name of a file at its root."""
    first = path.relative_to(ROOT / "ferce").parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def floor(name):
    return next(i for i, names in enumerate(FLOORS) if name in names)


def rooms_of(module):
    """The room that an imported module is in; none for what is not ours or `ferce` itself."""
    parts = module.split(".")
    if parts[0] == "ferce" and len(parts) > 1 and (ROOT / "ferce" / parts[1]).is_dir():
        yield parts[1]


def test_every_room_has_its_floor():
    folders = {p.name for p in (ROOT / "ferce").iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    files = {p.stem for p in (ROOT / "ferce").glob("*.py")} - {"__init__"}
    assert folders | files | {""} == set().union(*FLOORS)


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_keep_their_place(path):
    place = str(path.relative_to(ROOT))
    own = floor(room(path)) if place.startswith("ferce/") else len(FLOORS)
    here = room(path) if place.startswith("ferce/") else None
    for module, at_top in imported(ast.parse(path.read_text())):
        package = module.split(".")[0]
        if package in ("torch", "torchvision", "transformers", "timm", "peft"):
            assert place.startswith(TORCH_HOMES), f"{place} imports {module}"
        if package == "gradio":
            assert place.startswith(GRADIO_HOMES), f"{place} imports {module}"
        if at_top and package in HEAVY and place.startswith("ferce/"):
            assert place.startswith(LOADED_LATE), f"{place} imports {module} at import"
        for other in rooms_of(module):
            assert other == here or floor(other) < own, f"{place} imports {module}: not below it"


def test_no_two_files_import_each_other():
    """Within a room, too: following the imports at the top of files never leads back."""
    names = {p: ".".join(p.relative_to(ROOT).with_suffix("").parts) for p in sources()}
    names = {p: name for p, name in names.items() if p.stem != "__init__"}  # they hand names on
    ours = set(names.values())
    needs = {
        name: {m for m, top in imported(ast.parse(p.read_text())) if top and m in ours} - {name}
        for p, name in names.items()
    }
    while leaves := {name for name, others in needs.items() if not others & needs.keys()}:
        needs = {name: others for name, others in needs.items() if name not in leaves}
    assert not needs, f"these import each other: {sorted(needs)}"


def test_importing_ferce_is_light():
    code = (
        "import sys, ferce, ferce.models, ferce.reading.pipeline, ferce.explanation.heatmaps; "
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


@pytest.mark.parametrize("path", sorted((ROOT / "train").glob("*.py")), ids=lambda path: path.name)
def test_a_script_begins_when_all_of_it_is_defined(path):
    *_, last = ast.parse(path.read_text("utf-8")).body
    begins = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if _begins(node)]
    assert len(begins) <= 1
    assert not begins or _begins(last)


def _begins(node):
    return isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)
