"""The page, made with gradio."""

from ferce.ui.web.page import build
from ferce.ui.web.settings import Settings
from ferce.ui.web.theme import look

__all__ = ["Settings", "build", "look"]
