"""Shared by all tests: a real photograph, a detector and apps opened once; patience with both."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from versions import drift, pinned

DRIFT = drift(pinned())

# A busy machine is slow to draw examples and slow to try them.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure(config):
    """With the tested versions every warning is an error; with others only those of our modules."""
    if not DRIFT:
        config.addinivalue_line("filterwarnings", "error")


def pytest_report_header():
    """Say which versions differ from the tested ones."""
    pairs = (f"{name} {now} (tested {then})" for name, (then, now) in sorted(DRIFT.items()))
    return "versions: " + (", ".join(pairs) or "the tested ones (.ci/tested.txt)")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep each file, and all that talk to an app, in one process: what they share starts once."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0]
            return "app" if file.startswith(("tests/ui/test_app", "tests/ui/test_mcp")) else file

    return Together(config, log) if config.getvalue("dist") == "load" else None


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


@pytest.fixture(scope="session")
def hold(tmp_path_factory):
    """Stops readings of the apps of squares."""
    from app_fixtures import Hold

    return Hold(tmp_path_factory.mktemp("hold"))


@pytest.fixture(scope="session")
def squares(hold):
    """The address of an app that reads squares, with another model and one that fails."""
    from app_fixtures import BROKEN, NEGATIVE
    from app_server import serving

    with serving(
        pause=0.02, hold=str(hold.folder), models=[NEGATIVE, BROKEN], max_photos=3
    ) as address:
        yield address


@pytest.fixture(scope="session")
def real():
    """The address of an app with the models that app.py takes by default."""
    from app_server import serving

    with serving("real") as address:
        yield address
