"""Read rendered faces with exact action units: the demo set, or one of train/render_faces.py."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ferce.data import manifest
from ferce.data.record import DataError, Row, Sample

DEMO = Path(__file__).parent / "demo"
METADATA = "metadata.jsonl"


def read(where: str, without: str = "") -> Iterator[Row]:
    """Read samples in the order of `metadata.jsonl`; `without` is a file of people to leave out.

    Rows have file_name, label (a compound or null), perhaps expression (that, or a basic emotion or
    "neutral"; taken for the label where the table has it), kind, action_units (unit, intensity,
    left, right), person, split, and what the picture was made from: pose, light, licence, seed.

    Raises:
        DataError: there is no such table, a row is incomplete, or a person is in two splits.
    """
    table = Path(where) / METADATA
    if not table.is_file():
        raise DataError(f"There is no {table}; make one with train/render_faces.py.")
    left_out = _people(without)
    homes: dict[str, str] = {}
    for row in manifest.read(str(table), label=_label_column(table)):
        if isinstance(row, Sample):
            _check(row, homes)
            if row.subject in left_out:
                continue
            row = _coded(row)
        yield row


def _people(path: str) -> frozenset[str]:
    if path and not Path(path).is_file():
        raise DataError(f"There is no list of people {path}; it names one a line.")
    return frozenset(Path(path).read_text("utf-8").split("\n") if path else ())


def _label_column(table: Path) -> str:
    """Choose `expression` where it exists: it names basic emotions and neutral, too."""
    first = next((row for _, row in manifest.rows(table)), {})
    return "expression" if "expression" in first else ""


def read_demo(where: str) -> Iterator[Row]:
    """Read samples of the demo set in this package; `where` must be empty."""
    if where:
        raise DataError(
            f"demo stands for the set in this package; for {where} write rendered:{where}."
        )
    yield from read(str(DEMO))


def _coded(sample: Sample) -> Sample:
    """Drop units named with strength 0: the renderer says that they are not there."""
    units = tuple(u for u in sample.units or () if u.intensity is None or u.intensity > 0)
    return replace(sample, units=units)


def _check(sample: Sample, homes: dict[str, str]) -> None:
    lacking = [n for n in ("units", "subject", "split") if getattr(sample, n) is None]
    if lacking or sample.split is None or sample.subject is None:
        raise DataError(
            f"{sample.name} should have action units, a person and a split; it lacks {lacking}."
        )
    if homes.setdefault(sample.subject, sample.split) != sample.split:
        raise DataError(
            f"{sample.subject} is in {homes[sample.subject]} and in {sample.split}; "
            "a person may be in one split only."
        )
