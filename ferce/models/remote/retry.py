"""How long and how often a server is asked: time-outs, a deadline, and waits that grow."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

from ferce.core.types import ReadingError

T = TypeVar("T")


class RemoteError(ReadingError):
    """An error in one sentence: what the server did, what to do; never a token.

    `status` is the HTTP status where there was one.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Again(Exception):  # noqa: N818 - becomes a RemoteError once patience is at its end
    """A try that failed and may be repeated.

    `why` ends a sentence that begins with the server; `wait` is how many seconds the server asked
    to stay away, None where it did not say.
    """

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.wait = wait


@dataclass(frozen=True)
class Patience:
    """A retry policy with exponential back-off and full jitter (Brooker 2015, AWS Blog).

    Before try k + 1 it waits a random time between 0 and `base` * 2^k seconds, at most `cap`; a
    server that says how long to wait is heeded to the second, with up to `base` more so that
    callers do not all return at once.

    Attributes:
        timeout: seconds that one try may go without a sign of the server.
        deadline: seconds for one reply, all tries and waits together; looked at before each try
            and each piece of a stream, so a reply that only drips in may take longer.
        tries: at least 1.
        base: seconds, the longest first wait.
        cap: seconds, the longest wait of our own choice.
        sleep: waits some seconds; tests inject their own, as they do the next two.
        clock: seconds that never go back.
        chance: a random number 0..1.
    """

    timeout: float = 60.0
    deadline: float = 180.0
    tries: int = 5
    base: float = 0.5
    cap: float = 20.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        for name in ("timeout", "deadline", "tries"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be positive; got {getattr(self, name):g}")

    def wait(self, tried: int, asked: float | None) -> float:
        """Compute the wait in seconds after `tried` failures; the server asked for `asked`."""
        if asked is not None:
            return asked + self.base * self.chance()
        return min(self.cap, self.base * 2.0 ** (tried - 1)) * self.chance()

    def insist(self, who: str, attempt: Callable[[float], T]) -> T:
        """Call `attempt` until it does not raise `Again`.

        Args:
            who: begins the sentence of an error: "The server at http://host".
            attempt: called with the seconds that it may take.

        Raises:
            RemoteError: tries or time are used up.
        """
        ends = self.clock() + self.deadline
        for tried in range(1, self.tries + 1):
            left = ends - self.clock()
            try:
                return attempt(max(0.001, min(self.timeout, left)))
            except Again as again:
                self._pause(who, again, tried, ends)
        raise AssertionError("the last pause raises")

    def _pause(self, who: str, again: Again, tried: int, ends: float) -> None:
        """Wait for the next try, or raise because there will be none."""
        times = "once" if tried == 1 else f"{tried} times"
        if tried >= self.tries:
            raise RemoteError(f"{who} {again.why} and was asked {times}; try later.") from None
        wait = self.wait(tried, again.wait)
        if wait >= ends - self.clock():
            asked = f" and asks to wait {again.wait:g} s" if again.wait is not None else ""
            raise RemoteError(
                f"{who} {again.why}{asked}, and {self.deadline:g} s are not enough for another try "
                f"after {tried}; try later or give more with ?deadline=seconds."
            ) from None
        self.sleep(wait)


def retry_after(text: str | None, now: float) -> float | None:
    """Parse the seconds of a Retry-After header (RFC 9110, 10.2.3); None when it says nothing.

    Args:
        text: whole seconds, or a date.
        now: seconds since 1970, for a date.
    """
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None
