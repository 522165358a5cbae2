"""What the operator decides: every setting of the app, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ferce.models import PACKAGED

_HERE = "127.0.0.1"
_PORT = 7860  # what Gradio and Spaces expect
_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Settings:
    """How the app runs.

    Attributes:
        host: Address the server binds.
        port: Port of the server, 1..65535.
        classifier: Spec of the classifier; None for the one that `ferce.Reader` takes by itself.
        voice: Spec of the voice; None likewise.
        device: "auto", "cpu", "cuda" or "cuda:N".
        readme: The README whose text the page shows under "About".
        examples: Folder of the example photographs; may be empty or missing.
        max_megabytes: Largest upload, in MiB.
        keep_seconds: Uploads older than this are deleted from the temporary folder.
        readers: How many photographs are read at the same time.
        models: Specs of further classifiers that the page offers, each a voice too if it can be.
        allow_any: Whether anybody may load models of the Hub by their id.
        max_photos: How many photographs one batch may hold.
        max_faces: How many faces of a photograph or frame are read, the largest.
        max_seconds: How long a clip may be, in seconds.
        results: Folder of evaluations (`train/evaluate.py`); may be empty or missing.
        mcp: Whether the endpoints are served to language models as well.
    """

    host: str = _HERE
    port: int = _PORT
    classifier: str | None = None
    voice: str | None = None
    device: str = "auto"
    readme: Path = _ROOT / "README.md"
    examples: Path = _ROOT / "ferce" / "data" / "demo" / "examples"
    max_megabytes: int = 40
    keep_seconds: int = 600
    readers: int = 2
    models: tuple[str, ...] = PACKAGED
    allow_any: bool = False
    max_photos: int = 100
    max_faces: int = 100
    max_seconds: int = 60
    results: Path = _ROOT / "runs"
    mcp: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ValueError(f"the port must lie in 1..65535; got {self.port}")
        for name in (
            "max_megabytes",
            "keep_seconds",
            "readers",
            "max_photos",
            "max_faces",
            "max_seconds",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read the settings from environment variables; what is not set keeps its default.

        Raises:
            ValueError: A variable does not hold what it should; the message names it.
        """
        on_space = bool(variables.get("SPACE_ID"))
        return cls(
            host=variables.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_space else _HERE),
            port=_whole(variables, "GRADIO_SERVER_PORT", _PORT),
            classifier=variables.get("FERCE_CLASSIFIER") or None,
            voice=variables.get("FERCE_VOICE") or None,
            device=variables.get("FERCE_DEVICE") or "auto",
            max_megabytes=_whole(variables, "FERCE_MAX_MEGABYTES", cls.max_megabytes),
            keep_seconds=_whole(variables, "FERCE_KEEP_SECONDS", cls.keep_seconds),
            readers=_whole(variables, "FERCE_READERS", cls.readers),
            models=tuple(variables.get("FERCE_MODELS", " ".join(PACKAGED)).split()),
            allow_any=_switch(variables, "FERCE_ALLOW_ANY_MODEL"),
            max_photos=_whole(variables, "FERCE_MAX_PHOTOS", cls.max_photos),
            max_faces=_whole(variables, "FERCE_MAX_FACES", cls.max_faces),
            max_seconds=_whole(variables, "FERCE_MAX_SECONDS", cls.max_seconds),
            results=Path(variables.get("FERCE_RESULTS") or cls.results),
            mcp=_switch(variables, "FERCE_MCP"),
        )


def _switch(variables: Mapping[str, str], name: str) -> bool:
    text = variables.get(name) or "0"
    if text not in ("0", "1"):
        raise ValueError(f"{name} must be 1 (on) or 0 (off); got {text!r}")
    return text == "1"


def _whole(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name) or str(default)
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} must be a whole number; got {text!r}") from None
