"""The remote backend against a server on loopback: order, streams, the picture sent."""

import itertools
import threading
import time

import numpy as np
import pytest
from patience import PATIENCE
from remote_fixtures import (  # fixtures by the names that their makers give
    assert_sentence,
    event,
    failed,
    make_clock,  # noqa: F401
    make_face,  # noqa: F401
    make_opened,  # noqa: F401
    make_prediction,  # noqa: F401
    make_reachable,  # noqa: F401
    picture_of,
    piece,
    said,
    serving,
    streamed,
    text_of,
)

from ferce.core.labels import COMPOUNDS
from ferce.models.remote.retry import RemoteError
from ferce.models.vlm import phrases


def test_answers_come_in_order_and_at_the_same_time(opened, face):
    gate = threading.Barrier(4, timeout=PATIENCE)

    def answer(body, n):
        if n < 4:
            gate.wait()  # opens only when four requests are under way together
        time.sleep(0.002 * (12 - n))  # the later, the faster
        return said(text_of(body).upper())

    with serving(answer) as (stub, address):
        questions = [f"question {i}?" for i in range(12)]
        answers = opened(address, workers=4).answer(face, questions)
    assert [a.question for a in answers] == questions
    assert [a.answer for a in answers] == [q.upper() for q in questions]
    assert stub.most_busy == 4
    assert {a.voice for a in answers} == {f"remote:{address}#tiny-vlm?allow=1"}


def test_the_request_holds_the_crop_and_nothing_else(opened, face):
    with serving(lambda body, n: said("Yes.")) as (stub, address):
        opened(address).answer(face, ["Is the mouth open?"])
    (body,) = stub.bodies
    assert np.array_equal(picture_of(body), face.crop)
    assert text_of(body) == "Is the mouth open?"
    assert set(body) - {"stream"} == {"model", "messages", "max_tokens", "temperature"}
    assert body["model"] == "tiny-vlm"
    assert len(body["messages"]) == 1
    assert stub.paths == ["/v1/chat/completions"]


def test_no_questions_no_requests(opened, face):
    with serving(lambda body, n: said("x")) as (stub, address):
        model = opened(address)
        assert model.answer(face, []) == []
        assert model.scores([]).classes.shape == (0, 14)
    assert stub.bodies == []


def test_the_first_failure_drops_what_has_not_begun(opened, face):
    def answer(body, n):
        if n > 0:
            stub.stall()
        return failed(400, "no pictures")

    with serving(answer) as (stub, address):
        with pytest.raises(RemoteError, match='says "no pictures"') as caught:
            opened(address, workers=2).answer(face, ["?"] * 100)
        assert len(stub.bodies) <= 3  # the failed one and what two workers had begun
    assert_sentence(caught.value)


def test_free_form_answers_name_a_compound_or_are_unparsed(opened, face):
    texts = ["The expression resembles happily surprised.", "A nice hat.", "Fear and surprise"]
    with serving(lambda body, n: said(texts[n])) as (_, address):
        model = opened(address, workers=1)
        assert model.named([face] * 3) == [
            "happily surprised",
            phrases.UNPARSED,
            "fearfully surprised",
        ]


# ---- the explanation ----


def test_the_explanation_comes_piece_by_piece(opened, face, prediction):
    read = threading.Event()

    def pieces():
        yield event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        yield piece("\n ") + piece(" The lip")
        assert read.wait(PATIENCE), "the first piece was not passed on before the second was sent"
        yield piece(" corners") + event({"choices": []}) + piece(" are up.")
        yield event(b"[DONE]")

    with serving(lambda body, n: streamed(pieces())) as (stub, address):
        parts = opened(address).explain(face, prediction)
        assert next(parts) == "The lip"
        read.set()
        assert list(parts) == [" corners", " are up."]
    (body,) = stub.bodies
    assert body["stream"] is True
    assert np.array_equal(picture_of(body), face.crop)


def test_the_prompt_holds_the_predicted_label_only(opened, face, prediction):
    with serving(lambda body, n: streamed([piece("x"), event(b"[DONE]")])) as (stub, address):
        "".join(opened(address, template="region").explain(face, prediction))
    assert prediction.label == COMPOUNDS[0]
    assert prediction.label in text_of(stub.bodies[0])
    assert not any(label in text_of(stub.bodies[0]) for label in COMPOUNDS[1:])


def test_leaving_early_closes_the_connection(opened, face, prediction):
    def endless():
        for i in itertools.count():
            yield piece(f"{i} " * 1000)

    with serving(lambda body, n: streamed(endless())) as (stub, address):
        parts = opened(address).explain(face, prediction)
        next(parts)
        parts.close()
        assert stub.gone.wait(PATIENCE)


def test_a_stream_is_begun_again_but_not_once_it_speaks(opened, face, prediction, clock):
    def answer(body, n):
        if n == 0:
            return failed(503)
        if n == 1:
            return streamed([event({"error": "out of memory", "error_type": "generation"})])
        return streamed([piece("So"), event({"error": "out of memory"})])

    with serving(answer) as (stub, address):
        parts = opened(address).explain(face, prediction)
        assert next(parts) == "So"
        with pytest.raises(RemoteError, match="broke off in the middle") as caught:
            next(parts)
    assert len(stub.bodies) == 3
    assert len(clock.slept) == 2
    assert_sentence(caught.value)


def test_a_stream_that_never_ends_meets_the_deadline(opened, face, prediction, clock):
    def endless():
        for _ in itertools.count():
            clock.now += 1
            yield piece("so ")

    with (
        serving(lambda body, n: streamed(endless())) as (_, address),
        pytest.raises(RemoteError, match="still answering after 180 s"),
    ):
        list(opened(address).explain(face, prediction))


@pytest.mark.parametrize("body", [b"data: {broken\n\n", event({"choices": 3}), event([1])])
def test_a_broken_stream_is_an_error(opened, face, prediction, body):
    with (
        serving(lambda _, n: streamed([body])) as (_, address),
        pytest.raises(RemoteError, match="not a chat completion"),
    ):
        list(opened(address).explain(face, prediction))


def test_an_empty_explanation_is_an_error(opened, face, prediction):
    with (
        serving(lambda _, n: streamed([piece(" "), event(b"[DONE]")])) as (_, address),
        pytest.raises(RemoteError, match="empty answer"),
    ):
        list(opened(address).explain(face, prediction))
