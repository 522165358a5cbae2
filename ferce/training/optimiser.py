"""AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) in one fused step, or with 8-bit states."""

from collections.abc import Iterable
from typing import Any

from ferce.training.language_plan import LanguagePlan


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
