#!/usr/bin/env bash
# PyAV's `VideoFrame.rotation` is the same for a clip that is mirrored and for one turned by half.
#
# The display matrix of an MP4 may mirror the picture, as front cameras have it. FFmpeg warns that its
# angle means nothing then; `rotation` gives it all the same, so that a mirrored face is turned upside
# down. ferce therefore reads the matrix itself (ferce/reading/video/display.py).
# Fails when a version behaves differently.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check numpy==2.3.5 av==18.1.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import struct

import av
import numpy as np

print("PyAV", av.__version__)
with av.open("plain.mp4", "w") as file:
    stream = file.add_stream("mpeg4", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for packet in stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")):
        file.mux(packet)
    for packet in stream.encode():
        file.mux(packet)
seen = {}
for name, (a, d) in {"mirrored": (-1, 1), "turned by half": (-1, -1), "plain": (1, 1)}.items():
    data = bytearray(open("plain.mp4", "rb").read())
    at = data.index(b"tkhd") + 44  # ISO/IEC 14496-12, 8.3.2
    data[at : at + 36] = struct.pack(">9i", a << 16, 0, 0, 0, d << 16, 0, 0, 0, 1 << 30)
    open("a.mp4", "wb").write(data)
    with av.open("a.mp4") as file:
        seen[name] = next(file.decode(video=0)).rotation
    print(f"{name}: rotation {seen[name]}")
assert seen["plain"] == 0
assert abs(seen["mirrored"]) == abs(seen["turned by half"]) == 180, "mirroring shows now"
PYTHON
