"""Checkpoints from folders and from a Hub on loopback: fetched, cached, refused with a reason."""

import json

import numpy as np
import pytest
from hub_server import Fault, serving
from publish_fixtures import client
from safetensors.numpy import save

from ferce.models import hub

WEIGHTS = save({"w": np.arange(1000.0)})
REPOSITORIES = {
    "owner/good": {"model.safetensors": WEIGHTS, "config.json": b"{}", "run.py": b"evil"},
    "owner/pickled": {"pytorch_model.bin": b"pickle", "config.json": b"{}"},
}
# Which repository, of which revision, is asked for; what comes back is one JSON line.
CLIENT = """
import json, sys
from ferce.models import hub
for where, revision in json.loads(sys.argv[1]):
    try:
        folder = hub.resolve(where, revision)
        said = {"files": sorted(p.name for p in folder.iterdir()), "as": hub.repository_of(folder)}
    except hub.CheckpointError as error:
        said = {"error": str(error)}
    print(json.dumps(said), flush=True)
"""


@pytest.fixture
def server():
    with serving() as hub:
        for name, files in REPOSITORIES.items():
            hub.put(name, files)
        hub.put("owner/gated", REPOSITORIES["owner/good"], gated=True)
        yield hub


def ask(url, home, *wanted):
    run = client(CLIENT.replace("sys.argv[1]", repr(json.dumps(wanted))), url, home)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_a_repository_is_fetched_then_cached_and_bad_ones_refused(server, tmp_path):
    commit = server.repositories["owner/good"].refs["main"]
    good, same, pickled, gone, gated, revision = ask(
        server.url, tmp_path,
        ["owner/good", None], ["owner/good", commit], ["owner/pickled", None],
        ["owner/nothing", None], ["owner/gated", None], ["owner/good", "v9"],
    )  # fmt: skip
    assert good == same == {"files": ["config.json", "model.safetensors"], "as": "owner/good"}
    assert "it has only pickles (pytorch_model.bin), and ferce loads no pickle" in pickled["error"]
    assert "The Hub has no owner/nothing" in gone["error"]
    assert "owner/gated is gated" in gated["error"]
    assert revision["error"] == "The Hub has owner/good, but not at revision 'v9'."
    dead = "http://127.0.0.1:9"  # the discard port: nobody listens
    cached, unknown = ask(dead, tmp_path, ["owner/good", None], ["owner/other", None])
    assert cached == good
    assert "owner/other is not in the cache, and http://127.0.0.1:9" in unknown["error"]


def test_weights_broken_in_the_cache_are_fetched_again_or_named(server, tmp_path):
    (there,) = ask(server.url, tmp_path, ["owner/good", None])
    (weights,) = (tmp_path / "hub").rglob("snapshots/*/model.safetensors")
    blob = weights.resolve()
    blob.write_bytes(WEIGHTS[:500])
    (said,) = ask("http://127.0.0.1:9", tmp_path, ["owner/good", None])
    assert "model.safetensors of owner/good is broken in the cache" in said["error"]
    assert ask(server.url, tmp_path, ["owner/good", None]) == [there]
    assert blob.read_bytes() == WEIGHTS
    server.put("owner/torn", {"model.safetensors": WEIGHTS[:500]})
    (torn,) = ask(server.url, tmp_path, ["owner/torn", None])
    assert torn["error"] == "model.safetensors of owner/torn is broken on the Hub itself."


def test_a_hub_that_fails_leaves_the_cached_copy(server, tmp_path):
    good = ask(server.url, tmp_path, ["owner/good", None])
    server.faults.append(Fault(".", 503))
    assert ask(server.url, tmp_path, ["owner/good", None]) == good


def test_a_folder_is_taken_as_it_is(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"w")
    assert hub.resolve(str(tmp_path)) == tmp_path.resolve()
    assert hub.repository_of(tmp_path) is None
    with pytest.raises(hub.CheckpointError, match="is a folder, so it has no revision 'v1'"):
        hub.resolve(str(tmp_path), "v1")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (["pytorch_model.bin", "tf_model.h5"], r"pytorch_model\.bin, tf_model\.h5"),
        ([], "no weights"),
    ],
)
def test_a_folder_without_safetensors_is_refused(tmp_path, files, reason):
    for name in files:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(hub.CheckpointError, match=reason):
        hub.resolve(str(tmp_path))


def test_a_folder_that_safetensors_cannot_open_is_refused(tmp_path):
    folder = tmp_path / "l\udcf6tin"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"w")
    with pytest.raises(hub.CheckpointError, match="has a name that is no Unicode"):
        hub.resolve(str(folder))


@pytest.mark.parametrize("where", ["/no/such/folder", "./nowhere", "a/b/c", "", "owner/na me"])
def test_what_is_neither_folder_nor_repository_is_refused(where):
    with pytest.raises(hub.CheckpointError, match="neither a folder nor an owner/name"):
        hub.resolve(where)


def test_fingerprints_tell_weights_apart_not_folders(tmp_path):
    for name, weights in (("a", b"one" * 99_999), ("b", b"one" * 99_999), ("c", b"two" * 99_999)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(weights)
    a, b, c = (hub.fingerprint(tmp_path / name) for name in "abc")
    assert a == b != c
    assert len(a) == 16


def test_broken_json_is_named(tmp_path):
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(hub.CheckpointError, match="must hold a JSON object; got list"):
        hub.read_json(tmp_path / "config.json")
    with pytest.raises(hub.CheckpointError, match="must be a JSON file"):
        hub.read_json(tmp_path / "missing.json")


def test_weights_in_a_folder_below_are_named(tmp_path):
    (tmp_path / "expression").mkdir()
    (tmp_path / "expression" / "adapter_model.safetensors").write_bytes(WEIGHTS)
    with pytest.raises(hub.CheckpointError, match="holds its weights in expression; name the"):
        hub.resolve(str(tmp_path))
    assert hub.resolve(str(tmp_path / "expression"))
