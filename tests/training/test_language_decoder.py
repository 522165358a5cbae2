"""The quick reading of OPT on a CPU: transformers' and PEFT's own values and gradients."""

import pytest
import tiny_models
import torch
from torch import nn

from ferce.models.spec import Spec
from ferce.models.vlm import blip2
from ferce.training.language import adapters
from ferce.training.language.conversation import Example
from ferce.training.language.decoder import Decoder
from ferce.training.language.loss_model import LossModel
from ferce.training.language.lowrank import WAYS, Draws, Layer
from ferce.training.language.plan import LanguagePlan
from ferce.training.language.rows import Tokeniser

TEXTS = ("happily surprised", "yes, the lips are parted.", "The brows are raised.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.build_blip2(tmp_path_factory.mktemp("bases") / "opt", "opt")


def opened(folder, load="auto", **more):
    """An adapted network, its update shaken, and a batch of three answers of unequal lengths."""
    torch.manual_seed(0)
    backend = blip2.load(Spec("blip2", str(folder), options={"load": load}), "cpu")
    plan = LanguagePlan(base=str(folder), rank=4, load_in=load, **more)
    adapters.attach(backend.network, plan)
    for name, parameter in backend.network.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    tokeniser = Tokeniser(backend)
    rows = [
        tokeniser.row(Example(i, "vqa", "Is the mouth open?" * (i + 1), text))
        for i, text in enumerate(TEXTS)
    ]
    batch = tokeniser.batch(rows, "cpu")
    width = backend.network.language_projection.in_features
    batch["features"] = torch.randn(3, tokeniser.queries, width)
    return backend, batch


def losses_and_gradients(model, batch):
    model.zero_grad()
    losses = model(batch)
    losses.sum().backward()
    return losses.detach(), {
        name: parameter.grad for name, parameter in model.named_parameters() if "lora" in name
    }


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("scope", ["language", "language,projection", r"re:.*\.(q_proj|fc2)"])
def test_losses_and_gradients_are_the_library_s(folder, scope, mode):
    backend, batch = opened(folder, scope=scope, dropout=0.0)
    ours, theirs = LossModel(backend), LossModel(backend)
    assert ours._decoder is not None
    theirs._decoder = None
    values, gradients = losses_and_gradients(ours.train(mode == "training"), batch)
    known, wanted = losses_and_gradients(theirs.train(mode == "training"), batch)
    torch.testing.assert_close(values, known, atol=1e-5, rtol=1e-5)
    assert gradients.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_dropout_in_training_follows_from_torch_s_generator(folder):
    backend, batch = opened(folder, dropout=0.3)
    model = LossModel(backend)
    whole = model.eval()(batch)
    torch.testing.assert_close(whole, model(batch), atol=0, rtol=0)
    model.train()
    torch.manual_seed(1)
    first, other = model(batch), model(batch)
    torch.manual_seed(1)
    assert torch.equal(model(batch), first)
    assert not torch.equal(first, other)
    assert not torch.equal(first, whole)


def test_what_is_dropped_is_the_share_asked_for():
    bits = Draws()(200_000)
    assert bits.dtype == torch.int16
    assert len(bits) == 200_000
    assert float((bits < 0.05 * WAYS - WAYS // 2).float().mean()) == pytest.approx(0.05, abs=0.003)
    assert abs(float(bits.float().mean())) < 100


@pytest.fixture
def layer():
    torch.manual_seed(0)
    base = nn.Linear(6, 5).requires_grad_(False)
    down, up = (nn.Parameter(torch.randn(shape)) for shape in ((3, 6), (5, 3)))
    return Layer(base, down, up, 0.7, nn.Dropout(0.4))


def test_dropout_keeps_the_mean_of_a_layer(layer):
    rows = torch.randn(1, 6).expand(20_000, 6).contiguous()
    made = layer(rows, Draws())
    plain = layer.base(rows[:1]) + 0.7 * rows[:1] @ layer.down.T @ layer.up.T
    torch.testing.assert_close(layer(rows[:1], None), plain)
    assert float((made.mean(0) - plain[0]).detach().abs().max()) < 0.1
    # What the base gives is never dropped.
    zero = Layer(layer.base, layer.down, nn.Parameter(torch.zeros(5, 3)), 0.7, layer.dropout)
    torch.testing.assert_close(zero(rows, Draws()), layer.base(rows))


@pytest.mark.parametrize("drawn", [True, False])
def test_gradients_of_a_layer_are_those_of_its_sums(layer, drawn):
    """Beside autograd over the same sums, with the mask that the layer drew."""
    rows, weights = torch.randn(7, 6, requires_grad=True), torch.randn(7, 5)
    torch.manual_seed(3)
    made = layer(rows, Draws() if drawn else None)
    learnt = (rows, layer.down, layer.up)
    gradients = torch.autograd.grad((made * weights).sum(), learnt)
    torch.manual_seed(3)
    dropped = round(0.4 * WAYS)
    kept = (Draws()(42).view(7, 6) >= dropped - WAYS // 2) * WAYS / (WAYS - dropped)
    seen = rows * kept if drawn else rows
    known = layer.base(rows) + 0.7 * seen @ layer.down.T @ layer.up.T
    torch.testing.assert_close(made, known)
    for one, other in zip(
        gradients, torch.autograd.grad((known * weights).sum(), learnt), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("more", [{"load": "bf16"}, {"dora": True}])
def test_other_layers_are_left_to_the_library(folder, more):
    assert LossModel(opened(folder, **more)[0])._decoder is None


# peft 0.21 reads a name that transformers 5.23 deprecates.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_recomputed_activations_are_left_to_the_library(folder):
    assert LossModel(opened(folder, checkpointing=True)[0])._decoder is None


def test_a_decoder_whose_norms_stand_behind_is_left_to_the_library(folder):
    backend, _ = opened(folder)
    inner = backend.network.language_model.model.decoder
    assert Decoder.of(inner) is not None
    inner.config.do_layer_norm_before = False
    assert Decoder.of(inner) is None


def test_a_merged_or_disabled_update_is_left_to_the_library(folder):
    backend, _ = opened(folder)
    layer = backend.network.language_model.model.decoder.layers[0].fc1
    assert Layer.of(layer) is not None
    layer.enable_adapters(False)
    assert Layer.of(layer) is None
