#!/usr/bin/env bash
# Pillow shows a TIFF of 16-bit planes as noise, and OpenCV does with IMREAD_UNCHANGED; no error.
#
# TIFF 6.0 lets the samples of a pixel lie in planes of their own (PlanarConfiguration 2), as scanners
# and scientific cameras write them. tifffile writes such a picture and reads it back exactly; with 8
# bits all three agree. ferce therefore takes the planes apart itself (ferce/images/tiff.py).
# Fails when a version behaves differently.
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
seen = {}
for bits in (8, 16):
    ramp = np.linspace(0, 2**bits - 1, 48).astype(f"u{bits // 8}")
    rgb = np.stack([np.tile(np.roll(ramp, 16 * k), (32, 1)) for k in range(3)], -1)
    tifffile.imwrite("a.tif", np.moveaxis(rgb, 2, 0), photometric="rgb", planarconfig="separate")
    want = rgb.astype(int) // (257 if bits == 16 else 1)
    back = np.moveaxis(tifffile.imread("a.tif"), 0, 2)
    pillow = np.asarray(Image.open("a.tif").convert("RGB"))
    opencv = cv2.imread("a.tif", cv2.IMREAD_UNCHANGED)[..., ::-1] // (257 if bits == 16 else 1)
    off = [int(np.abs(got.astype(int) - want).max()) for got in (pillow, opencv)]
    seen[bits] = (bool((back == rgb).all()), off)
    print(f"{bits} bits: tifffile exact {seen[bits][0]}, Pillow off by {off[0]}, OpenCV by {off[1]} of 255")
assert seen[8] == (True, [0, 0])
assert seen[16][0] and min(seen[16][1]) > 100, "the 16-bit planes are read now"
PYTHON
