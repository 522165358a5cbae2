"""RAF-CE in its official layout: 14 compound classes, action units, three splits.

whdeng.cn/RAF/model4.html; Li, Deng, Li & Li, CVPRW 2023, pp. 5735-5744. The data may not be passed
on: none of it is part of this package.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ferce.core.labels import COMPOUNDS
from ferce.data import coding, table
from ferce.data.record import DataError, Row, Sample, UnitLabel, found

LABELS, PARTITION, UNITS = "RAFCE_emolabel.txt", "RAFCE_partition.txt", "RAFCE_AUlabel.txt"
# The official page does not spell the codes out; the counts settle them. Reading 1 as train, as
# some public loaders do, trains on the test set.
SPLITS = {0: "train", 1: "test", 2: "val"}
COUNTS = {"train": 2709, "test": 909, "val": 931}


def read(
    where: str,
    images: str = "aligned",
    subset: bool = False,
    base: int = 0,
    units: bool = True,
) -> Iterator[Row]:
    """Samples in the order of the label file.

    Args:
        where: folder with the three text files and the images, each up to two levels down.
        images: "aligned" or "original".
        subset: accept other counts than the official ones, for a part of the data.
        base: number of the first class; the official files count from 0.
        units: whether the action-unit file must be there; without it no unit is known.

    Raises:
        DataError: files are missing or disagree, labels or counts are not the official ones.
    """
    root = Path(where)
    table.check_kind(images)
    classes = table.numbers(table.find_file(root, LABELS, "the classes"))
    codes = table.numbers(table.find_file(root, PARTITION, "the split"))
    coded = table.column(table.find_file(root, UNITS, "the action units")) if units else {}
    _check_classes(classes, base, subset)
    _check_names(classes, codes, PARTITION)
    if units:
        _check_names(classes, coded, UNITS)
    _check_counts(codes, subset)
    folder = table.find_folder(root, images)
    for name, number in classes.items():
        yield found(
            Sample(
                name=name,
                image=table.image_path(folder, name, images),
                label=COMPOUNDS[number - base],
                units=_units(name, coded[name]) if units else None,
                split=SPLITS[codes[name]],
            )
        )


def _units(name: str, text: str) -> tuple[UnitLabel, ...] | None:
    try:
        return coding.parse(text)
    except DataError as error:
        raise DataError(f"{UNITS}, {name}: {error}") from error


def _check_classes(classes: Mapping[str, int], base: int, subset: bool) -> None:
    low, high = min(classes.values()), max(classes.values())
    if base not in (0, 1):
        raise DataError(f"base must be 0 or 1; got {base}.")
    if low < base or high >= base + len(COMPOUNDS):
        hint = " They look counted from 1; if you know they are, add ?base=1." if low >= 1 else ""
        raise DataError(
            f"{LABELS} should hold classes {base}..{base + len(COMPOUNDS) - 1}; "
            f"got {low}..{high}.{hint}"
        )
    if low > base and not subset:
        raise DataError(
            f"{LABELS} has no class {base}, though the full data set has it: the labels may be "
            "shifted (official labels count from 0). Use the official file, or "
            "add ?subset=yes for a part."
        )


def _check_names(classes: Mapping[str, int], other: Mapping[str, object], file: str) -> None:
    for holder, names in (
        (file, classes.keys() - other.keys()),
        (LABELS, other.keys() - classes.keys()),
    ):
        if names:
            few = ", ".join(sorted(names)[:3])
            raise DataError(
                f"{holder} lacks {len(names)} names of the other files ({few}); use one release."
            )


def _check_counts(codes: Mapping[str, int], subset: bool) -> None:
    strangers = set(codes.values()) - set(SPLITS)
    if strangers:
        raise DataError(f"{PARTITION} should hold 0, 1 and 2; got {sorted(strangers)}.")
    counts = Counter(SPLITS[code] for code in codes.values())
    if not subset and dict(counts) != COUNTS:
        expected = ", ".join(f"{n} {split}" for split, n in COUNTS.items())
        got = ", ".join(f"{counts[split]} {split}" for split in COUNTS)
        raise DataError(
            f"{PARTITION} should give {expected}; got {got}. Use the official file, or add "
            "?subset=yes if this is a part of the data."
        )
