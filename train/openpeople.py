"""Table of the captioned faces of openpeople: seven expressions of each synthetic person.

pip download openpeople==0.1.2 --no-deps && unzip openpeople-*.whl
python train/openpeople.py --package openpeople --output faces

openpeople (MIT, Prompt Haus) has a sheet of captioned expressions for each of ten people; the first
seven are cut out, and openpeople.jsonl is written beside them. Its captions are what the picture's
generator was asked for, not what anybody saw. P001 to P004 are `val`, to choose and fit; the
others are `test`, to report only.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.training import options
from ferce.training.progress import TrainingError

CAPTIONS = ("neutral", "happy", "sad", "angry", "surprised", "disgusted", "fearful")
CHOOSING = ("P001", "P002", "P003", "P004")
# Of a sheet of 2,400 x 1,792 pixels: the first tile's corner, from tile to tile, a tile's size.
SHEET, CORNER, STRIDE, TILE = (2400, 1792), (102, 120), (562, 422), (508, 322)
COLUMNS = 4


def tiles(sheet: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """Caption and picture of each of the seven tiles.

    Raises:
        TrainingError: the sheet has another size.
    """
    if sheet.size != SHEET:
        raise TrainingError(f"expected a sheet of {SHEET} pixels, came {sheet.size}")
    for place, caption in enumerate(CAPTIONS):
        row, column = divmod(place, COLUMNS)
        left, top = CORNER[0] + column * STRIDE[0], CORNER[1] + row * STRIDE[1]
        yield caption, sheet.crop((left, top, left + TILE[0], top + TILE[1]))


def main() -> None:
    """Cut the tiles, write the table."""
    made = options.parser(__doc__)
    made.add_argument("--package", type=Path, required=True, help="the unpacked package")
    made.add_argument("--output", type=Path, required=True, help="folder of train/portraits.py")
    given = made.parse_args()
    (given.output / "openpeople").mkdir(parents=True, exist_ok=True)
    rows = []
    for sheet in sorted(given.package.glob("data/curated/*/assets/emotions_sheet.jpg")):
        person = sheet.parents[1].name
        with Image.open(sheet) as opened:
            for caption, tile in tiles(opened.convert("RGB")):
                name = f"openpeople/{person}_{caption}.png"
                tile.save(given.output / name)
                split = "val" if person in CHOOSING else "test"
                row = {"file_name": name, "subject": person, "split": split, "label": caption}
                rows.append(json.dumps(row))
    (given.output / "openpeople.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"openpeople: {len(rows)} tiles")


if __name__ == "__main__":
    options.run("openpeople", main, OSError)
