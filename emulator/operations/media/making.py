"""Create the images and videos of results: behind a signed URL, and as stored files if a request asks for it."""

from __future__ import annotations

import base64

import msgspec

from emulator.core.clock import MICROSECONDS, Instant, later, seconds
from emulator.core.errors import ApiError, Kind
from emulator.domain.batches.batch import ResultKind
from emulator.domain.batches.bodies import PublicUrlOptions, StorageOptions
from emulator.domain.bounds import check
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.media import lacks_content
from emulator.domain.chat.requests import ModelRequest
from emulator.domain.files import (
    File,
    UploadStatus,
    check_filename,
    check_quota,
    public_path,
)
from emulator.domain.media import colour_of, mp4, png, size_of
from emulator.operations.files.public_urls import publish
from emulator.operations.files.upload import EXPIRY, FILENAME, InitializeFile, insert_file
from emulator.state.services import Services
from emulator.state.teams import Team
from emulator.store.media import MediaItem

PNG, MP4 = "image/png", "video/mp4"


def add_media(services: Services, team: Team, request: ModelRequest, result: Json, at: Instant) -> None:
    """Add the media that a result lacks, and store them as files if the request asks for it. In a transaction.

    Raises ApiError if a team has too many media outside of batches. Media of batches are deleted with their batch.
    """
    if not request.batch_id:
        _make_room(services, team, at)
    ratio = request.body.get("aspect_ratio")
    size = size_of(ratio if isinstance(ratio, str) else None)
    if request.result_kind is ResultKind.IMAGE:
        for number, image in enumerate(result["data"]):
            if lacks_content(image):
                colour = colour_of(f"{request.prompt} {request.batch_request_id} {number}")
                content = png(*size, colour)
                if request.body.get("response_format") == "b64_json":
                    image["b64_json"] = base64.b64encode(content).decode()
                else:
                    image["url"] = _sign(services, team, request, f"image_{number}.png", PNG, content, at)
                image["mime_type"] = PNG
                image.setdefault("revised_prompt", "")  # recorded, 2026-04
                image |= _stored(services, team, request, PNG, content, at)
    elif request.result_kind is ResultKind.VIDEO and result["status"] == "done" and not result["video"].get("url"):
        colour = colour_of(f"{request.prompt} {request.batch_request_id}")
        content = mp4(*size, colour, request.seconds)
        result["video"]["url"] = _sign(services, team, request, "video.mp4", MP4, content, at)
        result["video"] |= _stored(services, team, request, MP4, content, at)


def _sign(
    services: Services, team: Team, request: ModelRequest, name: str, content_type: str, content: bytes, at: Instant
) -> str:
    """Return a URL that expires after an hour (Batch guide), without scheme and host, which depend on the caller."""
    token = services.ids.url_token(team)
    expires_at = later(at, team.limits.media_url_seconds * MICROSECONDS)
    item = MediaItem(token, name, content_type, content, expires_at)
    if request.batch_id:
        services.store.media.insert_for_batch(team.name, request.batch_id, item)
    else:
        services.store.media.insert(team.name, item)
    return f"/_media/{token}/{name}"


def _make_room(services: Services, team: Team, at: Instant) -> None:
    """Delete expired media, and refuse if there are still too many."""
    services.store.media.delete_expired(team.name, at)
    most = team.limits.media_items_max
    if most is not None and services.store.media.total(team.name) >= most:
        sentence = f"The team has {most} images and videos whose URLs have not expired."
        raise ApiError(Kind.RESOURCE_EXHAUSTED, sentence, rule="media_items_max")


# --- storage_options


def _stored(
    services: Services, team: Team, request: ModelRequest, content_type: str, content: bytes, at: Instant
) -> Json:
    """Return the member of a result about the stored file: its id, or why it was not stored."""
    if request.body.get("storage_options") is None:
        return {}
    try:
        options = msgspec.convert(request.body["storage_options"], StorageOptions)
        file = _store(services, team, options, content_type, content, at)
    except ApiError as error:
        return {"storage_error": error.message}
    except msgspec.ValidationError as error:
        return {"storage_error": f"Invalid storage_options: {error}"}
    output: Json = {"file_id": file.id, "filename": file.filename}
    if file.expires_at is not None:
        output["expires_at"] = seconds(file.expires_at)
    return {"file_output": output | _published(services, team, file, options.public_url, at)}


def _store(
    services: Services, team: Team, options: StorageOptions, content_type: str, content: bytes, at: Instant
) -> File:
    """Store a medium as a file of the team, with the checks of an upload."""
    check_filename(options.filename)
    check("filename", options.filename, FILENAME, team.limits)
    _check_expiry(options.expires_after, team)
    check_quota(*services.store.files.usage(team.name), len(content), team.limits)
    blob = services.store.blobs.new()
    blob.write(content)
    blob.keep()
    new = InitializeFile(options.filename, content_type, options.expires_after)
    return insert_file(services, team, at, new, blob, UploadStatus.COMPLETE)


def _check_expiry(expires_after: int | None, team: Team) -> None:
    if expires_after is not None:
        check("expires_after", expires_after, EXPIRY, team.limits)


def _published(services: Services, team: Team, file: File, wanted: bool | PublicUrlOptions | None, at: Instant) -> Json:
    """Return the public URL of a stored medium, or why it has none."""
    if not wanted:
        return {}
    expires_after = wanted.expires_after if isinstance(wanted, PublicUrlOptions) else None
    try:
        _check_expiry(expires_after, team)
        url = publish(services, team, at, file, expires_after)
    except ApiError as error:
        return {"public_url_error": error.message}
    return {"public_url": public_path(file, url)} | (
        {} if url.expires_at is None else {"public_url_expires_at": seconds(url.expires_at)}
    )
