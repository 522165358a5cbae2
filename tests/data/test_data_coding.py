import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferce.data import layout
from ferce.data.record import DataError, UnitLabel


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", (UnitLabel(12),)),
        ("17+4", (UnitLabel(4), UnitLabel(17))),
        ("4+L10+17", (UnitLabel(4), UnitLabel(10, left=1.0, right=0.0), UnitLabel(17))),
        ("17+B22+T24", (UnitLabel(17), UnitLabel(22, part="bottom"), UnitLabel(24, part="top"))),
        ("R2", (UnitLabel(2, left=0.0, right=1.0),)),
        ("L12+R12", (UnitLabel(12),)),  # both sides are the whole unit
        ("12+L12", (UnitLabel(12),)),
        ("T24+B24", (UnitLabel(24),)),
        (" 4 + 17 ", (UnitLabel(4), UnitLabel(17))),
        ("39", (UnitLabel(39),)),  # outside our table, kept
        ("null", None),
        ("0", ()),
    ],
)
def test_reads_raf_codes(text, expected):
    assert layout.parse_units(text) == expected


@pytest.mark.parametrize("text", ["", "AU12", "4 17", "4,17", "X4", "4++17", "L", "4+0", "123"])
def test_refuses_other_spellings(text):
    with pytest.raises(DataError, match="written like"):
        layout.parse_units(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ([], ()),
        ([12, 4], (UnitLabel(12), UnitLabel(4))),
        ([{"unit": 12, "intensity": 0.5}], (UnitLabel(12, 0.5),)),
        (
            [{"unit": 12, "intensity": 0.5, "left": 0.8, "right": 0.2}],
            (UnitLabel(12, 0.5, 0.8, 0.2),),
        ),
    ],
)
def test_reads_table_cells(value, expected):
    assert layout.read_units(value) == expected


@pytest.mark.parametrize("value", [3, ["12"], [{"au": 12}], [{"unit": 12, "intensity": 7}], [True]])
def test_refuses_table_cells(value):
    with pytest.raises(DataError):
        layout.read_units(value)


unit_labels = st.builds(
    lambda n, kind: UnitLabel(
        n,
        left={"L": 1.0, "R": 0.0}.get(kind),
        right={"L": 0.0, "R": 1.0}.get(kind),
        part={"T": "top", "B": "bottom"}.get(kind),
    ),
    st.integers(1, 45),
    st.sampled_from(["", "L", "R", "T", "B"]),
)


@given(st.lists(unit_labels, unique_by=lambda u: u.unit))
def test_text_and_back(units):
    units = tuple(sorted(units, key=lambda u: u.unit))
    assert layout.parse_units(layout.units_text(units)) == units


@given(unit_labels)
def test_mirroring_twice_changes_nothing(unit):
    assert unit.mirrored().mirrored() == unit
    if unit.side:
        assert {unit.side, unit.mirrored().side} == {"left", "right"}


def test_unit_labels_check_themselves():
    with pytest.raises(ValueError, match=r"0\.\.1"):
        UnitLabel(12, intensity=2)
    with pytest.raises(ValueError, match="both left and right"):
        UnitLabel(12, left=1)
    assert not UnitLabel(12, intensity=0.1).present
    assert UnitLabel(12).present
    assert UnitLabel(12, 0.5, 0.6, 0.5).side is None
