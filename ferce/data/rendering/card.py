"""The data card of a rendered set, with figures counted from its metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from string import Template
from typing import Any

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL

CARD = Template(
    """---
license: other
license_name: cc0-1.0-and-mit
task_categories: [image-classification]
tags: [facial-expression, compound-expression, action-units, synthetic]
size_categories: [n<1K]
---
# Rendered compound expressions (demo set)

$count pictures of $size x $size pixels with exact labels: $compounds of the 14 RAF-CE
compounds, $basics basic expressions, $neutral neutral faces and $random random sets of
action units. Every training and evaluation script of ferce runs on them when it is given no data.
Nobody in them exists: the photo style uses AI-generated portraits, the clay style painted heads.

Nothing measured here tells how a model does on photographs of real people.

| | train | val | test |
|---|--:|--:|--:|
| pictures | $split_pictures |
| people (no person is in two splits) | $split_people |
$label_rows

## What is in it
- `metadata.jsonl`: file_name, label (compound or null), expression, kind (compound, basic, neutral,
  random), action_units (unit, intensity, left, right: the subject's sides, 0..1), person, split,
  style (photo, clay), yaw, pitch, roll (degrees; yaw > 0 faces the picture's right, pitch > 0 up,
  roll > 0 tilts to the picture's left after levelling the eyes), light (null = as in the portrait),
  occluder, degradation, source, licence, attribution, seed, index.
- `images/`: the pictures, framed like ferce's aligned crops: a square of 1.3 to 1.5 sides of the
  face mesh, eyes level within 2 degrees.
- `examples/`: $examples pictures of 512 pixels, of people of the test split, with their own
  `metadata.jsonl`.

## How it was made
Action units follow the prototypes of Du, Tao & Martinez (PNAS 2014; the last two classes:
EmotioNet, CVPR 2016), with variants at their frequency, intensities 0.5 to 1, small asymmetries.
ICT-FaceKit (Li et al., CVPR 2020) was fitted to each portrait; the portrait is its texture. Folds
of skin, teeth, eyeballs, lamps, occluders ($occluded pictures) and degradations ($degraded) are
drawn.

    $command

FaceLandmarker finds $found_images of $count pictures and $found_examples of $examples examples
(counted by the same command).

## Limits
- The labels say which expression was acted with the kit, not what anybody feels.
- Portraits: $photo_people AI-generated people (the neutral ones of 200), a generator's idea of a
  face; by the look of them more have dark skin than light. No figure per group should be read
  from so few.
- Prototypes are laboratory expressions; those in the wild differ in units and frequency.
- Small glances, tongues, tears, blush and moving hair are missing; teeth are one set for all.

## Sources and licences
$sources

The renders themselves are dedicated to the public domain (CC0 1.0), as far as rights exist in them.
ICT-FaceKit: MIT, (c) 2020 USC Institute for Creative Technologies; none of its files is included.
"""
)
SPLITS = ("train", "val", "test")


def dataset_card(
    lines: Sequence[dict[str, Any]],
    *,
    size: int,
    command: str,
    examples: int,
    found: tuple[int, int],
) -> str:
    """The card; found = pictures and examples in which the face detector finds a face."""
    kinds = Counter(line["kind"] for line in lines)
    return CARD.substitute(
        count=len(lines),
        photo_people=len({line["person"] for line in lines if line["style"] == "photo"}),
        size=size,
        compounds=kinds["compound"],
        basics=kinds["basic"],
        neutral=kinds["neutral"],
        random=kinds["random"],
        split_pictures=_row([line["split"] for line in lines]),
        split_people=_row([s for _, s in {(line["person"], line["split"]) for line in lines}]),
        label_rows=_label_rows(lines),
        occluded=sum(line["occluder"] is not None for line in lines),
        degraded=sum(bool(line["degradation"]) for line in lines),
        examples=examples,
        command=command,
        found_images=found[0],
        found_examples=found[1],
        sources=_sources(lines),
    )


def _row(splits: Sequence[str]) -> str:
    counts = Counter(splits)
    return " | ".join(str(counts[s]) for s in SPLITS)


def _label_rows(lines: Sequence[dict[str, Any]]) -> str:
    rows = []
    for name in (*COMPOUNDS, *BASICS, NEUTRAL):
        splits = [line["split"] for line in lines if line["expression"] == name]
        rows.append(f"| {name} | {_row(splits)} |")
    return "\n".join(rows)


def _sources(lines: Sequence[dict[str, Any]]) -> str:
    counts = Counter((line["source"], line["licence"], line["attribution"]) for line in lines)
    return "\n".join(
        f"- {s}: {n} pictures, {lic}. {who}" for (s, lic, who), n in counts.most_common()
    )
