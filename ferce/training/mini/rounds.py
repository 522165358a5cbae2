"""What is asked and answered in training: rounds of examples about some of an album's faces."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS
from ferce.data.questions import Ledger
from ferce.data.record import hidden_in
from ferce.training.language.conversation import Conversation, Example
from ferce.training.language.gallery import Gallery, Shown
from ferce.training.mini.album import Album
from ferce.training.mini.questions import Face, Questioner

FACES = 1200  # of a round
QUESTIONS = 2  # of `data.questions`, a face
HOUSE = 0.3  # share of explanations asked for without a label
PLAIN = 1  # of the app's questions, a face


@dataclass(frozen=True, eq=False)
class Round:
    """Examples whose `number` is 2 i, or 2 i + 1 for the mirrored face; i counts `faces`.

    `faces` (FACES,) are indices into the album.
    """

    faces: NDArray[np.int64]
    examples: list[Example]


def spoken(
    album: Album,
    among: NDArray[np.int64],
    number: int,
    seed: int,
    named: Sequence[str] = COMPOUNDS,
) -> Round:
    """Make round `number` over some of the faces `among`; the same whenever it is made.

    Labels in prompts are drawn by chance from `named`: nothing is learnt of whose label is which.
    """
    rng = np.random.default_rng((seed, number))
    chosen = rng.permutation(among)[:FACES]
    every = album.aligned()
    items = [every[i] for i in chosen]
    gallery = Gallery(items, views=2)
    shown = [Shown(flipped=view == 1) for _ in items for view in range(2)]
    labels = [named[k] for k in rng.integers(len(named), size=len(items))]
    texts = Conversation(
        gallery,
        shown,
        [None] * len(items),
        tasks=("explanation", "vqa"),
        questions=QUESTIONS,
        house=HOUSE,
        seed=seed,
    )
    examples = texts.examples(number, labels)
    for index, label in enumerate(reversed(labels)):  # texts are long to learn: two of each face
        examples += texts.explanation_example(gallery.number(index, number + 1), number, label)
    return Round(chosen, [*_known(examples, gallery), *_plain(gallery, shown, number, seed)])


def _known(examples: list[Example], gallery: Gallery) -> Iterator[Example]:
    """Without what depends on units that were not coded."""
    for example in examples:
        if gallery.items[example.number // 2].sample.coded is None:
            yield example


def _plain(gallery: Gallery, shown: list[Shown], number: int, seed: int) -> Iterator[Example]:
    ledger = Ledger()
    for index, item in enumerate(gallery.items):
        place = gallery.number(index, number)
        units, _ = gallery.units(place, shown[place])
        if units is None:
            continue
        asker = Questioner(ledger, random.Random(f"plain/{seed}/{number}/{index}"))
        face = Face(units, hidden_in(item.sample) or frozenset(), item.sample.coded)
        asked = list(asker.questionnaire(face))
        some = asker.rng.sample(asked, min(PLAIN, len(asked)))
        for question, answer in [*asker.cues(face), *some]:
            yield Example(place, "vqa", question, answer)
