"""One served model over the OpenAI chat protocol: a picture and a prompt in, text or tokens out."""

import base64
import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError, OfflineModeIsEnabled

# httpx 0.28 in huggingface_hub 1, httpx2 in 2
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

from ferce.core.types import Pixels
from ferce.models.remote.endpoint import TOKEN, Endpoint
from ferce.models.remote.letters import Top
from ferce.models.remote.retry import Again, Patience, RemoteError, retry_after

MANY, FEW = 20, 5  # tokens listed at a place: what vLLM and OpenAI allow, and what TGI allows
MAX_WORDS = 200  # characters of the server's own words that an error repeats
_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})  # 529: overloaded, Anthropic
_REFUSED_OPTION = (400, 422)
_MALFORMED = (
    "sent something that is not a chat completion; check that it speaks the OpenAI protocol"
)


@dataclass(frozen=True)
class Ask:
    """One picture, (S, S, 3) uint8 RGB, with a prompt, and how many tokens may answer it."""

    crop: Pixels
    prompt: str
    limit: int

    def body(self) -> dict[str, Any]:
        """Build the request; the picture stands first, so that a server may cache it."""
        picture = {"type": "image_url", "image_url": {"url": data_url(self.crop)}}
        content = [picture, {"type": "text", "text": self.prompt}]
        messages = [{"role": "user", "content": content}]
        return {"messages": messages, "max_tokens": self.limit, "temperature": 0.0}


class Server:
    """A client of an endpoint that retries; may be used from many threads."""

    def __init__(self, endpoint: Endpoint, patience: Patience) -> None:
        self.endpoint = endpoint
        self.patience = patience
        self._top = MANY

    @property
    def who(self) -> str:
        """How errors call the server."""
        return f"The server at {self.endpoint.place}"

    def text(self, ask: Ask) -> str:
        """Request the answer, stripped.

        Raises:
            RemoteError: there is none.
        """
        reply = self._whole(ask, {})
        with self._clear():
            text = reply.choices[0].message.content
            stripped = text.strip() if text is not None else ""
        if not stripped:
            raise RemoteError(f"{self.who} gave an empty answer; ask otherwise or another model.")
        return str(stripped)

    def first_token(self, ask: Ask) -> Top:
        """Request the most probable first tokens with their log-probabilities.

        Raises:
            RemoteError: the server gives none.
        """
        top = self._top
        try:
            return self._listed(self._whole(ask, {"logprobs": True, "top_logprobs": top}))
        except RemoteError as error:
            if error.status not in _REFUSED_OPTION or top == FEW:
                raise
        self._top = FEW
        return self._listed(self._whole(ask, {"logprobs": True, "top_logprobs": FEW}))

    def stream(self, ask: Ask) -> Iterator[str]:
        """Stream the pieces of the answer, the first without white space before it.

        Requests are repeated until the first piece has come, not after. Leaving the iterator
        closes the connection.

        Raises:
            RemoteError: there is no answer, or it broke off.
        """
        ends = self.patience.clock() + self.patience.deadline
        client, first, rest = self.patience.insist(self.who, lambda left: self._opened(ask, left))
        try:
            yield first
            while (piece := self._next(rest)) is not None:
                if self.patience.clock() > ends:
                    raise RemoteError(
                        f"{self.who} was still answering after {self.patience.deadline:g} s; "
                        "give more with ?deadline=seconds."
                    )
                yield piece
        finally:
            client.close()

    def _whole(self, ask: Ask, wanted: Mapping[str, Any]) -> Any:
        """Request one completion."""

        def attempt(left: float) -> Any:
            with self._client(left) as client, self._clear():
                return client.chat_completion(model=self.endpoint.model, **ask.body(), **wanted)

        return self.patience.insist(self.who, attempt)

    def _client(self, left: float) -> Any:
        """Open a client for one request: closing it is the only way to close a stream."""
        token = self.endpoint.token
        # Without a token of its own the client would send the one of the user's Hub login.
        headers: Any = None if token else {"authorization": None}
        return InferenceClient(
            base_url=self.endpoint.url, api_key=token, timeout=left, headers=headers
        )

    def _opened(self, ask: Ask, left: float) -> tuple[Any, str, Iterator[str]]:
        client = self._client(left)
        try:
            with self._clear():
                chunks = client.chat_completion(
                    model=self.endpoint.model, stream=True, **ask.body()
                )
                pieces = _pieces(chunks)
                first = next(pieces, None)
            if first is None:
                raise RemoteError(f"{self.who} gave an empty answer; ask otherwise.")
        except BaseException:
            client.close()
            raise
        return client, first, pieces

    def _next(self, pieces: Iterator[str]) -> str | None:
        try:
            with self._clear():
                return next(pieces, None)
        except Again as again:
            raise RemoteError(
                f"{self.who} {again.why}, and its answer broke off in the middle; ask again."
            ) from None

    def _listed(self, reply: Any) -> Top:
        with self._clear():
            logprobs = reply.choices[0].logprobs
            content = logprobs.content if logprobs else None
            if not content:
                raise RemoteError(
                    f"{self.who} gives no log-probabilities, so {self.endpoint.model} cannot be a "
                    "classifier there; use it as a voice, or a server such as vLLM."
                )
            first = content[0]
            listed = [(str(item.token), float(item.logprob)) for item in first.top_logprobs or ()]
            if first.token not in dict(listed):  # a server may list none, or not the one it took
                listed.append((str(first.token), float(first.logprob)))
            if not all(logprob <= 0.01 for _, logprob in listed):  # a little rounding, and no NaN
                raise ValueError("a logarithm of a probability is not positive")
        return listed

    @contextmanager
    def _clear(self) -> Iterator[None]:
        """Turn whatever the client raises into `Again` or a `RemoteError`.

        The original is left out of the traceback (`from None`): it may hold headers or the
        server's words with the token in them.
        """
        try:
            yield
        except (Again, RemoteError):
            raise
        except OfflineModeIsEnabled:
            raise RemoteError(
                f"{self.who} may not be asked while HF_HUB_OFFLINE is set; unset it."
            ) from None
        except (InferenceTimeoutError, httpx.TimeoutException):
            raise Again("did not answer in time") from None
        except HfHubHTTPError as error:
            raise self._fault(error) from None
        except httpx.TransportError:
            raise Again("cannot be reached or broke off") from None
        except httpx.HTTPError:  # an error sent as an event of a stream
            raise Again("failed while it answered") from None
        except Exception:  # what a parser meets in a reply: ValueError, AttributeError, KeyError...
            raise RemoteError(f"{self.who} {_MALFORMED}.") from None

    def _fault(self, error: HfHubHTTPError) -> Again | RemoteError:
        """Explain an HTTP status to the user."""
        status = error.response.status_code
        if status in _TRANSIENT:
            wait = retry_after(error.response.headers.get("retry-after"), time.time())
            return Again(f"answered {_named(status)}", wait)
        advice = self._advice(status)
        words = "" if status in (401, 403) else self._words(error.response)
        return RemoteError(f"{self.who} answered {_named(status)}{words}; {advice}.", status)

    def _advice(self, status: int) -> str:
        if status in (401, 403):
            return f"set {TOKEN} to a {'valid ' if self.endpoint.token else ''}token"
        if status == 404:
            return f"check the address and the model {self.endpoint.model!r}"
        if status == 413:
            return "it takes no picture of this size"
        return "check that the model takes pictures and what was asked"

    def _words(self, response: Any) -> str:
        """Quote what the server says itself, on one line, without token and picture."""
        words = " ".join(_message(response).split())
        if self.endpoint.token:
            words = words.replace(self.endpoint.token, "***")
        words = words.partition("data:image")[0].replace(". ", "; ").rstrip("; .")
        shown = "".join(char for char in words if char.isprintable())[:MAX_WORDS]
        return f' and says "{shown}"' if shown else ""


def data_url(crop: Pixels) -> str:
    """Encode the picture as a PNG in a data URL: its pixels, nothing about the photo."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(crop).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _pieces(chunks: Any) -> Iterator[str]:
    """Read the texts of a stream, without empty ones and without white space before the first."""
    begun = False
    for chunk in chunks:
        piece = chunk.choices[0].delta.content if chunk.choices else None
        shown = (piece or "") if begun else (piece or "").lstrip()
        begun = begun or bool(shown)
        if shown:
            yield shown


def _message(response: Any) -> str:
    """Read the error of OpenAI {"error": {"message"}}, TGI {"error"} or FastAPI {"detail"}."""
    try:
        data = response.json()
    except (ValueError, RecursionError):
        return ""  # a proxy's page says nothing to a user
    for key in ("error", "message", "detail"):
        data = data.get(key, data) if isinstance(data, dict) else data
    return data if isinstance(data, str) else ""


def _named(status: int) -> str:
    known = {item.value: item.phrase for item in HTTPStatus}
    return f"{status} ({known[status]})" if status in known else str(status)
