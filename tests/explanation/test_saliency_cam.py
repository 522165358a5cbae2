import threading

import network_fixtures as nets
import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from network_fixtures import SIDE, Network, as_tensor, spot, spots, taught
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from saliency_fixtures import OneUnit, noisy_face, region
from timm.models.coat import CoaT
from timm.models.levit import Levit
from timm.models.mlp_mixer import MlpMixer
from timm.models.nest import Nest
from timm.models.tiny_vit import TinyVit
from timm.models.visformer import Visformer
from timm.models.volo import VOLO
from torch import nn

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import View
from ferce.explanation import heatmaps
from ferce.explanation.heatmaps import attention, cam, layers

RED, GREEN = COMPOUNDS[0], COMPOUNDS[1]
GRADIENTS = [name for name, m in heatmaps.METHODS.items() if m.need == "gradients"]
ATTENTION = [name for name, m in heatmaps.METHODS.items() if m.need == "attention"]


class Mouth(torch.nn.Module):
    """Sees the mouth and nothing else: every other pixel is covered before the first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nets.Spots()
        self.layer = self.inner.layer
        self.register_buffer("mask", torch.from_numpy(region("mouth", SIDE)).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x * self.mask)


def inside(values: np.ndarray, row: int, column: int) -> float:
    return float(values[row : row + 16, column : column + 16].sum() / values.sum())


@pytest.mark.parametrize("method", GRADIENTS)
def test_a_network_that_looks_at_the_mouth_puts_its_heat_there(method: str) -> None:
    network = Network(Mouth(), layers.Layer("layer", Mouth().layer))
    network.layer = layers.Layer("layer", network.module.layer)
    face = noisy_face(size=SIDE)
    crop = face.crop.copy()
    crop[..., 1:] //= 4  # red noise everywhere
    heat = heatmaps.explain(network, face.replace(crop=crop), RED, method)
    around = np.zeros((SIDE, SIDE), np.bool_)
    rows, columns = np.nonzero(region("mouth", SIDE))
    around[rows.min() - 8 : rows.max() + 9, columns.min() - 8 : columns.max() + 9] = True
    assert heat.values[around].sum() / heat.values.sum() > 0.99  # up to one cell of the layer
    assert heat.layer == "layer"
    assert max(heat.regions, key=heat.regions.__getitem__) == "mouth"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", GRADIENTS)
def test_heat_follows_the_evidence_wherever_it_is(method: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    colour, row, column = int(rng.integers(0, 2)), *(int(v) for v in rng.integers(0, 4, 2) * 16)
    heat = heatmaps.explain(spots(), spot(colour, row, column), COMPOUNDS[colour], method)
    assert inside(heat.values, row, column) > 0.7
    assert heat.values.shape == (SIDE, SIDE)


@pytest.mark.parametrize("method", [*ATTENTION, "hires-cam", "score-cam", "occlusion-grid"])
def test_heat_of_a_trained_transformer_follows_the_evidence(method: str) -> None:
    """Why a red spot rather than none? Because of the spot (against green, its absence counts)."""
    against = COMPOUNDS[3] if heatmaps.METHODS[method].of_label else None
    rng = np.random.default_rng(5)
    hits = []
    for seed in range(8):
        colour, row, column = int(rng.integers(0, 3)), *(int(v) for v in rng.integers(0, 4, 2) * 16)
        face = spot(colour, row, column, seed=1000 + seed)
        heat = heatmaps.explain(taught(nets.tiny_vit), face, COMPOUNDS[colour], method, against)
        y, x = np.unravel_index(heat.values.argmax(), heat.values.shape)
        hits.append(row - 4 <= y < row + 20 and column - 4 <= x < column + 20)
    assert np.mean(hits) >= 0.75, hits  # chance is 1 in 7


def test_auto_suits_the_network() -> None:
    face = spot(0, 16, 32)
    assert heatmaps.explain(spots(), face, RED).method == "grad-cam"
    heat = heatmaps.explain(taught(nets.tiny_vit), face, RED)
    assert (heat.method, heat.layer) == ("attention-relevance", "blocks.2.norm1")


OF_LABEL = [m for m in GRADIENTS if heatmaps.METHODS[m].of_label]


@pytest.mark.parametrize("method", OF_LABEL)
def test_map_without_positive_evidence_stays_zero(method: str) -> None:
    heat = heatmaps.explain(spots(), spot(0, 16, 16), RED, method)
    assert not heat.empty
    network = spots()
    with torch.no_grad():
        network.module.head.weight.neg_()  # now red speaks against class 0
    assert heatmaps.explain(network, spot(0, 16, 16), RED, method).empty


@pytest.mark.parametrize("method", OF_LABEL)
def test_against_shows_what_speaks_for_the_one_rather_than_the_other(method: str) -> None:
    crop = np.maximum(spot(0, 0, 0).crop, spot(1, 48, 48).crop)
    crop[0:16, 0:16, 1:] = 0
    crop[48:, 48:, ::2] = 0
    both = spot(0, 0, 0).replace(crop=crop)
    red = heatmaps.explain(spots(), both, RED, method, against=GREEN)
    green = heatmaps.explain(spots(), both, GREEN, method, against=RED)
    assert inside(red.values, 0, 0) > 0.7
    assert inside(green.values, 48, 48) > 0.7


def test_component_counts_all_its_compounds() -> None:
    # "disgusted" holds class 1 (green) and not class 0 (red); "surprised" the other way round.
    face = spot(1, 16, 16)
    assert not heatmaps.explain(spots(), face, "disgusted", "grad-cam").empty
    assert heatmaps.explain(spots(), face, "surprised", "grad-cam").empty
    goal = cam.target(spots().view(), "happy")
    row = torch.randn(14, dtype=torch.double)
    p = float(row.softmax(0)[[0, 1, 12, 13]].sum())
    assert float(goal(row)) == pytest.approx(np.log(p / (1 - p)))


def test_label_free_methods_refuse_a_comparison() -> None:
    with pytest.raises(ValueError, match="same map for every label"):
        heatmaps.explain(spots(), spot(0, 0, 0), RED, "eigen-cam", against=GREEN)


def test_methods_that_look_inside_refuse_a_closed_classifier() -> None:
    with pytest.raises(ValueError, match="use one of: occlusion, shapley"):
        heatmaps.explain(OneUnit(12), noisy_face(), RED, "grad-cam")


def test_attention_within_windows_is_not_followed() -> None:
    """Swin's last stage may have one window only, but its first stages have many."""
    torch.manual_seed(0)
    module = timm.create_model(
        "swin_tiny_patch4_window7_224", num_classes=14, img_size=SIDE, embed_dim=24,
        depths=(1, 1, 1, 1), window_size=2,
    ).eval()  # fmt: skip
    network = Network(module, layers.of_timm(module, torch.zeros(1, 3, SIDE, SIDE)))
    assert heatmaps.explain(network, spot(0, 0, 0), RED).method == "grad-cam"
    with pytest.raises(ValueError, match="no attention between all parts"):
        heatmaps.explain(network, spot(0, 0, 0), RED, "attention-rollout")


def test_attention_is_refused_where_there_is_none() -> None:
    with pytest.raises(ValueError, match="no attention between all parts"):
        heatmaps.explain(spots(), spot(0, 0, 0), RED, "attention-rollout")


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e3), st.integers(0, 3))
def test_map_scales_with_a_positive_gradient(factor: float, place: int) -> None:
    view, tensor = spots().view(), as_tensor([spot(0, place * 16, 32)])
    goal = cam.target(view, RED)
    for method in ("grad-cam", "hires-cam", "layer-cam", "ablation-cam"):
        one = cam.compute(view, tensor, goal, method)
        many = cam.compute(view, tensor, lambda row: factor * goal(row), method)
        np.testing.assert_allclose(many, factor * one, rtol=1e-3, atol=1e-9)


def test_stretched_it_is_the_map_of_the_library() -> None:
    torch.manual_seed(0)
    module = timm.create_model("resnet18", num_classes=14).eval()
    view = View(module, module.layer4, "layer4", as_tensor, COMPOUNDS.index)
    tensor = as_tensor([noisy_face(size=96), noisy_face(1, size=96)])
    goal = cam.target(view, RED)
    ours = cam.compute(view, tensor, goal, "grad-cam")
    with GradCAM(module, [module.layer4]) as library:
        theirs = library(tensor, [goal, goal])
    np.testing.assert_allclose(scale_cam_image(scale_cam_image(ours, (96, 96))), theirs, atol=1e-4)


@pytest.mark.parametrize("method", ["attention-relevance", "layer-cam", "grad-cam"])
def test_randomised_weights_change_the_map(method: str) -> None:
    """Sanity check of Adebayo et al. 2018 (arXiv:1810.03292)."""
    trained = taught(nets.tiny_vit)
    torch.manual_seed(7)
    module = nets.tiny_vit()
    random = Network(module, layers.of_timm(module, torch.zeros(1, 3, SIDE, SIDE)))
    likeness = []
    for seed in range(4):
        face = spot(0, 16 * seed, 48 - 16 * seed, seed=seed)
        maps = [heatmaps.explain(n, face, RED, method).values for n in (trained, random)]
        assert maps[0].any()
        if maps[1].any():
            likeness.append(np.corrcoef(*(m.ravel() for m in maps))[0, 1])
    assert not likeness or np.mean(likeness) < 0.6


def test_rollout_is_the_product_of_the_attention_matrices() -> None:
    network = taught(nets.tiny_vit)
    tensor = as_tensor([spot(2, 32, 0)])
    seen: list[torch.Tensor] = []
    for block in network.module.blocks:
        block.attn.fused_attn = False
    handles = [
        b.attn.attn_drop.register_forward_hook(lambda m, i, o: seen.append(o.detach()))
        for b in network.module.blocks
    ]
    try:
        network.module(tensor)
        spelled = attention.compute(
            network.view(), tensor, cam.target(network.view(), RED), "attention-rollout"
        )
    finally:
        for handle, block in zip(handles, network.module.blocks, strict=True):
            handle.remove()
            block.attn.fused_attn = True
    eye = torch.eye(65)
    expected = eye
    for matrix in seen[:3]:
        expected = (matrix[0].mean(0) + eye) / 2 @ expected
    fused = attention.compute(
        network.view(), tensor, cam.target(network.view(), RED), "attention-rollout"
    )
    np.testing.assert_allclose(fused[0].ravel(), expected[0, 1:].numpy(), atol=1e-6)
    np.testing.assert_allclose(fused, spelled, atol=1e-6)


def test_attention_of_a_pooling_transformer_is_read_from_every_token() -> None:
    torch.manual_seed(0)
    module = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=SIDE,
        patch_size=16,
        embed_dim=24,
        depth=2,
        num_heads=2,
        num_classes=14,
        global_pool="avg",
        class_token=False,
    )
    network = Network(module, layers.of_timm(module, torch.zeros(1, 3, SIDE, SIDE)))
    heat = heatmaps.explain(network, spot(0, 0, 0), RED, "attention-rollout")
    assert heat.values.min() > 0


def test_threads_do_not_disturb_one_another() -> None:
    network = taught(nets.tiny_vit)
    faces = [spot(k % 3, 16 * (k % 4), 16, seed=k) for k in range(6)]
    methods = ["grad-cam", "ablation-cam", "attention-relevance"]
    jobs = [(face, method) for face in faces for method in methods]
    alone = [heatmaps.explain(network, f, RED, m).values for f, m in jobs]
    row = network.scores([faces[0]]).classes
    together: dict[int, np.ndarray] = {}
    rows: list[np.ndarray] = []

    def work(k: int) -> None:
        together[k] = heatmaps.explain(network, *jobs[k][:1], RED, jobs[k][1]).values
        rows.append(network.scores([faces[0]]).classes)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, values in enumerate(alone):
        np.testing.assert_allclose(together[k], values, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(rows), np.repeat(row, len(jobs), 0), atol=1e-6)


@pytest.mark.parametrize("method", [*GRADIENTS, "attention-relevance"])
def test_network_is_left_as_it_was(method: str) -> None:
    network = taught(nets.tiny_vit)
    for parameter in network.module.parameters():
        parameter.grad = None
    before = {k: v.clone() for k, v in network.module.state_dict().items()}
    heatmaps.explain(network, spot(0, 0, 0), RED, method)
    assert all(p.grad is None for p in network.module.parameters())
    assert all(not m._forward_hooks for m in network.module.modules())
    assert all(torch.equal(v, before[k]) for k, v in network.module.state_dict().items())
    with pytest.raises(IndexError):  # what goes wrong inside comes out, and the hooks go
        cam.compute(network.view(), as_tensor([spot(0, 0, 0)]), lambda row: row[99], "grad-cam")
    assert all(not m._forward_hooks for m in network.module.modules())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_frozen_network_of_any_precision_is_explained(dtype: torch.dtype) -> None:
    network = spots()
    network.module.to(dtype).requires_grad_(False)
    view = network.view()
    with torch.no_grad():  # as a caller might
        heat = cam.compute(
            view, as_tensor([spot(0, 16, 16)]).to(dtype), cam.target(view, RED), "grad-cam"
        )
    assert heat.dtype == np.float32
    assert heat[0, 2:4, 2:4].sum() / heat.sum() > 0.9


FAMILIES = {
    "resnet18": ("layer4", {}),
    "efficientnet_lite0": ("bn2", {}),
    "convnext_atto": ("stages", {}),
    "mobilenetv3_small_050": ("blocks", {}),
    "vit_tiny_patch16_224": ("blocks.1.norm1", {"img_size": 64, "depth": 2}),
    "deit_tiny_distilled_patch16_224": ("blocks.1.norm1", {"img_size": 64, "depth": 2}),
    "vit_small_patch14_dinov2": ("blocks.1.norm1", {"img_size": 56, "depth": 2, "embed_dim": 48}),
    "swin_tiny_patch4_window7_224": (
        "norm",
        {"img_size": 64, "embed_dim": 24, "depths": (1, 1, 1, 1), "window_size": 2},
    ),
    "mixer_s32_224": ("norm", {"img_size": 64}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_layer_and_grid_are_found_from_the_network(name: str) -> None:
    expected, options = FAMILIES[name]
    torch.manual_seed(0)
    module = timm.create_model(name, num_classes=14, **options).eval()
    if name.startswith("mixer"):
        torch.nn.init.normal_(module.head.weight)  # timm leaves this one at zero
    side = options.get("img_size", 64)
    layer = layers.of_timm(module, torch.zeros(1, 3, side, side))
    assert layer.name == expected
    network = Network(module, layer)
    face = noisy_face(size=side)
    heats = [heatmaps.explain(network, face, c, "layer-cam") for c in COMPOUNDS]
    assert heats[0].values.shape == (side, side)
    assert not all(heat.empty for heat in heats)


def _wide(name: str, **options: object) -> nn.Module:
    return timm.create_model(name, num_classes=14, **options)


# Networks whose outputs are channels-last, tokens or no maps: side of the picture, network, layer.
ODD = {
    "volo": (112, lambda: VOLO((1, 1, 1, 1), 112, embed_dims=(24, 48, 48, 48), num_heads=(2,) * 4,
        num_classes=14), "post_network.1.norm1"),
    "nest": (64, lambda: Nest(64, embed_dims=(24, 48, 96), num_heads=(1, 2, 4), depths=(1, 1, 1),
        num_classes=14), "norm"),
    "coat": (64, lambda: CoaT(64, 4, embed_dims=(32,) * 4, serial_depths=(1,) * 4,
        parallel_depth=2, num_classes=14), "parallel_blocks.1.norm14"),
    "levit": (224, lambda: Levit(embed_dim=(32, 48, 64), key_dim=8, depth=(1, 1, 1),
        num_heads=(2, 3, 4), num_classes=14), None),
    "tiny_vit": (224, lambda: TinyVit(embed_dims=(16, 32, 40, 80), depths=(1, 1, 2, 1),
        num_heads=(1, 2, 2, 2), num_classes=14), "stages"),
    "visformer": (224, lambda: Visformer(init_channels=8, embed_dim=48, depth=(1, 1, 1),
        num_classes=14), "norm"),
    "xcit": (112, lambda: _wide("xcit_nano_12_p16_224", img_size=112, depth=2, embed_dim=48,
        num_heads=2, cls_attn_layers=1), "blocks.1"),
    "pit": (112, lambda: _wide("pit_ti_224", img_size=112, base_dims=(16,) * 3, depth=(1, 1, 1),
        heads=(1, 2, 4)), "transformers.2.blocks.0.norm1"),
    "davit": (224, lambda: _wide("davit_tiny", depths=(1,) * 4, embed_dims=(16, 32, 64, 64),
        num_heads=(1, 2, 4, 4)), "stages"),
}  # fmt: skip
PLACES = ((0.15, 0.15), (0.15, 0.85), (0.85, 0.15), (0.85, 0.85))


def settled(module: nn.Module, side: int) -> nn.Module:
    """Give batch norms the statistics of noise; untrained ones let the signal fade."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            part.momentum = 1.0
    with torch.no_grad():
        module.train()(torch.randn(4, 3, side, side))
    return module.eval().requires_grad_(False)


def moved(network: Network, side: int) -> list[tuple[float, float]]:
    """The places (0..1) at which the layer changes most with a patch at each of `PLACES`."""
    layer, kept, change = network.layer, [], 0.0
    with layer.module.register_forward_hook(lambda _m, _i, made: kept.append(made)):
        for _ in range(3):
            pictures = (torch.randn(1, 3, side, side) / 2).repeat(5, 1, 1, 1)
            for picture, (y, x) in zip(pictures[1:], PLACES, strict=True):
                rows, columns = (slice(int(v * side) - side // 10, None) for v in (y, x))
                picture[:, rows, columns][:, : side // 5, : side // 5] += 3
            with torch.no_grad():
                network.module(pictures)
            maps = layer.reshape(kept.pop()) if layer.reshape else kept.pop()
            change = change + (maps[1:] - maps[:1]).abs().mean(1)
    change = change - change.mean(0)  # what any change does, wherever it is
    h, w = change.shape[1:]
    cells = [divmod(int(one.argmax()), w) for one in change]
    return [((row + 0.5) / h, (column + 0.5) / w) for row, column in cells]


@pytest.mark.parametrize("name", ODD)
def test_the_map_of_any_network_keeps_places_or_is_refused(name: str) -> None:
    side, make, expected = ODD[name]
    torch.manual_seed(0)
    module = settled(make(), side)
    if expected is None:
        with pytest.raises(ValueError, match=r"No layer of Levit keeps the places.*'occlusion'"):
            layers.of_timm(module, torch.zeros(1, 3, side, side))
        return
    network = Network(module, layers.of_timm(module, torch.zeros(1, 3, side, side)))
    assert network.layer.name == expected
    assert np.abs(np.subtract(moved(network, side), PLACES)).max() < 0.25
    face = noisy_face(size=side)
    heats = [heatmaps.explain(network, face, c, "layer-cam") for c in COMPOUNDS[:4]]
    assert heats[0].values.shape == (side, side)
    assert not all(heat.empty for heat in heats)


def test_a_network_that_shuffles_its_tokens_is_refused() -> None:
    """Tokens window by window have the number and the width of a map, and another order."""
    torch.manual_seed(0)
    module = MlpMixer(14, 128, patch_size=32, num_blocks=1, embed_dim=48).eval()  # 4 x 4 tokens
    torch.nn.init.normal_(module.head.weight)  # timm leaves this one at zero
    example = torch.zeros(1, 3, 128, 128)
    assert layers.of_timm(module, example).name == "norm"
    order = torch.arange(16).reshape(2, 2, 2, 2).transpose(1, 2).flatten()
    module.stem.register_forward_hook(lambda _m, _i, tokens: tokens[:, order])
    with pytest.raises(ValueError, match="No layer of MlpMixer keeps the places"):
        layers.of_timm(module, example)


def test_grid_need_not_be_square() -> None:
    module = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=(64, 32),
        depth=1,
        embed_dim=24,
        num_heads=2,
        num_classes=14,
    )
    layer = layers.of_timm(module, torch.zeros(1, 3, 64, 32))
    values = torch.arange(9.0)[None, :, None].repeat(1, 1, 24)
    assert layer.reshape is not None
    expected = torch.arange(1.0, 9.0).reshape(4, 2)
    assert torch.equal(layer.reshape(values)[0, 0], expected)
