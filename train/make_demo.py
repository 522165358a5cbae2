"""Make the demo set that ships with ferce: pictures, examples and data card in ferce/data/demo.

python -m train.make_demo --kit ICT-FaceKit --portraits FOLDER --manifest people.csv --cache CACHE

FOLDER holds the CC0 portraits of faker-js/assets-person-portrait; the manifest names them with
source `faker`. About 3 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image as PILImage
from tqdm import tqdm

from ferce.data.rendering.compose import AssetPaths, render
from ferce.data.rendering.dataset import METADATA, dataset_card, finished_lines, save_image
from ferce.data.rendering.express import Activation
from ferce.data.rendering.person import Pose
from ferce.data.rendering.plan import LABELS, PHOTO, Recipe, Subject
from ferce.data.rendering.prepare import asset_paths_in
from ferce.data.sources import DEMO
from ferce.faces.detector import FaceDetector
from train import render_faces

SIZE = 128
OPTIONS = (
    "--sources faker --hold-out faker:0 --count 700 --seed 7 --size 128 --kinds 0.7 0.1 0.08 0.12 "
    "--splits 0.64 0.14 0.22 --clay 0.25 --clay-people 60 --yaw 25 --roll 2 --occluded 0.06 "
    "--degraded 0.15 --strength 0.5 1.0 --quality 85"
)
# name: person, expression, {unit: intensity}, yaw; people of the test split
EXAMPLES: dict[str, tuple[str, str, dict[int, float], float]] = {
    "smile": ("faker_female_92", "happy", {6: 0.8, 12: 0.95, 25: 0.9}, 4),
    "neutral": ("faker_male_83", "neutral", {}, -3),
    "happily_surprised": (
        "faker_female_60", "happily surprised",
        {1: 0.8, 2: 0.8, 5: 0.7, 12: 0.8, 25: 0.7, 26: 0.5}, -8,
    ),
    "angrily_disgusted": (
        "faker_male_49", "angrily disgusted", {4: 0.95, 7: 0.6, 9: 0.8, 10: 0.75, 17: 0.5}, 6,
    ),
    "sadly_fearful": (
        "faker_female_09", "sadly fearful", {1: 0.9, 4: 0.7, 15: 0.4, 20: 0.7, 25: 0.6}, 5,
    ),
    "fearfully_surprised": (
        "faker_male_50", "fearfully surprised",
        {1: 0.9, 2: 0.8, 5: 0.9, 20: 0.6, 25: 0.8, 26: 0.5}, -4,
    ),
    "happily_disgusted": (
        "faker_female_75", "happily disgusted", {6: 0.6, 9: 0.6, 10: 0.7, 12: 0.75, 25: 0.7}, 3,
    ),
    "sadly_angry": ("faker_male_21", "sadly angry", {4: 0.95, 7: 0.5, 15: 0.85, 17: 0.7}, 10),
}  # fmt: skip


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    for name, words in (
        ("kit", "ICT-FaceKit checkout or npz cache"),
        ("portraits", "folder of neutral portraits"),
        ("manifest", "CSV: file, subject, source, licence, ..."),
        ("cache", "folder of fitted people and tables"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, help=words)
    parser.add_argument("--out", type=Path, default=DEMO, help="folder of the set (the packaged)")
    parser.add_argument("--workers", type=int, default=2, help="number of processes (default 2)")
    return parser.parse_args()


def example(name: str, index: int) -> Recipe:
    """Build the recipe of a hand-chosen example."""
    person, expression, units, yaw = EXAMPLES[name]
    kinds = [kind for kind, labels in LABELS.items() if expression in labels]
    return Recipe(
        index=index,
        seed=(7, 100_000 + index),
        subject=Subject(person, PHOTO, "test"),
        kind=kinds[0],
        expression=expression,
        activations=tuple(Activation(u, v, v) for u, v in units.items()),
        pose=Pose(yaw),
        light=None,
        folds=0.8,
        occluder=None,
        degradations=(),
        frame=1.4,
    )


def write_examples(asset_paths: AssetPaths, folder: Path) -> list[dict[str, Any]]:
    """Render the hand-chosen examples at 512 pixels."""
    folder.mkdir(exist_ok=True)
    lines = []
    for index, name in enumerate(tqdm(EXAMPLES, desc="examples")):
        image, line = render(asset_paths.load(), example(name, index), 512)
        save_image(image, folder / f"{name}.jpg", 88)
        lines.append({"file_name": f"{name}.jpg", **line})
    (folder / METADATA).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return lines


def count_detected(paths: list[Path]) -> int:
    """Count the pictures in which the app's face detector finds a face."""
    with FaceDetector(max_faces=1) as detector:
        pictures = (np.asarray(PILImage.open(p).convert("RGB")) for p in paths)
        return sum(
            bool(detector.detect(p)) for p in tqdm(pictures, total=len(paths), desc="finding")
        )


def main() -> None:
    """Render, choose examples, count, write the card."""
    args = parse()
    places = [
        f"--{n}={getattr(args, n)}"
        for n in ("kit", "portraits", "manifest", "cache", "out", "workers")
    ]
    render_faces.main([*places, *OPTIONS.split()])
    asset_paths = asset_paths_in(args.kit, args.cache)
    examples = write_examples(asset_paths, args.out / "examples")
    lines = list(finished_lines(args.out).values())
    pictures = count_detected([args.out / line["file_name"] for line in lines])
    hand_made = count_detected([args.out / "examples" / line["file_name"] for line in examples])
    command = (__doc__ or "").split("\n\n")[1].strip()
    card = dataset_card(
        lines, size=SIZE, command=command, examples=len(examples), detected=(pictures, hand_made)
    )
    (args.out / "README.md").write_text(card)
    print(
        f"a face is found in {pictures} of {len(lines)} pictures, "
        f"{hand_made} of {len(examples)} examples"
    )


if __name__ == "__main__":
    try:
        main()
    except (FileNotFoundError, NotADirectoryError) as error:
        sys.exit(f"make_demo: {error}")
