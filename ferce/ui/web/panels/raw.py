"""What can be taken away of a reading: a page, a picture, the raw numbers."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from ferce.core.types import Reading, Report
from ferce.report import drawing, poster, to_json
from ferce.report.page import HtmlWriter
from ferce.ui.web import markup


def draw(report: Report, shown: Reading, models: Mapping[str, str]) -> str:
    """Draw the links and the JSON; each file is inside its link, so nothing is stored.

    Args:
        report: the photograph with all that was read of it.
        shown: the reading on the page, of which the picture is.
        models: role -> spec.
    """
    document = to_json([report], models)
    text = json.dumps(document, ensure_ascii=False, indent=2)
    stem = PurePath(report.photo).stem
    page, *others = (
        markup.download(f"{stem}.ferce.{suffix}", words, media, data)
        for suffix, words, media, data in _files(report, shown, models, text)
    )
    links = "".join([page, markup.printing(), *others])
    return (
        f'<div class="raw"><span class="links">{links}</span>'
        '<details><summary>Show JSON</summary><pre tabindex="0">'
        f"{markup.text(text)}</pre></details></div>"
    )


def _files(
    report: Report, shown: Reading, models: Mapping[str, str], text: str
) -> Iterator[tuple[str, str, str, bytes]]:
    """Make each file: suffix, words, media type and content."""
    page = _page(report, models).encode("utf-8", "backslashreplace")
    yield "html", "Save report (HTML)", "text/html", page
    if shown.prediction is not None:
        picture = drawing.encode(poster.draw(shown))
        yield "png", "Save card to share (PNG)", "image/png", picture
    yield "json", "Save numbers (JSON)", "application/json", text.encode()


def _page(report: Report, models: Mapping[str, Any]) -> str:
    """Write the report on the faces that were read; those not picked yet are left out."""
    read = tuple(one for one in report.readings if one.prediction or one.face.problem)
    file = io.StringIO(newline="")
    with HtmlWriter(file, models) as writer:
        writer.add(replace(report, readings=read))
        writer.finish()
    return file.getvalue()
