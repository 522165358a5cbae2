#!/usr/bin/env bash
# Pillow opens a BigTIFF in little-endian order and none in big-endian order.
#
# Both are valid ("II" and "MM" before the number 43); tifffile and OpenCV read both. ferce refuses the
# second with a sentence. Fails when a version behaves differently.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  numpy==2.3.5 pillow==12.3.0 opencv-python-headless==5.0.0.93 tifffile==2026.3.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import cv2
import numpy as np
import PIL
import tifffile
from PIL import Image

print("Pillow", PIL.__version__, "OpenCV", cv2.__version__, "tifffile", tifffile.__version__)
rgb = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
seen = {}
for order in "<>":
    tifffile.imwrite("a.tif", rgb, photometric="rgb", bigtiff=True, byteorder=order)
    assert (tifffile.imread("a.tif") == rgb).all()
    assert (cv2.imread("a.tif")[..., ::-1] == rgb).all()
    try:
        seen[order] = bool((np.asarray(Image.open("a.tif")) == rgb).all())
    except Exception as error:
        seen[order] = f"{type(error).__name__}: {error}"
    print(order, "Pillow:", seen[order])
assert seen["<"] is True
assert isinstance(seen[">"], str), "Pillow reads it now"
PYTHON
