"""Which layers LoRA adapts (Hu et al. 2021, arXiv:2106.09685), by regular expression."""

import re
from typing import TYPE_CHECKING

from ferce.models.vlm.renames import checkpoint_activations, peft_wraps
from ferce.training.language.plan import LanguagePlan
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from peft import PeftModel
    from torch.nn import Module, Parameter

# fc1 and fc2 are names of the vision tower's layers too, so each scope begins with its part.
SCOPES = {
    "language": (
        r"language_model\..*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2|q|k|v|o|wi|wi_0|wi_1|wo)"
    ),
    "qformer": r"qformer\..*\.(query|key|value|dense)",
    "projection": r"language_projection",
    "vision": r"vision_model\..*\.(qkv|projection|fc1|fc2)",
}
PARTS = ("language_model", "qformer", "language_projection", "vision_model")


def pattern(scope: str) -> str:
    """Build the regular expression of a scope such as "language,projection" or "re:REGEX".

    Raises:
        TrainingError: a scope is unknown, or the expression is none.
    """
    if scope.startswith("re:"):
        try:
            re.compile(scope[3:])
        except re.error as error:
            raise TrainingError(f"{scope[3:]!r} is no regular expression: {error}.") from error
        return scope[3:]
    names = scope.replace(" ", "").split(",")
    if unknown := [name for name in names if name not in SCOPES]:
        raise TrainingError(f"Unknown scope {unknown[0]!r}; known: {', '.join(SCOPES)}, re:REGEX.")
    return "|".join(f"({SCOPES[name]})" for name in names)


def attach(network: "Module", plan: LanguagePlan) -> "PeftModel":
    """Attach LoRA to a network, whose adapted layers now learn and nothing else.

    Raises:
        TrainingError: the scope fits no layer, or something else than a layer.
    """
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    wanted = pattern(plan.scope)
    _check_layers(network, wanted, plan.scope)
    if plan.load_in in ("8bit", "4bit"):
        network = prepare_model_for_kbit_training(network, use_gradient_checkpointing=False)
    if plan.checkpointing:
        checkpoint_activations(network)
    config = LoraConfig(
        r=plan.rank, lora_alpha=plan.alpha, lora_dropout=plan.dropout, target_modules=wanted
    )
    with peft_wraps():
        return get_peft_model(network, config)


def _check_layers(network: "Module", wanted: str, scope: str) -> None:
    """Refuse an expression that fits no layer, or what LoRA cannot adapt, such as a block."""
    from torch import nn

    able = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MultiheadAttention)
    hit = {name: part for name, part in network.named_modules() if re.fullmatch(wanted, name)}
    if not hit:
        raise TrainingError(f"No layer of the network fits the scope {scope!r}.")
    for name, part in hit.items():
        if not isinstance(part, able):
            raise TrainingError(
                f"The scope {scope!r} fits {name!r}, a {type(part).__name__}; LoRA adapts single "
                r"linear, embedding and convolution layers, such as re:.*\.(q_proj|v_proj)."
            )


def counts(network: "Module") -> dict[str, tuple[int, int]]:
    """Count parameters by part: (trainable, all); quantised weights count unpacked.

    Adapter parameters are of the part that they adapt.
    """
    made = {}
    for part in PARTS:
        parameters = list(getattr(network, part).parameters())
        learning = sum(p.numel() for p in parameters if p.requires_grad)
        made[part] = (learning, sum(_size(p) for p in parameters))
    return made


def summary(made: dict[str, tuple[int, int]]) -> str:
    """Put the counts into a line."""
    parts = [f"{part} {learning:,} of {every:,}" for part, (learning, every) in made.items()]
    learning, every = (sum(pair[i] for pair in made.values()) for i in range(2))
    return f"trainable: {learning:,} of {every:,} ({learning / every:.2%}); " + ", ".join(parts)


def _size(parameter: "Parameter") -> int:
    """Count the numbers in a weight; NF4 packs two in a byte."""
    packed = type(parameter).__name__ == "Params4bit"
    return int(parameter.numel()) * (2 if packed else 1)
