"""The notebook is clean, names what exists, and runs from data to card on a CPU."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from patience import PROGRAM
from publish_fixtures import ROOT, surroundings

README = (ROOT / "README.md").read_text("utf-8")
NOTEBOOK = ROOT / "train" / "colab.ipynb"
OPTIONS = {
    "classifier": "--network test_resnet --size 64 --epochs 1 --max-steps 2 --device cpu",
    "blip2": "--epochs 1 --max-steps 2 --views 1 --val-faces 28 --rouge-faces 0 --device cpu",
}
TINY = """
TRAIN = {train!r}
OPTIONS = {options!r}
MEASURE = "--draws 5 --device cpu"
INSTALL = False
RUNS = {runs!r}
"""
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
patience = int(sys.argv[3])
place = {"metadata": {"path": sys.argv[2]}}
NotebookClient(notebook, timeout=patience, startup_timeout=patience, resources=place).execute()
nbformat.write(notebook, sys.argv[1])
"""


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, 4)


def sources(notebook):
    return [cell["source"] for cell in notebook.cells if cell["cell_type"] == "code"]


def test_it_is_valid_and_holds_no_output(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_its_code_compiles_and_names_scripts_that_exist(notebook):
    code = "\n".join(sources(notebook))
    compile(code, "colab.ipynb", "exec")
    scripts = set(re.findall(r"train/\w+\.py", code))
    assert scripts >= {f"train/{name}.py" for name in ("train_classifier", "evaluate", "publish")}
    assert all((ROOT / script).is_file() for script in scripts)
    assert (ROOT / re.search(r'PHOTO = "(.+)"', code)[1]).is_file()


def test_the_options_it_recommends_are_those_of_the_readme(notebook):
    from train import finetune_blip2, train_classifier

    text = "\n".join(cell["source"] for cell in notebook.cells)
    network, adapter = re.findall(r'`OPTIONS = "([^"]+)"`', text)
    assert train_classifier.parser().parse_args(shlex.split(network)).loss == "logit-adjusted"
    arguments = finetune_blip2.parser().parse_args(shlex.split(adapter))
    assert arguments.base == "Salesforce/blip2-opt-2.7b"
    assert arguments.load_in == "8bit"
    commands = [
        shlex.split(line) for line in re.findall(r"^python train/.*$", README, re.MULTILINE)
    ]
    data = ["--data", "rafce:/data/RAF-CE"]
    for options in (network, adapter):
        assert any(set(shlex.split(options) + data) <= set(command) for command in commands)


@pytest.mark.slow
@pytest.mark.parametrize("train", OPTIONS)
def test_it_runs_from_data_to_card(notebook, tmp_path, train):
    made = nbformat.from_dict(notebook)
    tiny = TINY.format(train=train, options=OPTIONS[train], runs=str(tmp_path / "runs"))
    place = next(i for i, c in enumerate(made.cells) if "parameters" in c.metadata.get("tags", ()))
    made.cells.insert(place + 1, new_code_cell(tiny))
    nbformat.write(made, tmp_path / "executed.ipynb")
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(tmp_path / "executed.ipynb"), str(ROOT / "train"),
         str(PROGRAM)],
        env=surroundings("http://127.0.0.1:9", tmp_path / "home", IPYTHONDIR=str(tmp_path)),
        capture_output=True, text=True, timeout=PROGRAM, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said = text_of(tmp_path / "executed.ipynb")
    assert "No GPU" in said or "GiB" in said
    assert "macro-F1" in said
    assert "dry run: nothing was sent" in said
    assert "## Forbidden and unsuitable use" in said
    published = {path.name for path in (tmp_path / "runs" / f"{train}-published").iterdir()}
    weights = {"classifier": "model.safetensors", "blip2": "adapter_model.safetensors"}[train]
    assert {"README.md", weights, "confusion.png"} <= published
    assert (tmp_path / "runs" / "blip2-published-base").is_dir() is (train == "blip2")


def text_of(path: Path) -> str:
    outputs = [o for c in nbformat.read(path, 4).cells for o in c.get("outputs", ())]
    texts = [o.get("text") or o.get("data", {}).get("text/markdown", "") for o in outputs]
    return "\n".join(texts)
