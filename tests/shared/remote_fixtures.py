"""A small OpenAI-compatible server on loopback that computes its answers."""

import base64
import io
import json
import math
import threading
import traceback
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from patience import PATIENCE
from PIL import Image

from ferce.core.types import Face, Scores
from ferce.facs.decision import decide
from ferce.models.remote import remote
from ferce.models.remote.endpoint import Endpoint, Terms
from ferce.models.remote.retry import Patience
from ferce.models.remote.server import Server

TOKEN = "sk-very-secret-1234"


class Stub:
    """Records requests and answers the n-th one (from 0) with `answer(body, n)`.

    An answer is (status, headers, body); a body that is a list of bytes is sent piece by piece.
    """

    def __init__(self, answer):
        self.answer = answer
        self.bodies, self.headers, self.paths = [], [], []
        self.busy = self.most_busy = 0
        self.gone = threading.Event()  # set when a client left in the middle of a stream
        self.let_go = threading.Event()  # what `stall` waits for
        self.lock = threading.Lock()

    def record(self, body, headers, path):
        with self.lock:
            self.bodies.append(body)
            self.headers.append(headers)
            self.paths.append(path)
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
            return len(self.bodies) - 1

    def stall(self):
        self.let_go.wait(PATIENCE)


@contextmanager
def serving(answer):
    """(stub, base address) of a server that runs until the block ends."""
    stub = Stub(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            n = stub.record(body, dict(self.headers.items()), self.path)
            try:
                self.send(*stub.answer(body, n))
            except OSError:
                stub.gone.set()
                self.close_connection = True
            finally:
                with stub.lock:
                    stub.busy -= 1

        def send(self, status, headers, body):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if isinstance(body, bytes):
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            self.send_header("connection", "close")
            self.end_headers()
            for piece in body:
                self.wfile.write(piece)
                self.wfile.flush()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield stub, f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        stub.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()


def reply(data, status=200, **headers):
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"content-type": "application/json", **names}, body


def said(text, top=None):
    """A completion; `top` maps first tokens to probabilities, the likeliest first."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    choice["finish_reason"] = "stop"
    if top is not None:
        items = [{"token": token, "logprob": math.log(p)} for token, p in top.items()]
        choice["logprobs"] = {"content": [{**items[0], "top_logprobs": items}]}
    return reply({"id": "1", "object": "chat.completion", "choices": [choice]})


def event(data):
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def piece(text):
    return event({"choices": [{"index": 0, "delta": {"content": text}}]})


def streamed(pieces):
    """A stream; `pieces` may be a generator that waits between them."""
    return 200, {"content-type": "text/event-stream"}, pieces


def failed(status, message="", **headers):
    return reply({"error": {"message": message}}, status, **headers)


def text_of(body):
    return body["messages"][0]["content"][1]["text"]


def picture_of(body):
    """(S, S, 3) pixels sent."""
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    kind, _, data = url.partition(";base64,")
    assert kind == "data:image/png"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def options_of(body):
    """Letter -> label, as the prompt lists them."""
    lines = (line.partition(". ") for line in text_of(body).splitlines())
    return {letter: label for letter, dot, label in lines if dot and len(letter) == 1}


def chooser(evidence, bias=None, listed=20, form="{}"):
    """Answers the lettered question: P(letter) ~ exp(evidence of its label + bias of the letter).

    It lists `listed` tokens, of which a sixth of the probability goes to words that are no letters.
    """

    def answer(body, n):
        assert body["logprobs"] is True
        options = options_of(body)
        logits = {x: evidence(body)[label] + (bias or {}).get(x, 0) for x, label in options.items()}
        total = sum(map(math.exp, logits.values())) * 1.2
        top = {form.format(x): math.exp(value) / total for x, value in logits.items()}
        top |= {"The": 1 / 12, "It": 1 / 12}
        best = sorted(top, key=top.get, reverse=True)[: min(listed, body["top_logprobs"])]
        return said(best[0], {token: top[token] for token in best})

    return answer


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(name="reachable")
def make_reachable(monkeypatch):
    """Loopback may be reached though the Hub may not, and no token comes from outside."""
    from huggingface_hub import close_session, constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("FERCE_REMOTE_TOKEN", "HF_TOKEN", "FERCE_ALLOW_REMOTE"):
        monkeypatch.delenv(name, raising=False)
    close_session()
    yield
    close_session()


@pytest.fixture(name="clock")
def make_clock():
    return Clock()


@pytest.fixture(name="opened")
def make_opened(clock, reachable):
    """Opens a `Remote` whose waits take no time; closed at the end."""
    made = []

    def open_(address, token=None, model="tiny-vlm", patience=None, **terms):
        patience = patience or Patience(
            timeout=PATIENCE, sleep=clock.sleep, clock=clock, chance=lambda: 0.5
        )
        server = Server(Endpoint(address, model, token), patience)
        made.append(remote.Remote(f"remote:{address}#{model}?allow=1", server, Terms(**terms)))
        return made[-1]

    yield open_
    for one in made:
        one.close()


@pytest.fixture(name="face")
def make_face():
    return Face(crop=np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


@pytest.fixture(name="prediction")
def make_prediction(face):
    scores = Scores(np.eye(14)[:1] * 0.9 + 0.1 / 14)
    return decide(scores, 0, face, "test")


def assert_sentence(error, *secrets):
    shown = "".join(traceback.format_exception(error))
    assert str(error).endswith(".")
    assert str(error).count(". ") == 0
    assert "\n" not in str(error)
    for secret in secrets:
        assert secret not in shown
        assert secret not in repr(error)
