"""Text to cues: a hand-written set, and the law that what we write is what we read."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_fixtures import DEAD, face, prediction

from ferce.core.labels import BASICS, COMPOUNDS
from ferce.explanation.text import PHRASINGS, compose, parse
from ferce.explanation.text.wording import joined, opened, phrases
from ferce.facs.prototypes import UNITS, active

SETS = ("cues.jsonl", "cues_later.jsonl")
# `cues.jsonl`: 150 sentences written before the parser was finished, 50 of them tricky.
# `cues_later.jsonl`: 70 written after it; read unseen, 30 of the first 40 and 22 of the other 30
# agreed in every unit, side, negation, hedge and span, then the parser was mended.
ROWS = [
    json.loads(line)
    for name in SETS
    for line in Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
]


def expected(row):
    for cue in row["cues"]:
        assert cue["span"] in row["text"], f"{cue['span']!r} is not in the sentence"
        flags = (cue.get("side"), cue.get("negated", False), cue.get("hedged", False))
        if "units" in cue:
            yield from ((cue["span"], u, UNITS[u].region, *flags) for u in cue["units"])
        else:
            yield (cue["span"], None, cue["region"], *flags)


def claims_of(text):
    return [(c.text, c.unit, c.region, c.side, c.negated, c.hedged) for c in parse(text)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["text"][:50])
def test_hand_written_sentences(row):
    assert sorted(map(str, claims_of(row["text"]))) == sorted(map(str, expected(row)))


def test_the_set_is_as_large_as_it_says():
    assert len(ROWS) == 150 + 70
    assert sum(row["tricky"] for row in ROWS[:150]) == 50


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["text"][:50])
def test_spans_are_exact_and_never_cross(row):
    spans = sorted({(c.start, c.end) for c in parse(row["text"])})
    assert all(row["text"][c.start : c.end] == c.text for c in parse(row["text"]))
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


@pytest.mark.parametrize("number", UNITS)
def test_every_word_name_and_code_of_the_table_is_understood(number):
    row = UNITS[number]
    for text in (*row.words, row.code, f"{row.name} ({row.code})", row.clause()):
        assert number in [c.unit for c in parse(text)], text
    if row.sided:
        assert [(c.unit, c.side) for c in parse(row.clause("left"))] == [(number, "left")]


INTENSITIES = st.sampled_from([0.3, 0.5, 0.9])
# A unit shown on both sides, or on one only so strongly that the mean still counts.
STRENGTH = st.one_of(
    INTENSITIES,
    INTENSITIES.map(lambda v: (0.9, 0.1 * v)),
    INTENSITIES.map(lambda v: (0.1 * v, 0.9)),
)
UNIT_SETS = st.dictionaries(
    st.sampled_from(sorted(set(UNITS) - set(DEAD))), STRENGTH, max_size=8
).map(lambda d: {u: v if UNITS[u].sided or isinstance(v, float) else max(v) for u, v in d.items()})


def claimed(text):
    return sorted((c.unit, str(c.side), c.negated) for c in parse(text))


def shown(units):
    return sorted((u.unit, str(u.side), False) for u in active(units))


@settings(max_examples=80, deadline=None)
@given(intensities=UNIT_SETS)
def test_cues_of_the_text_of_units_are_the_units(intensities):
    units = face(intensities).units
    text = opened(joined(p.coded for p in phrases(active(units)))) + "."
    plain = opened(joined(p.noun for p in phrases(active(units)))) + "."
    assert claimed(text) == shown(units)
    # one mouth stretched wide open stands for parted lips and a dropped jaw: the codes say so
    if 27 not in units or units[27].intensity == 0:
        assert claimed(plain) == shown(units)


@settings(max_examples=80, deadline=None)
@given(
    intensities=UNIT_SETS,
    label=st.sampled_from([*COMPOUNDS, *BASICS, "neutral", None]),
    phrasing=st.integers(0, PHRASINGS - 1),
)
def test_a_composed_text_claims_only_what_is_there_and_nothing_twice(intensities, label, phrasing):
    made = face(intensities)
    predicted = prediction(label, "unclear" if label is None else None)
    claims = claimed(compose(made, predicted, phrasing))
    assert set(claims) <= set(shown(made.units))
    assert len(claims) == len(set(claims))
    if label is None:
        assert claims == shown(made.units)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_parsed_without_error_and_spans_lie_in_it(text):
    assert all(text[c.start : c.end] == c.text for c in parse(text))


SOME = (
    "the brows raised eyes and mouth not open no smile , . ; ( ) AU12 left of or lips is are "
    "wide neither nor without if isn't it they – : slightly corner teeth 4 'll"
)
WORDS = st.sampled_from(SOME.split())


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS, max_size=25))
def test_any_word_order_is_parsed_without_error(words):
    text = " ".join(words)
    spans = sorted({(c.start, c.end) for c in parse(text)})
    assert all(a[1] <= b[0] for a, b in pairwise(spans)), text


def test_a_text_without_any_stop_is_read_in_pieces():
    assert parse("raised " * 3000) == ()
    assert len(parse("the brows are raised and " * 500)) == 2 * 500


def test_an_empty_text_claims_nothing():
    assert parse("") == ()
    assert parse("The weather is fine.") == ()


def test_a_pronoun_reaches_into_the_sentence_before():
    (cue,) = parse("Look at the eyebrows of this man, how dark. They are drawn together.")
    assert (cue.unit, cue.text) == (4, "drawn together")


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("AU1+2+5 are active", [1, 2, 5]),
        ("action units 6 and 12", [6, 12]),
        ("AU 4, 7", [4, 7]),
        ("AU99 is a joke", []),
        ("AU12/AU25", [12, 25]),
    ],
)
def test_codes_in_all_their_forms(text, units):
    assert [c.unit for c in parse(text)] == units


def test_a_code_of_its_own_inside_a_phrase_cuts_the_phrase():
    cues = [(c.text, c.unit) for c in parse("The brows (AU12) are raised.")]
    assert cues == [("AU12", 12), ("raised", 1), ("raised", 2)]


def test_codes_in_brackets_say_which_unit_is_meant():
    assert [c.unit for c in parse("The brows are raised (AU1).")] == [1]
    assert [c.unit for c in parse("The brows are raised (AU1, AU5).")] == [1, 5]
    assert [(c.unit, c.negated) for c in parse("The brows are not raised (AU1, AU2).")] == [
        (1, True),
        (2, True),
    ]
