"""Teach a small FastVLM to answer, describe and name, on what its frozen tower sees."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL, NOUNS, components
from ferce.models import prompts
from ferce.models.vlm.chat import Chat
from ferce.training import progress
from ferce.training.language.chat import ChatTokeniser
from ferce.training.language.conversation import Example
from ferce.training.language.rows import IGNORED
from ferce.training.mini import chat, questions, speech
from ferce.training.mini.album import Album, varied
from ferce.training.mini.stage import Schedule, StageTask, fit

if TYPE_CHECKING:
    from transformers import FastVlmForConditionalGeneration

FACTS = 0.3  # weight of the action units that the projected tokens are to tell
REAL = 2  # every so many rounds are about real faces
NAMED = (*COMPOUNDS, *BASICS, *BASICS, NEUTRAL)  # labels that explanations are asked for
BATCH = 64  # pictures that the tower sees at once


class Talker(torch.nn.Module):  # type: ignore[misc]
    """What learns: projector, language model, and a read-out of the facts from what it is given."""

    def __init__(self, network: "FastVlmForConditionalGeneration") -> None:
        """`network` is a FastVLM, whose parts learn in place."""
        super().__init__()
        self.projector = network.model.multi_modal_projector
        self.language = network.model.language_model
        self.image = network.config.image_token_id
        self.facts = torch.nn.Linear(chat.WIDTH, speech.FACTS)
        with torch.no_grad():
            self.facts.bias.fill_(-2.0)

    def forward(self, seen: Tensor, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Compute (N,) mean negative log-likelihoods of the rows' answers, and (N, FACTS) scores.

        Args:
            seen: (N, PLACES, SEEN) of the tower.
            batch: `rows.Tokeniser.batch`.
        """
        tokens = self.projector(seen)
        embed = self.language.embed_tokens
        places = (batch["input_ids"] == self.image)[..., None]
        given = embed(batch["input_ids"]).masked_scatter(places, tokens)
        read = self.language(inputs_embeds=given, attention_mask=batch["attention_mask"])
        wanted = batch["labels"][:, 1:]
        asked = wanted != IGNORED
        scores = functional.linear(read.last_hidden_state[:, :-1][asked], embed.weight)
        wrong = functional.cross_entropy(scores, wanted[asked], reduction="none")
        spread = torch.zeros(wanted.shape, dtype=wrong.dtype).masked_scatter(asked, wrong)
        return spread.sum(1) / asked.sum(1), self.facts(tokens.mean(1))


@dataclass(frozen=True, eq=False)
class Lesson:
    """Rows of a step as tensors, features (N, P, D) of the tower and facts (N, FACTS)."""

    batch: Mapping[str, Tensor]
    seen: Tensor
    facts: Tensor


class TalkTask(StageTask[Lesson]):
    """Learns to answer, describe and name on features of a frozen tower."""

    def __init__(
        self,
        backend: Chat,
        albums: Mapping[str, Album],
        schedule: Schedule,
        judge: Callable[[], str] | None,
    ) -> None:
        """`judge` is called with the averaged weights in place; its text is reported."""
        self.backend, self.albums, self.judge = backend, albums, judge
        self.tokeniser = ChatTokeniser(backend, chat.SIDE)
        backend.network.requires_grad_(False)
        self.talker = Talker(backend.network).requires_grad_(True)
        super().__init__("talk", self.talker, schedule)

    def batches(self, first: int) -> Iterator[Lesson]:
        """Make features, facts and rows of each step."""
        batch, seed, seen_of = self.schedule.batch, self.schedule.seed, -1
        make = partial(spoken, self.albums, seed=seed)
        for _, number, made, members in questions.steps_of(make, batch, seed, first):
            if seen_of != number:  # the tower reads the pictures of a round once
                album, seen_of = _album(self.albums, number), number
                seen, facts = encode_faces(self.backend.network, album, made.faces, (seed, number))
            rows = [self.tokeniser.row(made.examples[i]) for i in members]
            some = torch.tensor([row.example.number for row in rows])
            tensors = self.tokeniser.batch(rows, self.backend.device)
            yield Lesson(tensors, seen[some], facts[some])

    def loss(self, batch: Lesson) -> dict[str, Tensor]:
        """Compute negative log-likelihood of answers, and weighted cross-entropy of facts."""
        answers, scores = self.talker(batch.seen, batch.batch)
        known = ~batch.facts.isnan()
        wrong = functional.binary_cross_entropy_with_logits(scores[known], batch.facts[known])
        return {"answers": answers.mean(), "facts": FACTS * wrong}

    def describe_validation(self) -> str:
        """Ask the judge."""
        return self.judge() if self.judge else ""


def train(
    backend: Chat,
    albums: Mapping[str, Album],
    schedule: Schedule,
    folder: Path,
    report: progress.Report = progress.silent,
    judge: Callable[[], str] | None = None,
) -> None:
    """Train the network of a `Chat`, from a checkpoint if there is one.

    Args:
        backend: around a network of `chat.fresh`.
        albums: "renders" and "faces".
        schedule: how long and how fast.
        folder: of checkpoints.
        report: takes a line every few minutes.
        judge: called with the averaged weights in place; its text is reported.
    """
    torch.manual_seed(schedule.seed)
    fit(TalkTask(backend, albums, schedule, judge), folder, "cpu", report)
    backend.network.eval()


def spoken(albums: Mapping[str, Album], number: int, seed: int) -> questions.Round:
    """Make what is asked and answered in a round; the true labels only as answers."""
    album = _album(albums, number)
    made = questions.spoken(album, album.where("train"), number, seed, NAMED)
    more = []
    for place, index in enumerate(made.faces):
        label, view = album.samples[index].label, 2 * place + number % 2
        if label is not None:
            more += [Example(view, "label", *pair) for pair in _named(label)]
    return questions.Round(made.faces, [*made.examples, *more])


def _named(label: str) -> Iterator[tuple[str, str]]:
    """Answer each question that asks for the label."""
    parts = [NOUNS[part] for part in components(label)]
    if len(parts) > 1:
        yield prompts.CLASSIFY, label
    yield prompts.QUESTIONNAIRE[0], f"It looks {label}."
    none = "None: the face is at rest." if not parts else f"One emotion shows: {parts[0]}."
    both = " and ".join(parts).capitalize()
    yield prompts.QUESTIONNAIRE[1], f"{both}." if len(parts) > 1 else none


def corpus(renders: Album, seed: int) -> list[str]:
    """Collect texts that hold every word of training."""
    among = {"renders": renders, "faces": renders}
    every = [spoken(among, k, seed) for k in range(speech.CORPUS_ROUNDS)]
    own = [text for made in every for one in made.examples for text in (one.prompt, one.answer)]
    return [*speech.corpus(renders, seed), *own]


def encode_faces(
    network: "FastVlmForConditionalGeneration",
    album: Album,
    faces: NDArray[np.int64],
    seed: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Compute (2 n, P, D) features of varied faces, every second mirrored, and their facts."""
    facts = speech.facts_of([album.samples[i] for i in faces])
    flags = torch.arange(2 * len(faces)) % 2 == 1
    facts = speech.mirrored(facts.repeat_interleave(2, 0), flags)
    dice = torch.Generator().manual_seed(seed[0] * 1_000_003 + seed[1])
    rows = []
    for start in range(0, len(flags), BATCH):
        own = flags[start : start + BATCH]
        numbers = [faces[k // 2] for k in range(start, start + len(own))]
        pixels = torch.from_numpy(album.crops(numbers))
        images, turned = varied(pixels, chat.SIDE, dice)
        wrong = (turned != own)[:, None, None, None]
        rows.append(chat.features(network, torch.where(wrong, images.flip(-1), images)))
    return torch.cat(rows), facts


def _album(albums: Mapping[str, Album], number: int) -> Album:
    return albums["faces"] if number % REAL == REAL - 1 else albums["renders"]
