"""The tested set names what is required, and the warning filters do what .pytest.ini says."""

import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import cv2
import pytest
from packaging.requirements import Requirement
from versions import drift, pinned

ROOT = Path(__file__).parents[1]
pytest_plugins = ("pytester",)


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def required(file):
    """Requirements of the file and of those that it includes."""
    for line in (line.partition("#")[0].strip() for line in file.read_text().splitlines()):
        if line.startswith("-r "):
            yield from required(file.parent / line[3:].strip())
        elif line:
            yield Requirement(line)


def test_every_requirement_has_a_tested_version_within_its_range():
    pins = {plain(name): number for name, number in pinned().items()}
    for requirement in required(ROOT / "tests/requirements.txt"):
        assert requirement.specifier.contains(pins[plain(requirement.name)]), requirement


def test_the_tested_set_names_transitive_packages_too():
    names = {plain(name) for name in pinned()}
    for name in pinned():
        try:
            needed = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            continue
        missing = {
            plain(r.name) for r in needed if not r.marker or r.marker.evaluate({"extra": ""})
        }
        assert missing <= names | {"setuptools", "pip"}, name


def test_a_package_that_is_not_installed_is_no_drift():
    assert drift({"no-such-package-of-ours": "1"}) == {}


def test_another_version_is_drift():
    assert drift({"numpy": "0.1"}) == {"numpy": ("0.1", version("numpy"))}


def test_both_wheels_that_write_cv2_are_of_one_release():
    releases = {version("opencv-contrib-python"), version("opencv-python-headless")}
    assert len(releases) == 1
    assert releases.pop().startswith(cv2.__version__ + ".")


THEIRS = """
    import warnings
    def call():
        warnings.warn("renamed", FutureWarning, stacklevel={level})
"""


@pytest.mark.parametrize(("level", "fails"), [(1, 0), (2, 1)])
def test_a_warning_is_an_error_where_our_module_is_blamed(pytester, level, fails):
    pytester.makeini((ROOT / ".pytest.ini").read_text().replace("testpaths = tests", ""))
    pytester.makepyfile(library=THEIRS.format(level=level))
    pytester.makepyfile(test_ours="import library\ndef test_call():\n    library.call()\n")
    pytester.runpytest_subprocess().assert_outcomes(passed=1 - fails, failed=fails)
