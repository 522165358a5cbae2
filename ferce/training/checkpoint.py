"""Everything a run needs to go on after a kill as if nothing had happened; no pickles.

`checkpoint/` holds `latest` (a name), the folder of that name, and nothing half-written under a
name that counts: folders are renamed into place when whole, and `latest` is replaced in one step.
"""

import json
import os
import random
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from ferce.core import jsontext
from ferce.training.options import Json, Settings
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from accelerate import Accelerator

FOLDER = "checkpoint"  # within the folder of a run
LATEST = "latest"
STATE = "state.json"
FORMAT = 2


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What is saved.

    Attributes:
        tensors: file name -> name -> tensor, such as the network's and the optimiser's.
        state: the rest, as JSON.
    """

    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Json


@dataclass(frozen=True, eq=False)
class Checkpoint(Snapshot):
    """What was saved, and the folder that holds it."""

    folder: Path


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, flush it to disk, and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.touch()
    mode = stat.S_IMODE(part.stat().st_mode)
    try:
        write(part)
        part.chmod(mode)  # safetensors makes files that nobody else may read
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a folder beside `folder`, which is not there, and rename it into place."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # from before a kill
    write(part)
    part.replace(folder)


def share_weights(folder: Path, like: Path) -> None:
    """Give the safetensors in a folder the mode of `like`: their library lets nobody else read."""
    for path in folder.glob("*.safetensors"):
        shutil.copymode(like, path)


@contextmanager
def whole_folder(folder: Path, kept: str = "") -> Iterator[Path]:
    """Give an empty folder for the files of a model, and bring them to `folder` when all are there.

    What `folder` has of weights goes first and the new ones come last, so that after a kill a
    folder with weights is a whole model, and a file with its name a whole file.

    Args:
        folder: made if need be; other files in it stay.
        kept: name of a file of it that is copied into the empty folder first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".model-*.part"):
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=".model-", suffix=".part", dir=folder) as place:
        part = Path(place)
        if (folder / kept).is_file():
            shutil.copyfile(folder / kept, part / kept)
        yield part
        for old in folder.glob("*.safetensors"):
            old.unlink()
        for path in sorted(part.iterdir(), key=lambda path: path.suffix == ".safetensors"):
            if path.is_dir():
                shutil.rmtree(folder / path.name, ignore_errors=True)
            path.replace(folder / path.name)


def write_json(path: Path, value: object) -> None:
    """Write an object as JSON, whole or not at all."""
    text = json.dumps(value, indent=1) + "\n"
    write_atomic(path, lambda part: part.write_text(text, "utf-8"))


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, whole or not at all."""
    from safetensors.torch import save_file

    kept = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomic(path, lambda part: save_file(kept, part))


def save(root: Path, name: str, snapshot: Snapshot, accelerator: "Accelerator") -> None:
    """Write a checkpoint and make it the latest; every process must call it.

    Args:
        root: the `checkpoint` folder.
        name: of this one, unlike that of the one before.
        snapshot: written by the main process.
        accelerator: tells the processes apart; each adds the state of its random numbers.
    """
    part = root / f"{name}.part"
    if accelerator.is_main_process:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    accelerator.wait_for_everyone()
    try:
        write_json(part / f"random-{accelerator.process_index}.json", random_state())
        if accelerator.is_main_process:
            for file, tensors in snapshot.tensors.items():
                write_tensors(part / f"{file}.safetensors", tensors)
            write_json(part / STATE, {**snapshot.state, "format": FORMAT})
    except Exception:  # a full disk wants its space back
        shutil.rmtree(part, ignore_errors=True)
        raise
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        _publish(root, name, part)
    accelerator.wait_for_everyone()


def _publish(root: Path, name: str, part: Path) -> None:
    final = root / name
    shutil.rmtree(final, ignore_errors=True)  # from before a kill; `latest` names another
    part.replace(final)
    write_atomic(root / LATEST, lambda file: file.write_text(name, "utf-8"))
    for old in root.iterdir():
        if old.is_dir() and old != final:
            shutil.rmtree(old, ignore_errors=True)


def load(root: Path) -> Checkpoint | None:
    """Load the latest checkpoint; None where there is none.

    Raises:
        TrainingError: it is damaged, or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not (root / LATEST).is_file():
        return None
    folder = root / (root / LATEST).read_text("utf-8", "replace").strip()
    try:
        state = jsontext.parse((folder / STATE).read_text("utf-8"))
        tensors = {path.stem: load_file(path) for path in sorted(folder.glob("*.safetensors"))}
    except (OSError, ValueError, SafetensorError) as error:
        raise TrainingError(f"{folder} is no whole checkpoint ({error}); delete {root}.") from error
    form = state.get("format") if isinstance(state, dict) else None
    if form != FORMAT:
        raise TrainingError(f"{folder} has format {form!r:.40}; expected {FORMAT}.")
    return Checkpoint(tensors, state, folder)


def to_resume(root: Path, plan: Settings, resume: bool) -> Checkpoint | None:
    """Load the checkpoint that a run of `plan` goes on from.

    Raises:
        TrainingError: there is one though nobody asked for it, or it is of another plan.
    """
    saved = load(root)
    if saved is None:
        return None
    if not resume:
        raise TrainingError(
            f"{root} holds the checkpoint of a run; resume it, or give another output folder."
        )
    if odd := plan.differs(saved.state["plan"]):
        was = saved.state["plan"].get(odd[0])
        raise TrainingError(
            f"The run in {root} has {odd[0]} = {was!r}, not {getattr(plan, odd[0])!r}; "
            "resume with the same settings, or give another output folder."
        )
    return saved


def optimiser_state(optimiser: Optimizer) -> tuple[dict[str, Tensor], Json]:
    """Split an optimiser's state into tensors and JSON.

    The value `name` of parameter 3 is called `3.name`; where bitsandbytes keeps its 8-bit states in
    a mapping `group` within that, `3.group|name`.
    """
    state = optimiser.state_dict()
    tensors, rest = {}, {}
    for number, values in state["state"].items():
        for name, value in _flat(values):
            if isinstance(value, Tensor):
                tensors[f"{number}.{name}"] = value
            else:
                rest[f"{number}.{name}"] = value
    return tensors, {"values": rest, "groups": state["param_groups"]}


def restore_optimiser(optimiser: Optimizer, tensors: Mapping[str, Tensor], rest: Json) -> None:
    """Put back what `optimiser_state` gave."""
    state: dict[int, Json] = {}
    for key, value in {**tensors, **rest["values"]}.items():
        number, name = key.split(".", 1)
        row = state.setdefault(int(number), {})
        group, bar, inner = name.partition("|")
        if bar:
            row.setdefault(group, {})[inner] = value
        else:
            row[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": rest["groups"]})


def _flat(values: Json) -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}|{inner}", v) for inner, v in value.items())
        else:
            yield name, value


def random_state() -> Json:
    """Read the generators of Python, NumPy and torch (CPU and this GPU), as JSON."""
    version, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - libraries use it
    state = {
        "python": [version, list(words), gauss],
        "numpy": [np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
        "torch": bytes(torch.get_rng_state().tolist()).hex(),
    }
    if torch.cuda.is_available():
        state["cuda"] = bytes(torch.cuda.get_rng_state().tolist()).hex()
    return state


def restore_random(folder: Path, rank: int) -> None:
    """Put the generators of process `rank` back as a checkpoint holds them.

    Raises:
        TrainingError: the checkpoint was made by fewer processes.
    """
    path = folder / f"random-{rank}.json"
    if not path.is_file():
        raise TrainingError(f"{folder} was made by {rank} processes; resume with as many.")
    state = json.loads(path.read_text("utf-8"))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", np.array(keys, np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(torch.tensor(list(bytes.fromhex(state["torch"])), dtype=torch.uint8))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(
            torch.tensor(list(bytes.fromhex(state["cuda"])), dtype=torch.uint8)
        )
