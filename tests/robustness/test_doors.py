"""Ways in and out that must stay shut, tried on our own server with harmless input.

Elsewhere: names and links in a ZIP (`test_archive.py`), files of the server by the endpoints
(`test_app.py`, `test_app_batch.py`), addresses given by a language model (`test_mcp.py`), uploads
gone after their time (`test_app.py`), tokens of a model's server (`test_remote_consent.py`) and of
the Hub (`test_publish_hub.py`), paths and tokens in what is published (`test_publish.py`).
"""

import asyncio
import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from app_fixtures import label_of, scene
from app_server import connect, serving
from patience import PATIENCE, until
from PIL import Image

from ferce.ui.web import doors

TOKEN = "hf_secret_0123456789abcdefghijklmnop"
MODEL_TOKEN = "sk-secret-0123456789"


@pytest.fixture
def save(tmp_path):
    def write(pixels, name="photo.png"):
        Image.fromarray(pixels).save(tmp_path / name)
        return tmp_path / name

    return write


class Other(BaseHTTPRequestHandler):
    """Another machine: a picture, a file without end, a redirect inwards."""

    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        if self.path == "/inwards":
            self.send_response(302)
            self.send_header("Location", "http://inner.example/")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        with_end = self.path == "/small"
        try:
            for _ in range(1 if with_end else 10_000):
                self.wfile.write(b"x" * 10_000)
        except ConnectionError:
            self.asked.append("broken off")

    def log_message(self, *args):
        pass


@contextmanager
def elsewhere():
    handler = type("Bound", (Other,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], handler.asked
        server.shutdown()


# ---- addresses ----


@pytest.mark.parametrize(
    "path", ["http://127.0.0.1:{}/small", "HTTP://localhost:{}/small", "file:///etc/passwd",
             "../../../../etc/passwd", "/proc/self/environ", "https://example.org/photo.jpg"]
)  # fmt: skip
def test_an_endpoint_fetches_nothing_and_reads_no_file(squares, path):
    with elsewhere() as (port, asked):
        for meta in ({}, {"meta": {"_type": "gradio.FileData"}}):
            for key in ("path", "url"):
                sent = {"data": [{"path": "", key: path.format(port), **meta}]}
                call = httpx.post(f"{squares}/gradio_api/call/read", json=sent, timeout=PATIENCE)
                if call.status_code == 200:
                    event = call.json()["event_id"]
                    where = f"{squares}/gradio_api/call/read/{event}"
                    answer = httpx.get(where, timeout=PATIENCE).text
                    assert "faces" not in answer
                    assert "root:" not in answer
                    assert "Traceback" not in answer
        assert asked == []


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{}/small", "https://example.org/", "HTTP://a"]
)
def test_the_server_passes_nothing_on(squares, address):
    with elsewhere() as (port, asked):
        answer = httpx.get(f"{squares}/gradio_api/file={address.format(port)}", timeout=PATIENCE)
        assert answer.status_code == 403
        assert asked == []


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../../etc/passwd", "..%2f..%2f..%2fetc/passwd",
             "%2fetc%2fpasswd", "app.py", "ferce/weights/classifier/config.json", "file:///etc/passwd"]
)  # fmt: skip
def test_files_of_the_server_are_not_served(squares, path):
    answer = httpx.get(f"{squares}/gradio_api/file={path}", timeout=PATIENCE)
    assert answer.status_code in (403, 404)
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "path", ["gradio_api/proxy=http://127.0.0.1/", "gradio_api/proxy=https://x.hf.space/",
             "gradio_api/file//etc/passwd", "gradio_api/custom_component/a/client/b/c%1b[31m.js",
             "gradio_api/dev/reload", "gradio_api/deep_link?session_hash=a", "monitoring",
             "monitoring/summary", "gradio_api/vibe-code", "gradio_api/runs"]
)  # fmt: skip
def test_routes_that_the_page_does_not_use_are_not_there(squares, path):
    answer = httpx.get(f"{squares}/{path}", timeout=PATIENCE)
    assert (answer.status_code, answer.text) == (404, "There is nothing here.")


def test_no_recording_is_handed_to_ffmpeg(squares):
    files = {"video": ("a.mp4", b"#EXTM3U\n")}
    url = f"{squares}/gradio_api/process_recording"
    assert httpx.post(url, files=files, timeout=PATIENCE).status_code == 404


@pytest.mark.parametrize(
    "path", ["static/", "assets/", "svelte/", "gradio_api/stream/a/0/0/", "gradio_api/file="]
)
@pytest.mark.parametrize("up", ["..%2f" * 9 + "etc%2fpasswd", "/etc/passwd", "%2fetc%2fpasswd"])
def test_no_route_leads_out_of_its_folder(squares, path, up):
    answer = httpx.get(f"{squares}/{path}{up}", timeout=PATIENCE)
    assert answer.status_code in (403, 404)
    assert "root:" not in answer.text


# Within this machine or its network, or IPv6 that may lead to such an address.
ADDRESSES = ("127.0.0.1", "10.0.0.7", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
             "::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "224.0.0.1", "240.0.0.1",
             "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b:1::127.0.0.1",
             "2002:7f00:1::1", "2001:0:7f00:1::", "fec0::1", "2001:db8::1")  # fmt: skip


@pytest.fixture
def names(monkeypatch):
    """A resolver: host -> addresses."""
    known = {}

    def resolve(host, port, *more, **options):
        rows = known.get(host, [host])
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (row, port or 0)) for row in rows]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def test_names_that_lead_inwards_are_refused(names):
    for address in ADDRESSES:
        names["inner.example"] = ["93.184.216.34", address]
        with pytest.raises(httpx.UnsupportedProtocol, match=r"inner\.example is no public machine"):
            asyncio.run(doors.public("inner.example"))
    for address in ("93.184.216.34", "2606:2800:220:1::1"):
        names["outer.example"] = [address]
        assert asyncio.run(doors.public("outer.example")) == address


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f000001", "017700000001", "127.1", "0x7f.1", "0",
             "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "localhost", "127.0.0.1."]
)  # fmt: skip
def test_however_an_address_is_written_it_is_not_fetched(host):
    with elsewhere() as (port, asked):
        with pytest.raises((httpx.UnsupportedProtocol, httpx.ConnectError, httpx.InvalidURL)):
            fetched(f"http://{host}:{port}/small", 20_000)
        assert asked == []


def test_the_address_that_was_checked_is_the_one_that_is_asked(monkeypatch, names):
    """A name that leads elsewhere the second time it is resolved gains nothing."""
    seen = []

    async def connect(self, request):
        seen.append((request.url.host, request.headers["host"]))
        names["outer.example"] = ["127.0.0.1"]
        return httpx.Response(200, stream=httpx.ByteStream(b"x"))

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", connect)
    names["outer.example"] = ["93.184.216.34"]
    fetched("http://outer.example/a.png", 100)
    assert seen == [("93.184.216.34", "outer.example")]
    with pytest.raises(httpx.UnsupportedProtocol, match="no public machine"):
        fetched("http://outer.example/a.png", 100)


def fetched(url, most):
    """What Gradio's own download makes of an address."""
    from gradio import processing_utils

    async def fetch():
        return (await processing_utils.async_ssrf_protected_get(url)).content

    before = processing_utils.async_transport
    doors.shut(most > 0, most)
    try:
        return asyncio.run(fetch())
    finally:
        processing_utils.async_transport = before


def test_what_a_language_model_names_is_fetched_within_limits(monkeypatch):
    public = doors.public

    async def resolve(host):
        return "127.0.0.1" if host == "outer.example" else await public("127.0.0.1")

    monkeypatch.setattr(doors, "public", resolve)
    with elsewhere() as (port, asked):
        outer = f"http://outer.example:{port}"
        assert fetched(f"{outer}/small", 20_000) == b"x" * 10_000
        with pytest.raises(httpx.ReadError, match="too large"):
            fetched(f"{outer}/endless", 50_000)
        with pytest.raises(httpx.UnsupportedProtocol, match="no public machine"):
            fetched(f"{outer}/inwards", 50_000)
        monkeypatch.setattr(doors, "SECONDS", -1.0)
        with pytest.raises(httpx.ReadError, match="too slowly"):
            fetched(f"{outer}/small", 50_000)
        count = len(asked)
        with pytest.raises(httpx.UnsupportedProtocol, match="fetches nothing"):
            fetched(f"{outer}/small", 0)
        assert len(asked) == count


# ---- uploads ----


@pytest.mark.slow
def test_uploads_too_large_or_too_slow_hurt_nobody_else(tmp_path, save, capfd, monkeypatch):
    """And tokens stand in no answer, no page and no log, whatever fails."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("FERCE_REMOTE_TOKEN", MODEL_TOKEN)
    told = {"temporary": str(tmp_path / "uploads"), "keep_seconds": 5, "max_megabytes": 1}
    with serving(**told) as url:
        upload = f"{url}/gradio_api/upload"
        large = httpx.post(upload, files={"files": ("a.png", b"x" * 3_000_000)}, timeout=PATIENCE)
        assert large.status_code == 413
        slow = [half(url) for _ in range(40)]  # uploads that never end
        photo = connect(url).predict(file(save(scene(10))), api_name="/read")
        assert photo["faces"][0]["prediction"]["label"] == label_of(10)
        for one in slow:
            one.close()
        odd = ["compare", "ask", "video", "read"]
        texts = [large.text, *(answer(url, name) for name in odd)]
        texts += [httpx.get(f"{url}{path}", timeout=PATIENCE).text for path in PAGES]
        until(lambda: not kept(tmp_path / "uploads"), "end of the uploads")
    out, err = capfd.readouterr()
    for text in (*texts, out, err):
        assert TOKEN not in text
        assert MODEL_TOKEN not in text
        assert "Traceback" not in text or text in (out, err)


PAGES = ("/", "/config", "/gradio_api/info", "/gradio_api/startup-events", "/theme.css")


def kept(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def file(path):
    from gradio_client import handle_file

    return handle_file(str(path))


def half(url):
    """A connection that sends the begin of an upload and then nothing."""
    host, port = url.removeprefix("http://").split(":")
    one = socket.create_connection((host, int(port)))
    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nabc'
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: 900000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    one.sendall(head.encode() + body)
    return one


def answer(url, name):
    """What an endpoint says to nonsense."""
    sent = {"data": [{"path": TOKEN[::-1]}, "remote:http://x/v1#m", None]}
    call = httpx.post(f"{url}/gradio_api/call/{name}", json=sent, timeout=PATIENCE)
    if call.status_code != 200:
        return call.text
    event = json.loads(call.text)["event_id"]
    return httpx.get(f"{url}/gradio_api/call/{name}/{event}", timeout=PATIENCE).text
