"""What a fine-tuned BLIP-2 reads, and where its loss falls: on answers, and never on a leak."""

import re
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from language_fixtures import coloured, items_of
from tiny_models import face

from ferce.core.labels import BASICS, COMPOUNDS, NOUNS, components
from ferce.data.record import UnitLabel
from ferce.models import prompts
from ferce.models.spec import Spec
from ferce.models.vlm import blip2
from ferce.training.language.conversation import (
    BASIC,
    Conversation,
    Example,
    Gallery,
    Shown,
    explanation_prompt,
)
from ferce.training.language.loss_model import (
    BlipPictures,
    FeatureBlip2,
    LossModel,
    answer_losses,
)
from ferce.training.language.plan import LanguagePlan
from ferce.training.language.rows import (
    IGNORED,
    Balance,
    Tokeniser,
    balance_of,
    cut,
    grouped,
    token_priors,
)
from ferce.training.language.validation import rouge_l
from ferce.training.progress import TrainingError

pytestmark = pytest.mark.filterwarnings(
    # the library's image processor wraps read-only arrays
    "ignore:The given NumPy array is not writable:UserWarning",
)
TURNS = [
    Example(0, "label", prompts.CLASSIFY, "happily surprised"),
    Example(1, "vqa", "Is the mouth open?", "yes, the lips are parted."),
    Example(2, "explanation", prompts.HOUSE, "The brows are raised and drawn together."),
]
UNITS = (UnitLabel(1, 0.9), UnitLabel(12, 0.8), UnitLabel(25, 0.7))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("bases")
    return {name: tiny_models.build_blip2(root / name, name) for name in ("opt", "t5")}


@pytest.fixture(scope="module", params=["opt", "t5"])
def backend(request, folders):
    return blip2.load(Spec("blip2", str(folders[request.param])), "cpu")


def told(backend, row):
    """The text of the tokens that the loss falls on."""
    ids = [i for i in row.labels if i != IGNORED]
    return backend.processor.tokenizer.decode(ids, skip_special_tokens=True).strip()


def whole(backend, tokeniser, rows):
    pictures = [face(row.example.number).crop for row in rows]
    return tokeniser.batch(rows, "cpu") | BlipPictures(backend.processor.image_processor)(pictures)


# Tokens.


@pytest.mark.parametrize("turn", TURNS, ids=lambda t: t.task)
def test_a_prompt_is_what_the_processor_makes(backend, turn):
    row = Tokeniser(backend).row(turn)
    made = backend.processor(images=face(0).crop, text=backend.question(turn.prompt))["input_ids"]
    made = list(made[0]) if isinstance(made[0], list) else list(made)
    assert list(row.ids[: len(made)]) == made


@pytest.mark.parametrize("turn", TURNS, ids=lambda t: t.task)
def test_the_loss_falls_on_the_answer_and_its_end(backend, turn):
    row = Tokeniser(backend).row(turn)
    assert told(backend, row) == turn.answer
    assert row.labels[-1] == backend.network.language_model.generation_config.eos_token_id


def test_no_loss_on_placeholders(backend):
    tokeniser = Tokeniser(backend)
    row = tokeniser.row(TURNS[0])
    assert row.ids.count(tokeniser.image) == 6
    assert tokeniser.image not in row.labels
    if tokeniser.causal:
        places = [i for i, token in enumerate(row.ids) if token == tokeniser.image]
        assert {row.labels[i] for i in places} == {IGNORED}


def test_no_loss_on_the_prompt(backend):
    tokeniser = Tokeniser(backend)
    for turn in TURNS:
        row, length = tokeniser.row(turn), len(tokeniser.prompt(turn.prompt))
        if tokeniser.causal:
            assert set(row.labels[:length]) == {IGNORED}
        else:
            assert len(row.ids) == length


def test_no_loss_on_padding(backend):
    tokeniser = Tokeniser(backend)
    rows = [tokeniser.row(turn) for turn in TURNS]
    batch = tokeniser.batch(rows, "cpu")
    for row, labels, mask in zip(rows, batch["labels"], batch["attention_mask"], strict=True):
        assert (labels[len(row.labels) :] == IGNORED).all()
        assert mask.sum() == len(row.ids)
    loss_model = LossModel(backend).eval()
    with torch.no_grad():
        together = loss_model(whole(backend, tokeniser, rows))
        wide = loss_model(
            tokeniser.batch(rows, "cpu", width=90)
            | {"pixel_values": whole(backend, tokeniser, rows)["pixel_values"]}
        )
        alone = torch.cat([loss_model(whole(backend, tokeniser, [row])) for row in rows])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together, wide, atol=1e-5)


def test_the_loss_is_the_library_s(backend):
    """The library's own forward on the same ids and labels, one row at a time."""
    tokeniser, loss_model = Tokeniser(backend), LossModel(backend).eval()
    for turn in TURNS:
        batch = whole(backend, tokeniser, [tokeniser.row(turn)])
        with torch.no_grad():
            known = backend.network(**batch).loss
            assert loss_model(batch)[0] == pytest.approx(float(known), abs=1e-5)


def test_scoring_and_training_mean_the_same_tokens(backend):
    """Up to the end token, the loss of an answer is its log-likelihood as a label."""
    tokeniser, loss_model = Tokeniser(backend), LossModel(backend).eval()
    backend = FeatureBlip2(backend, loss_model, tokeniser)

    def source(numbers):
        return backend.pictures([face(n).crop for n in numbers])

    found = backend.score([0, 1, 2], source, prompts.CLASSIFY, COMPOUNDS)
    known = backend.log_likelihoods([face(n).crop for n in range(3)], COMPOUNDS)
    assert np.abs(found - known).max() < 1e-4
    said = backend.say([0, 1], source, [prompts.HOUSE, "Is the mouth open?"], 12)
    asked = [backend.question(prompts.HOUSE), backend.question("Is the mouth open?")]
    assert said == backend.reply([face(0).crop, face(1).crop], asked, 12)


def test_a_row_without_its_placeholders_is_refused(backend):
    tokeniser, loss_model = Tokeniser(backend), LossModel(backend)
    batch = whole(backend, tokeniser, [tokeniser.row(TURNS[0])])
    batch["input_ids"] = batch["input_ids"].clone()
    batch["input_ids"][0, 0] = 5
    with pytest.raises(AssertionError, match="must have 6 placeholders"):
        loss_model(batch)
    with pytest.raises(TrainingError, match="must hold 6 image placeholders; got 7"):
        tokeniser.prompt("what is <image> here")


def test_the_picture_matters_and_its_path_learns(backend):
    tokeniser, loss_model = Tokeniser(backend), LossModel(backend).eval()
    row = tokeniser.row(TURNS[0])
    one, other = (
        tokeniser.batch([row], "cpu")
        | BlipPictures(backend.processor.image_processor)([face(seed).crop])
        for seed in (0, 1)
    )
    with torch.no_grad():
        assert abs(float(loss_model(one) - loss_model(other))) > 1e-3
    weight = backend.network.language_projection.weight.requires_grad_(True)
    loss_model(one).sum().backward()
    assert weight.grad.abs().sum() > 0
    weight.grad = None
    weight.requires_grad_(False)


def test_too_long_rows_are_refused(folders):
    opt = Tokeniser(blip2.load(Spec("blip2", str(folders["opt"])), "cpu"))
    with pytest.raises(TrainingError, match="the language model reads 512"):
        opt.row(Example(3, "explanation", prompts.HOUSE, "the brows are raised " * 200))


def test_weights_are_of_the_tasks(backend):
    rows = [Tokeniser(backend).row(turn) for turn in TURNS]
    tasks = {"label": 1.0, "vqa": 0.5, "explanation": 2.0}
    assert Balance().row_weights(rows, tasks, "cpu").tolist() == [1.0, 0.5, 2.0]
    classes = Balance(weights={"happily surprised": 3.0})
    assert classes.row_weights(rows, tasks, "cpu").tolist() == [3.0, 0.5, 2.0]


def test_token_priors_sum_to_the_log_prior_of_a_phrase():
    counts = np.array([6.0, 2.0, 2.0])
    phrases = [[1, 2, 9], [1, 3, 9], [4, 9]]
    made = [{(place, token): value for place, token, value in row}
            for row in token_priors(phrases, counts)]  # fmt: skip
    assert np.exp(made[0][0, 1]) == pytest.approx(0.8)
    assert np.exp(made[0][1, 2]) == pytest.approx(0.75)
    assert np.exp(made[0][1, 3]) == pytest.approx(0.25)
    sums = [
        sum(row[place, i] for place, i in enumerate(p))
        for row, p in zip(made, phrases, strict=True)
    ]
    assert np.exp(sums) == pytest.approx(counts / counts.sum())


def test_logit_adjustment_finds_the_balanced_answers():
    """Of one and the same picture with unequal labels, the unshifted scores end up even."""
    phrases, counts = [[1, 2, 0], [1, 3, 0], [4, 0]], np.array([70.0, 10.0, 20.0])
    z = torch.zeros(6, 5, requires_grad=True)  # after nothing, 1, 1 2, 1 3, 4 and the end
    states = {(): 0, (1,): 1, (1, 2): 2, (1, 3): 3, (4,): 4}
    adam = torch.optim.Adam([z], 0.1)
    for _ in range(300):
        loss = torch.zeros(())
        for phrase, count, shifts in zip(
            phrases, counts, token_priors(phrases, counts), strict=True
        ):
            logits = torch.stack([z[states[tuple(phrase[:i])]] for i in range(len(phrase))])
            learnt = torch.ones(1, len(phrase), dtype=torch.bool)
            given = (logits, torch.tensor(phrase), learnt, torch.tensor(shifts))
            loss = loss + count * len(phrase) * answer_losses(*given)[0] / counts.sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
    first, second = z[0].detach().log_softmax(0), z[1].detach().log_softmax(0)
    assert float(first[1] - first[4]) == pytest.approx(0, abs=0.02)
    assert float(second[2] - second[3]) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("loss", ["cross-entropy", "class-balanced", "logit-adjusted"])
def test_balance_knows_every_answer(backend, tmp_path, loss):
    """Shifts fall on the label rows of a batch, at the places of their tokens."""
    items = items_of([coloured(i, COMPOUNDS[min(i, 1)]) for i in range(6)], tmp_path)
    tokeniser = Tokeniser(backend)
    plan = LanguagePlan(loss=loss, sampler="weighted", beta=0.9)
    balance = balance_of(plan, "compound", items, tokeniser)
    assert balance.chances == pytest.approx([3, *[0.6] * 5])
    rows = [tokeniser.row(example) for example in (TURNS[1], TURNS[0])]
    made = balance.row_shifts(rows, "cpu")
    if loss != "logit-adjusted":
        assert made == {}
    weights = balance.row_weights(rows, {"label": 2.0, "vqa": 0.5}, "cpu")
    assert weights[0] == 0.5
    assert (weights[1] == 2.0) == (loss != "class-balanced")
    if loss == "logit-adjusted":
        said = [label for label in rows[1].labels if label != IGNORED]
        start = sum(label != IGNORED for label in rows[0].labels)
        own = [v for p, i, v in made["shifts"].tolist() if i == said[int(p) - start]]
        assert sum(own) == pytest.approx(np.log(1 / 18), abs=1e-5)  # 1 and 5 faces, 12 of one each


# Texts.


def script(tmp_path: Path, truths, **options):
    items = items_of([coloured(i, label, UNITS) for i, label in enumerate(truths)], tmp_path)
    gallery = Gallery(items, options.pop("views", 2), "flip")
    return Conversation(gallery, [Shown()] * len(gallery), truths, **options)


def words(text):
    return re.findall(r"[a-z]+", text.lower())


def names(label):
    """Words that would give a label away."""
    return {*label.split(), *(NOUNS[part] for part in components(label))}


def apart(one, other):
    return not set(components(one)) & set(components(other))


def test_no_prompt_holds_a_true_label(tmp_path):
    truths = [*COMPOUNDS, *BASICS, "neutral"]
    made = script(tmp_path, truths)
    wrong = [next(w for w in COMPOUNDS[i % 14 :] + COMPOUNDS if apart(w, t)) for i, t in
             enumerate(truths)]  # fmt: skip
    for epoch in range(3):
        for turn in made.examples(epoch, wrong):
            truth = truths[turn.number // made.gallery.views]
            assert not names(truth) & set(words(turn.prompt)), turn
            assert truth not in turn.prompt.lower() or truth in BASICS, turn
            prompts.guard(turn.prompt, truth)
    for stage in (prompts.CLASSIFY, BASIC):
        assert not any(label in stage for label in (*COMPOUNDS, *BASICS))


def test_only_answers_of_the_label_task_depend_on_the_truth(tmp_path):
    """Prompts and answers of every other task stay as they are whatever the labels are."""
    truths = list(COMPOUNDS)
    predicted = [COMPOUNDS[(i * 5) % 14] for i in range(14)]
    one = script(tmp_path / "a", truths).examples(1, predicted)
    two = script(tmp_path / "b", truths[::-1]).examples(1, predicted)
    assert [t for t in one if t.task != "label"] == [t for t in two if t.task != "label"]
    assert [t.prompt for t in one] == [t.prompt for t in two]
    assert [t.answer for t in two if t.task == "label"] == truths[::-1]


def test_explanations_are_of_the_predicted_label(tmp_path):
    made = script(tmp_path, ["happily surprised"], house=0.0, tasks=("explanation",))
    (turn,) = made.examples(0, ["sadly angry"])
    assert "sadly angry" in turn.prompt
    assert "sadly angry" in turn.answer
    assert "happily surprised" not in turn.prompt + turn.answer
    assert turn.prompt == explanation_prompt("sadly angry")
    (house,) = script(tmp_path, ["happily sad"], house=0.999, tasks=("explanation",)).examples(
        0, ["sadly angry"]
    )
    assert house.prompt == prompts.HOUSE
    assert not any(label in house.answer for label in COMPOUNDS)


def test_uncoded_faces_are_not_explained(tmp_path):
    items = items_of([coloured(0, "happily sad", None)], tmp_path)
    made = Conversation(Gallery(items), [Shown()], ["happily sad"])
    tasks = {turn.task for turn in made.examples(0, ["sadly angry"])}
    assert tasks == {"label", "vqa"}


def test_the_basic_stage_asks_for_one_emotion_by_turns(tmp_path):
    made = script(
        tmp_path, ["happily surprised", "sad", "neutral"], stage="basic", tasks=("label",)
    )
    answers = [[t.answer for t in made.examples(epoch, [""] * 3)] for epoch in range(2)]
    assert answers == [["happy", "sad"], ["surprised", "sad"]]


def test_a_face_that_comes_again_is_varied_anew(tmp_path):
    made = script(tmp_path, list(COMPOUNDS[:3]), tasks=("label",))
    numbers = [turn.number for turn in made.examples(0, [""] * 3, [2, 0, 2])]
    assert numbers == [4, 0, 5]


def test_flips_swap_the_sides_of_the_text(tmp_path):
    units = (UnitLabel(12, 0.9, left=0.9, right=0.1),)
    gallery = Gallery(items_of([coloured(0, None, units)], tmp_path), 2, "flip")
    plain, _ = gallery.units(0, Shown())
    turned, hidden = gallery.units(1, Shown(flipped=True, hidden=frozenset({"mouth"})))
    assert (plain[0].side, turned[0].side) == ("left", "right")
    assert hidden == {"mouth"}
    assert Shown.of(Shown(True, frozenset({"eyes"})).row()) == Shown(True, frozenset({"eyes"}))


# Order.


def padding(lengths, steps):
    """The share of computed tokens that are padding."""
    computed = sum(int(lengths[step].max()) * len(step) for step in steps)
    return 1 - lengths.sum() / computed


def test_grouping_takes_every_row_once_and_saves_padding():
    lengths = np.random.default_rng(0).integers(20, 160, 1000)
    steps = grouped(lengths, 16, (0, 3))
    assert sorted(np.concatenate(steps).tolist()) == list(range(1000))
    assert max(map(len, steps)) <= 16
    assert padding(lengths, steps) < 0.1
    loose = np.array_split(np.random.default_rng(0).permutation(1000), len(steps))
    assert padding(lengths, loose) > 3 * padding(lengths, steps)
    again = grouped(lengths, 16, (0, 3))
    assert all((a == b).all() for a, b in zip(steps, again, strict=True))
    assert not all(len(a) == len(b) and (a == b).all()
                   for a, b in zip(steps, grouped(lengths, 16, (0, 4)), strict=True))  # fmt: skip


def test_long_steps_are_cut_into_passes_that_fit():
    lengths = [10, 50, 20, 40, 300]
    parts = cut(np.arange(5), lengths, 9, 100)
    assert [part.tolist() for part in parts] == [[0, 2], [3, 1], [4]]
    assert [part.tolist() for part in cut(np.arange(5), lengths, 9, 5000)] == [[0, 2, 3, 1, 4]]
    assert [part.tolist() for part in cut(np.arange(5), lengths, 2, 5000)] == [[0, 2], [3, 1], [4]]


@pytest.mark.parametrize(
    ("text", "reference", "value"),
    [
        ("police killed the gunman", "police kill the gunman", 0.75),  # Lin 2004, section 3.1
        ("the gunman kill police", "police kill the gunman", 0.5),
        ("The lips, parted.", "the lips parted", 1.0),
        ("", "the lips", 0.0),
        ("brows", "lips", 0.0),
    ],
)
def test_rouge_l_of_known_texts(text, reference, value):
    assert rouge_l([text], [[reference]]) == pytest.approx(value)


def test_rouge_l_takes_the_nearest_reference():
    assert rouge_l(["a b c"], [["x y z", "a c", "a b"]]) == pytest.approx(0.8)
    # a longest common subsequence of 4 words (Cormen et al., Introduction to Algorithms, 15.4)
    assert rouge_l(["a b c b d a b"], [["b d c a b a"]]) == pytest.approx(8 / 13)
