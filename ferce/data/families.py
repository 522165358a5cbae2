"""Two disjoint families of sentences and phrases: to train on, and for references and tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class Phrases:
    """Wordings of one unit: clauses ("the brow is ...") and nouns ("a ... brow").

    Clauses are "subject is/are predicate", so that they turn into questions and negations. A phrase
    names its unit and no other one: a test looks for overlaps. `side_clauses` and `side_nouns` hold
    `{side}`: left or right (the person's), or upper or lower for the units of the lips; they are
    empty for units that have no halves.
    """

    clauses: tuple[str, ...]
    nouns: tuple[str, ...]
    side_clauses: tuple[str, ...] = ()
    side_nouns: tuple[str, ...] = ()

    def clauses_on(self, side: str | None) -> tuple[str, ...]:
        """Return clauses for the side, or for both (also where no half can be named)."""
        if side is None or not self.side_clauses:
            return self.clauses
        return tuple(clause.format(side=side) for clause in self.side_clauses)

    def nouns_on(self, side: str | None) -> tuple[str, ...]:
        """Return nouns for the side, or for both (also where no half can be named)."""
        if side is None or not self.side_nouns:
            return self.nouns
        return tuple(noun.format(side=side) for noun in self.side_nouns)


# Keys are units that are said together: (12,) or, for both brows, (1, 2).
Bank = Mapping[tuple[int, ...], Phrases]


def _bank(family: str) -> Bank:
    """Read the phrases of a family from `phrases.json`, where the key of both brows is "1+2"."""
    rows = json.loads((Path(__file__).parent / "phrases.json").read_text("utf-8"))[family]
    return MappingProxyType(
        {
            tuple(map(int, units.split("+"))): Phrases(**{k: tuple(v) for k, v in row.items()})
            for units, row in rows.items()
        }
    )


@dataclass(frozen=True, repr=False)
class Family:
    """Sentences and words of one family.

    Templates take `{clauses}`/`{Clauses}` ("the lips are parted"), `{nouns}`/`{Nouns}` ("parted
    lips"), `{emotion}` or `{a}` and `{b}` (nouns of emotions), `{label}`, and `{region}` with
    `{is}`. Capital names begin a sentence.
    """

    name: str
    bank: Bank
    openings: tuple[str, ...]  # name the label
    fitting: tuple[str, ...]  # signs of one component
    shared: tuple[str, ...]  # signs of both
    misfit: tuple[str, ...]  # signs of none
    silent: tuple[str, ...]  # a component without a sign of its own
    plain: tuple[str, ...]  # description without a label
    rest: tuple[str, ...]  # coded, and nothing is there
    hidden: tuple[str, ...]  # a covered region
    ask_clause: tuple[str, ...]  # yes/no, `{inverted}`: "are the lips parted"
    ask_noun: tuple[str, ...]
    ask_side: tuple[str, ...]
    ask_region: tuple[str, ...]  # `{region}`: what happens there
    ask_which: tuple[str, ...]  # `{one}` and `{other}` region
    unanswerable: tuple[str, ...]  # questions that no photograph answers
    refusals: tuple[str, ...]  # the answer to those


TRAINING = Family(
    name="training",
    bank=_bank("training"),
    openings=(
        "The expression looks {label}.",
        "This face looks {label}.",
        "Of all labels, {label} fits this expression best.",
        "The label nearest to this expression is {label}.",
    ),
    fitting=(
        "{Clauses}, which fits {emotion}.",
        "{Clauses}, as is common in {emotion}.",
        "{Clauses}, a sign of {emotion}.",
        "In keeping with {emotion}, {clauses}.",
        "Because {clauses}, the face has something of {emotion}.",
        "{Emotion} shows in {nouns}.",
    ),
    shared=(
        "{Clauses}, which fits both {a} and {b}.",
        "{Clauses}, which goes with {a} as well as with {b}.",
        "Both {a} and {b} show in {nouns}.",
    ),
    misfit=(
        "Besides, {clauses}, which the label does not explain.",
        "Apart from the label, {clauses}.",
    ),
    silent=(
        "Nothing here speaks for {emotion} alone.",
        "No sign belongs to {emotion} alone.",
        "For {emotion} alone there is no sign.",
    ),
    plain=(
        "{Clauses}.",
        "In this face, {clauses}.",
        "This face shows {nouns}.",
        "One can see {nouns}.",
    ),
    rest=(
        "No facial action stands out: the face is at rest.",
        "The brows, eyes and mouth are at rest.",
        "Nothing in this face moves clearly away from rest.",
    ),
    hidden=(
        "The {region} {is} covered, so what happens there cannot be told.",
        "Nothing can be said of the {region}, which {is} covered.",
    ),
    ask_clause=("{Inverted}?", "In this face, {inverted}?", "Look closely: {inverted}?"),
    ask_noun=(
        "Can you see {nouns}?",
        "Does this face show {nouns}?",
        "Is there any sign of {nouns}?",
    ),
    ask_side=("{Inverted} on the person's left, on the right or on both sides?",),
    ask_region=(
        "What can be seen at the {region}?",
        "What happens at the {region}?",
        "Describe the {region}.",
    ),
    ask_which=(
        "Which part of the face is active, the {one} or the {other}?",
        "Where does this face move, at the {one} or at the {other}?",
    ),
    unanswerable=(
        "What does this person feel inside?",
        "Why does this person look like this?",
        "What happened just before the photo was taken?",
        "Is this person honest?",
        "Is the expression sincere?",
        "What is this person thinking of?",
        "What is the name of this person?",
        "Is this person ill?",
        "Will this person stay in this mood?",
    ),
    refusals=(
        "That cannot be told from a face.",
        "This cannot be told; a photo shows only what the face does.",
        "It cannot be told from what the face shows.",
    ),
)

REFERENCE = Family(
    name="reference",
    bank=_bank("reference"),
    openings=(
        "Taken as a whole, what we see resembles the label {label}.",
        "Among the known labels, {label} describes the face best.",
        "An expression of the kind called {label}.",
    ),
    fitting=(
        "One associates {nouns} with {emotion}.",
        "{Emotion} is often seen together with {nouns}.",
        "Here {clauses}, and {emotion} typically looks so.",
    ),
    shared=(
        "One associates {nouns} with {a} and equally with {b}.",
        "Here {clauses}, and {a} and {b} alike look so.",
    ),
    misfit=(
        "Outside of this pattern one notes {nouns}.",
        "Outside of this pattern {clauses}.",
    ),
    silent=(
        "Evidence that would single out {emotion} is lacking.",
        "{Emotion} by itself has left no trace.",
    ),
    plain=(
        "An observer would note {nouns}.",
        "To describe it: {clauses}.",
    ),
    rest=("All parts of the face appear relaxed.", "An observer would note no movement at all."),
    hidden=("As the {region} {is} out of sight, no statement about it is possible.",),
    ask_clause=("Would you say that {clauses}?", "True or false: {clauses}?"),
    ask_noun=("Would an observer note {nouns}?",),
    ask_side=(
        "Which half of the face is it, the person's left or right or both, where {clauses}?",
    ),
    ask_region=("Give an account of the {region}.",),
    ask_which=("Choose the region with muscle activity: {one} or {other}.",),
    unanswerable=(
        "Which memories does this person have?",
        "Whom is this person looking at?",
        "Does this person tell the truth?",
        "Which illness does this person have?",
    ),
    refusals=("No photograph can answer this, so it cannot be told.",),
)

FAMILIES = {family.name: family for family in (TRAINING, REFERENCE)}
