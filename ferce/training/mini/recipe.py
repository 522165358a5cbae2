"""The stages in their order, each from its checkpoint on; what one makes the next one opens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ferce.data import align, load_data
from ferce.evaluation import cues
from ferce.models.hub import read_json
from ferce.training import examples, progress
from ferce.training.checkpoint import write_json
from ferce.training.mini import (
    account,
    album,
    bridge,
    design,
    speech,
    tower,
    tower_loop,
    voice,
    whole,
)
from ferce.training.mini.album import Album
from ferce.training.mini.course import Pace, averaged
from ferce.training.mini.stages import ALBUMS, LEAST
from ferce.training.mini.teacher import Teacher
from ferce.training.progress import TrainingError

SHARD = "9MB"  # no file of the package is larger
PICTURED = ("renders", "annotated")  # albums that tell how well it sees
DESCRIBED = 300  # renders that are described to be measured


@dataclass(frozen=True, eq=False)
class Recipe:
    """What the stages are given.

    Attributes:
        folder: holds albums and checkpoints, and may be large.
        teacher: of the tower; a timm folder or safetensors of `teacher.LITE`, "" for ImageNet's.
        paces: of each stage.
        device: of the training.
        least: read-out that the tower must reach; 0 goes on with any.
        report: takes a line every few minutes.
    """

    folder: Path
    teacher: str = ""
    paces: Mapping[str, Pace] = field(default_factory=dict)
    device: str = "cpu"
    least: float = LEAST
    report: progress.Report = progress.silent

    def path(self, stage: str) -> Path:
        """The checkpoint of a stage."""
        return self.folder / f"{stage}.safetensors"

    def pace(self, stage: str) -> Pace:
        """Of a stage; the last one learns at a third of the rate."""
        if stage in self.paces:
            return self.paces[stage]
        return Pace(rate=1e-3, others=3e-4, batch=32) if stage == "whole" else Pace()


@dataclass(frozen=True)
class Asked:
    """An exported network, maybe with an adapter, and about how many faces it is asked; 0: all."""

    base: Path
    adapter: Path | None = None
    most: int = 0


def pack(folder: Path, specs: Mapping[str, str], cache: Path, report: progress.Report) -> None:
    """Pack a data set for each of `ALBUMS`, unless that was done.

    Args:
        folder: of the recipe.
        specs: album -> data set; renders need train, val and test, photos train or val and test.
        cache: of aligned faces.
        report: told what is done.
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
    """The packed faces."""
    return {name: album.load(recipe.folder / "albums" / name) for name in ALBUMS}


def fresh(recipe: Recipe, faces: Mapping[str, Album]) -> tuple[Any, Any]:
    """A network that knows nothing, always the same one, and its processor."""
    from transformers import AutoProcessor

    kept = recipe.folder / "processor"  # later words of ferce must not move the tokens
    if not kept.is_dir():
        seed = recipe.pace("speech").seed
        design.processor(speech.corpus(faces["renders"], seed)).save_pretrained(kept)
    processor = AutoProcessor.from_pretrained(kept, trust_remote_code=False)
    torch.manual_seed(recipe.pace("speech").seed)
    return design.fresh(processor.tokenizer).to(recipe.device), processor


def run(recipe: Recipe, stage: str) -> None:
    """Teach one stage to its end.

    Raises:
        TrainingError: a stage before it is missing, or the tower does not see well enough.
    """
    faces, pace = albums(recipe), recipe.pace(stage)
    if stage == "tower":
        teacher = Teacher(recipe.teacher)
        tower_loop.teach(faces, teacher, pace, recipe.path(stage), recipe.device, recipe.report)
        return
    network, processor = fresh(recipe, faces)
    if stage == "speech":
        pair = (faces["renders"], faces["faces"])
        speech.teach(network, processor, pair, pace, recipe.path(stage), recipe.report)
        return
    _open_tower(recipe, network)
    reader = _open_speech(recipe, network)
    if stage == "bridge":
        bridge.teach(network, reader.code, faces, pace, recipe.path(stage), recipe.report)
        return
    link = _open_bridge(recipe, network)
    backend = design.wrapped(network, processor)
    whole.teach(backend, link, faces, pace, recipe.path(stage), recipe.report)


def assemble(recipe: Recipe, stage: str = "whole") -> tuple[Any, Any]:
    """The network after `stage` ("bridge" or "whole") with its processor."""
    faces = albums(recipe)
    network, processor = fresh(recipe, faces)
    if stage == "bridge":
        _fill(network.vision_model, _part(recipe, "tower", "tower."))
        _open_speech(recipe, network)
        _open_bridge(recipe, network)
    else:
        _fill(network, _part(recipe, "whole", "network."))
    return network.eval(), processor


def export(recipe: Recipe, folder: Path, stage: str = "whole") -> None:
    """Write the network as plain transformers loads it, in float16, no file above `SHARD`."""
    network, processor = assemble(recipe, stage)
    network.half().save_pretrained(folder, max_shard_size=SHARD)
    processor.save_pretrained(folder)


def measured(recipe: Recipe, asked: Asked, split: str) -> dict[str, Any]:
    """What an exported network answers on a split, also written to the last folder's metrics.json.

    Returns:
        For renders and annotated photos: balanced accuracy of yes and no and of each cue, the same
        with another face's picture, the share of answers that change with it; for renders: micro F1
        of the action units that descriptions name.
    """
    from ferce.models.spec import Spec
    from ferce.models.vlm import blip2

    adapter = str(asked.adapter) if asked.adapter else None
    backend = blip2.load(Spec("blip2", str(asked.base), adapter=adapter), recipe.device)
    faces = albums(recipe)
    told = {name: _answered(backend, faces[name], split, asked.most) for name in PICTURED}
    numbers = album.some(faces["renders"].where(split), min(asked.most or DESCRIBED, DESCRIBED))
    named = account.measure(backend, faces["renders"], numbers)
    told["renders"] |= {"mention_f1": named.f1, "mention_f1_swapped": named.swapped}
    path = (asked.adapter or asked.base) / "metrics.json"
    known = read_json(path) if path.is_file() else {}
    write_json(path, {**known, "asked": {**known.get("asked", {}), split: told}})
    return told


def _answered(backend: Any, faces: Album, split: str, most: int) -> dict[str, Any]:
    numbers = album.some(faces.where(split), most)
    said = voice.measure(backend, faces, numbers)
    return {
        "faces": len(numbers),
        "yes_no_balanced": said.score.mean,
        "cues": {name: value for name, value in said.score.balanced.items() if value == value},
        "swapped": said.swapped,
        "changed": said.changed,
    }


def sight(recipe: Recipe, split: str) -> dict[str, cues.Score]:
    """The tower's own read-out on a split."""
    faces = albums(recipe)
    net = tower.Sight(0).to(recipe.device)
    kept = averaged(recipe.path("tower"))
    _fill(net, {k: v for k, v in kept.items() if not k.startswith("copies.")})
    return tower_loop.scores(net, faces, recipe.device, split)


def _open_tower(recipe: Recipe, network: Any) -> None:
    """Put the tower in; refuses one that is blind."""
    _fill(network.vision_model, _part(recipe, "tower", "tower."))
    if recipe.least:
        found = sight(recipe, "val")["renders"]
        if found.mean < recipe.least:
            raise TrainingError(
                f"The tower's read-out on held-out renders must reach {recipe.least}; it has "
                f"{found.mean:.3f}. Train it longer (--steps), or allow less (--least)."
            )


def _open_speech(recipe: Recipe, network: Any) -> speech.Reader:
    reader = speech.Reader(network)
    _fill(reader, _part(recipe, "speech", ""))
    return reader


def _open_bridge(recipe: Recipe, network: Any) -> bridge.Bridge:
    link = bridge.Bridge(network)
    _fill(link, _part(recipe, "bridge", ""))
    return link


def _part(recipe: Recipe, stage: str, prefix: str) -> dict[str, Any]:
    path = recipe.path(stage)
    if not path.is_file():
        raise TrainingError(f"There is no {path}; teach the stage {stage} first.")
    kept = averaged(path)
    return {k.removeprefix(prefix): v for k, v in kept.items() if k.startswith(prefix)}


def _fill(module: Any, weights: Mapping[str, Any]) -> None:
    module.load_state_dict(weights)
