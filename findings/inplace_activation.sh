#!/usr/bin/env bash
# Activations that write in place cost a training a copy of their input, and save no memory.
#
# timm builds its mobile networks with `inplace=True`, which torch's documentation describes as
# "can optionally do the operation in-place". The backward pass of ReLU6 (hardtanh), SiLU and
# Hardswish reads the input, which the activation has overwritten, so autograd clones it first:
# one `aten::clone` for each activation, which writing beside the input does without. (ReLU's
# backward pass reads the output and copies nothing.) The gradients are equal to the bit. ferce
# sets `inplace=False` before it trains. Fails when a version behaves differently.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  numpy==2.3.5 torch==2.14.1 torchvision==0.29.1 timm==1.0.31
cd "$folder"
venv/bin/python - <<'PYTHON'
import timm
import torch
from torch.profiler import ProfilerActivity, profile

print("timm", timm.__version__, "torch", torch.__version__)
KINDS = (torch.nn.ReLU6, torch.nn.SiLU, torch.nn.Hardswish)


def step(name, inplace):
    """Do one training step; its clones, its gradients, the activations and timm's own setting."""
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=14, drop_path_rate=0.0).train()
    activations = [module for module in network.modules() if isinstance(module, KINDS)]
    own = {module.inplace for module in activations}
    for module in activations:
        module.inplace = inplace
    pictures = torch.randn(2, 3, 64, 64)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        network(pictures).sum().backward()
    clones = sum(event.count for event in seen.key_averages() if event.key == "aten::clone")
    return clones, [p.grad for p in network.parameters()], len(activations), own


for name in ("tf_efficientnet_lite0", "efficientnet_b0", "mobilenetv3_small_100"):
    inside, grads, count, own = step(name, True)
    beside, others, _, _ = step(name, False)
    equal = all(torch.equal(a, b) for a, b in zip(grads, others, strict=True))
    print(f"{name}: {count} activations, in place by default: {own == {True}}; clones in place "
          f"{inside}, beside {beside}; gradients equal: {equal}")
    assert own == {True} and equal
    assert inside - beside == count, "in place copies no longer what it overwrites"
PYTHON
