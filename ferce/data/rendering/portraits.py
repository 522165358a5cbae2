"""A folder of neutral portraits, with who they show and under which licence."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Portrait:
    """One picture of one person."""

    path: Path
    subject: str
    source: str = "folder"
    licence: str = "unknown"
    attribution: str = ""
    split: str = ""  # train, val, test, or empty: chosen by a hash of the subject

    def __post_init__(self) -> None:
        if self.split and self.split not in SPLITS:
            raise ValueError(f"{self.path}: expected split {SPLITS} or none, came {self.split!r}")


def list_portraits(
    folder: str | Path, manifest: str | Path | None = None, sources: Iterable[str] = ()
) -> list[Portrait]:
    """Portraits of a folder, in name order.

    A manifest is a CSV with a column `file` (relative to the folder) and any of subject, source,
    licence, attribution, split; only files named there are used, and only the given sources.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"expected a folder of portraits, came {folder}")
    if manifest is None:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        return [Portrait(p, p.stem) for p in paths]
    wanted = set(sources)
    found = [p for p in read_manifest(folder, Path(manifest)) if not wanted or p.source in wanted]
    if not found:
        raise ValueError(f"{manifest}: no row has a source in {sorted(wanted)}")
    return found


def read_manifest(folder: Path, manifest: Path) -> list[Portrait]:
    """Rows of a manifest CSV, sorted by file name."""
    with manifest.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or "file" not in rows[0]:
        columns = list(rows[0]) if rows else []
        raise ValueError(f"{manifest}: expected a column `file`, came {columns}")
    return [_portrait(folder, row) for row in sorted(rows, key=lambda r: r["file"])]


def _portrait(folder: Path, row: dict[str, str]) -> Portrait:
    path = folder / row["file"]
    return Portrait(
        path,
        row.get("subject") or path.stem,
        row.get("source") or "folder",
        row.get("licence") or "unknown",
        row.get("attribution") or "",
        row.get("split") or "",
    )


def hold_out_last(portraits: list[Portrait], source: str, count: int) -> list[Portrait]:
    """Give the last `count` subjects of a source (by id) to the test split."""
    subjects = sorted({p.subject for p in portraits if p.source == source})
    held = set(subjects[-count:]) if count else set()
    return [_moved(p, "test") if p.source == source and p.subject in held else p for p in portraits]


def _moved(portrait: Portrait, split: str) -> Portrait:
    return Portrait(
        portrait.path,
        portrait.subject,
        portrait.source,
        portrait.licence,
        portrait.attribution,
        split,
    )
