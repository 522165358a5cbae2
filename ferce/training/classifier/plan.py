"""All that decides how a classifier is trained; the command line is made from these fields."""

from dataclasses import dataclass
from typing import ClassVar

from ferce import data
from ferce.models import hub, kinds, spec
from ferce.training.options import AUGMENT, DEVICES, LOSSES, SAMPLERS, Settings
from ferce.training.options import setting as _
from ferce.training.progress import TrainingError

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

    network: str = _(
        "auto", "timm name, name.tag for its pretrained weights, or the folder of an earlier run"
    )
    size: int = _(
        0, "side of the network's input in pixels; 0 takes 128 for auto, else the network's own"
    )
    labels: str = _(
        "auto", "labels that are learnt; auto adds neutral and single emotions if present", LABELS
    )
    epochs: int = _(12, "passes over the training faces")
    max_steps: int = _(0, "optimiser steps after which training stops; 0 sets no limit")
    minutes: float = _(
        0.0, "minutes after which training stops, the schedule with it; 0 sets no limit"
    )
    batch: int = _(16, "faces in one forward pass of one process")
    accumulate: int = _(1, "forward passes whose gradients make one optimiser step")
    lr: float = _(1e-3, "peak learning rate of AdamW")
    weight_decay: float = _(0.02, "weight decay of AdamW, not applied to biases and norms")
    warmup: float = _(0.1, "share 0..1 of the steps in which the learning rate rises")
    layer_decay: float = _(
        0.0, "learning rate of each layer over that of the next, such as 0.75; 0 gives all the same"
    )
    clip: float = _(1.0, "largest norm of the gradient; 0 sets no limit")
    freeze: str = _(
        "none", "layers that stay as they are: none, backbone, or the number of first layer groups"
    )
    unfreeze: int = _(0, "epoch from which frozen layers are trained, too; 0 never frees them")
    loss: str = _("cross-entropy", "loss of the classes", (*LOSSES, "focal", "ldam"))
    gamma: float = _(2.0, "exponent of the focal loss")
    beta: float = _(0.999, "beta 0..1 of the class-balanced weights")
    tau: float = _(1.0, "strength of the logit adjustment")
    margin: float = _(0.5, "largest margin of the LDAM loss, for the rarest class")
    sampler: str = _(
        "shuffled", "order of the faces; weighted draws every class equally often", SAMPLERS
    )
    smoothing: float = _(0.1, "label smoothing: share 0..1 of a target spread over all classes")
    units: float = _(1.0, "weight of the action-unit loss; 0 leaves that head out")
    mixup: float = _(0.0, "alpha of mixup; 0 switches it off")
    cutmix: float = _(0.0, "alpha of cutmix; 0 switches it off")
    ema: float = _(0.99, "decay 0..1 of the averaged weights, which are kept; 0 switches it off")
    augment: str = _("full", "augmentation of the training faces", AUGMENT)
    drop: float = _(0.1, "dropout rate 0..1 before the classifier head")
    basic_epochs: int = _(0, "epochs of a first stage on the six basic emotions")
    basic_data: str = _("", "spec of the data of that first stage (default: that of --data)")
    few_shot: str = _("none", "head fitted on frozen features in place of training", FEW_SHOT)
    shots: int = _(0, "faces per class of the few-shot head; 0 takes all")
    patience: int = _(
        6, "epochs without a better macro-F1 on val after which training stops; 0 never stops"
    )
    keep: str = _("best", "weights that are kept: the best by macro-F1 on val, or the last", KEEP)
    precision: str = _("no", "mixed precision of the forward pass", PRECISIONS)
    checkpointing: bool = _(False, "recompute activations in the backward pass to save memory")
    compile: bool = _(False, "compile the network by torch.compile")
    workers: int = _(0, "processes that load faces; 0 loads in the main one")
    save_every: int = _(0, "optimiser steps between checkpoints; 0 saves after each epoch only")
    device: str = _("auto", "device to train on; auto takes a GPU if there is one", DEVICES)
    seed: int = _(0, "seed of everything random")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lr == 0:
            raise TrainingError("lr must be above 0; got 0.")
        if self.freeze not in ("none", "backbone") and not self.freeze.isdigit():
            raise TrainingError(
                f"freeze must be none, backbone or a number of layer groups; got {self.freeze!r}."
            )
        clip = self.network.startswith("clip:")
        if self.few_shot == "cache" and not clip:
            raise TrainingError("The cache adapter needs a CLIP model: --network clip:owner/name.")
        if clip and self.few_shot not in ("linear", "cache"):
            raise TrainingError("A CLIP model takes --few-shot linear or cache.")


def check(plan: Plan) -> None:
    """Refuse data or a network that cannot be.

    Raises:
        TrainingError: the network is a folder that is not there.
        DataError: a data set cannot be had.
        CheckpointError: the network is neither a folder with weights nor an id of the Hub.
    """
    for name in (plan.data, plan.more, plan.basic_data):
        if name:
            data.require(name)
    if plan.network.startswith("clip:"):
        kinds.accept_clip(spec.parse(plan.network))
    elif spec.folder_at(plan.network) is not None:
        hub.local(plan.network)
    elif plan.network.startswith((".", "/", "~")):
        raise TrainingError(f"There is no folder {plan.network}; give a run or the name of timm.")
