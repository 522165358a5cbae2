"""The packaged classifier: our network, a prior from real photographs, and the measured face.

A folder of the kind `embedded` is a plain timm folder (`config.json`, `model.safetensors`) that
timm loads by itself, with a head for action units on the same features (`units.safetensors`), the
prior (`prior.safetensors`) and the linear readers over all three (`fusion.safetensors`) beside it.
With the network's graph as well (`network.onnx`, see `train/export_graphs.py`) it needs no torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from ferce.core.compute import pieces, together
from ferce.core.labels import BASICS, NEUTRAL
from ferce.core.protocols import Pooled, View
from ferce.core.types import Face, Scores, UnitEvidence, Units
from ferce.facs.action_units import UNITS
from ferce.facs.decision import STEEPNESS
from ferce.facs.prototypes import ACTIVE, frontal
from ferce.models import graph_net, landmark_features
from ferce.models.calibration import (
    EVEN,
    EVERYDAY,
    FILE,
    Calibration,
    Columns,
    Mix,
    mix_of_counts,
    named_mix,
    softmax,
)
from ferce.models.fusion import Fusion, Head, Matrix
from ferce.models.graph_net import GraphNet
from ferce.models.hub import CheckpointError, read_json, resolve
from ferce.models.kinds import MIX
from ferce.models.prior import LABELS as EMOTIONS
from ferce.models.prior import Prior
from ferce.models.spec import Spec

PACKAGED = Path(__file__).parents[1] / "weights" / "classifier"
# Heads of the fusion: 21 outcomes under an even mix, action units, and how far each is trusted.
OUTCOME, UNIT, RELIABILITY = "outcomes", "units", "reliability"


class Network(Protocol):
    """What sees the pixels of a face: a network with a head for labels and one for action units."""

    @property
    def device(self) -> str:
        """The device that it computes on: "cpu", "cuda" ..."""
        ...

    @property
    def columns(self) -> Columns:
        """The labels of its outputs."""
        ...

    @property
    def calibration(self) -> Calibration:
        """What held-out faces gave for the classifier."""
        ...

    def look(self, faces: Sequence[Face]) -> tuple[Matrix, Matrix]:
        """Compute scores (N, K) and action units (N, A)."""
        ...

    def open(self, fusion: Fusion, head: Head) -> View:
        """Open it with a head of the fusion behind it, in torch."""
        ...


@dataclass(frozen=True, eq=False)
class Readers:
    """The prior, and the linear readers that weigh it with the network and the measured face."""

    prior: Prior
    fusion: Fusion


class Embedded:
    """A `Classifier` and `Explainable`; heat maps are made of its network."""

    complete = False  # the prior and the measured face decide, too

    def __init__(self, name: str, network: Network, readers: Readers, mix: Mix) -> None:
        """Join a network with the readers of its outputs, for faces of an assumed mix."""
        self.name, self.network, self.mix = name, network, mix
        self._prior, self.fusion = readers.prior, readers.fusion
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
            units=SeenUnits(self._seen, faces, x),
            mass=calibration.mass,
            calibrated=self.mix.name == EVEN.name,
            outcome_mass=calibration.outcomes if self.mix.name == EVERYDAY else None,
        )

    def evidence(self, faces: Sequence[Face]) -> Matrix:
        """Collect the (N, F) numbers that the fusion reads, in the order of `evidence_names`."""
        return np.hstack([self._look(faces), self._prior(faces), landmark_features.shape(faces)])

    def _look(self, faces: Sequence[Face]) -> Matrix:
        """Compute scores and units of the network side by side, (N, K + A)."""
        return np.hstack(self.network.look(faces))

    def read(self, x: Matrix, by: str = OUTCOME) -> Matrix:
        """Read (N, 21) probabilities from standardised evidence by a head of the fusion."""
        even = softmax(self.fusion.heads[by](x), self.network.calibration.temperature)
        return self.mix.applied(even)

    def view(self) -> View:
        """Open the network with the readers behind it for heat maps; imports torch."""
        if self._view is None:
            self._view = self.network.open(self.fusion, self._decision())
        return self._view

    def _decision(self) -> Head:
        """Shift the head of the outcomes by the mix."""
        even = self.fusion.heads[OUTCOME]
        shift = np.log(np.maximum(self.mix.shares, np.finfo(np.float32).tiny))
        return replace(even, bias=even.bias + shift)

    def _shown(self, faces: Sequence[Face]) -> Matrix:
        """Weigh each number, (N, F): measures of covered places do not."""
        counts = np.ones((len(faces), len(self.fusion.features)))
        for row, face in zip(counts, faces, strict=True):
            if face.hidden:
                row[-len(landmark_features.NAMES) :] = landmark_features.shown(face)
        return counts

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


@dataclass(frozen=True, eq=False)
class SeenUnits(Sequence[Units]):
    """Action units of faces, read when they are asked for; of hidden variants nobody asks.

    `read` takes a face and its row of the standardised evidence `x` (N, F).
    """

    read: Callable[[Face, NDArray[np.float64]], Units]
    faces: Sequence[Face]
    x: Matrix

    def __len__(self) -> int:
        return len(self.faces)

    @overload
    def __getitem__(self, place: int) -> Units: ...

    @overload
    def __getitem__(self, place: slice) -> "SeenUnits": ...

    def __getitem__(self, place: int | slice) -> "Units | SeenUnits":
        if isinstance(place, slice):
            return replace(self, faces=self.faces[place], x=self.x[place])
        return self.read(self.faces[place], self.x[place])


_CACHED = 2  # faces in a pass: what lies between the layers of more leaves the processor's cache


class Light(Embedded):
    """The classifier without torch, and a `Poolable`: Grad-CAM needs no gradients of it."""

    network: GraphNet

    def evidence(self, faces: Sequence[Face]) -> Matrix:
        """Collect the numbers on all cores, of one face on two; see `Embedded.evidence`."""
        parts = pieces(faces, _CACHED)
        looks = [partial(self._look, part) for part in parts]
        found = together([*looks, *(partial(self._prior, part) for part in parts)])
        seen, prior = (np.concatenate(half) for half in (found[: len(parts)], found[len(parts) :]))
        return np.hstack([seen, prior, landmark_features.shape(faces)])

    def pooled(self, face: Face) -> Pooled:
        """Compute the last map of a face, and its scores with other evidence at its mean."""
        return self.network.pooled(face, self.fusion, self._decision())


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

    The option `?mix=` names the assumed mix of outcomes; see `calibration.named_mix`.

    Raises:
        CheckpointError: not to be had, or its parts do not fit together.
    """
    folder = resolve(spec.where, spec.revision) if spec.where else PACKAGED
    return open_folder(folder, str(spec), device, spec.options.get(MIX, EVERYDAY))


def open_folder(folder: Path, name: str, device: str = "cpu", mix: str = EVERYDAY) -> Embedded:
    """Load the classifier of a folder; see `load`.

    On "cuda", or without a graph of the network, torch computes; on "auto" and "cpu" the graph.
    """
    light = device in ("auto", "cpu") and (folder / graph_net.GRAPH).is_file()
    network = GraphNet(folder) if light else _by_torch(folder, device)
    fusion = Fusion.load(folder)
    if fusion.features != evidence_names(network.columns.names):
        raise CheckpointError(f"{folder} holds a fusion of other evidence; fit it again.")
    readers = Readers(Prior(folder / "prior.safetensors", network.device), fusion)
    assumed = named_mix(mix, stored_mix(folder))
    if isinstance(network, GraphNet):
        return Light(name, network, readers, assumed)
    return Embedded(name, network, readers, assumed)


def _by_torch(folder: Path, device: str) -> Network:
    from ferce.models import torch_net

    return torch_net.load(folder, device)


def stored_mix(folder: Path) -> Mix:
    """Load the everyday mix that a folder was fitted with; an even one where it names none.

    Raises:
        CheckpointError: the file holds something else there.
    """
    path = folder / FILE
    shares = read_json(path).get("mix") if path.is_file() else None
    if not shares:
        return EVEN
    try:
        return mix_of_counts(EVERYDAY, dict(shares))
    except (TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{path} must give shares of outcomes under 'mix'.") from error


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


assert set(EMOTIONS) == {NEUTRAL, *BASICS}, "the prior names the basic emotions"
