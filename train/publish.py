"""Publish a run folder with its model card on the Hub, privately unless --public is given.

python train/publish.py runs/classifier --name owner/model --licence apache-2.0 --dry-run
python train/publish.py runs/blip2 --name owner/adapter --base-name owner/base --licence apache-2.0
python train/publish.py runs/blip2 --name owner/model --base Salesforce/blip2-opt-2.7b
python train/publish.py runs/classifier --space owner/name --licence apache-2.0

The run needs figures of the test split: `python train/evaluate.py --model SPEC --record RUN`. What
would be published is loaded again and compared with the run first. A dry run writes it (--folder)
and shows the card; nothing is sent. Log in with `hf auth login`, or set HF_TOKEN.

--space also makes a Space that serves the page with the model, private unless --public. To open a
private model it needs a token that may read it, which is taken from FERCE_SPACE_TOKEN and kept by
the Space as its secret HF_TOKEN.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.evaluation.metrics_file import SPLITS
from ferce.publishing.base import prepare_base
from ferce.publishing.card_metadata import Footprint
from ferce.publishing.publish import Publication, PublishError, prepare
from ferce.publishing.staging import CARD, prepare_space, remove, space_variables
from ferce.publishing.upload import push, push_space, require_same, spec_of

TOKEN = "FERCE_SPACE_TOKEN"


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("run", type=Path, help="run folder with its metrics.json")
    made.add_argument("--name", help="owner/name on the Hub (default: that of --space)")
    made.add_argument("--space", help="owner/name of a Space that is to serve the page with it")
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
        "--base-name", help="owner/name under which a base that is a folder is published, too"
    )
    made.add_argument(
        "--base-licence", help="licence of that base (default: the packaged one's apache-2.0)"
    )
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
        "--folder",
        type=Path,
        help="new folder for what is published (default RUN-published, which a dry run replaces)",
    )
    return made


def publication(arguments: argparse.Namespace) -> Publication:
    """Collect what the arguments ask for.

    Raises:
        PublishError: a name is none, or of two options that belong together one was given.
    """
    if arguments.base and arguments.base_name:
        raise PublishError("Give --base for a base on the Hub, or --base-name to publish it; one.")
    if (arguments.watts is None) != (arguments.grid is None):
        raise PublishError("--watts and --grid belong together; give both or neither.")
    power = None if arguments.watts is None else Footprint(arguments.watts, arguments.grid)
    return Publication(
        name=arguments.name,
        split=arguments.split,
        base=arguments.base or arguments.base_name,
        licence=arguments.licence,
        learnt_from=tuple(arguments.learnt_from),
        footprint=power,
    )


@contextmanager
def staged(arguments: argparse.Namespace, beside: Path) -> Iterator[dict[str, Path]]:
    """Prepare what is published, name -> folder, base first; it goes away unless it is moved."""
    wanted = publication(arguments)
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".ferce-", dir=beside) as place:
        folders = {arguments.name: Path(place) / "model"}
        prepare(arguments.run, folders[arguments.name], wanted)
        require_same(arguments.run, folders[arguments.name])
        if name := arguments.base_name:
            folders = {name: Path(place) / "base", **folders}
            prepare_base(arguments.run, folders[name], name, wanted.name, arguments.base_licence)
        yield folders


def dry_run(arguments: argparse.Namespace) -> None:
    """Write the folders, show the card."""
    run = arguments.run
    folder = arguments.folder or run.with_name(f"{run.resolve().name}-published")
    targets = {arguments.name: folder, arguments.base_name: folder.with_name(f"{folder.name}-base")}
    with staged(arguments, folder.parent) as folders:
        for name, made in folders.items():
            keep(made, targets[name], replace=arguments.folder is None)
    print((folder / CARD).read_text("utf-8"))
    if arguments.space:
        for key, value in space_variables(spec_of(folder, arguments.name)).items():
            print(f"the Space {arguments.space} would read with {key}={value}")
    for name in folders:
        print(f"dry run: nothing was sent; written to {targets[name]}:")
        for path in sorted(targets[name].iterdir()):
            print(f"  {path.name}  {path.stat().st_size:,} bytes")


def keep(made: Path, target: Path, replace: bool) -> None:
    """Move a prepared folder to its place, over an earlier dry run where that is allowed."""
    if replace:
        remove(target)
    if target.exists() and any(target.iterdir()):
        raise PublishError(f"{target} is not empty; name a new folder for what is to be published.")
    made.replace(target)


def send(arguments: argparse.Namespace) -> None:
    """Prepare in a folder that goes away unless one was named, and push: base, model, Space."""
    beside = arguments.folder.parent if arguments.folder else Path(tempfile.gettempdir())
    with staged(arguments, beside) as folders:
        for name, made in folders.items():
            print(f"published {name}@{push(made, name, public=arguments.public)}")
        if arguments.space:
            send_space(arguments, folders)
        if arguments.folder:
            keep(folders[arguments.name], arguments.folder, replace=False)


def send_space(arguments: argparse.Namespace, folders: dict[str, Path]) -> None:
    """Push a Space that reads with the model just published."""
    name, model = arguments.space, folders[arguments.name]
    chosen, token = space_variables(spec_of(model, arguments.name)), os.environ.get(TOKEN, "")
    folder = model.with_name("space")
    prepare_space(ROOT, folder, name, list(folders))
    print(f"published the Space {name}@{push_space(folder, name, chosen, token, arguments.public)}")
    if not arguments.public and not token:
        print(
            f"It cannot open the private {arguments.name} yet: add a token that may read it as the "
            f"secret HF_TOKEN of the Space, or set {TOKEN} and run the same command again."
        )


def main() -> None:
    """Parse the arguments, prepare, push."""
    made = parser()
    arguments = made.parse_args()
    arguments.name = arguments.name or arguments.space
    if not arguments.name:
        made.error("give --name, --space or both")
    try:
        (dry_run if arguments.dry_run else send)(arguments)
    except (PublishError, OSError) as error:
        sys.exit(f"publish: {error}")


if __name__ == "__main__":
    main()
