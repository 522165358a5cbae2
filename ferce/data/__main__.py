"""python -m ferce.data check SPEC | sheet SPEC | align SPEC | captions SPEC: look at a data set."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ferce.data import DataError, DataSet, Problem, load_data, pixels
from ferce.report.files import utf8_stdout
from ferce.report.text import printable

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 when all is well, 1 when something needs a look, 2 on errors."""
    given = parser().parse_args(arguments)
    utf8_stdout()
    try:
        return int(COMMANDS[given.command](load_data(given.spec), given))
    except (DataError, ValueError, OSError) as error:
        print(printable(f"Error: {error}"), file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    top = argparse.ArgumentParser(prog="python -m ferce.data", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    check = _command(commands, "check", "count classes and action units; find what is wrong")
    check.add_argument("--faces", action="store_true", help="also look for a face in each picture")
    check.add_argument("--no-duplicates", action="store_true", help="do not compare pictures")
    check.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the counts (.png, .pdf, .svg)"
    )
    check.add_argument("--json", type=Path, metavar="FILE", help="write the whole audit")
    check.add_argument("--jobs", type=int, default=1, help="number of processes (default 1)")
    sheet = _command(commands, "sheet", "draw augmented pictures to look at")
    sheet.add_argument(
        "--output", type=Path, default=Path("sheet.png"), metavar="FILE", help="picture file"
    )
    sheet.add_argument("--count", type=int, default=8, help="number of pictures (default 8)")
    sheet.add_argument(
        "--size", type=int, default=112, help="side of a cell in pixels (default 112)"
    )
    sheet.add_argument("--seed", type=int, default=0, help="of the augmentations (default 0)")
    aligned = _command(commands, "align", "find and align every face into a cache")
    aligned.add_argument(
        "--cache", type=Path, required=True, metavar="FOLDER", help="folder of aligned faces"
    )
    aligned.add_argument(
        "--size", type=int, help="side of a crop in pixels (default: the detector's)"
    )
    aligned.add_argument("--as-is", action="store_true", help="pictures are aligned crops already")
    aligned.add_argument("--jobs", type=int, default=1, help="number of processes (default 1)")
    captions = _command(commands, "captions", "print texts made from the action units")
    captions.add_argument("--count", type=int, default=5, help="number of pictures (default 5)")
    captions.add_argument(
        "--family",
        choices=("training", "reference"),
        default="training",
        help="of phrases (default training)",
    )
    captions.add_argument("--seed", type=int, default=0, help="of the wording (default 0)")
    return top


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    made.add_argument(
        "spec", help="demo, rafce:/path, rafdb:/path, folder:/path, hub:owner/name ..."
    )
    if name != "check":
        made.add_argument(
            "--split", choices=("train", "val", "test"), help="that alone (default: all)"
        )
    return made


def _progress(items: Iterable[T]) -> Iterator[T]:
    """Pass the items on, with a progress bar on a terminal."""
    from tqdm import tqdm

    return iter(tqdm(items, unit=" pictures", disable=not sys.stderr.isatty()))


def check(data: DataSet, given: argparse.Namespace) -> int:
    """Audit the data set."""
    from ferce.data import audit_text
    from ferce.data.audit import Options, as_dict, audit

    options = Options(not given.no_duplicates, given.faces, given.jobs)
    result = audit(data.spec, _progress(data.rows()), options)
    print(audit_text.report(result))
    if given.json:
        given.json.write_text(json.dumps(as_dict(result), indent=1) + "\n", encoding="utf-8")
    if given.plot:
        audit_text.draw(result, given.plot)
    return 1 if result.findings() else 0


def sheet(data: DataSet, given: argparse.Namespace) -> int:
    """Draw augmentations."""
    from PIL import Image

    from ferce.data.augment import draw_sheet, largest_crop
    from ferce.faces.detector import FaceDetector

    problems: list[Problem] = []
    samples = islice(data.samples(given.split, problems.append), given.count)
    with FaceDetector() as detector:
        crops = [largest_crop(pixels(sample), detector) for sample in samples]
    drawn = draw_sheet(crops, given.seed, given.size)
    Image.fromarray(drawn).save(given.output)
    print(given.output)
    return 0


def aligned(data: DataSet, given: argparse.Namespace) -> int:
    """Align every face into the cache and list what failed."""
    from ferce.data.align import Settings, align

    rows = (row for row in data.rows() if given.split in (None, row.split))
    settings = Settings(detect=not given.as_is, size=given.size)
    done, failed = 0, 0
    for row in align(_progress(rows), given.cache, settings, given.jobs):
        if isinstance(row, Problem):
            failed += 1
            print(printable(f"{row.name} {row.reason}"))
        else:
            done += 1
    print(f"{done} aligned in {given.cache}, {failed} failed.")
    return 1 if failed else 0


def captions(data: DataSet, given: argparse.Namespace) -> int:
    """Print explanations and questions."""
    from ferce.data.captions import captions as explained
    from ferce.data.families import FAMILIES
    from ferce.data.questions import questions

    family, problems = FAMILIES[given.family], list[Problem]()
    samples = islice(data.samples(given.split, problems.append), given.count)
    for sample, items in questions(samples, given.seed, family):
        print(printable(f"{sample.name} ({sample.label or 'no label'})"))
        for _, caption in explained([sample], given.seed, family):
            print(f"  {caption.text}")
        for item in items:
            print(f"  [{item.kind}] {item.question} {item.answer}")
    return 0


COMMANDS = {"check": check, "sheet": sheet, "align": aligned, "captions": captions}

if __name__ == "__main__":
    sys.exit(main())
