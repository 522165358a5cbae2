"""Readings in words, for a terminal and as headings of the page."""

from collections.abc import Iterator
from typing import TextIO

from ferce.core import notice
from ferce.core.labels import NOUNS, alone
from ferce.core.parts import Cue, Reading, Report
from ferce.facs.action_units import UNITS
from ferce.facs.prototypes import active

COMPOSED = (
    "Composed from the measured action units, so these cannot check it; what the model uses can."
)
_INDENT = "    "
_SHOWN = 0.005  # smallest probability that is printed


def headline(reading: Reading) -> str:
    """Say a reading in one careful sentence."""
    prediction = reading.prediction
    if prediction is None or prediction.label is None:
        return f"Unclear. {reading.reason}".strip()
    if prediction.state == "neutral":
        return "The face looks neutral: no expression stands out."
    if prediction.state == "basic":
        noun = NOUNS.get(prediction.label, prediction.label)
        return f"The expression resembles {noun}, with no clear second emotion."
    return f"The expression resembles {prediction.label}."


def claims(cues: tuple[Cue, ...]) -> str:
    """Count how the claims fared: "2 supported, 1 contradicted"; empty if unchecked."""
    seen = [cue.seen for cue in cues if cue.seen]
    words = ("supported", "contradicted", "cannot be told")
    return ", ".join(f"{seen.count(word)} {word}" for word in words if word in seen)


def to_text(report: Report) -> str:
    """Write a few lines on a photo, free of control characters, without a final newline."""
    if report.error is not None:
        return f"{plain(report.photo)}: {plain(report.error)}"
    size = f"{report.size[0]} x {report.size[1]} pixels" if report.size else ""
    time = f"{report.seconds:.2f} s" if report.seconds is not None else ""
    facts = ", ".join(fact for fact in (size, time) if fact)
    lines = [f"{plain(report.photo)} ({facts})" if facts else plain(report.photo)]
    lines += [f"  {plain(report.note)}"] if report.note else []
    many = len(report.readings) > 1
    for i, reading in enumerate(report.readings, 1):
        start = f"Face {i}. " if many else ""
        lines.append(f"  {start}{plain(headline(reading))}")
        known = [reading.caution, *_details(reading)]
        lines += [_INDENT + plain(line) for line in known if line]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Put the text on one line, with "?" for what could steer a terminal."""
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else "?" for char in line)


def inline(text: str) -> str:
    """Put text into one line of Markdown, without what ends a cell or begins a tag."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def printable(text: str) -> str:
    r"""Put "?" for line ends and whatever else could steer a terminal.

    Blanks stay, and so do bytes of odd file names, which a stream writes as \udcXX.
    """
    kept = (char.isprintable() or "\ud800" <= char <= "\udfff" for char in text)
    return "".join(char if keep else "?" for char, keep in zip(text, kept, strict=True))


def _details(reading: Reading) -> Iterator[str]:
    prediction, heat, explanation = reading.prediction, reading.heatmap, reading.explanation
    if prediction is not None:
        likely = [(alone(name), p) for name, p in prediction.ranked[:3] if p >= _SHOWN]
        yield "Probabilities: " + _shares(likely)
        basics = sorted(prediction.components.items(), key=lambda item: -item[1])
        if parts := [(name, p) for name, p in basics[:3] if p >= _SHOWN]:
            yield "Components: " + _shares(parts)
    units = active(reading.face.units)
    if units:
        names = (f"AU{u.unit} {UNITS[u.unit].name} {u.intensity:.2f}" for u in units)
        yield "Action units: " + ", ".join(names)
    if heat is not None:
        shares = sorted(heat.regions.items(), key=lambda item: -item[1])
        where = "no positive evidence" if heat.empty else _shares(shares[:3])
        yield f"Looks at ({heat.method}, for {heat.label}): {where}"
    for answer in reading.answers:
        yield f"{answer.question} {answer.answer}"
    if explanation is not None:
        checked = claims(explanation.cues)
        note = f" [claims: {checked}]" if checked else ""
        if explanation.composed:
            note = " [composed from the measurement, which cannot check it]"
        yield f"Why: {explanation.text}{note}"


def _shares(items: list[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {value:.0%}" for name, value in items)


def entry(report: Report) -> str:
    """Write the text of a photo and a blank line; empty where it could not be read."""
    return to_text(report) + "\n\n" if report.error is None else ""


class TextWriter:
    """Writes a short text a photo, a blank line between photos, and the notice at the end.

    Photos that could not be read are left to standard error.
    """

    def __init__(self, file: TextIO) -> None:
        self._file, self._any = file, False

    def add(self, report: Report) -> None:
        """Write one photo that was read."""
        self.put(entry(report))

    def put(self, entry: str) -> None:
        """Write what `entry` gave, at once, so that a reader of a pipe sees it."""
        if entry:
            self._file.write(entry)
            self._file.flush()
            self._any = True

    def finish(self) -> None:
        """Write the notice, unless nothing was read."""
        if self._any:
            self._file.write(notice.SHORT + "\n")
