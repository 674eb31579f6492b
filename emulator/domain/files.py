"""Files: their names, sizes, expiry and public URLs."""

from __future__ import annotations

import enum
import re

import msgspec

from emulator.core.clock import MICROSECONDS, Instant, later
from emulator.core.errors import ApiError, Kind, invalid
from emulator.core.limits import Limits
from emulator.domain.content_types import extension


class UploadStatus(enum.Enum):
    """The state of an upload; the values are those of `file_metadata.upload_status`."""

    INITIALIZING = "Initializing"
    UPLOADING = "Uploading"
    COMPLETE = "Complete"
    FAILED = "Failed"


# An upload in one request is COMPLETE at once. A chunked one starts as INITIALIZING; each call of `files:uploadChunks`
# adds all its chunks or none, so UPLOADING and FAILED never occur.
UPLOAD_TRANSITIONS: dict[UploadStatus, frozenset[UploadStatus]] = {
    UploadStatus.INITIALIZING: frozenset({UploadStatus.COMPLETE}),
    UploadStatus.UPLOADING: frozenset(),
    UploadStatus.COMPLETE: frozenset({UploadStatus.COMPLETE}),
    UploadStatus.FAILED: frozenset(),
}


class SortBy(enum.Enum):
    """The columns by which a list of files can be sorted."""

    CREATED_AT = "created_at"
    FILENAME = "filename"
    SIZE = "size"


class ContentFormat(enum.Enum):
    """The formats of `GET /v1/files/{file_id}/content`."""

    ORIGINAL = "original"
    TEXT = "text"


class PublicUrl(msgspec.Struct, frozen=True):
    """The active public URL of a file; an `expires_at` of None means that it does not expire."""

    token: str
    expires_at: Instant | None


class File(msgspec.Struct, frozen=True):
    """A stored file. `seq` is its insertion number, `blob` the name of its bytes, `hash` their BLAKE3-256 in hex."""

    id: str
    filename: str
    size: int  # bytes
    content_type: str
    hash: str
    blob: str
    created_at: Instant
    expires_at: Instant | None
    upload_status: UploadStatus
    open_for_chunks: bool = False
    public_url: PublicUrl | None = None
    seq: int = 0  # assigned by the store

    def alive(self, now: Instant) -> bool:
        """Return whether the file exists at `now`: not from the instant of its expiry on, removed or not."""
        return self.expires_at is None or self.expires_at > now


class FileView(msgspec.Struct, frozen=True):
    """A file and the address of its public URL, if it has an active one."""

    file: File
    public_url: str | None = None
    public_url_expires_at: Instant | None = None


# files.proto: no ASCII control characters, NEL, line or paragraph separator, double quote, semicolon, backslash.
_FORBIDDEN = '\\x00-\\x1f\\x7f\\x85\\u2028\\u2029";\\\\'
_FORBIDDEN_CHARACTER = f"[{_FORBIDDEN}]"  # compiled by `re` at the first upload, and cached there
# ".." as a segment makes the live service drop the connection (observed live, 2026-03).
FILENAME_PATTERN = f"^(?!([^{_FORBIDDEN}]*/)?\\.\\.(/|$))[^{_FORBIDDEN}]+$"


def check_filename(name: str) -> None:
    """Refuse an invalid filename; its length is checked by a rule of the request."""
    if not name:
        raise invalid("The file part has no filename.", rule="filename", param="filename")
    bad = re.search(_FORBIDDEN_CHARACTER, name)
    if bad:
        raise invalid(
            f"Invalid filename: it contains U+{ord(bad.group()):04X}; control characters, line separators, "
            'double quotes (a quote inside a filename), ";" and "\\" are not allowed.',
            rule="filename",
            param="filename",
        )
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise invalid("Invalid filename: it is not valid Unicode.", rule="filename", param="filename")
    if ".." in name.split("/"):
        raise invalid('Invalid filename: ".." is not allowed as a path segment.', rule="filename", param="filename")


def expiry(now: Instant, expires_after: int | None) -> Instant | None:
    """Return when a file that is created now expires; `expires_after` is in seconds."""
    return None if expires_after is None else later(now, expires_after * MICROSECONDS)


def bytes_max(filename: str, limits: Limits) -> tuple[str, int | None]:
    """Return the limit of an upload's size, and its value: batch input files may be larger than others."""
    row = "jsonl_file_bytes_max" if extension(filename) == "jsonl" else "file_bytes_max"
    value: int | None = getattr(limits, row)
    return row, value


def too_large(row: str, most: int) -> ApiError:
    """Return the refusal of a body over its limit."""
    return ApiError(
        Kind.PAYLOAD_TOO_LARGE, f"File is too large: more than {most} bytes ({_human(most)}).", rule=row, param="file"
    )


def check_quota(files_count: int, files_bytes: int, adding: int, limits: Limits) -> None:
    """Refuse a file that would exceed the team's limit of the number or total size of files."""
    if limits.files_per_team_max is not None and files_count >= limits.files_per_team_max:
        raise ApiError(
            Kind.RESOURCE_EXHAUSTED,
            f"The team already has {files_count} files, at most {limits.files_per_team_max} are allowed.",
            rule="files_per_team_max",
        )
    if limits.total_bytes_per_team_max is not None and files_bytes + adding > limits.total_bytes_per_team_max:
        raise ApiError(
            Kind.RESOURCE_EXHAUSTED,
            f"The team's files would take {files_bytes + adding} bytes, "
            f"at most {limits.total_bytes_per_team_max} are allowed.",
            rule="total_bytes_per_team_max",
        )


# Public URL guide: these types only. The REST reference's "image, video, PDF" is the looser, older text.
PUBLIC_URL_CONTENT_TYPES: dict[str, str] = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "video/mp4": "mp4",
    "application/pdf": "pdf",
}


def check_public_url(file: File, limits: Limits) -> None:
    """Refuse a public URL for a file of another type, an empty one or one that is too large."""
    if file.content_type not in PUBLIC_URL_CONTENT_TYPES:
        raise invalid(
            f"Public URLs are not supported for files with content type '{file.content_type}'.",
            rule="public_url_content_type",
        )
    if file.size == 0:
        raise invalid("Public URLs are not supported for empty files.", rule="public_url_empty_file")
    if limits.public_url_bytes_max is not None and file.size > limits.public_url_bytes_max:
        raise invalid(
            f"Public URLs are not supported for files over {limits.public_url_bytes_max} bytes.",
            rule="public_url_bytes_max",
        )


def public_name(file: File) -> str:
    """Return the last part of a file's public URL."""
    return f"{file.id}.{PUBLIC_URL_CONTENT_TYPES[file.content_type]}"


def public_path(file: File, url: PublicUrl) -> str:
    """Return the path of a file's public URL."""
    return f"/_files-cdn/{url.token}/{public_name(file)}"


def live_public_url(file: File, now: Instant) -> PublicUrl | None:
    """Return the file's public URL, if it is active."""
    url = file.public_url
    return None if url is None or (url.expires_at is not None and url.expires_at <= now) else url


def public_url_expiry(file: File, present: PublicUrl | None, now: Instant, expires_after: int | None) -> Instant | None:
    """Return when a file's public URL expires (Public URL guide, "Expiry").

    Without `expires_after` an existing URL keeps its expiry, and a new one expires with its file. With it the URL
    expires at now plus `expires_after`, which must not be later than the file's expiry.
    """
    if expires_after is None:
        return file.expires_at if present is None else present.expires_at
    until = later(now, expires_after * MICROSECONDS)
    if file.expires_at is not None and until > file.expires_at:
        left = (file.expires_at - now) // MICROSECONDS
        raise invalid(
            f"expires_after is {expires_after} seconds, but the file itself expires in {left} seconds.",
            rule="public_url_outlives_file",
            param="expires_after",
        )
    return until


def _human(size: int) -> str:
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"
