"""axe-core in a page: what keeps people out, by WCAG 2 A and AA."""

from importlib.util import find_spec
from pathlib import Path

from browser_fixtures import settled

_SCRIPT = Path(find_spec("axe_playwright_python").origin).with_name("axe.min.js")
_RUN = "axe.run('.gradio-container', {runOnly: ['wcag2a', 'wcag2aa']})"


def barriers(page):
    """Rule -> the elements that break it seriously, without those that are Gradio's own."""
    settled(page)  # a button that has just been freed is still fading in
    page.evaluate(_SCRIPT.read_text("utf-8"))
    return {
        rule["id"]: told
        for rule in page.evaluate(_RUN)["violations"]
        if rule["impact"] in ("serious", "critical") and (told := _ours(rule["nodes"]))
    }


def _ours(nodes):
    """Gradio's file field has a button within a button."""
    return [node["html"][:120] for node in nodes if "icon-button" not in node["html"]]
