"""Give memory that was freed back to the system.

glibc keeps what was freed, in an arena for each few threads: after fifty uploads of large compressed messages a process
held gigabytes that nothing used. So a process of our own (`xai-emulator serve`) maps large blocks one by one, and trims
its arenas after large messages. A process that the emulator is only embedded in, such as a test run, decides on its
memory itself; and other C libraries have no such calls.

Trimming gives back what lies between used blocks, but never the free end of an arena other than the first. So both the
number of arenas and the free end that each may keep are bounded. That end must fit some messages, or the
pages of each message are mapped again, which doubles the processor time of an upload. glibc's own bound is 128 KiB; by
default it raises that to twice the largest block it has freed, but not once a threshold has been set.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

MIB = 1024 * 1024
# Of a block that has a mapping of its own, and is unmapped when it is freed. xai-sdk uploads in messages of 3 MiB: to
# map each of them would cost a quarter of the time of an upload.
MAPPED_BYTES_MIN = 4 * MIB
ARENA_END_BYTES_MAX = 8 * MIB
ARENAS_MAX = 4
TRIM_BYTES = 64 * MIB  # freed since the arenas were trimmed last
TRIM_SECONDS = 1.0  # from then on: what is freed meanwhile is given back as well
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h

_trim: Callable[[int], int] | None = None  # of the process, as the arenas are
_freed = 0
_lock = threading.Lock()


def own_process() -> None:
    """Let this process give memory back from now on, where its C library is glibc."""
    global _trim
    import ctypes  # takes milliseconds, so the caller chooses the moment

    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES_MIN)
        libc.mallopt(_M_TRIM_THRESHOLD, ARENA_END_BYTES_MAX)
        libc.mallopt(_M_ARENA_MAX, ARENAS_MAX)
        _trim = libc.malloc_trim


def freed(size: int) -> None:
    """Count the bytes of a message that was freed; after many of them trim the arenas, in a thread of its own."""
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
