"""Extract text in a separate process, with bounded time and memory.

Both ends are here: `extract_isolated` starts `python -m emulator.search.extraction.process`, sends it the file on
standard input, and reads one JSON object from its standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from emulator.search.extraction.formats import EXTRACTION_METHODS, ExtractionMethod
from emulator.search.extraction.result import Bounds, Extracted, ExtractionError

if TYPE_CHECKING:  # it imports asyncio, which would take a third of the start of the process
    from emulator.search.extraction.readers import Processes

_ROOT = Path(__file__).parents[3]  # where the package `emulator` is, wherever the emulator was started
# The kernel limits the processor time. The timeout of the wait is longer, because on a busy machine the process may get
# a tenth of a processor.
_WAIT_PER_SECOND = 10
_CPU_SECONDS_OVER = -getattr(signal, "SIGXCPU", signal.SIGTERM)
_NO_MEMORY = "The file needs more than {memory_bytes_max} bytes of memory to be read."


def extract_isolated(data: bytes | Path, how: ExtractionMethod, bounds: Bounds, processes: Processes) -> Extracted:
    """Extract the text of a file in another process; any failure of that process is an ExtractionError."""
    import subprocess  # here, because that process does not need it

    command = [sys.executable, "-X", "utf8", "-m", __name__, how, json.dumps(msgspec.structs.asdict(bounds))]
    command.append(str(os.getpid()))
    try:
        code, output = processes.run(command, data, _ROOT, _WAIT_PER_SECOND * bounds.seconds_max)
    except subprocess.TimeoutExpired:
        code, output = _CPU_SECONDS_OVER, b""
    if code == _CPU_SECONDS_OVER:
        raise ExtractionError(f"The file took more than {bounds.seconds_max} seconds to read.")
    if code:
        label = EXTRACTION_METHODS[how].label
        raise ExtractionError(f"The file could not be read as {label}: its reader ended with {code}.")
    answer = json.loads(output)
    if "error" in answer:
        raise ExtractionError(answer["error"])
    return Extracted(answer["text"], None if answer["pages"] is None else tuple(answer["pages"]))


def _limit(bounds: Bounds) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits, only the timeout applies
        return
    # At the soft limit of processor time the kernel sends SIGXCPU, which names the reason.
    limits = (
        (resource.RLIMIT_AS, bounds.memory_bytes_max, bounds.memory_bytes_max),
        (resource.RLIMIT_CPU, bounds.seconds_max, bounds.seconds_max + 1),
    )
    for limit, soft, hard in limits:
        with contextlib.suppress(ValueError, OSError):  # macOS has RLIMIT_AS but refuses to set it
            resource.setrlimit(limit, (soft, hard))


_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, even if the parent is killed."""
    if sys.platform != "linux":  # elsewhere only the limits end it
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before prctl took effect
        os._exit(1)


def answer(data: bytes, how: ExtractionMethod, bounds: Bounds) -> dict[str, object]:
    """Return the reply of the process: the text and its pages, or the error."""
    from emulator.search.extraction.documents import READERS

    try:
        extracted = READERS[how](data, bounds)
    except ExtractionError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": _NO_MEMORY.format(**msgspec.structs.asdict(bounds))}
    except Exception as error:  # a broken file may raise anything in a parser
        cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return {"error": f"The file could not be read as {EXTRACTION_METHODS[how].label} ({cause})."}
    return {"text": extracted.text, "pages": extracted.pages}


def main() -> None:
    """Read standard input with the method on the command line, and reply on standard output."""
    how, bounds = ExtractionMethod(sys.argv[1]), Bounds(**json.loads(sys.argv[2]))
    _end_with(int(sys.argv[3]))
    output, sys.stdout = sys.stdout, sys.stderr  # a parser that prints must not write into the reply
    _limit(bounds)
    json.dump(answer(sys.stdin.buffer.read(), how, bounds), output)
    output.flush()


if __name__ == "__main__":
    main()
