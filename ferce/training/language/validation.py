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
from ferce.models.vlm.prompted import EXPLANATION_TOKENS
from ferce.training.classifier.validation import Outputs
from ferce.training.examples import targets
from ferce.training.language.conversation import PHRASES, PROMPTS, Conversation, explanation_prompt
from ferce.training.language.features import FeatureSource
from ferce.training.language.learner import Learner
from ferce.training.language.rows import Row
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from accelerate import Accelerator
    from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]

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

    backend: Learner
    source: FeatureSource
    conversation: Conversation
    accelerator: "Accelerator"
    batch: int

    def scores(self) -> Values:
        """Compute (N, K) log-likelihoods of the stage's labels."""
        return score(self.backend, self.source, self.conversation.stage, 0, self.accelerator)

    def measure(self, faces: int, samples: int) -> tuple[dict[str, float], list[Sample]]:
        """Measure figures by name; gives `samples` of the `faces` explained for ROUGE-L, too."""
        scores = self.scores()
        predicted = [PHRASES[self.conversation.stage][k] for k in scores.argmax(1)]
        figures = {"val": self.label_score(scores), **self._losses(predicted)}
        if "explanation" not in self.conversation.tasks or not faces:
            return figures, []
        values, shown = self._explanations(predicted, faces)
        return figures | {"val_rouge_l": float(values.mean())}, shown[:samples]

    def outputs(self) -> Outputs:
        """Score the compounds beside the truth, to be measured as a classifier is."""
        items, scores = self.conversation.gallery.items, self.scores()
        unknown = np.full((len(items), len(UNIT_NUMBERS)), np.nan)
        wanted = targets(items, COMPOUNDS).astype(np.float64)
        return Outputs(COMPOUNDS, scores, wanted, None, unknown)

    def label_score(self, scores: Values) -> float:
        """Compute macro-F1 of compounds; in the basic stage the share of each face's emotions.

        NaN where no face has a label of the stage.
        """
        truths, stage = self.conversation.truths, self.conversation.stage
        if stage == "compound":
            rows = [i for i, truth in enumerate(truths) if truth in COMPOUNDS]
            if not rows:
                return float("nan")
            wanted = np.array([COMPOUNDS.index(str(truths[i])) for i in rows])
            return metrics.macro_f1(wanted, scores[rows].argmax(1), len(COMPOUNDS))
        shares = []
        for truth, row in zip(truths, scores, strict=True):
            parts = components(truth) if truth else ()
            best = [PHRASES[stage][k] for k in np.argsort(-row, kind="stable")[: len(parts)]]
            shares += [len(set(parts) & set(best)) / len(parts)] if parts else []
        return float(np.mean(shares)) if shares else float("nan")

    def _losses(self, predicted: Sequence[str]) -> dict[str, float]:
        """Measure the mean loss of the answers, of each task and of all."""
        rows = [
            self.backend.tokeniser.row(turn) for turn in self.conversation.examples(0, predicted)
        ]
        rows.sort(key=lambda row: row.length)
        losses = spread(len(rows), 1, lambda some: self._loss(rows, some), self.accelerator)[:, 0]
        figures = {"val_loss": float(losses.mean())}
        for task in self.conversation.tasks:
            mine = [
                value for row, value in zip(rows, losses, strict=True) if row.example.task == task
            ]
            figures |= {f"val_loss_{task}": float(np.mean(mine))} if mine else {}
        return figures

    def _loss(self, rows: Sequence[Row], some: Sequence[int]) -> Values:
        losses = []
        for start in range(0, len(some), self.batch):
            part = [rows[i] for i in some[start : start + self.batch]]
            batch = self.backend.tokeniser.batch(part, self.backend.device)
            batch |= self.source([row.example.number for row in part])
            with torch.no_grad():
                losses.append(self.backend.loss_model(batch).float().cpu().numpy())
        return np.asarray(np.concatenate(losses)[:, None], np.float64)

    def _explanations(self, predicted: Sequence[str], faces: int) -> tuple[Values, list[Sample]]:
        """Explain n faces; gives (n,) ROUGE-L against other wordings on the same facts."""
        shown: list[Sample] = []
        coded = [i for i in range(len(predicted)) if self._coded(i)]
        chosen = coded[:: max(1, len(coded) // faces)][:faces]

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
    """Compute (N,) ROUGE-L F1 0..1, unstemmed, best over a text's references (Lin 2004)."""
    scorer = rouge_scorer()
    rows = [scorer.score_multi(r, text) for text, r in zip(texts, references, strict=True)]
    return np.array([row["rougeL"].fmeasure for row in rows], np.float64)


def rouge_scorer() -> "RougeScorer":
    """Make the scorer of ROUGE-L.

    Raises:
        TrainingError: rouge-score is not installed.
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise TrainingError(
            "ROUGE-L needs rouge-score; install train/requirements.txt, or give --rouge-faces 0."
        ) from error
    return RougeScorer(["rougeL"])


def score(
    backend: Learner, source: FeatureSource, stage: str, epoch: int, accelerator: "Accelerator"
) -> Values:
    """Compute (N, K) log-likelihoods of a stage's labels for the faces' variations of an epoch."""
    prompt, phrases = PROMPTS[stage], PHRASES[stage]

    def of(some: Sequence[int]) -> Values:
        numbers = [source.gallery.number(i, epoch) for i in some]
        return backend.score(numbers, source, prompt, phrases)

    return spread(len(source.gallery.items), len(phrases), of, accelerator)


def spread(
    count: int, columns: int, compute: Callable[[Sequence[int]], Values], accelerator: "Accelerator"
) -> Values:
    """Compute (count, columns) values on all processes, each its share of the rows."""
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
    """Permute the labels among the labelled faces."""
    known = [i for i, truth in enumerate(truths) if truth is not None]
    order = np.random.default_rng((seed, len(truths))).permutation(known)
    made = list(truths)
    for place, origin in zip(known, order, strict=True):
        made[place] = truths[origin]
    return made
