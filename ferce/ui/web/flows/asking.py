"""Questions about the face on the page: the questionnaire after a reading, and the user's own."""

import logging
from collections.abc import Iterator
from typing import Any

from ferce.core.types import Answer, Reading, ReadingError
from ferce.models import prompts
from ferce.reading.pipeline import Reader
from ferce.ui.web.panels import questions
from ferce.ui.web.session import Session, Work

NO_FACE = "There is no face to ask about yet; choose a photo first."
BROKEN = "This question could not be answered because of a fault in ferce."
# Asked in one go: enough for a model to share its work, few enough for rows to appear early.
_AT_ONCE = 4

_log = logging.getLogger(__name__)


def fill(reader: Reader, work: Work, reading: Reading) -> Iterator[dict[str, str]]:
    """Answer the questionnaire a few questions at a time; `work.newest` grows with it."""
    asked = prompts.questions(reading.prediction)
    for start in range(0, len(asked), _AT_ONCE):
        try:
            reading = reader.answer(reading, asked[start : start + _AT_ONCE])
        except ReadingError as error:  # the rest of the reading stands without it
            work.silent[work.picked] = str(error)
            yield {"questions": questions.draw(reading, trouble=str(error))}
            return
        work.newest = reading
        yield {"questions": questions.draw(reading)}


def ask(reader: Reader | None, session: Session, told: Any) -> Iterator[dict[str, str]]:
    """Answer the user's own question beneath the field; the newest stands first."""
    work, reading = session.work, session.work.newest
    if not isinstance(told, str):
        return
    if reader is None or reading is None or reading.prediction is None:
        yield {"asked": questions.sorry([], NO_FACE)}
        return
    answers = work.answers
    try:
        question = prompts.question(told)
    except ValueError as error:
        yield {"asked": questions.sorry(answers, str(error))}
        return
    yield {"asked": questions.own(answers, pending=question)}
    trouble = _answer(reader, reading, question, answers)
    if session.work is work:
        yield {"asked": questions.sorry(answers, trouble) if trouble else questions.own(answers)}


def _answer(reader: Reader, reading: Reading, question: str, answers: list[Answer]) -> str:
    """Append the answer; returns why there is none, or nothing."""
    try:
        answers.extend(reader.answer(reading, [question]).answers[len(reading.answers) :])
    except ReadingError as error:
        return str(error)
    except Exception:  # the border to the user: never a stack trace on the page
        _log.exception("a question could not be answered")
        return BROKEN
    return ""
