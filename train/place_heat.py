"""Measure where the heat maps of the packaged models lie, into the metrics.json beside them.

python train/place_heat.py --data manifest:faces/annotated.jsonl --model embedded blip2-mini

Half of the faces move the brows alone, half the mouth alone, by their annotated action units. The
page names the methods whose heat lies in the wrong place, see ferce/evaluation/heat_scores.py.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ferce.core.types import Face
from ferce.data.align import Aligned
from ferce.data.record import Sample
from ferce.evaluation import heat_scores
from ferce.evaluation.faces import Tools, aligned, default_cache, rows_of, watched
from ferce.explanation import heatmaps
from ferce.models import load_classifier, spec
from ferce.publishing import dossier
from ferce.reading import pipeline
from ferce.ui.web.panels import choices


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--data", required=True, help="spec of faces with annotated action units")
    made.add_argument("--split", default="test", help="to measure (default test)")
    made.add_argument("--model", nargs="+", default=["embedded"], help="specs of packaged models")
    made.add_argument("--method", nargs="*", default=[], help="methods beside those of the page")
    made.add_argument("--faces", type=int, default=40, help="how many faces (default 40)")
    made.add_argument("--cache", type=Path, default=default_cache(), help="of aligned faces")
    return made


def chosen(data: str, split: str, count: int) -> list[Sample]:
    """Take half of the faces of each kind, in the order of the data."""
    kinds: dict[str, list[Sample]] = {"brows": [], "mouth": []}
    for row in rows_of(data, split):
        if not isinstance(row, Sample):
            continue
        moves = heat_scores.moving(_units(row))
        if moves and len(kinds[moves]) < count // 2:
            kinds[moves].append(row)
    return kinds["brows"] + kinds["mouth"]


def _units(sample: Sample) -> list[int]:
    return [unit.unit for unit in sample.units or () if unit.present]


def faces(samples: list[Sample], tools: Tools) -> Iterator[tuple[Face, str]]:
    """Align the faces; those without landmarks or not found are left out."""
    for item in aligned(samples, True, tools):
        if isinstance(item, Aligned) and item.face().landmarks is not None:
            moves = heat_scores.moving(_units(item.sample))
            assert moves is not None, "only faces that move one of the two are chosen"
            yield item.face(), moves


def measure(
    model: str, known: list[tuple[Face, str]], more: list[str]
) -> dict[str, heat_scores.Places]:
    """Measure the methods that the page shows by itself, and further ones."""
    reader = pipeline.Reader(load_classifier(model))
    readings = reader.predict([face for face, _ in known])
    first = reader.accompany(reader.locate(readings[0]))
    own = [heat.method for heat in (first.heatmap, first.beside) if heat is not None]
    able, measured = choices.methods(reader.classifier, known[0][0]), {}
    for method in [name for name in dict.fromkeys(own + more) if name in able]:
        located = [reader.locate(one, None, method) for one in watched(readings, method, True)]
        moves = [moves for _, moves in known]
        maps = [(r.face, r.heatmap, m) for r, m in zip(located, moves, strict=True) if r.heatmap]
        measured[method] = heat_scores.measure_places(maps)
        print(f"{model} {method}: {measured[method]}", flush=True)
    return measured


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and record."""
    asked = parser().parse_args(arguments)
    if odd := set(asked.method) - set(heatmaps.METHODS):
        sys.exit(f"place_heat: unknown method {min(odd)}; known: {', '.join(heatmaps.METHODS)}")
    known = list(faces(chosen(asked.data, asked.split, asked.faces), Tools(asked.cache)))
    for model in asked.model:
        folder = dossier.folder_of(spec.parse(model))
        if folder is None:
            sys.exit(f"place_heat: {model} has no folder to write to")
        heat_scores.record_places(folder, measure(model, known, asked.method))


if __name__ == "__main__":
    main()
