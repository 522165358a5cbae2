"""The settings that all trainings share: their data; and how settings are described and checked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from ferce.training.progress import TrainingError

Json = dict[str, Any]  # an object of JSON
DETECT = ("auto", "yes", "no")
AUGMENT = ("full", "wild", "flip", "none")
DEVICES = ("auto", "cpu")
LOSSES = ("cross-entropy", "class-balanced", "logit-adjusted")
SAMPLERS = ("shuffled", "weighted")


def setting(default: Any, text: str, choices: tuple[str, ...] = ()) -> Any:
    """Define a field with its help, a full phrase, and the values that it may have (() for any)."""
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

    data: str = setting("demo", "spec of the data set to learn from, such as rafce:/data/RAF-CE")
    more: str = setting("", "spec of another data set whose training faces join, such as renders")
    more_times: int = setting(1, "times that each of those faces is seen in an epoch")
    val_share: float = setting(
        0.15, "share 0..1 of people held out for validation where the data has no val split"
    )
    detect: str = setting(
        "auto", "find and align the face first; auto does so unless pictures are crops", DETECT
    )
    cache: str = setting("", "folder of aligned faces (default ~/.cache/ferce/aligned)")
    jobs: int = setting(1, "processes that align faces")

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

    def differs(self, other: Mapping[str, object]) -> list[str]:
        """Name the fields that make another run than `other`, a plan as JSON holds it."""
        mine = asdict(self)
        return [n for n in mine if n not in self.FREE and mine[n] != other.get(n)]
