"""Publish a run folder with its model card on the Hub, privately unless --public is given.

python train/publish.py runs/classifier --name owner/model --licence apache-2.0 --dry-run
python train/publish.py runs/blip2 --name owner/model --base Salesforce/blip2-opt-2.7b

A dry run writes what would be published (--folder) and shows the card; nothing is sent. Log in with
`hf auth login`, or set HF_TOKEN.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.evaluation.metrics_file import SPLITS
from ferce.publishing.card_metadata import Footprint
from ferce.publishing.publish import Publication, PublishError, prepare
from ferce.publishing.upload import push


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("run", type=Path, help="run folder with its metrics.json")
    made.add_argument("--name", required=True, help="owner/name on the Hub")
    made.add_argument("--dry-run", action="store_true", help="write and show, send nothing")
    made.add_argument("--public", action="store_true", help="make a new repository public")
    made.add_argument(
        "--split",
        choices=SPLITS,
        default="test",
        help="split whose figures the card shows (default test)",
    )
    made.add_argument(
        "--licence", help="licence of the weights, such as apache-2.0; data of RAF settles it"
    )
    made.add_argument("--base", help="Hub id of the base, where the run names a local copy")
    made.add_argument(
        "--learnt-from",
        action="append",
        default=[],
        metavar="SPEC",
        help="further data set that the weights had learnt from, such as rafdb:RAF-DB; repeatable",
    )
    made.add_argument(
        "--watts", type=float, help="power that the training drew, in watts, for its CO2"
    )
    made.add_argument(
        "--grid", type=float, help="carbon intensity of the grid, in grams of CO2 per kWh"
    )
    made.add_argument(
        "--folder", type=Path, help="new folder for what is published (default RUN-published)"
    )
    return made


def publication(arguments: argparse.Namespace) -> Publication:
    """Collect what the arguments ask for.

    Raises:
        PublishError: a name is none, or only one of --watts and --grid was given.
    """
    if (arguments.watts is None) != (arguments.grid is None):
        raise PublishError("--watts and --grid belong together; give both or neither.")
    power = None if arguments.watts is None else Footprint(arguments.watts, arguments.grid)
    return Publication(
        name=arguments.name,
        split=arguments.split,
        base=arguments.base,
        licence=arguments.licence,
        learnt_from=tuple(arguments.learnt_from),
        footprint=power,
    )


def dry_run(arguments: argparse.Namespace) -> None:
    """Write the folder, show the card."""
    run = arguments.run
    folder = arguments.folder or run.with_name(f"{run.resolve().name}-published")
    card = prepare(run, folder, publication(arguments))
    print(card)
    print(f"dry run: nothing was sent; written to {folder}:")
    for path in sorted(folder.iterdir()):
        print(f"  {path.name}  {path.stat().st_size:,} bytes")


def send(arguments: argparse.Namespace) -> None:
    """Prepare in a folder that goes away unless one was named, and push."""
    with tempfile.TemporaryDirectory(prefix="ferce-") as temporary:
        folder = arguments.folder or Path(temporary) / "published"
        prepare(arguments.run, folder, publication(arguments))
        commit = push(folder, arguments.name, public=arguments.public)
    print(f"published {arguments.name}@{commit}")


def main() -> None:
    """Parse the arguments, prepare, push."""
    arguments = parser().parse_args()
    try:
        (dry_run if arguments.dry_run else send)(arguments)
    except PublishError as error:
        sys.exit(f"publish: {error}")


if __name__ == "__main__":
    main()
