"""All that decides how a BLIP-2 is fine-tuned; the command line is made from these fields."""

from dataclasses import dataclass
from typing import ClassVar

from ferce.models.prompts import TEMPLATES
from ferce.models.vlm.loading import LOADS
from ferce.models.vlm.packaged import BLIP2 as MINI
from ferce.training.progress import TrainingError
from ferce.training.settings import AUGMENT, Settings
from ferce.training.settings import setting as _

OPTIMISERS = ("fused", "paged8bit", "adamw8bit")
TRACKERS = ("tensorboard", "trackio", "wandb")
FEATURES = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class LanguagePlan(Settings):
    """One fine-tuning run; each field's help says what it means.

    Raises:
        TrainingError: two fields contradict each other, or one is out of range.
    """

    FREE = ("save_every", "cache", "feature_cache", "device", "jobs", "track", "samples")
    LEAST: ClassVar = dict.fromkeys(
        ("epochs", "batch", "accumulate", "jobs", "views", "rank", "tokens"), 1
    )
    SHARES = ("val_share", "warmup", "house", "dropout")

    base: str = _(MINI, f"{MINI}, which is packaged, or a BLIP-2 as a Hub id or folder")
    base_id: str = _("", "Hub id of the base, which the adapter names when base is a folder")
    revision: str = _("", "branch, tag or commit of a base on the Hub")
    load_in: str = _("auto", "precision of the frozen weights", LOADS)
    label: float = _(2.0, "weight of the label task in the loss; 0: without")
    explanation: float = _(1.0, "weight of the explanations")
    vqa: float = _(0.5, "weight of questions and answers")
    questions: int = _(1, "questions a face and epoch")
    house: float = _(0.2, "share of explanations that are asked for without naming a label")
    template: str = _("plain", "how explanations are asked for", tuple(TEMPLATES))
    shuffle_labels: bool = _(False, "control: permute the training labels; must score at chance")
    views: int = _(4, "variations of each face, the first as it is; one an epoch, by turns")
    augment: str = _("full", "what the variations are", AUGMENT)
    cached: bool = _(True, "run frozen vision tower and Q-Former once, and keep what they give")
    features: str = _("auto", "precision of what is kept; auto: that of the network", FEATURES)
    feature_cache: str = _("", "where it is kept; default ~/.cache/ferce/features")
    scope: str = _(
        "language",
        "what is adapted: language, qformer, projection, vision with commas, or re:REGEX",
    )
    rank: int = _(16, "of LoRA")
    alpha: float = _(32.0, "of LoRA; the update is scaled by alpha over rank")
    dropout: float = _(0.05, "before the LoRA layers")
    epochs: int = _(6, "passes over the training faces")
    max_steps: int = _(0, "stop after so many optimiser steps of a stage; 0: no limit")
    batch: int = _(16, "texts of one process in one step")
    accumulate: int = _(1, "such batches for one optimiser step")
    tokens: int = _(1024, "most tokens in one pass; a batch of long texts takes several")
    lr: float = _(0.0, "peak learning rate; 0: 3e-3 for the packaged base, 2e-4 for others")
    weight_decay: float = _(0.0, "of AdamW")
    warmup: float = _(0.05, "share of the steps in which the rate rises")
    clip: float = _(1.0, "largest norm of the gradient; 0: no limit")
    optimiser: str = _("fused", "AdamW: of torch, or of bitsandbytes in 8 bit", OPTIMISERS)
    checkpointing: bool = _(False, "recompute activations to save memory")
    basic_epochs: int = _(0, "first train so many epochs on the six basic emotions")
    basic_data: str = _("", "data of that first stage; default: the same data")
    patience: int = _(4, "epochs without a better val score before stopping; 0: never")
    val_faces: int = _(0, "score at most so many val faces; 0: all")
    rouge_faces: int = _(16, "val faces explained for ROUGE-L; 0: none")
    samples: int = _(2, "explanations shown after each epoch")
    track: str = _("", f"trackers with commas: {', '.join(TRACKERS)}")
    save_every: int = _(0, "steps between checkpoints, besides one after each epoch")
    device: str = _("auto", "auto or cpu", ("auto", "cpu"))
    seed: int = _(0, "of everything random")

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
