"""Readings as one self-contained page: no script, no request, images inside, fit for paper."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Self, TextIO

from ferce.core import notice
from ferce.core.types import Reading, Report
from ferce.report.face import bdi, count, escape, face_map, face_section
from ferce.report.text import headline

MAX_PICTURES = 300  # faces drawn; about 60 kB each
_MAX_OPEN = 40  # photos listed before the list is folded


class HtmlWriter:
    """Collects the photos in a temporary file, then writes the page with its totals on top.

    Only names, headlines and counts are kept in memory; after `max_pictures` faces the readings go
    on without pictures, and the page says so.
    """

    def __init__(
        self, file: TextIO, models: Mapping[str, str], max_pictures: int = MAX_PICTURES
    ) -> None:
        self._file, self._models, self._left = file, models, max_pictures
        self._body = tempfile.TemporaryFile(  # noqa: SIM115 - closed when the writer is left
            "w+", encoding="utf-8", errors="backslashreplace"
        )
        self._listed: list[tuple[str, str]] = []  # photo, what was read
        self._labels: Counter[str] = Counter()
        self._failed = self._undrawn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._body.close()

    def add(self, report: Report) -> None:
        """Write one photo into the body."""
        self._failed += report.error is not None
        self._labels.update(_label(reading) for reading in report.readings)
        said = report.error or " ".join(headline(reading) for reading in report.readings)
        self._listed.append((report.photo, said))
        drawn = [self._draws() for _ in report.readings]
        self._body.write(photo_article(report, len(self._listed), drawn))

    def finish(self) -> None:
        """Write the whole page."""
        self._file.write(_head(self._title()))
        self._file.write(self._summary())
        self._body.seek(0)
        shutil.copyfileobj(self._body, self._file)
        self._file.write(_foot(self._models))

    def _draws(self) -> bool:
        self._left -= 1
        self._undrawn += self._left < 0
        return self._left >= 0

    def _title(self) -> str:
        if len(self._listed) == 1:
            return f"Expressions in {self._listed[0][0]}"
        return f"Expressions in {count(len(self._listed), 'photo')}"

    def _summary(self) -> str:
        """Counts and a list of the photos; nothing for a single one."""
        if len(self._listed) == 1:
            return ""
        parts = [count(sum(self._labels.values()), "face")]
        if self._failed:
            parts.append(f"{count(self._failed, 'photo')} could not be read")
        if self._undrawn:
            parts.append(f"{count(self._undrawn, 'face')} shown without pictures")
        labels = "".join(
            f"<li>{escape(name)} <b>{number}</b></li>"
            for name, number in self._labels.most_common()
        )
        lines = "".join(
            f'<li><a href="#photo-{i}">{bdi(name)}</a> <span>{escape(said)}</span></li>'
            for i, (name, said) in enumerate(self._listed, 1)
        )
        fold = "" if len(self._listed) > _MAX_OPEN else " open"
        return (
            f'<section class="summary"><p>{escape("; ".join(parts))}</p>'
            f'<ul class="tally">{labels}</ul>'
            f"<details{fold}><summary>All photos</summary><ol>{lines}</ol></details></section>\n"
        )


def _label(reading: Reading) -> str:
    prediction = reading.prediction
    return prediction.label if prediction and prediction.label else "unclear"


def photo_article(report: Report, number: int, drawn: list[bool]) -> str:
    """One photo as HTML; `drawn` says for each face whether it gets pictures."""
    start = f'<article id="photo-{number}"><h2>{bdi(report.photo)}</h2>\n'
    if report.error is not None:
        return f'{start}<p class="error">Not read: {escape(report.error)}</p></article>\n'
    size = f"{report.size[0]} × {report.size[1]} pixels" if report.size else ""
    time = f"{report.seconds:.2f} s" if report.seconds is not None else ""
    facts = [fact for fact in (size, count(len(report.readings), "face"), time) if fact]
    faces = "".join(
        face_section(reading, i if len(report.readings) > 1 else None, draw=draw)
        for i, (reading, draw) in enumerate(zip(report.readings, drawn, strict=True), 1)
    )
    return f'{start}<p class="facts">{", ".join(facts)}</p>{face_map(report)}{faces}</article>\n'


def _head(title: str) -> str:
    style = Path(__file__).with_name("page.css").read_text("utf-8")
    today = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title>'
        f"<style>\n{style}</style></head>\n<body><header><h1>{bdi(title)}</h1>"
        f'<p class="notice">{escape(notice.SHORT)} <a href="#notice">More</a></p>'
        f'<p class="facts">Written {today}</p></header>\n<main>\n'
    )


def _foot(models: Mapping[str, str]) -> str:
    points = "".join(f"<li>{escape(point)}</li>" for point in notice.POINTS)
    rows = "".join(
        f"<dt>{escape(role)}</dt><dd>{escape(spec)}</dd>" for role, spec in models.items()
    )
    made = f"<h2>Models</h2><dl>{rows}</dl>" if rows else ""
    return (
        f'</main>\n<footer>{made}<h2 id="notice">What this is not</h2><ul>{points}</ul></footer>'
        "</body></html>\n"
    )
