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


@pytest.mark.parametrize("text", ["", "Timm owner", ":x", "timm:a?load", "timm:" + "+ " * 10**6])
def test_no_spec(text):
    with pytest.raises(ValueError, match="Expected") as raised:
        parse(text)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("where", ["~nobody-here/a b", "a b/" + "c" * 4000, "a\0 b"])
def test_a_place_that_no_system_takes_is_none_that_stands(where):
    assert parse(f"timm:{where}+x") == Spec("timm", where, None, "x")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("timm:{0}/a+b", Spec("timm", "{0}/a+b")),
        ("timm:{0}/a@b", Spec("timm", "{0}/a@b")),
        ("timm:{0}/a@v1", Spec("timm", "{0}/a", "v1")),
        ("blip2:{0}/a+b+{0}/a@b?load=8bit",
         Spec("blip2", "{0}/a+b", None, "{0}/a@b", {"load": "8bit"})),
        ("blip2:{0}/a+o/n@main", Spec("blip2", "{0}/a", "main", "o/n")),
        ("blip2:{0}/no+{0}/such@b", Spec("blip2", "{0}/no", "b", "{0}/such")),
    ],
)  # fmt: skip
def test_a_folder_that_is_there_may_have_any_name(tmp_path, text, spec):
    for name in ("a+b", "a@b", "a"):
        (tmp_path / name).mkdir()
    place = lambda text: text and text.format(tmp_path)  # noqa: E731
    wanted = Spec(spec.kind, place(spec.where), spec.revision, place(spec.adapter), spec.options)
    assert parse(place(text)) == wanted
    assert parse(str(wanted)) == wanted
