"""Doors that Gradio 6.31 leaves open, and uploads that it leaves lying.

An address in place of an upload is fetched by the server, of any size, and
`/gradio_api/file=http://…` passes on what lies there. ferce needs neither, so nothing is fetched.
Only where language models are served (MCP) a photo may come by its address: of a public machine,
and as large as an upload. Of an upload that broke off the part that came is deleted. Routes that
the page does not use are not there: among them are some that hand a visitor's file to FFmpeg, keep
what a page shows, print what a visitor sent, or count the visits.
"""

import asyncio
import ipaddress
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import safehttpx

SECONDS = 60.0  # until an address must have given its photo
_FETCHED = re.compile(r"/file=\s*https?:", re.IGNORECASE)
_UNUSED = re.compile(
    r"[^=]*/(?:proxy=|file/|custom_component/|dev/|deep_link|process_recording|vibe-|runs|"
    r"run-history/|monitoring|profiling/)"
)
_CLOSED = "This server fetches nothing by its address; upload the file."
_MISSING = "There is nothing here."
# IPv6 outside of the first, and within the second, may lead to an IPv4 address of any kind.
_UNICAST, _6TO4 = ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("2002::/16")
_Message = MutableMapping[str, Any]
_EVERY = 60.0  # seconds between two looks, at most


def shut(fetches: bool, most: int) -> None:
    """Set what Gradio fetches addresses with.

    Args:
        fetches: whether anything is fetched.
        most: largest answer in bytes.
    """
    from gradio import processing_utils

    processing_utils.async_transport = Fetching(most if fetches else 0)


class Fetching(httpx.AsyncBaseTransport):
    """Fetches from public machines, at most so many bytes; nothing where that is 0."""

    def __init__(self, most: int) -> None:
        self.most = most

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Fetch one address; redirects come here as requests of their own.

        Raises:
            httpx.UnsupportedProtocol: nothing is fetched, or not from there.
        """
        if not self.most:
            raise httpx.UnsupportedProtocol(_CLOSED)
        transport = safehttpx.AsyncSecureTransport(await public(request.url.host))
        answer: httpx.Response = await transport.handle_async_request(request)
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        answer.stream = Limited(answer.stream, self.most, transport)
        return answer


class Limited(httpx.AsyncByteStream):
    """An answer that breaks off where it is too large or too slow."""

    def __init__(
        self, stream: httpx.AsyncByteStream, most: int, transport: httpx.AsyncBaseTransport
    ) -> None:
        self.stream, self.left, self.transport = stream, most, transport
        self.end = time.monotonic() + SECONDS

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.stream:
            self.left -= len(piece)
            if self.left < 0 or time.monotonic() > self.end:
                raise httpx.ReadError("The file at this address is too large, or comes too slowly.")
            yield piece

    async def aclose(self) -> None:
        """Close the connection."""
        await self.stream.aclose()
        await self.transport.aclose()


async def public(host: str) -> str:
    """Resolve a name, all of whose addresses must be public, to the first of them.

    Raises:
        httpx.UnsupportedProtocol: one of them lies within this machine or its network.
    """
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(host, None)
    except OSError as error:
        raise httpx.ConnectError(f"There is no machine {host}.") from error
    found = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in rows]
    if not found or not all(map(_is_public, found)):
        raise httpx.UnsupportedProtocol(f"{host} is no public machine, so nothing is fetched.")
    return str(found[0])


def _is_public(one: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(one, ipaddress.IPv6Address) and (one not in _UNICAST or one in _6TO4):
        return False
    return one.is_global and not one.is_multicast


class Shut:
    """Refuses requests for what lies at an address elsewhere, and routes that are not used."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """Answer 403 or 404, or hand on."""
        path = scope["path"] if scope["type"] == "http" else ""
        if _FETCHED.search(path):
            await _answer(send, 403, _CLOSED)
        elif _UNUSED.match(path):
            await _answer(send, 404, _MISSING)
        else:
            await self.app(scope, receive, send)


async def _answer(send: Callable[[_Message], Awaitable[None]], status: int, words: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words.encode()})


def start_sweeps(seconds: float) -> None:
    """Delete in the background what has not grown for so many seconds, until the program ends."""
    from gradio.utils import get_upload_folder

    def work() -> None:
        while True:
            time.sleep(min(_EVERY, seconds))
            sweep(Path(get_upload_folder()), seconds)

    threading.Thread(target=work, name="ferce-leftovers", daemon=True).start()


def sweep(folder: Path, seconds: float) -> None:
    """Delete parts of uploads in `folder`; a whole one is moved to a folder of its own at once."""
    for path in folder.glob("tmp*"):
        with suppress(OSError):  # it has just been finished, or is somebody else's
            if path.is_file() and time.time() - path.lstat().st_mtime > seconds:
                path.unlink()
