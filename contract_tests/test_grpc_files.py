"""The streams of files over gRPC: what an upload is made of, and what the content is in each format."""

from __future__ import annotations

from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import Client
from .clients.models import ApiError
from .clients.rest import RestClient

pytestmark = [pytest.mark.over_grpc, pytest.mark.one_client_per_protocol]


# Messages that are no upload: without an init at the beginning, with a second one, or with one that is not allowed.
BAD_UPLOADS: tuple[tuple[dict[str, Any], ...], ...] = (
    (),
    ({},),
    ({"data": b"a"},),
    ({"data": b"a"}, {"init": {"name": "a.txt"}}),
    ({"init": {"name": "a.txt"}}, {"init": {"name": "a.txt"}}),
    ({"init": {"name": "a.txt"}}, {"data": b"a"}, {"init": {"name": "b.txt"}}, {"data": b"b"}),
    ({"init": {"name": "a;b.txt"}}, {"data": b"a"}),
    ({"init": {"name": "a" * 256}}, {"data": b"a"}),
    *(({"init": {"name": "a.txt", "expires_after": seconds}}, {"data": b"a"}) for seconds in (0, -1, 3599, 2592001)),
)


@case(
    "files.requests.upload",
    *("files.upload", "files.get", "files.content"),
    evidence="documented",
    source="files.proto: UploadFileChunk: the first message is the init, the others are data",
    refusal="expires_after",
)
def test_upload(client: Client, rest: RestClient, name: str) -> None:
    """An upload over gRPC is one init and then any data, whole or in pieces; anything else is an invalid argument."""
    for pieces in ((), (b"ab",), (b"a", b"", b"b"), tuple(bytes([byte]) for byte in range(20))):
        init = {"init": {"name": f"{name}a.txt", "expires_after": 7200}}
        made = client.upload_rpc([init, *({"data": piece} for piece in pieces)])
        shown = rest.json("GET", f"/v1/files/{made['id']}")
        matchers.check(shown, {"bytes": len(b"".join(pieces)), "filename": f"{name}a.txt"}, f"{pieces}")
        assert shown["expires_at"] - shown["created_at"] in (7199, 7200, 7201)
        assert rest.read_file(made["id"]) == b"".join(pieces)
    before = len(rest.list_files(filter='name:"a.txt"').items)
    for messages in BAD_UPLOADS:
        with pytest.raises(ApiError) as refused:
            client.upload_rpc(messages)
        assert refused.value.kind == "invalid", messages
    assert len(rest.list_files(filter='name:"a.txt"').items) == before


@case(
    "files.requests.too-large",
    *("files.upload", "files.list"),
    evidence="assumed",
    source="files.proto: UploadFile: RESOURCE_EXHAUSTED above 512 MB; that the 48 MB of the guide hold, is assumed",
    refusal="size",
    limit="file_bytes_max",
    slow=True,
)
def test_too_large(client: Client, rest: RestClient, name: str) -> None:
    """A file of more than 50 MB is RESOURCE_EXHAUSTED over gRPC, and leaves no file."""
    pieces = [{"data": bytes(1_000_000)}] * 53
    with pytest.raises(ApiError) as refused:
        client.upload_rpc([{"init": {"name": f"{name}large.bin"}}, *pieces])
    assert refused.value.kind == "exhausted"
    assert rest.list_files(filter=f'name:"{name}"').items == []


PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(128, 256))
PAGE = b"<html><body><p>One &amp; two</p></body></html>"
FORMATS: tuple[dict[str, int], ...] = ({}, {"format": 0}, {"format": 1}, {"format": 2})


@case(
    "files.requests.content",
    *("files.content",),
    evidence="documented",
    source="files.proto: RetrieveFileContentRequest, format",
    refusal="no text",
)
def test_content(client: Client, rest: RestClient, name: str) -> None:
    """The content is the original over gRPC unless the text is asked for, which is that of REST, or an error."""
    page = rest.upload_file(PAGE, f"{name}a.html").id
    picture = rest.upload_file(PNG, f"{name}b.png").id

    def content(file: str, message: dict[str, Any]) -> bytes:
        return b"".join(each["data"] for each in client.stream_rpc("RetrieveFileContent", file_id=file, **message))

    text = rest.call("GET", f"/v1/files/{page}/content", query={"format": "text"}).body
    assert text != PAGE
    for message in FORMATS:
        is_text = message.get("format") == 2
        assert content(page, message) == (text if is_text else PAGE), message
        if not is_text:
            assert content(picture, message) == PNG, message
    with pytest.raises(ApiError) as refused:
        content(picture, FORMATS[-1])
    assert refused.value.kind == "invalid"
