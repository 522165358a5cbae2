"""What training costs, and what each step of the recipe gives."""

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ferce import data
from ferce.models import hub
from ferce.models.vlm import packaged
from train.benchmarks.command import Command, add_options


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


def add_training(one: argparse.ArgumentParser) -> None:
    """Add the options of `training`."""
    add_options(
        one,
        ("base", "blip2-mini", "Hub id or folder of BLIP-2"),
        ("load-in", "auto", "precision: auto, fp32, bf16, 8bit or 4bit"),
        ("batch", 16, "samples a step"),
        ("steps", 40, "optimiser steps measured"),
    )


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


def add_recipe(one: argparse.ArgumentParser) -> None:
    """Add the options of `recipe`."""
    add_options(
        one,
        ("data", "demo", "spec of rendered faces"),
        ("network", "auto", "timm name of the network"),
        ("size", 64, "side of its input in pixels"),
        ("steps", 200, "optimiser steps of each training"),
        ("seeds", 5, "repetitions"),
        ("output", Path("runs/recipe"), "folder of the trainings"),
    )


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
    add_options(
        one,
        ("data", "demo", "spec of the faces"),
        ("network", "auto", "timm name of the network"),
        ("epochs", 3, "passes over the faces, of which the first is not measured"),
        ("rounds", 2, "repetitions of each side"),
        ("most", 128, "faces, about"),
    )


COMMANDS = (
    Command(recipe, add_recipe),
    Command(classifier, add_classifier),
    Command(training, add_training),
)
