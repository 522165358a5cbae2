"""Write the graphs of the packaged classifier and voice, with which they need no torch.

python train/export_graphs.py                      # all of them, beside the weights
python train/export_graphs.py --folder runs/mine   # network.onnx of a classifier of your own
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.models.embedded import PACKAGED


def main() -> None:
    """Write them, and say how large they are."""
    from ferce.training import graphs

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, default=PACKAGED, help="folder of the kind embedded (the packaged)"
    )
    folder = parser.parse_args().folder
    written = [graphs.write_network(folder)]
    if folder == PACKAGED:
        written += [graphs.write_prior(folder), *graphs.export_chat()]
    for path in written:
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"export_graphs: {error}")
