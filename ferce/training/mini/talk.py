"""Teach a small FastVLM to answer, describe and name, on what its frozen tower sees."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL, NOUNS, components
from ferce.models import prompts
from ferce.training import progress
from ferce.training.language.rows import IGNORED, Row, Tokeniser, grouped
from ferce.training.language.turns import Turn
from ferce.training.mini import chat, code, jitter, lines
from ferce.training.mini.album import Album
from ferce.training.mini.course import Course, Pace

TOLD = 0.3  # weight of the action units that the projected tokens are to tell
REAL = 4  # every so many rounds are about real faces
NAMED = (*COMPOUNDS, *BASICS, *BASICS, NEUTRAL)  # labels that explanations are asked for
BATCH = 64  # pictures that the tower sees at once
Module: Any = torch.nn.Module


class Talker(Module):  # type: ignore[misc]
    """What learns: projector, language model, and a read-out of the facts from what it is given."""

    def __init__(self, network: Any) -> None:
        """`network` is a FastVLM, whose parts learn in place."""
        super().__init__()
        self.projector = network.model.multi_modal_projector
        self.language = network.model.language_model
        self.image = network.config.image_token_id
        self.facts = torch.nn.Linear(chat.WIDTH, code.FACTS)
        with torch.no_grad():
            self.facts.bias.fill_(-2.0)

    def forward(self, seen: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """(N,) mean negative log-likelihood of each row's answer, and (N, FACTS) scores.

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


class ChatTokeniser(Tokeniser):
    """Rows exactly as `backends.chat` reads prompts and scores answers."""

    def __init__(self, backend: Any) -> None:
        """`backend` is a `chat.Chat`."""
        self.backend, self.inner, self.causal = backend, backend.processor.tokenizer, True
        self.image, self.queries = backend.network.config.image_token_id, chat.PLACES
        self.limit = backend.network.config.text_config.max_position_embeddings
        self._prompts: dict[str, tuple[int, ...]] = {}

    def prompt(self, text: str) -> tuple[int, ...]:
        """Ids of a prompt, the picture's placeholders among them."""
        asked = self.backend.question(text)
        if asked not in self._prompts:
            turn = prompts.messages(asked)
            said = self.backend.processor.apply_chat_template(turn, tokenize=False)
            ids = self.inner(said.replace(chat.IMAGE, chat.IMAGE * self.queries))["input_ids"]
            self._prompts[asked] = tuple(ids)
        return self._prompts[asked]


@dataclass(frozen=True, eq=False)
class Round:
    """Rows of steps about some faces: `seen` (2 n, P, D) and `facts` (2 n, FACTS) by row number."""

    rows: list[list[Row]]
    seen: Any
    facts: Any


def teach(
    backend: Any,
    albums: Mapping[str, Album],
    pace: Pace,
    path: Path,
    report: progress.Report = progress.silent,
    judge: Any = None,
) -> None:
    """Teach the network of a `chat.Chat`, from `path` on where that is a checkpoint.

    Args:
        backend: around a network of `chat.fresh`.
        albums: "renders" and "faces".
        pace: how long.
        path: the checkpoint.
        report: takes a line every few minutes.
        judge: called with the averaged weights in place; its text is reported.
    """
    torch.manual_seed(pace.seed)
    backend.network.requires_grad_(False)
    net = Talker(backend.network).requires_grad_(True)
    course = Course(net, pace, path)
    if course.resume():
        report(f"talk: going on from step {course.step}")
    stream, sums, begun = steps(backend, albums, pace, course.step), np.zeros(3), time.monotonic()
    while not course.done:
        seen, facts, batch = next(stream)
        said, told = net(seen, batch)
        known = ~facts.isnan()
        wrong = functional.binary_cross_entropy_with_logits(told[known], facts[known])
        (said.mean() + TOLD * wrong).backward()
        course.advance()
        sums += (said.mean().item(), wrong.item(), 1)
        if course.due:
            course.save()
            with course.ema.used():
                judged = judge() if judge else ""
            speed = sums[2] / (time.monotonic() - begun)
            report(
                f"talk step {course.step}: said {sums[0] / sums[2]:.4f}, facts "
                f"{sums[1] / sums[2]:.4f}, {speed:.2f} steps/s; {judged}"
            )
            sums, begun = np.zeros(3), time.monotonic()
    course.finish()
    backend.network.eval()


def steps(
    backend: Any, albums: Mapping[str, Album], pace: Pace, first: int = 0
) -> Iterator[tuple[Any, Any, Mapping[str, Any]]]:
    """Features, facts and rows of each step from number `first` on, without end."""
    tokeniser, step, number = ChatTokeniser(backend), 0, 0
    while True:
        made = turns(albums, number, pace.seed)
        order = grouped([len(t.answer) for t in made.turns], pace.batch, (pace.seed, number))
        if step + len(order) > first:
            album = _album(albums, number)
            seen, facts = look(backend.network, album, made.faces, (pace.seed, number))
            for place, members in enumerate(order):
                if step + place >= first:
                    rows = [tokeniser.row(made.turns[i]) for i in members]
                    some = torch.tensor([row.turn.number for row in rows])
                    yield seen[some], facts[some], tokeniser.batch(rows, backend.device)
        step, number = step + len(order), number + 1


def turns(albums: Mapping[str, Album], number: int, seed: int) -> lines.Round:
    """What is asked and answered in a round; the true labels only as answers."""
    album = _album(albums, number)
    made = lines.spoken(album, album.where("train"), number, seed, NAMED)
    more = []
    for place, index in enumerate(made.faces):
        label, view = album.samples[index].label, 2 * place + number % 2
        if label is not None:
            more += [Turn(view, "label", *pair) for pair in _named(label)]
    return lines.Round(made.faces, [*made.turns, *more])


def _named(label: str) -> Iterator[tuple[str, str]]:
    """The label as the answer to each question that asks for it."""
    parts = [NOUNS[part] for part in components(label)]
    if len(parts) > 1:
        yield prompts.CLASSIFY, label
    known = label if len(parts) > 1 else parts[0] if parts else "a neutral face"
    yield prompts.QUESTIONNAIRE[0], f"It resembles {known}."
    none = "None: the face is at rest." if not parts else f"One emotion shows: {parts[0]}."
    both = " and ".join(parts).capitalize()
    yield prompts.QUESTIONNAIRE[1], f"{both}." if len(parts) > 1 else none


def look(network: Any, album: Album, faces: Any, seed: tuple[int, int]) -> tuple[Any, Any]:
    """(2 n, P, D) features of each face as it is and mirrored, varied, and their facts."""
    told = code.facts([album.samples[i] for i in faces])
    flags = torch.arange(2 * len(faces)) % 2 == 1
    facts = code.mirrored(told.repeat_interleave(2, 0), flags)
    dice = torch.Generator().manual_seed(seed[0] * 1_000_003 + seed[1])
    rows = []
    for start in range(0, len(flags), BATCH):
        own = flags[start : start + BATCH]
        numbers = [faces[k // 2] for k in range(start, start + len(own))]
        pixels = torch.from_numpy(np.stack([album.pixels[i] for i in numbers]))
        images, turned = jitter.varied(pixels, chat.SIDE, dice)
        wrong = (turned != own)[:, None, None, None]
        rows.append(chat.features(network, torch.where(wrong, images.flip(-1), images)))
    return torch.cat(rows), facts


def _album(albums: Mapping[str, Album], number: int) -> Album:
    return albums["faces"] if number % REAL == REAL - 1 else albums["renders"]
