"""Write the cards of the packaged models to model_cards/, from the metrics.json beside the weights.

python train/model_cards.py

A packaged model is a folder of ferce/weights with a metrics.json that has figures of the test split
(train/evaluate.py --record). A model without measurements gets no card.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.evaluation.metrics_file import FILE, Measurements
from ferce.evaluation.plots import draw_confusion
from ferce.models.hub import read_json
from ferce.publishing.dossier import CARD
from ferce.publishing.publish import PublishError, packaged_card

WEIGHTS = ROOT / "ferce" / "weights"
CARDS = ROOT / "model_cards"
LICENCE = "apache-2.0"


def packaged(weights: Path) -> list[Path]:
    """List the folders of measured classifiers without a card of their own in them.

    A base that needs its adapter has no card.
    """
    folders = sorted(path.parent for path in weights.glob(f"*/{FILE}"))
    bare = [folder for folder in folders if not (folder / CARD).is_file()]
    return [folder for folder in bare if "test" in read_json(folder / FILE)]


def text(folder: Path) -> str:
    """Write the card of a packaged model; its picture lies beside it."""
    name = f"ferce/weights/{folder.name}"
    return packaged_card(folder, name, LICENCE, f"{folder.name}.png")


def write(weights: Path, cards: Path) -> list[Path]:
    """Write card and picture of every packaged model; return the cards."""
    cards.mkdir(exist_ok=True)
    written = []
    for folder in packaged(weights):
        path = cards / f"{folder.name}.md"
        path.write_text(text(folder), "utf-8")
        measured = Measurements.load(folder)
        draw_confusion(measured.confusion.tolist(), path.with_suffix(".png"), measured.split)
        written.append(path)
    return written


def main() -> None:
    """Write the cards and print their paths."""
    try:
        written = write(WEIGHTS, CARDS)
    except PublishError as error:
        sys.exit(f"model_cards: {error}")
    print("\n".join(map(str, written)) or "no packaged model has measurements yet")


if __name__ == "__main__":
    main()
