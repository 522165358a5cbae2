"""Peers: the photos handed over, their answer, and what is skipped and why."""

import sys
from pathlib import Path

import numpy as np
import pytest

from ferce.evaluation import peers
from ferce.evaluation.peers import Comparison, Measured, Peer, PeerError

SCRIPT = """
import json, sys
photos = json.load(open(sys.argv[1]))["photos"]
sizes = [len(open(p["file"], "rb").read()) == 3 * p["height"] * p["width"] for p in photos]
print("a line of its own")
labels = [["happy"] * all(sizes), []]
print(json.dumps({"version": "9.9", "milliseconds": [4.0, 8.0], "labels": labels}))
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a peer with this interpreter is installed."""
    python = tmp_path / "fer" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setattr(peers, "SCRIPTS", tmp_path)
    return tmp_path


def _manifest(folder: Path) -> Path:
    pictures = [np.zeros((4, 6, 3), np.uint8), np.zeros((5, 3, 3), np.uint8)[:, ::-1]]
    return peers.write(pictures, folder)


def test_a_peer_reads_the_pixels_and_answers(installed: Path) -> None:
    (installed / "one.py").write_text(SCRIPT)
    measured = peers.run(Peer("one", "boxes", "one.py"), _manifest(installed), installed)
    assert measured.name == "one 9.9"
    assert measured.faces == (1, 0)
    assert measured.seen == 1
    assert measured.rate == pytest.approx(1000 / 6)


def test_a_peer_that_is_not_installed_is_skipped_by_name(installed: Path) -> None:
    (installed / "one.py").write_text("import a_package_that_nobody_has")
    with pytest.raises(PeerError, match="a_package_that_nobody_has"):
        peers.run(Peer("one", "boxes", "one.py"), _manifest(installed), installed)
    with pytest.raises(PeerError, match="does not exist"):
        peers.run(Peer("one", "boxes", "one.py"), _manifest(installed), installed / "nowhere")


def test_a_peer_without_an_answer_is_skipped(installed: Path) -> None:
    (installed / "one.py").write_text("print('no JSON')")
    with pytest.raises(PeerError, match="no answer"):
        peers.run(Peer("one", "boxes", "one.py"), _manifest(installed), installed)


def test_the_table_names_what_was_skipped() -> None:
    ours = Measured("ferce, prediction", "compounds", (10.0, 20.0, 30.0), (1, 1, 2))
    theirs = Measured("one 9.9", "boxes", (40.0, 40.0, 40.0), (1, 0, 0))
    table = Comparison(3, (ours, theirs), {"two": "no weights"}).table().splitlines()
    assert table[2] == "| ferce, prediction | 50.0 | 1.00 | 3 of 3 | compounds |"
    assert table[3] == "| one 9.9 | 25.0 | 0.50 | 1 of 3 | boxes |"
    assert table[-1] == "skipped: two: no weights"


def test_ferce_itself_is_measured() -> None:
    example = Path(peers.ROOT, "ferce/data/demo/examples/smile.jpg")
    comparison = peers.compare([example], Path("no-such-folder"))
    assert [one.name for one in comparison.measured] == [
        "ferce, prediction",
        "ferce, whole reading",
    ]
    assert all(one.faces == (1,) for one in comparison.measured)
    assert set(comparison.skipped) == {*peers.UNTRIED, *(peer.name for peer in peers.PEERS)}
