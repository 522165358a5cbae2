"""Real faces in two halves by person: a network learns from one, readers from the other."""

import hashlib


def half(subject: str) -> int:
    """0 or 1, the same on every run and machine."""
    return hashlib.sha256(subject.encode()).digest()[0] % 2
