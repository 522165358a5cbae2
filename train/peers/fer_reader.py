"""fer: an OpenCV cascade finds faces, a small Keras network gives seven emotions.

Run by `ferce/evaluation/peers.py` with the interpreter of an environment that has fer.
"""

import json
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Time the photos of a manifest, after one that is not timed, and print the answer as JSON."""
    from fer.fer import FER  # of the environment that runs this file

    photos: list[dict[str, Any]] = json.loads(Path(sys.argv[1]).read_text())["photos"]
    images = [_bgr(photo) for photo in photos]
    reader = FER()
    reader.detect_emotions(images[0])
    milliseconds, labels = [], []
    for image in images:
        start = time.perf_counter()
        faces = reader.detect_emotions(image)
        milliseconds.append((time.perf_counter() - start) * 1e3)
        labels.append([max(face["emotions"], key=face["emotions"].get) for face in faces])
    print(
        json.dumps(
            {"version": metadata.version("fer"), "milliseconds": milliseconds, "labels": labels}
        )
    )


def _bgr(photo: dict[str, Any]) -> Any:
    rgb = np.fromfile(photo["file"], np.uint8).reshape(photo["height"], photo["width"], 3)
    return np.ascontiguousarray(rgb[..., ::-1])


if __name__ == "__main__":
    main()
