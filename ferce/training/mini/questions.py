"""What is asked and answered in training: rounds of examples about some of an album's faces.

What `ferce.data.questions` asks is about one unit in its own words; here are the app's own
questionnaire and short questions on a whole cue (is the person smiling) beside it.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import BASICS, COMPOUNDS, NOUNS
from ferce.core.types import REGIONS
from ferce.data.captions import covered, group, visible
from ferce.data.families import TRAINING
from ferce.data.questions import Ledger
from ferce.data.record import UnitLabel, hidden_in
from ferce.evaluation.units import ABSENT, CLEAR, CUES
from ferce.explanation.text.wording import joined, opened
from ferce.facs.action_units import UNITS
from ferce.facs.prototypes import fits
from ferce.models.prompts import COMPONENT, QUESTIONNAIRE
from ferce.training.examples import Indices
from ferce.training.language.conversation import Conversation, Example, Gallery, Shown
from ferce.training.language.rows import grouped
from ferce.training.mini.album import Album

# Cue of `units.CUES` -> ways to ask for it; the first one is measured.
WORDED: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "mouth open": ("Is the mouth open?", "Are the lips apart?", "Do you see an open mouth?"),
        "smile": ("Is the person smiling?", "Is there a smile?", "Is this a smiling face?"),
        "brows raised": ("Are the eyebrows raised?", "Are the brows lifted?"),
        "brows lowered": ("Are the eyebrows lowered?", "Is the brow furrowed?"),
        "eyes wide": ("Are the eyes wide open?", "Are the eyes wide?"),
        "eyes narrowed": ("Are the eyes narrowed?", "Is the person squinting?"),
        "eyes closed": ("Are the eyes closed?", "Are the eyes shut?"),
        "nose wrinkled": ("Is the nose wrinkled?", "Is the nose scrunched up?"),
        "lip corners down": ("Are the lip corners turned down?", "Does the mouth turn down?"),
    }
)
# Question of the app -> units it is about, and what is said when none of them is there.
ASKED: MappingProxyType[str, tuple[tuple[int, ...], str]] = MappingProxyType(
    {
        QUESTIONNAIRE[2]: ((1, 2, 4), "None of these: the brows are at rest."),
        QUESTIONNAIRE[3]: ((5, 7, 43), "None of these: the eyes are at rest."),
        QUESTIONNAIRE[4]: ((9,), "No."),
        QUESTIONNAIRE[5]: ((6,), "No."),
        QUESTIONNAIRE[6]: ((25, 26, 27), "No."),
        QUESTIONNAIRE[7]: ((12, 15), "Neither: the lip corners are at rest."),
        QUESTIONNAIRE[8]: ((18, 20, 24), "None of these."),
        QUESTIONNAIRE[9]: ((17, 26, 27), "Neither of these."),
    }
)
TENSION, SIDES = QUESTIONNAIRE[10], QUESTIONNAIRE[11]
FACES = 1200  # of a round
QUESTIONS = 2  # of `data.questions`, a face
HOUSE = 0.3  # share of explanations asked for without a label
PLAIN = 1  # of the app's questions, a face


@dataclass(frozen=True)
class Face:
    """Units as coded, covered regions, and units that were coded at all (None for all)."""

    units: Sequence[UnitLabel]
    hidden: frozenset[str] = frozenset()
    coded: frozenset[int] | None = None

    def strength(self, number: int) -> float | None:
        """Look up a unit's strength 0..1; None where it is unknown."""
        if self.coded is not None and number not in self.coded:
            return None
        if UNITS[number].region in self.hidden:
            return None
        coded = [u for u in self.units if u.unit == number]
        strengths = [1.0 if u.intensity is None else u.intensity for u in coded]
        return max(strengths, default=0.0)

    def state(self, numbers: Sequence[int]) -> bool | None:
        """Tell whether one of the units is there; None where that is not clear."""
        known = [self.strength(number) for number in numbers]
        if any(value is not None and value >= CLEAR for value in known):
            return True
        if all(value is not None and value <= ABSENT for value in known):
            return False
        return None


@dataclass(frozen=True)
class Questioner:
    """Asks questions of a face; yes and no alternate for each cue by the ledger."""

    ledger: Ledger
    rng: random.Random

    def cues(self, face: Face) -> Iterator[tuple[str, str]]:
        """Ask about one cue that is there and one that is not."""
        known = {cue: face.state(units) for cue, units in CUES.items()}
        for wanted in (True, False):
            fair = [c for c, s in known.items() if s is wanted and self.ledger.may(c, wanted)]
            if not fair:
                continue
            cue = self.rng.choice(fair)
            self.ledger.note(cue, wanted)
            yield self.rng.choice(WORDED[cue]), self._reply(face, CUES[cue], wanted)

    def questionnaire(self, face: Face) -> Iterator[tuple[str, str]]:
        """Ask the app's questions that this face answers."""
        for question, (numbers, rest) in ASKED.items():
            hidden = {UNITS[n].region for n in numbers} & face.hidden
            if hidden:
                yield question, covered(min(hidden), TRAINING, self.rng)
            elif (state := face.state(numbers)) is not None:
                plain = question.startswith("Is ") or question == QUESTIONNAIRE[5]
                if plain:  # yes as often as no
                    if not self.ledger.may(question, state):
                        continue
                    self.ledger.note(question, state)
                there = self._reply(face, numbers, True) if plain else self._sentence(face, numbers)
                yield question, there if state else rest
        if face.coded is None:
            yield from self._whole(face)

    def _whole(self, face: Face) -> Iterator[tuple[str, str]]:
        """Ask about the whole face, which needs every unit coded."""
        seen = visible(face.units, face.hidden)
        shown = {UNITS[u.unit].region for u in seen}
        active = [region for region in REGIONS if region in shown]
        clauses = self._clauses(seen)
        where = joined([f"the {region}" for region in active])
        yield TENSION, f"At {where}: {clauses}." if active else "Nowhere: the face is at rest."
        one = [u for u in seen if u.side]
        if self.ledger.may(SIDES, bool(one)):
            self.ledger.note(SIDES, bool(one))
            yield SIDES, f"Yes, {self._clauses(one)}." if one else "No, the two sides do the same."
        emotion = self.rng.choice(BASICS)
        own = [u for u in seen if fits(u.unit, emotion)]
        noun = NOUNS[emotion]
        said = f"{opened(self._clauses(own))}." if own else f"Nothing here speaks for {noun}."
        yield COMPONENT.format(noun=noun), said

    def _reply(self, face: Face, numbers: Sequence[int], yes: bool) -> str:
        if not yes:
            return "No."
        sentence = self._sentence(face, numbers)
        return self.rng.choice(("Yes.", f"Yes, {sentence[:1].lower()}{sentence[1:]}"))

    def _sentence(self, face: Face, numbers: Sequence[int]) -> str:
        return f"{opened(self._clauses(_of(face, numbers)))}."

    def _clauses(self, units: Sequence[UnitLabel]) -> str:
        bank = TRAINING.bank
        return joined([said.clause(bank, self.rng) for said in group(units, bank)])


def _of(face: Face, numbers: Sequence[int]) -> list[UnitLabel]:
    return [u for u in visible(face.units, face.hidden) if u.unit in numbers]


def score_prompts() -> Mapping[str, str]:
    """Map each cue to the question by which a model is measured."""
    return {cue: ways[0] for cue, ways in WORDED.items()}


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
    items = album.aligned(chosen)
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


def steps_of(
    make: Callable[[int], Round], batch: int, seed: int, first: int
) -> Iterator[tuple[int, int, Round, Indices]]:
    """Group the examples of one round after another into steps, from step `first` on, without end.

    Returns:
        Number of the step and of the round, the round, and which of its examples are in the step.
    """
    step = number = 0
    while True:
        made = make(number)
        every = grouped([len(example.answer) for example in made.examples], batch, (seed, number))
        for place, members in enumerate(every, start=step):
            if place >= first:
                yield place, number, made, members
        step, number = step + len(every), number + 1


def _known(examples: list[Example], gallery: Gallery) -> Iterator[Example]:
    """Drop what depends on units that were not coded."""
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
