"""RAF-CE, RAF-DB (both parts) and RAF-ML in their official layouts: text files beside images.

RAF-CE (14 compound classes, action units, three splits): whdeng.cn/RAF/model4.html; Li, Deng, Li &
Li, CVPRW 2023, pp. 5735-5744. RAF-DB basic (7 classes) and compound (11), train and test: Li &
Deng, IEEE TIP 28(1), 2019, doi:10.1109/TIP.2018.2868382. RAF-ML (shares of six emotions): Li &
Deng, IJCV 127, 2019, doi:10.1007/s11263-018-1131-1. The data may not be passed on: none of it is
part of this package.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ferce.core.labels import COMPOUNDS, NEUTRAL, RAFDB_TO_RAFCE
from ferce.data import layout
from ferce.data.record import DataError, Row, Sample, UnitLabel, checked

RAFCE_LABELS, RAFCE_SPLIT = "RAFCE_emolabel.txt", "RAFCE_partition.txt"
RAFCE_UNITS = "RAFCE_AUlabel.txt"
# The official page does not spell the codes out; the counts settle them. Reading 1 as train, as
# some public loaders do, trains on the test set.
RAFCE_CODES = {0: "train", 1: "test", 2: "val"}
RAFCE_COUNTS = {"train": 2709, "test": 909, "val": 931}
RAFDB_LABELS = "list_patition_label.txt"  # the official spelling, in both parts
RAFML_SHARES, RAFML_SPLIT = "distribution.txt", "partition_label.txt"
RAFML_COUNTS = {"train": 3926, "test": 982}
# RAF-DB's order of the basic emotions, from 1, and RAF-ML's columns.
EMOTIONS = ("surprised", "fearful", "disgusted", "happy", "sad", "angry")


@dataclass(frozen=True)
class Part:
    """A part of RAF-DB: both have one file name and count from 1, but mean other classes.

    Attributes:
        kind: of its spec.
        classes: number -> label.
        counts: of each split.
        digits: of the number in names such as train_0001.jpg.
    """

    kind: str
    classes: Mapping[int, str]
    counts: Mapping[str, int]
    digits: int

    def __str__(self) -> str:
        total, example = sum(self.counts.values()), f"train_{1:0{self.digits}}.jpg"
        return f"{total:,} images of {len(self.classes)} classes, named like {example}"


COMPOUND_PART = Part(
    "rafdb",
    {number: COMPOUNDS[k] for number, k in RAFDB_TO_RAFCE.items()},
    {"train": 3162, "test": 792},
    digits=4,
)
BASIC_PART = Part(
    "rafdb-basic",
    dict(enumerate((*EMOTIONS, NEUTRAL), 1)),
    {"train": 12271, "test": 3068},
    digits=5,
)


def read_rafce(
    where: str,
    images: str = "aligned",
    subset: bool = False,
    base: int = 0,
    units: bool = True,
    folder: str = "",
) -> Iterator[Row]:
    """Read the samples of RAF-CE in the order of the label file.

    Args:
        where: folder with the three text files and the images, each up to four levels down.
        images: "aligned" or "original".
        subset: accept other counts than the official ones, for a part of the data.
        base: number of the first class; the official files count from 0.
        units: whether the action-unit file must be there; without it no unit is known. A picture
            without a code counts as not coded, as one with `null` does.
        folder: of the images, from `where` on; searched when empty.

    Raises:
        DataError: files are missing or disagree, labels or counts are not the official ones.
    """
    root = Path(where)
    classes = layout.whole_numbers(layout.find_file(root, RAFCE_LABELS, "the classes"))
    codes = layout.whole_numbers(layout.find_file(root, RAFCE_SPLIT, "the split"))
    _check_rafce_classes(classes, base, subset)
    layout.require_same_names((RAFCE_LABELS, classes), (RAFCE_SPLIT, codes))
    coded = _coded(root, classes) if units else {}
    _check_rafce_counts(codes, subset)
    place = layout.find_images(root, images, classes, folder)
    for name, number in classes.items():
        label, split = COMPOUNDS[number - base], RAFCE_CODES[codes[name]]
        known = _units(name, coded[name]) if units else None
        image = layout.image_path(place, name, images)
        yield checked(Sample(name, image, label, units=known, split=split))


def read_rafdb(
    where: str, images: str = "aligned", subset: bool = False, folder: str = ""
) -> Iterator[Row]:
    """Read the samples of RAF-DB compound in the order of the label file; none is for validation.

    Args:
        where: the folder `compound`, or one above it; `basic` beside it is passed over.
        images: "aligned" or "original".
        subset: accept other counts than the official ones, for a part of the data.
        folder: of the images, from `where` on; searched when empty.

    Raises:
        DataError: files are missing or of the other part, labels or counts not the official ones.
    """
    yield from _read_part(COMPOUND_PART, Path(where), images, subset, folder)


def read_rafdb_basic(
    where: str, images: str = "aligned", subset: bool = False, folder: str = ""
) -> Iterator[Row]:
    """Read the samples of RAF-DB basic: six emotions and neutral; see `read_rafdb`."""
    yield from _read_part(BASIC_PART, Path(where), images, subset, folder)


def read_rafml(
    where: str, without: str = "", images: str = "aligned", subset: bool = False, folder: str = ""
) -> Iterator[Row]:
    """Read the samples of RAF-ML: shares of six emotions, and the one that over half of them name.

    RAF-CE's pictures are RAF-ML's under the same names, so what RAF-CE is measured on must be left
    out of what a model learns.

    Args:
        where: folder with the text files and the images, each up to four levels down.
        without: folder of RAF-CE, whose val and test pictures are left out; "nothing" keeps all.
        images: "aligned" or "original".
        subset: accept other counts than the official ones, for a part of the data.
        folder: of the images, from `where` on; searched when empty.

    Raises:
        DataError: `without` is empty, files are missing or disagree, counts are not official.
    """
    root = Path(where)
    shares = _shares(layout.find_file(root, RAFML_SHARES, "the shares of the emotions"))
    codes = layout.whole_numbers(layout.find_file(root, RAFML_SPLIT, "the split"))
    layout.require_same_names((RAFML_SHARES, shares), (RAFML_SPLIT, codes))
    splits = _rafml_splits(codes, subset)
    left_out = _measured_on(without)
    place = layout.find_images(root, images, shares, folder)
    for name, row in shares.items():
        if name not in left_out:
            label = next((emotion for emotion, share in row.items() if share > 0.5), None)
            image = layout.image_path(place, name, images)
            yield checked(Sample(name, image, label, split=splits[name], shares=row))


def _coded(root: Path, classes: Mapping[str, int]) -> dict[str, str]:
    codes = layout.column(layout.find_file(root, RAFCE_UNITS, "the action units"), layout.NOT_CODED)
    layout.require_same_names((RAFCE_LABELS, classes), (RAFCE_UNITS, codes))
    return codes


def _units(name: str, text: str) -> tuple[UnitLabel, ...] | None:
    try:
        return layout.parse_units(text)
    except DataError as error:
        raise DataError(
            f"{RAFCE_UNITS}, {name}: {error} Correct the line, or add ?units=no to read without "
            "action units."
        ) from error


def _check_rafce_classes(classes: Mapping[str, int], base: int, subset: bool) -> None:
    low, high = min(classes.values()), max(classes.values())
    if base not in (0, 1):
        raise DataError(f"base must be 0 or 1; got {base}.")
    if low < base or high >= base + len(COMPOUNDS):
        hint = " They look counted from 1; if you know they are, add ?base=1." if low >= 1 else ""
        raise DataError(
            f"{RAFCE_LABELS} should hold classes {base}..{base + len(COMPOUNDS) - 1}; "
            f"got {low}..{high}.{hint}"
        )
    if low > base and not subset:
        raise DataError(
            f"{RAFCE_LABELS} has no class {base}, though the full data set has it: the labels may "
            "be shifted (official labels count from 0). Use the official file, or "
            "add ?subset=yes for a part."
        )


def _check_rafce_counts(codes: Mapping[str, int], subset: bool) -> None:
    strangers = set(codes.values()) - set(RAFCE_CODES)
    if strangers:
        raise DataError(f"{RAFCE_SPLIT} should hold 0, 1 and 2; got {sorted(strangers)}.")
    counts = Counter(RAFCE_CODES[code] for code in codes.values())
    if not subset:
        _require_counts(RAFCE_SPLIT, counts, RAFCE_COUNTS)


def _require_counts(file: str, counts: Mapping[str, int], official: Mapping[str, int]) -> None:
    if any(counts.get(split) != n for split, n in official.items()):
        expected = ", ".join(f"{n} {split}" for split, n in official.items())
        got = ", ".join(f"{counts.get(split, 0)} {split}" for split in official)
        raise DataError(
            f"{file} should give {expected}; got {got}. Use the official file, or add "
            "?subset=yes if this is a part of the data."
        )


def _read_part(part: Part, root: Path, images: str, subset: bool, folder: str) -> Iterator[Row]:
    """Read one part of RAF-DB."""
    classes = _classes_of(part, root)
    if strangers := sorted(set(classes.values()) - set(part.classes)):
        zero = " They may be counted from 0; the official file counts from 1."
        hint = zero if 0 in strangers else ""
        raise DataError(
            f"{RAFDB_LABELS} should hold classes 1..{len(part.classes)}; got {strangers}.{hint}"
        )
    splits = {name: _rafdb_split(name, part) for name in classes}
    if not subset:
        _require_counts(RAFDB_LABELS, Counter(splits.values()), part.counts)
    place = layout.find_images(root, images, classes, folder)
    for name, number in classes.items():
        image = layout.image_path(place, name, images)
        yield checked(Sample(name, image, part.classes[number], split=splits[name]))


def _classes_of(part: Part, root: Path) -> dict[str, int]:
    """Read name -> class number of the label file below `root` that is not of the other part."""
    other = BASIC_PART if part is COMPOUND_PART else COMPOUND_PART
    places = layout.find(root, RAFDB_LABELS)
    ours = [place for place in places if not _is_of(layout.whole_numbers(place), other)]
    if places and not ours:
        raise DataError(
            f"{places[0]} is of the other part of RAF-DB ({other}), which {other.kind}:{root} "
            f"reads; {part.kind} expects {part}."
        )
    return layout.whole_numbers(layout.only(ours, root, RAFDB_LABELS, "the classes"))


def _is_of(classes: Mapping[str, int], part: Part) -> bool:
    """Tell whether a label file is of this part, by its counts or by its names."""
    matches = [re.fullmatch(r"(train|test)_(\d+)\.\w+", name) for name in classes]
    known = [match for match in matches if match is not None]
    counts = Counter(match[1] for match in known)
    named = {len(match[2]) for match in known}
    return counts == part.counts or named == {part.digits}


def _rafdb_split(name: str, part: Part) -> str:
    match = re.fullmatch(rf"(train|test)_\d{{{part.digits}}}\.\w+", name)
    if match is None:
        raise DataError(f"{RAFDB_LABELS} of {part.kind} has {part}; got the name {name}.")
    return match[1]


def _shares(path: Path) -> dict[str, dict[str, float]]:
    """Read name -> emotion -> share of a file of six numbers a picture, scaled to a sum of 1."""
    rows = {}
    for name, text in layout.column(path).items():
        try:
            numbers = [float(number) for number in text.split()]
        except ValueError:
            numbers = []
        if len(numbers) != len(EMOTIONS) or min(numbers) < 0 or not 0 < sum(numbers) < 1e6:
            raise DataError(
                f"{path.name} should give {name} six shares of 0 or more ({', '.join(EMOTIONS)}); "
                f"got {text!r}."
            )
        rows[name] = {e: n / sum(numbers) for e, n in zip(EMOTIONS, numbers, strict=True)}
    return rows


def _rafml_splits(codes: Mapping[str, int], subset: bool) -> dict[str, str]:
    """Return name -> split of RAF-ML; the counts settle which code is which, else RAF-CE's do."""
    if strangers := set(codes.values()) - {0, 1}:
        raise DataError(f"{RAFML_SPLIT} should hold 0 and 1; got {sorted(strangers)}.")
    test = 0 if Counter(codes.values())[0] == RAFML_COUNTS["test"] else 1
    splits = {name: "test" if code == test else "train" for name, code in codes.items()}
    if not subset:
        _require_counts(RAFML_SPLIT, Counter(splits.values()), RAFML_COUNTS)
    return splits


def _measured_on(without: str) -> frozenset[str]:
    """List the val and test pictures of the RAF-CE in a folder; none for "nothing"."""
    if without == "nothing":
        return frozenset()
    if not without:
        raise DataError(
            "RAF-CE's pictures are RAF-ML's: name its folder with ?without=/path/to/RAF-CE, so "
            "that its val and test pictures are left out, or add ?without=nothing to keep them."
        )
    codes = layout.whole_numbers(layout.find_file(Path(without), RAFCE_SPLIT, "RAF-CE's split"))
    return frozenset(name for name, code in codes.items() if RAFCE_CODES.get(code) != "train")
