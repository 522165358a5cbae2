"""Write an audit as tables of text, and draw it as a plot."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL
from ferce.data.audit import NO_LABEL, Audit
from ferce.facs.action_units import UNITS
from ferce.report.text import plain, printable

LISTED = 20  # lines of each list; the JSON has all
_ORDER = (*COMPOUNDS, *BASICS, NEUTRAL, NO_LABEL)


def report(result: Audit) -> str:
    """Write the whole audit for a terminal."""
    parts = [
        f"{result.spec}: {result.total} pictures, shorter side {_sides(result)}",
        _table("class", _ordered(result), result.splits, result.labels),
        _units(result),
        *_lists(result),
        *result.notes(),
        _verdict(result),
    ]
    return "\n\n".join(part for part in parts if part)


def _sides(result: Audit) -> str:
    """Describe the smallest, median and largest shorter side."""
    sides = sorted(result.shorter.elements())
    if not sides:
        return "unknown"
    return f"{sides[0]} to {sides[-1]} px, half of them up to {sides[len(sides) // 2]} px"


def _ordered(result: Audit) -> list[str]:
    seen = {label for counts in result.labels.values() for label in counts}
    return [label for label in _ORDER if label in seen]


def _table(
    title: str, rows: list[str], splits: list[str], counts: Mapping[str, Mapping[str, int]]
) -> str:
    """Write counts by row and split, with sums."""
    if not rows:
        return ""
    wide = max(map(len, [*rows, title, "sum"]))
    lines = [title.ljust(wide) + "".join(f"{s:>9}" for s in [*splits, "sum"])]
    for row in rows:
        numbers = [counts[split].get(row, 0) for split in splits]
        lines.append(row.ljust(wide) + "".join(f"{n:>9}" for n in [*numbers, sum(numbers)]))
    sums = [sum(counts[split].get(row, 0) for row in rows) for split in splits]
    lines.append("sum".ljust(wide) + "".join(f"{n:>9}" for n in [*sums, sum(sums)]))
    return "\n".join(lines)


def unit_codes(result: Audit) -> list[str]:
    """List the codes that occur, by number and then by prefix."""
    seen = {code for counts in result.units.values() for code in counts}
    return sorted(seen, key=lambda code: (int(code.lstrip("LRTB")), code))


def _units(result: Audit) -> str:
    names = {code: _unit_name(code) for code in unit_codes(result)}
    counts = {
        split: {names[code]: n for code, n in result.units[split].items()}
        for split in result.splits
    }
    for split in result.splits:
        counts[split]["not coded (null)"] = result.uncoded[split]
    rows = list(names.values())
    if result.uncoded.total():
        rows.append("not coded (null)")
    return _table("action unit", rows, result.splits, counts)


def _unit_name(code: str) -> str:
    row = UNITS.get(int(code.lstrip("LRTB")))
    return f"{code:>3} {row.name}" if row else f"{code:>3} (outside the table)"


def _lists(result: Audit) -> Iterator[str]:
    yield _listed("Cannot be used", [f"{p.name}: {p.reason}" for p in result.problems])
    yield _listed("No face found", result.faceless or [])
    leaks = [d for d in result.duplicates or () if d.leaks or d.disagrees]
    lines = [
        f"{d.first} ({d.splits[0]}, {d.labels[0]}) = {d.second} ({d.splits[1]}, {d.labels[1]}), "
        f"{d.distance} bits apart"
        for d in sorted(leaks, key=lambda d: d.distance)
    ]
    yield _listed("Look the same across splits or labels", lines)
    people = [f"{who}: {', '.join(where)}" for who, where in result.shared_subjects.items()]
    yield _listed("People in several splits", people)


def _listed(title: str, lines: list[str]) -> str:
    if not lines:
        return ""
    more = f"\n  ... and {len(lines) - LISTED} more (--json has all)" if len(lines) > LISTED else ""
    shown = map(printable, lines[:LISTED])
    return f"{title}: {len(lines)}\n  " + "\n  ".join(shown) + more


def _verdict(result: Audit) -> str:
    findings = result.findings()
    if findings:
        return "To look at:\n  " + "\n  ".join(findings)
    looked = ["missing or unreadable pictures"]
    looked += ["pairs that look the same across splits"] if result.duplicates is not None else []
    looked += ["pictures without a face"] if result.faceless is not None else []
    return f"Nothing to look at: no {', no '.join(looked)}."


def draw(result: Audit, path: Path) -> None:
    """Draw class distribution and action-unit frequencies by split to a picture file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels, codes = _ordered(result), unit_codes(result)
    rows = max(len(labels), len(codes), 4)
    figure = Figure(figsize=(12, 1.5 + 0.3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _bars(left, labels, result, result.labels)
    left.set_title("Pictures by class")
    _bars(right, codes, result, result.units)
    right.set_title("Pictures by action unit")
    figure.suptitle(plain(result.spec))
    figure.savefig(path, dpi=120)


def _bars(
    plot: Any, rows: list[str], result: Audit, counts: Mapping[str, Mapping[str, int]]
) -> None:
    """Draw horizontal bars, the splits stacked, with the sum at the end."""
    start = [0] * len(rows)
    for split in result.splits:
        widths = [counts[split].get(row, 0) for row in rows]
        plot.barh(rows, widths, left=start, label=split)
        start = [a + b for a, b in zip(start, widths, strict=True)]
    for place, total in enumerate(start):
        plot.text(total, place, f" {total}", va="center", fontsize=8)
    plot.invert_yaxis()
    plot.margins(x=0.12, y=0.01)
    if rows:
        plot.legend(loc="lower right")
