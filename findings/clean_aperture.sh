#!/usr/bin/env bash
# PyAV decodes the border of an MP4 that its clean aperture box hides, and does not tell of the box.
#
# ISO/IEC 14496-12, 12.1.4: of the decoded picture only the part within `clap` is to be shown; cameras
# write it to hide the edge of the sensor. Frames come whole, with no side data; ferce reads them so.
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
    stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
    for packet in stream.encode(av.VideoFrame.from_ndarray(np.zeros((96, 128, 3), np.uint8), "rgb24")):
        file.mux(packet)
    for packet in stream.encode():
        file.mux(packet)
data = bytearray(open("plain.mp4", "rb").read())
assert data.index(b"mdat") < data.index(b"moov")  # so that no offset moves
entry = data.index(b"mp4v") - 4
end = entry + int.from_bytes(data[entry : entry + 4], "big")
data[end:end] = struct.pack(">I4s8I", 40, b"clap", 64, 1, 48, 1, 0, 1, 0, 1)  # 64 x 48, centred
for name in (b"mp4v", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
    at = data.index(name, data.index(b"moov") - 4) - 4
    data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") + 40).to_bytes(4, "big")
open("clap.mp4", "wb").write(data)
with av.open("clap.mp4") as file:
    frame = next(file.decode(video=0))
side = [item.type.name for item in frame.side_data]
print(f"clap of 64 x 48: frame of {frame.width} x {frame.height}, side data {side}")
assert (frame.width, frame.height, side) == (128, 96, []), "the box is applied, or told, now"
PYTHON
