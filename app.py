"""The page: `python app.py`, then open http://127.0.0.1:7860; settings come from variables."""

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio as gr

    from ferce.ui.web import Settings
    from ferce.ui.web.models import Models

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # gradio reads it when imported


def options(settings: "Settings") -> dict[str, Any]:
    """Collect what `launch` takes: where to serve, what may be served, how the page looks."""
    from starlette.middleware import Middleware

    from ferce.ui.web import doors, look

    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "max_file_size": f"{settings.max_megabytes}mb",
        "allowed_paths": [str(settings.examples)],
        "ssr_mode": False,  # no Node server; untested
        "run_history": False,  # photos stay out of the browser's storage
        "pwa": False,
        "mcp_server": settings.mcp,
        "show_error": settings.mcp,  # else a tool that was given a wrong address does not say so
        "footer_links": ["api"],
        "app_kwargs": {"middleware": [Middleware(doors.Shut)]},
        **look(),
    }


def serve(settings: "Settings", page: "gr.Blocks", models: "Models") -> None:
    """Put the page on its address, then load the models; ends when interrupted.

    One after the other: Gradio gives up when its server takes more than 5 s to start or 3 s to
    answer for the first time, which it may on a busy machine that imports torch at the same time.
    """
    from ferce.core.heaps import share_heaps
    from ferce.ui.web import doors

    share_heaps()
    doors.shut(settings.mcp, settings.max_megabytes * 2**20)
    page.launch(**options(settings), prevent_thread_lock=True)
    doors.start_sweeps(settings.keep_seconds)
    models.start()
    page.block_thread()


def main() -> None:
    """Build the page and serve it until interrupted; the models load meanwhile."""
    from ferce.ui import startup

    with startup.lean(without=() if os.environ.get("FERCE_MCP") == "1" else ("mcp",)):
        from ferce.ui.web import gpu

    gpu.announce()
    from ferce.ui.web import Settings, build

    try:
        settings = Settings.from_environment()
        if settings.mcp and not find_spec("mcp"):
            raise ValueError('FERCE_MCP needs a package; run: pip install "mcp>=1.21,<2"')
        page, models = build(settings)
    except ValueError as error:
        sys.exit(f"ferce: {error}")
    serve(settings, page, models)


if __name__ == "__main__":
    main()
