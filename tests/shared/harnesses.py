"""Each decoder of our own as a function of bytes, for fuzzing with and without a guide.

A harness ends quietly, or raises one of the refusals that stand beside it, whose text is one
sentence. Anything else is a fault: another error, a refusal of many lines, or more than `SECONDS`.
"""

import atexit
import contextlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

import image_fixtures
import report_fixtures as known
from harmless import harmless, sentence
from huggingface_hub import ChatCompletionOutput, ChatCompletionStreamOutput

from ferce.core.labels import COMPOUNDS
from ferce.core.parts import Explanation, Reading
from ferce.data import DataError, layout, load_data
from ferce.evaluation.heat_scores import load_places
from ferce.evaluation.leaderboard import Leaderboard, LeaderboardError
from ferce.evaluation.metrics_file import MeasurementError, Measurements
from ferce.explanation.text import parsing, replies, revision, verdicts
from ferce.facs.action_units import UNITS
from ferce.images import colour, decode, png, refusal, tiff
from ferce.images.archive import Archive, ArchiveError
from ferce.models import calibration, embedded, fusion, hub, kinds, prompts, spec, timm_net
from ferce.models.hub import CheckpointError
from ferce.models.remote import letters, retry, server
from ferce.models.remote.endpoint import Endpoint
from ferce.models.vlm import phrases
from ferce.publishing import dossier, publish
from ferce.reading.video import frames
from ferce.training import checkpoint
from ferce.training.progress import TrainingError
from ferce.ui.journal import Journal, JournalError, Row
from ferce.ui.web import camera
from ferce.ui.web.panels import models as panel

SECONDS = 10.0  # one input may take, on a busy machine


@dataclass(frozen=True)
class Harness:
    """A decoder: `run` takes bytes, `refusals` it may raise, `seeds` are good inputs."""

    run: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = ()
    seeds: Callable[[], list[bytes]] = list
    text: bool = False

    def once(self, data: bytes) -> str:
        """Take an input; "read" or "refused". Raises what a visitor should not see."""
        try:
            self.run(data)
        except self.refusals as error:
            sentence(str(error))
            return "refused"
        return "read"


@cache
def place() -> Path:
    folder = tempfile.mkdtemp(prefix="ferce-fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def written(name: str, data: bytes) -> Path:
    path = place() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def whole(*readers: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """Any `Exception` is a refusal, as `decode.from_bytes` makes it; time and memory count."""

    def once(data: bytes) -> None:
        for read in readers:
            with contextlib.suppress(Exception):
                read(data)

    return once


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


# ---- pictures, clips and archives ----


def sanitised(data: bytes) -> None:
    picture = tiff.TiffSanitiser(data)
    picture.sanitised()
    tiff.grey_files(picture)


def sniffed(data: bytes) -> None:
    with contextlib.suppress(refusal.Refusal):
        refusal.sniff(data)
    frames._format(data[: frames._HEAD])
    colour._orientation(data)


def archive(data: bytes) -> None:
    with Archive(written("a.zip", data)) as opened:
        for member in opened.members:
            if not member.problem:
                with contextlib.suppress(ArchiveError):
                    opened.read(member.name)


def frame(data: bytes) -> None:
    """What a page sends of its camera, up to the picture in it."""
    sent = json_or_text(data)
    camera.answer(camera.Streams(), sent)
    with contextlib.suppress(camera.ImageError):
        camera.decode(sent.get("image") if isinstance(sent, dict) else sent)


def json_or_text(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return text_of(data)


# ---- texts ----


@cache
def reading() -> Reading:
    return known.reading()


def claims(data: bytes) -> None:
    """A text of a model: parsed, checked and revised; each cue lies in it."""
    text = text_of(data)[:2000]
    cues = parsing.parse(text)
    assert all(0 <= cue.start < cue.end <= len(text) for cue in cues)
    face, prediction = reading().face, reading().prediction
    checked = verdicts.check(cues, face, prediction) + verdicts.strange(text, prediction)
    revision.revise(Explanation(text, "fuzz", checked), checked)
    phrases.parse(text)


def question(data: bytes) -> None:
    asked = prompts.question(text_of(data))
    assert replies.reply(reading().face, asked)


def specs(data: bytes) -> None:
    """A model's name: the same when written again; loaded by nobody."""
    text = text_of(data)
    parsed = spec.parse(text)
    str(parsed)
    dossier.read(text)
    check = kinds.check_classifier if kinds.KINDS[parsed.kind].classifier else kinds.check_voice
    check(text)


# ---- what a server of models sends ----


def reply(data: bytes) -> None:
    """A completion as JSON, or an error, with its text or its letters."""
    asked = remote(ChatCompletionOutput.parse_obj_as_instance, data)
    for method in (asked.text, lambda ask: letters.probabilities([asked.first_token(ask)] * 4)):
        with contextlib.suppress(retry.RemoteError):
            method(ASK)
    error = type("Error", (), {"json": staticmethod(lambda: json.loads(data))})
    sentence(asked._words(error) or "Nothing.")
    retry.retry_after(text_of(data), 0.0)


def stream(data: bytes) -> None:
    asked = remote(ChatCompletionStreamOutput.parse_obj_as_instance, data)
    "".join(asked.stream(ASK))


def remote(parse: Callable[[object], object], data: bytes) -> server.Server:
    """A server whose only answer is `data`."""

    class Client:
        def chat_completion(self, *, stream: bool = False, **_: object) -> object:
            return map(parse, data.splitlines() or [b""]) if stream else parse(data)

        def close(self) -> None: ...

        def __enter__(self) -> "Client":
            return self

        def __exit__(self, *_: object) -> None: ...

    made = server.Server(Endpoint("http://host/v1", "m"), retry.Patience(tries=1))
    made._client = lambda left: Client()
    return made


class _Ask:
    prompt = ""

    def body(self) -> dict[str, object]:
        return {}


ASK = _Ask()


# ---- tables, and files beside weights ----


def table(suffix: str) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        list(load_data(f"manifest:{written('table' + suffix, data)}").rows())

    return read


def column(data: bytes) -> None:
    path = written("labels.txt", data)
    layout.column(path)
    layout.whole_numbers(path)
    for value in layout.column(path).values():
        layout.parse_units(value)


def journal(data: bytes) -> None:
    path = written("out.json.partial.jsonl", data)
    with Journal(path, {}, resume=True) as kept:
        kept.begin({})
        kept.known(Path("0.png"))


def metrics(data: bytes) -> None:
    """The figures of a model, as the page shows them."""
    folder = written("run/metrics.json", data).parent
    dossier.places.cache_clear()
    harmless(panel.draw(dossier.read(f"timm:{folder}"), True, "ready"))
    load_places(folder)
    Measurements.load(folder).classes()


def leaderboard(data: bytes) -> None:
    board = Leaderboard.load(written("board/leaderboard.json", data).parent)
    harmless(panel.boards([board]))


def card(data: bytes) -> None:
    folder = written("card/README.md", data).parent
    harmless(panel.draw(dossier.read(f"timm:{folder}"), False, "ready"))


def settings(data: bytes) -> None:
    """`ferce.json` and `config.json` beside a network's weights."""
    folder = written("settings/ferce.json", data).parent
    written("settings/config.json", data)
    for load in (calibration.load_calibration, embedded.stored_mix, timm_net.reliability):
        with contextlib.suppress(CheckpointError):
            load(folder)
    timm_net.described(folder, "The folder")


def weights(data: bytes) -> None:
    """A safetensors file of ours: whole or not, and what its header says of a fusion."""
    path = written("weights/fusion.safetensors", data)
    hub._is_whole(path)
    hub.fingerprint(path.parent)
    fusion.Fusion.load(path.parent)


def saved(data: bytes) -> None:
    """A checkpoint's state, and the generators of its processes."""
    path = written(f"checkpoint/one/{checkpoint.STATE}", data)
    written("checkpoint/latest", b"one")
    checkpoint.load(path.parents[1])


def published(data: bytes) -> None:
    """The JSON files of a run, all in one, as they lead to a card."""
    tree = json_or_text(data)
    parts = tree if isinstance(tree, dict) else {"config.json": tree}
    for name in ("config.json", "ferce.json", "metrics.json"):
        written(f"run-out/{name}", json.dumps(parts.get(name)).encode(errors="replace"))
    run = written("run-out/model.safetensors", fusions()[0]).parent
    shutil.rmtree(place() / "out", ignore_errors=True)
    with mock.patch.object(publish, "_draw"):
        harmless(publish.prepare(run, place() / "out", OPEN))


OPEN = publish.Publication("owner/name", licence="apache-2.0")


# ---- good inputs ----


def pictures(*kind: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        good = image_fixtures.GOOD.items()
        return [data for name, (data, _) in good if any(part in name.lower() for part in kind)]

    return seeds


def zips() -> list[bytes]:
    good = list(image_fixtures.GOOD.values())[:2]
    return [zipped([(f"{i}.png", data, False) for i, (data, _) in enumerate(good)])]


def zipped(photos):
    """A ZIP of (name, bytes, whether it is text)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data, _ in photos:
            made.writestr(f"album/{name}", data)
    return file.getvalue()


def rows():
    """A journal of four photos."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "j"
        with Journal(path, {}, resume=False) as kept:
            kept.begin({})
            for i in range(4):
                kept.add(Row(f"{i}.png", (3, i), None, 1, {"json": {"a": 0.1}, "csv": "1,2\n"}))
        return path.read_bytes()


def given(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


def completions() -> list[bytes]:
    top = [{"token": "A", "logprob": -0.1}, {"token": " B", "logprob": -2.5}]
    logprobs = {"content": [{**top[0], "top_logprobs": top}]}
    message = {"role": "assistant", "content": "Happily surprised."}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": logprobs}
    good = {"id": "1", "object": "chat.completion", "choices": [choice]}
    texts = [good, {"error": {"message": "no picture"}}, {"error": "busy"}, {"detail": "odd"}]
    return [json.dumps(text).encode() for text in texts]


def events() -> list[bytes]:
    parts = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("The ", "brows")]
    return [b"\n".join(json.dumps(part).encode() for part in parts)]


def csv_rows() -> list[bytes]:
    row = "a.png,happily surprised,4+L10,train,p1,x"
    return [f"sep=;\n{_HEAD}\n{row}\n".replace(",", ";").encode(), f"{_HEAD}\n{row}\n".encode()]


_HEAD = "file,label,units,split,subject,age"


def json_rows() -> list[bytes]:
    unit = {"unit": 12, "intensity": 0.5, "left": 0.5, "right": 0.4, "part": None}
    row = {"file": "a.png", "label": "sadly angry", "action_units": [4, unit], "split": "val"}
    return [json.dumps({**row, "shares": {"happy": 0.5}, "coded_units": [4, 12]}).encode()]


def figures() -> list[bytes]:
    k = len(COMPOUNDS)
    one = dict.fromkeys(("macro_f1", "accuracy", "uar", "top2", "ece", "brier", "nll"), 1.0)
    block = {
        **one, "macro_f1_interval": [0.5, 1.0], "faces": k, "f1": dict.fromkeys(COMPOUNDS, 1.0),
        "confusion": [[int(i == j) for j in range(k)] for i in range(k)],
    }  # fmt: skip
    data = {"spec": "demo:", "train": {"happily surprised": 3}, "val": {}}
    share = dict.fromkeys(("on_face", "brows", "brows_elsewhere"), 0.5)
    places = {"cam": {"faces": 1, "empty": 0, **share}}
    whole = {"test": block, "data": data, "machine": {"device": "cpu"}, "seconds": 3.0}
    return [json.dumps({**whole, "places": places}).encode(), json.dumps(whole).encode()]


def boards() -> list[bytes]:
    figure = {"value": 0.5, "interval": [0.4, 0.6]}
    model = {
        "spec": "prototypes", "family": "vision only", "folder": "a", "faces": 3, "lost": 0,
        "figures": {"macro_f1": figure, "accuracy": figure}, "chance": {"macro_f1": figure},
        "trained_on": None, "control": False, "device": "cpu", "speed": 2.0,
    }  # fmt: skip
    board = {
        "schema": 1, "data": "demo:", "split": "test", "fingerprint": "0", "pictures": 3,
        "faces": 3, "people": 2, "audit": [], "models": [model], "differences": [],
        "failed": {"x": "y"}, "made": {},
    }  # fmt: skip
    return [json.dumps(board).encode()]


def configs() -> list[bytes]:
    network = {"architecture": "resnet18", "num_classes": 14, "label_names": list(COMPOUNDS)}
    details = {
        "input_size": [3, 64, 64],
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "crop_pct": 1.0,
        "interpolation": "bicubic",
    }
    ours = {
        "calibration": {"temperature": 1.2, "mass": 0.9}, "mix": {"neutral": 0.5, "happy": 0.5},
        "units": {"reliability": [0.5] * len(UNITS)},
    }  # fmt: skip
    return [json.dumps({**network, "pretrained_cfg": details, **ours}).encode()]


def runs() -> list[bytes]:
    network, measured = json.loads(configs()[0]), json.loads(figures()[0])
    training = {"precision": "fp32", "learning_rate": 1e-3, "epochs": 3}
    machine = {"device": "cpu", "torch": "2"}
    more = {"origin": "timm resnet18", "machine": machine, "plan": {"basic_data": ""}}
    files = {"config.json": network, "ferce.json": {"training": training}}
    return [json.dumps({**files, "metrics.json": measured | more}).encode()]


def fusions() -> list[bytes]:
    import numpy as np

    folder = written("seed/x", b"").parent
    head = fusion.Head(("happy",), np.ones((1, 2)), np.zeros(1))
    fusion.Fusion(("a", "b"), np.zeros(2), np.ones(2), {"basic": head}).save(folder)
    return [(folder / fusion.FILE).read_bytes(), (embedded.PACKAGED / fusion.FILE).read_bytes()]


_SIZES = tuple(decode.HEADERS.values())
_TEXT = (
    "The brows are not raised, but AU12 (lip corner puller) and AU 6 show; the left lip corner is "
    "pulled up into a slight smile. If the jaw were dropped, it would look surprised: it isn't.",
    "action units 1, 2 and 5: raised brows; wide eyes. She looks sadly fearful, not angry.",
)
HARNESSES = {
    "sniffed": Harness(sniffed, seeds=pictures("")),
    "headers": Harness(whole(*_SIZES), seeds=pictures("jpeg", "webp", "gif")),
    "png": Harness(whole(png.still, png.coding), seeds=pictures("png")),
    "tiff": Harness(whole(sanitised), seeds=pictures("tiff")),
    "archive": Harness(archive, (ArchiveError,), zips),
    "frame": Harness(
        frame, seeds=given('{"image": "data:image/jpeg;base64,AAAA", "stream": "a"}', "[]")
    ),
    "claims": Harness(claims, seeds=given(*_TEXT), text=True),
    "question": Harness(question, (ValueError,), given("Are the brows raised?", *_TEXT), text=True),
    "spec": Harness(
        specs,
        (ValueError,),
        given(
            "timm:owner/name@main",
            "remote:http://host:8000/v1#m?allow=1&tries=3&timeout=2.5",
            "blip2:owner/base+owner/adapter@v1?load=8bit&calibrate=none",
            "embedded?mix=even",
            "clip:openai/clip?prompts=units",
            "timm:~/folder",
            "measured",
        ),
        text=True,
    ),
    "reply": Harness(reply, (ValueError,), completions, text=True),
    "stream": Harness(stream, (retry.RemoteError,), events, text=True),
    "csv": Harness(table(".csv"), (DataError,), csv_rows, text=True),
    "jsonl": Harness(table(".jsonl"), (DataError,), json_rows, text=True),
    "column": Harness(
        column, (DataError,), given("0001.jpg 3\n", "a.jpg 4+L10\nb.jpg null\n"), True
    ),
    "journal": Harness(journal, (JournalError,), lambda: [rows()], text=True),
    "metrics": Harness(metrics, (MeasurementError, CheckpointError), figures, text=True),
    "leaderboard": Harness(leaderboard, (LeaderboardError,), boards, text=True),
    "card": Harness(
        card, (), given("---\nlicense: mit\nlicense_name: x\n---\n# A\n<b>\n"), text=True
    ),
    "published": Harness(published, (publish.PublishError,), runs, text=True),
    "settings": Harness(settings, (CheckpointError,), configs, text=True),
    "weights": Harness(weights, (CheckpointError,), fusions),
    "saved": Harness(
        saved, (TrainingError,), given('{"format": 2, "stage": "a", "plan": {}}'), True
    ),
}
