"""Names that transformers changed within 5.x, each used as the object at hand has it."""

import inspect
import warnings
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

# The keys and values of a decoder: from 5.24 on, and before it.
CACHES = ("cache", "past_key_values")


def cache_argument(network: Any) -> str:
    """Name the argument of a network's forward that takes the key-value cache.

    Raises:
        ValueError: it takes none.
    """
    name = _cache_name(inspect.signature(type(network).forward).parameters)
    if name is None:
        raise ValueError(
            f"Labels are scored with a network that takes a key-value cache ({', '.join(CACHES)}); "
            f"{type(network).__name__} takes none."
        )
    return name


def cache_of(output: Any) -> Any:
    """Take the key-value cache out of a network's output; it must hold one."""
    name = _cache_name(output)
    assert name is not None, f"no key-value cache in an output of {', '.join(output)}"
    return output[name]


def checkpoint_activations(network: Any) -> None:
    """Let training recompute a network's activations instead of keeping them."""
    renamed = getattr(network, "activation_checkpointing_enable", None)  # from 5.23 on
    enable = renamed or network.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    network.enable_input_require_grads()


@contextmanager
def peft_wraps() -> Iterator[None]:
    """Hush one warning while peft wraps a network.

    peft 0.21 reads `is_gradient_checkpointing`, which transformers 5.23 renamed and still answers.
    """
    with warnings.catch_warnings():
        message = "`is_gradient_checkpointing` is deprecated"
        warnings.filterwarnings("ignore", message, FutureWarning)
        yield


def _cache_name(names: Container[str]) -> str | None:
    """Find the first of `CACHES` in `names`; an output of 5.24 has both and warns of one."""
    return next((name for name in CACHES if name in names), None)
