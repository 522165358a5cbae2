"""Questions: what the voice answers, the questionnaire as a table and the user's own above it."""

from collections.abc import Sequence

from ferce.core.parts import Answer, Reading
from ferce.models import prompts
from ferce.ui.web import markup

TITLE = "Questions"
_SHOWN = 7  # rows that are there before the list is opened


def form() -> str:
    """Draw the field for a question of one's own."""
    return (
        f'{markup.heading(TITLE)}<form class="ask"><label for="question">Ask about this face'
        '</label><div><input id="question" name="question" type="text" autocomplete="off" required '
        f'maxlength="{prompts.MAX_QUESTION}" placeholder="Is one brow higher?">'
        '<button type="submit">Ask</button></div></form>'
    )


def blank() -> str:
    """Draw what will be asked."""
    return _folded([(question, "") for question in prompts.QUESTIONNAIRE])


def waiting() -> str:
    """Draw the questionnaire while the face is read."""
    return markup.waiting(_folded([(question, _ghost()) for question in prompts.QUESTIONNAIRE]))


def refused() -> str:
    """Draw the panel for a face that must not be read."""
    return markup.empty("Without a reading there is nothing to ask about.")


def draw(reading: Reading, trouble: str = "") -> str:
    """Draw the questionnaire as far as it is answered; `trouble` is why it ends there."""
    known = {answer.question: answer.answer for answer in reading.answers}
    rest = "" if trouble else _ghost()
    rows = [
        (question, _said(known[question]) if question in known else rest)
        for question in prompts.questions(reading.prediction)
    ]
    table = _folded(rows)
    if trouble:
        return markup.trouble(trouble) + table
    return table if len(known) == len(rows) else markup.waiting(table)


def own(answers: Sequence[Answer], pending: str = "") -> str:
    """Draw the visitor's own questions, newest first; `pending` is one without an answer yet."""
    rows = [(answer.question, _said(answer.answer)) for answer in reversed(answers)]
    if pending:
        rows.insert(0, (pending, '<span class="pending">Looking at the face …</span>'))
    if not rows:
        return ""
    return f'<div class="own" aria-live="polite">{_table(rows, "Your questions")}</div>'


def sorry(answers: Sequence[Answer], words: str) -> str:
    """Say why a question was not answered, above those that were."""
    return markup.trouble(words) + own(answers)


def _said(answer: str) -> str:
    return markup.prose(answer) or '<span class="pending">No answer.</span>'


def _ghost() -> str:
    return '<span class="ghost" aria-hidden="true"><i style="width:80%"></i></span>'


def _folded(rows: Sequence[tuple[str, str]]) -> str:
    rest = _table(rows[_SHOWN:], "More of the questionnaire")
    more = f"<details><summary>{len(rows) - _SHOWN} more questions</summary>{rest}</details>"
    return _table(rows[:_SHOWN], "Questionnaire") + more


def _table(rows: Sequence[tuple[str, str]], title: str) -> str:
    """Draw rows of a question, plain text, and its answer, HTML."""
    lines = "".join(
        f'<tr><th scope="row">{markup.text(question)}</th><td>{answer}</td></tr>'
        for question, answer in rows
    )
    return f'<table class="answers"><caption>{title}</caption><tbody>{lines}</tbody></table>'
