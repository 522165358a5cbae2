"""What is asked and answered in training, about which variations of a face.

The label task alone knows the true labels, and only as answers. Explanations carry the label that
the model itself predicts, in prompt and answer alike, and tell how the coded action units fit that
label; so an explanation is the same text whatever the truth is, and nothing of it can leak.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeVar

import torch

from ferce.core.labels import BASICS, COMPOUNDS, components
from ferce.core.types import REGIONS, Pixels
from ferce.data import captions
from ferce.data.align import Aligned
from ferce.data.augment import NOTHING, augment
from ferce.data.families import TRAINING
from ferce.data.questions import Asker, Ledger
from ferce.data.record import UnitLabel, hidden_in
from ferce.models import prompts
from ferce.training.classifier.batches import RECIPES

K = TypeVar("K")
V = TypeVar("V")
BASIC = "Which basic emotion does the expression of this face resemble?"
PROMPTS = {"compound": prompts.CLASSIFY, "basic": BASIC}
PHRASES = {"compound": COMPOUNDS, "basic": BASICS}


@dataclass(frozen=True, eq=False)
class _Work(torch.utils.data.Dataset):  # type: ignore[misc]
    """A function, as a DataLoader calls it with the keys of its sampler."""

    make: Callable[[Any], Any]

    def __getitem__(self, key: Any) -> Any:
        return self.make(key)


def loaded(make: Callable[[K], V], keys: Sequence[K], workers: int) -> Iterator[V]:
    """Make a value of each key in so many processes, 0 for this one; in order."""
    loader = torch.utils.data.DataLoader(
        _Work(make),
        sampler=keys,
        batch_size=None,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # else each start would draw from the run's own generator
    )
    return iter(loader)


@dataclass(frozen=True)
class Shown:
    """How a variation differs from the face: mirrored or not, and the regions it covers."""

    flipped: bool = False
    hidden: frozenset[str] = frozenset()

    def row(self) -> list[int]:
        """Encode as (1 + regions,) 0 or 1, as a cache keeps it."""
        return [int(self.flipped), *(int(region in self.hidden) for region in REGIONS)]

    @classmethod
    def of(cls, row: Sequence[int]) -> "Shown":
        """Decode a `row`."""
        hidden = (region for region, on in zip(REGIONS, row[1:], strict=True) if on)
        return cls(bool(row[0]), frozenset(hidden))


@dataclass(frozen=True, eq=False)
class Gallery:
    """N faces in k variations; number `i * k + v` is variation `v` of face `i`.

    Variation 0 is the face as it is; the others follow from the seed, the face's place and `v`.
    """

    items: Sequence[Aligned]
    views: int = 1
    augment: str = "none"
    seed: int = 0

    def __len__(self) -> int:
        return len(self.items) * self.views

    def number(self, index: int, epoch: int) -> int:
        """Number the variation of a face in an epoch; epochs take them in turn."""
        return index * self.views + epoch % self.views

    def show(self, number: int) -> Shown:
        """Tell what a variation shows; the face as it is need not be read for it."""
        plain = self._plain(number % self.views)
        return Shown() if plain else self.picture(number)[1]

    def picture(self, number: int) -> tuple[Pixels, Shown]:
        """Draw a variation: (S, S, 3) uint8 RGB, and what it shows."""
        index, view = divmod(number, self.views)
        face = self.items[index].face()
        if self._plain(view):
            return face.crop, Shown()
        marks = None if face.landmarks is None else face.landmarks_in_crop
        made = augment(face.crop, None, (self.seed, index, view), RECIPES[self.augment], marks)
        return made.pixels, Shown("flip" in made.steps, made.hidden)

    def key(self, number: int) -> str:
        """Name a picture by text that changes with anything that changes it.

        The aligned face's file is named by the content of its photograph, its folder by how it was
        aligned.
        """
        index, view = divmod(number, self.views)
        path = self.items[index].path
        content = f"{path.parent.parent.name}/{path.stem}"
        if self._plain(view):
            return content
        return f"{content}/{self.seed}/{index}/{view}/{astuple(RECIPES[self.augment])}"

    def units(
        self, number: int, shown: Shown
    ) -> tuple[tuple[UnitLabel, ...] | None, frozenset[str]]:
        """List the action units as this variation shows them, and its covered regions.

        Units are None where they were not coded, or where something covers an unknown part.
        """
        sample = self.items[number // self.views].sample
        covered = hidden_in(sample)
        if covered is None or sample.units is None:
            return None, frozenset()
        units = tuple(u.mirrored() if shown.flipped else u for u in sample.units)
        return units, covered | shown.hidden

    def _plain(self, view: int) -> bool:
        return view == 0 or RECIPES[self.augment] == NOTHING


class ShownLater(Sequence[Shown]):
    """What each picture of a gallery shows, drawn when it is first asked for."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self._known: dict[int, Shown] = {}

    def __len__(self) -> int:
        return len(self.gallery)

    def __getitem__(self, number: Any) -> Any:
        if number not in self._known:
            self._known[number] = self.gallery.show(number)
        return self._known[number]

    def draw(self, numbers: Iterable[int], workers: int) -> None:
        """Draw the pictures with these numbers in so many processes."""
        new = [number for number in numbers if number not in self._known]
        made = loaded(self.gallery.show, new, workers)
        self._known |= dict(zip(new, made, strict=True))


@dataclass(frozen=True)
class Example:
    """One question about one variation of a face.

    `number` is that of `Gallery`; `task` is label, explanation or vqa; `prompt` is not yet in the
    format of a family of models.
    """

    number: int
    task: str
    prompt: str
    answer: str


@dataclass(frozen=True, eq=False)
class Conversation:
    """Makes the turns of an epoch, a function of its fields and the epoch's predictions.

    Attributes:
        gallery: N faces.
        shown: of every variation.
        truths: (N,) labels of the faces; used as answers only.
        stage: "compound" or "basic".
        tasks: which of label, explanation and vqa.
        questions: a face.
        house: share of explanations asked for without a label.
        template: of the others.
        seed: of the wording.
    """

    gallery: Gallery
    shown: Sequence[Shown]
    truths: Sequence[str | None]
    stage: str = "compound"
    tasks: Sequence[str] = ("label", "explanation", "vqa")
    questions: int = 2
    house: float = 0.2
    template: str = "plain"
    seed: int = 0

    def examples(
        self, epoch: int, predicted: Sequence[str], order: Iterable[int] | None = None
    ) -> list[Example]:
        """Make all examples of an epoch, in the order of the faces.

        Args:
            epoch: decides the variations and the wording.
            predicted: (N,) the model's own label for each face.
            order: faces that come, None for each once; one that comes again is varied anew.
        """
        ledger = Ledger()
        made: list[Example] = []
        for index, number in self.numbers(epoch, order):
            made += self.label_example(index, number, epoch)
            made += self.explanation_example(number, epoch, predicted[index])
            made += self.question_examples(number, epoch, ledger)
        return made

    def numbers(self, epoch: int, order: Iterable[int] | None = None) -> Iterator[tuple[int, int]]:
        """Give the faces of an epoch with the numbers of their variations."""
        turns: Counter[int] = Counter()
        for index in range(len(self.gallery.items)) if order is None else order:
            yield index, self.gallery.number(index, epoch + turns[index])
            turns[index] += 1

    def label_example(self, index: int, number: int, epoch: int) -> list[Example]:
        """Ask for the label, if the stage knows it; for the two emotions of a compound in turn."""
        truth = self.truths[index]
        if "label" not in self.tasks or truth is None:
            return []
        if self.stage == "basic":
            parts = components(truth)
            answers = parts[epoch % len(parts) :][:1] if parts else ()
        else:
            answers = (truth,) if truth in COMPOUNDS else ()
        prompt = prompts.guard(PROMPTS[self.stage], truth)
        return [Example(number, "label", prompt, answer) for answer in answers]

    def explanation_example(self, number: int, epoch: int, predicted: str) -> list[Example]:
        """Ask for the explanation of the predicted label, or for a description without one."""
        units, hidden = self.gallery.units(number, self.shown[number])
        if "explanation" not in self.tasks or units is None:
            return []
        key = f"{self.seed}/{epoch}/{number}"
        label = None if random.Random(f"house/{key}").random() < self.house else predicted
        text = captions.explain(units, label, key, TRAINING, hidden)
        if text is None:
            return []
        return [Example(number, "explanation", explanation_prompt(label, self.template), text.text)]

    def question_examples(self, number: int, epoch: int, ledger: Ledger) -> Iterator[Example]:
        """Ask some of the questions that this picture answers."""
        if "vqa" not in self.tasks or not self.questions:
            return
        rng = random.Random(f"ask/{self.seed}/{epoch}/{number}")
        units, hidden = self.gallery.units(number, self.shown[number])
        items = Asker(ledger, rng, TRAINING).ask(units, hidden)
        for item in rng.sample(items, min(self.questions, len(items))):
            yield Example(number, "vqa", item.question, item.answer)


def explanation_prompt(label: str | None, template: str = "plain") -> str:
    """Write the app's prompt for a predicted label; without one that for a description."""
    if label is None:
        return prompts.HOUSE
    return prompts.TEMPLATES[template].format(label=label, context="")
