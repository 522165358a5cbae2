"""All that decides how a BLIP-2 is fine-tuned; the command line is made from these fields."""

from dataclasses import dataclass
from typing import ClassVar

from ferce.models.prompts import TEMPLATES
from ferce.models.vlm.loading import LOADS
from ferce.models.vlm.packaged import BLIP2 as MINI
from ferce.training.options import AUGMENT, DEVICES, LOSSES, SAMPLERS, Settings
from ferce.training.options import setting as _
from ferce.training.progress import TrainingError

OPTIMISERS = ("fused", "paged8bit", "adamw8bit")
TRACKERS = ("tensorboard", "trackio", "wandb")
FEATURES = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class LanguagePlan(Settings):
    """One fine-tuning run; each field's help says what it means.

    Raises:
        TrainingError: two fields contradict each other, or one is out of range.
    """

    FREE = ("save_every", "cache", "feature_cache", "device", "jobs", "workers", "track", "samples")
    LEAST: ClassVar = dict.fromkeys(
        ("epochs", "batch", "accumulate", "jobs", "views", "rank", "more_times"), 1
    )
    SHARES = ("val_share", "warmup", "house", "dropout", "beta")

    base: str = _(
        MINI,
        f"BLIP-2 or chat model to adapt: a Hub id, a folder, or {MINI} for the packaged small one",
    )
    base_id: str = _("", "Hub id that the adapter names as its base when --base is a folder")
    revision: str = _("", "branch, tag or commit of a base on the Hub")
    load_in: str = _("auto", "precision in which the frozen weights are loaded", LOADS)
    label: float = _(2.0, "weight of the label task in the loss; 0 leaves it out")
    explanation: float = _(1.0, "weight of the explanations in the loss; 0 leaves them out")
    vqa: float = _(0.5, "weight of questions and answers in the loss; 0 leaves them out")
    questions: int = _(1, "questions asked about each face in an epoch")
    house: float = _(0.2, "share 0..1 of explanations asked for without naming a label")
    template: str = _("plain", "prompt template of the explanations", tuple(TEMPLATES))
    shuffle_labels: bool = _(
        False, "permute the training labels, as a control that must score at chance"
    )
    loss: str = _("cross-entropy", "loss of the label task against unequal classes", LOSSES)
    beta: float = _(0.999, "beta 0..1 of the class-balanced weights")
    tau: float = _(1.0, "strength of the logit adjustment")
    sampler: str = _(
        "shuffled", "order of the faces; weighted draws every class equally often", SAMPLERS
    )
    views: int = _(
        4,
        "augmented views of each face whose features are kept, the first as it is; epochs take "
        "them in turn",
    )
    augment: str = _("full", "augmentation of the training faces", AUGMENT)
    cached: bool = _(
        True,
        "compute what a BLIP-2's frozen vision tower and Q-Former give once and keep it on disk; "
        "without, and with chat models, every epoch augments anew",
    )
    workers: int = _(0, "processes that augment faces where nothing is kept; 0 is the main one")
    features: str = _("auto", "precision of kept features; auto takes the network's", FEATURES)
    feature_cache: str = _("", "folder of kept features (default ~/.cache/ferce/features)")
    scope: str = _(
        "language",
        "parts that LoRA adapts: language, qformer (of BLIP-2), projection, vision with commas, or "
        "re:REGEX",
    )
    rank: int = _(16, "rank of the LoRA update matrices")
    alpha: float = _(32.0, "scale of the LoRA update, which is multiplied by alpha over rank")
    dropout: float = _(0.05, "dropout rate 0..1 before the LoRA layers")
    dora: bool = _(False, "learn the size of each weight vector apart from its direction (DoRA)")
    rslora: bool = _(False, "divide alpha by the root of the rank, for large ranks (rsLoRA)")
    epochs: int = _(6, "passes over the training faces")
    max_steps: int = _(0, "optimiser steps after which a stage stops; 0 sets no limit")
    batch: int = _(16, "texts in one forward pass of one process")
    accumulate: int = _(1, "forward passes whose gradients make one optimiser step")
    tokens: int = _(
        0,
        "most tokens in one forward pass, a batch with more takes several, with the same gradient; "
        "0 takes 64 for each GB of the GPU, and 1024 on a CPU",
    )
    lr: float = _(
        0.0, "peak learning rate of AdamW; 0 takes 3e-3 for the packaged base, 2e-4 for others"
    )
    weight_decay: float = _(0.0, "weight decay of AdamW")
    warmup: float = _(0.05, "share 0..1 of the steps in which the learning rate rises")
    clip: float = _(1.0, "largest norm of the gradient; 0 sets no limit")
    optimiser: str = _("fused", "AdamW of torch (fused) or of bitsandbytes in 8 bit", OPTIMISERS)
    checkpointing: bool = _(False, "recompute activations in the backward pass to save memory")
    basic_epochs: int = _(0, "epochs of a first stage on the six basic emotions")
    basic_data: str = _("", "spec of the data of that first stage (default: that of --data)")
    patience: int = _(
        4, "epochs without a better score on val after which training stops; 0 never stops"
    )
    val_faces: int = _(0, "val faces that are scored, at most; 0 scores all")
    rouge_faces: int = _(16, "val faces that are explained to measure ROUGE-L; 0 measures none")
    samples: int = _(2, "explanations that are shown after each epoch")
    track: str = _("", f"experiment trackers with commas: {', '.join(TRACKERS)}")
    save_every: int = _(0, "optimiser steps between checkpoints; 0 saves after each epoch only")
    device: str = _("auto", "device to train on; auto takes a GPU if there is one", DEVICES)
    seed: int = _(0, "seed of everything random")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label + self.explanation + self.vqa == 0:
            raise TrainingError("At least one of label, explanation and vqa must be above 0.")
        if unknown := sorted(set(self.trackers) - set(TRACKERS)):
            raise TrainingError(f"Unknown tracker {unknown[0]!r}; known: {', '.join(TRACKERS)}.")
        if self.template == "units":
            raise TrainingError(
                "template must not be 'units': coded units in the prompt would be copied, not seen."
            )

    @property
    def weights(self) -> dict[str, float]:
        """Task -> weight, of the tasks that are there."""
        every = {"label": self.label, "explanation": self.explanation, "vqa": self.vqa}
        return {task: weight for task, weight in every.items() if weight > 0}

    @property
    def rate(self) -> float:
        """The peak learning rate; small networks take, and need, larger ones."""
        return self.lr or (3e-3 if self.base == MINI else 2e-4)

    @property
    def trackers(self) -> tuple[str, ...]:
        """Names of the trackers."""
        return tuple(name for name in self.track.replace(" ", "").split(",") if name)
