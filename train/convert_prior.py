"""Convert the expression network of face-api.js to the packaged prior.

npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz
python train/convert_prior.py --model package/model --output ferce/weights/classifier

Weights are uint8 with a scale there and float16 here, which holds them within 1e-3 of their range.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

STEM = "face_expression_model"
FILE = "prior.safetensors"


def read(folder: Path) -> dict[str, Any]:
    """Read name -> float32 array of a face-api.js model folder."""
    listed = json.loads((folder / f"{STEM}-weights_manifest.json").read_text("utf-8"))
    raw, arrays, start = (folder / f"{STEM}.bin").read_bytes(), {}, 0
    for item in listed[0]["weights"]:
        scale = item.get("quantization")
        kind = np.dtype(scale["dtype"] if scale else item["dtype"])
        count = int(np.prod(item["shape"]))
        values = np.frombuffer(raw, kind, count, start).astype(np.float32)
        start += count * kind.itemsize
        if scale:
            values = values * scale["scale"] + scale["min"]
        arrays[item["name"]] = values.reshape(item["shape"])
    return arrays


def converted(arrays: dict[str, Any]) -> dict[str, Any]:
    """Convert arrays to the names and shapes of `ferce.models.torch_net.ExpressionNet`."""
    result = {}
    for name, values in arrays.items():
        block, _, rest = name.partition("/")
        if block == "fc":
            key, values = ("weight", values.T) if rest == "weights" else ("bias", values)
            result[f"head.{key}"] = values
            continue
        conv, _, what = rest.partition("/")
        place = f"blocks.{block.removeprefix('dense')}.convs.{conv.removeprefix('conv')}"
        result[f"{place}.{_key(what, place)}"] = _shaped(what, values)
    return result


def _key(what: str, place: str) -> str:
    plain = place == "blocks.0.convs.0"
    known = {
        "filters": "conv.weight",
        "depthwise_filter": "depthwise.weight",
        "pointwise_filter": "pointwise.weight",
        "bias": "conv.bias" if plain else "pointwise.bias",
    }
    return known[what]


def _shaped(what: str, values: Any) -> Any:
    """Transpose from TensorFlow: (h, w, in, out), and (h, w, in, 1) for depthwise filters."""
    orders = {"filters": (3, 2, 0, 1), "pointwise_filter": (3, 2, 0, 1)}
    orders["depthwise_filter"] = (2, 3, 0, 1)
    return values.transpose(orders[what]) if what in orders else values


def main() -> None:
    """Read, convert, write."""
    from safetensors.numpy import save_file

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder with the .bin file")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "ferce" / "weights" / "classifier",
        help="folder of prior.safetensors",
    )
    given = parser.parse_args()
    weights = {
        name: np.ascontiguousarray(values, np.float16)
        for name, values in converted(read(given.model)).items()
    }
    given.output.mkdir(parents=True, exist_ok=True)
    about = {"licence": "MIT", "source": "npm @vladmandic/face-api 1.7.15, face_expression_model"}
    save_file(weights, given.output / FILE, metadata=about)
    print(f"{given.output / FILE}: {sum(w.size for w in weights.values())} numbers")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"convert_prior: {error}")
