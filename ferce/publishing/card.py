"""A model card, filled from what was measured; nothing in it is claimed without a figure."""

from collections.abc import Mapping, Sequence
from string import Template

from ferce.core import notice
from ferce.core.labels import COMPOUNDS
from ferce.data import sources
from ferce.evaluation.metrics_file import FIGURES, Figure, Measurements, is_finite
from ferce.models.calibration import Calibration
from ferce.publishing.card_metadata import Subject, emissions, loading, metadata
from ferce.report.text import inline

CONFUSION = "confusion.png"
REAL = "## On real faces"  # of the notes, which a card tells before figures on renders
GROUPS = "### Groups of people"  # of the notes, where that was measured
# Settings of the training that a card names, in this order.
SETTINGS = {
    "precision": "precision {}",
    "rank": "LoRA rank {}",
    "alpha": "LoRA alpha {:g}",
    "learning_rate": "peak learning rate {:g}",
    "epochs": "{} epochs",
}
RARE = 25  # faces; below it a class's figures mean little

CARD = Template(
    """$metadata
# $title

$summary

> $short
$real
## Measured

$measured_on

| figure | value | 95 % interval |
|---|--:|--:|
$figures

Intervals resample people, not pictures; resampling raises calibration errors, so their intervals
may lie above the value. $split_note

### Calibration

$calibration

### By class

| class | faces | precision | recall (95 % interval) | F1 |
|---|--:|--:|--:|--:|
$classes

Intervals are Wilson's and take faces for independent.$rare

$confusion

## Data

$data

| split | faces | by class |
|---|--:|---|
$counts
$notes
## Intended use

Research and teaching on how compound facial expressions look, on pictures of people who agreed to
it, with the reading checked by a person.

## Forbidden and unsuitable use

$points

## Licence

$licence

## Limits

- The label says what an expression resembles to annotators or by construction of the data, not what
  the person feels; other data, cultures, ages, poses and lighting will give other figures.
$groups
- Explanations are generated text. ferce checks each claim against the face and the model; unchecked
  text is not evidence.

## Training

$training

## How to load

$loading
"""
)


def model_card(subject: Subject, measured: Measurements, picture: str = CONFUSION) -> str:
    """Write the card of a model; `picture` is where its confusion matrix lies."""
    real, notes = _parted(subject.notes.strip())
    return CARD.substitute(
        metadata=f"---\n{metadata(subject, measured).to_yaml().strip()}\n---",
        title=subject.name,
        summary=_summary(subject),
        short=notice.SHORT,
        measured_on=_measured_on(measured),
        figures="\n".join(_figure_row(n, f) for n, f in measured.figures.items()),
        split_note=_split_note(measured.split),
        calibration=_calibration(subject.calibration, measured.figures),
        classes="\n".join(_class_rows(measured)),
        rare=_rare(measured),
        confusion=f"![Confusion matrix, {measured.split} split]({picture})",
        data="\n".join(_data(subject.sources)),
        counts="\n".join(_count_rows(measured)),
        real=f"\n{real}\n" if real else "",
        notes=f"\n{notes}\n" if notes else "",
        groups=_groups(subject),
        points="\n".join(f"- {point}" for point in notice.POINTS),
        licence=_licence(subject),
        training=_training(subject, measured),
        loading=loading(subject),
    )


def _parted(notes: str) -> tuple[str, str]:
    """Take the section `REAL` out of the notes."""
    before, title, after = notes.partition(f"{REAL}\n")
    section, next_title, rest = after.partition("\n## ")
    return (title + section).strip(), (before + next_title.lstrip() + rest).strip()


def _summary(subject: Subject) -> str:
    outputs = f" with {subject.outputs} outputs" if subject.outputs else ""
    made = inline(subject.architecture)
    what = f"A {made} network for timm{outputs}"
    if subject.library == "peft":
        what = f"A PEFT adapter for {subject.base}"
    if subject.library == "transformers":
        what = f"A small {made} for transformers that answers questions, explains, and"
        return (
            f"{what} says by the likelihood of its words which of the 14 compound expressions of "
            "RAF-CE a face resembles. It expects an aligned face crop, as ferce makes it."
        )
    return (
        f"{what} that says which of the 14 compound expressions of RAF-CE (such as *happily "
        "surprised*) a face resembles. It expects an aligned face crop, as ferce makes it."
    )


def _measured_on(measured: Measurements) -> str:
    on = sources.source_of(measured.measured_on)
    words = f"On the {measured.split} split of {on.name}, {measured.faces} faces of a compound."
    if on.rendered:
        words += " **These are renders; nothing here tells how it does on photographs of people.**"
    return words


def _split_note(split: str) -> str:
    if split == "test":
        return "The test split was not touched in training or calibration."
    return (
        "**The val split chose the epoch and fitted the calibration, so these figures flatter the "
        "model; it was not measured on a test split.**"
    )


def _figure_row(name: str, figure: Figure) -> str:
    between = "not measured"
    if figure.interval:
        between = f"{figure.interval[0]:.3f} to {figure.interval[1]:.3f}"
    return f"| {FIGURES[name]} | {figure.value:.3f} | {between} |"


def _calibration(calibration: Calibration | None, figures: Mapping[str, Figure]) -> str:
    error = f"Calibration error (ECE, 15 bins) {figures['ece'].value:.3f}"
    if "ece_uncalibrated" in figures:
        error += f", before calibration {figures['ece_uncalibrated'].value:.3f}"
    if calibration is None:
        return f"{error}. The weights carry no calibration of their own."
    return (
        f"{error}. Scores are divided by the temperature {calibration.temperature:.3f}; 90 % "
        f"prediction sets gather the mass {calibration.mass:.3f}. Both are in `ferce.json`."
    )


def _class_rows(measured: Measurements) -> list[str]:
    rows = []
    for row in measured.classes():
        recall = "no face"
        if row.recall is not None and row.interval is not None:
            recall = f"{row.recall:.3f} ({row.interval[0]:.3f} to {row.interval[1]:.3f})"
        precision = f"{row.precision:.3f}"
        rows.append(f"| {row.name} | {row.support} | {precision} | {recall} | {row.f1:.3f} |")
    return rows


def _rare(measured: Measurements) -> str:
    few = [row.name for row in measured.classes() if row.support < RARE]
    if not few:
        return ""
    few = few if len(few) < len(COMPOUNDS) else ["every class"]
    return f" Fewer than {RARE} faces, so hardly measured: {', '.join(few)}."


def _data(specs: Sequence[str]) -> list[str]:
    learnt = dict.fromkeys(map(sources.source_of, specs))
    return [f"- Learnt from {source.name}. {source.about}" for source in learnt]


def _count_rows(measured: Measurements) -> list[str]:
    rows = []
    for split, counts in measured.counts.items():
        each = ", ".join(f"{inline(label)} {n}" for label, n in counts.items())
        rows.append(f"| {split} | {sum(counts.values())} | {each} |")
    return rows


def _groups(subject: Subject) -> str:
    if GROUPS in subject.notes:
        return "- How the model does on groups of people stands above; groups are small."
    return "- How the model does on groups of people (skin, age, sex) was not measured."


def _licence(subject: Subject) -> str:
    base = f" The licence of the base {subject.base} applies as well." if subject.base else ""
    if named := sources.restricted_among(subject.sources):
        return (
            f"Trained on {' and '.join(named)}: **research and non-commercial use only**, for "
            f"these weights and what is derived from them. No picture or label of "
            f"it is included.{base}"
        )
    return f"{subject.licence.name or subject.licence.key}.{base}"


def _setting(text: str, value: object) -> str:
    """Word a setting; a number as its form says, anything else as it is."""
    return text.format(value) if is_finite(value) else text.replace(":g", "").format(value)


def _training(subject: Subject, measured: Measurements) -> str:
    parts = [f"Hardware: {inline(str(measured.machine['device']))}."]
    if measured.seconds is not None:
        parts.append(f"Duration: {measured.seconds:.0f} s.")
    if known := {k: v for k, v in subject.training.items() if k in SETTINGS}:
        words = ", ".join(
            inline(_setting(text, known[name])) for name, text in SETTINGS.items() if name in known
        )
        parts.append(f"Settings: {words}.")
    if measured.origin:
        parts.append(f"Weights before training: {inline(measured.origin)}.")
    grams = emissions(subject, measured)
    if grams is None:
        parts.append("Energy and CO2 were not measured.")
    else:
        assert subject.footprint is not None, "grams come from a footprint"
        watts, grid = subject.footprint.watts, subject.footprint.grams_per_kwh
        parts.append(
            f"CO2: {grams['emissions']} g, computed from {watts:g} W and {grid:g} g/kWh as stated "
            "by the publisher."
        )
    versions = {k: v for k, v in measured.machine.items() if k not in ("device", "processes")}
    if versions:
        named = ", ".join(inline(f"{name} {version}") for name, version in versions.items())
        parts.append(f"Versions: {named}.")
    return " ".join(parts)
