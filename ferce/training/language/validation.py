"""What a fine-tuned BLIP-2 says of the validation faces: labels, loss, explanations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS, components
from ferce.data import captions
from ferce.data.families import REFERENCE
from ferce.evaluation import metrics
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.models.vlm.base import EXPLANATION_TOKENS
from ferce.training.classifier.validation import Outputs
from ferce.training.examples import targets
from ferce.training.language.conversation import PHRASES, PROMPTS, Conversation, explanation_prompt
from ferce.training.language.features import FeatureSource
from ferce.training.language.loss_model import FeatureBlip2
from ferce.training.language.rows import Row
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from accelerate import Accelerator

REFERENCES = 3  # texts of other wording that an explanation is compared with
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """An explanation as it was generated, for people to look at."""

    name: str
    predicted: str
    text: str

    def __str__(self) -> str:
        return f"  {self.name} [{self.predicted}] {self.text}"


@dataclass(frozen=True, eq=False)
class Validator:
    """Measures a model on faces that it does not learn from; every process makes one.

    Attributes:
        backend: the model.
            source: of the faces, as they are.
        conversation: of the faces; its truths are the true ones.
        accelerator: the processes share the faces.
        batch: texts in one pass.
    """

    backend: FeatureBlip2
    source: FeatureSource
    conversation: Conversation
    accelerator: "Accelerator"
    batch: int

    def scores(self) -> Values:
        """(N, K) log-likelihoods of the stage's labels."""
        return score(self.backend, self.source, self.conversation.stage, 0, self.accelerator)

    def measure(self, faces: int, samples: int) -> tuple[dict[str, float], list[Sample]]:
        """Figures by name, and `samples` of the `faces` explanations that ROUGE-L is taken of."""
        found = self.scores()
        predicted = [PHRASES[self.conversation.stage][k] for k in found.argmax(1)]
        figures = {"val": self.label_score(found), **self._losses(predicted)}
        if "explanation" not in self.conversation.tasks or not faces:
            return figures, []
        values, shown = self._explanations(predicted, faces)
        return figures | {"val_rouge_l": float(values.mean())}, shown[:samples]

    def outputs(self) -> Outputs:
        """Scores of the compounds beside the truth, to be measured as those of a classifier are."""
        items, found = self.conversation.gallery.items, self.scores()
        unknown = np.full((len(items), len(UNIT_NUMBERS)), np.nan)
        wanted = targets(items, COMPOUNDS).astype(np.float64)
        return Outputs(COMPOUNDS, found, wanted, None, unknown)

    def label_score(self, found: Values) -> float:
        """Macro-F1 over the compounds; in the stage of basic emotions the share of each face's.

        NaN where no face has a label of the stage.
        """
        truths, stage = self.conversation.truths, self.conversation.stage
        if stage == "compound":
            rows = [i for i, truth in enumerate(truths) if truth in COMPOUNDS]
            if not rows:
                return float("nan")
            wanted = np.array([COMPOUNDS.index(str(truths[i])) for i in rows])
            return metrics.macro_f1(wanted, found[rows].argmax(1), len(COMPOUNDS))
        shares = []
        for truth, row in zip(truths, found, strict=True):
            parts = components(truth) if truth else ()
            best = [PHRASES[stage][k] for k in np.argsort(-row, kind="stable")[: len(parts)]]
            shares += [len(set(parts) & set(best)) / len(parts)] if parts else []
        return float(np.mean(shares)) if shares else float("nan")

    def _losses(self, predicted: Sequence[str]) -> dict[str, float]:
        """Mean loss of the answers, of each task and of all by their weight of one."""
        rows = [
            self.backend.tokeniser.row(turn) for turn in self.conversation.examples(0, predicted)
        ]
        rows.sort(key=lambda row: row.length)
        found = spread(len(rows), 1, lambda some: self._loss(rows, some), self.accelerator)[:, 0]
        told = {"val_loss": float(found.mean())}
        for task in self.conversation.tasks:
            mine = [
                value for row, value in zip(rows, found, strict=True) if row.example.task == task
            ]
            told |= {f"val_loss_{task}": float(np.mean(mine))} if mine else {}
        return told

    def _loss(self, rows: Sequence[Row], some: Sequence[int]) -> Values:
        found = []
        for start in range(0, len(some), self.batch):
            part = [rows[i] for i in some[start : start + self.batch]]
            batch = self.backend.tokeniser.batch(part, self.backend.device)
            batch |= self.source([row.example.number for row in part])
            with torch.no_grad():
                found.append(self.backend.loss_model(batch).float().cpu().numpy())
        return np.asarray(np.concatenate(found)[:, None], np.float64)

    def _explanations(self, predicted: Sequence[str], faces: int) -> tuple[Values, list[Sample]]:
        """(n,) ROUGE-L against texts in other words on the same label and units, and the texts."""
        shown: list[Sample] = []
        told = [i for i in range(len(predicted)) if self._coded(i)]
        chosen = told[:: max(1, len(told) // faces)][:faces]

        def explain(some: Sequence[int]) -> Values:
            mine = [chosen[i] for i in some]
            prompts = [explanation_prompt(predicted[i], self.conversation.template) for i in mine]
            texts = self.backend.say(mine, self.source, prompts, EXPLANATION_TOKENS)
            for i, text in zip(mine, texts, strict=True):
                shown.append(Sample(self._name(i), predicted[i], text))
            references = [self._references(i, predicted[i]) for i in mine]
            return rouge_l(texts, references)[:, None]

        return spread(len(chosen), 1, explain, self.accelerator)[:, 0], shown

    def _coded(self, index: int) -> bool:
        return self.conversation.gallery.units(index, self.source.shown[index])[0] is not None

    def _name(self, index: int) -> str:
        return self.conversation.gallery.items[index].sample.name

    def _references(self, index: int, label: str) -> tuple[str, ...]:
        units, _ = self.conversation.gallery.units(index, self.source.shown[index])
        return captions.references(units, label, REFERENCE, REFERENCES)


def rouge_l(texts: Sequence[str], references: Sequence[Sequence[str]]) -> Values:
    """(N,) ROUGE-L F1 0..1, words not stemmed, best over a text's references (Lin 2004).

    Raises:
        TrainingError: rouge-score is not installed.
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]
    except ImportError as error:
        raise TrainingError(
            "ROUGE-L needs rouge-score; install train/requirements.txt, or give --rouge-faces 0."
        ) from error
    scorer = RougeScorer(["rougeL"])
    rows = [scorer.score_multi(r, text) for text, r in zip(texts, references, strict=True)]
    return np.array([row["rougeL"].fmeasure for row in rows], np.float64)


def score(
    backend: FeatureBlip2, source: FeatureSource, stage: str, epoch: int, accelerator: "Accelerator"
) -> Values:
    """(N, K) log-likelihoods of a stage's labels for each face in its variation of an epoch."""
    prompt, phrases = PROMPTS[stage], PHRASES[stage]

    def of(some: Sequence[int]) -> Values:
        numbers = [source.gallery.number(i, epoch) for i in some]
        return backend.score(numbers, source, prompt, phrases)

    return spread(len(source.gallery.items), len(phrases), of, accelerator)


def spread(
    count: int, columns: int, compute: Callable[[Sequence[int]], Values], accelerator: "Accelerator"
) -> Values:
    """(count, columns) values that the processes compute together, each its share of the rows."""
    rank, world = accelerator.process_index, accelerator.num_processes
    mine = list(range(rank, count, world))
    rows = torch.full((-(-count // world), 1 + columns), -1.0, dtype=torch.float32)
    if mine:
        rows[: len(mine), 0] = torch.tensor(mine, dtype=torch.float32)
        rows[: len(mine), 1:] = torch.from_numpy(np.asarray(compute(mine), np.float32))
    whole = accelerator.gather(rows.to(accelerator.device)).cpu().double().numpy()
    whole = whole[whole[:, 0] >= 0]
    return np.asarray(whole[np.argsort(whole[:, 0]), 1:])


def shuffled(truths: Sequence[str | None], seed: int) -> list[str | None]:
    """The labels among the labelled faces permuted: nothing of a face tells its label any more."""
    known = [i for i, truth in enumerate(truths) if truth is not None]
    order = np.random.default_rng((seed, len(truths))).permutation(known)
    made = list(truths)
    for place, origin in zip(known, order, strict=True):
        made[place] = truths[origin]
    return made
