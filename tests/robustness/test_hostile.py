"""Broken files of every accepted kind, huge prompts and strings that want to be markup.

FERCE_MUTANTS=1000 python -m pytest -m slow -s tests/robustness/test_hostile.py

makes so many files (200 by default), the same with the same FERCE_SEED; FERCE_KEPT=FOLDER keeps
those that fell. Each is taken by a process of its own kind, which must neither die nor take longer
than `LIMIT`, and answer by reading or by one sentence.
"""

import multiprocessing
import os
import random
import shutil
import time
from collections import Counter
from pathlib import Path

import hostile_jobs
import pytest
import report_fixtures as known
from harmless import harmless
from mutants import MARKUP, inside, mutated

from ferce.core.parts import Answer, Cue, Explanation, Report
from ferce.models import prompts, spec
from ferce.report.page import HtmlWriter
from ferce.report.text import inline
from ferce.ui.web import markup
from ferce.ui.web.models import _check_free
from ferce.ui.web.panels import batch, choices, compare, models, questions, why

MUTANTS = int(os.environ.get("FERCE_MUTANTS", "200"))
SEED = int(os.environ.get("FERCE_SEED", "0"))
STEERING = {"\x1b", "\0", "\u202e", "\u2066"}  # a terminal, or the writing direction
LIMIT = 60.0  # seconds for one file, on a busy machine


class Taker:
    """A process that takes files; another one follows where it died or took too long."""

    def __init__(self, place):
        self.place = place
        self._begin()

    def _begin(self):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["hostile_jobs"])
        self.mine, theirs = context.Pipe()
        self.process = context.Process(
            target=hostile_jobs.serve, args=(theirs, str(self.place)), daemon=True
        )
        self.process.start()
        theirs.close()
        assert self.mine.recv() == "ready"

    def take(self, kind, path):
        """What became of a file."""
        self.mine.send((kind, str(path)))
        try:
            if self.mine.poll(LIMIT):
                return self.mine.recv()
            outcome = f"took more than {LIMIT:.0f} s"
        except EOFError:
            self.process.join()
            outcome = f"ended the process with {self.process.exitcode}"
        self.process.kill()
        self.process.join()
        self._begin()
        return outcome

    def end(self):
        self.mine.send(None)
        self.process.join()


@pytest.mark.slow
def test_mutated_files(tmp_path):
    good = hostile_jobs.good(tmp_path)
    taker, outcomes, fallen, slowest = Taker(tmp_path), Counter(), [], 0.0
    for number in range(MUTANTS):
        rng = random.Random(f"{SEED} {number}")
        kind = list(good)[number % len(good)]
        name, data, text = rng.choice(good[kind])
        zipped = kind == "archive" and rng.random() < 0.5
        data = inside(data, rng) if zipped else mutated(data, rng, text)
        path = tmp_path / (f"{number}.{name}" if kind in SINGLE else f"{name}--{number}")
        path.write_bytes(data)
        begun = time.monotonic()
        outcome = taker.take(kind, path)
        slowest = max(slowest, time.monotonic() - begun)
        outcomes[kind, outcome if outcome in ("read", "refused") else "fell"] += 1
        if outcome not in ("read", "refused"):
            fallen.append(f"{number} {kind} {name}: {outcome}")
            keep(path, data)
        shutil.rmtree(path.with_suffix(".folder"), ignore_errors=True)
    taker.end()
    print(f"\n{MUTANTS} files, the slowest {slowest:.1f} s")
    for (kind, outcome), count in sorted(outcomes.items()):
        print(f"  {kind}: {count} {outcome}")
    assert not fallen, "\n".join(fallen)


SINGLE = ("picture", "clip", "archive", "table", "journal")


def keep(path, data):
    """Keep what fell where somebody wants to look at it."""
    if folder := os.environ.get("FERCE_KEPT"):
        (Path(folder) / path.name).write_bytes(data)


# ---- strings ----


@pytest.mark.parametrize("text", ["x" * 2**20, "ä\n" * 2**19, "\x00" * 2**20, "<" * 2**20])
def test_prompts_of_a_megabyte_are_refused_at_once(text):
    begun = time.monotonic()
    with pytest.raises(ValueError, match=r"at most 300|is empty"):
        prompts.question(text)
    with pytest.raises(ValueError, match=r"\w"):
        spec.parse(text)
    assert time.monotonic() - begun < 20


def test_a_megabyte_in_place_of_a_model_is_not_echoed():
    with pytest.raises(ValueError, match="is not offered here") as raised:
        _check_free("x" * 2**20, False, ("embedded",))
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("text", MARKUP)
def test_nothing_of_a_reading_is_markup(text):
    """In page and report: names, questions, answers, words, evidence, models, errors."""
    cue = Cue(text, 0, len(text), None, None, evidence=text)
    one = known.reading(
        answers=(Answer(text, text, text),), explanation=Explanation(text, text, (cue,))
    )
    with_names = [known.report(text, readings=(one, one)), Report(text, error=text)]
    for html in (
        why.draw(one), why.spoken(one.explanation, "said"), questions.draw(one),
        choices.voices([text, "measured"], text),
        models.listed([models.Row(text, "ready", True, True)], False),
        compare.sorry(text)["status"], batch._refused([(text, text)]),
        batch._row(0, text, "", one), batch._detail(0, text, "", one), markup.text(text),
    ):  # fmt: skip
        harmless(html)
        assert not STEERING & set(html)
    import io

    file = io.StringIO()
    with HtmlWriter(file, {text: text}, title=text) as writer:
        for report in with_names:
            writer.add(report)
        writer.finish()
    harmless(file.getvalue())
    assert not STEERING & set(file.getvalue())
    assert "<" not in inline(text).replace("<br>", "")
