"""Accepted differences, each with its reason: compare.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from emulator.comparing.differences import Difference

DEFAULT_FILE = Path("compare.toml")


class BadIgnoreFile(ValueError):
    """An invalid file; the message is one line."""


class Ignore(msgspec.Struct, forbid_unknown_fields=True):
    """One entry. Operation and path may contain `*`; `difference` is the name in the report."""

    operation: str
    difference: str
    reason: str
    path: str = ""
    matches: int = 0

    def fits(self, operation: str, difference: Difference) -> bool:
        """Return whether the entry matches a difference."""
        # Brackets in a path are no pattern.
        path = self.path.replace("[", "[[]")
        return (
            fnmatchcase(operation, self.operation)
            and self.difference == difference.what
            and fnmatchcase(difference.place, path)
        )


class _File(msgspec.Struct, forbid_unknown_fields=True):
    ignore: list[Ignore] = []


def read_ignores(path: Path) -> list[Ignore]:
    """Read the entries of a file. Raises BadIgnoreFile, and OSError if it cannot be opened."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File).ignore
    except (ValueError, msgspec.ValidationError) as error:
        raise BadIgnoreFile(f"{path}: {error}") from None
    for number, each in enumerate(found, 1):
        if not each.reason.strip():
            raise BadIgnoreFile(f"{path}: entry {number} ({each.operation}) has no reason")
        if each.matches:
            raise BadIgnoreFile(f"{path}: entry {number}: matches is counted, and not given")
    return found


def is_ignored(ignores: Iterable[Ignore], operation: str, difference: Difference) -> bool:
    """Return whether an entry accepts a difference; count every entry that does."""
    fitting = [each for each in ignores if each.fits(operation, difference)]
    for each in fitting:
        each.matches += 1
    return bool(fitting)


def entry_for(operation: str, difference: Difference) -> list[str]:
    """Return the lines of an entry that accepts a difference."""
    path = [f"path = {_toml(difference.place)}"] if difference.place else []
    return [
        "[[ignore]]",
        f"operation = {_toml(operation)}",
        *path,
        f"difference = {_toml(difference.what)}",
        'reason = ""',
    ]


def _toml(text: str) -> str:
    return msgspec.json.encode(text).decode()
