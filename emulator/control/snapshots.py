"""Snapshots of a team: save, list, restore, fetch, send, remove."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from emulator.clock import rfc3339
from emulator.control.route import Answer, Asked, ControlError, ControlRoute, Download, TeamName
from emulator.control.server import Cleared
from emulator.limits import whole
from emulator.settings import GUARDED
from emulator.store.blobs import READ_BYTES
from emulator.store.snapshot_files import BadSnapshot
from emulator.store.snapshots import NAME, SnapshotRow

UPLOAD_BYTES_MAX = 16 * 1024**3

Name = Annotated[str, Meta(pattern=whole(NAME.pattern))]


class SnapshotShown(Struct):
    """A snapshot: whose state it is, when that was in the team's time, and how large its file is."""

    name: str
    team: str
    at: str
    bytes: int


class OneSnapshot(Answer):
    """One snapshot."""

    snapshot: SnapshotShown


class AllSnapshots(Answer):
    """The snapshots of a team, in order of name."""

    snapshots: list[SnapshotShown]


class NewSnapshot(Struct, forbid_unknown_fields=True):
    """How a snapshot is to be called; one of that name is replaced."""

    name: Name


class RestoreFrom(Struct, forbid_unknown_fields=True):
    """Whose snapshot is meant, where it is not the team's own."""

    from_team: TeamName | None = None


def _shown(row: SnapshotRow) -> SnapshotShown:
    return SnapshotShown(row.name, row.team, rfc3339(row.at), row.size)


def _existing(asked: Asked, team: str) -> Path:
    name = asked.path["name"]
    path = asked.world.store.snapshots.path(team, name)
    if NAME.fullmatch(name) is None or not path.is_file():
        raise ControlError(404, f"team {team} has no snapshot {name[:200]!r}")
    return path


async def list_all(asked: Asked) -> AllSnapshots:
    """List the snapshots of a team that can be restored here; to restore another one tells why it cannot."""
    store, team, snapshots = asked.world.store.snapshots, asked.team.name, list[SnapshotShown]()
    for name in store.names(team):
        with suppress(BadSnapshot):
            snapshots.append(_shown(store.describe(team, name)))
    return AllSnapshots(snapshots=snapshots)


async def save(asked: Asked) -> OneSnapshot:
    """Save everything a team has, with its clock and its own settings, under a name.

    Settings that name code or servers, and may hold their keys, are left out: a restore would not bring them along.
    """
    store, team, name = asked.world.store.snapshots, asked.team, asked.body.name
    at = team.clock.now()
    saving = store.save(team.name, store.path(team.name, name), at, without=GUARDED)
    size = await asyncio.to_thread(saving.finish)
    return OneSnapshot(snapshot=_shown(SnapshotRow(name, team.name, at, size)))


async def restore(asked: Asked) -> OneSnapshot:
    """Let a team be as a snapshot says, one of its own or of another team. All it has now is gone."""
    source = asked.body.from_team or asked.team.name
    path = _existing(asked, source)
    try:
        snapshot = _shown(asked.world.store.snapshots.describe(source, asked.path["name"]))
        opened = await asyncio.to_thread(asked.world.store.snapshots.open, path)
        asked.world.restore(asked.team, opened)
    except BadSnapshot as error:
        raise ControlError(409, str(error)) from None
    return OneSnapshot(snapshot=snapshot)


async def fetch(asked: Asked) -> Download:
    """Fetch the file of a snapshot: an SQLite database that any xai-emulator of the same schema restores."""
    path = _existing(asked, asked.team.name)

    async def read() -> AsyncIterator[bytes]:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(READ_BYTES):
                yield piece

    return Download(path.name, path.stat().st_size, read)


async def send(asked: Asked) -> OneSnapshot:
    """Send the file of a snapshot, to be kept under a name."""
    store, team, name = asked.world.store.snapshots, asked.team.name, asked.path["name"]
    if NAME.fullmatch(name) is None:
        raise ControlError(422, f"a snapshot cannot be called {name[:200]!r}")
    part, size = store.new_part(), 0
    try:
        with part.open("xb", buffering=0) as file:
            async for piece in asked.stream():
                size += file.write(piece)
                if size > UPLOAD_BYTES_MAX:
                    raise ControlError(413, f"a snapshot has at most {UPLOAD_BYTES_MAX} bytes")
        store.take_in(part, team, name)
        return OneSnapshot(snapshot=_shown(store.describe(team, name)))
    except BadSnapshot as error:
        raise ControlError(422, str(error)) from None
    finally:
        part.unlink(missing_ok=True)


async def remove(asked: Asked) -> Cleared:
    """Remove a snapshot."""
    _existing(asked, asked.team.name)
    asked.world.store.snapshots.remove(asked.team.name, asked.path["name"])
    return Cleared(cleared={"snapshots": 1})


ROUTES = (
    ControlRoute("GET", "/snapshots", list_all, AllSnapshots),
    ControlRoute("POST", "/snapshots", save, OneSnapshot, NewSnapshot),
    ControlRoute("GET", "/snapshots/{name}", fetch, Download, refusals=(404,)),
    ControlRoute("PUT", "/snapshots/{name}", send, OneSnapshot, uploads=True, refusals=(422,)),
    ControlRoute("DELETE", "/snapshots/{name}", remove, Cleared, refusals=(404,)),
    ControlRoute(
        "POST",
        "/snapshots/{name}/restore",
        restore,
        OneSnapshot,
        RestoreFrom,
        optional_body=True,
        refusals=(404, 409),
    ),
)
