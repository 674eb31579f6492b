"""Overview of a team: totals, file details that `/v1` does not return, and the settings in force."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute
from emulator.pipeline.redact import redact_text
from emulator.state.settings import ROWS, flag, of_team, shown


class Totals(Answer):
    """The number of a team's objects. `documents` counts a file once for each collection that it is in."""

    files: int
    file_bytes: int
    collections: int
    documents: int
    batches: int


class CollectionNamed(Struct):
    """A collection by its id and name."""

    collection_id: str
    collection_name: str


class FileDescribed(Struct):
    """A file: its content type, the BLAKE3 of its content, and the collections that it is in."""

    id: str
    content_type: str
    hash: str
    collections: list[CollectionNamed]


class OneFile(Answer):
    """One file."""

    file: FileDescribed


class SettingShown(Struct):
    """A setting as text. A value of null means that it is off. `origin` says where it was set."""

    name: str
    flag: str
    value: str | None
    default: str | None
    origin: Literal["default", "server", "team"]
    help: str


class SettingsShown(Answer):
    """Every setting in the order of the flags, except the limits, which have their own path."""

    settings: list[SettingShown]


async def totals(request: ControlRequest) -> Totals:
    """Count the files, collections, documents and batches of a team."""
    store, team = request.services.store, request.team.name
    files, file_bytes = store.files.usage(team)
    return Totals(
        files=files,
        file_bytes=file_bytes,
        collections=store.collections.total(team),
        documents=store.documents.total(team),
        batches=store.batches.total(team),
    )


async def get_file(request: ControlRequest) -> OneFile:
    """Show details of a file that the Files API does not return: content type, hash and collections."""
    store, team = request.services.store, request.team
    now = team.clock.now()
    file = store.files.get(team.name, request.path["id"], now)
    if file is None:
        raise ControlError(404, f"the team has no file {request.path['id'][:200]!r}")
    found = (store.collections.get(team.name, id, now) for id in store.documents.collections_of(team.name, file.id))
    named = [CollectionNamed(each.id, each.name) for each in found if each is not None]
    return OneFile(file=FileDescribed(file.id, file.content_type, file.hash, named))


async def settings(request: ControlRequest) -> SettingsShown:
    """List the settings in force for a team, and where each comes from. Keys are counted, never shown."""
    server, team = request.services.settings, request.team
    effective = of_team(server, team.overrides)
    rows = []
    for name, row in ROWS.items():
        if name == "limits":
            continue
        value = team.function if name == "responder" and team.function is not None else getattr(effective, name)
        origin: Literal["default", "server", "team"] = "team" if name in team.overrides else "server"
        if value == row.default:
            origin = "default"
        rows.append(SettingShown(name, flag(name), _text(name, value), _text(name, row.default), origin, row.help))
    return SettingsShown(settings=rows)


def _text(name: str, value: Any) -> str | None:
    """Return a value as text without secrets; None if there is none."""
    if value is None:
        return None
    if callable(value):
        return "a Python function"
    if name == "keys":
        return str(len(value)) if value else None
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or None
    return redact_text(str(shown(name, value)))


ROUTES = (
    ControlRoute("GET", "/totals", totals, Totals),
    ControlRoute("GET", "/files/{id}", get_file, OneFile, refusals=(404,)),
    ControlRoute("GET", "/settings", settings, SettingsShown),
)
