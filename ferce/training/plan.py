"""All that decides how a classifier is trained; the command line is made from these fields."""

from dataclasses import dataclass
from typing import ClassVar

from ferce.training.errors import TrainingError
from ferce.training.settings import AUGMENT, Settings
from ferce.training.settings import setting as _

LOSSES = ("cross-entropy", "class-balanced", "focal", "logit-adjusted", "ldam")
SAMPLERS = ("shuffled", "weighted")
PRECISIONS = ("no", "bf16", "fp16")
LABELS = ("auto", "compounds")
KEEP = ("best", "last")
FEW_SHOT = ("none", "prototypes", "linear", "cache")


@dataclass(frozen=True)
class Plan(Settings):
    """One training run; each field's help says what it means.

    Raises:
        TrainingError: two fields contradict each other, or one is out of range.
    """

    FREE = ("workers", "minutes", "save_every", "cache", "device", "jobs")
    LEAST: ClassVar = {"epochs": 1, "batch": 1, "accumulate": 1, "jobs": 1, "more_times": 1}
    SHARES = ("val_share", "warmup", "layer_decay", "smoothing", "ema", "beta", "drop")

    more: str = _("", "another data set whose training faces join, such as real ones")
    more_times: int = _(1, "how often each of those is seen in an epoch")
    network: str = _(
        "auto", "timm name, name.tag with its weights, or the folder of an earlier run"
    )
    size: int = _(0, "side of the input in pixels; 0: 128 by default, else the network's own")
    labels: str = _("auto", "auto adds neutral and single emotions where the data has them", LABELS)
    epochs: int = _(12, "passes over the training faces")
    max_steps: int = _(0, "stop after so many optimiser steps; 0: no limit")
    minutes: float = _(0.0, "stop in time; the schedule ends with the limit; 0: no limit")
    batch: int = _(16, "faces in one pass of one process")
    accumulate: int = _(1, "passes for one optimiser step")
    lr: float = _(1e-3, "peak learning rate of AdamW")
    weight_decay: float = _(0.02, "of AdamW, not on biases and norms")
    warmup: float = _(0.1, "share of the steps in which the rate rises")
    layer_decay: float = _(0.0, "rate of each layer over the next one's, such as 0.75; 0: equal")
    clip: float = _(1.0, "largest norm of the gradient; 0: no limit")
    freeze: str = _("none", "none, backbone, or the number of first layer groups kept as they are")
    unfreeze: int = _(0, "epoch from which everything is trained; 0: never")
    loss: str = _("cross-entropy", "of the classes", LOSSES)
    gamma: float = _(2.0, "of the focal loss")
    beta: float = _(0.999, "of class-balanced weights")
    tau: float = _(1.0, "of logit adjustment")
    margin: float = _(0.5, "largest margin of ldam, for the rarest class")
    sampler: str = _("shuffled", "weighted draws every class equally often", SAMPLERS)
    smoothing: float = _(0.1, "label smoothing, share of the target spread over all classes")
    units: float = _(1.0, "weight of the action-unit loss; 0: no such head")
    mixup: float = _(0.0, "alpha of mixup; 0: off")
    cutmix: float = _(0.0, "alpha of cutmix; 0: off")
    ema: float = _(0.99, "decay of the averaged weights that are kept; 0: off")
    augment: str = _("full", "variations of the crops", AUGMENT)
    drop: float = _(0.1, "dropout before the head")
    basic_epochs: int = _(0, "first train so many epochs on the six basic emotions")
    basic_data: str = _("", "data of that first stage; default: the same data")
    few_shot: str = _("none", "fit a head on frozen features instead of training", FEW_SHOT)
    shots: int = _(0, "faces a class in few-shot mode; 0: all")
    patience: int = _(6, "epochs without a better val macro-F1 before stopping; 0: never")
    keep: str = _("best", "weights that are kept: best by val macro-F1, or the last", KEEP)
    precision: str = _("no", "mixed precision", PRECISIONS)
    checkpointing: bool = _(False, "recompute activations to save memory")
    compile: bool = _(False, "torch.compile the network")
    workers: int = _(0, "processes that load faces")
    save_every: int = _(0, "steps between checkpoints, besides one after each epoch")
    device: str = _("auto", "auto or cpu", ("auto", "cpu"))
    seed: int = _(0, "of everything random")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lr == 0:
            raise TrainingError("lr must be above 0; got 0.")
        if self.freeze not in ("none", "backbone") and not self.freeze.isdigit():
            raise TrainingError(
                f"freeze must be none, backbone or a number of layer groups; got {self.freeze!r}."
            )
