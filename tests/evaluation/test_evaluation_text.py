"""Scores of texts: the libraries' published examples, CLIPScore's formula, mentions of units."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_clips import build_clip, build_siglip

from ferce.evaluation import Plan, similarity, texts
from ferce.evaluation.plan import Table
from ferce.evaluation.similarity import PREFIX, ClipScorer, SentenceEncoder, clip_score
from ferce.explanation.text.verdicts import Mentions, compare
from ferce.models.hub import CheckpointError

# The first example of sacrebleu's README (BLEU = 48.53, three texts with two references each).
SYSTEM = [
    "The dog bit the man.",
    "It wasn't surprising.",
    "The man had just bitten him.",
]
FIRST = ["The dog bit the man.", "It was not unexpected.", "The man bit him first."]
SECOND = ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."]


def test_bleu_is_that_of_sacrebleus_example():
    references = list(zip(FIRST, SECOND, strict=True))
    assert similarity.corpus_bleu(SYSTEM, references) == pytest.approx(48.53, abs=0.005)


def test_a_text_may_have_fewer_references():
    assert similarity.corpus_bleu(SYSTEM[:2], [[SYSTEM[0], "x"], [SYSTEM[1]]]) == pytest.approx(100)
    assert similarity.sentence_bleu(SYSTEM[0], [SYSTEM[0]]) == pytest.approx(100)


def test_rouge_is_that_of_rouge_scores_example():
    """Its README's two texts, 8 and 9 words: 6 shared, 5 of them in order, 2 pairs of words."""
    wanted = "The quick brown fox jumps over the lazy dog"
    found = similarity.rouge(["The quick brown dog jumps on the log."], [[wanted]])
    assert found["rouge_1"][0] == pytest.approx(2 * 6 / (8 + 9))
    assert found["rouge_l"][0] == pytest.approx(2 * 5 / (8 + 9))
    assert found["rouge_2"][0] == pytest.approx(2 * 2 / (7 + 8))


MILITARY = (
    "It is a guide to action which ensures that the military always obeys the commands of the "
    "party",
    "It is a guide to action that ensures that the military will forever heed Party commands",
    "It is the guiding principle which guarantees the military forces always being under the "
    "command of the Party",
)


def test_meteor_is_that_of_nltks_example():
    text, first, second = MILITARY
    found = similarity.meteor([text, text, text, ""], [[first], [second, first], [text], ["smile"]])
    assert found[0] == pytest.approx(0.6944, abs=5e-5)  # as the documentation of NLTK gives it
    assert found[1] == found[0]
    assert found[2] == pytest.approx(1, abs=1e-3)
    assert found[3] == 0


def test_rouge_takes_the_best_reference():
    found = similarity.rouge(["raised brows"], [["a smile", "raised brows"]])
    assert found["rouge_l"][0] == 1


@pytest.mark.parametrize(
    ("text", "there", "faint", "wanted"),
    [
        ("The lip corners are pulled up (AU12).", {12}, (), Mentions(right=1, found=1, there=1)),
        ("The lip corners are pulled up.", {4}, (), Mentions(invented=1, there=1)),
        ("The lip corners are pulled up.", {4}, {12}, Mentions(unsettled=1, there=1)),
        ("The lip corners are not pulled up.", {12}, (), Mentions(denied=1, there=1)),
        ("A face.", {12}, (), Mentions(there=1)),
    ],
    ids=["right", "invented", "faint", "denied", "silent"],
)
def test_units_of_a_text(text, there, faint, wanted):
    assert compare(text, there, faint) == wanted


def test_a_phrase_of_several_units_is_one_claim():
    found = compare("The brows are raised.", {1}, ())
    assert (found.right, found.invented, found.found) == (1, 0, 1)


def test_figures_stand_beside_those_of_shuffled_pairs(tmp_path):
    said = {
        12: "The lip corners are pulled up.",
        4: "The brows are drawn together and lowered.",
        9: "The nose is wrinkled.",
    }
    table = Table(tmp_path / "texts.csv", texts.COLUMNS)
    for unit, text in said.items():
        row = {"name": str(unit), "text": text, "there": [unit], "faint": []}
        row |= {"references": json.dumps([text]), "supported": 1, "contradicted": 0}
        table.append([row | {"cannot be told": 0}])
    found = texts.figures(table, Plan(draws=20))
    assert found["units"]["f1"]["value"] == 1
    assert found["units"]["invented"]["value"] == 0
    assert found["units"]["precision"]["control"]["value"] == 0
    assert found["rouge_l"]["value"] == 1 > found["rouge_l"]["control"]["value"]
    assert found["rouge_l"]["over_control"]["interval"][0] > 0
    assert found["bleu"]["value"] == pytest.approx(100)
    assert found["claims"]["supported"] == {"value": 1, "interval": [1, 1], "n": 3}


def test_faces_that_are_not_found_are_listed(tmp_path):
    from evaluation_fixtures import Grey, write_data

    from ferce.evaluation.plan import Tools
    from ferce.reading.pipeline import Reader

    spec = write_data(tmp_path, per_class=1)
    rows = [json.loads(x) for x in (tmp_path / "table.jsonl").read_text().splitlines()]
    rows = [row | {"action_units": [{"unit": 12, "intensity": 1.0}]} for row in rows[:3]]
    (tmp_path / "table.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = texts.measure(
        Plan(data=spec), Reader(Grey()), tmp_path, Tools(tmp_path / "cache", shown=False)
    )
    found = texts.figures(table, Plan())
    assert (found["texts"], found["lost"]) == (0, 3)  # grey squares show no face


@given(st.integers(2, 60), st.integers(0, 9))
def test_nobody_is_their_own_control(n, seed):
    partner = texts.derangement(n, seed)
    assert sorted(partner) == list(range(n))
    assert (partner != np.arange(n)).all()


@functools.cache
def tiny(folder: Path) -> ClipScorer:
    return ClipScorer(str(build_clip(folder)), "cpu")


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("clip"))


def test_clip_score_is_the_formula_of_the_paper(scorer):
    """2.5 * max(cos, 0), from plain transformers, with the prefix of every caption."""
    crop = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    text = "raised brows"
    told = scorer.processor(
        text=["A photo depicts " + text], images=Image.fromarray(crop), return_tensors="pt"
    )
    with torch.no_grad():
        plain = scorer.network(**told)
    cosine = float((plain.image_embeds @ plain.text_embeds.T)[0, 0])
    ours = clip_score(scorer.pictures([crop])[0], scorer.captions(text))
    assert ours == pytest.approx(2.5 * max(cosine, 0), abs=1e-5)
    assert PREFIX == "A photo depicts "


@pytest.mark.parametrize(("angle", "wanted"), [(0, 2.5), (60, 1.25), (90, 0), (180, 0)])
def test_clip_score_of_known_angles(angle, wanted):
    turned = np.array([[np.cos(np.radians(angle)), np.sin(np.radians(angle))]])
    assert clip_score(np.array([1.0, 0.0]), turned) == pytest.approx(wanted, abs=1e-12)


def test_a_long_text_is_scored_by_sentence(scorer):
    sentence = "the brows are raised and the mouth is open."
    long = " ".join([sentence] * 12)
    assert len(scorer.processor.tokenizer(PREFIX + long).input_ids) > scorer.longest
    rows = scorer.captions(long)
    assert len(rows) == 12
    assert len(scorer.captions(sentence)) == 1
    assert rows == pytest.approx(np.repeat(scorer.captions(sentence), 12, 0), abs=1e-5)


def test_clip_score_needs_a_clip(tmp_path):
    with pytest.raises(CheckpointError, match="needs a CLIP"):
        ClipScorer(str(build_siglip(tmp_path)), "cpu")


@pytest.fixture
def written(tmp_path):
    """Texts of a data set of grey squares, which no detector is asked about."""
    from evaluation_fixtures import write_data

    plan = Plan(data=write_data(tmp_path, 1, extra=False), voice="measured", clip="x", draws=20)
    table = Table(tmp_path / "texts.csv", texts.COLUMNS)
    for k in range(14):
        text = f"{'the brows are raised ' * (k % 3)}the mouth is open."
        row = {"name": f"{k:02d}-0.png", "text": text, "references": json.dumps([text])}
        table.append([row])
    return plan, table


def test_clip_scores_of_a_split_go_on_after_a_kill(written, tmp_path, scorer, monkeypatch):
    from ferce.data.align import Settings, align
    from ferce.evaluation.plan import Tools

    def crops(rows, detect, tools):
        assert detect
        return align(rows, tools.cache, Settings(detect=False))

    plan, table = written
    monkeypatch.setattr(similarity, "aligned", crops)
    monkeypatch.setattr(similarity, "ClipScorer", lambda where, device: scorer)
    told = (plan, table, tmp_path, Tools(tmp_path / "cache", shown=False), "cpu")
    found = similarity.measure_clip(*told)
    figures = similarity.clip_figures(found, plan)["clip_score"]
    assert figures["n"] == figures["control"]["n"] == 14
    whole = found.path.read_bytes()
    found.path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-4]))
    similarity.measure_clip(*told)
    names = [row["name"] for row in found.rows()]
    assert sorted(names) == [f"{k:02d}-0.png" for k in range(14)]


def test_a_text_is_most_like_its_own_reference(written, tmp_path):
    plan, table = written
    told = Plan(data=plan.data, voice="measured", encoder=str(build_encoder(tmp_path)), draws=20)
    found = similarity.encoder_figures(table, told, "cpu")["similarity"]
    assert found["value"] == pytest.approx(1)
    assert found["control"]["value"] < found["value"]


def build_encoder(folder: Path) -> Path:
    import tiny_models
    from transformers import BertConfig, BertModel

    tokenizer = tiny_models.t5_tokenizer()
    sizes = {"hidden_size": 24, "intermediate_size": 32, "vocab_size": len(tokenizer)}
    config = BertConfig(num_hidden_layers=2, num_attention_heads=2, **sizes)
    tiny_models.shake(BertModel(config)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_sentence_vectors_do_not_depend_on_padding(tmp_path):
    encode = SentenceEncoder(str(build_encoder(tmp_path)), "cpu")
    pair = encode(["the brows", "the brows are raised and the mouth is open"])
    assert np.linalg.norm(pair, axis=1) == pytest.approx(1)
    assert pair[0] == pytest.approx(encode(["the brows"])[0], abs=1e-5)
