"""Return freed memory to the system.

glibc keeps freed memory, in one arena for a few threads each: after fifty uploads of large compressed messages a
process had gigabytes of unused memory. So a process of our own (`xai-emulator serve`) maps large blocks one by one, and
trims its arenas after large messages. A process that embeds the emulator, such as a test run, is left alone, and other
C libraries have no such calls.

Trimming returns free memory between used blocks, but not the free end of an arena other than the first. So both the
number of arenas and their free ends are bounded. A free end must have room for some messages; else the pages of each
message are mapped again, which doubles the processor time of an upload. glibc's own bound is 128 KiB. By default it
raises that to twice the largest freed block, but not once a threshold has been set.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

MIB = 1024 * 1024
# The size from which a block has its own mapping, and is unmapped when it is freed. xai-sdk uploads in messages of 3
# MiB, and mapping each of them would take a quarter of the time of an upload.
MAPPED_BYTES_MIN = 4 * MIB
ARENA_END_BYTES_MAX = 8 * MIB
ARENAS_MAX = 4
TRIM_BYTES = 64 * MIB  # freed since the last trim
TRIM_SECONDS = 1.0  # delay of a trim, which returns what is freed meanwhile as well
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h

_trim: Callable[[int], int] | None = None  # global, because the arenas belong to the process
_freed = 0
_lock = threading.Lock()


def own_process() -> None:
    """Return freed memory from now on, if the C library is glibc."""
    global _trim
    import ctypes  # takes milliseconds, so the caller decides when

    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES_MIN)
        libc.mallopt(_M_TRIM_THRESHOLD, ARENA_END_BYTES_MAX)
        libc.mallopt(_M_ARENA_MAX, ARENAS_MAX)
        _trim = libc.malloc_trim


def freed(size: int) -> None:
    """Count the bytes of a freed message; after many of them trim the arenas in another thread."""
    global _freed
    if _trim is None:
        return
    with _lock:
        begin = _freed < TRIM_BYTES <= _freed + size
        _freed += size
    if begin:
        timer = threading.Timer(TRIM_SECONDS, _trim_arenas, [_trim])
        timer.daemon = True
        timer.start()


def _trim_arenas(trim: Callable[[int], int]) -> None:
    global _freed
    with _lock:
        _freed = 0
    trim(0)
