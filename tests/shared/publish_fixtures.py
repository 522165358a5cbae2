"""Run folders as the trainings leave them, tiny and random, with measurements that agree."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from patience import PATIENCE, PROGRAM

from ferce.core.labels import COMPOUNDS
from ferce.evaluation import metrics
from ferce.evaluation.metrics_file import wilson

ROOT = Path(__file__).parents[2]
K = len(COMPOUNDS)


def figures(seed: int = 0, faces: int = 420) -> dict:
    """A split's block, computed from drawn predictions of which two of three are right."""
    rng = np.random.default_rng(seed)
    truth = np.arange(faces) % K
    logits = rng.normal(size=(faces, K))
    logits[np.arange(faces), truth] += 2.5
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    best = p.argmax(1)
    hits = int((best == truth).sum())
    interval = metrics.bootstrap(
        lambda rows: metrics.macro_f1(truth[rows], best[rows], K), np.arange(faces), 50
    )
    return {
        "faces": faces,
        "macro_f1": interval.value,
        "macro_f1_interval": [interval.low, interval.high],
        "accuracy": hits / faces,
        "accuracy_interval": list(wilson(hits, faces)),
        "top2": metrics.top_k(truth, p, 2),
        "uar": metrics.unweighted_recall(truth, best, K),
        "ece": metrics.calibration_error(truth, p),
        "nll": metrics.negative_log_likelihood(truth, p),
        "brier": metrics.brier(truth, p),
        "f1": dict(zip(COMPOUNDS, metrics.per_class(truth, best, K)["f1"].tolist(), strict=True)),
        "confusion": metrics.confusion(truth, best, K).tolist(),
    }


def measurements(data: str = "demo", **more) -> dict:
    counts = dict.fromkeys(COMPOUNDS, 20)
    return {
        "val": figures(1),
        "test": figures(2),
        "data": {"spec": data, "fingerprint": "0" * 16, "train": counts, "val": counts},
        "origin": "random",
        "machine": {"device": "x86_64 CPU, 2 threads", "processes": 1, "torch": "2.15"},
        "seconds": 90.0,
        **more,
    }


def write(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value))


def timm_run(folder: Path, **more) -> Path:
    """A network of timm with a random head, calibrated."""
    import timm
    import torch
    from timm.models import save_for_hf

    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=K)
    config = dict(network.pretrained_cfg, input_size=(3, 64, 64), crop_pct=1.0)
    save_for_hf(
        network, folder, model_config={"label_names": list(COMPOUNDS)}, safe_serialization=True,
        data_config={k: config[k] for k in ("input_size", "crop_pct", "mean", "std",
                                            "interpolation")},
    )  # fmt: skip
    write(folder / "ferce.json", {"calibration": {"temperature": 1.5, "mass": 0.8}})
    write(folder / "metrics.json", measurements(**more))
    return folder


def adapter_run(folder: Path, base: Path, name: str, **more) -> Path:
    """A LoRA adapter of the BLIP-2 in `base` that calls it `name`, with its processor."""
    import tiny_models
    from transformers import AutoProcessor

    from ferce.models.hub import fingerprint

    tiny_models.build_adapter(folder, base, name)
    (folder / "README.md").unlink()
    AutoProcessor.from_pretrained(base).save_pretrained(folder)
    ours = {"base": name, "base_revision": None, "base_fingerprint": fingerprint(base)}
    write(folder / "ferce.json", ours)
    write(folder / "metrics.json", measurements(**more))
    write(folder / "run.json", {"shuffle_labels": False, "basic_data": ""})
    return folder


def client(code: str, url: str, home: Path, token: str = "", **environment: str):
    """Run code in a fresh interpreter whose Hub is at `url` and whose cache is `home`."""
    return subprocess.run(
        [sys.executable, "-c", code], env=surroundings(url, home, token, **environment), cwd=home,
        capture_output=True, text=True, timeout=PROGRAM, check=False,
    )  # fmt: skip


def surroundings(url: str, home: Path, token: str = "", **more: str) -> dict[str, str]:
    """Environment of a client; every variable of the Hub is read when its library is imported."""
    home.mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    return {
        **kept, "HF_ENDPOINT": url, "HF_HOME": str(home), "HF_TOKEN": token,
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_ETAG_TIMEOUT": str(PATIENCE),
        "HF_HUB_DOWNLOAD_TIMEOUT": str(PATIENCE), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
        **more,
    }  # fmt: skip
