"""Which layers LoRA adapts (Hu et al. 2021, arXiv:2106.09685), by regular expression."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ferce import data
from ferce.models import hub
from ferce.models.vlm.adapters import peft_wraps
from ferce.models.vlm.packaged import BLIP2 as MINI
from ferce.training.language.plan import LanguagePlan
from ferce.training.progress import TrainingError

if TYPE_CHECKING:
    from peft import PeftModel
    from torch.nn import Module, Parameter

# fc1 and fc2 are names of the vision tower's layers too, so each scope begins with its part.
SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "language": (
            r"language_model\..*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2|q|k|v|o|wi|wi_0|wi_1|wo)"
        ),
        "qformer": r"qformer\..*\.(query|key|value|dense)",
        "projection": r"language_projection",
        "vision": r"vision_model\..*\.(qkv|projection|fc1|fc2)",
    }
)
# Of a BLIP-2: part -> the module that it is.
BLIP2_PARTS = {
    "language": "language_model",
    "qformer": "qformer",
    "projection": "language_projection",
    "vision": "vision_model",
}


def pattern(scope: str, scopes: Mapping[str, str] = SCOPES) -> str:
    """Build the regular expression of a scope such as "language,projection" or "re:REGEX".

    Args:
        scope: names with commas, or an expression of your own.
        scopes: name -> expression; those of a BLIP-2 unless given.

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
    if unknown := [name for name in names if name not in scopes]:
        raise TrainingError(f"Unknown scope {unknown[0]!r}; known: {', '.join(scopes)}, re:REGEX.")
    return "|".join(f"({scopes[name]})" for name in names)


def check(plan: LanguagePlan) -> None:
    """Refuse data, a base or a scope that cannot be.

    Raises:
        TrainingError: the scope is unknown.
        DataError: a data set cannot be had.
        CheckpointError: the base is neither a folder with weights nor an id of the Hub.
    """
    pattern(plan.scope)
    for name in (plan.data, plan.more, plan.basic_data):
        if name:
            data.require(name)
    if plan.base != MINI:
        hub.local(plan.base, plan.revision or None)


def parts_of(network: "Module") -> dict[str, str]:
    """Give the part of `SCOPES` that each module belongs to, by name.

    A chat model's parts are what transformers calls its decoder and its encoder of images; what
    lies between them is the projection, also where it is a piece of the encoder (Qwen's merger).
    """
    if network.config.model_type == "blip-2":
        starts, rest = BLIP2_PARTS, "qformer"  # the rest is the query tokens
    else:
        name_of = {id(module): name for name, module in network.named_modules()}
        towers = {"language": network.get_decoder(), "vision": network.get_encoder("image")}
        starts = {part: name_of[id(module)] for part, module in towers.items()}
        rest = "projection"
    made = {}
    for name, module in network.named_modules():
        part = next((p for p, start in starts.items() if f"{name}.".startswith(f"{start}.")), rest)
        part = "projection" if part == "vision" and ".merger" in name else part
        made[name] = "language" if module is network.get_output_embeddings() else part
    return made


def scopes_of(network: "Module") -> Mapping[str, str]:
    """Give the scopes of a network; of a chat model, every linear layer of a part but the head."""
    if network.config.model_type == "blip-2":
        return SCOPES
    from torch.nn import Linear

    parts, head = parts_of(network), network.get_output_embeddings()
    layers: dict[str, set[str]] = {part: set() for part in SCOPES}
    for name, module in network.named_modules():
        if isinstance(module, Linear) and module is not head:
            layers[parts[name]].add(_any_layer(name))
    return {part: "|".join(sorted(names)) for part, names in layers.items() if names}


def _any_layer(name: str) -> str:
    """Turn the name of a module into an expression that fits it in every layer."""
    return re.escape(re.sub(r"(?<=\.)\d+(?=\.)", "#", name)).replace(r"\#", r"\d+")


def attach(network: "Module", plan: LanguagePlan) -> "PeftModel":
    """Attach LoRA to a network, whose adapted layers now learn and nothing else.

    Raises:
        TrainingError: the scope fits no layer, or something else than a layer.
    """
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    wanted = pattern(plan.scope, scopes_of(network))
    _check_layers(network, wanted, plan.scope)
    if plan.load_in in ("8bit", "4bit"):
        network = prepare_model_for_kbit_training(network, use_gradient_checkpointing=False)
    if plan.checkpointing:
        checkpoint_activations(network)
    config = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=plan.dropout,
        target_modules=wanted,
        use_dora=plan.dora,
        use_rslora=plan.rslora,
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
    parts, made = parts_of(network), {part: [0, 0] for part in SCOPES}
    for name, parameter in network.named_parameters():
        count = made[parts[name.rpartition(".")[0]]]
        count[0] += parameter.numel() if parameter.requires_grad else 0
        count[1] += _size(parameter)
    return {part: (learning, every) for part, (learning, every) in made.items() if every}


def summary(made: dict[str, tuple[int, int]]) -> str:
    """Put the counts into a line."""
    parts = [f"{part} {learning:,} of {every:,}" for part, (learning, every) in made.items()]
    learning, every = (sum(pair[i] for pair in made.values()) for i in range(2))
    return f"trainable: {learning:,} of {every:,} ({learning / every:.2%}); " + ", ".join(parts)


def _size(parameter: "Parameter") -> int:
    """Count the numbers in a weight; NF4 packs two in a byte."""
    packed = type(parameter).__name__ == "Params4bit"
    return int(parameter.numel()) * (2 if packed else 1)


def checkpoint_activations(network: Any) -> None:
    """Let training recompute a network's activations instead of keeping them."""
    renamed = getattr(network, "activation_checkpointing_enable", None)  # from 5.23 on
    enable = renamed or network.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    network.enable_input_require_grads()
