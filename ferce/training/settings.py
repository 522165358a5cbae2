"""What every run is told: its data; and how the fields of a plan are described and checked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from ferce.training.errors import TrainingError

DETECT = ("auto", "yes", "no")
AUGMENT = ("full", "wild", "flip", "none")


def setting(default: Any, text: str, choices: tuple[str, ...] = ()) -> Any:
    """A field with its help and the values that it may have (() for any)."""
    return field(default=default, metadata={"help": text, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """Where the faces come from; each field's help says what it means.

    Raises:
        TrainingError: a field is out of range.
    """

    # Fields that change where and how fast a run goes, but not what it computes.
    FREE: ClassVar[tuple[str, ...]] = ()
    # Field -> its least value, where that is not 0.
    LEAST: ClassVar[Mapping[str, int]] = {"jobs": 1}
    SHARES: ClassVar[tuple[str, ...]] = ("val_share",)  # these lie in 0..1, without 1

    data: str = setting("demo", "data set with train and val, such as rafce:/data/RAF-CE")
    val_share: float = setting(0.15, "share of people held out where the data has no val split")
    detect: str = setting(
        "auto", "find and align the face first; auto: unless already aligned", DETECT
    )
    cache: str = setting("", "folder of aligned faces; default ~/.cache/ferce/aligned")
    jobs: int = setting(1, "processes that align")

    def __post_init__(self) -> None:
        for item in fields(self):
            value, choices = getattr(self, item.name), item.metadata["choices"]
            if choices and value not in choices:
                raise TrainingError(f"{item.name} must be one of {choices}; got {value!r}.")
            if isinstance(value, int | float):
                self._check_number(item.name, value)

    def _check_number(self, name: str, value: float) -> None:
        least = self.LEAST.get(name, 0)
        if value < least:
            wanted = f"be at least {least}" if least else "not be negative"
            raise TrainingError(f"{name} must {wanted}; got {value}.")
        if name in self.SHARES and value >= 1:
            raise TrainingError(f"{name} must lie in 0..1; got {value}.")

    def differs(self, other: Mapping[str, Any]) -> list[str]:
        """Fields that make another run than `other`, the fields of a plan as JSON holds them."""
        mine = asdict(self)
        return [n for n in mine if n not in self.FREE and mine[n] != other.get(n)]
