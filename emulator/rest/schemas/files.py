"""Files and keys in JSON (OpenAPI: File, ListFilesResponse, DeleteFileResponse, ApiKey, GetMeResponse)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from emulator.core.clock import rfc3339, seconds
from emulator.core.errors import invalid
from emulator.domain.files import FILENAME_PATTERN, ContentFormat, File, FileView, SortBy
from emulator.domain.paging import Page
from emulator.http.requests import Int32, Request
from emulator.operations.auth import KeyDescription
from emulator.operations.base import Call
from emulator.operations.files.chunked_upload import BatchUpload, Chunk, CreateBatchUpload, UploadChunks
from emulator.operations.files.public_urls import CreatePublicUrl, RevokedPublicUrl
from emulator.operations.files.read import ListFiles, ReadFile
from emulator.operations.files.update import UpdateFile
from emulator.operations.files.upload import InitializeFile, UploadFile
from emulator.rest import multipart, serde_errors
from emulator.rest.requests import read_json_body

# Documentation only: the operation checks names, so that both transports refuse a bad one with the same message.
Filename = Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "pattern": FILENAME_PATTERN})]


class FileJson(Struct):
    """A file, its keys in the recorded order. `purpose` is always empty, whatever was sent (observed live)."""

    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    id: str
    object: Literal["file"] = "file"
    purpose: str = ""
    public_url: str | UnsetType = UNSET
    public_url_expires_at: int | UnsetType = UNSET


class FilesJson(Struct):
    """A page of files; the token is null on a page that is not full."""

    data: list[FileJson]
    pagination_token: str | None


class DeletedJson(Struct):
    """The response to a deletion."""

    id: str
    deleted: bool = True
    object: Literal["file"] = "file"


class PublicUrlJson(Struct):
    """A public URL; no `expires_at` means that it does not expire."""

    public_url: str
    expires_at: int | UnsetType = UNSET


class RevokedJson(Struct):
    """The response to a revocation."""

    id: str
    revoked: bool
    public_url: str | UnsetType = UNSET


class FileMetadataJson(Struct):
    """A file in a chunked upload: int64 as a string, times in RFC 3339, as on the management plane."""

    file_id: str
    name: str
    size_bytes: str
    content_type: str
    created_at: str
    expires_at: str | None
    hash: str
    upload_status: Literal["Initializing", "Uploading", "Complete", "Failed"]
    processing_status: Literal["pending", "processing", "complete", "failed", "skipped"]
    file_path: str = ""


class BatchUploadJson(Struct):
    """A batch upload and its files."""

    batch_job_id: str
    status: Literal["pending", "complete"]
    files: list[FileMetadataJson]


class KeyJson(Struct, kw_only=True):
    """The description of a key, in the order of the OpenAPI. Times are empty strings, as observed live."""

    redacted_api_key: str
    user_id: str
    name: str
    create_time: str = ""
    modify_time: str = ""
    modified_by: str
    team_id: str
    acls: list[str]
    api_key_id: str
    team_blocked: bool = False
    api_key_blocked: bool = False
    api_key_disabled: bool = False


class MeKeyJson(Struct):
    """The key inside of `GET /v1/me`."""

    redacted_api_key: str
    api_key_id: str
    blocked: bool = False
    disabled: bool = False


class MeJson(Struct, kw_only=True):
    """The caller, in the order of the OpenAPI."""

    user_id: str
    team_id: str
    zdr_status: Literal["no_zdr", "zdr", "pii_scrubbing"] = "no_zdr"
    team_blocked: bool = False
    api_key: MeKeyJson


# --- responses


def file_json(view: FileView) -> FileJson:
    """Return the JSON of a file."""
    file = view.file
    return FileJson(
        bytes=file.size,
        created_at=seconds(file.created_at),
        expires_at=None if file.expires_at is None else seconds(file.expires_at),
        filename=file.filename,
        id=file.id,
        public_url=view.public_url or UNSET,
        public_url_expires_at=UNSET if view.public_url_expires_at is None else seconds(view.public_url_expires_at),
    )


def uploaded_json(file: File) -> FileJson:
    """Return the JSON of a new file, which has no public URL."""
    return file_json(FileView(file))


def files_json(page: Page[FileView]) -> FilesJson:
    """Return a page of files."""
    return FilesJson([file_json(view) for view in page.items], page.next_token)


def public_url_json(view: FileView) -> PublicUrlJson:
    """Return the JSON of the public URL of a file."""
    expires_at = view.public_url_expires_at
    return PublicUrlJson(view.public_url or "", UNSET if expires_at is None else seconds(expires_at))


def revoked_json(revoked: RevokedPublicUrl) -> RevokedJson:
    """Return the JSON of a revocation."""
    return RevokedJson(revoked.file_id, revoked.public_url is not None, revoked.public_url or UNSET)


def metadata_json(file: File) -> FileMetadataJson:
    """Return the JSON of a file in a chunked upload."""
    return FileMetadataJson(
        file_id=file.id,
        name=file.filename,
        size_bytes=str(file.size),
        content_type=file.content_type,
        created_at=rfc3339(file.created_at),
        expires_at=None if file.expires_at is None else rfc3339(file.expires_at),
        hash=file.hash,
        upload_status=file.upload_status.value,
        processing_status="pending",
    )


def batch_upload_json(upload: BatchUpload) -> BatchUploadJson:
    """Return the JSON of a batch upload."""
    status: Literal["pending", "complete"] = "complete" if upload.complete else "pending"
    return BatchUploadJson(upload.batch_job_id, status, [metadata_json(file) for file in upload.files])


def key_json(key: KeyDescription) -> KeyJson:
    """Return the key for `GET /v1/api-key`."""
    return KeyJson(
        redacted_api_key=key.redacted_api_key,
        user_id=key.user_id,
        name=key.name,
        modified_by=key.user_id,
        team_id=key.team_id,
        acls=list(key.acls),
        api_key_id=key.api_key_id,
    )


def me_json(key: KeyDescription) -> MeJson:
    """Return the caller for `GET /v1/me`."""
    described = MeKeyJson(key.redacted_api_key, key.api_key_id)
    return MeJson(user_id=key.user_id, team_id=key.team_id, api_key=described)


# --- requests


class FilesQuery(Struct):
    """The query of `GET /v1/files`."""

    limit: Int32 | None = None
    order: Literal["asc", "desc"] = "desc"
    sort_by: SortBy = SortBy.CREATED_AT
    pagination_token: str | None = None
    after: str | None = None
    filter: str | None = None


class ContentQuery(Struct):
    """The query of `GET /v1/files/{file_id}/content`."""

    format: ContentFormat = ContentFormat.ORIGINAL


class DownloadBody(Struct):
    """The body of `POST /v1/files:download`."""

    file_id: str
    format: ContentFormat = ContentFormat.ORIGINAL


class UpdateBody(Struct):
    """The body of `PUT /v1/files/{file_id}` in JSON; missing fields do not change."""

    filename: Filename | None = None
    expires_after: int | None = None


class PublicUrlBody(Struct):
    """The body of `POST /v1/files/{file_id}/public-url`."""

    expires_after: int | None = None


class InitializeBody(Struct):
    """The body of `POST /v1/files:initialize`."""

    name: Filename
    content_type: str
    expires_after: int | None = None


class ChunkBody(Struct):
    """One message of `POST /v1/files:uploadChunks`; `chunk` is base64."""

    file_id: str
    chunk: str


class BatchUploadBody(Struct):
    """The body of `POST /v1/files/batch_upload`."""

    files: Annotated[list[InitializeBody], msgspec.Meta(extra_json_schema={"minItems": 1})]


# The order matters: expires_after must come before file (OpenAPI: UploadFileMultipartRequest).
UPLOAD_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "purpose": {"type": "string", "description": "Accepted for OpenAI's clients, and not kept."},
        "expires_after": {"type": "integer", "description": "Seconds. Must come before `file`."},
        "expires_after[anchor]": {"enum": ["created_at"], "description": "With the next field, OpenAI's form."},
        "expires_after[seconds]": {"type": "integer", "description": "As expires_after, and instead of it."},
        "file": {"type": "string", "format": "binary"},
    },
}
CHUNK_SCHEMA = {
    "type": "object",
    "required": ["file_id", "chunk"],
    "properties": {
        "file_id": {"type": "string"},
        "chunk": {"type": "string", "contentEncoding": "base64"},
    },
}

Path = Mapping[str, str]


def list_files(path: Path, query: FilesQuery) -> ListFiles:
    """Return a request for a page; over REST newest first by default."""
    return ListFiles(
        limit=query.limit or 0,
        descending=query.order == "desc",
        sort_by=query.sort_by,
        pagination_token=query.pagination_token,
        after=query.after,
        filter=query.filter,
    )


def read_file(path: Path, query: ContentQuery) -> ReadFile:
    """Return a request for the content of the file in the path."""
    return ReadFile(path["file_id"], query.format)


def download(path: Path, body: DownloadBody) -> ReadFile:
    """Return a request for the content of the file in the body."""
    return ReadFile(body.file_id, body.format)


def create_public_url(path: Path, body: PublicUrlBody) -> CreatePublicUrl:
    """Return a request to create a public URL for the file in the path."""
    return CreatePublicUrl(path["file_id"], body.expires_after)


def initialize(path: Path, body: InitializeBody) -> InitializeFile:
    """Return a request to start a chunked upload."""
    return InitializeFile(body.name, body.content_type, body.expires_after)


def batch_upload(path: Path, body: BatchUploadBody) -> CreateBatchUpload:
    """Return a request to upload several files in chunks."""
    return CreateBatchUpload([initialize(path, file) for file in body.files])


async def upload(request: Request, call: Call) -> UploadFile:
    """Read a file in a form; when this returns, only the parts before its bytes have been read."""
    form = _form(request, call)
    fields, part = await multipart.read_until_file(form)
    content = multipart.file_data(form)
    return UploadFile(part.filename or "", content, part.content_type, multipart.expires_after(fields))


async def update(request: Request, call: Call) -> UpdateFile:
    """Read changes to a file: new metadata in JSON, or a form with new content (and metadata before it)."""
    id = request.path_params["file_id"]
    if not (request.header(b"content-type") or "").lower().startswith("multipart/"):
        body = serde_errors.decode(await read_json_body(request, call.team.limits), UpdateBody, call.team.limits)
        return UpdateFile(id, body.filename, body.expires_after)
    form = _form(request, call)
    fields, part = await multipart.read_until_file(form)
    return UpdateFile(id, part.filename, multipart.expires_after(fields), part.content_type, multipart.file_data(form))


def _form(request: Request, call: Call) -> multipart.Form:
    boundary = multipart.boundary_of(request.header(b"content-type") or "")
    return multipart.Form(request.stream(), boundary, call.team.limits)


async def upload_chunks(request: Request, call: Call) -> UploadChunks:
    """Read one JSON object, or a stream of them, one per line: the JSON form of a client-streaming call."""
    return UploadChunks(_chunks(request, call))


async def _chunks(request: Request, call: Call) -> AsyncIterator[Chunk]:
    body = await read_json_body(request, call.team.limits)
    for text in body.splitlines() if _is_stream(body) else (body,):
        message = serde_errors.decode(text, ChunkBody, call.team.limits)
        try:
            yield Chunk(message.file_id, base64.b64decode(message.chunk, validate=True))
        except (binascii.Error, ValueError):
            raise invalid("chunk is not valid base64.", rule="chunk", param="chunk") from None


def _is_stream(body: bytes) -> bool:
    """Return whether the first line is a whole object and another line follows."""
    first, _, rest = body.partition(b"\n")
    try:
        return bool(rest.strip()) and isinstance(msgspec.json.decode(first), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
