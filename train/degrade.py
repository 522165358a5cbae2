"""Pictures of real faces as they are often met: few pixels, no colour, blurred, dark, compressed.

python train/degrade.py --faces faces

Reads the tables of train/portraits.py and train/openpeople.py and writes degraded.jsonl with three
versions of each annotated, posed or captioned face: `grey64` (grey, the picture 64 pixels wide),
`small` (48 to 100 pixels, half of them grey, JPEG) and `worn` (two of blur, low light, JPEG and no
colour), all enlarged to their old size. What is known of a face stays as it was.
"""

import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.data.rendering.degrade import DEGRADATIONS, grey
from ferce.training import options

TABLES = ("annotated", "london", "openpeople")
CROP = 300  # pixels; a picture with a longer short side shows more than the face
SHARE = 1.5  # how much wider than the face's square such a picture is taken to be
Picture = NDArray[np.uint8]


def shrunk(picture: Picture, side: int, quality: int = 0) -> Picture:
    """The picture with its face's square `side` pixels wide, perhaps as JPEG, enlarged again."""
    height, width = picture.shape[:2]
    least = min(height, width)
    factor = side * (SHARE if least > CROP else 1.0) / least
    size = (round(width * factor), round(height * factor))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if quality:
        encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        small = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    enlarged = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(enlarged, np.uint8)


def _grey64(picture: Picture, rng: np.random.Generator) -> Picture:
    return shrunk(grey(picture, 1.0, rng), 64)


def _small(picture: Picture, rng: np.random.Generator) -> Picture:
    side, colourless, quality = rng.integers(48, 101), rng.random() < 0.5, rng.integers(35, 90)
    plain = grey(picture, 1.0, rng) if colourless else picture
    return shrunk(plain, int(side), int(quality))


def _worn(picture: Picture, rng: np.random.Generator) -> Picture:
    for name in rng.choice(["blur", "low light", "jpeg", "grey"], size=2, replace=False):
        picture = DEGRADATIONS[str(name)](picture, float(rng.uniform(0.2, 0.9)), rng)
    return np.ascontiguousarray(picture)


VERSIONS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "grey64": _grey64,
    "small": _small,
    "worn": _worn,
}


def main() -> None:
    """Read the tables, write pictures and their table."""
    made = options.parser(__doc__)
    made.add_argument("--faces", type=Path, required=True, help="folder of the tables")
    folder = made.parse_args().faces
    (folder / "degraded").mkdir(exist_ok=True)
    rows = []
    for table in TABLES:
        for line in (folder / f"{table}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            with Image.open(folder / row["file_name"]) as opened:
                picture = np.asarray(opened.convert("RGB"))
            for version, change in VERSIONS.items():
                stem = Path(row["file_name"]).stem
                name = f"degraded/{stem}_{version}.png"
                seed = zlib.crc32(name.encode())
                Image.fromarray(change(picture, np.random.default_rng(seed))).save(folder / name)
                rows.append(json.dumps({**row, "file_name": name, "version": version}))
    (folder / "degraded.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"degraded: {len(rows)} pictures")


if __name__ == "__main__":
    options.run("degrade", main, OSError)
