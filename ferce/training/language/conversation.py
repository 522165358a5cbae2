"""What is asked and answered in training: labels, explanations, questions.

The label task alone knows the true labels, and only as answers. Explanations carry the label that
the model itself predicts, in prompt and answer alike, and tell how the coded action units fit that
label; so an explanation is the same text whatever the truth is, and nothing of it can leak.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ferce.core.labels import BASICS, COMPOUNDS, components
from ferce.data import captions
from ferce.data.families import TRAINING
from ferce.data.questions import Asker, Ledger
from ferce.models import prompts
from ferce.training.language.gallery import Gallery, Shown

BASIC = "Which basic emotion does the expression of this face resemble?"
PROMPTS = {"compound": prompts.CLASSIFY, "basic": BASIC}
PHRASES = {"compound": COMPOUNDS, "basic": BASICS}


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
    """Write the app's prompt for a predicted label; the house prompt without one."""
    if label is None:
        return prompts.HOUSE
    return prompts.TEMPLATES[template].format(label=label, context="")
