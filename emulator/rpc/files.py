"""The Files and Auth services: messages to requests, results to messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from emulator.core.errors import invalid
from emulator.domain.files import ContentFormat, File, FileView, SortBy
from emulator.domain.paging import Page
from emulator.operations.auth import KeyDescription
from emulator.operations.base import NoParameters
from emulator.operations.files.public_urls import CreatePublicUrl, RevokedPublicUrl
from emulator.operations.files.read import FileId, ListFiles, ReadFile
from emulator.operations.files.upload import UploadFile
from emulator.rpc.messages import load
from emulator.rpc.requests import Message, Method, enum_value, optional, parse, to_timestamp

_message = load().message

SLICE_BYTES = 256 * 1024  # of an upload, written in one step
_DATA_TAG = 2 << 3 | 2  # UploadFileChunk.data, https://protobuf.dev/programming-guides/encoding
_VARINT_BYTES_MAX = 10

_DESCENDING = {0: False, 1: True}
_SORT_BY = {0: SortBy.CREATED_AT, 1: SortBy.FILENAME, 2: SortBy.SIZE}
_FORMAT = {0: ContentFormat.ORIGINAL, 1: ContentFormat.ORIGINAL, 2: ContentFormat.TEXT}


async def read_upload(messages: AsyncIterator[bytes]) -> UploadFile:
    """Read an upload: the first message is the init, every later one is data."""
    first = parse(_message("xai_api.UploadFileChunk"), await anext(messages, b""))
    if first.WhichOneof("chunk") != "init":
        raise invalid("Missing init chunk", rule="init_first")

    async def content() -> AsyncIterator[memoryview]:
        async for raw in messages:
            data = _data(raw)
            del raw
            for start in range(0, len(data), SLICE_BYTES):
                yield data[start : start + SLICE_BYTES]
                await asyncio.sleep(0)  # other calls run between the slices of a large message
            del data  # before waiting for the next message: a stalled upload keeps no data in memory

    return UploadFile(first.init.name, content(), None, optional(first.init, "expires_after"))


def _data(raw: bytes) -> memoryview:
    """Return the data of a later message of an upload, usually without a copy; protobuf would copy it twice."""
    start = _start_of_only_field(raw, _DATA_TAG)
    if start is not None:
        return memoryview(raw)[start:]
    message = parse(_message("xai_api.UploadFileChunk"), raw)
    if message.WhichOneof("chunk") == "init":
        raise invalid("Only the first message may be an init chunk", rule="init_once")
    return memoryview(message.data)


def _start_of_only_field(raw: bytes, tag: int) -> int | None:
    """Return the offset of a field's bytes if a message has only this field, with a length as protobuf encodes it."""
    if raw[:1] != bytes([tag]):
        return None
    length = shift = 0
    for place, byte in enumerate(raw[1 : 1 + _VARINT_BYTES_MAX], 2):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return place if place + length == len(raw) else None
    return None


def read_list(message: Message) -> ListFiles:
    """Return a request for a page; over gRPC oldest first, because 0 of the enum is ascending."""
    return ListFiles(
        limit=message.limit,
        descending=enum_value("order", _DESCENDING, message.order),
        sort_by=enum_value("sort_by", _SORT_BY, message.sort_by),
        pagination_token=optional(message, "pagination_token"),
        filter=optional(message, "filter"),
    )


def read_content(message: Message) -> ReadFile:
    """Return a request for the bytes, or the text, of a file."""
    return ReadFile(message.file_id, enum_value("format", _FORMAT, message.format))


def write_file(view: FileView) -> Message:
    """Return the message of a file."""
    file = view.file
    return _message("xai_api.File")(
        id=file.id,
        filename=file.filename,
        size=file.size,
        created_at=to_timestamp(file.created_at),
        expires_at=to_timestamp(file.expires_at),
        public_url=view.public_url,
        public_url_expires_at=to_timestamp(view.public_url_expires_at),
    )


def write_uploaded(file: File) -> Message:
    """Return the message of a new file."""
    return write_file(FileView(file))


def write_page(page: Page[FileView]) -> Message:
    """Return a page of files; the token is absent on the last page."""
    return _message("xai_api.ListFilesResponse")(
        data=[write_file(view) for view in page.items], pagination_token=page.token_if_more
    )


def write_public_url(view: FileView) -> Message:
    """Return the message of a public URL."""
    return _message("xai_api.CreatePublicUrlResponse")(
        public_url=view.public_url, expires_at=to_timestamp(view.public_url_expires_at)
    )


def write_revoked(revoked: RevokedPublicUrl) -> Message:
    """Return the message of a revocation."""
    return _message("xai_api.RevokePublicUrlResponse")(
        file_id=revoked.file_id, revoked=revoked.public_url is not None, public_url=revoked.public_url
    )


def write_key(key: KeyDescription) -> Message:
    """Return the description of the key."""
    return _message("xai_api.ApiKey")(
        redacted_api_key=key.redacted_api_key,
        user_id=key.user_id,
        name=key.name,
        team_id=key.team_id,
        acls=key.acls,
        api_key_id=key.api_key_id,
        modified_by=key.user_id,
    )


def _file_id(message: Message) -> FileId:
    return FileId(message.file_id)


_FILES = "xai_api.Files"

METHODS = (
    Method(_FILES, "UploadFile", "files.upload", read_upload, write_uploaded, keyless=True),
    Method(_FILES, "ListFiles", "files.list", read_list, write_page),
    Method(_FILES, "RetrieveFile", "files.get", _file_id, write_file),
    Method(
        _FILES,
        "DeleteFile",
        "files.delete",
        _file_id,
        lambda id: _message("xai_api.DeleteFileResponse")(id=id, deleted=True),
    ),
    Method(
        _FILES,
        "RetrieveFileContent",
        "files.content",
        read_content,
        lambda piece: _message("xai_api.FileContentChunk")(data=piece),
    ),
    Method(
        _FILES,
        "CreatePublicUrl",
        "files.create_public_url",
        lambda message: CreatePublicUrl(message.file_id, optional(message, "expires_after")),
        write_public_url,
    ),
    Method(_FILES, "RevokePublicUrl", "files.revoke_public_url", _file_id, write_revoked),
    Method("xai_api.Auth", "get_api_key_info", "auth.api_key", lambda message: NoParameters(), write_key),
)
