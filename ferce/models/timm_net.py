"""Any timm network as a classifier, from the Hub or a folder in timm's own layout, or random."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import View
from ferce.core.types import Face, Scores, UnitEvidence, Units
from ferce.explanation.heatmaps import layers
from ferce.facs.action_units import UNIT_NUMBERS, UNITS
from ferce.facs.decision import STEEPNESS
from ferce.facs.prototypes import ACTIVE
from ferce.models import kinds
from ferce.models.calibration import Calibration, Columns, load_calibration
from ferce.models.hub import CheckpointError, read_json, resolve
from ferce.models.preprocessing import Preprocessing
from ferce.models.spec import Spec
from ferce.models.vlm.loading import choose_device

WEIGHTS = "model.safetensors"
UNIT_WEIGHTS = "units.safetensors"  # the head for action units on the same features
SETTINGS = "ferce.json"
BATCH = {"cpu": 16, "cuda": 128}  # faces in one pass


class TimmNet:
    """A `Classifier` and `Explainable` around one timm network in evaluation mode."""

    def __init__(
        self,
        name: str,
        network: Any,
        columns: Columns,
        preprocessing: Preprocessing,
        calibration: Calibration = Calibration(),  # noqa: B008 - frozen
        device: str = "cpu",
    ) -> None:
        """Moves the network to the device; `device` is "cpu", "cuda", "cuda:1"..."""
        import torch

        self.name, self.columns, self.calibration = name, columns, calibration
        self.preprocessing, self.device = preprocessing, device
        network.requires_grad_(False).eval()
        self.network = network.to(device, memory_format=torch.channels_last)
        self.units: UnitHead | None = None
        self._view: View | None = None

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Score faces, one row each; with their action units where the network has a head."""
        from ferce.models import memory

        logits = np.zeros((len(faces), len(self.columns.names)))
        units, done = np.zeros((len(faces), len(UNITS))), 0
        size = BATCH[self.device.split(":")[0]]
        for scored, seen in memory.passes(self._logits, faces, size):
            rows = slice(done, done := done + len(scored))
            logits[rows], units[rows] = scored, seen
        scores = self.columns.scores(logits, self.calibration)
        if self.units is None:
            return scores
        read = [self.units.seen(face, row) for face, row in zip(faces, units, strict=True)]
        return replace(scores, units=read)

    def view(self) -> View:
        """Open the network for heat maps; raises ValueError where no layer keeps the places."""
        if self._view is None:
            layer = layers.of_timm(self.network, self.inputs([]).new_zeros(self._shape(1)))
            self._view = View(
                self.network,
                layer.module,
                layer.name,
                self.inputs,
                self.columns.index,
                layer.reshape,
                self.preprocessing.part,
            )
        return self._view

    def _logits(self, faces: Sequence[Face]) -> tuple[Any, Any]:
        """Compute (n, K) scores and (n, A) action units, 0 without a head for them."""
        import torch

        pixels = self.inputs(faces)
        with torch.inference_mode(), self._precision():
            if self.units is None:
                return self.network(pixels).double().cpu().numpy(), 0.0
            kept = self.network.forward_head(self.network.forward_features(pixels), pre_logits=True)
            parts = (self.network.get_classifier()(kept), self.units.head(kept))
            scores, units = (part.double().cpu().numpy() for part in parts)
            return scores, units

    def _precision(self) -> AbstractContextManager[Any]:
        """Use mixed precision on a GPU; on a CPU without bfloat16 units it is far slower."""
        import torch

        on_gpu = self.device.startswith("cuda")
        return torch.autocast("cuda", torch.bfloat16) if on_gpu else nullcontext()

    def inputs(self, faces: Sequence[Face]) -> Any:
        """Make the (N, 3, H, W) inputs, on the network's device."""
        import torch

        pixels = self.preprocessing(faces)
        return pixels.to(self.device, memory_format=torch.channels_last)

    def _shape(self, n: int) -> tuple[int, ...]:
        return (n, 3, *self.preprocessing.size)


@dataclass(frozen=True, eq=False)
class UnitHead:
    """The head for action units that was trained with a network.

    `head` is a torch Linear in the order of `UNIT_NUMBERS`; `reliability` holds 0..1 of each unit,
    as faces held out from its training gave it, 0 where they did not show it.
    """

    head: Any
    reliability: Sequence[float]

    def seen(self, face: Face, logits: NDArray[np.float64]) -> Units:
        """Read a face's units from (A,) scores; what is covered is trusted less.

        The intensity is that under which `posterior` gives the head's own probability.
        """
        units = {}
        for number, logit, trust in zip(UNIT_NUMBERS, logits, self.reliability, strict=True):
            intensity = float(np.clip(ACTIVE + logit / STEEPNESS, 0, 1))
            shown = trust * face.shown(UNITS[number].region)
            units[number] = UnitEvidence(number, intensity, shown, source="network")
        return units


def unit_head(folder: Path, network: TimmNet) -> Any:
    """Load the action-unit head of a folder, a torch Linear in the order of `UNIT_NUMBERS`.

    Raises:
        CheckpointError: missing, or of another shape.
    """
    import torch
    from safetensors.torch import load_file

    path = folder / UNIT_WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{folder} has no action-unit head; train with --units above 0.")
    weights = load_file(path)
    head = torch.nn.Linear(network.network.head_hidden_size, len(UNITS))
    try:
        head.load_state_dict({n.rpartition(".")[2]: w for n, w in weights.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the network: {error}") from error
    return head.requires_grad_(False).to(network.device)


def load(spec: Spec, device: str) -> TimmNet:
    """Load the network of `timm:owner/name@revision`, `timm:FOLDER` or `timm:random/ARCHITECTURE`.

    Raises:
        CheckpointError: not to be had, or not a classifier of the 14 compounds.
        ValueError: the spec is of another form.
    """
    kinds.accept_timm(spec)
    where = spec.where.removeprefix("hf-hub:")
    if where.startswith(kinds.RANDOM):
        return _random(str(spec), where.removeprefix(kinds.RANDOM), choose_device(device))
    folder = resolve(where, spec.revision)
    config, columns, preprocessing = described(folder, where)
    network = _build(config, len(columns.names), where)
    _fill(network, folder, where)
    calibration = load_calibration(folder)
    made = TimmNet(str(spec), network, columns, preprocessing, calibration, choose_device(device))
    trust = reliability(folder)
    if trust is not None:
        made.units = UnitHead(unit_head(folder, made), trust)
    return made


def reliability(folder: Path) -> list[float] | None:
    """Read how reliable each unit's head is, 0..1; None where the network has no such heads.

    Raises:
        CheckpointError: `ferce.json` has something else there.
    """
    path = folder / SETTINGS
    units = read_json(path).get("units") if path.is_file() else None
    trust = units.get("reliability") if isinstance(units, Mapping) else units
    return None if trust is None else _shares(trust, path)


def described(folder: Path, where: str) -> tuple[dict[str, Any], Columns, Preprocessing]:
    """Read the `config.json` of a folder, and what it says of outputs and inputs.

    Raises:
        CheckpointError: not a classifier of the 14 compounds; the message calls it `where`.
    """
    config = read_json(folder / "config.json")
    details = config.get("pretrained_cfg", config)
    if not isinstance(details, Mapping):
        raise CheckpointError(f"The config.json of {where} has no object as its pretrained_cfg.")
    names = config.get("label_names", details.get("label_names"))
    count = config.get("num_classes", details.get("num_classes"))
    columns = Columns.read(names, where, count)
    return config, columns, Preprocessing.read(details, where)


def _shares(values: Any, path: Path) -> list[float]:
    """Check the reliability of the units, one number 0..1 each."""
    good = isinstance(values, list) and len(values) == len(UNIT_NUMBERS)
    if not good or not all(isinstance(v, int | float) and 0 <= v <= 1 for v in values):
        raise CheckpointError(
            f"{path} should give {len(UNIT_NUMBERS)} numbers 0..1 as the reliability of its units; "
            f"got {values!r:.60}."
        )
    return [float(value) for value in values]


def _random(name: str, architecture: str, device: str) -> TimmNet:
    """Make an untrained network for tests, with its architecture's own preprocessing, uncropped."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _build({"architecture": architecture}, len(COMPOUNDS), name)
    config = {**network.pretrained_cfg, "crop_pct": 1.0}
    return TimmNet(
        name, network, Columns(COMPOUNDS), Preprocessing.read(config, name), device=device
    )


def _build(config: Mapping[str, Any], count: int, where: str) -> Any:
    """Build the empty network of the config, with `count` outputs."""
    import timm

    architecture = str(config.get("architecture", "")).split(".")[0]  # the rest names weights
    if not timm.is_model(architecture):
        raise CheckpointError(
            f"{where} must name a network of timm {timm.__version__} as its architecture; "
            f"got {architecture!r}."
        )
    arguments = {**config.get("model_args", {}), "num_classes": count}
    try:
        return timm.create_model(architecture, pretrained=False, **arguments)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{where} does not describe a {architecture}: {error}.") from error


def _fill(network: Any, folder: Path, where: str) -> None:
    """Load the weights; all of them must be there and fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{where} must hold its weights as {WEIGHTS}.")
    try:
        missing, odd = network.load_state_dict(load_file(path), strict=False)
    except (RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(f"The weights of {where} do not fit its config: {reason}") from error
    if missing or odd:
        raise CheckpointError(
            f"The weights of {where} do not fit its config at {[*missing, *odd][0]!r}."
        )
