"""Losses, order, mixing, schedule, averaging and stopping against known answers."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.data.record import Blob, Sample, UnitLabel
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.training import optimiser
from ferce.training.classifier import batches, task
from ferce.training.classifier.batches import Batch, unit_targets
from ferce.training.classifier.network import Net, carry_head, spare_copies
from ferce.training.classifier.plan import Plan
from ferce.training.examples import Order, even_weights, share
from ferce.training.optimiser import Ema
from ferce.training.progress import Stopping, TrainingError, open_accelerator

PLAN = Plan(smoothing=0.0)


def one_hot(*numbers, classes=3):
    return torch.eye(classes)[torch.tensor([int(n) for n in numbers])]


def test_cross_entropy_is_torchs():
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    truth = torch.tensor([0, 2, 1, 1, 0])
    loss = task.class_loss(replace(PLAN, smoothing=0.2), np.array([5, 5, 5]))
    wanted = functional.cross_entropy(logits, truth, label_smoothing=0.2, reduction="none")
    torch.testing.assert_close(loss(logits, one_hot(*truth)), wanted)


def test_logit_adjustment_of_even_scores_is_the_negative_log_prior():
    loss = task.class_loss(replace(PLAN, loss="logit-adjusted"), np.array([80, 15, 5]))
    got = loss(torch.zeros(3, 3), one_hot(0, 1, 2))
    torch.testing.assert_close(got, -torch.tensor([0.80, 0.15, 0.05]).log())


def test_logit_adjustment_finds_the_balanced_classifier():
    """Fitted on skewed counts of one and the same input, the scores end up even (Menon, eq. 10)."""
    counts = np.array([80.0, 15.0, 5.0])
    loss = task.class_loss(replace(PLAN, loss="logit-adjusted"), counts)
    logits = torch.zeros(1, 3, requires_grad=True)
    (loss(logits.expand(3, 3), one_hot(0, 1, 2)) * torch.tensor(counts)).sum().backward()
    torch.testing.assert_close(logits.grad, torch.zeros(1, 3), atol=1e-4, rtol=0)


def test_focal_loss_of_an_even_choice():
    loss = task.class_loss(replace(PLAN, loss="focal", gamma=2.0), np.array([1, 1]))
    got = loss(torch.zeros(1, 2), one_hot(0, classes=2))
    assert got.item() == pytest.approx(0.25 * math.log(2), rel=1e-5)


def test_class_balanced_weights_follow_the_effective_number():
    counts = np.array([1.0, 2.0, 1000.0])
    weights = task.balanced_weights(counts, 0.9)
    # (1 - b) / (1 - b^n): 1, 1 / 1.9 and about 1 / 10
    np.testing.assert_allclose(weights / weights[0], [1, 1 / 1.9, 0.1], rtol=1e-6)
    assert (weights * counts).sum() == pytest.approx(counts.sum())


def test_ldam_margins_halve_with_sixteen_times_the_faces():
    np.testing.assert_allclose(task.ldam_margins(np.array([1.0, 16.0]), 0.5), [0.5, 0.25])
    loss = task.class_loss(replace(PLAN, loss="ldam"), np.array([1, 16]))
    wanted = functional.cross_entropy(torch.tensor([[-0.5, 0.0]]), torch.tensor([0]))
    assert loss(torch.zeros(1, 2), one_hot(0, classes=2)).item() == pytest.approx(wanted.item())


@pytest.mark.parametrize("kind", ["cross-entropy", "class-balanced", "focal", "logit-adjusted"])
def test_an_unlabelled_face_has_no_class_loss(kind):
    loss = task.class_loss(Plan(loss=kind), np.array([3, 2, 1]))
    logits = torch.randn(2, 3, requires_grad=True)
    value = loss(logits, torch.stack([torch.zeros(3), torch.eye(3)[1]]))
    value.sum().backward()
    assert value[0] == 0
    assert (logits.grad[0] == 0).all()
    assert (logits.grad[1] != 0).any()


def test_unit_loss_is_masked_for_null():
    logits = torch.randn(2, len(UNIT_NUMBERS), requires_grad=True)
    coded = unit_targets((UnitLabel(12), UnitLabel(25)))
    wanted = torch.from_numpy(np.stack([unit_targets(None), coded]))
    value = task.unit_loss(logits, wanted)
    value.sum().backward()
    assert value[0] == 0
    assert (logits.grad[0] == 0).all()
    plain = functional.binary_cross_entropy_with_logits(logits[1], torch.from_numpy(coded))
    torch.testing.assert_close(value[1], plain)


def test_units_that_are_covered_are_unknown():
    row = dict(zip(UNIT_NUMBERS, unit_targets((UnitLabel(1),), frozenset({"mouth"})), strict=True))
    assert row[1] == 1
    assert row[4] == 0
    assert np.isnan(row[12])


def test_units_that_nobody_coded_say_nothing():
    row = unit_targets((UnitLabel(12),), coded=frozenset({4, 12}))
    told = dict(zip(UNIT_NUMBERS, row.tolist(), strict=True))
    assert (told[12], told[4]) == (1, 0)
    assert np.isnan([v for n, v in told.items() if n not in (4, 12)]).all()


@given(
    st.integers(4, 200), st.integers(1, 40), st.integers(1, 4), st.integers(1, 5), st.integers(0, 9)
)
def test_every_face_once_an_epoch_whatever_the_processes(count, batch, world, parts, epoch):
    order = Order(count, batch * world * parts)
    steps = order.steps(epoch)
    assert len(steps) == order.length
    assert max(map(len, steps)) - min(map(len, steps)) <= 1
    met = []
    for step in steps:
        if len(step) < world:
            return
        shares = [share(step, rank, world, parts) for rank in range(world)]
        assert len({len(s) for s in shares}) == 1
        assert all(len(part) for s in shares for part in s)
        met += [int(i) for s in shares for part in s for i in part]
    assert sorted(met) == list(range(count))


def test_the_order_depends_on_seed_and_epoch_alone():
    first, again = Order(50, 7, seed=3), Order(50, 7, seed=3)
    for epoch in (4, 0):
        assert all(
            (a == b).all() for a, b in zip(first.steps(epoch), again.steps(epoch), strict=True)
        )
    assert not (np.concatenate(first.steps(0)) == np.concatenate(first.steps(1))).all()


@pytest.mark.parametrize("name", ["FSDP", "DEEPSPEED"])
def test_weights_split_over_processes_are_refused(monkeypatch, name):
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    with pytest.raises(TrainingError, match=f"configured for {name}, .* Launch with --multi_gpu"):
        open_accelerator(True)


def test_a_launcher_that_started_one_process_is_said(monkeypatch):
    """`accelerate launch --num_processes 2 --cpu` sets an address and starts one, without MPI."""
    said = []
    open_accelerator(True, said.append)
    assert said == ["training on cpu with 1 process"]
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    open_accelerator(True, said.append)
    assert "start two with `torchrun --nproc_per_node 2" in said[-1]


def test_too_few_faces_for_the_processes():
    with pytest.raises(TrainingError, match="2 faces cannot be shared by 3"):
        share(np.arange(2), 0, 3, 1)


def test_the_weighted_sampler_draws_classes_evenly():
    classes = np.array([0] * 900 + [1] * 90 + [2] * 10 + [-1] * 200)
    order = Order(len(classes), 64, weights=even_weights(classes, 4))
    drawn = Counter(int(classes[i]) for e in range(40) for step in order.steps(e) for i in step)
    total = sum(drawn.values())
    assert drawn[-1] / total == pytest.approx(200 / 1200, abs=0.01)
    for k in range(3):
        assert drawn[k] / total == pytest.approx(1000 / 1200 / 3, abs=0.01)


def batch_of(n=6, classes=5):
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(n, 3, 8, 8, generator=rng)
    units = torch.zeros(n, 4)
    units[0] = float("nan")
    return Batch(images, torch.eye(classes)[torch.arange(n) % classes], units, torch.arange(n))


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_mixing_keeps_the_sum_of_labels_and_the_doubt_about_units(mixup, cutmix):
    batch = batch_of()
    before = batch.images.clone()
    mixed = batches.mix(batch, (1, 2, 3), mixup, cutmix)
    torch.testing.assert_close(mixed.targets.sum(0), batch.targets.sum(0))
    torch.testing.assert_close(mixed.targets.sum(1), torch.ones(6))
    assert torch.isnan(mixed.units).any(1).sum() in (1, 2)
    assert (batch.images == before).all()
    again = batches.mix(batch, (1, 2, 3), mixup, cutmix)
    assert (again.images == mixed.images).all()


def test_cutmix_shares_the_label_by_area():
    images = torch.arange(2.0)[:, None, None, None].expand(2, 3, 10, 10).clone()
    batch = Batch(images, torch.eye(2), torch.zeros(2, 1), torch.arange(2))
    for seed in range(20):
        mixed = batches.mix(batch, (seed,), 0.0, 1.0)
        torch.testing.assert_close(mixed.images.mean((1, 2, 3)), mixed.targets[:, 1])


def test_schedule_rises_then_falls():
    assert optimiser.factor(0.05, 0.1) == pytest.approx(0.5)
    assert optimiser.factor(0.1, 0.1) == pytest.approx(1.0)
    assert optimiser.factor(0.55, 0.1, floor=0.0) == pytest.approx(0.5)
    assert optimiser.factor(1.0, 0.1) == pytest.approx(optimiser.FLOOR)
    assert optimiser.factor(0.0, 0.0) == 1.0


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_layer_decay_slows_the_first_layers(name):
    net = Net(timm.create_model(name, num_classes=4), units=3)
    made = optimiser.groups(net, 0.05, 0.5)
    scale = {id(p): g["lr_scale"] for g in made for p in g["params"]}
    parameters = list(net.parameters())
    assert len(scale) == len(parameters)
    stem, head = next(net.network.parameters()), net.network.get_classifier().weight
    assert scale[id(stem)] < scale[id(head)] == 1.0
    assert all(
        g["weight_decay"] == 0
        for g in made
        for p in g["params"]
        if p.ndim < 2 and id(p) not in {id(q) for q in net.units.parameters()}
    )


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_efficientnet"])
def test_freezing_holds_what_it_names(name):
    net = Net(timm.create_model(name, num_classes=4))
    head = {id(p) for p in net.network.get_classifier().parameters()}
    held = optimiser.frozen_modules(net, "backbone")
    optimiser.hold(held, True)
    moving = {id(p) for p in net.parameters() if p.requires_grad}
    assert moving - head == {
        id(p) for p in net.network.parameters() if id(p) in moving and id(p) not in head
    }
    assert head <= moving
    frozen = sum(p.numel() for p in net.parameters() if not p.requires_grad)
    assert frozen > 0.9 * sum(p.numel() for p in net.parameters() if id(p) not in head)
    optimiser.hold(held, False)
    optimiser.hold(optimiser.frozen_modules(net, "1"), True)
    assert not next(net.network.parameters()).requires_grad or name == "test_vit"
    with pytest.raises(TrainingError, match="layer groups; cannot freeze 99"):
        optimiser.frozen_modules(net, "99")


def test_average_of_weights():
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0.0)
    ema = Ema(module, 0.5)
    module.weight.data.fill_(1.0)
    ema.update(0)  # decay (1 + 0) / (10 + 0)
    assert ema.weights["weight"].item() == pytest.approx(0.9)
    ema.update(1000)  # decay 0.5
    assert ema.weights["weight"].item() == pytest.approx(0.95)
    with ema.used():
        assert module.weight.item() == pytest.approx(0.95)
    assert module.weight.item() == 1.0


def test_stopping_counts_epochs_without_a_rise():
    state = Stopping(patience=2)
    for epoch, (score, over) in enumerate([(0.2, False), (0.3, False), (0.3, False), (0.1, True)]):
        state = state.seen(score, epoch)
        assert state.over == over
    assert (state.best, state.epoch) == (0.3, 1)
    assert not Stopping(0).seen(float("nan"), 0).improved


def test_targets_share_a_compound_over_its_emotions():
    def target(label, labels, **more):
        return Sample("x", Blob(b""), label, **more).over(labels)

    row = target("sadly angry", BASICS)
    assert {BASICS[i]: row[i] for i in np.flatnonzero(row)} == {"sad": 0.5, "angry": 0.5}
    assert target("happy", COMPOUNDS).sum() == 0
    assert target(None, COMPOUNDS).sum() == 0
    assert target("happily sad", COMPOUNDS)[13] == 1
    told = target("happy", BASICS, shares={"happy": 0.5, "sadly fearful": 0.4})
    assert dict(zip(BASICS, told.tolist(), strict=True)) == pytest.approx(
        {"happy": 0.5, "sad": 0.2, "fearful": 0.2, "angry": 0, "surprised": 0, "disgusted": 0}
    )


def test_a_compound_begins_as_the_mean_of_its_emotions():
    network = timm.create_model("test_resnet", num_classes=len(COMPOUNDS))
    weight = torch.randn(len(BASICS), network.head_hidden_size)
    carry_head(network, BASICS, COMPOUNDS, (weight, torch.arange(6.0)))
    head = network.get_classifier()
    k = COMPOUNDS.index("sadly angry")
    i, j = BASICS.index("sad"), BASICS.index("angry")
    torch.testing.assert_close(head.weight[k], (weight[i] + weight[j]) / 2)
    assert head.bias[k].item() == (i + j) / 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "hinge"}, "loss must be one of"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"smoothing": 1.0}, "smoothing must lie in 0..1"),
        ({"freeze": "some"}, "freeze must be none, backbone or a number"),
        ({"lr": -1.0}, "lr must not be negative"),
    ],
)
def test_a_plan_checks_itself(changes, message):
    with pytest.raises(TrainingError, match=message):
        Plan(**changes)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "mobilenetv3_small_050", "resnet10t"])
def test_activations_beside_their_input_change_nothing(name):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=3).train()
    images = torch.randn(4, 3, 32, 32)
    sums = []
    for spared in (False, True):
        if spared:
            spare_copies(network)
        torch.manual_seed(1)
        network.zero_grad()
        network(images).square().sum().backward()
        sums.append([parameter.grad.clone() for parameter in network.parameters()])
    for one, other in zip(*sums, strict=True):
        assert torch.equal(one, other)
