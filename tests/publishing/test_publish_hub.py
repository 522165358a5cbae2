"""Real clients against a Hub on loopback: published, loaded by others and by ferce, failures said.

Each client is a fresh interpreter, because the libraries read the Hub's address when imported.
"""

import json
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import skimage.data
import tiny_models
import yaml
from hub_server import READER, TOKEN, Blob, Fault, serving
from patience import PROGRAM
from PIL import Image
from publish_fixtures import ROOT, adapter_run, client, surroundings, timm_run, write
from safetensors.numpy import load, save

from ferce.core.labels import COMPOUNDS
from ferce.models import load_classifier
from ferce.publishing.publish import Publication, prepare

BASE, NETWORK, ADAPTER = "owner/base", "owner/network", "owner/adapter"
# Pushes, one after the other; a token of each its own.
PUSH = """
import os
from pathlib import Path
from ferce.publishing.staging import PublishError
from ferce.publishing.upload import push
for name, token, more in CASES:
    os.environ["HF_TOKEN"] = token
    try:
        print(push(Path(FOLDER), name, **{"pauses": (), **more}))
    except PublishError as error:
        print("refused:", error)
"""
RESOLVE = """
from ferce.models import hub
for where, revision in CASES:
    try:
        print(hub.resolve(where, revision))
    except hub.CheckpointError as error:
        print(error)
"""
DEAD = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture(scope="module")
def hub():
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def no_faults(request):
    yield
    if "hub" in request.fixturenames:
        request.getfixturevalue("hub").faults.clear()


@pytest.fixture(scope="module")
def runs(tmp_path_factory, hub):
    """Both kinds of run folders; the adapter's base is on the Hub already."""
    folder = tmp_path_factory.mktemp("runs")
    base = tiny_models.build_blip2(folder / "base", "opt")
    hub.put(BASE, {p.name: p.read_bytes() for p in base.iterdir()})
    timm_run(folder / "network")
    adapter_run(folder / "adapter", base, str(base))
    return folder


@pytest.fixture(scope="module")
def published(runs, hub, tmp_path_factory):
    """What the script says of publishing both; the adapter under its base's Hub id."""
    home = tmp_path_factory.mktemp("publisher")
    network = publish(hub, home, runs / "network", "--name", NETWORK)
    adapter = publish(hub, home, runs / "adapter", "--name", ADAPTER, "--base", BASE)
    assert network.returncode == adapter.returncode == 0, network.stderr + adapter.stderr
    return {NETWORK: network.stdout, ADAPTER: adapter.stdout}


def publish(hub, home, run, *options, token=TOKEN):
    command = [sys.executable, str(ROOT / "train" / "publish.py"), str(run), *options]
    return subprocess.run(
        [*command, "--licence", "apache-2.0"], env=surroundings(hub.url, home, token),
        capture_output=True, text=True, timeout=PROGRAM, check=False,
    )  # fmt: skip


def push(hub, home, folder, *cases):
    """A line of what came of each (name, token, further arguments)."""
    done = client(f"CASES, FOLDER = {cases!r}, {str(folder)!r}\n{PUSH}", hub.url, home)
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done.stdout.splitlines()


def resolve(url, home, *cases):
    """What ferce's resolver gives for each (name, revision): a folder of the cache, or why not."""
    done = client(f"CASES = {cases!r}\n{RESOLVE}", url, home, TOKEN)
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done.stdout.splitlines()


def probabilities(spec):
    return load_classifier(spec, "cpu").scores([tiny_models.face(1)]).classes[0].tolist()


@pytest.fixture(scope="module")
def prepared(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "out"
    prepare(runs / "network", folder, Publication(NETWORK, licence="apache-2.0"))
    return folder


def test_publishing_makes_private_repositories(hub, published):
    assert all(hub.repositories[name].private for name in (NETWORK, ADAPTER))
    for name, said in published.items():
        commit = hub.repositories[name].refs["main"]
        assert said == f"published {name}@{commit}\n"
        files = hub.repositories[name].files
        assert not [n for n in files if n.endswith((".bin", ".pt"))]
        assert files["README.md"].data.startswith(b"---\n")


def code_of(hub, name):
    """The Python blocks of a published card: the library alone, and ferce."""
    card = hub.repositories[name].files["README.md"].data.decode()
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(skimage.data.astronaut()[0:256, 96:352]).save(tmp_path / "photo.jpg")
    return tmp_path


def test_the_cards_own_code_loads_them_and_so_does_ferce(hub, published, photo):
    blocks = [*code_of(hub, NETWORK), *code_of(hub, ADAPTER)]
    assert ["import ferce" in block for block in blocks] == [False, True, False, True]
    done = client('print("--")\n'.join(blocks), hub.url, photo, TOKEN)
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    label, network, answer, adapter = done.stdout.split("--\n")
    assert label.strip() in COMPOUNDS
    assert "Question: Which compound expression" in answer
    for reading in (network, adapter):  # the face was found, and read
        assert reading.split()[0] in ("compound", "basic", "neutral", "unclear")


def test_ferce_pins_revisions_and_survives_without_the_hub(hub, published, runs, tmp_path):
    repository = hub.repositories[NETWORK]
    first = repository.refs["main"]
    repository.commit(halved(repository.files))
    cases = (NETWORK, None), (NETWORK, first), (NETWORK, "v9")
    try:
        newest, pinned, lost = resolve(hub.url, tmp_path, *cases)
    finally:
        repository.refs["main"] = first
    assert lost == "The Hub has owner/network, but not at revision 'v9'."
    local = probabilities(f"timm:{runs / 'network'}")
    assert probabilities(f"timm:{pinned}") == local != probabilities(f"timm:{newest}")
    assert resolve(DEAD, tmp_path, *cases[:2]) == [newest, pinned]


def halved(files):
    """The same repository with weights of half the size."""
    weights = load(files["model.safetensors"].data)
    smaller = save({k: np.asarray(v / 2, v.dtype) for k, v in weights.items()})
    return {**files, "model.safetensors": Blob(smaller, True)}


def test_adapters_load_from_the_cache_when_the_hub_is_down(hub, published, runs, tmp_path):
    there = resolve(hub.url, tmp_path, (BASE, None), (ADAPTER, None))
    assert resolve(DEAD, tmp_path, (BASE, None), (ADAPTER, None)) == there
    ours = probabilities("blip2:{}+{}".format(*there))  # its base is known by its weights
    assert ours == probabilities(f"blip2:{runs / 'base'}+{runs / 'adapter'}")


def test_refusals_of_the_hub_are_said_in_a_sentence(hub, prepared, tmp_path):
    stranger = "hf_nobody_0123456789abcdefghijklmnop"
    at = "POST /api/models/owner/{}/commit/".format
    hub.faults += [
        Fault(at("forbidden"), 403), Fault(at("gone"), 404), Fault(at("taken"), 409),
        Fault(at("moved"), 412), Fault(at("down"), 503),
    ]  # fmt: skip
    cases = {
        ("owner/a", ""): r"The Hub does not know you \(401\)",
        ("owner/b", stranger): r"The Hub does not know you \(401\)",
        ("owner/c", READER): r"Your token may not write to owner/c \(403\)",
        ("other/d", TOKEN): r"Your token may not write to other/d \(403\)",
        ("owner/forbidden", TOKEN): r"Your token may not write to owner/forbidden \(403\)",
        ("owner/gone", TOKEN): r"The Hub has no owner/gone",
        ("owner/taken", TOKEN): r"owner/taken changed while it was written \(409\)",
        ("owner/moved", TOKEN): r"owner/moved changed while it was written \(412\)",
        ("owner/down", TOKEN): r"http://127\.0\.0\.1:\d+ fails \(503\)",
    }
    said = push(hub, tmp_path, prepared, *((*case, {}) for case in cases))
    for line, reason in zip(said, cases.values(), strict=True):
        assert re.match(f"refused: {reason}", line)
    (away,) = push(SimpleNamespace(url=DEAD), tmp_path, prepared, ("owner/e", TOKEN, {}))
    assert away.startswith("refused: http://127.0.0.1:9 cannot be reached")


def test_a_card_that_the_hub_does_not_take_is_said(hub, prepared, tmp_path):
    folder = shutil.copytree(prepared, tmp_path / "bad")
    card = (folder / "README.md").read_text()
    (folder / "README.md").write_text(card.replace("---\n", "---\nbase_model: /home/x\n", 1))
    (said,) = push(hub, tmp_path / "home", folder, ("owner/bad", TOKEN, {}))
    assert said.startswith("refused: The Hub refuses the card of owner/bad")


def test_pushes_are_tried_again_repeated_and_kept_from_others(hub, prepared, tmp_path):
    hub.faults += [
        Fault("POST .*/repos/create", 502, 1), Fault("POST .*/owner/again/commit/", 500, 1),
    ]  # fmt: skip
    hub.put("owner/open", {"a.txt": b"x"}, private=False)
    hub.put("owner/old", {"pytorch_model.bin": b"x"}, private=True)
    again, twice, private, public, old = push(
        hub, tmp_path, prepared,
        ("owner/again", TOKEN, {"pauses": (0.1,)}), ("owner/again", TOKEN, {}),
        ("owner/open", TOKEN, {}), ("owner/open", TOKEN, {"public": True}),
        ("owner/old", TOKEN, {}),
    )  # fmt: skip
    assert again == twice == hub.repositories["owner/again"].refs["main"]
    assert "owner/open exists and is public; make it private" in private
    assert public == hub.repositories["owner/open"].refs["main"]
    assert "already holds pytorch_model.bin, which is not of this model" in old
    assert list(hub.repositories["owner/old"].files) == ["pytorch_model.bin"]


def test_a_dry_run_asks_nobody(hub, runs, tmp_path):
    asked = len(hub.asked)
    out = tmp_path / "out"
    done = publish(
        hub, tmp_path / "home", runs / "network", "--name", "owner/dry", "--dry-run",
        "--folder", str(out),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "## Forbidden and unsuitable use" in done.stdout
    assert f"dry run: nothing was sent; written to {out}:" in done.stdout
    assert (out / "model.safetensors").is_file()
    assert len(hub.asked) == asked
    assert "owner/dry" not in hub.repositories


def test_a_dry_run_replaces_the_one_before_and_a_failed_one_leaves_nothing(hub, runs, tmp_path):
    run = shutil.copytree(runs / "network", tmp_path / "run")
    out = tmp_path / "run-published"
    call = (hub, tmp_path / "home", run, "--name", "owner/dry", "--dry-run")
    metrics = (run / "metrics.json").read_text()
    write(run / "metrics.json", {**json.loads(metrics), "test": {}})
    failed = publish(*call)
    assert failed.returncode == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "run"]
    (run / "metrics.json").write_text(metrics)
    for _ in range(2):
        assert publish(*call).returncode == 0
    assert (out / "README.md").stat().st_mode & 0o777 == run.stat().st_mode & 0o666
    (out / "mine.txt").write_text("x")
    assert "holds mine.txt, which no dry run left" in publish(*call).stderr
    assert (out / "model.safetensors").is_file()


def test_base_and_adapter_are_published_together(hub, runs, tmp_path):
    names = ("--name", "owner/ours-lora", "--base-name", "owner/ours")
    refused = publish(hub, tmp_path / "home", runs / "adapter", *names)
    assert "Say the licence of the base in" in refused.stderr
    assert "owner/ours" not in hub.repositories
    done = publish(hub, tmp_path / "home", runs / "adapter", *names, "--base-licence", "mit")
    assert done.returncode == 0, done.stderr
    assert re.findall("published (.*)@", done.stdout) == ["owner/ours", "owner/ours-lora"]
    files = hub.repositories["owner/ours"].files
    assert files["model.safetensors"].data == (runs / "base" / "model.safetensors").read_bytes()
    card = files["README.md"].data.decode()
    assert "license: mit" in card
    assert 'load_classifier("blip2:owner/ours+owner/ours-lora")' in card
    there = resolve(hub.url, tmp_path / "home", ("owner/ours", None), ("owner/ours-lora", None))
    ours = probabilities("blip2:{}+{}".format(*there))
    assert ours == probabilities(f"blip2:{runs / 'base'}+{runs / 'adapter'}")
    both = publish(hub, tmp_path / "home", runs / "adapter", *names, "--base", BASE)
    assert both.stderr == (
        "publish: Give --base for a base on the Hub, or --base-name to publish it; one.\n"
    )
    other = publish(hub, tmp_path / "home", runs / "network", *names)
    assert "is no adapter on a base in a folder; leave --base-name out" in other.stderr


def test_a_space_is_staged_with_model_variables_and_token(hub, runs, tmp_path, monkeypatch):
    call = (hub, tmp_path / "home", runs / "network", "--space", "owner/page")
    dry = publish(*call, "--dry-run", "--folder", str(tmp_path / "dry"))
    assert "the Space owner/page would read with FERCE_CLASSIFIER=timm:owner/page" in dry.stdout
    assert "owner/page" not in hub.repositories
    alone = publish(*call)
    assert alone.returncode == 0, alone.stderr
    assert "cannot open the private owner/page yet" in alone.stdout
    space = hub.repositories["spaces/owner/page"]
    assert space.private
    assert space.variables == {"FERCE_CLASSIFIER": "timm:owner/page"}
    assert space.secrets == {}
    assert {"app.py", "requirements.txt", "packages.txt", "ferce/__init__.py"} <= set(space.files)
    assert not [name for name in space.files if "__pycache__" in name or name.startswith("tests")]
    front = yaml.safe_load(space.files["README.md"].data.decode().split("---")[1])
    assert (front["title"], front["sdk"], front["models"]) == ("page", "gradio", ["owner/page"])
    assert hub.repositories["owner/page"].files["model.safetensors"]
    monkeypatch.setenv("FERCE_SPACE_TOKEN", READER)
    both = publish(
        hub, tmp_path / "home", runs / "adapter", "--name", ADAPTER, "--base", BASE, "--space",
        "owner/voice",
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    assert READER not in both.stdout + both.stderr
    voice = hub.repositories["spaces/owner/voice"]
    spec = f"blip2:{BASE}+{ADAPTER}"
    assert voice.variables == {"FERCE_CLASSIFIER": spec, "FERCE_VOICE": spec}
    assert voice.secrets == {"HF_TOKEN": READER}


def test_the_script_refuses_in_one_line(hub, runs, tmp_path):
    done = publish(hub, tmp_path, runs / "adapter", "--name", "owner/x")
    assert done.returncode == 1
    assert done.stderr.startswith("publish: The adapter names ")
    assert done.stderr.count("\n") == 1
    half = publish(hub, tmp_path, runs / "network", "--name", "owner/x", "--watts", "70")
    assert half.stderr == "publish: --watts and --grid belong together; give both or neither.\n"
