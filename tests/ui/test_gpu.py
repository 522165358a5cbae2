"""Reading on GPUs that a Space lends, with a stand-in for the package that lends them.

The stand-in does what ZeroGPU does to a call: it pickles what goes in and comes out.
"""

import inspect
import pickle
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
from app_fixtures import SquareReader, scene
from PIL import Image

from ferce.core.parts import Answer
from ferce.core.types import ReadingError
from ferce.reading.pipeline import Reader
from ferce.ui.web import gpu
from ferce.ui.web.models import Models
from ferce.ui.web.reading import ReadPhoto
from ferce.ui.web.runner import run
from ferce.ui.web.session import READ, Session
from ferce.ui.web.tabs.read import Ask


def moved(value):
    return pickle.loads(pickle.dumps(value))


@pytest.fixture
def lent(monkeypatch):
    """The package `spaces`; gives the names of the calls that ran on a borrowed GPU."""
    calls = []
    spaces = ModuleType("spaces")
    spaces.__spec__ = ModuleSpec("spaces", None)

    def borrow(task, duration):
        assert duration > 0
        if inspect.isgeneratorfunction(task):

            def parts(*given, **options):
                calls.append(task)
                yield from map(moved, task(*moved(given), **moved(options)))

            return parts

        def result(*given, **options):
            calls.append(task)
            return moved(task(*moved(given), **moved(options)))

        return result

    spaces.GPU = borrow
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    return calls


class OnGpu:
    """A voice that says that it lies on a GPU."""

    name, device = "test:gpu", "cuda:0"

    def answer(self, face, questions):
        if "fail" in questions[0]:
            raise ReadingError("The voice is silent.")
        return [Answer(question, "yes", self.name) for question in questions]

    def explain(self, face, prediction):
        yield "The lip corners are pulled up."


class OnCpu(OnGpu):
    device = "cpu"


class Squares(SquareReader):
    name = "test:squares"


def reader_of(voice):
    squares = Squares()
    return gpu.borrowing(Reader(squares.classifier, voice, squares))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(scene(200)).save(path)
    return path


def session_of(reader, path):
    models = Models(lambda say: reader)
    models.start()
    session = Session(models)
    session.begin(path)
    return session


def test_a_photo_is_read_and_asked_on_a_borrowed_gpu(lent, photo):
    plain = session_of(reader_of(OnCpu()), photo)
    list(run(ReadPhoto(), plain, plain.turn(READ)))
    assert lent == []
    session = session_of(reader_of(OnGpu()), photo)
    list(run(ReadPhoto(), session, session.turn(READ)))
    assert lent
    mine, theirs = session.work.newest, plain.work.newest
    assert mine.prediction.label == theirs.prediction.label
    assert np.array_equal(mine.heatmap.values, theirs.heatmap.values)
    before = len(lent)
    list(run(Ask({"question": "Is the mouth open?"}), session, session.turn(READ)))
    assert [answer.answer for answer in session.work.answers] == ["yes"]
    assert len(lent) == before + 1
    *_, update = run(Ask({"question": "Will it fail?"}), session, session.turn(READ))
    assert "The voice is silent." in update["asked"]


def test_models_on_the_cpu_borrow_nothing(lent):
    reader = reader_of(OnCpu())
    assert reader.stream.__func__ is Reader.stream
    assert lent == []


def test_without_the_package_a_call_runs_as_it_is(monkeypatch, photo):
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    gpu.announce()
    session = session_of(reader_of(OnGpu()), photo)
    list(run(ReadPhoto(), session, session.turn(READ)))
    assert session.work.newest.prediction is not None


def test_small_models_stay_on_the_cpu_where_gpus_are_lent(monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert gpu.device_of("embedded", "auto") == "auto"
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert gpu.device_of("embedded", "auto") == gpu.device_of("timm:owner/name", "auto") == "cpu"
    assert gpu.device_of("blip2:owner/base+owner/adapter?load=8bit", "auto") == "auto"
    assert gpu.device_of("embedded", "cuda:1") == "cuda:1"
