"""Installed versions beside those that the tests passed with (.ci/tested.txt)."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

TESTED = Path(__file__).parents[2] / ".ci" / "tested.txt"


def pinned(path: Path = TESTED) -> dict[str, str]:
    """Package -> the version that the tests passed with."""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return dict(line.split("==", 1) for line in lines if line and not line.startswith("#"))


def drift(expected: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Package -> (tested, installed) of the installed packages whose version is another."""
    pairs = {name: (wanted, _installed(name)) for name, wanted in expected.items()}
    return {name: pair for name, pair in pairs.items() if pair[1] not in ("", pair[0])}


def _installed(name: str) -> str:
    """The version without its local part ("+cpu"); "" where it is not installed."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return ""
