import pytest

from ferce.models.spec import Spec, parse


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("prototypes", Spec("prototypes")),
        ("timm:owner/name", Spec("timm", "owner/name")),
        ("timm:owner/name@v1.2", Spec("timm", "owner/name", "v1.2")),
        ("timm:/data/run 1", Spec("timm", "/data/run 1")),
        ("blip2:S/opt+me/ad", Spec("blip2", "S/opt", None, "me/ad")),
        ("blip2:a/b+c/d@abc?load=8bit", Spec("blip2", "a/b", "abc", "c/d", {"load": "8bit"})),
        ("remote:http://me@host:8000/v1#m", Spec("remote", "http://me@host:8000/v1#m")),
        ("blip-vqa:Salesforce/blip-vqa-base", Spec("blip-vqa", "Salesforce/blip-vqa-base")),
    ],
)  # fmt: skip
def test_parse_and_back(text, spec):
    assert parse(text) == spec
    assert parse(str(spec)) == spec


@pytest.mark.parametrize("text", ["", "Timm owner", ":x", "timm:a?load"])
def test_no_spec(text):
    with pytest.raises(ValueError, match="Expected"):
        parse(text)
