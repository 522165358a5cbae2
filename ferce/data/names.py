"""Label and split names as people write them, mapped to ours or refused."""

import re

from ferce.core import labels
from ferce.data.record import SPLITS, DataError

_NUMBERED = re.compile(r"^\d+[\s._-]+(?=\D)")  # folders are often called "03_sadly angry"
_NOUNS = {noun: basic for basic, noun in labels.NOUNS.items()} | {
    "surprise": "surprised",
    "disgust": "disgusted",
}
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def label(name: str) -> str:
    """The label meant: "Happily_Surprised", "03 sadly angry", "anger".

    Raises:
        DataError: no label is meant; the message lists the known ones.
    """
    bare = _NUMBERED.sub("", name.strip())
    try:
        return labels.parse(_NOUNS.get(bare.lower(), bare))
    except ValueError as error:
        raise DataError(str(error)) from error


def is_split(name: str) -> bool:
    """Whether a folder or column value names a split."""
    return name.strip().lower() in _SPLITS


def split(name: str) -> str:
    """One of `SPLITS`; raises `DataError` for anything else."""
    known = _SPLITS.get(name.strip().lower())
    if known is None:
        raise DataError(
            f"A split is one of {', '.join(SPLITS)} (or a usual spelling); got {name!r}."
        )
    return known
