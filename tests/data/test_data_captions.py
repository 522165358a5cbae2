import re
from collections import Counter
from itertools import product

import pytest
from data_fixtures import sample
from hypothesis import given as _given
from hypothesis import settings
from hypothesis import strategies as st

from ferce.core.labels import BASICS, COMPOUNDS, NEUTRAL, NOUNS, components
from ferce.core.types import REGIONS
from ferce.data import captions, layout, questions
from ferce.data.families import FAMILIES, REFERENCE, TRAINING, Phrases
from ferce.data.record import UnitLabel
from ferce.explanation.text.wording import opened
from ferce.facs.action_units import UNITS

EMOTIONS = {*BASICS, *NOUNS.values(), NEUTRAL, *(word for c in COMPOUNDS for word in c.split())}
families = st.sampled_from([TRAINING, REFERENCE])
labels = st.sampled_from([None, *COMPOUNDS, *BASICS, NEUTRAL])


def given(*strategies):
    """As hypothesis does, without a time limit: other work shares these cores."""
    return lambda test: settings(deadline=None)(_given(*strategies)(test))


def label_of(number, kind, intensity):
    if kind in ("left", "right") and UNITS[number].sided:
        return UnitLabel(number, intensity, float(kind == "left"), float(kind == "right"))
    return UnitLabel(number, intensity, part="top" if kind == "top" else None)


unit_labels = st.builds(
    label_of,
    st.sampled_from(sorted(UNITS)),
    st.sampled_from(["", "left", "right", "top"]),
    st.one_of(st.none(), st.floats(0, 1)),
)
unit_sets = st.lists(unit_labels, max_size=7, unique_by=lambda u: u.unit).map(tuple)


def wordings(row: Phrases):
    for side in (None, "left", "right", "upper", "lower"):
        yield from row.clauses_on(side)
        yield from row.nouns_on(side)


def plain(text):
    """Without degrees, so that phrases can be looked for."""
    return re.sub(r"\b(slightly|clearly) ", "", text.lower())


def named(text, bank):
    """Keys of the bank whose phrases the text holds, longest phrases first and each place once."""
    rows = [(w.lower(), key) for key, row in bank.items() for w in wordings(row)]
    left, matched = plain(text), set()
    for words, key in sorted(rows, key=lambda row: -len(row[0])):
        words = words.replace("a upper", "an upper")
        if re.search(rf"\b{re.escape(words)}\b", left):
            matched.update(key)
            left = re.sub(rf"\b{re.escape(words)}\b", "|", left)
    return matched


# ---- the words ----


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_unit_has_words_that_no_other_unit_has(family):
    assert {n for key in family.bank for n in key} == set(UNITS)
    assert all((n,) in family.bank for n in UNITS)
    for (a, first), (b, second) in product(family.bank.items(), repeat=2):
        if not set(a) & set(b):
            assert not set(wordings(first)) & set(wordings(second)), (a, b)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_sides_are_said_where_the_face_has_them(family):
    for number, row in UNITS.items():
        if row.sided:
            assert family.bank[(number,)].side_clauses, number
            assert family.bank[(number,)].side_nouns, number


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_clause_turns_into_question_and_denial(family):
    for row in family.bank.values():
        for clause in (*row.clauses, *row.clauses_on("left")):
            assert re.match(r"(is|are) the ", questions.invert(clause))
            assert re.search(r" (is|are) not ", questions.denial(clause))


def test_the_two_families_share_no_phrase_and_no_sentence():
    first, second = (
        {w for row in family.bank.values() for w in wordings(row)}
        for family in (TRAINING, REFERENCE)
    )
    assert not first & second
    fields = [name for name in TRAINING.__dataclass_fields__ if name not in ("name", "bank")]
    one, other = (
        {template for name in fields for template in getattr(family, name)}
        for family in (TRAINING, REFERENCE)
    )
    assert not one & other


@given(unit_sets, labels, st.integers(0, 99), st.integers(0, 99))
def test_no_training_text_is_a_reference_text(units, label, a, b):
    one = captions.explain(units, label, a, TRAINING).text
    other = captions.explain(units, label, b, REFERENCE).text
    assert not set(one.split(". ")) & set(other.split(". "))


# ---- explanations ----


@given(unit_sets, labels, st.integers(0, 50), families)
def test_an_explanation_names_its_units_and_no_others(units, label, seed, family):
    caption = captions.explain(units, label, seed, family)
    assert set(caption.units) == {u.unit for u in units if u.present}
    assert named(caption.text, family.bank) == set(caption.units)


@given(unit_sets, labels, st.integers(0, 50), families)
def test_sentences_are_well_formed(units, label, seed, family):
    text = captions.explain(units, label, seed, family).text
    assert "{" not in text
    assert "  " not in text
    assert " ." not in text
    assert text.endswith(".")
    assert all(s[:1].isupper() for s in text.split(". "))
    assert not re.search(r"\ba [aeiou](?!ne)", text), text
    assert "feels" not in text


@given(unit_sets, st.sampled_from(COMPOUNDS), st.integers(0, 50), families)
def test_every_unit_is_attributed_to_what_it_fits(units, label, seed, family):
    for unit in captions.visible(units):
        owned = captions.attributed(unit.unit, components(label))
        assert set(owned) <= set(components(label))
    text = captions.explain(units, label, seed, family).text
    assert label in text
    if captions.visible(units):
        assert all(NOUNS[part] in text.lower() for part in components(label))


def test_components_get_their_own_signs():
    units = layout.parse_units("1+2+12+25")
    for seed in range(20):
        text = captions.explain(units, "happily surprised", seed).text
        happy = next(
            s for s in text.lower().split(". ") if "happiness" in s and "surprise" not in s
        )
        assert named(happy, TRAINING.bank) == {12}
        rest = text.lower().split(". ")[1:]
        surprise = next(s for s in rest if "surprise" in s and "happiness" not in s)
        assert named(surprise, TRAINING.bank) == {1, 2}


@given(labels, st.integers(0, 50))
def test_units_that_were_not_coded_give_no_text(label, seed):
    assert captions.explain(None, label, seed) is None
    assert captions.references(None, label, REFERENCE) == ()
    assert list(captions.captions([sample("a", label)])) == []


def test_units_outside_the_table_are_passed_over():
    caption = captions.explain((UnitLabel(39), UnitLabel(12)), None)
    assert caption.units == (12,)


@given(unit_sets, st.sets(st.sampled_from(REGIONS)), st.integers(0, 50), families)
def test_nothing_is_claimed_of_covered_regions(units, hidden, seed, family):
    caption = captions.explain(units, None, seed, family, hidden)
    assert all(UNITS[n].region not in hidden for n in caption.units)
    assert named(caption.text, family.bank) == set(caption.units)
    assert all(region in caption.text for region in hidden)


@pytest.mark.parametrize(
    ("code", "word"), [("L12", "left"), ("R12", "right"), ("T24", "upper"), ("B24", "lower")]
)
def test_sides_are_said(code, word):
    for seed, family in product(range(10), FAMILIES.values()):
        assert word in captions.explain(layout.parse_units(code), None, seed, family).text


def test_same_seed_same_text_and_many_phrasings():
    units = layout.parse_units("1+2+12+25")
    texts = {captions.explain(units, "happily surprised", seed).text for seed in range(200)}
    assert len(texts) > 150
    assert captions.explain(units, None, 3) == captions.explain(units, None, 3)
    assert len(captions.references(units, "happily surprised", REFERENCE)) == 3


def test_degree_follows_intensity():
    weak, strong = (UnitLabel(15, value) for value in (0.3, 0.95))
    clause = TRAINING.bank[(15,)].clauses[0]
    texts = [
        " ".join(captions.explain((u,), None, seed).text for seed in range(30))
        for u in (weak, strong, UnitLabel(15))
    ]
    assert clause.replace("are", "are slightly") in texts[0]
    assert clause.replace("are", "are clearly") in texts[1]
    assert "slightly" not in texts[1] + texts[2]
    assert "clearly" not in texts[0] + texts[2]


# ---- questions ----


def asked(unit_lists, seed=0, family=TRAINING, **more):
    samples = [sample(str(i), units=units, **more) for i, units in enumerate(unit_lists)]
    return [item for _, items in questions.questions(samples, seed, family) for item in items]


@given(st.lists(unit_sets, max_size=12), st.integers(0, 9), families, st.sampled_from(COMPOUNDS))
def test_questions_never_hold_a_label(unit_lists, seed, family, label):
    for item in asked(unit_lists, seed, family, label=label):
        assert not EMOTIONS & set(re.findall(r"[a-z]+", item.question.lower())), item


@given(st.lists(unit_sets, min_size=1, max_size=25), st.integers(0, 9), families)
def test_answers_are_true_and_balanced(unit_lists, seed, family):
    surplus = Counter()
    samples = [sample(str(i), units=units) for i, units in enumerate(unit_lists)]
    for one, items in questions.questions(samples, seed, family):
        present = {u.unit for u in one.units if u.present}
        coded = {u.unit for u in one.units}
        for item in items:
            if item.kind != "yes/no":
                continue
            assert item.answer.startswith("Yes" if item.yes else "No")
            assert item.unit in present if item.yes else item.unit not in coded
            surplus[item.unit] += 1 if item.yes else -1
    assert all(value in (0, 1) for value in surplus.values())  # yes and no alternate


def test_yes_and_no_are_even_over_a_real_mixture():
    sets = ["1+2+12+25", "4+L10+17", "4+15+17", "1+4+20+25", "4+9+10+17", "12+25+6", "1+2+5+25+26"]
    items = asked([layout.parse_units(sets[i % len(sets)]) for i in range(600)])
    answers = Counter(i.yes for i in items if i.kind == "yes/no")
    assert answers[True] + answers[False] > 900
    assert abs(answers[True] - answers[False]) <= len(UNITS)
    which = Counter(i.region for i in items if i.kind == "which region")
    offered = Counter(
        r for i in items if i.kind == "which region" for r in REGIONS if r in i.question
    )
    for region, count in offered.items():
        assert abs(2 * which[region] - count) <= 4, region  # right half of the times it is offered


def test_side_questions_do_not_favour_both():
    items = asked([layout.parse_units(c) for c in ("L12", "12", "R4", "1", "4", "2") * 30])
    sides = Counter(i.answer.split(":")[0] for i in items if i.kind == "side")
    assert sides["On both sides"] <= sides["On the left"] + sides["On the right"]
    assert sides["On both sides"] > 20


@given(st.integers(0, 30), families)
def test_pictures_that_were_not_coded_get_no_question_about_units(seed, family):
    (item,) = asked([None], seed, family)
    assert item.kind == "cannot be told"
    assert "cannot be told" in item.answer
    assert not named(item.question + item.answer, family.bank)


@given(unit_sets, st.sets(st.sampled_from(REGIONS), min_size=1), st.integers(0, 9))
def test_covered_regions_cannot_be_told(units, hidden, seed):
    import random

    items = questions.Asker(questions.Ledger(), random.Random(seed)).ask(units, hidden)
    refused = {i.region for i in items if i.kind == "cannot be told"}
    assert hidden <= refused
    for item in items:
        assert item.unit is None or UNITS[item.unit].region not in hidden
        if item.kind in ("region", "which region"):
            assert item.region not in hidden


def test_units_the_data_never_code_are_never_denied():
    items = asked([layout.parse_units("4+15"), layout.parse_units("12+25")] * 20)
    assert {i.unit for i in items if i.yes is False} <= {4, 12, 15, 25}


def test_unknown_units_keep_regions_out_of_question():
    items = asked([(UnitLabel(19), UnitLabel(4))] * 10)
    assert not [i for i in items if i.kind in ("region", "which region")]


# ---- what is learnt must be checkable ----


def understood(units, side, words):
    """Whether the parser finds in a sentence of these words just these units, on this side."""
    from ferce.explanation.text.parsing import parse

    cues = [c for c in parse(opened(words) + ".") if c.unit is not None]
    sides = {side, None} if side in ("left", "right") else {None}
    matched = {c.unit for c in cues if not c.negated}
    return (
        matched == set(units)
        and {c.side for c in cues} <= sides
        and (side not in ("left", "right") or side in {c.side for c in cues})
    )


@pytest.mark.parametrize(("family", "share"), [(TRAINING, 1.0), (REFERENCE, 0.9)])
def test_the_checker_understands_what_is_taught(family, share):
    parts = {"left", "upper"}
    lips = {18, 22, 23, 24, 28}
    rows = [
        (units, side, words)
        for units, row in family.bank.items()
        for side in (None, *(parts if row.side_clauses else ()))
        if side is None or (side == "upper") == bool(set(units) & lips)
        for words in (*row.clauses_on(side), *row.nouns_on(side))
    ]
    missed = [row for row in rows if not understood(*row)]
    assert len(missed) <= (1 - share) * len(rows), missed


def test_whole_texts_are_understood():
    import random

    from ferce.explanation.text.parsing import parse

    rng = random.Random(0)
    exact = 0
    for seed in range(200):
        units = tuple(UnitLabel(n) for n in rng.sample(sorted(UNITS), rng.randint(1, 5)))
        caption = captions.explain(units, rng.choice([None, *COMPOUNDS]), seed)
        cues = {c.unit for c in parse(caption.text) if c.unit is not None and not c.negated}
        exact += cues == set(caption.units)
    assert exact >= 190
