import pytest

from ferce.core import labels


def test_official_order_and_counts():
    assert len(labels.COMPOUNDS) == 14
    assert labels.COMPOUNDS[0] == "happily surprised"
    assert labels.COMPOUNDS[10] == "angrily disgusted"
    assert labels.COMPOUNDS[12:] == ("happily fearful", "happily sad")
    assert len(labels.RAFDB_COMPOUNDS) == 11
    assert labels.RAFDB_COMPOUNDS[-1] == "disgustedly surprised"


def test_every_compound_holds_two_basics():
    assert (labels.MEMBERSHIP.sum(1) == 2).all()
    assert labels.components("angrily disgusted") == ("angry", "disgusted")
    assert labels.components("happy") == ("happy",)
    assert labels.components("neutral") == ()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Happily Surprised", "happily surprised"),
        ("happily_surprised", "happily surprised"),
        ("sadly-angry", "sadly angry"),
        (" Neutral ", "neutral"),
        ("HAPPY", "happy"),
    ],
)
def test_parse(text, label):
    assert labels.parse(text) == label


def test_unknown_label_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'happily surprised'"):
        labels.parse("hapily surprised")
    with pytest.raises(ValueError, match="Known labels"):
        labels.components("appalled")
