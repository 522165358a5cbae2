"""How fast photos and clips are read, also beside another checkout and other tools."""

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ferce import images
from train.benchmarks.command import (
    Command,
    add_against,
    add_options,
    add_photo,
    add_photos,
    checkouts,
)


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


def add_speed(one: argparse.ArgumentParser) -> None:
    """Add the options of `speed`."""
    add_photo(one)
    add_against(one)
    add_options(
        one,
        ("repeats", 30, "measurements of each step"),
        ("model", "embedded", "spec of a classifier"),
        ("voice", "measured", "spec of a voice"),
        ("most", 60, "photos of --photos"),
    )
    one.add_argument("--photos", type=Path, help="with --against: a folder to read")


def share(chosen: argparse.Namespace) -> Any:
    """Measure what share of a folder's predictions the bare passes of the networks are."""
    from ferce.evaluation.share import measure

    photos = images.find([str(chosen.photos)])[: chosen.most]
    measured = measure(photos, chosen.model)
    print(measured.row())
    return asdict(measured)


def add_share(one: argparse.ArgumentParser) -> None:
    """Add the options of `share`."""
    add_photos(one)
    add_options(
        one, ("model", "embedded", "spec of a classifier"), ("most", 60, "photos of the folder")
    )


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
    add_photos(one)
    one.add_argument(
        "--installed",
        type=Path,
        default=Path("runs/peers"),
        help="folder in which the other tools are installed (default runs/peers)",
    )


def clip(chosen: argparse.Namespace) -> Any:
    """Measure how long a clip takes, from nothing to its whole document."""
    from ferce.evaluation import clip as clips

    costs: dict[str, list[clips.ClipCost]] = {}
    roots = checkouts(chosen)
    for _ in range(chosen.repeats):
        for root in roots:
            costs.setdefault(str(root), []).extend(clips.measure(chosen.seconds, root))
    print(f"{os.cpu_count()} cores, a clip of {chosen.seconds:.0f} s, medians of {chosen.repeats}")
    print(clips.table(costs, chosen.seconds))
    return {root: [asdict(cost) for cost in every] for root, every in costs.items()}


def add_clip(one: argparse.ArgumentParser) -> None:
    """Add the options of `clip`."""
    add_against(one)
    add_options(one, ("seconds", 8.0, "length of the clip"), ("repeats", 3, "turns"))


COMMANDS = (
    Command(speed, add_speed),
    Command(share, add_share),
    Command(clip, add_clip),
    Command(peers, add_peers),
)
