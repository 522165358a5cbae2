"""Linear heads over the outputs of several models: expression, action units, compounds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ferce.core import jsontext
from ferce.models.hub import CheckpointError

FILE = "fusion.safetensors"
ABOUT = "fusion"  # key of the file's metadata: the names, as JSON
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Head:
    """A linear head x W^T + b of standardised x: `weight` (K, F), `bias` (K,), K `names`."""

    names: tuple[str, ...]
    weight: Matrix
    bias: Matrix

    def __call__(self, x: Matrix) -> Matrix:
        """Score (N, F) evidence, (N, K)."""
        return np.asarray(x @ self.weight.T + self.bias)


@dataclass(frozen=True, eq=False)
class Fusion:
    """Linear heads over the same evidence.

    Attributes:
        features: names of the F numbers, in order.
        mean: (F,) of the numbers where it was fitted; what is NaN counts as this.
        scale: (F,) their standard deviations.
        heads: name -> head.
    """

    features: tuple[str, ...]
    mean: Matrix
    scale: Matrix
    heads: Mapping[str, Head]

    def standardised(self, x: Matrix) -> Matrix:
        """Scale (N, F) evidence to mean 0 and deviation 1; 0 where it is NaN."""
        return np.nan_to_num((np.asarray(x, np.float64) - self.mean) / self.scale)

    def save(self, folder: Path) -> None:
        """Write `fusion.safetensors`."""
        from safetensors.numpy import save_file

        tensors = {"mean": self.mean, "scale": self.scale}
        for name, head in self.heads.items():
            tensors |= {f"{name}.weight": head.weight, f"{name}.bias": head.bias}
        about = {
            "features": self.features,
            "heads": {name: head.names for name, head in self.heads.items()},
        }
        exact = {name: np.ascontiguousarray(t, np.float32) for name, t in tensors.items()}
        save_file(exact, folder / FILE, metadata={ABOUT: json.dumps(about)})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            CheckpointError: there is no such file, or something is missing in it.
        """
        from safetensors import SafetensorError, safe_open
        from safetensors.numpy import load_file

        path = folder / FILE
        try:
            with safe_open(path, "np") as file:
                about = jsontext.parse((file.metadata() or {})[ABOUT])
            tensors = {name: _exact(values) for name, values in load_file(path).items()}
            heads = {
                name: Head(tuple(names), tensors[f"{name}.weight"], tensors[f"{name}.bias"])
                for name, names in about["heads"].items()
            }
            made = cls(tuple(about["features"]), tensors["mean"], tensors["scale"], heads)
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, AttributeError) as e:
            raise CheckpointError(f"{path} is no fusion of this version: {e}.") from e
        if not made.fits:
            raise CheckpointError(f"{path} is no fusion of this version: names and weights differ.")
        return made

    @property
    def fits(self) -> bool:
        """Whether names and arrays belong together; a head of constants has one column."""
        count = len(self.features)
        names = [*self.features, *(name for head in self.heads.values() for name in head.names)]
        return (
            all(isinstance(name, str) for name in names)
            and self.mean.shape == self.scale.shape == (count,)
            and all(
                head.bias.shape == (len(head.names),)
                and head.weight.shape in ((len(head.names), count), (len(head.names), 1))
                for head in self.heads.values()
            )
        )


def _exact(values: NDArray[np.generic]) -> Matrix:
    """Widen weights; raises ValueError where a number is not finite."""
    if not np.isfinite(values).all():
        raise ValueError("a weight is not finite")
    return values.astype(np.float64)
