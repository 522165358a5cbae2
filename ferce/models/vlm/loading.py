"""Load a transformers model, its processor and perhaps a PEFT adapter; safetensors, no code."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ferce.models.calibration import Calibration, load_calibration
from ferce.models.hub import CheckpointError, fingerprint, read_json, repository_of, resolve
from ferce.models.prompts import TEMPLATES
from ferce.models.spec import folder_at
from ferce.models.vlm import adapters
from ferce.models.vlm.adapters import Adapter

if TYPE_CHECKING:
    from ferce.models.spec import Spec

LOADS = ("auto", "fp32", "bf16", "8bit", "4bit")
BASES = ("same", "any")
PRIORS = ("none", "grey", "empty", "both")
ADAPTER_CONFIG = "adapter_config.json"
# Optional, beside the adapter: {"base_fingerprint": "<hub.fingerprint of the base>"}.
ADAPTER_ORIGIN = "ferce.json"
# SigLIP 2 turns its pictures into the type of its patch layer's weights, and LFM2-VL's projector
# reads four dimensions, where bitsandbytes takes three; these stay as they are, as the head does.
UNQUANTISED = {
    "siglip2_vision_model": ["lm_head", "patch_embedding", "model.multi_modal_projector"]
}
QUANTISED = {"8bit": "Linear8bitLt", "4bit": "Linear4bit"}
_CHOICES = {"load": LOADS, "calibrate": PRIORS, "base": BASES, "template": tuple(TEMPLATES)}


@dataclass(frozen=True)
class Settings:
    """Options of a spec, `kind:where?load=8bit&calibrate=grey`.

    Attributes:
        load: precision of the weights. "auto" is bf16 on a GPU and fp32 on a CPU; "8bit" and "4bit"
            (NF4) go through bitsandbytes, on a CPU too.
        calibrate: content-free inputs whose label probabilities divide the model's: a mean-grey
            picture with the usual question ("grey"), with an empty question ("empty"), or the mean
            of the two ("both"). Contextual calibration, Zhao et al. 2021, arXiv:2102.09690.
        batch: pictures, or questions, in one forward pass.
        base: "same" refuses an adapter that was trained on another base; "any" takes it.
        template: how an explanation is asked for, a key of `prompts.TEMPLATES`.
    """

    load: str = "auto"
    calibrate: str = "none"
    batch: int = 8
    base: str = "same"
    template: str = "plain"

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1; got {self.batch}")

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> Self:
        """Parse a spec's options; raises ValueError for one that is unknown."""
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in options if name not in known]:
            raise ValueError(f"Unknown option {unknown[0]!r}. Known options: {', '.join(known)}.")
        values: dict[str, Any] = dict(options)
        if "batch" in values:
            values["batch"] = _whole(values["batch"])
        return cls(**values)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"batch must be a whole number; got {text!r}") from error


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A frozen network in evaluation mode with its processor.

    `adapter` lies within `network`; None without.
    `calibration` is what held-out faces said of its label scores.
    """

    network: Any
    processor: Any
    folder: Path
    adapter: Adapter | None = None
    calibration: Calibration = field(default_factory=Calibration)


def load_checkpoint(network_class: Any, spec: "Spec", device: str) -> Checkpoint:
    """Load the model of `spec` on `device` ("auto", "cpu", "cuda", "cuda:1"...).

    Base and adapter are brought to folders first, each with the cache to fall back on, and then
    loaded from there, so that a dead Hub does no harm. With an adapter the revision is the
    adapter's, and the base's revision is the one that the adapter names.

    Raises:
        CheckpointError: not to be had, weights missing or left over, or an adapter of another base.
        ValueError: an unknown option.
    """
    settings = Settings.parse(spec.options)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it logs each pass of each layer
    adapter = resolve(spec.adapter, spec.revision) if spec.adapter else None
    base = resolve(spec.where, _base_revision(spec, adapter))
    if adapter and settings.base == "same":
        require_base(adapter, spec.where, base)
    network = _load_network(network_class, base, settings.load, choose_device(device))
    processor = _load_processor(base, adapter)
    placed = adapters.insert(network, adapter) if adapter else None
    network.requires_grad_(False).eval()
    return Checkpoint(network, processor, base, placed, load_calibration(adapter or base))


def choose_device(device: str) -> str:
    """Choose the device: "auto" is the GPU if there is one.

    Raises:
        ValueError: a GPU is named that is not there.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if count else "cpu"
    if device.startswith("cuda") and int(device.partition(":")[2] or 0) >= count:
        raise ValueError(f"torch finds no {device!r} among {count} GPUs; give auto or cpu.")
    return device


def require_base(adapter: Path, where: str, base: Path) -> None:
    """Refuse an adapter that was not trained on the base at `where`, whose folder is `base`.

    The fingerprint in `ferce.json` decides if the adapter has one; else the name of the base does.

    Raises:
        CheckpointError: another base, or a folder that nothing ties to the adapter's base.
    """
    origin = adapter / ADAPTER_ORIGIN
    wanted = read_json(origin).get("base_fingerprint") if origin.is_file() else None
    if wanted is not None:
        agrees, given = wanted == fingerprint(base), f"fingerprint {fingerprint(base)}"
    else:
        wanted = read_json(adapter / ADAPTER_CONFIG).get("base_model_name_or_path")
        agrees, given = _names_base(wanted, where, base), where
    if not agrees:
        raise CheckpointError(
            f"The adapter in {adapter} belongs to the base {wanted}, not to {given}; "
            "name that base, or add ?base=any to use it all the same."
        )


def unload(checkpoint: Checkpoint) -> Checkpoint:
    """Take the adapter out of the checkpoint's network, which is then the base as it came."""
    if checkpoint.adapter is not None:
        checkpoint.adapter.remove()
    return Checkpoint(checkpoint.network, checkpoint.processor, checkpoint.folder)


def _names_base(name: str | None, where: str, base: Path) -> bool:
    if not name:
        return False
    same_folder = Path(name).is_dir() and Path(name).resolve() == base.resolve()
    return name in (where, repository_of(base)) or same_folder


def _base_revision(spec: "Spec", adapter: Path | None) -> str | None:
    if adapter is None:
        return spec.revision
    config = read_json(adapter / ADAPTER_CONFIG)
    own_base = config.get("base_model_name_or_path") == spec.where
    if not own_base or folder_at(spec.where) is not None:
        return None
    return config.get("revision")


def _load_processor(base: Path, adapter: Path | None) -> Any:
    """Load the processor saved beside the adapter, if there is one; else the base's."""
    from transformers import AutoProcessor

    own = adapter is not None and (adapter / "processor_config.json").is_file()
    try:
        return AutoProcessor.from_pretrained(adapter if own else base, trust_remote_code=False)
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"The processor of {base} needs another package: {reason}") from error
    except Exception as error:  # the libraries raise whatever a broken file leads to
        reason = f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
        raise CheckpointError(f"The processor of {base} cannot be read ({reason}).") from error


def _load_network(network_class: Any, folder: Path, load: str, device: str) -> Any:
    from safetensors import SafetensorError

    arguments = precision(load, device)
    if load in QUANTISED:
        vision = read_json(folder / "config.json").get("vision_config", {})
        arguments["quantization_config"].llm_int8_skip_modules = UNQUANTISED.get(
            vision.get("model_type")
        )
    try:
        with nullcontext() if sys.stderr.isatty() else no_progress_bar():
            network, info = network_class.from_pretrained(
                folder,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **arguments,
            )
    except SafetensorError as error:
        raise CheckpointError(f"The weights of {folder} cannot be read: {error}.") from error
    if missing := sorted(info["missing_keys"]):
        raise CheckpointError(
            f"{folder} lacks {len(missing)} weights of {type(network).__name__}, "
            f"which would be random: {', '.join(missing[:3])}."
        )
    if load in QUANTISED:
        _check_quantised(network, load)
        return network
    return network.to(device)


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Hide the progress bar of transformers, which small weights and files do not need."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def precision(load: str, device: str) -> dict[str, Any]:
    """Choose the arguments of `from_pretrained` for a key of `LOADS`."""
    import torch

    on_gpu = device.startswith("cuda")
    dtype = torch.bfloat16 if load == "bf16" or (on_gpu and load != "fp32") else torch.float32
    if load not in QUANTISED:
        return {"dtype": dtype}
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_8bit=load == "8bit",
        load_in_4bit=load == "4bit",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"dtype": dtype, "quantization_config": config, "device_map": {"": device}}


def _check_quantised(network: Any, load: str) -> None:
    """Refuse a network without quantised layers, and keep those it has open for gradients."""
    kind = QUANTISED[load]
    layers = [module for module in network.modules() if type(module).__name__ == kind]
    if not layers:
        raise CheckpointError(f"load={load} must give {kind} layers, but the network holds none.")
    for layer in layers:
        # On a CPU with AVX512-BF16 the first pass would repack 4-bit weights for a kernel that has
        # no backward, after which no heat map can be made.
        layer.support_avx512bf16_for_cpu = False
