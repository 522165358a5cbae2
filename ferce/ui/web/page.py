"""The page: `build` lays out its tabs and lines, `look` gives its colours, sheet and script."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from ferce.core import notice
from ferce.ui.web import api, markup
from ferce.ui.web.models import Catalogue, Load, LoadNamed, Models
from ferce.ui.web.runner import AT_ONCE, Page
from ferce.ui.web.session import Sessions
from ferce.ui.web.settings import Settings
from ferce.ui.web.tabs import batch, compare, live, models, read, video

# One file a tab; each has NAME and tab(page).
TABS = (read, compare, video, live, batch, models)
_NOTES = "About"

_HERE = Path(__file__).parent
# Fonts that are already on the reader's machine: nothing is fetched.
_SANS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "Arial",
    "sans-serif",
)
_MONO = ("ui-monospace", "SF Mono", "Cascadia Mono", "Menlo", "Consolas", "monospace")

# Shades of one hue from light to dark, as Gradio wants them (50, 100, ... 900, 950).
_TEAL = "#eef8f8 #d5eeee #aedddf #7cc5c9 #45a5ac #2a8a92 #1f6f77 #1c5a61 #1a484e #183c41 #0b2529"
_SLATE = "#f7f8f9 #eef0f2 #dfe3e6 #c4cad0 #949da6 #68727c #515b64 #3e474f #272e34 #191e23 #101418"


def build(
    settings: Settings, load: Load | None = None, others: LoadNamed | None = None
) -> tuple[gr.Blocks, Models]:
    """Lay out the whole page, and name its models, which nobody has begun to load.

    Args:
        settings: what the operator decides.
        load: how the reader is made; None for the models named in the settings.
        others: how a reader with another classifier is made, by its spec; None likewise.

    Returns:
        Blocks that are ready to launch, with `look()` as keyword arguments; and the models, whose
        `start()` loads them in the background.
    """
    catalogue = Catalogue(settings, load, others)
    # How often uploads are looked at, and from what age they are deleted, in seconds.
    delete_cache = (min(60, settings.keep_seconds), settings.keep_seconds)
    with gr.Blocks(title="ferce", analytics_enabled=False, delete_cache=delete_cache) as blocks:
        page = Page(settings, catalogue, Sessions(catalogue), gr.State(""), blocks.load)
        gr.HTML(_header())
        with gr.Tabs():
            for module in TABS:
                with gr.Tab(module.NAME) as page.tabs[module.NAME]:
                    module.tab(page)
            with gr.Tab(_NOTES):
                _notes(settings)
        api.endpoints(page)
        _footer(blocks, page)
        _forget_closed(blocks, page)
    # As `queue(api_open=False)`, which makes the whole server once more; `launch` makes it anyway.
    blocks.api_open = False
    return blocks, catalogue


def _header() -> str:
    """Draw name, purpose and the notice on responsible use."""
    return (
        '<header class="top"><h1>ferce</h1><p>Reads compound facial expressions, shows where it '
        "looked, and checks every claim of its explanation.</p></header>"
        f'<aside class="notice" aria-label="Responsible use"><p>{markup.text(notice.SHORT)} '
        f'<a href="#about" data-tab="{_NOTES}">What it may be used for</a></p></aside>'
    )


def _footer(blocks: gr.Blocks, page: Page) -> None:
    """Add a line on the models, kept up to date while they load and when the page turns to others.

    Every page that opens while the models load waits here, so there is no limit.
    """
    line = gr.HTML(_models(page.models), elem_classes="models")

    def follow() -> Iterator[str]:
        for _ in page.models.progress():
            yield _models(page.models)
        yield _models(page.models)

    def turn(request: gr.Request) -> str:
        return _models(page.session(request).models)

    page.model.change(turn, None, line, **AT_ONCE)
    blocks.load(follow, None, line, **AT_ONCE)


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
    listed = ", ".join(f"<code>{markup.text(name)}</code>" for name in names)
    return (
        f'<p role="status"><strong>Faces leave this machine:</strong> they are sent to {listed}.'
        "</p>"
    )


def _forget_closed(blocks: gr.Blocks, page: Page) -> None:
    def close(request: gr.Request) -> None:
        page.sessions.close(request.session_hash)

    blocks.unload(close)


def _notes(settings: Settings) -> None:
    """Add the full notice and the README; a tab, so that the reading is still there after it."""
    points = "\n".join(f"- {point}" for point in notice.POINTS)
    back = f'<a href="#read" data-tab="{read.NAME}">Back to the photo</a>'
    gr.HTML(f'<p class="notes">{back}</p>')
    gr.Markdown(
        f"## What it may be used for\n\n{points}\n\n{_readme(settings)}", elem_classes="notes"
    )


def _readme(settings: Settings) -> str:
    """Read the README without front matter, title, and pictures, whose paths do not hold here."""
    if not settings.readme.is_file():
        return ""
    text = settings.readme.read_text("utf-8")
    text = re.sub(r"\A---\n.*?\n---\n# [^\n]*\n", "", text, flags=re.DOTALL)
    return re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)


def theme() -> gr.themes.Base:
    """Make the theme, for `launch(theme=...)`."""
    teal, slate = (gr.themes.Color(*shades.split()) for shades in (_TEAL, _SLATE))
    look = gr.themes.Base(
        primary_hue=teal,
        secondary_hue=teal,
        neutral_hue=slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=list(_SANS),
        font_mono=list(_MONO),
    )
    return look.set(
        body_background_fill="*neutral_100",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        block_label_background_fill="white",
        block_label_background_fill_dark="*neutral_900",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        link_text_color_visited="*primary_700",
        link_text_color_visited_dark="*primary_300",
        link_text_color_hover="*primary_800",
        link_text_color_hover_dark="*primary_200",
    )


def look() -> dict[str, Any]:
    """Collect what `launch` takes for the looks (Gradio 6 takes them only there)."""
    script = (_HERE / "page.js").read_text("utf-8")
    sheets = [path.read_text("utf-8") for path in sorted(_HERE.glob("*.css"))]
    return {
        "theme": theme(),
        "css": "\n".join(sheets),
        "head": f'<meta name="color-scheme" content="light dark"><script>{script}</script>',
    }
