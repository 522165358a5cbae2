"""The packaged classifier: our network, a prior from real photographs, and the measured face.

A folder of the kind `embedded` is a plain timm folder (`config.json`, `model.safetensors`) that
timm loads by itself, with a head for action units on the same features (`units.safetensors`), the
prior (`prior.safetensors`) and the linear readers over all three (`fusion.safetensors`) beside it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferce.action_units import ACTIVE, frontal
from ferce.backends import shape, timm_net
from ferce.backends.fusion import Fusion, Matrix
from ferce.backends.prior import LABELS as EMOTIONS
from ferce.backends.prior import Prior
from ferce.backends.timm_net import TimmNet
from ferce.calibration import FILE, softmax
from ferce.facs import UNITS
from ferce.hub import CheckpointError, read_json, resolve
from ferce.hypotheses import STEEPNESS
from ferce.labels import BASICS, COMPOUNDS, NEUTRAL, OUTCOMES
from ferce.mix import EVERYDAY, KNOWN, Mix, named, of_counts
from ferce.protocols import View
from ferce.spec import Spec
from ferce.types import Face, Scores, UnitEvidence, Units

PACKAGED = Path(__file__).parents[1] / "weights" / "classifier"
UNIT_WEIGHTS = "units.safetensors"
# Heads of the fusion: 21 outcomes under an even mix, action units, and how far each is trusted.
OUTCOME, UNIT, RELIABILITY = "outcomes", "units", "reliability"


class Embedded:
    """A `Classifier` and `Explainable`; its network is what heat maps look into."""

    whole = True  # it decides by more than its network; see `saliency.choose`

    def __init__(
        self, name: str, network: TimmNet, readers: tuple[Any, Prior, Fusion], mix: Mix
    ) -> None:
        """`readers`: the network's action-unit head (a torch Linear), the prior, the fusion.

        `mix` is how often the outcomes are assumed to be met.
        """
        self.name, self.network, self.mix = name, network, mix
        self._units, self._prior, self._fusion = readers
        self._view: View | None = None

    def scores(self, faces: Sequence[Face]) -> Scores:
        """One row a face; what is not measured of a face counts as the mean face."""
        x = self._fusion.standardised(self.evidence(faces)) * self._shown(faces)
        calibration = self.network.calibration
        even = softmax(self._fusion.heads[OUTCOME](x), calibration.temperature)
        classes, single, neutral = apart(self.mix.applied(even), even)
        return Scores(
            classes,
            neutral=neutral,
            single=single,
            units=[self._seen(face, row) for face, row in zip(faces, x, strict=True)],
            mass=calibration.mass,
            calibrated=True,
            outcome_mass=calibration.outcomes,
        )

    def evidence(self, faces: Sequence[Face]) -> Matrix:
        """(N, F) what the fusion reads, in the order of `evidence_names`."""
        logits, units = self._looked(faces)
        return np.hstack([logits, units, self._prior(faces), shape.shape(faces)])

    def view(self) -> View:
        """The network with the readers behind it, as heat maps need it."""
        if self._view is None:
            from ferce.backends.fused import Fused

            even = self._fusion.heads[OUTCOME]
            shift = np.log(np.maximum(self.mix.shares, np.finfo(np.float32).tiny))
            head = replace(even, bias=even.bias + shift)
            module = Fused(self.network.network, self._units, self._fusion, head).eval()
            self._view = replace(self.network.view(), module=module, index=OUTCOMES.index)
        return self._view

    def _shown(self, faces: Sequence[Face]) -> Matrix:
        """(N, F) how far each number counts: measures of covered places do not."""
        counts = np.ones((len(faces), len(self._fusion.features)))
        for row, face in zip(counts, faces, strict=True):
            if face.hidden:
                row[-len(shape.NAMES) :] = [face.shown(region) for region in shape.REGIONS]
        return counts

    def _looked(self, faces: Sequence[Face]) -> tuple[Matrix, Matrix]:
        """The network's scores (N, K) and action units (N, A), of one pass a batch."""
        import torch

        network, found = self.network.network, []
        size = timm_net.BATCH[self.network.device.split(":")[0]]
        with torch.inference_mode():
            for start in range(0, len(faces), size):
                pixels = self.network.inputs(faces[start : start + size])
                kept = network.forward_head(network.forward_features(pixels), pre_logits=True)
                found.append((network.get_classifier()(kept), self._units(kept)))
        if not found:
            return np.zeros((0, len(self.network.columns.names))), np.zeros((0, len(UNITS)))
        logits, units = (
            torch.cat(parts).double().cpu().numpy() for parts in zip(*found, strict=True)
        )
        return logits, units

    def _seen(self, face: Face, x: NDArray[np.float64]) -> Units:
        """Action units of one face with standardised evidence `x` (F,); {} without landmarks.

        The intensity is that under which `hypotheses` gives the reader's own probability.
        """
        if face.landmarks is None:
            return {}
        head, trust = self._fusion.heads[UNIT], self._fusion.heads[RELIABILITY].bias
        turned = frontal(face.quality.yaw) if face.quality else 1.0
        found = dict(face.units)
        for name, logit, reliability in zip(head.names, head(x[None])[0], trust, strict=True):
            number = int(name.removeprefix("AU"))
            intensity = float(np.clip(ACTIVE + logit / STEEPNESS, 0, 1))
            trust = reliability * turned * face.shown(UNITS[number].region)
            found[number] = _sided(face.units.get(number), number, intensity, trust)
        return found


def apart(outcomes: Matrix, even: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """(N, 14) of the compounds, if one shows, (N, 6) single emotions and (N,) neutral.

    Rows of the first sum to 1; where the mix rules compounds out, they are those of the even mix.

    Args:
        outcomes: (N, 21) probabilities under the assumed mix.
        even: the same under an even mix.
    """
    count = len(COMPOUNDS)
    both = np.where(outcomes[:, :count].sum(1, keepdims=True) > 0, outcomes, even)[:, :count]
    return both / both.sum(1, keepdims=True), outcomes[:, count:-1], outcomes[:, -1]


def evidence_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Names of the evidence of a network with these outputs."""
    return (
        *(f"network {name}" for name in columns),
        *(f"network AU{number}" for number in sorted(UNITS)),
        *(f"prior {name}" for name in EMOTIONS),
        *(f"face {name}" for name in shape.NAMES),
    )


def load(spec: Spec, device: str) -> Embedded:
    """`embedded`, the packaged one, or `embedded:FOLDER` or `embedded:owner/name@revision`.

    The option `?mix=` names the assumed mix of outcomes; see `mix.named`.

    Raises:
        CheckpointError: not to be had, or its parts do not fit together.
        ValueError: an option is unknown.
    """
    folder = resolve(spec.where, spec.revision) if spec.where else PACKAGED
    if unknown := set(spec.options) - {"mix"}:
        raise ValueError(f"Unknown option {min(unknown)!r}. Known options: mix.")
    return open_folder(folder, str(spec), device, spec.options.get("mix", EVERYDAY))


def open_folder(folder: Path, name: str, device: str = "cpu", mix: str = EVERYDAY) -> Embedded:
    """The classifier of a folder; see `load`."""
    network = timm_net.load(Spec("timm", str(folder)), device)
    fusion = Fusion.load(folder)
    if fusion.features != evidence_names(network.columns.names):
        raise CheckpointError(f"{folder} holds a fusion of other evidence; fit it again.")
    prior = Prior(folder / "prior.safetensors", network.device)
    assumed = named(mix, stored_mix(folder))
    return Embedded(name, network, (unit_head(folder, network), prior, fusion), assumed)


def stored_mix(folder: Path) -> Mix:
    """The everyday mix that a folder was fitted with; an even one where it names none."""
    path = folder / FILE
    told = read_json(path).get("mix") if path.is_file() else None
    return of_counts(EVERYDAY, told) if told else KNOWN["even"]


def unit_head(folder: Path, network: TimmNet) -> Any:
    """The action-unit head of a folder, a torch Linear in the order of `sorted(UNITS)`.

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


def _sided(seen: UnitEvidence | None, number: int, intensity: float, trust: float) -> UnitEvidence:
    """Sides as MediaPipe saw them, at the fused strength; never less sure than MediaPipe was."""
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
