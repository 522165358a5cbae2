"""Text as it is generated: from a worker thread of torch, or from ids as they come."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any


def stream(produce: Callable[[Any, Any], object], tokenizer: Any) -> Iterator[str]:
    """Stream the text that `produce` generates; joined, the pieces are the whole.

    Leaving the iterator early stops the generation at its next token. An error of the worker is
    raised here, after the pieces it had made.

    Args:
        produce: called in a thread with a streamer and stopping criteria for `generate`.
        tokenizer: turns ids into text.
    """
    from transformers import StoppingCriteriaList, TextIteratorStreamer

    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    stop, failures = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            produce(streamer, StoppingCriteriaList([_halt(stop)]))
        except BaseException as error:  # handed to the reader, who would wait for ever otherwise
            failures.append(error)
            streamer.text_queue.put(streamer.stop_signal)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        yield from _trimmed(streamer)
    finally:
        stop.set()
        worker.join()
    if failures:
        raise failures[0]


def pieces(ids: Iterator[int], text_of: Callable[[Sequence[int]], str]) -> Iterator[str]:
    """Stream the text of ids as they come, word by word; joined, the pieces are the whole."""
    return _trimmed(_words(ids, text_of))


def _words(ids: Iterator[int], text_of: Callable[[Sequence[int]], str]) -> Iterator[str]:
    """Give what of the text no further id can change: all up to its last space."""
    known, shown, text = list[int](), 0, ""
    for number in ids:
        known.append(number)
        text = text_of(known)
        safe = text.rfind(" ") + 1
        yield text[shown:safe]
        shown = max(shown, safe)
    yield text[shown:]


def _trimmed(pieces: Iterator[str]) -> Iterator[str]:
    """Drop the white space before the text and empty pieces."""
    begun = False
    for piece in pieces:
        shown = piece if begun else piece.lstrip()
        begun = begun or bool(shown)
        if shown:
            yield shown


def _halt(stop: threading.Event) -> Callable[..., Any]:
    """Make a stopping criterion that ends every row once `stop` is set."""
    import torch

    def halted(ids: Any, scores: Any, **kwargs: Any) -> Any:
        del scores, kwargs
        return torch.full((len(ids),), stop.is_set(), dtype=torch.bool, device=ids.device)

    return halted
