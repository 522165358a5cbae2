"""Readings as one self-contained page: no script, no request, images inside, fit for paper."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self, TextIO

from ferce.core import notice
from ferce.core.parts import Reading, Report
from ferce.report.face import bdi, count, escape, face_map, face_section
from ferce.report.text import headline

MAX_PICTURES = 300  # faces drawn; about 60 kB each
_MAX_OPEN = 40  # photos listed before the list is folded

Entry = dict[str, Any]


class HtmlWriter:
    """Collects the photos in temporary files, then writes the page with its totals on top.

    Only counts are kept in memory; after `max_pictures` faces the readings go on without pictures,
    and the page says so.
    """

    def __init__(
        self,
        file: TextIO,
        models: Mapping[str, str],
        max_pictures: int = MAX_PICTURES,
        title: str = "",
    ) -> None:
        """`title` stands on top in place of the number of photos, or of the only one's name."""
        self._file, self._models, self._left = file, models, max_pictures
        self._named = title
        self._body, self._list = _temporary(), _temporary()
        self._labels: Counter[str] = Counter()
        self._first = ""  # photo
        self._photos = self._failed = self._undrawn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._body.close()
        self._list.close()

    def add(self, report: Report) -> None:
        """Write one photo into the body."""
        self.put(entry(report, draw=self._left > 0))

    def put(self, entry: Entry) -> None:
        """Write what `entry` gave into the body."""
        self._first = self._first if self._photos else entry["photo"]
        self._photos += 1
        self._failed += entry["failed"]
        self._labels.update(entry["labels"])
        name, said = bdi(entry["photo"]), escape(entry["said"])
        self._list.write(f'<li><a href="#photo-{self._photos}">{name}</a> <span>{said}</span></li>')
        faces = "".join(self._face(*parts) for parts in entry["faces"])
        self._body.write(f'<article id="photo-{self._photos}">{entry["head"]}{faces}</article>\n')

    def finish(self) -> None:
        """Write the whole page."""
        self._file.write(_head(self._title()))
        if self._photos != 1 and not self._named:
            self._summarise()
        _copy(self._body, self._file)
        self._file.write(_foot(self._models))

    def _face(self, before: str, pictures: str, after: str) -> str:
        self._left -= 1
        drawn = pictures if self._left >= 0 else ""
        self._undrawn += not drawn
        return before + drawn + after

    def _title(self) -> str:
        if self._named or self._photos == 1:
            return self._named or f"Expressions in {self._first}"
        return f"Expressions in {count(self._photos, 'photo')}"

    def _summarise(self) -> None:
        """Write counts and a list of the photos."""
        parts = [count(sum(self._labels.values()), "face")]
        if self._failed:
            parts.append(f"{count(self._failed, 'photo')} could not be read")
        if self._undrawn:
            parts.append(f"{count(self._undrawn, 'face')} shown without pictures")
        labels = "".join(
            f"<li>{escape(name)} <b>{number}</b></li>"
            for name, number in self._labels.most_common()
        )
        fold = "" if self._photos > _MAX_OPEN else " open"
        self._file.write(
            f'<section class="summary"><p>{escape("; ".join(parts))}</p>'
            f'<ul class="tally">{labels}</ul>'
            f"<details{fold}><summary>All photos</summary><ol>"
        )
        _copy(self._list, self._file)
        self._file.write("</ol></details></section>\n")


def _temporary() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace")


def _copy(source: IO[str], target: TextIO) -> None:
    source.seek(0)
    shutil.copyfileobj(source, target)


def entry(report: Report, *, draw: bool = True) -> Entry:
    """Write one photo as HTML in parts, with pictures if `draw`.

    Returns:
        `photo` its name, `said` in a line what was read, `failed` whether nothing was, `labels` of
        its faces, `head` the article's start and `faces`, each as `face_section` gives it.
    """
    many = len(report.readings) > 1
    return {
        "photo": report.photo,
        "said": report.error or " ".join(headline(reading) for reading in report.readings),
        "failed": report.error is not None,
        "labels": [_label(reading) for reading in report.readings],
        "head": _start(report),
        "faces": [
            face_section(reading, i if many else None, draw=draw)
            for i, reading in enumerate(report.readings, 1)
        ],
    }


def _label(reading: Reading) -> str:
    prediction = reading.prediction
    return prediction.label if prediction and prediction.label else "unclear"


def _start(report: Report) -> str:
    """Write name and facts of a photo, and where its faces lie; or why it was not read."""
    name = f"<h2>{bdi(report.photo)}</h2>\n"
    if report.error is not None:
        return f'{name}<p class="error">Not read: {escape(report.error)}</p>'
    size = f"{report.size[0]} × {report.size[1]} pixels" if report.size else ""
    time = f"{report.seconds:.2f} s" if report.seconds is not None else ""
    facts = [fact for fact in (size, count(len(report.readings), "face"), time) if fact]
    note = f"<p>{escape(report.note)}</p>" if report.note else ""
    return f'{name}<p class="facts">{", ".join(facts)}</p>{note}{face_map(report)}'


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
