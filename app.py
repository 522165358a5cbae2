"""The page: `python app.py`, then open http://127.0.0.1:7860; settings come from variables."""

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ferce.ui.web import Settings

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # gradio reads it when imported


def options(settings: "Settings") -> dict[str, Any]:
    """Collect what `launch` takes: where to serve, what may be served, how the page looks."""
    from ferce.ui.web import look

    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "max_file_size": f"{settings.max_megabytes}mb",
        "allowed_paths": [str(settings.examples)],
        "ssr_mode": False,  # no Node server; untested
        "run_history": False,  # photos stay out of the browser's storage
        "pwa": False,
        "mcp_server": settings.mcp,
        "footer_links": ["api"],
        **look(),
    }


def main() -> None:
    """Build the page and serve it until interrupted; the models load meanwhile."""
    from ferce.ui.web import Settings, build

    try:
        settings = Settings.from_environment()
        if settings.mcp and not find_spec("mcp"):
            raise ValueError('FERCE_MCP needs a package; run: pip install "mcp>=1.21,<2"')
        page = build(settings)
    except ValueError as error:
        sys.exit(f"ferce: {error}")
    page.launch(**options(settings))


if __name__ == "__main__":
    main()
