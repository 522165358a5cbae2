"""Where a remote model is served, on what terms it is asked, and whether it may be asked at all."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import urlsplit

from ferce.models.prompts import TEMPLATES
from ferce.models.spec import Spec, quoted

ALLOW = "FERCE_ALLOW_REMOTE"  # "1" lets photos leave this machine
TOKEN = "FERCE_REMOTE_TOKEN"  # sent to whatever server is named
HUB_TOKEN = "HF_TOKEN"  # sent to hosts of Hugging Face only
# Inference providers, dedicated endpoints and Spaces: where a Hub token is at home.
HUB_HOSTS = ("huggingface.co", "huggingface.cloud", "hf.co", "hf.space")
FORM = "remote:http://host:8000/v1#model"
_DIGITS = 9  # of a whole number among the options


@dataclass(frozen=True)
class Terms:
    """Options of a spec, `remote:http://host/v1#model?allow=1&workers=16`.

    Attributes:
        allow: 1 lets the cropped face be sent to the server.
        timeout: seconds that one try may go without a sign of the server.
        deadline: seconds for one reply, all tries and waits together.
        tries: how often one request is made at most.
        workers: requests under way at the same time, 1 to 64.
        orders: orders in which the lettered labels are shown, 3 to 14; see `letters`.
        template: how an explanation is asked for, a key of `prompts.TEMPLATES`.
    """

    allow: int = 0
    timeout: float = 60.0
    deadline: float = 180.0
    tries: int = 5
    workers: int = 8
    orders: int = 4
    template: str = "plain"

    def __post_init__(self) -> None:
        for name, low, high in (("allow", 0, 1), ("tries", 1, 100), ("workers", 1, 64)):
            _require_within(name, getattr(self, name), low, high)
        _require_within("orders", self.orders, 3, 14)
        for name in ("timeout", "deadline"):
            _require_within(name, getattr(self, name), 0.001, 86_400)
        if self.template not in TEMPLATES:
            raise ValueError(f"template must be one of {', '.join(TEMPLATES)}.")

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> Self:
        """Parse a spec's options; raises ValueError for one that is unknown."""
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in options if name not in known]:
            # The value is not repeated: it may be a secret put there by mistake.
            raise ValueError(
                f"Unknown option {quoted(unknown[0])} of a remote model; it knows "
                f"{', '.join(known)}; a token is read from {TOKEN} only."
            )
        values: dict[str, Any] = {name: _KINDS[name](name, text) for name, text in options.items()}
        return cls(**values)


@dataclass(frozen=True)
class Endpoint:
    """A served model: base address such as http://host:8000/v1, model name, and bearer token."""

    url: str
    model: str
    token: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, spec: Spec, environ: Mapping[str, str]) -> Self:
        """Parse the endpoint that `spec` names; the token comes from the environment alone.

        Raises:
            ValueError: the spec is not of the form `FORM`, or the token is no token.
        """
        url, _, model = spec.where.partition("#")
        if not _has_host(url) or not model:
            raise ValueError(
                f"Expected a remote model as {FORM}; got {quoted(_shown(spec.where))}."
            )
        parts = urlsplit(url)
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                f"The address of a remote model must hold no user or password; set {TOKEN} instead."
            )
        return cls(url, model, _token(parts.scheme, parts.hostname or "", environ))

    @property
    def place(self) -> str:
        """Scheme, host and port, as errors name the server."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def require_consent(endpoint: Endpoint, terms: Terms, environ: Mapping[str, str]) -> None:
    """Refuse to go on unless the user said that photos may leave this machine.

    A server on this very machine needs it as well: it may be a tunnel.

    Raises:
        ValueError: neither the environment nor the spec allows it.
    """
    if terms.allow or environ.get(ALLOW) == "1":
        return
    raise ValueError(
        f"The cropped face would leave this machine for {endpoint.place}; if the people in the "
        f"photos agree, set {ALLOW}=1 or add ?allow=1 to the spec."
    )


def _token(scheme: str, host: str, environ: Mapping[str, str]) -> str | None:
    """Choose the token for this host; a Hub token never goes to a stranger, nor in the clear."""
    name, token = TOKEN, environ.get(TOKEN, "").strip()
    at_hub = any(host == home or host.endswith(f".{home}") for home in HUB_HOSTS)
    if not token and at_hub and scheme == "https":
        name, token = HUB_TOKEN, environ.get(HUB_TOKEN, "").strip()
    if not all("!" <= char <= "~" for char in token):
        raise ValueError(f"{name} must be one word of ASCII characters; set it to a token.")
    return token or None


def _has_host(url: str) -> bool:
    """Tell whether the address is one of the web, with a host and no blanks."""
    try:
        parts = urlsplit(url)
        web = parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:  # an odd port, a bracket that does not close
        return False
    return web and bool(parts.hostname) and not any(c.isspace() for c in url)


def _shown(where: str) -> str:
    """Show the address without what stands before an "@", which may be a password."""
    head, at, rest = where.partition("@")
    return f"{head.partition('://')[0]}://...@{rest}" if at and "://" in head else where


def _require_within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in {low:g}..{high:g}; got {value:g}.")


def _whole(name: str, text: str) -> int:
    if not text.isdecimal() or len(text) > _DIGITS:
        raise ValueError(f"{name} must be a whole number; got {quoted(text)}.")
    return int(text)


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a number of seconds; got {quoted(text)}.")
    return value


def _word(name: str, text: str) -> str:
    del name
    return text


_KINDS: MappingProxyType[str, Callable[[str, str], Any]] = MappingProxyType(
    {
        "allow": _whole,
        "timeout": _seconds,
        "deadline": _seconds,
        "tries": _whole,
        "workers": _whole,
        "orders": _whole,
        "template": _word,
    }
)
