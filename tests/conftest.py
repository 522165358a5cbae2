"""Fixtures shared by all tests: a real photograph, a detector opened once, and its face."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import numpy as np
import pytest
from versions import drift, pinned

DRIFT = drift(pinned())


def pytest_configure(config):
    """With the tested versions every warning is an error; with others only those of our modules."""
    if not DRIFT:
        config.addinivalue_line("filterwarnings", "error")


def pytest_report_header():
    """Say which versions differ from the tested ones."""
    pairs = (f"{name} {now} (tested {then})" for name, (then, now) in sorted(DRIFT.items()))
    return "versions: " + (", ".join(pairs) or "the tested ones (.ci/tested.txt)")


@pytest.fixture(scope="session")
def astronaut():
    """(512, 512, 3) uint8: Eileen Collins smiling broadly; NASA, public domain; scikit-image."""
    import skimage.data

    photo = np.ascontiguousarray(skimage.data.astronaut())
    photo.setflags(write=False)
    return photo


@pytest.fixture(scope="session")
def detector():
    from ferce.faces.detector import FaceDetector

    with FaceDetector() as opened:
        yield opened


@pytest.fixture(scope="session")
def smiling(astronaut, detector):
    """The one face of `astronaut`."""
    (face,) = detector.detect(astronaut)
    return face
