"""RAF-CE and RAF-DB compound in their official layouts: text files beside folders of images.

RAF-CE (14 compound classes, action units, three splits): whdeng.cn/RAF/model4.html; Li, Deng, Li &
Li, CVPRW 2023, pp. 5735-5744. RAF-DB compound (11 classes, train and test): Li & Deng, IEEE TIP
28(1), 2019, doi:10.1109/TIP.2018.2868382. The data may not be passed on: none of it is part of this
package.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ferce.core.labels import COMPOUNDS, RAFDB_TO_RAFCE
from ferce.data import coding
from ferce.data.record import DataError, Row, Sample, UnitLabel, checked

RAFCE_LABELS, RAFCE_SPLIT = "RAFCE_emolabel.txt", "RAFCE_partition.txt"
RAFCE_UNITS = "RAFCE_AUlabel.txt"
# The official page does not spell the codes out; the counts settle them. Reading 1 as train, as
# some public loaders do, trains on the test set.
RAFCE_CODES = {0: "train", 1: "test", 2: "val"}
RAFCE_COUNTS = {"train": 2709, "test": 909, "val": 931}
RAFDB_LABELS = "list_patition_label.txt"  # the official spelling
RAFDB_COUNTS = {"train": 3162, "test": 792}


def read_rafce(
    where: str,
    images: str = "aligned",
    subset: bool = False,
    base: int = 0,
    units: bool = True,
) -> Iterator[Row]:
    """Read the samples of RAF-CE in the order of the label file.

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
    _check_kind(images)
    classes = _numbers(_find_file(root, RAFCE_LABELS, "the classes"))
    codes = _numbers(_find_file(root, RAFCE_SPLIT, "the split"))
    coded = _column(_find_file(root, RAFCE_UNITS, "the action units")) if units else {}
    _check_rafce_classes(classes, base, subset)
    _check_names(classes, codes, RAFCE_SPLIT)
    if units:
        _check_names(classes, coded, RAFCE_UNITS)
    _check_rafce_counts(codes, subset)
    folder = _find_folder(root, images)
    for name, number in classes.items():
        label, split = COMPOUNDS[number - base], RAFCE_CODES[codes[name]]
        known = _units(name, coded[name]) if units else None
        image = _image_path(folder, name, images)
        yield checked(Sample(name, image, label, units=known, split=split))


def read_rafdb(where: str, images: str = "aligned", subset: bool = False) -> Iterator[Row]:
    """Read the samples of RAF-DB compound in the order of the label file; none is for validation.

    Args:
        where: the folder `compound` or its parent.
        images: "aligned" or "original".
        subset: accept other counts than the official ones, for a part of the data.

    Raises:
        DataError: files are missing, labels or counts are not the official ones.
    """
    root = Path(where) / "compound" if (Path(where) / "compound").is_dir() else Path(where)
    _check_kind(images)
    classes = _numbers(_find_file(root, RAFDB_LABELS, "the classes"))
    _check_rafdb(classes, subset)
    folder = _find_folder(root, images)
    for name, number in classes.items():
        label = COMPOUNDS[RAFDB_TO_RAFCE[number]]
        image = _image_path(folder, name, images)
        yield checked(Sample(name, image, label, split=_rafdb_split(name)))


def _units(name: str, text: str) -> tuple[UnitLabel, ...] | None:
    try:
        return coding.parse(text)
    except DataError as error:
        raise DataError(f"{RAFCE_UNITS}, {name}: {error}") from error


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


def _check_names(classes: Mapping[str, int], other: Mapping[str, object], file: str) -> None:
    for holder, names in (
        (file, classes.keys() - other.keys()),
        (RAFCE_LABELS, other.keys() - classes.keys()),
    ):
        if names:
            few = ", ".join(sorted(names)[:3])
            raise DataError(
                f"{holder} lacks {len(names)} names of the other files ({few}); use one release."
            )


def _check_rafce_counts(codes: Mapping[str, int], subset: bool) -> None:
    strangers = set(codes.values()) - set(RAFCE_CODES)
    if strangers:
        raise DataError(f"{RAFCE_SPLIT} should hold 0, 1 and 2; got {sorted(strangers)}.")
    counts = Counter(RAFCE_CODES[code] for code in codes.values())
    if not subset and dict(counts) != RAFCE_COUNTS:
        expected = ", ".join(f"{n} {split}" for split, n in RAFCE_COUNTS.items())
        got = ", ".join(f"{counts[split]} {split}" for split in RAFCE_COUNTS)
        raise DataError(
            f"{RAFCE_SPLIT} should give {expected}; got {got}. Use the official file, or add "
            "?subset=yes if this is a part of the data."
        )


def _rafdb_split(name: str) -> str:
    split = name.split("_", 1)[0]
    if split not in RAFDB_COUNTS:
        raise DataError(f"{RAFDB_LABELS} should name files train_*.jpg and test_*.jpg; got {name}.")
    return split


def _check_rafdb(classes: Mapping[str, int], subset: bool) -> None:
    strangers = sorted(set(classes.values()) - set(RAFDB_TO_RAFCE))
    if strangers:
        zero = " They may be counted from 0; the official file counts from 1."
        hint = zero if 0 in strangers else ""
        raise DataError(f"{RAFDB_LABELS} should hold classes 1..11; got {strangers}.{hint}")
    counts = Counter(map(_rafdb_split, classes))
    if not subset and dict(counts) != RAFDB_COUNTS:
        expected = f"{RAFDB_COUNTS['train']} train and {RAFDB_COUNTS['test']} test images"
        raise DataError(
            f"{RAFDB_LABELS} should name {expected}; got {counts['train']} and {counts['test']}. "
            "Use the official file, or add ?subset=yes."
        )


def _find(root: Path, name: str) -> list[Path]:
    """List what has this name in the folder or up to two levels below, without macOS's copies."""
    places = [p for level in ("", "*/", "*/*/") for p in sorted(root.glob(level + name))]
    return [place for place in places if "__MACOSX" not in place.relative_to(root).parts]


def _find_file(root: Path, name: str, content: str) -> Path:
    """Find the one file of this name, or raise `DataError`."""
    places = _find(root, name)
    if len(places) == 1:
        return places[0]
    if not places:
        raise DataError(
            f"{root} should hold {name} ({content}), also up to two folders down; it does not."
        )
    raise DataError(
        f"{root} holds {name} {len(places)} times ({places[0]}, {places[1]}); keep one."
    )


def _find_folder(root: Path, kind: str) -> Path:
    """Find the one folder of images called "aligned" or "original", or raise `DataError`."""
    places = [p for p in _find(root, kind) if p.is_dir()]
    if len(places) == 1:
        return places[0]
    if not places:
        raise DataError(
            f"{root} should hold a folder '{kind}' with the images; it does not. Unpack the "
            f"{kind} images there, or choose the others with ?images=."
        )
    raise DataError(
        f"{root} holds '{kind}' {len(places)} times ({places[0]}, {places[1]}); name one."
    )


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, name, value) of each line that is not empty."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            fields = line.split()
            if not fields:
                continue
            if len(fields) != 2:
                raise DataError(
                    f"{path.name} line {number} should be 'name value'; got {line.strip()!r}."
                )
            yield number, fields[0], fields[1]


def _column(path: Path) -> dict[str, str]:
    """Read name -> value of a whole file, in its order."""
    values: dict[str, str] = {}
    for number, name, value in _lines(path):
        if name in values:
            raise DataError(f"{path.name} line {number} names {name} a second time; keep one line.")
        values[name] = value
    if not values:
        raise DataError(f"{path} is empty.")
    return values


def _numbers(path: Path) -> dict[str, int]:
    """Read name -> whole number of a whole file, in its order."""
    values = _column(path)
    for name, value in values.items():
        if not value.isascii() or not value.isdigit():
            raise DataError(f"{path.name} should give a whole number for {name}; got {value!r}.")
    return {name: int(value) for name, value in values.items()}


def _image_path(folder: Path, name: str, kind: str) -> Path:
    """Return `aligned/0001_aligned.jpg` or `original/0001.jpg` for the name `0001.jpg`."""
    if kind == "original":
        return folder / name
    stem, suffix = Path(name).stem, Path(name).suffix
    return folder / f"{stem}_aligned{suffix}"


def _check_kind(kind: str) -> None:
    if kind not in ("aligned", "original"):
        raise DataError(f"images must be 'aligned' or 'original'; got {kind!r}.")
