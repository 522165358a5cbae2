"""What the options of a spec say about how a vision-language model is loaded and asked."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from ferce.prompts import TEMPLATES

LOADS = ("auto", "fp32", "bf16", "8bit", "4bit")
BASES = ("same", "any")
PRIORS = ("none", "grey", "empty", "both")
_CHOICES = {"load": LOADS, "calibrate": PRIORS, "base": BASES, "template": tuple(TEMPLATES)}


@dataclass(frozen=True)
class Settings:
    """Options of a spec, `kind:where?load=8bit&calibrate=grey`.

    Attributes:
        load: precision of the weights. "auto" is bf16 on a GPU and fp32 on a CPU; "8bit" and "4bit"
            (NF4) go through bitsandbytes, on a CPU too.
        calibrate: content-free inputs whose label probabilities divide the model's: a mean-grey
            picture with the usual question ("grey"), with an empty question ("empty"), or the mean
            of the two ("both"). Contextual calibration, Zhao et al. 2021, arXiv:2102.09690.
        batch: pictures, or questions, in one forward pass.
        base: "same" refuses an adapter that was trained on another base; "any" takes it.
        template: how an explanation is asked for, a key of `prompts.TEMPLATES`.
    """

    load: str = "auto"
    calibrate: str = "none"
    batch: int = 8
    base: str = "same"
    template: str = "plain"

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if (found := getattr(self, name)) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {found!r}")
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1; got {self.batch}")

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> Self:
        """Settings from a spec's options; raises ValueError for one that is unknown."""
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in options if name not in known]:
            raise ValueError(f"Unknown option {unknown[0]!r}. Known options: {', '.join(known)}.")
        values: dict[str, Any] = dict(options)
        if "batch" in values:
            values["batch"] = _whole(values["batch"])
        return cls(**values)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"batch must be a whole number; got {text!r}") from error
