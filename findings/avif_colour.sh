#!/usr/bin/env bash
# Pillow reads an AVIF without the numbers that say what its colours are.
#
# A phone or an editor need not embed an ICC profile: the `colr` box of kind nclx gives the primaries
# and the transfer as numbers of ITU-T H.273 (12 is Display P3, 16 is PQ). Pillow neither applies them
# nor keeps them in `info`, so that a P3 picture looks dull and an HDR one flat; pillow-heif keeps those
# of a HEIC. ferce therefore reads the box itself (ferce/images/decode.py).
# Fails when a version behaves differently.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  numpy==2.3.5 pillow==12.3.0 pillow-heif==1.8.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import io

import numpy as np
import PIL
import pillow_heif
from PIL import Image

print("Pillow", PIL.__version__, "pillow-heif", pillow_heif.__version__)
patch = Image.new("RGB", (64, 64), (200, 80, 60))
file = io.BytesIO()
patch.save(file, "AVIF", quality=95)
srgb = file.getvalue()
assert srgb.count(b"colrnclx" + bytes([0, 1])) == 1
p3 = srgb.replace(b"colrnclx" + bytes([0, 1]), b"colrnclx" + bytes([0, 12]))
seen = {}
for name, data in (("sRGB", srgb), ("Display P3", p3)):
    image = Image.open(io.BytesIO(data))
    seen[name] = (np.asarray(image)[32, 32].tolist(), sorted(image.info))
    print(f"AVIF, {name}: pixel {seen[name][0]}, info {seen[name][1]}")
file = io.BytesIO()
pillow_heif.from_pillow(patch).save(file, quality=95, color_primaries=12, transfer_characteristics=13)
nclx = pillow_heif.open_heif(file).to_pillow().info["nclx_profile"]
print("HEIC, Display P3: primaries", nclx["color_primaries"])
assert nclx["color_primaries"] == 12
assert seen["sRGB"] == seen["Display P3"], "Pillow tells them apart now"
PYTHON
