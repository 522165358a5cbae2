import hashlib
import re
from pathlib import Path

WEIGHTS = Path(__file__).parents[2] / "ferce" / "weights"


def test_landmarker_is_the_one_the_readme_names():
    named = re.search(r"`([0-9a-f]{64})`", (WEIGHTS / "README.md").read_text())[1]
    assert hashlib.sha256((WEIGHTS / "face_landmarker.task").read_bytes()).hexdigest() == named


def test_every_file_is_below_ten_megabytes_and_no_pickle():
    files = [p for p in WEIGHTS.rglob("*") if p.is_file()]
    assert files
    for path in files:
        assert path.stat().st_size < 10 * 2**20, path
        assert path.suffix not in {".bin", ".pt", ".pth", ".pkl", ".ckpt", ".npy"}, path
