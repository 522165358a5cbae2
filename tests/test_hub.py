"""Checkpoints from folders and from a Hub on loopback: fetched, cached, refused with a reason."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ferce import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORIES = {
    "owner/good": {"model.safetensors": b"weights", "config.json": b"{}", "run.py": b"evil"},
    "owner/pickled": {"pytorch_model.bin": b"pickle", "config.json": b"{}"},
}
# Which repository, of which revision, is asked for; what comes back is one JSON line.
CLIENT = """
import json, sys
from ferce import hub
for where, revision in json.loads(sys.argv[1]):
    try:
        folder = hub.resolve(where, revision)
        said = {"files": sorted(p.name for p in folder.iterdir()), "as": hub.repository_of(folder)}
    except hub.CheckpointError as error:
        said = {"error": str(error)}
    print(json.dumps(said), flush=True)
"""


class Answers(BaseHTTPRequestHandler):
    """The few routes that `snapshot_download` asks for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        owner, name, kind, revision = (parts[2:] if api else parts)[:4]
        files = REPOSITORIES.get(f"{owner}/{name}")
        if name == "gated":
            self.reply(403, b"", "GatedRepo")
        elif files is None:
            self.reply(404, b"", "RepoNotFound")
        elif revision not in ("main", COMMIT):
            self.reply(404, b"", "RevisionNotFound")
        elif api:
            self.reply(200, json.dumps(listing(f"{owner}/{name}", kind, files)).encode())
        else:
            self.reply(200, files[parts[4]])

    def do_HEAD(self):
        self.do_GET()

    def reply(self, status, body, error=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hash(body) & 0xFFFFFFFF:x}"')
        if error:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args):
        pass


def listing(name, kind, files):
    if kind == "tree":
        rows = files.items()
        return [{"type": "file", "path": p, "oid": "0" * 40, "size": len(b)} for p, b in rows]
    return {"id": name, "sha": COMMIT, "siblings": [{"rfilename": path} for path in files]}


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(port, home, *wanted):
    environment = {
        **os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "5", "HF_HUB_ETAG_TIMEOUT": "5",
    }  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-c", CLIENT, json.dumps(wanted)],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_a_repository_is_fetched_then_cached_and_bad_ones_refused(server, tmp_path):
    port = server.server_address[1]
    good, same, pickled, gone, gated, revision = ask(
        port, tmp_path,
        ["owner/good", None], ["owner/good", COMMIT], ["owner/pickled", None],
        ["owner/nothing", None], ["owner/gated", None], ["owner/good", "v9"],
    )  # fmt: skip
    assert good == same == {"files": ["config.json", "model.safetensors"], "as": "owner/good"}
    assert "it has only pickles (pytorch_model.bin), and ferce loads no pickle" in pickled["error"]
    assert "The Hub has no owner/nothing" in gone["error"]
    assert "owner/gated is gated" in gated["error"]
    assert revision["error"] == "The Hub has owner/good, but not at revision 'v9'."
    dead = 9  # the discard port: nobody listens
    cached, unknown = ask(dead, tmp_path, ["owner/good", None], ["owner/other", None])
    assert cached == good
    assert "owner/other is not in the cache, and http://127.0.0.1:9" in unknown["error"]


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
