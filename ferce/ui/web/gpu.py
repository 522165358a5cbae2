"""GPUs that a Space lends for the length of a call (ZeroGPU); elsewhere all stays as it is.

On such a Space the package `spaces` runs a function in a forked process that has the GPU, pickles
what goes in and comes out, and stops the Space at its start where no function asks for one.
"""

import copyreg
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import gradio as gr

from ferce.core.protocols import OnDevice
from ferce.core.types import ReadingError
from ferce.models import spec

if TYPE_CHECKING:
    from ferce.reading.pipeline import Reader

# Calls of a reader that compute with its models -> seconds for which each may keep the GPU.
CALLS = {"predict": 60, "stream": 120, "locate": 60, "answer": 60, "explain": 120}
LARGE = ("blip2", "blip-vqa", "chat")  # kinds that are worth a GPU; the others do well without


def announce() -> None:
    """Tell the Space that GPUs will be asked for; to be called before torch is imported."""
    _lent(_nothing, 1)


def device_of(name: str, wanted: str) -> str:
    """Choose the device of a model: small ones stay on the CPU where GPUs are lent by the call.

    Args:
        name: spec of the model.
        wanted: "auto", or a device, which stands.
    """
    lends = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
    return "cpu" if lends and wanted == "auto" and spec.parse(name).kind not in LARGE else wanted


def borrowing(reader: "Reader") -> "Reader":
    """Let the calls of a reader with a model on a GPU borrow one; returns the reader."""
    models = (reader.classifier, reader.voice)
    if any(isinstance(m, OnDevice) and str(m.device).startswith("cuda") for m in models):
        for name, seconds in CALLS.items():
            setattr(reader, name, _borrowed(getattr(reader, name), seconds))
    return reader


def _lent(task: Callable[..., Any], seconds: int) -> Callable[..., Any]:
    """Mark a task as one that needs a GPU; without the package `spaces` it is returned as it is."""
    if find_spec("spaces") is None:
        return task
    import spaces

    return spaces.GPU(task, duration=seconds)  # type: ignore[no-any-return]


def _borrowed(call: Callable[..., Any], seconds: int) -> Callable[..., Any]:
    """Run a call on a borrowed GPU; its errors stay the sentences that they are.

    Of an error in its own process `spaces` tells the class alone, unless it is Gradio's.
    """
    if inspect.isgeneratorfunction(call):

        def parts(*given: Any, **options: Any) -> Iterator[Any]:
            with _packed():
                yield from call(*given, **options)

        lent_parts = _lent(parts, seconds)

        @wraps(call)
        def stream(*given: Any, **options: Any) -> Iterator[Any]:
            with _unpacked():
                yield from lent_parts(*given, **options)

        return stream

    def task(*given: Any, **options: Any) -> Any:
        with _packed():
            return call(*given, **options)

    lent = _lent(task, seconds)

    @wraps(call)
    def result(*given: Any, **options: Any) -> Any:
        with _unpacked():
            return lent(*given, **options)

    return result


@contextmanager
def _packed() -> Iterator[None]:
    try:
        yield
    except (ReadingError, ValueError) as error:
        raise gr.Error(str(error), print_exception=False) from error


@contextmanager
def _unpacked() -> Iterator[None]:
    try:
        yield
    except gr.Error as error:
        raise ReadingError(error.message) from error


def _nothing() -> None:
    """Stand for the readers, which are loaded after the start."""


def _read_only(values: dict[Any, Any]) -> "MappingProxyType[Any, Any]":
    return MappingProxyType(values)


# Faces and readings hold such mappings, which pickle does not know.
copyreg.pickle(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))
