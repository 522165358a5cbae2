"""RAF-DB compound in its official layout: 11 compound classes, train and test.

Li & Deng, IEEE TIP 28(1), 2019, doi:10.1109/TIP.2018.2868382. The data may not be passed on: none
of it is part of this package.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ferce.core.labels import COMPOUNDS, RAFDB_TO_RAFCE
from ferce.data import table
from ferce.data.record import DataError, Row, Sample, found

LABELS = "list_patition_label.txt"  # the official spelling
COUNTS = {"train": 3162, "test": 792}


def read(where: str, images: str = "aligned", subset: bool = False) -> Iterator[Row]:
    """Samples in the order of the label file; there is no validation split.

    Args:
        where: the folder `compound` or its parent.
        images: "aligned" or "original".
        subset: accept other counts than the official ones, for a part of the data.

    Raises:
        DataError: files are missing, labels or counts are not the official ones.
    """
    root = Path(where) / "compound" if (Path(where) / "compound").is_dir() else Path(where)
    table.check_kind(images)
    classes = table.numbers(table.find_file(root, LABELS, "the classes"))
    _check(classes, subset)
    folder = table.find_folder(root, images)
    for name, number in classes.items():
        yield found(
            Sample(
                name=name,
                image=table.image_path(folder, name, images),
                label=COMPOUNDS[RAFDB_TO_RAFCE[number]],
                split=_split(name),
            )
        )


def _split(name: str) -> str:
    split = name.split("_", 1)[0]
    if split not in COUNTS:
        raise DataError(f"{LABELS} should name files train_*.jpg and test_*.jpg; got {name}.")
    return split


def _check(classes: Mapping[str, int], subset: bool) -> None:
    strangers = sorted(set(classes.values()) - set(RAFDB_TO_RAFCE))
    if strangers:
        hint = (
            " They may be counted from 0; the official file counts from 1."
            if 0 in strangers
            else ""
        )
        raise DataError(f"{LABELS} should hold classes 1..11; got {strangers}.{hint}")
    counts = Counter(map(_split, classes))
    if not subset and dict(counts) != COUNTS:
        raise DataError(
            f"{LABELS} should name {COUNTS['train']} train and {COUNTS['test']} test images; got "
            f"{counts['train']} and {counts['test']}. Use the official file, or add ?subset=yes."
        )
