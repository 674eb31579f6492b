"""The Files API with every client library."""

from __future__ import annotations

import pytest

from . import matchers
from .case import case
from .clients.client import Client
from .clients.models import ApiError, Unsupported

UNKNOWN_FILE = "file_00000000-0000-4000-8000-000000000000"
CONTENT = bytes(range(256)) * 64


@case(
    "files.round-trip",
    *("files.upload", "files.get", "files.content", "files.delete"),
    evidence="documented",
    source="Files guide; OpenAPI: /v1/files",
)
def test_round_trip(client: Client, name: str) -> None:
    """What is uploaded is described, read back byte for byte, and deleted."""
    made = client.upload_file(CONTENT, f"{name}a.bin")
    matchers.check(
        vars(made), {"id": "$file_id", "name": f"{name}a.bin", "size": len(CONTENT), "created_at": "$unix_now"}
    )
    assert client.get_file(made.id) == made
    assert client.read_file(made.id) == CONTENT
    client.delete_file(made.id)
    with pytest.raises(ApiError) as gone:
        client.get_file(made.id)
    assert gone.value.kind == "not_found"


@case(
    "files.seen-by-others",
    *("files.upload", "files.content"),
    evidence="documented",
    source="Files guide: REST, gRPC and the OpenAI SDKs share the same files",
)
def test_seen_by_others(client: Client, others: list[Client], name: str) -> None:
    """A file is the same file for every client, whichever transport it came through."""
    made = client.upload_file(name.encode(), f"{name}a.txt")
    for other in others:
        try:
            seen = other.get_file(made.id)
        except Unsupported:
            continue
        assert (seen.id, seen.name, seen.size) == (made.id, made.name, made.size), other.name
        assert other.read_file(made.id) == name.encode(), other.name


@case(
    "files.expiry-of-upload",
    *("files.upload",),
    evidence="documented",
    source="OpenAPI: UploadFileMultipartRequest, expires_after; files.proto",
)
def test_expiry(client: Client, name: str) -> None:
    """A file can be given an expiry when it is uploaded, counted from then."""
    made = client.upload_file(b"x", f"{name}a.txt", expires_after=7200)
    assert made.expires_at is not None
    assert 0 <= made.expires_at - made.created_at - 7200 <= 1  # the fractions of both seconds are cut off


@case(
    "files.expiry-too-short",
    *("files.upload",),
    evidence="documented",
    source="OpenAPI: UploadFileMultipartRequest, expires_after; files.proto",
    refusal="expires_after",
    limit="expires_after_seconds_min",
)
def test_expiry_too_short(client: Client, name: str) -> None:
    """An expiry below 3600 seconds arrives as the client's error for bad arguments."""
    with pytest.raises(ApiError) as refused:
        client.upload_file(b"x", f"{name}a.txt", expires_after=3599)
    assert refused.value.kind == "invalid"


@case(
    "files.unknown",
    *("files.get", "files.content", "files.delete"),
    evidence="documented",
    source="OpenAPI: /v1/files/{file_id}, 404; files.proto: NOT_FOUND",
    refusal="not found",
    refusing=("files.get", "files.content", "files.delete"),
)
def test_unknown(client: Client, name: str) -> None:
    """A file that does not exist arrives as the client's error for things that are not found."""
    for call in (client.get_file, client.read_file, client.delete_file):
        with pytest.raises(ApiError) as refused:
            call(UNKNOWN_FILE)
        assert refused.value.kind == "not_found"


@case(
    "files.walk",
    *("files.list",),
    evidence="documented",
    source="OpenAPI: GET /v1/files, pagination_token; files.proto",
)
def test_walk(client: Client, name: str) -> None:
    """A walk over pages of three meets every file once, and ends."""
    made = {client.upload_file(b"x", f"{name}{number}.txt").id for number in range(7)}
    walked = client.walk_files(3)
    assert made <= set(walked)
    assert len(walked) == len(set(walked))


@case(
    "files.pages",
    *("files.list",),
    evidence="documented",
    source="OpenAPI: GET /v1/files, order, sort_by, pagination_token",
)
def test_pages(client: Client, name: str) -> None:
    """Pages follow each other in the order that was asked for, without gaps or repetitions."""
    made = [client.upload_file(b"x", f"{name}{number}.txt").id for number in range(5)]
    seen: list[str] = []
    token = None
    for size in (2, 2, 1):
        page = client.list_files(limit=2, ascending=True, token=token, filter=f'name:"{name}"')
        assert len(page.items) == size
        seen += [file.id for file in page.items]
        token = page.token
    assert seen == made
    assert token is None


@case(
    "files.pages-while-deleting",
    *("files.list", "files.delete"),
    evidence="assumed",
    source="a list that is changed while it is walked should neither repeat nor hide other files; not documented",
)
def test_pages_while_deleting(client: Client, name: str) -> None:
    """Deleting what was listed hides nothing from the next page."""
    made = {client.upload_file(b"x", f"{name}{number}.txt").id for number in range(5)}
    seen: set[str] = set()
    token = None
    while seen != made:
        page = client.list_files(limit=2, token=token, filter=f'name:"{name}"')
        assert page.items, f"{len(made - seen)} of the files are not listed"
        for file in page.items:
            client.delete_file(file.id)
        seen |= {file.id for file in page.items}
        token = page.token
        if token is None:
            break
    assert seen == made


@case(
    "files.filter-with-clients",
    *("files.list",),
    evidence="documented",
    source="OpenAPI: GET /v1/files, filter; xai-sdk: files.list(filter=…)",
)
def test_filter(client: Client, name: str) -> None:
    """A filter picks the files it describes."""
    client.upload_file(b"x", f"{name}small.txt")
    large = client.upload_file(b"x" * 100, f"{name}large.txt")
    page = client.list_files(filter=f'name:"{name}" AND size_bytes >= 100')
    assert [file.id for file in page.items] == [large.id]


@case(
    "files.filter-broken-with-clients",
    *("files.list",),
    evidence="assumed",
    source="AIP-160: a filter that is not well-formed is an invalid argument",
    refusal="filter",
)
def test_broken_filter(client: Client, name: str) -> None:
    """A filter that cannot be read arrives as the client's error for bad arguments."""
    with pytest.raises(ApiError) as refused:
        client.list_files(filter="size_bytes > ")
    assert refused.value.kind == "invalid"


@case(
    "files.public-url-with-clients",
    *("files.create_public_url", "files.revoke_public_url"),
    evidence="documented",
    source="Public URL guide; xai-sdk: files.create_public_url",
)
def test_public_url(client: Client, name: str) -> None:
    """A public URL can be made, asked for again, and revoked once."""
    file = client.upload_file(b"\x89PNG", f"{name}a.png")
    made = client.create_public_url(file.id, expires_after=3600)
    matchers.check(vars(made), {"url": {"$contains": file.id}, "expires_at": "$unix_now"})
    assert client.create_public_url(file.id) == made
    assert client.revoke_public_url(file.id)
    assert not client.revoke_public_url(file.id)


@case(
    "files.listed",
    *("files.list", "files.get"),
    evidence="documented",
    source="OpenAPI: ListFilesResponse; files.proto",
)
def test_listed(client: Client, name: str) -> None:
    """A list shows a file as the file itself is shown, its expiry included, with every client."""
    made = client.upload_file(b"hello", f"{name}a.txt", expires_after=7200)
    shown = client.get_file(made.id)
    assert shown == made
    assert client.list_files(filter=f'name:"{name}"').items == [shown]


@case(
    "files.large",
    *("files.upload", "files.content"),
    evidence="documented",
    source="Files guide: 48 MB per file; xai-sdk sends chunks of 3 MiB",
    slow=True,
)
def test_large(client: Client, name: str) -> None:
    """A file of 10 MiB makes the way there and back."""
    content = CONTENT * 640
    file = client.upload_file(content, f"{name}large.bin")
    assert file.size == len(content)
    assert client.read_file(file.id) == content


@case(
    "files.list.default",
    *("files.list",),
    evidence="documented",
    source="files.proto: a limit of 0 or less means 100",
    limit="page_items_default",
    slow=True,
)
@pytest.mark.one_client_per_protocol
def test_default_page(client: Client, name: str) -> None:
    """A page has 100 files by default, and a token for the next page."""
    for number in range(101):
        client.upload_file(b"x", f"{name}{number}.txt")
    page = client.list_files(filter=f'name:"{name}"')
    assert len(page.items) == 100
    assert len(client.list_files(filter=f'name:"{name}"', token=page.token).items) == 1


@case(
    "files.list.most",
    *("files.list",),
    evidence="assumed",
    source="files.proto clamps a limit above 100; what REST does is not documented",
    limit="page_items_max",
    slow=True,
)
@pytest.mark.one_client_per_protocol
def test_largest_page(client: Client, name: str) -> None:
    """A page has 100 files at most, however many are asked for, and then continues."""
    for number in range(101):
        client.upload_file(b"x", f"{name}{number}.txt")
    page = client.list_files(limit=1000, filter=f'name:"{name}"')
    assert len(page.items) == 100
    assert len(client.list_files(limit=1000, filter=f'name:"{name}"', token=page.token).items) == 1
