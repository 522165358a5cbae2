"""The raw numbers: the JSON of the photograph, to look at and to download."""

import base64
import json
from pathlib import PurePath
from typing import Any

from ferce.ui import markup


def draw(document: dict[str, Any]) -> str:
    """The download link and the JSON; the file is inside the link, so nothing is stored."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    data = base64.b64encode(text.encode()).decode()
    name = f"{PurePath(document['photos'][0]['photo']).stem}.ferce.json"
    return (
        f'<div class="raw"><a class="download" download="{markup.text(name)}" '
        f'href="data:application/json;base64,{data}">Download JSON</a>'
        '<details><summary>Show JSON</summary><pre tabindex="0">'
        f"{markup.text(text)}</pre></details></div>"
    )
