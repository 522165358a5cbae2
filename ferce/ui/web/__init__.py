"""The page, made with gradio."""

from ferce.ui.web.page import build, look
from ferce.ui.web.settings import Settings

__all__ = ["Settings", "build", "look"]
