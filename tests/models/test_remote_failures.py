"""What the remote backend does when the server is busy, broken, silent or gone."""

import itertools

import pytest
from patience import PATIENCE, until
from remote_fixtures import (  # fixtures by the names that their makers give
    assert_sentence,
    failed,
    make_clock,  # noqa: F401
    make_face,  # noqa: F401
    make_opened,  # noqa: F401
    make_reachable,  # noqa: F401
    reply,
    said,
    serving,
)

from ferce.models.remote.retry import Patience, RemoteError, retry_after


def test_retry_after_is_heeded(opened, face, clock):
    def answer(body, n):
        return failed(429, "slow down", retry_after="7") if n == 0 else said("Yes.")

    with serving(answer) as (stub, address):
        assert opened(address).answer(face, ["?"])[0].answer == "Yes."
    assert len(stub.bodies) == 2
    assert clock.slept == [7.25]  # and half of the half second that keeps callers apart


def test_failures_exhaust_the_tries(opened, face, clock):
    with (
        serving(lambda body, n: failed(500, "boom")) as (stub, address),
        pytest.raises(RemoteError) as caught,
    ):
        opened(address).answer(face, ["?"])
    assert len(stub.bodies) == 5
    assert clock.slept == [0.25, 0.5, 1.0, 2.0]  # half of 0.5, 1, 2 and 4 s
    assert str(caught.value) == (
        f"The server at {address.removesuffix('/v1')} answered 500 (Internal Server Error) and was "
        "asked 5 times; try later."
    )
    assert_sentence(caught.value)


def test_a_wait_beyond_the_deadline_is_not_begun(opened, face, clock):
    with (
        serving(lambda body, n: failed(503, retry_after="900")) as (stub, address),
        pytest.raises(RemoteError, match=r"asks to wait 900 s, and 180 s are not") as caught,
    ):
        opened(address).answer(face, ["?"])
    assert len(stub.bodies) == 1
    assert clock.slept == []
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "says .*check that the model takes pictures"),
        (401, "set FERCE_REMOTE_TOKEN to a token"),
        (403, "set FERCE_REMOTE_TOKEN to a token"),
        (404, "check the address and the model 'tiny-vlm'"),
        (413, "no picture of this size"),
        (422, "answered 422"),
        (501, "answered 501"),
    ],
)
def test_what_will_not_get_better_is_not_repeated(opened, face, clock, status, words):
    with (
        serving(lambda body, n: failed(status, "Not this. Never\nthis.")) as (stub, address),
        pytest.raises(RemoteError, match=words) as caught,
    ):
        opened(address).answer(face, ["?"])
    assert len(stub.bodies) == 1
    assert caught.value.status == status


def test_a_silent_server_times_out(opened, face, clock):
    def answer(body, n):
        stub.stall()
        return said("too late")

    with serving(answer) as (stub, address):
        patience = Patience(timeout=0.15, deadline=5, tries=2, sleep=clock.sleep, clock=clock)
        with pytest.raises(RemoteError, match=r"did not answer in time and was asked 2 times"):
            opened(address, patience=patience).answer(face, ["?"])
        assert not stub.let_go.is_set()  # the server is still silent
        until(lambda: len(stub.bodies) == 2, "second request")


def test_the_deadline_shortens_the_last_try(opened, face):
    def answer(body, n):
        stub.stall()
        return said("too late")

    now = itertools.chain([0.0, 0.0], itertools.repeat(0.3))  # the first try takes all there is
    with serving(answer) as (stub, address):
        patience = Patience(timeout=PATIENCE, deadline=0.3, tries=9, clock=lambda: next(now))
        with pytest.raises(RemoteError, match="did not answer in time"):
            opened(address, patience=patience).answer(face, ["?"])
        until(lambda: stub.bodies, "request")
        assert len(stub.bodies) == 1


def test_nobody_there(opened, face, clock):
    with serving(lambda body, n: said("x")) as (_, address):
        pass
    with pytest.raises(RemoteError, match="cannot be reached") as caught:
        opened(address).answer(face, ["?"])
    assert len(clock.slept) == 4
    assert_sentence(caught.value)


def test_offline_mode_is_named(opened, face, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(RemoteError, match="unset it"):
        opened("http://127.0.0.1:9/v1").answer(face, ["?"])


def test_waits_grow_to_a_cap():
    patience = Patience(chance=lambda: 1.0)
    assert [patience.wait(k, None) for k in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert Patience(chance=lambda: 0.0).wait(3, None) == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("12", 12),
        (" 0 ", 0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0),
        ("soon", None),
        ("", None),
        ("-3", None),
        ("1.5", None),
    ],
)
def test_retry_after_header(text, seconds):
    assert retry_after(text, now=60) == seconds


# ---- malformed replies ----


@pytest.mark.parametrize(
    "data",
    [
        b"<html>502</html>",
        b"",
        b"\xff\xfe",
        b"[]",
        b"3",
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": [{"index": 0}]}',
        b'{"choices": [{"message": 3}]}',
        b'{"choices": [{"message": {"content": 3}}]}',
        b'{"choices": {"0": 1}}',
    ],
)
def test_malformed_replies_are_one_sentence(opened, face, data):
    with (
        serving(lambda body, n: reply(data)) as (stub, address),
        pytest.raises(RemoteError, match="not a chat completion") as caught,
    ):
        opened(address).answer(face, ["?"])
    assert len(stub.bodies) == 1
    assert_sentence(caught.value)


@pytest.mark.parametrize("text", ["", "  \n", None])
def test_empty_answers_are_errors(opened, face, text):
    with (
        serving(lambda body, n: said(text)) as (_, address),
        pytest.raises(RemoteError, match="empty answer"),
    ):
        opened(address).answer(face, ["?"])
