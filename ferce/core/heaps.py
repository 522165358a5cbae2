"""The heaps that the threads of a process share."""

import ctypes
import os
import platform

_ARENAS = -8  # M_ARENA_MAX of malloc.h


def share_heaps(most: int = 2) -> bool:
    """Let all threads share so many of glibc's heaps; call it before there are threads.

    By default each of a server's threads may get one of its own, and memory grows until every heap
    has had its largest task. MALLOC_ARENA_MAX in the environment stays in force.

    Returns:
        Whether the number was set; False elsewhere than on glibc.
    """
    if platform.libc_ver()[0] != "glibc" or "MALLOC_ARENA_MAX" in os.environ:
        return False
    return bool(ctypes.CDLL(None).mallopt(_ARENAS, most))
