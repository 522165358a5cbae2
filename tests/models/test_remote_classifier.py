"""Label scores from a server's log-probabilities, or a clear word on why there are none."""

import numpy as np
import pytest
from remote_fixtures import (  # fixtures by the names that their makers give
    assert_sentence,
    chooser,
    failed,
    make_clock,  # noqa: F401
    make_face,  # noqa: F401
    make_opened,  # noqa: F401
    make_reachable,  # noqa: F401
    picture_of,
    reply,
    said,
    serving,
    text_of,
)

from ferce.core.labels import COMPOUNDS
from ferce.core.protocols import Classifier, Voice
from ferce.core.types import Face
from ferce.models.calibration import softmax
from ferce.models.remote.retry import RemoteError
from ferce.models.spec import parse

EVIDENCE = dict(zip(COMPOUNDS, np.random.default_rng(1).normal(0, 1.5, 14), strict=True))
EXPECTED = softmax(np.array([list(EVIDENCE.values())]))[0]


@pytest.mark.parametrize("form", ["{}", " {}", "\u2581{}", "{}."])
@pytest.mark.parametrize("bias", [{}, {"A": 5.0}, {"N": 3.0, "B": -2.0, "I": 1.0}])
def test_letter_bias_cancels(opened, face, bias, form):
    with serving(chooser(lambda body: EVIDENCE, bias, form=form)) as (stub, address):
        scores = opened(address).scores([face])
    assert scores.classes[0] == pytest.approx(EXPECTED, abs=1e-6)
    assert len(stub.bodies) == 4
    assert all(body["max_tokens"] == 1 for body in stub.bodies)
    assert len({text_of(body) for body in stub.bodies}) == 4


def test_a_model_that_always_says_a_knows_nothing(opened, face):
    with serving(chooser(lambda body: dict.fromkeys(COMPOUNDS, 0.0), {"A": 6.0})) as (_, address):
        scores = opened(address).scores([face])
    assert scores.classes[0] == pytest.approx(np.full(14, 1 / 14), abs=1e-6)


def test_one_list_of_five_still_finds_the_label(opened, face):
    clear = {label: 6.0 * (label == "sadly angry") for label in COMPOUNDS}
    with serving(chooser(lambda body: clear, {"A": 3.0}, listed=5)) as (_, address):
        scores = opened(address).scores([face])
    assert COMPOUNDS[scores.classes[0].argmax()] == "sadly angry"
    assert scores.classes[0].max() > 0.5


def test_a_server_that_lists_five_tokens_is_asked_for_five(opened, face):
    choose = chooser(lambda body: EVIDENCE)

    def answer(body, n):
        if body["top_logprobs"] > 5:
            return failed(422, "top_logprobs must be at most 5")
        return choose(body, n)

    with serving(answer) as (stub, address):
        model = opened(address, workers=1)
        first = model.scores([face])
        before = len(stub.bodies)
        assert np.array_equal(model.scores([face]).classes, first.classes)
    assert [body["top_logprobs"] for body in stub.bodies[:3]] == [20, 5, 5]
    assert len(stub.bodies) - before == 4


def test_a_server_that_refuses_log_probabilities(opened, face):
    with (
        serving(lambda body, n: failed(400, "logprobs are not supported")) as (_, address),
        pytest.raises(RemoteError, match="logprobs are not supported") as caught,
    ):
        opened(address).scores([face])
    assert_sentence(caught.value)


@pytest.mark.parametrize("logprobs", [None, {}, {"content": None}, {"content": []}])
def test_no_log_probabilities_no_classifier(opened, face, logprobs):
    choice = {"index": 0, "message": {"role": "assistant", "content": "A"}, "logprobs": logprobs}
    with serving(lambda body, n: reply({"choices": [choice]})) as (_, address):
        model = opened(address)
        with pytest.raises(RemoteError, match="gives no log-probabilities, so tiny-vlm") as caught:
            model.scores([face])
        assert model.answer(face, ["?"])[0].answer == "A"
    assert_sentence(caught.value)


@pytest.mark.parametrize("value", ["x", None, 3.0, float("nan")])
def test_log_probabilities_that_are_none(opened, face, value):
    first = {"token": "A", "logprob": value, "top_logprobs": []}
    choice = {"message": {"content": "A"}, "logprobs": {"content": [first]}}
    with (
        serving(lambda body, n: reply({"choices": [choice]})) as (_, address),
        pytest.raises(RemoteError, match="not a chat completion"),
    ):
        opened(address).scores([face])


def test_a_thinking_model_is_refused(opened, face):
    with (
        serving(lambda body, n: said("<think>", {"<think>": 0.99, "A": 0.01})) as (_, address),
        pytest.raises(RemoteError, match=r"begins with '<think>' instead") as caught,
    ):
        opened(address).scores([face])
    assert_sentence(caught.value)


def test_rows_belong_to_their_faces(opened):
    """The stub tells faces apart by their red: as bright as the number of the label."""
    crops = [np.full((32, 32, 3), i, np.uint8) for i in range(6)]

    def evidence(body):
        shown = int(picture_of(body)[0, 0, 0])
        return {label: 4.0 * (i == shown) for i, label in enumerate(COMPOUNDS)}

    with serving(chooser(evidence, {"C": 2.0})) as (stub, address):
        model = opened(address, orders=5)
        together = model.scores([Face(crop=crop) for crop in crops]).classes
        assert len(stub.bodies) == 30
        alone = model.scores([Face(crop=crops[3])]).classes
    assert list(together.argmax(1)) == list(range(6))
    assert alone[0] == pytest.approx(together[3])


def test_is_a_classifier_and_a_voice(opened):
    model = opened("http://127.0.0.1:9/v1")
    assert isinstance(model, Classifier)
    assert isinstance(model, Voice)
    assert model.leaves_machine is True
    assert str(parse(model.name)) == model.name
