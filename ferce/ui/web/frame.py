"""What stands around the tabs: header with the notice, line of the models, page of notes."""

import re
from collections.abc import Iterator

import gradio as gr

from ferce.core import notice
from ferce.ui.web import markup
from ferce.ui.web.loading import Models
from ferce.ui.web.session import Sessions
from ferce.ui.web.settings import Settings

_NOTES = "notes"
_POLL = 0.3  # seconds between looks at the models


def header() -> str:
    """Name, purpose and the notice on responsible use."""
    return (
        '<header class="top"><h1>ferce</h1><p>Reads compound facial expressions, shows where it '
        "looked, and checks every claim of its explanation.</p></header>"
        f'<aside class="notice" aria-label="Responsible use"><p>{markup.text(notice.SHORT)} '
        f'<a href="{_NOTES}">What it may be used for</a></p></aside>'
    )


def footer(page: gr.Blocks, models: Models, used: gr.State, sessions: Sessions) -> None:
    """A line on the models, kept up to date while they load and when the page turns to others."""
    line = gr.HTML(_models(models), elem_classes="models")

    def follow() -> Iterator[str]:
        while not models.wait(_POLL):
            yield _models(models)
        yield _models(models)

    def turned(request: gr.Request) -> str:
        return _models(sessions.of(request.session_hash).models or models)

    used.change(
        turned, None, line, show_progress="hidden", concurrency_limit=None, api_visibility="private"
    )
    # No limit: every page that opens while the models load waits here.
    page.load(
        follow, None, line, show_progress="hidden", concurrency_limit=None, api_visibility="private"
    )


def _models(models: Models) -> str:
    if models.failure:
        return f'<p role="status">{markup.text(models.failure)}</p>'
    if models.reader is None:
        return f'<p role="status">Loading {markup.text(models.doing)} …</p>'
    named = "".join(
        f"<span>{markup.text(role)}: <code>{markup.text(name)}</code></span>"
        for role, name in models.reader.models.items()
    )
    return f'<p role="status">{named}</p>{_away(models.reader.sends_photos_to)}'


def _away(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    told = ", ".join(f"<code>{markup.text(name)}</code>" for name in names)
    return (
        f'<p role="status"><strong>Faces leave this machine:</strong> they are sent to {told}.</p>'
    )


def notes(page: gr.Blocks, settings: Settings) -> None:
    """A second page with the full notice and the README."""
    points = "\n".join(f"- {point}" for point in notice.POINTS)
    with page.route("Notes", _NOTES, show_in_navbar=False):
        gr.HTML(
            '<header class="top"><h1>ferce</h1><p><a href="./">Back to the photo</a></p></header>'
        )
        gr.Markdown(
            f"## What it may be used for\n\n{points}\n\n{_readme(settings)}", elem_classes="notes"
        )


def _readme(settings: Settings) -> str:
    """The README without front matter and pictures, whose paths do not hold here."""
    if not settings.readme.is_file():
        return ""
    text = settings.readme.read_text("utf-8")
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    return re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
