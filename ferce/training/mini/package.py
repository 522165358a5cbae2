"""A trained small model as a folder that plain transformers loads, and what it is measured by."""

import platform
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from scipy.special import softmax

from ferce.evaluation import metrics
from ferce.models.calibration import Calibration, save_calibration
from ferce.models.hub import read_json
from ferce.models.spec import Spec
from ferce.models.vlm.base import VisionLanguage
from ferce.training.checkpoint import whole_folder, write_json
from ferce.training.mini import ALBUMS, TALK, album, answers, recipe, talk
from ferce.training.mini.album import Album
from ferce.training.mini.answers import DESCRIBED, PICTURED, Numbers
from ferce.training.mini.recipe import Recipe
from ferce.training.mini.stage import averaged
from ferce.training.options import Json

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

SHARD = "9MB"  # no file of the package is larger
METRICS = "metrics.json"


@dataclass(frozen=True)
class Packaged:
    """An exported network, maybe with an adapter, and about how many faces it is asked; 0: all."""

    base: Path
    adapter: Path | None = None
    most: int = 0


def assemble(
    plan: Recipe, stage: str = "whole"
) -> tuple["Blip2ForConditionalGeneration", "Blip2Processor"]:
    """Put the BLIP-2 after `stage` ("bridge" or "whole") together, with its processor."""
    network, processor = recipe.fresh(plan, recipe.albums(plan))
    if stage == "bridge":
        network.vision_model.load_state_dict(averaged(plan.checkpoints("tower"), "tower."))
        recipe.open_speech(plan, network)
        recipe.open_bridge(plan, network)
    else:
        network.load_state_dict(averaged(plan.checkpoints("whole"), "network."))
    return network.eval(), processor


def export(plan: Recipe, folder: Path, stage: str = "whole") -> None:
    """Write the BLIP-2 in float16, no file above `SHARD`."""
    network, processor = assemble(plan, stage)
    with whole_folder(folder) as part:
        network.half().save_pretrained(part, max_shard_size=SHARD)
        processor.save_pretrained(part)


def export_chat(plan: Recipe, folder: Path, data: str) -> None:
    """Write the FastVLM in float16, no file above `SHARD`.

    Its label scores are calibrated on the val split of the renders.

    Args:
        plan: whose stage `TALK` is trained.
        folder: of the package.
        data: spec of what the albums were packed from, for the card.
    """
    faces = recipe.albums(plan)
    backend = recipe.open_chat(plan, faces)
    talk.Talker(backend.network).load_state_dict(averaged(plan.checkpoints(TALK)))
    calibration = _calibration(backend, faces["renders"])
    with whole_folder(folder) as part:
        backend.network.half().save_pretrained(part, max_shard_size=SHARD)
        backend.processor.save_pretrained(part)
        write_json(part / METRICS, _facts(plan, backend, data))
        save_calibration(part, calibration)


def measure(plan: Recipe, asked: Packaged, split: str) -> Json:
    """Measure an exported BLIP-2 on a split, and note it in the last folder's `METRICS`."""
    from ferce.models.vlm import blip2

    adapter = str(asked.adapter) if asked.adapter else None
    backend = blip2.load(Spec("blip2", str(asked.base), adapter=adapter), plan.device)
    faces = recipe.albums(plan)
    renders = faces["renders"].where(split)
    described = album.some(renders, min(asked.most or DESCRIBED, DESCRIBED))
    made = _measured(backend, faces, split, asked.most, described)
    _note(asked.adapter or asked.base, split, made)
    return made


def measure_chat(plan: Recipe, asked: Packaged, split: str) -> Json:
    """Measure an exported FastVLM on a split, and note it in its `METRICS`."""
    from ferce.models.vlm.chat import load

    backend, faces = load(Spec("chat", str(asked.base)), "cpu"), recipe.albums(plan)
    numbers = album.some(faces["renders"].where(split), asked.most)
    made = _measured(backend, faces, split, asked.most, album.some(numbers, DESCRIBED))
    labels = answers.label_accuracy(backend, faces["renders"], numbers)
    made["renders"] |= {"label_accuracy": labels}
    _note(asked.base, split, made)
    return made


def _measured(
    backend: VisionLanguage, faces: dict[str, Album], split: str, most: int, described: Numbers
) -> Json:
    """Measure answers on the albums, and descriptions of some renders.

    Returns:
        For renders and annotated photos: balanced accuracy of yes and no and of each cue, the same
        with another face's picture, the share of answers that change with it; for renders: micro F1
        of the action units that descriptions name.
    """
    made: Json = {}
    for name in PICTURED:
        numbers = album.some(faces[name].where(split), most)
        given = answers.accuracy(backend, faces[name], numbers)
        made[name] = {"faces": len(numbers), **given.to_json()}
    named = answers.mentions(backend, faces["renders"], described)
    made["renders"] |= {"mention_f1": named.f1, "mention_f1_swapped": named.swapped}
    return made


def _note(folder: Path, split: str, made: Json) -> None:
    known = read_json(folder / METRICS) if (folder / METRICS).is_file() else {}
    write_json(folder / METRICS, {**known, "asked": {**known.get("asked", {}), split: made}})


def _calibration(backend: VisionLanguage, book: Album) -> Calibration:
    """Fit temperature and set mass on the val split; none where it has no labels."""
    values, truth = answers.likelihoods(backend, book, book.where("val"))
    if not len(truth):
        return Calibration()
    temperature = metrics.fit_temperature(truth, values)
    p = softmax(values / temperature, axis=1)
    return Calibration(temperature, metrics.fit_set_mass(truth, p))


def _facts(plan: Recipe, backend: VisionLanguage, data: str) -> Json:
    """Describe what it learnt from and how, as a card wants it."""
    books = [album.load(plan.folder / "albums" / name) for name in ALBUMS[:2]]
    labels = Counter(
        book.samples[i].label or "unlabelled" for book in books for i in book.where("train")
    )
    return {
        "data": {"spec": data, "train": dict(sorted(labels.items()))},
        "origin": f"tower of {plan.tower.name}, language model from "
        f"{plan.start.name if plan.start else 'random weights'}",
        "parameters": sum(p.numel() for p in backend.network.parameters()),
        "plan": asdict(plan.schedule(TALK)),
        "machine": {"device": f"{platform.machine()} CPU, {torch.get_num_threads()} threads"}
        | {name: version(name) for name in ("torch", "transformers", "timm")},
    }
