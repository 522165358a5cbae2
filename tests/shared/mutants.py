"""Files broken in seeded ways, and strings that want to be markup."""

import json
import random
import struct
import zipfile
from collections.abc import Iterator
from io import BytesIO

MARKUP = (
    "<script>alert(7)</script>", "\"><img src=x onerror=alert(7)>", "'><svg/onload=alert(7)>",
    "</title><script>alert(7)</script>", "<!--", "]]>", "&lt;b&gt;", "javascript:alert(7)",
    "{{7*7}}", "${7*7}", "`id`", "\u202egpj.exe", "a\x00b", "\x1b[31m", "=cmd|' /C calc'!A0",
    "](javascript:alert(7))", "| a | b |\n|--|--|", "\udcff\udc80", "\U0001f468\u200d\U0001f469",
)  # fmt: skip
VALUES = (
    None, True, [], {}, "", 0, -1, 1e308, -1e308, 2**63, 2**200, 1e-320, "NaN", [[[]]], {"a": {}},
    "x" * 5000, *MARKUP[:4],
)  # fmt: skip
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(data: bytes, rng: random.Random, text: bool) -> bytes:
    """One file, broken in one to four ways."""
    for _ in range(rng.randint(1, 4)):
        change = rng.choice([*BYTES, *(TEXTS if text else ())])
        data = change(data, rng)
    return data


def _place(data, rng):
    """Anywhere, but every second time in the head, where the structure is."""
    return rng.randrange(max(len(data), 1) if rng.random() < 0.5 else min(len(data), 200) or 1)


def flip(data, rng):
    made = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 3, 20))):
        made[_place(data, rng) % len(made)] ^= 1 << rng.randrange(8)
    return bytes(made)


def number(data, rng):
    at, form = _place(data, rng), rng.choice("<>") + rng.choice("BHI")
    size = struct.calcsize(form)
    value = rng.choice(NUMBERS) % (1 << 8 * size)
    return data[:at] + struct.pack(form, value) + data[at + size :]


def cut(data, rng):
    return data[: _place(data, rng)]


def double(data, rng):
    start = _place(data, rng)
    piece = data[start : start + rng.choice((1, 8, 64, 4000))]
    return data[:start] + piece * rng.choice((2, 3, 50)) + data[start + len(piece) :]


def insert(data, rng):
    at = _place(data, rng)
    return data[:at] + rng.randbytes(rng.choice((1, 4, 100))) + data[at:]


def zeros(data, rng):
    at, many = _place(data, rng), rng.choice((1, 4, 100, 5000))
    return data[:at] + bytes(len(data[at : at + many])) + data[at + many :]


def swap(data, rng):
    a, b = sorted((_place(data, rng), _place(data, rng)))
    return data[:a] + data[b:] + data[a:b]


def markup(data, rng):
    at = _place(data, rng)
    return data[:at] + rng.choice(MARKUP).encode("utf-8", "surrogateescape") + data[at:]


def separators(data, rng):
    old, new = rng.sample((b",", b";", b'"', b"\n", b"\r", b"\t", b"{", b"[", b":"), 2)
    return data.replace(old, new, rng.choice((1, 5, -1)))


def deep(data, rng):
    return rng.choice((b"[", b'{"a":')) * 100_000 + data


def values(data, rng):
    """JSON whose structure stays and whose values do not."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return flip(data, rng)
    places = [(holder, key) for holder, key in _holders(tree)]
    for holder, key in rng.sample(places, min(len(places), rng.choice((1, 1, 3)))):
        if rng.random() < 0.2 and isinstance(holder, dict):
            holder.pop(key, None)
        else:
            holder[key] = rng.choice(VALUES)
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _holders(tree) -> Iterator[tuple]:
    keys = (
        tree.keys() if isinstance(tree, dict) else range(len(tree) if isinstance(tree, list) else 0)
    )
    for key in list(keys):
        yield tree, key
        yield from _holders(tree[key])


BYTES = (flip, number, cut, double, insert, zeros, swap)
TEXTS = (markup, separators, deep, values, values, values)


def inside(data: bytes, rng: random.Random) -> bytes:
    """A ZIP whose members are broken, and not it."""
    file = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for place, info in enumerate(old.infolist()):
            name = rng.choice((info.filename, f"{place}{rng.choice(MARKUP)}".replace("\0", "0")))
            new.writestr(
                name.encode(errors="replace").decode(), mutated(old.read(info), rng, False)
            )
    return file.getvalue()
