"""Files that are named on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.state.settings import BadSetting


@contextmanager
def usable_files(out: Path | None = None) -> Iterator[None]:
    """Raise BadSetting where a file cannot be opened, read or created; `out` is the one that is written."""
    from emulator.comparing.ignore import BadIgnoreFile
    from emulator.port import CannotListen
    from emulator.recordings.har import BadRecording

    try:
        yield
    except (BadRecording, BadIgnoreFile) as error:
        raise BadSetting(str(error)) from None
    except FileExistsError as error:
        raise BadSetting(f"{out or error.filename} exists; replace it with --overwrite") from None
    except CannotListen:
        raise
    except OSError as error:
        raise BadSetting(f"{error.filename or out}: {error.strerror or error}") from None
