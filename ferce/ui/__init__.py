"""The page: `build` lays it out, `look` is what `launch` needs to draw it. Imports gradio."""

from collections.abc import Callable

import gradio as gr

from ferce.ui import api, batch, compare, frame, live, read, shelf, video
from ferce.ui.catalogue import Catalogue, LoadNamed
from ferce.ui.loading import Load, Models
from ferce.ui.session import Sessions
from ferce.ui.settings import Settings
from ferce.ui.theme import look

__all__ = ["Settings", "build", "look"]

# One file a tab; each has NAME and tab(settings, models, sessions).
TABS = (read, compare, video, live, batch, shelf)


def build(
    settings: Settings, load: Load | None = None, others: LoadNamed | None = None
) -> tuple[gr.Blocks, Models]:
    """The whole page, and its models, which nobody has begun to load.

    Args:
        settings: What the operator decides.
        load: How the reader is made; None for the models named in the settings.
        others: How a reader with another classifier is made, by its spec; None likewise.

    Returns:
        Blocks that are ready to launch, with `look()` as keyword arguments; and the models, whose
        `start()` loads them in the background.
    """
    models, sessions = Catalogue(settings, load, others), Sessions()
    # How often uploads are looked at, and from what age they are deleted, in seconds.
    delete_cache = (min(60, settings.keep_seconds), settings.keep_seconds)
    with gr.Blocks(title="ferce", analytics_enabled=False, delete_cache=delete_cache) as page:
        gr.HTML(frame.header())
        used = _tabs(settings, models, sessions)
        api.endpoints(models, settings)
        frame.footer(page, models, used, sessions)
        page.unload(_closer(sessions))
    frame.notes(page, settings)
    page.queue(api_open=False)
    return page, models


def _tabs(settings: Settings, models: Catalogue, sessions: Sessions) -> gr.State:
    """Lay them out; gives the state that changes when the page turns to another model."""
    told = {}
    with gr.Tabs():
        for module in TABS:
            with gr.Tab(module.NAME):
                told[module.NAME] = module.tab(settings, models, sessions)
    used: gr.State = told[shelf.NAME]
    told[read.NAME](used)
    return used


def _closer(sessions: Sessions) -> Callable[[gr.Request], None]:
    def close(request: gr.Request) -> None:
        sessions.close(request.session_hash)

    return close
