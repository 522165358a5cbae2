"""Action units that move one part opposite ways, against the prototypes of expressions."""

from itertools import combinations

from ferce.facs.opposites import OPPOSITES, opposed
from ferce.facs.prototypes import PROTOTYPES, UNITS


def test_pairs_are_of_known_units_and_hold_both_ways():
    for pair in OPPOSITES:
        a, b = pair
        assert {a, b} <= set(UNITS)
        assert opposed(a, b)
        assert opposed(b, a)
    assert not opposed(12, 12)
    assert not opposed(1, 4)  # together the brows of sadness and fear


def test_no_expression_is_made_of_opposites():
    for prototype in PROTOTYPES.values():
        assert not any(opposed(a, b) for a, b in combinations(prototype.core, 2))
