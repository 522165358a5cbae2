"""A Hub on loopback for tests: the routes that huggingface_hub 1.32 to 2.4 asks for, in memory.

Real clients talk to it with HF_ENDPOINT; faults can be set, and what was asked is kept.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

OWNER, TOKEN, READER = (
    "owner",
    "hf_writes_0123456789abcdefghijklmnopqrst",
    "hf_reads_only_0123456789",
)
LFS = (".safetensors", ".png", ".bin", ".pt")
REPOSITORY_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


@dataclass(frozen=True)
class Blob:
    data: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def sha1(self) -> str:
        """Git's name of the file, or of the pointer that stands for it."""
        data = self.data
        if self.lfs:
            size = len(data)
            data = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {size}\n".encode()  # noqa: E501
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.sha1


@dataclass
class Repository:
    private: bool = True
    gated: bool = False
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)  # of a Space
    secrets: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, Blob], branch: str = "main") -> str:
        """Keep `files` as the newest state; gives the commit's 40 hex digits."""
        seed = "".join(f"{path}{blob.etag}" for path, blob in sorted(files.items()))
        oid = hashlib.sha1(f"{len(self.commits)}{seed}".encode()).hexdigest()
        self.commits[oid] = dict(files)
        self.refs[branch] = oid
        return oid

    def find(self, revision: str) -> str | None:
        """The commit of a branch, a tag or a commit."""
        return revision if revision in self.commits else self.refs.get(revision)

    @property
    def files(self) -> dict[str, Blob]:
        return self.commits[self.refs["main"]]


@dataclass
class Fault:
    """Spoil the answer to the next `times` requests whose "METHOD path" matches `pattern`.

    With a `status` it is that alone; else it comes after a `pause` in seconds, `cut` off after so
    many bytes, or `garbled` in one byte.
    """

    pattern: str
    status: int = 0
    times: int = 1_000_000
    code: str = ""
    pause: float = 0.0
    cut: int | None = None
    garbled: bool = False


class Hub:
    """The state of the server; tests read and change it from their own thread."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.asked: list[str] = []
        self.url = ""

    def put(self, name: str, files: dict[str, bytes], **facts) -> Repository:
        """A repository with these files, public unless said otherwise."""
        repository = Repository(**{"private": False, **facts})
        repository.commit({path: Blob(data, path.endswith(LFS)) for path, data in files.items()})
        self.repositories[name] = repository
        return repository

    def fault(self, asked: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.pattern, asked):
                fault.times -= 1
                return fault
        return None


class Answer(Exception):  # noqa: N818 - it is no error
    """What to reply, raised from anywhere within a request."""

    def __init__(self, status: int, body: object = None, code: str = "", **headers: str) -> None:
        super().__init__(status)
        self.status, self.code, self.headers = status, code, headers
        self.body = body if isinstance(body, bytes) else json.dumps(body or {}).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    fault: Fault | None = None

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        try:
            body = self.read()
            self.fault = self.hub.fault(f"{self.command} {path}")
            if self.fault and self.fault.status:
                raise Answer(self.fault.status, {"error": "as the test wants it"}, self.fault.code)
            self.route(path, body)
            raise Answer(404, {"error": f"no such route {self.command} {path}"})
        except Answer as answer:
            self.reply(answer)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - names of the standard library

    def read(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = {"Content-Length": str(len(answer.body)), **answer.headers}
        if answer.code:
            headers["X-Error-Code"] = answer.code
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        body = answer.body
        if self.fault:
            time.sleep(self.fault.pause)
            body = body[: self.fault.cut]
            if self.fault.garbled and body:
                body = body[:-1] + bytes([body[-1] ^ 1])
        with suppress(ConnectionError):  # the client may have gone
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        self.close_connection = self.close_connection or len(body) < len(answer.body)

    def log_message(self, *args) -> None:
        pass

    # who may do what

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def writing(self, name: str) -> None:
        if self.token not in (TOKEN, READER):
            raise Answer(401, {"error": "Invalid username or password."})
        if self.token == READER or not name.removeprefix("spaces/").startswith(f"{OWNER}/"):
            raise Answer(403, {"error": "You don't have the rights to write here."})

    def repository(self, name: str) -> Repository:
        repository = self.hub.repositories.get(name)
        known = self.token in (TOKEN, READER)
        if repository is None or (repository.private and not known):
            raise Answer(404 if known else 401, {"error": "Repository not found"}, "RepoNotFound")
        if repository.gated and self.command in ("GET", "HEAD") and not known:
            raise Answer(403, {"error": "Access to this model is restricted."}, "GatedRepo")
        return repository

    # what is asked

    def route(self, path: str, body: bytes) -> None:
        if path == "/api/whoami-v2":
            self.whoami()
        if path == "/api/repos/create":
            self.create(json.loads(body))
        if path == "/api/validate-yaml":
            self.validate(json.loads(body))
        api = r"/api/(?:models/|(spaces/))([^/]+/[^/]+)(?:/(\w+)(?:/([^/]+))?)?(?:/.*)?"
        if match := re.fullmatch(api, path):
            kind, name, *more = match.groups()
            self.api(f"{kind or ''}{name}", *more, body)
        if match := re.fullmatch(r"/((?:spaces/)?[^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            self.batch(match[1], json.loads(body))
        if match := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):
            self.upload(match[1], body)
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.resolve(*match.groups())

    def whoami(self) -> None:
        if self.token not in (TOKEN, READER):
            raise Answer(401, {"error": "Invalid username or password."})
        raise Answer(200, {"type": "user", "name": OWNER, "orgs": []})

    def create(self, wanted: dict) -> None:
        name = f"{wanted.get('organization') or OWNER}/{wanted['name']}"
        self.writing(name)
        if wanted.get("type") == "space":
            assert wanted["sdk"] == "gradio"
            name = f"spaces/{name}"
        facts = {"url": f"{self.hub.url}/{name}", "name": name, "id": name}
        if name in self.hub.repositories:
            raise Answer(409, {"error": "You already created this model repo", **facts})
        private = wanted.get("private", wanted.get("visibility") == "private")
        self.hub.repositories[name] = made = Repository(private=bool(private))
        made.commit({".gitattributes": Blob(b"*.safetensors filter=lfs\n", False)})
        raise Answer(200, facts)

    def validate(self, wanted: dict) -> None:
        import yaml

        text = wanted["content"]
        head = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else {}
        bases = head.get("base_model", [])
        bases = [bases] if isinstance(bases, str) else bases
        errors = [
            {"message": f'"base_model" with value "{base}" is not valid. Use a Hub id.'}
            for base in bases
            if not REPOSITORY_ID.fullmatch(base)
        ]
        raise Answer(400 if errors else 200, {"errors": errors, "warnings": []})

    def api(self, name: str, what: str | None, revision: str | None, body: bytes) -> None:
        repository = self.repository(name)
        if what == "preupload":
            self.writing(name)
            self.preupload(repository, json.loads(body))
        if what in ("variables", "secrets"):
            self.writing(name)
            kept, given = getattr(repository, what), json.loads(body)
            kept[given["key"]] = given["value"]
            raise Answer(200, {key: {"value": value} for key, value in kept.items()})
        if what == "commit":
            self.writing(name)
            self.commit(name, repository, revision or "main", body)
        commit = repository.find(revision or "main")
        if commit is None:
            raise Answer(404, {"error": "no such revision"}, "RevisionNotFound")
        files = repository.commits[commit]
        if what == "tree":
            raise Answer(200, [self.row(path, blob) for path, blob in files.items()])
        if what in (None, "revision"):
            siblings = [{"rfilename": path} for path in files]
            facts = {
                "id": name.removeprefix("spaces/"),
                "sha": commit,
                "private": repository.private,
            }
            raise Answer(200, {**facts, "siblings": siblings, "gated": repository.gated})

    @staticmethod
    def row(path: str, blob: Blob) -> dict:
        row = {"type": "file", "path": path, "oid": blob.sha1, "size": len(blob.data)}
        lfs = {"oid": blob.sha256, "size": len(blob.data), "pointerSize": 134}
        return {**row, "lfs": lfs} if blob.lfs else row

    def preupload(self, repository: Repository, wanted: dict) -> None:
        rows = []
        for file in wanted["files"]:
            mode = "lfs" if file["path"].endswith(LFS) else "regular"
            row = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
            if old := repository.files.get(file["path"]):
                row["oid"] = old.etag
            rows.append(row)
        raise Answer(200, {"files": rows})

    def batch(self, name: str, wanted: dict) -> None:
        self.writing(name)
        rows = []
        for item in wanted["objects"]:
            row = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.objects:
                row["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{item['oid']}"}}
            rows.append(row)
        raise Answer(200, {"transfer": "basic", "objects": rows})

    def upload(self, oid: str, body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise Answer(400, {"error": "the bytes are not those announced"})
        self.hub.objects[oid] = body
        raise Answer(200)

    def commit(self, name: str, repository: Repository, branch: str, body: bytes) -> None:
        files = dict(repository.files)
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header" and value.get("parentCommit") not in (
                None, repository.refs[branch],
            ):  # fmt: skip
                raise Answer(412, {"error": "A commit has happened since. Please refresh."})
            if item["key"] == "file":
                files[value["path"]] = Blob(base64.b64decode(value["content"]), False)
            if item["key"] == "lfsFile":
                files[value["path"]] = Blob(self.hub.objects[value["oid"]], True)
            if item["key"] == "deletedFile":
                files.pop(value["path"], None)
        oid = repository.commit(files, branch)
        url = f"{self.hub.url}/{name}/commit/{oid}"
        raise Answer(200, {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def resolve(self, name: str, revision: str, path: str) -> None:
        repository = self.repository(name)
        commit = repository.find(revision)
        if commit is None:
            raise Answer(404, {"error": "no such revision"}, "RevisionNotFound")
        blob = repository.commits[commit].get(path)
        if blob is None:
            raise Answer(404, {"error": "no such file"}, "EntryNotFound", X_Repo_Commit=commit)
        headers = {"ETag": f'"{blob.etag}"', "X_Repo_Commit": commit}
        if blob.lfs:
            headers |= {"X_Linked_Etag": f'"{blob.etag}"', "X_Linked_Size": str(len(blob.data))}
        raise Answer(200, blob.data, **headers)


@contextmanager
def serving() -> Iterator[Hub]:
    """A Hub that listens on a free port of 127.0.0.1 until the block ends."""
    hub = Hub()
    handler = type("Bound", (Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
