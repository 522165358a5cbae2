"""Nothing leaves without consent, and the token goes to the server and nowhere else."""

import logging
import threading

import pytest
from remote_fixtures import (  # fixtures by the names that their makers give
    TOKEN,
    assert_sentence,
    event,
    failed,
    make_clock,  # noqa: F401
    make_face,  # noqa: F401
    make_opened,  # noqa: F401
    make_prediction,  # noqa: F401
    make_reachable,  # noqa: F401
    piece,
    said,
    serving,
    streamed,
)

from ferce.models.remote import remote
from ferce.models.remote.endpoint import Endpoint, Terms
from ferce.models.remote.retry import RemoteError
from ferce.models.spec import parse


def test_the_token_goes_to_the_server_and_nowhere_else(opened, face, prediction, caplog):
    def answer(body, n):
        if body.get("stream"):
            return streamed([piece("x"), event({"error": f"bad {TOKEN}"})])
        return failed([400, 401, 500, 404][n % 4], f"Incorrect key {TOKEN} for {TOKEN}.")

    caplog.set_level(logging.DEBUG)
    with serving(answer) as (stub, address):
        model = opened(address, token=TOKEN)
        for _ in range(4):
            with pytest.raises(RemoteError) as caught:
                model.answer(face, ["?"])
            assert_sentence(caught.value, TOKEN)
        with pytest.raises(RemoteError) as caught:
            list(model.explain(face, prediction))
        assert_sentence(caught.value, TOKEN)
    assert all(headers["authorization"] == f"Bearer {TOKEN}" for headers in stub.headers)
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(model.server.endpoint) + repr(vars(model))


def test_a_server_that_echoes_the_picture_is_cut_short(opened, face):
    def answer(body, n):
        return failed(400, "bad url " + body["messages"][0]["content"][0]["image_url"]["url"])

    with serving(answer) as (_, address), pytest.raises(RemoteError) as caught:
        opened(address).answer(face, ["?"])
    assert "base64" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_hub_login_is_not_sent_to_strangers(face, reachable, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_login")
    with (
        serving(lambda body, n: said("Yes.")) as (stub, address),
        remote.load(parse(f"remote:{address}#m?allow=1")) as model,
    ):
        model.answer(face, ["?"])
    assert not any(name.lower() == "authorization" for name in stub.headers[0])


@pytest.mark.parametrize(
    ("where", "sent"),
    [
        ("https://router.huggingface.co/v1#m", "hf_login"),
        ("https://x1.eu-west-1.aws.endpoints.huggingface.cloud/v1#m", "hf_login"),
        ("http://router.huggingface.co/v1#m", None),
        ("https://huggingface.co.example.org/v1#m", None),
        ("https://nothuggingface.co/v1#m", None),
        ("http://127.0.0.1:8000/v1#m", None),
    ],
)
def test_where_a_hub_token_goes(where, sent):
    assert Endpoint.parse(parse(f"remote:{where}"), {"HF_TOKEN": "hf_login"}).token == sent
    own = Endpoint.parse(parse(f"remote:{where}"), {"HF_TOKEN": "x", "FERCE_REMOTE_TOKEN": TOKEN})
    assert own.token == TOKEN


def test_a_token_that_is_none_is_not_repeated():
    with pytest.raises(ValueError, match="FERCE_REMOTE_TOKEN must be one word") as caught:
        Endpoint.parse(parse("remote:http://h/v1#m"), {"FERCE_REMOTE_TOKEN": "sk secret\nline"})
    assert "secret" not in str(caught.value)


def test_nothing_leaves_without_consent():
    with serving(lambda body, n: said("x")) as (stub, address):
        with pytest.raises(ValueError, match="would leave this machine for http") as caught:
            remote.load(parse(f"remote:{address}#m"))
        for option in ("allow=0", "workers=2"):
            with pytest.raises(ValueError, match="FERCE_ALLOW_REMOTE=1 or add"):
                remote.load(parse(f"remote:{address}#m?{option}"))
    assert stub.bodies == []
    assert_sentence(caught.value)


@pytest.mark.parametrize("value", ["", "0", "no"])
def test_only_one_is_consent(monkeypatch, value):
    monkeypatch.setenv("FERCE_ALLOW_REMOTE", value)
    with pytest.raises(ValueError, match="would leave this machine"):
        remote.load(parse("remote:http://h/v1#m"))


def test_consent_by_the_environment(monkeypatch):
    monkeypatch.setenv("FERCE_ALLOW_REMOTE", "1")
    with remote.load(parse("remote:http://h:8000/v1#org/model@2?workers=3&timeout=2.5")) as model:
        assert model.name == "remote:http://h:8000/v1#org/model@2?workers=3&timeout=2.5"
        assert model.server.endpoint == Endpoint("http://h:8000/v1", "org/model@2")
        assert model.terms == Terms(workers=3, timeout=2.5)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("remote", "Expected a remote model as remote:http://host"),
        ("remote:http://h/v1", "Expected a remote model"),
        ("remote:h/v1#m", "Expected a remote model"),
        ("remote:ftp://h/v1#m", "Expected a remote model"),
        ("remote:http:///v1#m", "Expected a remote model"),
        ("remote:http://h:port/v1#m", "Expected a remote model"),
        ("remote:http://a host/v1#m", "Expected a remote model"),
        ("remote:http://u:hush@h/v1#m", "must hold no user or password"),
        ("remote:ftp://u:hush@h/v1#m", "Expected a remote model"),
        ("remote:http://h/v1#m?token=hush", "Unknown option 'token'.*read from FERCE_REMOTE_TOKEN"),
        ("remote:http://h/v1#m?workers=0", r"workers must lie in 1\.\.64"),
        ("remote:http://h/v1#m?workers=many", "workers must be a whole number"),
        ("remote:http://h/v1#m?orders=1", r"orders must lie in 3\.\.14"),
        ("remote:http://h/v1#m?timeout=nan", "timeout must be a number of seconds"),
        ("remote:http://h/v1#m?deadline=0", "deadline must lie in"),
        ("remote:http://h/v1#m?template=odd", "template must be one of plain"),
        ("remote:http://h/v1#m?allow=yes", "allow must be a whole number"),
    ],
)
def test_specs_that_are_refused(spec, words):
    with pytest.raises(ValueError, match=words) as caught:
        remote.load(parse(spec))
    assert_sentence(caught.value, "hush")


def test_no_thread_is_left_behind(face, reachable):
    with (
        serving(lambda body, n: said("x")) as (_, address),
        remote.load(parse(f"remote:{address}#m?allow=1")) as model,
    ):
        model.answer(face, ["?"] * 8)
    assert not any(thread.name.startswith("ferce-remote") for thread in threading.enumerate())
