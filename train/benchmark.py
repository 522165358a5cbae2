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
crowd     many visitors of the default app at once, each reading, asking, comparing and reading
          batches by turns: p50 and p95, errors, answers of each client, growth of memory.
              python train/benchmark.py crowd --clients 32 --minutes 10
              python train/benchmark.py crowd --readings 10000      one photo again and again

Machines differ and are noisy: read the ratios, whose two sides are measured in one run.
"""

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce import data, images
from ferce.models import hub, kinds
from ferce.models.vlm import packaged


def speed(chosen: argparse.Namespace) -> Any:
    """Measure the latency of readings and of starting."""
    from ferce.evaluation import latency

    if chosen.against:
        return compared(chosen)
    photo = images.load(chosen.photo)
    figures = latency.speed(photo, chosen.repeats, chosen.model, chosen.voice)
    print(f"photo {photo.shape[1]} x {photo.shape[0]} px, {chosen.repeats} repeats")
    print("| step | p50 ms | p90 ms | ratio to detection |\n|---|--:|--:|--:|")
    for step in figures:
        ratio = f"{step.ratio:.2f}" if step.ratio else ""
        print(f"| {step.name} | {step.p50:.1f} | {step.p90:.1f} | {ratio} |")
    return {"steps": [asdict(step) for step in figures], "batches": throughput(chosen)}


def compared(chosen: argparse.Namespace) -> Any:
    """Measure what reading costs here and in another checkout."""
    from ferce.evaluation import against

    if not (chosen.against / "ferce").is_dir():
        raise ValueError(f"--against {chosen.against} is no checkout of ferce.")
    photos = images.find([str(chosen.photos)])[: chosen.most] if chosen.photos else []
    plan = against.Plan(
        Path(chosen.photo).resolve(),
        [path.resolve() for path in photos],
        chosen.model,
        chosen.voice,
        chosen.repeats,
    )
    pairs = against.compare(plan, chosen.against.resolve())
    print(f"{os.cpu_count()} cores, medians of {plan.turns} turns of {plan.repeats} repeats")
    print(against.table(pairs))
    return [asdict(pair) for pair in pairs]


def page(chosen: argparse.Namespace) -> Any:
    """Measure how long a photo takes on the page, in a browser."""
    from ferce.evaluation import latency

    browser = shutil.which("chromium")
    if browser is None or importlib.util.find_spec("playwright") is None:
        raise ValueError("the page is measured with chromium on the path and playwright installed")
    figures = latency.page(images.load(chosen.photo), chosen.repeats, browser)
    print(f"{os.cpu_count()} cores, {chosen.repeats} repeats")
    print("| step | median ms | slowest ms |\n|---|--:|--:|")
    for step in figures:
        print(f"| {step.name} | {step.p50:.0f} | {step.p90:.0f} |")
    return [asdict(step) for step in figures]


def throughput(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure and print faces a second and memory by batch."""
    from ferce.evaluation.latency import measure, table
    from ferce.faces.detector import FaceDetector
    from ferce.models import load_classifier

    with FaceDetector() as detector:
        face = detector.detect(images.load(chosen.photo))[0]
    rows = measure(lambda: load_classifier(chosen.model), face, chosen.repeats)
    print(f"\n{chosen.model}, the classifier alone\n{table(rows)}")
    return [asdict(row) for row in rows]


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


def training(chosen: argparse.Namespace) -> Any:
    """Compare the fine-tuning of `train/finetune_blip2.py` with the plain recipe."""
    if chosen.base != packaged.BLIP2:
        hub.local(chosen.base)
    from ferce.training.language.plan import LanguagePlan
    from ferce.training.language.throughput import compare

    plan = LanguagePlan(base=chosen.base, load_in=chosen.load_in, batch=chosen.batch, views=1)
    comparison = compare(plan, steps=chosen.steps)
    ours = comparison.ours
    print(f"{ours.device}, {os.cpu_count()} cores, {ours.steps} steps of {chosen.batch}")
    print(comparison.table())
    return asdict(comparison)


def recipe(chosen: argparse.Namespace) -> Any:
    """Measure what each step of the recipe gives over several seeds."""
    data.require(chosen.data)
    from ferce.training import progress
    from ferce.training.classifier import recipe as recipes

    names = ("data", "network", "size", "steps", "seeds")
    wanted = recipes.Recipe(**{name: getattr(chosen, name) for name in names})
    scores = recipes.compare(wanted, chosen.output, progress.say)
    print(recipes.table(scores))
    return {name: [asdict(score) for score in every] for name, every in scores.items()}


def classifier(chosen: argparse.Namespace) -> Any:
    """Compare the training of `train/train_classifier.py` with a plain timm loop."""
    from ferce.training.classifier.plan import Plan
    from ferce.training.classifier.throughput import compare

    plan = Plan(data=chosen.data, network=chosen.network, epochs=chosen.epochs, patience=0)
    comparison = compare(plan, chosen.rounds, chosen.most)
    print(f"{comparison.network} at {comparison.size} px, {comparison.faces} faces of {plan.data}")
    print(comparison.table())
    return asdict(comparison)


def add_classifier(one: argparse.ArgumentParser) -> None:
    """Add the options of `classifier`."""
    for name, default, text in (
        ("data", "demo", "spec of the faces"),
        ("network", "auto", "timm name of the network"),
        ("epochs", 3, "passes over the faces, of which the first is not measured"),
        ("rounds", 2, "repetitions of each side"),
        ("most", 128, "faces, about"),
    ):
        help_ = f"{text} (default {default})"
        one.add_argument(f"--{name}", type=type(default), default=default, help=help_)


def crowd(chosen: argparse.Namespace) -> Any:
    """Measure the default app while many visitors use it."""
    from ferce.evaluation import crowd as crowds

    if chosen.readings:
        seconds, memory = crowds.in_a_row(Path(chosen.photo), chosen.readings)
        memories = ", ".join(f"{value:.0f}" for value in memory)
        growth = memory[-1] / memory[0] - 1
        print(
            f"{chosen.readings} readings of {seconds * 1000:.0f} ms; MB: {memories} ({growth:+.1%})"
        )
        return {"readings": chosen.readings, "seconds": seconds, "memory": memory}
    made = crowds.measure(Path(chosen.photo), chosen.clients, 60 * chosen.minutes)
    print(made.table())
    return asdict(made)


def add_crowd(one: argparse.ArgumentParser) -> None:
    """Add the options of `crowd`."""
    for name, default, text in (
        ("clients", 8, "visitors at the same time"),
        ("minutes", 1.0, "minutes that they come for"),
        ("readings", 0, "readings in a row in one process, in place of visitors"),
    ):
        help_ = f"{text} (default {default})"
        one.add_argument(f"--{name}", type=type(default), default=default, help=help_)


def peers(chosen: argparse.Namespace) -> Any:
    """Read the same photos with ferce and with other tools."""
    from ferce.evaluation.peers import compare

    photos = images.find([str(chosen.photos)])
    comparison = compare(photos, chosen.installed)
    print(f"{comparison.photos} photos of {chosen.photos}, {os.cpu_count()} cores")
    print(comparison.table())
    return asdict(comparison)


def add_peers(one: argparse.ArgumentParser) -> None:
    """Add the options of `peers`."""
    one.add_argument(
        "--photos",
        type=Path,
        default=ROOT / "ferce/data/demo/examples",
        help="folder of photos (default the packaged examples)",
    )
    one.add_argument(
        "--installed",
        type=Path,
        default=Path("runs/peers"),
        help="folder in which the other tools are installed (default runs/peers)",
    )


def add_recipe(one: argparse.ArgumentParser) -> None:
    """Add the options of `recipe`."""
    for name, default, text in (
        ("data", "demo", "spec of rendered faces"),
        ("network", "auto", "timm name of the network"),
        ("size", 64, "side of its input in pixels"),
        ("steps", 200, "optimiser steps of each training"),
        ("seeds", 5, "repetitions"),
        ("output", Path("runs/recipe"), "folder of the trainings"),
    ):
        help_ = f"{text} (default {default})"
        one.add_argument(f"--{name}", type=type(default), default=default, help=help_)


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


ADDERS = {
    accuracy: add_accuracy,
    classifier: add_classifier,
    recipe: add_recipe,
    peers: add_peers,
    crowd: add_crowd,
}


def main() -> None:
    """Parse the arguments, measure, print, and write the figures where asked."""
    try:
        _main()
    except ValueError as error:  # each of ours is one clear sentence
        sys.exit(f"benchmark: {error}")


def _main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    photo = str(ROOT / "ferce/data/demo/examples/smile.jpg")
    for run in (accuracy, speed, page, scoring, recipe, peers, classifier, crowd, training):
        one = kinds.add_parser(run.__name__, help=run.__doc__)
        one.set_defaults(run=run)
        one.add_argument("--json", type=Path, help="write the figures here as well")
        if run in ADDERS:
            ADDERS[run](one)
        if run in (speed, page, scoring, crowd):
            one.add_argument("--photo", default=photo, help="a photo with one face")
        if run in (speed, page, scoring):
            one.add_argument(
                "--repeats",
                type=int,
                default={speed: 30, page: 3}.get(run, 5),
                help="measurements of each step (default %(default)s)",
            )
        if run is speed:
            one.add_argument(
                "--model", default="embedded", help="spec of a classifier (default embedded)"
            )
            one.add_argument(
                "--voice", default="measured", help="spec of a voice (default measured)"
            )
            one.add_argument("--against", type=Path, help="another checkout to compare with")
            one.add_argument("--photos", type=Path, help="with --against: a folder to read")
            one.add_argument(
                "--most", type=int, default=60, help="photos of it (default %(default)s)"
            )
        if run is scoring:
            one.add_argument("--model", help="spec of a vision-language model (default blip2-mini)")
    one.add_argument(
        "--base", default="blip2-mini", help="Hub id or folder of BLIP-2 (default blip2-mini)"
    )
    one.add_argument("--load-in", default="auto", help="precision: auto, fp32, bf16, 8bit or 4bit")
    one.add_argument("--batch", type=int, default=16, help="samples a step (default 16)")
    one.add_argument("--steps", type=int, default=40, help="optimiser steps measured (default 40)")
    chosen = parser.parse_args()
    figures = chosen.run(chosen)
    if chosen.json and figures is not None:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
