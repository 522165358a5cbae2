"""Put a PEFT adapter into a network, as plain PEFT does, and take it out again, exactly."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferce.models.hub import CheckpointError

WEIGHTS = "adapter_model.safetensors"
# What PEFT puts before or into the name of a weight of the base.
WRAPS = ("base_model.model.", ".base_layer", ".original_module", ".token_adapter")


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter within a network, and what it has displaced there.

    Attributes:
        wrapped: the PeftModel.
        modules: the base's modules by name, the base itself as "".
        values: copies of the base's weights for which the adapter brings others (biases, embeddings
            and other modules that were trained whole).
        words: rows of the base's input embeddings.
    """

    wrapped: Any
    modules: Mapping[str, Any]
    values: Mapping[str, Any]
    words: int

    def remove(self) -> None:
        """Put the base's modules and weights back; `PeftModel.unload` leaves what was copied in."""
        import torch

        network = self.modules[""]
        self.wrapped.unload()
        for name, module in self.modules.items():
            parent, _, child = name.rpartition(".")
            if name:
                setattr(self.modules[parent], child, module)
        _resize(network, self.words)
        with torch.no_grad():
            for name, value in self.values.items():
                network.get_parameter(name).copy_(value)
        network.requires_grad_(False).eval()


def insert(network: Any, folder: Path) -> Adapter:
    """Put the adapter in `folder` into the network, whose layers it wraps in place.

    Embeddings of more (or fewer) words than the base has make it as large.

    Raises:
        CheckpointError: it is no adapter within layers, has no safetensors, or fits only in part.
    """
    from peft import PeftConfig, PeftModel, set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = PeftConfig.from_pretrained(folder)
    except Exception as error:  # the library raises whatever a broken file leads to
        reason = f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
        raise CheckpointError(f"The adapter in {folder} cannot be read ({reason}).") from error
    if config.is_prompt_learning:
        raise CheckpointError(
            f"{folder} holds {config.peft_type}; only adapters within layers work."
        )
    try:
        stored = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{folder / WEIGHTS} cannot be read: {error}.") from error
    modules, base, known = dict(network.named_modules()), _weights(network), {*network.state_dict()}
    brought = {name: value for key, value in stored.items() if (name := _plain(key)) in base}
    values = {name: base[name].detach().clone() for name in brought}
    words = len(network.get_input_embeddings().weight)
    _resize(network, _words(network, brought))
    try:
        with peft_wraps():
            wrapped = PeftModel.from_pretrained(
                network, folder, config=config, is_trainable=False, torch_device=str(network.device)
            )
        result = set_peft_model_state_dict(wrapped, stored)  # again, as this says what is left
    except (KeyError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(
            f"The adapter in {folder} does not fit the network: {reason}"
        ) from error
    lacking = [key for key in result.missing_keys if _plain(key) not in known]
    if odd := sorted([*result.unexpected_keys, *lacking]):
        raise CheckpointError(f"The adapter in {folder} does not fit the network at {odd[0]}.")
    return Adapter(wrapped, modules, values, words)


def _weights(network: Any) -> dict[str, Any]:
    """List every weight under each of its names; packed ones of 8 and 4 bit are not replaced."""
    named = network.named_parameters(remove_duplicate=False)
    return {name: weight for name, weight in named if weight.is_floating_point()}


def _plain(key: str) -> str:
    """Name the weight of the base that a weight of a wrapped network is."""
    for wrap in WRAPS:
        key = key.replace(wrap, "")
    return key


def _words(network: Any, brought: Mapping[str, Any]) -> int:
    """Count the words of the input embeddings that an adapter brings, else those of the network."""
    own = network.get_input_embeddings().weight
    names = [name for name, weight in _weights(network).items() if weight is own]
    return next((len(brought[name]) for name in names if name in brought), len(own))


def _resize(network: Any, words: int) -> None:
    if words != len(network.get_input_embeddings().weight):
        network.resize_token_embeddings(words, mean_resizing=False)


@contextmanager
def peft_wraps() -> Iterator[None]:
    """Hush one warning while peft wraps a network.

    peft 0.21 reads `is_gradient_checkpointing`, which transformers 5.23 renamed and still answers.
    """
    with warnings.catch_warnings():
        message = "`is_gradient_checkpointing` is deprecated"
        warnings.filterwarnings("ignore", message, FutureWarning)
        yield
