"""JSON from outside: whatever is wrong with it is a ValueError."""

import json
from typing import Any


def parse(text: str | bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: it is none, or so deeply nested that Python gives up.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
