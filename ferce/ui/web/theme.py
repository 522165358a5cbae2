"""How the page looks: colours for light and dark, system fonts, the style sheet and the script."""

from pathlib import Path
from typing import Any

import gradio as gr

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
