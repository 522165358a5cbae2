"""Models side by side on a data set, and how fast a model scores labels."""

import argparse
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ferce import data, images
from ferce.models import kinds
from train.benchmarks.command import Command, add_options, add_photo


def accuracy(chosen: argparse.Namespace) -> Any:
    """Compare models on one data set."""
    data.require(chosen.data)
    kinds.check_device(chosen.device)
    from ferce.evaluation import benchmark, leaderboard_page
    from ferce.evaluation.plan import Plan, Tools, default_cache
    from ferce.evaluation.shards import Distributed

    names = ("data", "split", "detect", "draws", "seed")
    plan = Plan(**{name: getattr(chosen, name) for name in names})
    tools = Tools(chosen.cache or default_cache(), chosen.jobs, not chosen.quiet)
    distributed = Distributed.join(chosen.device)
    command = shlex.join(["python", "train/benchmark.py", *sys.argv[1:]])
    bench = benchmark.Bench(plan, chosen.output, tools, distributed, chosen.device, command)
    if chosen.fresh and distributed.first:
        benchmark.fresh(chosen.output, chosen.models)
    distributed.gather(None)
    board = benchmark.accuracy(bench, chosen.models)
    if board is None:
        return None
    leaderboard_page.write(board, chosen.output)
    print(leaderboard_page.markdown(board))
    print(f"written to {chosen.output}")
    return board.to_json()


def add_accuracy(one: argparse.ArgumentParser) -> None:
    """Add the options of `accuracy`."""
    from train.evaluate import add_shared

    one.add_argument(
        "models", nargs="+", metavar="SPEC", help="models, such as timm:runs/classifier"
    )
    one.add_argument(
        "--output",
        type=Path,
        default=Path("runs/benchmark"),
        help="folder of the results (default runs/benchmark)",
    )
    add_shared(one)


def scoring(chosen: argparse.Namespace) -> Any:
    """Compare label scoring over a shared prefix with plain passes."""
    from ferce.models import load_classifier

    crop = images.load(chosen.photo)[:512, :512]
    model: Any = load_classifier(chosen.model or "blip2-mini")
    race = model.race(crop, chosen.repeats)
    print(
        f"shared prefix {race.shared * 1e3:.1f} ms, 14 passes {race.whole * 1e3:.1f} ms: ", end=""
    )
    print(f"{race.ratio:.1f} times as fast, largest difference {race.difference:.1e}")
    return asdict(race) | {"ratio": race.ratio}


def add_scoring(one: argparse.ArgumentParser) -> None:
    """Add the options of `scoring`."""
    add_photo(one)
    add_options(
        one,
        ("repeats", 5, "measurements of each step"),
        ("model", "blip2-mini", "spec of a vision-language model"),
    )


COMMANDS = (Command(accuracy, add_accuracy), Command(scoring, add_scoring))
