r"""Measure ferce, for instance with `python -m train.benchmark speed`.

accuracy  models on a data set by the same evaluation, after an audit for leaks: a leaderboard with
          intervals, vision-only beside vision-language with paired differences.
              python train/benchmark.py accuracy prototypes timm:runs/classifier
              accelerate launch train/benchmark.py accuracy SPEC SPEC --data rafce:/data/RAF-CE
          After a kill the same command goes on, with any number of processes.
speed     p50 and p90 of finding faces and of whole readings on a 512 px photo, the time until
          `import ferce` returns and until the page answers, each in fresh processes; faces a second
          and memory of a classifier (--model) by batch. With --against PATH a cold process, warm
          readings and a folder (--photos) here and in another checkout, in turns, as ratios:
              git worktree add ../before 8d95db7
              python -m train.benchmark speed --against ../before --photos faces
share     processor time of a folder's predictions, and what share of it the bare passes of the
          networks take.
start     from the start of the app to its page, and from there to a first reading, asked for by a
          program; with --against here and in another checkout, in turns. Likewise:
live      frames a second of the Live tab in Chromium with a camera of its own, and the cost of one;
memory    of the app after photos, a question, the camera and a clip;
clip      a clip of an example's faces, cold on the command line and warm with its whole document.
page      from the choice of a photo to its prediction on the page, and to everything, in Chromium.
scoring   14 labels by likelihood over one shared prefix, beside 14 plain passes.
recipe    what each step of the recipe gives (action units, sampling, logit adjustment, two stages,
          ...) on rendered faces cut to the class counts of RAF-CE; goes on after a kill.
peers     photos a second and what is returned, beside face-api, human and fer, in one run:
              npm install --prefix runs/peers @vladmandic/face-api@1.7.15 @vladmandic/human@3.3.6 \
                  @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0
              python3 -m venv runs/peers/fer
              runs/peers/fer/bin/pip install fer==25.10.3 "setuptools<81"
          What is not installed is skipped by name.
classifier  faces a second of training a classifier, beside a plain timm loop.
training  samples a second and memory of fine-tuning BLIP-2, beside the plain recipe.
crowd     many visitors of the default app at once, each reading, asking, comparing, reading a
          batch and a clip by turns, after one alone: p50 and p95, errors, answers of each client,
          growth of memory.
              python train/benchmark.py crowd --clients 32 --minutes 10
              python train/benchmark.py crowd --readings 10000      one photo, every tenth whole

Machines differ and are noisy: read the ratios, whose two sides are measured in one run.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from train.benchmarks import app, models, reading, training

COMMANDS = (*models.COMMANDS, *reading.COMMANDS, *app.COMMANDS, *training.COMMANDS)


def main() -> None:
    """Parse the arguments, measure, print, and write the figures where asked."""
    try:
        _main()
    except ValueError as error:  # each of ours is one clear sentence
        sys.exit(f"benchmark: {error}")


def _main() -> None:
    chosen = parser().parse_args()
    figures = chosen.run(chosen)
    if chosen.json and figures is not None:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


def parser() -> argparse.ArgumentParser:
    """Make the parser with all subcommands."""
    whole = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = whole.add_subparsers(dest="kind", required=True)
    for command in COMMANDS:
        one = kinds.add_parser(command.name, help=command.run.__doc__)
        one.set_defaults(run=command.run)
        one.add_argument("--json", type=Path, help="write the figures here as well")
        command.add(one)
    return whole


if __name__ == "__main__":
    main()
