"""The packaged classifier: our network, a prior from real photographs, and the measured face.

A folder of the kind `embedded` is a plain timm folder (`config.json`, `model.safetensors`) that
timm loads by itself, with a head for action units on the same features (`units.safetensors`), the
prior (`prior.safetensors`) and the linear readers over all three (`fusion.safetensors`) beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ferce.core.labels import BASICS, NEUTRAL, OUTCOMES
from ferce.core.protocols import View
from ferce.core.types import Face, Scores, UnitEvidence, Units
from ferce.facs.action_units import UNITS
from ferce.facs.posterior import STEEPNESS
from ferce.facs.prototypes import ACTIVE, frontal
from ferce.models import landmark_features, memory, timm_net
from ferce.models.calibration import FILE, softmax
from ferce.models.forms import MIX
from ferce.models.fusion import Fusion, Head, Matrix
from ferce.models.hub import CheckpointError, read_json, resolve
from ferce.models.mix import EVEN, EVERYDAY, Mix, named, of_counts
from ferce.models.prior import LABELS as EMOTIONS
from ferce.models.prior import Prior
from ferce.models.spec import Spec
from ferce.models.timm_net import TimmNet, unit_head

PACKAGED = Path(__file__).parents[1] / "weights" / "classifier"
# Heads of the fusion: 21 outcomes under an even mix, action units, and how far each is trusted.
OUTCOME, UNIT, RELIABILITY = "outcomes", "units", "reliability"


@dataclass(frozen=True, eq=False)
class Readers:
    """The models that read the network's features, and those beside it.

    `units` is the action-unit head, a torch Linear; `fusion` weighs it with the rest.
    """

    units: nn.Module
    prior: Prior
    fusion: Fusion


class Embedded:
    """A `Classifier` and `Explainable`; heat maps are made of its network."""

    def __init__(self, name: str, network: TimmNet, readers: Readers, mix: Mix) -> None:
        """Join a network with the readers of its features, for faces of an assumed mix."""
        self.name, self.network, self.mix = name, network, mix
        self._units, self._prior, self.fusion = readers.units, readers.prior, readers.fusion
        self._view: View | None = None

    @property
    def device(self) -> str:
        """The network's."""
        return self.network.device

    def scores(self, faces: Sequence[Face]) -> Scores:
        """Score faces, one row each; what is not measured counts as the mean face."""
        x = self.fusion.standardised(self.evidence(faces)) * self._shown(faces)
        calibration = self.network.calibration
        return Scores.of_outcomes(
            self.read(x),
            units=[self._seen(face, row) for face, row in zip(faces, x, strict=True)],
            mass=calibration.mass,
            calibrated=self.mix.name == EVEN.name,
            outcome_mass=calibration.outcomes if self.mix.name == EVERYDAY else None,
        )

    def evidence(self, faces: Sequence[Face]) -> Matrix:
        """Collect the (N, F) numbers that the fusion reads, in the order of `evidence_names`."""
        logits, units = self._looked(faces)
        return np.hstack([logits, units, self._prior(faces), landmark_features.shape(faces)])

    def read(self, x: Matrix, by: str = OUTCOME) -> Matrix:
        """Read (N, 21) probabilities from standardised evidence by a head of the fusion."""
        even = softmax(self.fusion.heads[by](x), self.network.calibration.temperature)
        return self.mix.applied(even)

    def view(self) -> View:
        """Open the network with the readers behind it for heat maps."""
        if self._view is None:
            even = self.fusion.heads[OUTCOME]
            shift = np.log(np.maximum(self.mix.shares, np.finfo(np.float32).tiny))
            head = replace(even, bias=even.bias + shift)
            module = Fused(self.network.network, self._units, self.fusion, head).eval()
            self._view = replace(
                self.network.view(), module=module, index=OUTCOMES.index, complete=False
            )
        return self._view

    def _shown(self, faces: Sequence[Face]) -> Matrix:
        """Weigh each number, (N, F): measures of covered places do not."""
        counts = np.ones((len(faces), len(self.fusion.features)))
        for row, face in zip(counts, faces, strict=True):
            if face.hidden:
                row[-len(landmark_features.NAMES) :] = [
                    face.shown(region) for region in landmark_features.REGIONS
                ]
        return counts

    def _looked(self, faces: Sequence[Face]) -> tuple[Matrix, Matrix]:
        """Compute the network's scores (N, K) and units (N, A) in one pass a batch."""
        network = self.network.network

        def one(part: Sequence[Face]) -> tuple[Tensor, Tensor]:
            features = network.forward_features(self.network.inputs(part))
            kept = network.forward_head(features, pre_logits=True)
            return network.get_classifier()(kept), self._units(kept)

        size = timm_net.BATCH[self.network.device.split(":")[0]]
        with torch.inference_mode():
            batches = list(memory.passes(one, faces, size))
        if not batches:
            return np.zeros((0, len(self.network.columns.names))), np.zeros((0, len(UNITS)))
        logits, units = (
            torch.cat(parts).double().cpu().numpy() for parts in zip(*batches, strict=True)
        )
        return logits, units

    def _seen(self, face: Face, x: NDArray[np.float64]) -> Units:
        """Read a face's action units from standardised evidence `x` (F,); {} without landmarks.

        The intensity is that under which `posterior` gives the reader's own probability.
        """
        if face.landmarks is None:
            return {}
        head, trust = self.fusion.heads[UNIT], self.fusion.heads[RELIABILITY].bias
        turned = frontal(face.quality.yaw) if face.quality else 1.0
        units = dict(face.units)
        for name, logit, reliability in zip(head.names, head(x[None])[0], trust, strict=True):
            number = int(name.removeprefix("AU"))
            intensity = float(np.clip(ACTIVE + logit / STEEPNESS, 0, 1))
            trust = reliability * turned * face.shown(UNITS[number].region)
            units[number] = _sided(face.units.get(number), number, intensity, trust)
        return units


def evidence_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Name the evidence of a network with these outputs."""
    return (
        *(f"network {name}" for name in columns),
        *(f"network AU{number}" for number in sorted(UNITS)),
        *(f"prior {name}" for name in EMOTIONS),
        *(f"face {name}" for name in landmark_features.NAMES),
    )


def load(spec: Spec, device: str) -> Embedded:
    """Load `embedded`, the packaged one, or `embedded:FOLDER` or `embedded:owner/name@revision`.

    The option `?mix=` names the assumed mix of outcomes; see `mix.named`.

    Raises:
        CheckpointError: not to be had, or its parts do not fit together.
    """
    folder = resolve(spec.where, spec.revision) if spec.where else PACKAGED
    return open_folder(folder, str(spec), device, spec.options.get(MIX, EVERYDAY))


def open_folder(folder: Path, name: str, device: str = "cpu", mix: str = EVERYDAY) -> Embedded:
    """Load the classifier of a folder; see `load`."""
    network = timm_net.load(Spec("timm", str(folder)), device)
    fusion = Fusion.load(folder)
    if fusion.features != evidence_names(network.columns.names):
        raise CheckpointError(f"{folder} holds a fusion of other evidence; fit it again.")
    prior = Prior(folder / "prior.safetensors", network.device)
    assumed = named(mix, stored_mix(folder))
    return Embedded(name, network, Readers(unit_head(folder, network), prior, fusion), assumed)


def stored_mix(folder: Path) -> Mix:
    """Load the everyday mix that a folder was fitted with; an even one where it names none."""
    path = folder / FILE
    shares = read_json(path).get("mix") if path.is_file() else None
    return of_counts(EVERYDAY, shares) if shares else EVEN


def _sided(seen: UnitEvidence | None, number: int, intensity: float, trust: float) -> UnitEvidence:
    """Keep MediaPipe's sides at the fused strength; never less sure than MediaPipe was."""
    confidence = float(min(max(trust, seen.confidence if seen else 0.0), 1.0))
    if not UNITS[number].sided:
        return UnitEvidence(number, intensity, confidence, source="embedded")
    left, right = (seen.left or 0.0, seen.right or 0.0) if seen else (0.0, 0.0)
    most = max(left, right)
    share = (left / most, right / most) if most > 0 else (1.0, 1.0)
    return UnitEvidence(
        number, intensity, confidence, intensity * share[0], intensity * share[1], "embedded"
    )


class Fused(nn.Module):  # type: ignore[misc]
    """The classifier as a network: (N, 3, H, W) to (N, K) log-probabilities.

    All other evidence is at its mean. Columns are what the head names. So a map shows what the
    network adds to the decision, by way of its scores and of its action units.
    """

    def __init__(self, network: Any, units: nn.Module, fusion: Fusion, head: Head) -> None:
        """Copy one linear reader of the fusion."""
        super().__init__()
        self.network, self.units = network, units
        count = network.num_classes + units.out_features
        self.register_buffer("mean", _tensor(fusion.mean[:count]))
        self.register_buffer("scale", _tensor(fusion.scale[:count]))
        self.head = _linear(head, count)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the log-probabilities of pictures."""
        kept = self.network.forward_head(self.network.forward_features(images), pre_logits=True)
        seen = torch.cat([self.network.get_classifier()(kept), self.units(kept)], 1)
        x = (seen - self.mean) / self.scale
        return self.head(x).log_softmax(1)


def _linear(head: Head, count: int) -> nn.Module:
    made = nn.Linear(count, len(head.names))
    made.weight.data.copy_(_tensor(head.weight[:, :count]))
    made.bias.data.copy_(_tensor(head.bias))
    return made.requires_grad_(False)


def _tensor(values: Matrix) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


assert set(EMOTIONS) == {NEUTRAL, *BASICS}, "the prior names the basic emotions"
