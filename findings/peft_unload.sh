#!/usr/bin/env bash
# PEFT's `unload` keeps the trained copy of a module of `modules_to_save` in the base model.
#
# Its docstring: "Return the base model by removing all the PEFT modules." The LoRA layers
# go, but a head that was trained beside them stays, so that the base answers differently than
# before. ferce puts the base's own modules back itself. Fails when a version behaves differently.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  numpy==2.3.5 torch==2.13.0 peft==0.21.2 transformers==5.24.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import peft
import torch
from torch import nn

print("peft", peft.__version__, "torch", torch.__version__)
torch.manual_seed(0)
base = nn.Sequential()
base.add_module("body", nn.Linear(8, 8))
base.add_module("head", nn.Linear(8, 3))
pictures = torch.randn(4, 8)
before = base(pictures).detach()
config = peft.LoraConfig(r=2, target_modules=["body"], modules_to_save=["head"])
model = peft.get_peft_model(base, config)
with torch.no_grad():  # as a training leaves it
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            weight.add_(1.0)
after = model.unload()
layers = [name for name, _ in after.named_parameters() if "lora" in name]
moved = float((after(pictures).detach() - before).abs().max())
print(f"LoRA layers left: {layers}; the base's answers moved by up to {moved:.2f}")
assert not layers
assert moved > 0.5, "unload gives the base back now"
PYTHON
