"""Threads share heaps unless the user says otherwise."""

import platform
import subprocess
import sys

import pytest

from ferce.core.heaps import share_heaps


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has heaps of threads")
def test_threads_share_heaps_unless_the_user_says_otherwise(monkeypatch):
    asked = "from ferce.core.heaps import share_heaps; print(share_heaps())"
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    assert subprocess.check_output([sys.executable, "-c", asked], text=True) == "True\n"
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert not share_heaps()
