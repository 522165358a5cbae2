"""The default app: how soon it stands and answers, its camera, its memory, and many visitors."""

import argparse
import os
import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ferce import images
from train.benchmarks.command import (
    Command,
    add_against,
    add_options,
    add_photo,
    browser,
    checkouts,
)


def page(chosen: argparse.Namespace) -> Any:
    """Measure how long a photo takes on the page, in a browser."""
    from ferce.evaluation import latency

    figures = latency.page(images.load(chosen.photo), chosen.repeats, browser())
    print(f"{os.cpu_count()} cores, {chosen.repeats} repeats")
    print("| step | median ms | slowest ms |\n|---|--:|--:|")
    for step in figures:
        print(f"| {step.name} | {step.p50:.0f} | {step.p90:.0f} |")
    return [asdict(step) for step in figures]


def add_page(one: argparse.ArgumentParser) -> None:
    """Add the options of `page`."""
    add_photo(one)
    add_options(one, ("repeats", 3, "measurements of each step"))


def start(chosen: argparse.Namespace) -> Any:
    """Measure the app from its start to its page, and from there to a first reading."""
    from ferce.evaluation import start as starts

    roots, photo = checkouts(chosen), Path(chosen.photo)
    turns = [[starts.measure(photo, root) for root in roots] for _ in range(chosen.repeats)]
    print(f"{os.cpu_count()} cores, medians of {chosen.repeats} starts")
    print("| checkout | page, s | first reading, s | processors: page, s | reading, s |")
    print("|---|--:|--:|--:|--:|")
    for root, every in zip(roots, zip(*turns, strict=True), strict=True):
        rows = [(one.page, one.reading, *one.processors) for one in every]
        cells = (f"{statistics.median(column):.2f}" for column in zip(*rows, strict=True))
        print(f"| {root.name} | {' | '.join(cells)} |")
    return [[asdict(one) for one in turn] for turn in turns]


def add_start(one: argparse.ArgumentParser) -> None:
    """Add the options of `start`."""
    add_photo(one)
    add_against(one)
    add_options(one, ("repeats", 3, "starts of each checkout"))


def live(chosen: argparse.Namespace) -> Any:
    """Measure the frames a second of the Live tab, in a browser and without one."""
    from ferce.evaluation import live as lives

    made = lives.frame(_answering(), chosen.frames)
    print(f"{os.cpu_count()} cores; {chosen.frames} frames in this process: {made.wall:.1f} ms")
    print(f"each (median), {made.processor:.1f} ms of the processors")
    print("| checkout | frames a second in Chromium | processors of the app, ms a frame |")
    print("|---|--:|--:|")
    watched = {}
    for root in checkouts(chosen):
        watched[root.name] = one = lives.watch(browser(), chosen.seconds, root)
        print(f"| {root.name} | {one.rate:.1f} | {one.processor:.0f} |")
    return {"frame": asdict(made)} | {name: asdict(one) for name, one in watched.items()}


def _answering() -> Callable[[str], object]:
    """Make what reads a frame of the Live tab in this process."""
    import ferce
    from ferce.ui.web import camera

    streams = camera.Streams()
    stream = streams.open(ferce.Reader())

    def read(picture: str) -> object:
        return camera.answer(
            streams, {"stream": stream, "image": f"data:image/jpeg;base64,{picture}"}
        )

    return read


def add_live(one: argparse.ArgumentParser) -> None:
    """Add the options of `live`."""
    add_against(one)
    add_options(
        one,
        ("seconds", 10.0, "seconds of the camera that are counted"),
        ("frames", 60, "frames read without a browser"),
    )


def memory(chosen: argparse.Namespace) -> Any:
    """Measure the memory of the app after a photo, a question, the camera and a clip."""
    from ferce.evaluation import memory as memories

    figures = {}
    for root in checkouts(chosen):
        figures[root.name] = memories.measure(Path(chosen.photo), browser(), root)
    for name, steps in figures.items():
        print(f"{name}\n| after | MB |\n|---|--:|")
        for step, size in steps:
            print(f"| {step} | {size:.0f} |")
    return figures


def add_memory(one: argparse.ArgumentParser) -> None:
    """Add the options of `memory`."""
    add_photo(one)
    add_against(one)


def crowd(chosen: argparse.Namespace) -> Any:
    """Measure the default app while many visitors use it."""
    from ferce.evaluation import crowd as crowds

    if chosen.readings:
        seconds, memory = crowds.in_a_row(Path(chosen.photo), chosen.readings)
        memories = ", ".join(f"{value:.0f}" for value in memory)
        growth = memory[-1] / memory[0] - 1
        print(
            f"{chosen.readings} readings of {seconds * 1000:.0f} ms, every tenth whole; MB after "
            f"500 and after each tenth: {memories} ({growth:+.1%})"
        )
        return {"readings": chosen.readings, "seconds": seconds, "memory": memory}
    alone, many = crowds.measure(Path(chosen.photo), chosen.clients, 60 * chosen.minutes)
    print(f"{os.cpu_count()} cores\n{alone.table()}\n\n{many.table()}")
    print(f"{many.rate / alone.rate:.2f} times the answers a second of one client")
    return {"alone": asdict(alone), "many": asdict(many)}


def add_crowd(one: argparse.ArgumentParser) -> None:
    """Add the options of `crowd`."""
    add_photo(one)
    add_options(
        one,
        ("clients", 8, "visitors at the same time"),
        ("minutes", 1.0, "minutes that they come for"),
        ("readings", 0, "readings in a row in one process, in place of visitors"),
    )


COMMANDS = (
    Command(start, add_start),
    Command(page, add_page),
    Command(live, add_live),
    Command(memory, add_memory),
    Command(crowd, add_crowd),
)
