"""A batch on the page: what was chosen, how far it is, one row a face, files to take away."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ferce.core.labels import alone
from ferce.core.parts import Prediction, Reading, Report
from ferce.report import drawing
from ferce.report.face import count
from ferce.ui.web import markup
from ferce.ui.web.markup import Update, status
from ferce.ui.web.panels import prediction, where, why
from ferce.ui.web.panels.prediction import STATES

TITLE = "Results"
HELLO = "Choose photos, or a ZIP of them."
_NEAR = 2  # outcomes in a row
_SIDE = 96  # pixels of a face in the table, twice the size at which it is shown
_KINDS: Mapping[str, tuple[str, str]] = {
    "html": ("Save report (HTML)", "text/html"),
    "csv": ("Save table (CSV)", "text/csv"),
    "json": ("Save numbers (JSON)", "application/json"),
}


def blank() -> Update:
    """Draw the tab before anything was chosen."""
    words = (
        "One row a face: what its expression resembles, how sure that is, and where the model "
        "looked. Files that cannot be read are listed with the reason."
    )
    empty = markup.panel(TITLE, markup.empty(words))
    return {"status": status(HELLO), "results": empty, "files": "", "opened": ""}


def sorry(words: str) -> Update:
    """Say why what was chosen cannot be read at all; `words` are plain text."""
    return blank() | {"status": status(markup.text(words), "sorry")}


def chosen(able: int, refused: Sequence[tuple[str, str]]) -> Update:
    """Say how many photos will be read, and which files will not: their names and the reasons."""
    words = f"{count(able, 'photo')} to read" if able else "There is no photo to read"
    shown = blank() | {"status": status(f"{words}.", "" if able else "sorry")}
    if refused:
        shown["results"] = markup.panel(TITLE, _refused(refused))
    return shown


def waiting() -> Update:
    """Draw the tab from the press of the button until the first photo is read."""
    ghosts = markup.panel(TITLE, markup.ghost(8), state="waiting")
    return {
        "status": status("Waiting for a free reader.", "busy"),
        "results": ghosts,
        "files": "",
        "opened": "",
    }


@dataclass
class Table:
    """Rows as HTML, as they come; of the photos themselves nothing is kept.

    `details` are the readings of the rows as HTML, in the same order.
    """

    total: int
    done: int = 0
    rows: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)

    def add(self, report: Report) -> None:
        """Add the rows of one photo, or the reason why it has none."""
        self.done += 1
        if report.error is not None:
            self.refused.append((report.photo, report.error))
        for i, reading in enumerate(report.readings, 1):
            many = f"face {i} of {len(report.readings)}" if len(report.readings) > 1 else ""
            index = len(self.rows)
            self.rows.append(_row(index, report.photo, many, reading))
            self.details.append(_detail(index, report.photo, many, reading))
            label = reading.prediction.label if reading.prediction else None
            self.labels[label or "unclear"] += 1

    def draw(self) -> str:
        """Draw the panel with all that is there."""
        body = _tally(self.labels) + _refused(self.refused) + _table(self.rows)
        return markup.panel(TITLE, body or markup.ghost(8))


def progress(table: Table, name: str, seconds: float) -> str:
    """Draw a bar, the photo that is read now, and how long the rest may take."""
    left = ""
    if table.done >= 3:
        rest = seconds / table.done * (table.total - table.done)
        left = f", about {_time(rest)} left"
    words = f"{table.done} of {table.total}{left}"
    return (
        f'<div class="progress"><progress max="{table.total}" value="{table.done}" '
        f'aria-label="Photos read">{words}</progress><p class="status">{words}</p>'
        f'<p class="fine">{markup.text(name)}</p></div>'
    )


def ended(table: Table, seconds: float) -> Update:
    """Draw the whole table, and say what became of the batch."""
    words = f"{count(table.done, 'photo')} in {_time(seconds)}"
    if table.done < table.total:
        words = f"Stopped after {table.done} of {count(table.total, 'photo')}"
    if table.refused:
        words += f", {len(table.refused)} of them not read"
    return {"status": status(f"{words}."), "results": table.draw()}


def files(contents: Mapping[str, str]) -> str:
    """Draw links that hold the files; `contents` are their texts by kind."""
    links = "".join(_link(kind, content) for kind, content in contents.items())
    return f'<div class="downloads links">{links}{markup.printing()}</div>'


def _link(kind: str, content: str) -> str:
    words, media = _KINDS[kind]
    data = content.encode("utf-8", "backslashreplace")
    return markup.download(f"ferce-batch.{kind}", words, media, data)


def _tally(labels: Counter[str]) -> str:
    if not labels:
        return ""
    chips = "".join(
        f"<li>{markup.dots(name) if name != 'unclear' else ''}{markup.text(name)} "
        f"<strong>{number}</strong></li>"
        for name, number in labels.most_common()
    )
    title = f"<h3>{count(sum(labels.values()), 'face')}</h3>"
    return f'{title}<ul class="set tally" aria-label="How often each was read">{chips}</ul>'


def _refused(refused: Sequence[tuple[str, str]]) -> str:
    """List the files with the reasons; a folder stands below."""
    if not refused:
        return ""
    rows = "".join(_reason(name, reason) for name, reason in refused)
    title = f"<summary>{count(len(refused), 'file')} not read</summary>"
    return f'<details class="refused" open>{title}<ul>{rows}</ul></details>'


def _reason(name: str, reason: str) -> str:
    """Say why a file was not read, after its name where the reason does not hold it."""
    last = PurePosixPath(name).name
    named = "" if last in reason else f"<strong>{markup.text(last)}</strong> "
    return f"<li>{named}{markup.text(reason)}{_folder(name)}</li>"


def _table(rows: Sequence[str]) -> str:
    if not rows:
        return ""
    names = ("Photo", "The expression resembles", "Probabilities", "90&thinsp;% set")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    face = '<th scope="col"><span class="aloud">Face</span></th>'
    return (
        f'<table class="faces-read"><thead><tr>{face}{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _row(index: int, photo: str, many: str, reading: Reading) -> str:
    name = markup.text(PurePosixPath(photo).name).replace("_", "_<wbr>")
    name = f'<button type="button" class="region" data-index="{index}">{name}</button>'
    place = f"{name}{_folder(photo)}{f'<small>{many}</small>' if many else ''}"
    return (
        f'<tr><td class="picture">{_picture(reading)}</td><th scope="row">{place}</th>'
        f'<td class="said">{_said(reading)}</td><td class="near">{_near(reading.prediction)}</td>'
        f'<td class="ninety">{_set(reading.prediction)}</td></tr>'
    )


def _detail(index: int, photo: str, many: str, reading: Reading) -> str:
    """Draw the reading of a row in full, as the Read tab does."""
    title = " ".join(filter(None, (PurePosixPath(photo).name, many)))
    panels = prediction.draw(reading)
    if reading.prediction is not None:
        panels += markup.panel(where.TITLE, where.draw(reading, model=reading.prediction.model))
        panels += markup.panel(why.TITLE, why.draw(reading))
    return (
        f'<section class="opened" data-row="{index}" tabindex="-1"><h2>{markup.text(title)}</h2>'
        f'<div class="columns">{panels}</div></section>'
    )


def _folder(photo: str) -> str:
    folder, slash, _ = photo.rpartition("/")
    return f"<small>{markup.text(folder)}</small>" if slash else ""


def _said(reading: Reading) -> str:
    decided = reading.prediction
    if decided is None:
        return f"Not read<small>{markup.text(reading.reason)}</small>"
    if decided.label is None:
        return f"Unclear<small>{markup.text(reading.reason)}</small>"
    state = STATES[decided.state]
    return f"{markup.dots(decided.label)}{markup.text(decided.label)}<small>{state}</small>"


def _near(decided: Prediction | None) -> str:
    if decided is None:
        return "–"
    return "<br>".join(
        f'{markup.text(alone(name))} <span class="share">{markup.percent(value)}</span>'
        for name, value in decided.ranked[:_NEAR]
    )


def _set(decided: Prediction | None) -> str:
    if decided is None:
        return "–"
    names = markup.text(", ".join(map(alone, decided.set)))
    return f'<span title="{names}">{len(decided.set)} of {len(decided.outcomes)}</span>'


def _picture(reading: Reading) -> str:
    face, heat = reading.face, reading.heatmap
    crop = drawing.fit(face.crop, _SIDE)
    words = "The face"
    if heat is not None and not heat.empty:
        crop = drawing.draw_heatmap(crop, heat, bar=False)
        best = max(heat.regions.items(), key=lambda item: item[1], default=("", 0.0))
        words = f"The face with its heat, most in the {best[0]}" if best[0] else words
    return f'<img src="{markup.picture(crop)}" alt="{words}" width="48" height="48">'


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}&thinsp;s" if seconds < 10 else f"{seconds:.0f}&thinsp;s"
    return f"{seconds / 60:.0f}&thinsp;min"
