"""How much faster and smaller this fine-tuning is than the plain recipe, on the same texts.

The plain recipe is what PEFT's BLIP-2 example does, mended so that it sees the picture and spares
the prompt: at each step the whole network runs, rows are padded to the longest of the batch, and
logits are made for every token. Each side runs in a process of its own, as memory that was once
used shows for ever. On a CPU both take their steps by turns, so that a busy machine slows both; on
a GPU, which might not hold both, one after the other.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Self

from ferce.training.language.bench import Bench, Speed
from ferce.training.language.plan import LanguagePlan

SIDES = ("ours", "plain")
SAME = 1e-3  # largest relative difference of the losses that must be the same
ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Comparison:
    """Both sides on the same machine."""

    ours: Speed
    plain: Speed

    @property
    def faster(self) -> float:
        """Samples a second of ours over the plain recipe's."""
        return self.ours.samples / self.plain.samples

    @property
    def smaller(self) -> float:
        """Peak memory of ours over the plain recipe's."""
        return self.ours.memory / self.plain.memory

    @property
    def apart(self) -> float:
        """Largest relative difference of the losses of the checked steps."""
        pairs = zip(self.ours.losses, self.plain.losses, strict=True)
        return max(abs(one - other) / abs(other) for one, other in pairs)

    def table(self) -> str:
        """Write the comparison as Markdown."""
        lines = [
            "| recipe | samples/s | per processor second | peak MB | encoding once, s | padding "
            "| mean loss |",
            "|---|--:|--:|--:|--:|--:|--:|",
        ]
        for name, side in (("ours", self.ours), ("plain", self.plain)):
            lines.append(
                f"| {name} | {side.samples:.1f} | {side.processor:.1f} | {side.memory / 1e6:.0f} "
                f"| {side.once:.1f} | {side.padding:.0%} | {side.loss:.3f} |"
            )
        processor = self.ours.processor / self.plain.processor
        lines += [
            f"| ratio | {self.faster:.2f} | {processor:.2f} | {self.smaller:.2f} | | | |",
            "",
            f"losses of {len(self.ours.losses)} steps on the same texts without dropout: within "
            f"{self.apart:.1e} of each other",
        ]
        return "\n".join(lines)


def compare(
    plan: LanguagePlan, base: Path | None = None, steps: int = 40, turns: int = 10
) -> Comparison:
    """Run both sides, each in a process of its own.

    Args:
        plan: what would be trained.
        base: folder of the base in place of the plan's.
        steps: to measure, of `plan.batch` texts.
        turns: into which the steps are cut on a CPU.

    Raises:
        RuntimeError: a side failed, and the message ends with what it said; or their losses differ.
    """
    import torch

    from ferce.training.language import export

    together = plan.device == "cpu" or not torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as folder:
        fresh = replace(plan, feature_cache=f"{folder}/features", max_steps=0)
        where = str(base or export.origin(fresh).folder)
        fresh = replace(fresh, base=where)
        groups = [SIDES] if together else [(side,) for side in SIDES]
        speeds: dict[str, Speed] = {}
        for group in groups:
            speeds |= _by_turns(group, fresh, steps, min(turns, steps))
    made = Comparison(**speeds)
    if made.apart > SAME:
        raise RuntimeError(f"The losses of the sides differ by {made.apart:.1e}, not {SAME}.")
    return made


def _by_turns(sides: Sequence[str], plan: LanguagePlan, steps: int, turns: int) -> dict[str, Speed]:
    with ExitStack() as stack:
        opened: dict[str, _Apart] = {}
        for side in sides:  # the next begins when this one is ready: encoding is timed
            opened[side] = stack.enter_context(_Apart(side, plan, steps))
            opened[side].wait()
        for turn in range(turns):
            for one in opened.values():
                one.go(steps * (turn + 1) // turns - steps * turn // turns)
        return {side: one.finish() for side, one in opened.items()}


class _Apart:
    """A side in a process of its own, which takes as many steps as it is asked for."""

    def __init__(self, side: str, plan: LanguagePlan, steps: int) -> None:
        self.side = side
        self.command = [sys.executable, "-m", "ferce.training.language.throughput", side]
        self.command += [json.dumps(asdict(plan)), str(steps)]

    def __enter__(self) -> Self:
        self._said: IO[str] = tempfile.TemporaryFile("w+")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self.command, stdin=pipe, stdout=pipe, stderr=self._said, text=True, cwd=ROOT
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def wait(self) -> None:
        """Wait until it is ready."""
        self._answer()

    def go(self, count: int) -> None:
        """Let it take so many steps."""
        self._ask(str(count))
        self._answer()

    def finish(self) -> Speed:
        """Give what it measured."""
        self._ask("")
        return Speed(**json.loads(self._answer()))

    def _ask(self, what: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(ANSWER):
                return line.removeprefix(ANSWER)
        self._said.seek(0)
        raise RuntimeError(f"The side {self.side!r} failed: {self._said.read()[-1500:]}")


ANSWER = "throughput: "  # begins a line that is meant for the other process


def _serve(side: str, plan: LanguagePlan, steps: int) -> None:
    """Take steps as they are asked for on standard input; an empty line ends it."""
    with Bench(side, plan, steps) as bench:
        sys.stdout.write(f"{ANSWER}\n")
        sys.stdout.flush()
        for line in iter(sys.stdin.readline, "\n"):
            bench.go(int(line))
            sys.stdout.write(f"{ANSWER}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{ANSWER}{json.dumps(asdict(bench.speed()))}\n")


if __name__ == "__main__":
    _serve(sys.argv[1], LanguagePlan(**json.loads(sys.argv[2])), int(sys.argv[3]))
