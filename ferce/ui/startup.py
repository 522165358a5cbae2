"""A lean import of Gradio: without what it does for its own developers, or for what is not served.

As each component's class is made, Gradio 6.31 parses its source and rewrites the stub file beside
it, which takes a third of the whole import; and it imports `mcp` wherever that is installed.
"""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_METACLASS = "gradio.component_meta"  # the module that writes stubs
_WRITER = "create_or_modify_pyi"  # its function for that


@contextmanager
def lean(without: Sequence[str] = ()) -> Iterator[None]:
    """Import Gradio in the block without stub files, and without these packages.

    Garbage is not collected meanwhile: what is imported stays.
    """
    finder = _Finder(without)
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        gc.enable()
        gc.freeze()


class _Finder(MetaPathFinder):
    def __init__(self, without: Sequence[str]) -> None:
        self._without = frozenset(without)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in self._without:
            raise ModuleNotFoundError(f"{name} is left out of this start", name=name)
        spec = PathFinder.find_spec(name, path, target) if name == _METACLASS else None
        if spec is not None and spec.origin is not None:
            spec.loader = _WithoutStubs(name, spec.origin)
        return spec


class _WithoutStubs(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        setattr(module, _WRITER, _leave)


def _leave(*_: object) -> None:
    """Leave a component's stub file as it is."""
