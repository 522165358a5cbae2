"""What the small BLIP-2 is made with: packed faces, variations, codes, questions, courses."""

import random
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_fixtures import aligned, sample, units
from torch.nn import functional

from ferce.data.questions import Ledger
from ferce.evaluation.units import CUES, cue_limits, cue_truths, score_cues
from ferce.facs.action_units import UNIT_NUMBERS
from ferce.models.prompts import QUESTIONNAIRE
from ferce.training import checkpoint, progress
from ferce.training.mini import album, answers, design, questions, speech, stage, tower
from ferce.training.optimiser import orthogonal
from ferce.training.progress import TrainingError

SMILE, OPEN = UNIT_NUMBERS.index(12), UNIT_NUMBERS.index(25)


def test_an_album_gives_back_pixels_and_all_that_was_known(tmp_path):
    told = [sample(k, units({12: 0.5, 25: 0.9}), split="train") for k in range(3)]
    told.append(replace(sample(9, None, split="val"), coded=frozenset({12})))
    book = album.pack(aligned(told, tmp_path / "faces"), 4, tmp_path / "album")
    again = album.load(tmp_path / "album")
    assert book.pixels.shape == again.pixels.shape == (4, album.SIDE, album.SIDE, 3)
    assert [s.units for s in again.samples] == [s.units for s in told]
    assert again.samples[3].coded == {12}
    assert again.where("val").tolist() == [3]
    assert abs(again.pixels[1].astype(int).mean() - 5) < 1  # the fixture's grey of face 1


def test_an_album_that_was_not_finished_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no whole album"):
        album.load(tmp_path)


def test_a_squeezed_album_is_the_same_but_for_small_differences(tmp_path, monkeypatch):
    monkeypatch.setattr(album, "PART", 300)  # several parts
    told = [sample(k, units({12: 0.5})) for k in range(12)]
    book = album.pack(aligned(told, tmp_path / "faces"), 12, tmp_path / "album")
    album.squeeze(tmp_path / "album", tmp_path / "small")
    again = album.load(tmp_path / "small")
    assert len(list((tmp_path / "small").glob("part-*.bin"))) > 1
    assert np.abs(again.pixels.astype(int) - book.pixels).max() <= 4
    assert [s.units for s in again.samples] == [s.units for s in told]
    (tmp_path / "small" / "part-000.bin").write_bytes(b"")
    with pytest.raises(TrainingError, match="bytes of faces"):
        album.load(tmp_path / "small")


def test_targets_doubt_what_is_hardly_there_and_know_nothing_of_the_covered():
    row = album.targets(sample(0, units({12: 0.25, 25: 0.9, 4: 0.05})))
    assert row[:, SMILE] == pytest.approx([0.5, 0.5])
    assert row[:, OPEN].tolist() == [1, 1]
    assert row[:, UNIT_NUMBERS.index(4)].tolist() == [0, 0]
    masked = album.targets(sample(0, units({12: 0.9}), occluder="mask"))
    assert np.isnan(masked[:, SMILE]).all()
    assert not np.isnan(masked[:, UNIT_NUMBERS.index(1)]).any()
    assert np.isnan(album.targets(sample(0, None))).all()
    partly = album.targets(replace(sample(0, ()), coded=frozenset({12})))
    assert (~np.isnan(partly)).sum() == 2


def test_strengths_are_unknown_behind_a_hand():
    told = [sample(0, units({12: 0.4})), sample(1, units({12: 0.4}), occluder="hand")]
    row, covered = album.strengths(told)
    assert row[SMILE] == pytest.approx(0.4)
    assert row[OPEN] == 0
    assert np.isnan(covered).all()


def test_a_variation_is_mirrored_exactly_where_it_says_so():
    picture = torch.zeros(64, album.SIDE, album.SIDE, 3, dtype=torch.uint8)
    picture[:, :, : album.SIDE // 2] = 255  # bright on the left of the picture
    images, flags = album.varied(picture, 112, torch.Generator().manual_seed(0))
    left, right = images[..., :50].mean((1, 2, 3)), images[..., 62:].mean((1, 2, 3))
    assert images.shape == (64, 3, 112, 112)
    assert (left < right).tolist() == flags.tolist()
    assert 10 < int(flags.sum()) < 54
    assert images.abs().max() <= 1


def test_plain_pictures_are_those_of_the_processor():
    grey = torch.full((1, album.SIDE, album.SIDE, 3), 255, dtype=torch.uint8)
    assert torch.allclose(album.plain(grey, 112), torch.ones(1, 3, 112, 112), atol=1e-5)


def test_the_first_patches_are_whitened():
    dice = torch.Generator().manual_seed(0)
    images = functional.interpolate(torch.randn(64, 3, 28, 28, generator=dice), (112, 112))
    tower = design.fresh_tower()
    design.whiten(tower, images)
    seen = (
        tower.embeddings.patch_embedding(images).detach().flatten(2).transpose(1, 2).flatten(0, 1)
    )
    assert torch.allclose(seen.mean(0), torch.zeros(design.WIDTH), atol=1e-3)
    spread = seen.T.cov()
    assert 0.5 <= float(spread[0, 0]) <= 1.0
    assert (spread - spread.diag().diag()).abs().max() < 0.01
    assert tower.config.initializer_range == design.SPREAD  # transformers' own never learns


def test_a_fresh_network_has_5_million_parameters_and_no_flat_attention():
    words = design.tokenizer(["the lips are parted"] * 20, design.WORDS)
    words.add_special_tokens({"additional_special_tokens": ["<image>"]})
    torch.manual_seed(0)
    network = design.fresh(words)
    assert 4e6 < sum(p.numel() for p in network.parameters()) < 6e6
    network.qformer.set_attn_implementation("eager")
    with torch.no_grad():
        pictures = torch.rand(2, 3, design.SIDE, design.SIDE) * 2 - 1
        made = network.qformer(
            query_embeds=network.query_tokens.expand(2, -1, -1),
            encoder_hidden_states=network.vision_model(pixel_values=pictures).last_hidden_state,
            output_attentions=True,
        )
    read = made.last_hidden_state
    assert (read[0] - read[1]).abs().mean() > 1e-3  # pictures differ
    assert (read[0, 0] - read[0, 1]).abs().mean() > 0.1  # queries differ
    attention = next(layer for layer in made.cross_attentions if layer is not None)
    assert float((attention * attention.shape[-1]).std()) > 0.2


def test_a_teacher_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TrainingError, match="timm folder or a safetensors file"):
        tower.Teacher(str(tmp_path / "none.safetensors"))


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_steps_of_muon_are_nearly_orthogonal(rows, columns, seed):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    matrix = matrix + 3 * torch.eye(rows, columns)  # no singular value near nothing
    found = torch.linalg.svdvals(orthogonal(matrix))
    assert found.min() > 0.3
    assert found.max() < 1.3


def test_cues_are_counted_against_known_answers():
    strengths = np.zeros((12, len(UNIT_NUMBERS)), np.float32)
    strengths[:6, SMILE] = 0.8
    strengths[6, SMILE] = 0.2  # neither there nor absent: not asked
    wanted = cue_truths(strengths)
    column = list(CUES).index("smile")
    assert wanted[:, column].tolist()[:6] == [1] * 6
    assert np.isnan(wanted[6, column])
    scores = np.zeros((12, len(CUES)), np.float32)
    scores[:6, column] = [2, 2, 2, 1, 1, -3]
    scores[6:, column] = -1
    found = score_cues(scores, wanted)
    assert found.balanced["smile"] == pytest.approx((5 / 6 + 1) / 2)
    assert np.isnan(found.balanced["mouth open"])  # nobody shows it
    at = cue_limits(scores, wanted)
    assert score_cues(scores, wanted, at).balanced["smile"] == pytest.approx(11 / 12)


def test_an_unknown_unit_is_never_an_absent_one():
    strengths = np.full((1, len(UNIT_NUMBERS)), np.nan, np.float32)
    strengths[0, UNIT_NUMBERS.index(26)] = 0.0
    assert np.isnan(cue_truths(strengths)).all()


def test_facts_are_mirrored_by_swapping_sides():
    told = speech.facts_of([sample(0, units({12: 0.9}, side="left")), sample(1, ())])
    assert told[0, SMILE] == 1
    assert told[0, speech.UNITS + SMILE] == 0
    turned = speech.mirrored(told, torch.tensor([True, True]))
    assert turned[0, SMILE] == 0
    assert turned[0, speech.UNITS + SMILE] == 1
    assert torch.equal(speech.mirrored(turned, torch.tensor([True, True])), told)


def test_the_code_of_a_mean_is_the_mean_of_the_codes():
    torch.manual_seed(0)
    words, facts = speech.Code(), torch.rand(8, speech.FACTS)
    mean = words(facts).mean(0)
    assert torch.allclose(words(facts.mean(0, keepdim=True))[0], mean, atol=1e-5)


def test_doubt_keeps_facts_in_range_and_on_their_side():
    told = torch.cat([torch.ones(400, speech.FACTS), torch.zeros(400, speech.FACTS)])
    found = speech.doubted(told, torch.Generator().manual_seed(0))
    assert found.min() >= 0
    assert found.max() <= 1
    assert found[:400].mean() > 0.9
    assert found[400:].mean() < 0.1
    assert torch.equal(found[:, 0], found[:, speech.UNITS])  # both sides doubt alike


def host():
    return questions.Questioner(Ledger(), random.Random(0))


def test_cues_are_asked_with_the_answer_of_the_units():
    face = questions.Face(units({12: 0.9, 25: 0.2}))
    (yes, told), *rest = list(host().cues(face))
    assert yes in questions.WORDED["smile"]
    assert told.startswith("Yes")
    assert not rest  # nothing is denied that was never affirmed
    assert face.state((25,)) is None  # hardly there


def test_the_questionnaire_names_what_is_there_and_admits_what_is_covered():
    asked = dict(host().questionnaire(questions.Face(units({4: 0.9, 12: 0.9}))))
    assert "brow" in asked[QUESTIONNAIRE[2]]
    assert QUESTIONNAIRE[6] not in asked  # nothing is denied that was never affirmed
    assert "brows and the mouth" in asked[questions.TENSION]
    covered = dict(host().questionnaire(questions.Face((), hidden=frozenset({"mouth"}))))
    assert "covered" in covered[QUESTIONNAIRE[6]]
    asker = host()
    for strength, said in ((0.9, "Yes"), (0.0, "No.")):
        face = questions.Face(units({9: strength}), coded=frozenset({9}))
        ((question, answer),) = asker.questionnaire(face)
        assert question == QUESTIONNAIRE[4]
        assert answer.startswith(said)


def test_a_round_is_the_same_whenever_it_is_made(tmp_path):
    told = [sample(k, units({12: 0.9, 25: 0.8}, side="left")) for k in range(6)]
    told.append(replace(sample(7, units({12: 1.0})), coded=frozenset({12})))
    book = album.pack(aligned(told, tmp_path / "faces"), 7, tmp_path / "album")
    one, again = (questions.spoken(book, book.where("train"), 3, 0) for _ in range(2))
    assert one.examples == again.examples
    assert {turn.task for turn in one.examples} == {"explanation", "vqa"}
    partly = [t for t in one.examples if book.samples[one.faces[t.number // 2]].coded]
    assert all("smil" in t.prompt or "lip corners" in t.prompt for t in partly)
    for turn in one.examples:
        if turn.task == "explanation":  # odd numbers are the mirrored faces
            assert ("right lip corner" if turn.number % 2 else "left lip corner") in turn.answer


class Part(torch.nn.Module):
    """One matrix for Muon and one bias for AdamW."""

    def __init__(self):
        super().__init__()
        self.part = torch.nn.ModuleDict({"layer": torch.nn.Linear(4, 4)})

    def forward(self, x):
        return self.part["layer"](x)


class Lesson(stage.StageTask):
    """Learns a matrix from faces that are all of the step's number."""

    def __init__(self, schedule, stop):
        super().__init__("part", Part(), schedule)
        self.stop = stop

    def batches(self, first):
        for step in range(first, 99):
            if step == self.stop:
                raise KeyboardInterrupt
            yield torch.full((2, 4), float(step + 1))

    def loss(self, faces):
        return {"loss": functional.mse_loss(self.module(faces), torch.eye(4)[:2])}


def stepped(folder, stops):
    """The averaged weights after 8 steps of a stage that is cut off after each of `stops`."""
    for number, stop in enumerate((*stops, 8)):
        torch.manual_seed(number)  # resuming has to undo another start
        task = Lesson(stage.Schedule(steps=8, warm=2, save=0), stop)
        with suppress(KeyboardInterrupt):
            stage.fit(task, folder, "cpu", progress.silent)
    return task.module.state_dict()


def test_a_stage_that_was_cut_off_ends_as_one_that_was_not(tmp_path):
    whole = stepped(tmp_path / "a", ())
    parts = stepped(tmp_path / "b", (3, 5))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    kept = stage.averaged(tmp_path / "b")
    assert all(torch.equal(whole[name], kept[name]) for name in whole)


def test_a_stage_goes_on_with_another_number_of_steps(tmp_path):
    said = []
    for steps in (3, 5):
        task = Lesson(stage.Schedule(steps=steps, warm=2, save=1e9), None)
        stage.fit(task, tmp_path, "cpu", said.append)
    assert "part: going on from step 3" in said
    assert checkpoint.load(tmp_path).state["position"]["step"] == 5


def test_the_rate_rises_stays_and_falls():
    pace = stage.Schedule(steps=100, warm=10, cool=0.4)
    assert pace.factor(0) == pytest.approx(0.1)
    assert pace.factor(50) == 1
    assert pace.factor(80) == pytest.approx(0.5)
    assert pace.factor(100) == 0


class Describer:
    """Describes each grey of the fixture's faces with a text of its own."""

    def __init__(self, texts):
        self.texts = texts

    def question(self, text):
        return text

    def reply(self, crops, asked, limit):
        assert len(crops) == len(asked)
        return [self.texts[round(float(crop.mean()) / 5)] for crop in crops]


def test_named_units_are_counted_against_those_that_are_there(tmp_path):
    told = [sample(0, units({12: 0.9})), sample(1, units({4: 0.9, 25: 0.9})), sample(2, None)]
    book = album.pack(aligned(told, tmp_path / "faces"), 3, tmp_path / "album")
    voice = Describer(["The lip corners are pulled up.", "The nose is wrinkled.", ""])
    found = answers.mentions(voice, book, np.arange(3))
    assert (found.precision, found.recall) == (pytest.approx(1 / 2), pytest.approx(1 / 3))
    assert found.f1 == pytest.approx(0.4)
    assert found.swapped == 0
