"""AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) in one fused step, or with 8-bit states."""

from collections.abc import Iterable, Mapping
from typing import Any

from ferce.training.language.plan import LanguagePlan


def optimiser(parameters: Iterable[Any], plan: LanguagePlan) -> Any:
    """AdamW over the parameters that learn.

    "paged8bit" keeps its states in 8 bit and in memory that a GPU may page out (Dettmers et al.
    2022, arXiv:2110.02861; 2023, arXiv:2305.14314).
    """
    import torch

    learning = [p for p in parameters if p.requires_grad]
    groups = [{"params": learning, "lr_scale": 1.0}]
    if plan.optimiser == "fused":
        return torch.optim.AdamW(groups, lr=plan.rate, weight_decay=plan.weight_decay, fused=True)
    import bitsandbytes

    kinds = {"paged8bit": "PagedAdamW8bit", "adamw8bit": "AdamW8bit"}
    made = getattr(bitsandbytes.optim, kinds[plan.optimiser])
    return made(groups, lr=plan.rate, weight_decay=plan.weight_decay)


class Flat:
    """An optimiser whose state has one level, as `checkpoint` keeps it.

    bitsandbytes keeps its 8-bit states in a mapping within the state of each parameter.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def state_dict(self) -> dict[str, Any]:
        """The state, where a value `name` within a mapping `group` is called `group|name`."""
        whole = self.inner.state_dict()
        flat = {number: dict(_flat(values)) for number, values in whole["state"].items()}
        return {**whole, "state": flat}

    def load_state_dict(self, whole: Mapping[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        deep: dict[int, dict[str, Any]] = {}
        for number, values in whole["state"].items():
            row = deep.setdefault(number, {})
            for name, value in values.items():
                group, bar, inner = name.partition("|")
                if bar:
                    row.setdefault(group, {})[inner] = value
                else:
                    row[name] = value
        self.inner.load_state_dict({**whole, "state": deep})


def _flat(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}|{inner}", v) for inner, v in value.items())
        else:
            yield name, value
