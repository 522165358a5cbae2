"""Render a labelled data set from a 3-D face kit and neutral portraits.

python -m train.render_faces --kit ICT-FaceKit --portraits FOLDER --output OUT [--manifest M.csv]

KIT is a checkout of ICT-VGL/ICT-FaceKit (MIT) or its npz cache. A manifest is a CSV with a column
`file` and any of subject, source, licence, attribution, split. Without --portraits only painted
(clay) heads are drawn. A stopped run goes on where it was. About 0.2 s a picture and core.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image as PILImage
from tqdm import tqdm

from ferce.data.rendering.compose import AssetPaths
from ferce.data.rendering.dataset import (
    Output,
    finished_lines,
    sheet_of,
    write_dataset,
    write_settings,
)
from ferce.data.rendering.person import hold_out_last, list_portraits
from ferce.data.rendering.plan import Settings, Subject, clay_subjects, plan
from ferce.data.rendering.prepare import fit_people, fitted_subjects, mesh_reader, prepare_assets
from ferce.faces.detector import FaceDetector
from ferce.training import options


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--kit", type=Path, required=True, help="ICT-FaceKit checkout or npz cache")
    parser.add_argument(
        "--output", "--out", dest="out", type=Path, required=True, help="folder of the data set"
    )
    parser.add_argument("--portraits", type=Path, help="folder of neutral portraits")
    parser.add_argument("--manifest", type=Path, help="CSV: file, subject, source, licence, ...")
    parser.add_argument(
        "--sources", nargs="*", default=[], help="only these sources of the manifest"
    )
    parser.add_argument(
        "--hold-out", default="london:30", help="SOURCE:N, last N subjects are test"
    )
    parser.add_argument("--cache", type=Path, help="fitted people and tables (default OUT/cache)")
    _add_settings(parser)
    parser.add_argument(
        "--suffix", default=".jpg", choices=(".jpg", ".webp", ".png"), help="format (default .jpg)"
    )
    parser.add_argument(
        "--quality", type=int, default=92, help="JPEG or WebP quality, 1..100 (default 92)"
    )
    parser.add_argument("--workers", type=int, default=1, help="number of processes (default 1)")
    parser.add_argument("--sheet", type=Path, help="also draw a contact sheet of 64 pictures here")
    return parser.parse_args(argv)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is in the data set."""
    settings = Settings()
    parser.add_argument("--count", type=int, default=1000, help="number of pictures (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the plan (default 0)")
    parser.add_argument(
        "--size", type=int, default=224, help="side of a picture in pixels (default 224)"
    )
    parser.add_argument("--kinds", nargs=4, type=float, default=settings.kinds, metavar="SHARE",
                        help="shares of compound, basic, neutral and random")  # fmt: skip
    parser.add_argument("--splits", nargs=3, type=float, default=settings.splits, metavar="SHARE",
                        help="shares of train, val and test")  # fmt: skip
    parser.add_argument("--clay", type=float, default=settings.clay, help="share of painted heads")
    parser.add_argument(
        "--clay-people", type=int, default=400, help="number of painted people (default 400)"
    )
    parser.add_argument(
        "--yaw", type=float, default=settings.yaw, help="largest yaw in degrees (default 30)"
    )
    parser.add_argument(
        "--roll", type=float, default=settings.roll, help="largest roll in degrees (default 4)"
    )
    parser.add_argument(
        "--occluded", type=float, default=settings.occluded, help="share with an occluder"
    )
    parser.add_argument(
        "--degraded", type=float, default=settings.degraded, help="share of degraded pictures"
    )
    parser.add_argument(
        "--strength",
        nargs=2,
        type=float,
        default=settings.strength,
        help="range of intensities, 0..1",
    )


def gather(args: argparse.Namespace) -> tuple[AssetPaths, list[Subject]]:
    """Fit the portraits; list everybody who can be rendered."""
    reader = mesh_reader(FaceDetector(max_faces=1))
    asset_paths = prepare_assets(args.kit, args.cache or args.out / "cache", reader)
    subjects = clay_subjects(args.clay_people) if args.clay else []
    if args.portraits:
        portraits = list_portraits(args.portraits, args.manifest, args.sources)
        source, count = args.hold_out.split(":")
        portraits = hold_out_last(portraits, source, int(count))
        fits = tqdm(
            fit_people(portraits, asset_paths, reader), total=len(portraits), desc="fitting"
        )
        reasons = Counter(reason or "fitted" for _, reason in fits)
        print(
            "portraits:",
            dict(reasons.most_common()),
            "- reasons in",
            asset_paths.people / "refused.csv",
        )
        subjects += fitted_subjects(portraits, asset_paths)
    return asset_paths, subjects


def chosen_settings(args: argparse.Namespace) -> Settings:
    """Collect the options that say what is in the data set."""
    names = [f.name for f in fields(Settings) if hasattr(args, f.name)]
    given = {name: getattr(args, name) for name in names}
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return Settings(**values)


def main(argv: list[str] | None = None) -> None:
    """Fit, plan, render, show."""
    args = parse(argv)
    asset_paths, subjects = gather(args)
    settings = chosen_settings(args)
    print("people:", dict(Counter((s.style, s.split) for s in subjects)))
    write_settings(args.out, settings, [s.name for s in subjects])
    recipes = plan(settings, subjects)
    output = Output(args.out, args.size, args.suffix, args.quality)
    already = len(finished_lines(args.out))
    new = write_dataset(recipes, asset_paths, output, args.workers)
    for _ in tqdm(new, total=len(recipes), initial=already, desc="rendering"):
        pass
    lines = list(finished_lines(args.out).values())
    print("written:", dict(Counter(line["split"] for line in lines)), "to", args.out)
    if args.sheet:
        chosen = np.random.default_rng(args.seed).permutation(len(lines))[:64]
        PILImage.fromarray(sheet_of(args.out, [lines[i] for i in chosen])).save(args.sheet)


if __name__ == "__main__":
    again = "the same command goes on where it was."
    options.run("render_faces", main, OSError, ValueError, again=again)
