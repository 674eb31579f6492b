"""Create, revoke and read the public URLs of files."""

from __future__ import annotations

import msgspec

from emulator.core.clock import Instant
from emulator.core.errors import not_found
from emulator.domain.files import (
    File,
    FileView,
    PublicUrl,
    check_public_url,
    live_public_url,
    public_name,
    public_url_expiry,
)
from emulator.domain.keys import Plane
from emulator.domain.quotas import check_team_quota
from emulator.operations.base import Call, Content, Operation
from emulator.operations.files.read import FileId, address, blob_content, get_file
from emulator.operations.files.upload import ExpiresAfter
from emulator.state.services import Services
from emulator.state.teams import Team


class CreatePublicUrl(msgspec.Struct, frozen=True):
    """Create a URL that needs no key; `expires_after` is in seconds."""

    file_id: str
    expires_after: ExpiresAfter = None


class ReadPublicUrl(msgspec.Struct, frozen=True):
    """The parts of a public URL: `/_files-cdn/<token>/<name>`."""

    token: str
    name: str


class RevokedPublicUrl(msgspec.Struct, frozen=True):
    """The result of a revocation; `public_url` is the revoked one, if there was one."""

    file_id: str
    public_url: str | None


async def create_public_url(services: Services, call: Call, request: CreatePublicUrl) -> FileView:
    """Create the public URL of a file. A second call returns the same URL, with the new expiry if one is given."""
    file = get_file(services, call, request.file_id)
    url = publish(services, call.team, call.at, file, request.expires_after)
    return FileView(file, address(services, call, file, url), url.expires_at)


def publish(services: Services, team: Team, at: Instant, file: File, expires_after: int | None) -> PublicUrl:
    """Create the public URL of a file, or change the expiry of the existing one. Raises ApiError."""
    check_public_url(file, team.limits)
    present = live_public_url(file, at)
    expires_at = public_url_expiry(file, present, at, expires_after)
    if present is None:
        active = services.store.files.active_public_urls(team.name, at)
        check_team_quota(active, team.limits, "public_urls_max", "active public URLs")
    url = PublicUrl(services.ids.url_token(team) if present is None else present.token, expires_at)
    services.store.files.set_public_url(team.name, file.id, url)
    return url


async def revoke_public_url(services: Services, call: Call, request: FileId) -> RevokedPublicUrl:
    """Revoke a file's public URL. It is no error if there is none, or no file (Public URL guide)."""
    file = services.store.files.get(call.team.name, request.file_id, call.at)
    url = None if file is None else live_public_url(file, call.at)
    if file is None or url is None:
        return RevokedPublicUrl(request.file_id, None)
    services.store.files.set_public_url(call.team.name, file.id, None)
    return RevokedPublicUrl(file.id, address(services, call, file, url))


async def read_public_url(services: Services, call: Call, request: ReadPublicUrl) -> Content:
    """Return the content behind a public URL. No key is needed: team and clock are those of the file."""
    found = services.store.files.by_public_url(request.token)
    if found is not None:
        team, file = found
        now = services.teams.get(team).clock.now()
        if file.alive(now) and live_public_url(file, now) is not None and request.name == public_name(file):
            return blob_content(services, file, file.content_type)
    raise not_found("File")


_GUIDE = "Public URL guide"


OPERATIONS = (
    Operation("files.create_public_url", Plane.INFERENCE, CreatePublicUrl, create_public_url, _GUIDE),
    Operation("files.revoke_public_url", Plane.INFERENCE, FileId, revoke_public_url, _GUIDE),
    Operation("files.public_content", Plane.PUBLIC, ReadPublicUrl, read_public_url, _GUIDE),
)
