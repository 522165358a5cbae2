"""The stages of the small models in their order; what one makes the next one opens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ferce.data import align, load_data
from ferce.evaluation import units
from ferce.training import checkpoint, examples, progress
from ferce.training.mini import (
    ALBUMS,
    LEAST,
    TALK,
    album,
    answers,
    bridge,
    chat,
    design,
    speech,
    talk,
    tower,
)
from ferce.training.mini.album import Album, plain
from ferce.training.mini.stage import Schedule, averaged
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

    from ferce.models.vlm.chat import Chat

SETTLING = 384  # faces that settle the start of the FastVLM's projector
GLANCED = 200  # faces that the FastVLM is asked about between steps
DEFAULTS = {
    "whole": Schedule(rate=1e-3, others=3e-4, batch=32),  # a third of the rate of the others
    TALK: Schedule(steps=6000, batch=32),
}


@dataclass(frozen=True, eq=False)
class Recipe:
    """What the stages are given.

    Attributes:
        folder: holds albums and checkpoints, and may be large.
        teacher: of the BLIP-2's tower; a timm folder or safetensors of `tower.LITE`, "" for
            ImageNet's.
        tower: folder of the classifier whose network sees for the FastVLM.
        start: folder of a FastVLM whose words, projector and language model are learnt on; None
            starts from random weights.
        schedules: stage -> how long and how fast, in place of the default.
        device: of the training.
        least: read-out that the BLIP-2's tower must reach; 0 goes on with any.
        report: takes a line every few minutes.
    """

    folder: Path
    teacher: str = ""
    tower: Path = Path("ferce/weights/classifier")
    start: Path | None = None
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    device: str = "cpu"
    least: float = LEAST
    report: progress.Report = progress.silent

    def checkpoints(self, stage: str) -> Path:
        """Name the folder of a stage's checkpoints."""
        return self.folder / stage

    def schedule(self, stage: str) -> Schedule:
        """Give the schedule of a stage."""
        return self.schedules.get(stage, DEFAULTS.get(stage, Schedule()))


def pack(folder: Path, specs: Mapping[str, str], cache: Path, report: progress.Report) -> None:
    """Pack a data set for each of `ALBUMS`, unless that was done.

    Args:
        folder: of the recipe.
        specs: album -> data set; renders need train, val and test, photos train or val and test.
        cache: of aligned faces.
        report: is given a line for each album.
    """
    for name, spec in specs.items():
        target = folder / "albums" / name
        if (target / album.ROWS).is_file():
            continue
        detect = spec.split(":")[0].split("?")[0] not in examples.ALIGNED_KINDS
        rows = align.align(load_data(spec).rows(), cache, align.Settings(detect=detect))
        items = [row for row in rows if isinstance(row, align.Aligned)]
        album.pack(items, len(items), target)
        report(f"{name}: {len(items)} faces of {spec}")


def albums(recipe: Recipe) -> dict[str, Album]:
    """Open the packed faces."""
    return {name: album.load(recipe.folder / "albums" / name) for name in ALBUMS}


def run(recipe: Recipe, stage: str) -> None:
    """Train one stage to its end.

    Raises:
        TrainingError: a stage before it is missing, or the tower does not see well enough.
    """
    faces, schedule, folder = albums(recipe), recipe.schedule(stage), recipe.checkpoints(stage)
    if stage == TALK:
        backend = open_chat(recipe, faces)
        judge = partial(_glance, backend, faces)
        talk.train(backend, faces, schedule, folder, recipe.report, judge)
    elif stage == "tower":
        teacher = tower.Teacher(recipe.teacher)
        tower.train(faces, teacher, schedule, folder, recipe.device, recipe.report)
    else:
        _run_on_blip2(recipe, stage, faces)


def _run_on_blip2(recipe: Recipe, stage: str, faces: Mapping[str, Album]) -> None:
    schedule, folder = recipe.schedule(stage), recipe.checkpoints(stage)
    network, processor = fresh(recipe, faces)
    if stage == "speech":
        pair = (faces["renders"], faces["faces"])
        speech.train(network, processor, pair, schedule, folder, recipe.report)
        return
    open_tower(recipe, network)
    reader = open_speech(recipe, network)
    if stage == "bridge":
        bridge.train(network, reader.code, faces, schedule, folder, recipe.report)
        return
    link = open_bridge(recipe, network)
    backend = design.wrapped(network, processor)
    bridge.train_whole(backend, link, faces, schedule, folder, recipe.report)


def fresh(
    recipe: Recipe, faces: Mapping[str, Album]
) -> tuple["Blip2ForConditionalGeneration", "Blip2Processor"]:
    """Make an untrained BLIP-2, always the same one, and its processor."""
    from transformers import AutoProcessor

    kept = recipe.folder / "processor"  # later words of ferce must not move the tokens
    seed = recipe.schedule("speech").seed
    if not kept.is_dir():
        checkpoint.write_folder(
            kept, design.processor(speech.corpus(faces["renders"], seed)).save_pretrained
        )
    processor = AutoProcessor.from_pretrained(kept, trust_remote_code=False)
    torch.manual_seed(seed)
    return design.fresh(processor.tokenizer).to(recipe.device), processor


def open_chat(recipe: Recipe, faces: Mapping[str, Album]) -> "Chat":
    """Make a FastVLM around the classifier's network, before its training."""
    from transformers import AutoProcessor

    kept, seed = recipe.start or recipe.folder / "talk-processor", recipe.schedule(TALK).seed
    if not kept.is_dir():
        checkpoint.write_folder(
            kept, chat.processor(talk.corpus(faces["renders"], seed)).save_pretrained
        )
    processor = AutoProcessor.from_pretrained(kept, trust_remote_code=False)
    torch.manual_seed(seed)
    renders = faces["renders"]
    pixels = torch.from_numpy(renders.crops(album.some(renders.where("train"), SETTLING)))
    network = chat.fresh(processor.tokenizer, recipe.tower, plain(pixels, chat.SIDE))
    if recipe.start:
        chat.begin(network, recipe.start)
    return chat.wrapped(network, processor)


def read_out(recipe: Recipe, split: str) -> dict[str, units.CueScore]:
    """Measure the tower's own read-out of the action units on a split."""
    model: tower.TowerModel = tower.TowerModel(0).to(recipe.device)
    kept = averaged(recipe.checkpoints("tower"))
    model.load_state_dict({k: v for k, v in kept.items() if not k.startswith("copies.")})
    return tower.scores(model, albums(recipe), split)


def open_tower(recipe: Recipe, network: "Blip2ForConditionalGeneration") -> None:
    """Put the trained tower in.

    Raises:
        TrainingError: it is not trained yet, or it does not see well enough.
    """
    network.vision_model.load_state_dict(averaged(recipe.checkpoints("tower"), "tower."))
    if recipe.least:
        score = read_out(recipe, "val")["renders"]
        if score.mean < recipe.least:
            raise TrainingError(
                f"The tower's read-out on held-out renders must reach {recipe.least}; it has "
                f"{score.mean:.3f}. Train it longer (--steps), or allow less (--least)."
            )


def open_speech(recipe: Recipe, network: "Blip2ForConditionalGeneration") -> speech.Reader:
    """Put the trained language model in; gives it with its code."""
    reader = speech.Reader(network)
    reader.load_state_dict(averaged(recipe.checkpoints("speech")))
    return reader


def open_bridge(recipe: Recipe, network: "Blip2ForConditionalGeneration") -> bridge.Bridge:
    """Put the trained Q-Former in; gives it with its read-out."""
    link = bridge.Bridge(network)
    link.load_state_dict(averaged(recipe.checkpoints("bridge")))
    return link


def _glance(backend: "Chat", faces: Mapping[str, Album]) -> str:
    """Tell how well the FastVLM answers and names, in one line."""
    numbers = album.some(faces["renders"].where("val"), GLANCED)
    asked = answers.summary(backend, faces, "val", GLANCED)
    return f"{asked}; labels {answers.label_accuracy(backend, faces['renders'], numbers):.3f}"
