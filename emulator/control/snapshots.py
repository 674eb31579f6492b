"""Snapshots of a team: save, list, restore, download, upload, remove."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute, TeamName
from emulator.control.server import Cleared
from emulator.core.clock import rfc3339
from emulator.core.limits import whole
from emulator.http.responses import FileDownload
from emulator.state.settings import GUARDED
from emulator.store.blobs import READ_BYTES
from emulator.store.snapshots.directory import NoSpace, SnapshotRow
from emulator.store.snapshots.files import BadSnapshot
from emulator.store.snapshots.snapshots import NAME

UPLOAD_BYTES_MAX = 16 * 1024**3

Name = Annotated[str, Meta(pattern=whole(NAME.pattern))]


class SnapshotShown(Struct):
    """A snapshot: its team, its time by the team's clock, and its size.

    The contents of files are shared with the team and with other snapshots, and take no additional space.
    """

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
    """The name of the new snapshot; an existing one of that name is replaced."""

    name: Name


class RestoreFrom(Struct, forbid_unknown_fields=True):
    """The team of the snapshot, if it is another team's."""

    from_team: TeamName | None = None


def _shown(row: SnapshotRow) -> SnapshotShown:
    return SnapshotShown(row.name, row.team, rfc3339(row.at), row.size)


def _existing(request: ControlRequest, team: str) -> Path:
    name = request.path["name"]
    path = request.services.store.snapshots.kept.path(team, name)
    if NAME.fullmatch(name) is None or not path.is_file():
        raise ControlError(404, f"team {team} has no snapshot {name[:200]!r}")
    return path


async def list_all(request: ControlRequest) -> AllSnapshots:
    """List the snapshots of a team that can be restored. Restoring another one returns the reason."""
    store, team, snapshots = request.services.store.snapshots.kept, request.team.name, list[SnapshotShown]()
    for name in store.names(team):
        with suppress(BadSnapshot):
            snapshots.append(_shown(store.describe(team, name)))
    return AllSnapshots(snapshots=snapshots)


async def save(request: ControlRequest) -> OneSnapshot:
    """Save the objects of a team, its clock and its overrides, under a name.

    Settings that name code or servers, and may contain keys, are not saved.
    """
    store, team, name = request.services.store.snapshots, request.team, request.body.name
    at = team.clock.now()
    saving = store.save(team.name, store.kept.path(team.name, name), at, without=GUARDED)
    most = team.limits.snapshot_bytes_per_team_max
    try:
        # The work is completed and cleaned up also when the client disconnects.
        size = await asyncio.shield(asyncio.to_thread(saving.finish, most))
    except NoSpace as error:
        raise _no_space(error) from None
    return OneSnapshot(snapshot=_shown(SnapshotRow(name, team.name, at, size)))


def _no_space(error: NoSpace) -> ControlError:
    return ControlError(
        409, f"a team's snapshots have at most snapshot_bytes_per_team_max ({error}): remove one, or raise the limit"
    )


async def restore(request: ControlRequest) -> OneSnapshot:
    """Restore a team from a snapshot, its own or another team's. This replaces all its objects."""
    source = request.body.from_team or request.team.name
    path = _existing(request, source)
    try:
        snapshot = _shown(request.services.store.snapshots.kept.describe(source, request.path["name"]))
        opened = await asyncio.to_thread(request.services.store.snapshots.open, path)
        request.services.teams.restore(request.team, opened)
    except BadSnapshot as error:
        raise ControlError(409, str(error)) from None
    return OneSnapshot(snapshot=snapshot)


async def fetch(request: ControlRequest) -> FileDownload:
    """Download the file of a snapshot: an SQLite database that any xai-emulator of the same schema restores."""
    path = _existing(request, request.team.name)
    try:
        whole_file = await asyncio.shield(asyncio.to_thread(request.services.store.snapshots.kept.export, path))
    except BadSnapshot as error:
        raise ControlError(409, str(error)) from None

    async def read() -> AsyncGenerator[bytes, None]:
        with whole_file.open("rb", buffering=0) as file:
            while piece := file.read(READ_BYTES):
                yield piece

    size = whole_file.stat().st_size
    return FileDownload(read(), path.name, size, lambda: whole_file.unlink(missing_ok=True))


async def send(request: ControlRequest) -> OneSnapshot:
    """Upload the file of a snapshot under a name."""
    store, team, name = request.services.store.snapshots.kept, request.team.name, request.path["name"]
    if NAME.fullmatch(name) is None:
        raise ControlError(422, f"{name[:200]!r} is not a valid name of a snapshot")
    most = request.team.limits.snapshot_bytes_per_team_max
    space = store.space_left(store.path(team, name), most)
    part, size = store.new_part(), 0
    try:
        with part.open("wb", buffering=0) as file:
            async for piece in request.stream():
                size += file.write(piece)
                if size > UPLOAD_BYTES_MAX:
                    raise ControlError(413, f"a snapshot has at most {UPLOAD_BYTES_MAX} bytes")
                if space is not None and size > space:
                    raise NoSpace(f"more than {max(space, 0)} bytes, and that many of {most} are left")
        store.import_file(part, team, name, most)
        return OneSnapshot(snapshot=_shown(store.describe(team, name)))
    except BadSnapshot as error:
        raise ControlError(422, str(error)) from None
    except NoSpace as error:
        raise _no_space(error) from None
    finally:
        part.unlink(missing_ok=True)


async def remove(request: ControlRequest) -> Cleared:
    """Remove a snapshot."""
    _existing(request, request.team.name)
    request.services.store.snapshots.kept.remove(request.team.name, request.path["name"])
    return Cleared(cleared={"snapshots": 1})


ROUTES = (
    ControlRoute("GET", "/snapshots", list_all, AllSnapshots),
    ControlRoute("POST", "/snapshots", save, OneSnapshot, NewSnapshot, refusals=(409,)),
    ControlRoute("GET", "/snapshots/{name}", fetch, FileDownload, refusals=(404, 409)),
    ControlRoute("PUT", "/snapshots/{name}", send, OneSnapshot, uploads=True, refusals=(409, 422)),
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
