"""Files, call by call: pages, changes while bytes arrive, and what a public URL shows to whom until when."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from emulator.core.clock import MICROSECONDS, to_datetime
from emulator.core.errors import ApiError, CallerGone, Kind
from emulator.domain.collections import Collection
from emulator.domain.documents import DocumentStatus
from emulator.domain.files import ContentFormat, FileView, SortBy
from emulator.jobs.runner import Runner
from emulator.operations.collections import CreateCollection
from emulator.operations.documents import AddDocument, DocumentId
from emulator.operations.files import read
from emulator.operations.files.public_urls import CreatePublicUrl, ReadPublicUrl, RevokedPublicUrl
from emulator.operations.files.read import FileId, ListFiles, ReadFile
from emulator.operations.files.update import UpdateFile
from emulator.runtime.app import build_services
from emulator.state.services import Services
from emulator.state.settings import Settings
from tests.operations.client import advance, blobs, bytes_of, pieces, refusal, rows, run, uploaded

HOUR = 3600
PNG = b"\x89PNG"
TEXT = ContentFormat.TEXT


async def listed(services: Services, limit: int = 10, **changes: Any) -> Any:
    """A page of files, the oldest first."""
    return await run(services, "files.list", ListFiles(limit, False, SortBy.CREATED_AT, **changes))


# --- pages


async def test_page_token_overrides_after(services: Services) -> None:
    """Which may then be anything, as the clients that page by id send both."""
    ids = [await uploaded(services) for _ in range(3)]
    token = (await listed(services, 1)).next_token
    for after in (None, "", ids[1], "nothing"):
        page = await listed(services, pagination_token=token, after=after)
        assert [view.file.id for view in page.items] == ids[1:]
    assert [view.file.id for view in (await listed(services, after=ids[1])).items] == ids[2:]


async def test_no_filter_equals_empty_filter(services: Services) -> None:
    """Tokens of both are the same."""
    ids = [await uploaded(services) for _ in range(3)]
    for filter, other in ((None, ""), ("", None)):
        token = (await listed(services, 1, filter=filter)).next_token
        page = await listed(services, pagination_token=token, filter=other)
        assert [view.file.id for view in page.items] == ids[1:]


# --- changes


@pytest.mark.parametrize(
    ("present", "new", "row"),
    [
        ("a.txt", None, "file_bytes_max"),
        ("a.jsonl", None, "jsonl_file_bytes_max"),
        ("a.txt", "b.jsonl", "jsonl_file_bytes_max"),
        ("a.jsonl", "b.txt", "file_bytes_max"),
    ],
)
async def test_new_bytes_are_as_many_as_the_name_allows(
    services: Services, present: str, new: str | None, row: str
) -> None:
    """The new name, where there is one."""
    services.teams.set_limits(services.teams.get("default"), {"file_bytes_max": 10, "jsonl_file_bytes_max": 20})
    id = await uploaded(services, present)
    most = {"file_bytes_max": 10, "jsonl_file_bytes_max": 20}[row]
    for size in (most, most + 1):
        change = run(services, "files.update", UpdateFile(id, new, content=pieces(b"x" * size)))
        if size > most:
            assert await refusal(change) == (row, "file")
        else:
            assert (await change).file.size == most


async def test_bad_name_is_refused_before_body_is_read(services: Services) -> None:
    """It would be a pity about them."""
    id = await uploaded(services)

    async def content() -> AsyncIterator[bytes]:
        raise CallerGone
        yield b""

    assert await refusal(run(services, "files.update", UpdateFile(id, "..", content=content()))) == ("filename",) * 2
    with pytest.raises(CallerGone):
        await run(services, "files.update", UpdateFile(id, content=content()))


@pytest.mark.parametrize("happens", ["files.update", "files.delete"])
async def test_concurrent_change_of_file_refuses_later_call(services: Services, happens: str) -> None:
    """The later call was sent for the former content, so it is refused, and leaves nothing behind."""
    id = await uploaded(services)

    async def content() -> AsyncIterator[bytes]:
        yield b"slow"
        other = UpdateFile(id, content=pieces(b"quick")) if happens == "files.update" else FileId(id)
        await run(services, happens, other)
        yield b"er"

    with pytest.raises(ApiError) as refused:
        await run(services, "files.update", UpdateFile(id, content=content()))
    changed = happens == "files.update"
    assert refused.value.kind is (Kind.ABORTED if changed else Kind.NOT_FOUND)
    assert refused.value.rule == ("concurrent_change" if changed else "not_found")
    assert blobs(services) == (1 if changed else 0)
    if changed:
        assert await bytes_of(await run(services, "files.content", ReadFile(id))) == b"quick"


@pytest.mark.parametrize("speed", ["manual", "instant"])
async def test_update_returns_when_documents_are_indexed(services: Services, speed: str) -> None:
    """At the instant speed; else they are being processed, and what they were is gone already."""
    team = services.teams.get("default")
    team.configure(services.settings, {"indexing": "instant"})
    collection: Collection = await run(services, "collections.create", CreateCollection("c"))
    id = await uploaded(services)
    await run(services, "documents.add", AddDocument(collection.id, id))
    assert len(rows(services, "SELECT 1 FROM chunks")) == 1
    team.configure(services.settings, {"indexing": speed})
    await run(services, "files.update", UpdateFile(id, content=pieces(b"other words")))
    document = await run(services, "documents.get", DocumentId(collection.id, id))
    assert document.status is (DocumentStatus.PROCESSED if speed == "instant" else DocumentStatus.PROCESSING)
    assert len(rows(services, "SELECT 1 FROM chunks")) == (1 if speed == "instant" else 0)


# --- content


@pytest.mark.parametrize("format", ContentFormat)
async def test_content_is_read_whole_or_in_part(services: Services, format: ContentFormat) -> None:
    """And bytes that the disk has lost are a broken disk before the first is sent."""
    id = await uploaded(services, "a.txt", b"some words")
    content = await run(services, "files.content", ReadFile(id, format))
    assert (content.size, await bytes_of(content)) == (10, b"some words")
    assert [await bytes_of(content, *part) for part in ((0,), (5,), (0, 4), (2, 2), (5, 8))] == [
        *(b"some words", b"words", b"some", b"", b"wor"),
    ]
    for path in services.store.blobs._blobs.iterdir():
        path.write_bytes(b"some")
    with pytest.raises(OSError, match="cut short"):
        await run(services, "files.content", ReadFile(id, format))


async def test_extracted_text_is_read_in_pieces(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """As bytes do, so that a long one is not copied at once."""
    monkeypatch.setattr(read, "READ_BYTES", 4)
    content = await run(services, "files.content", ReadFile(await uploaded(services, "a.txt", b"0123456789"), TEXT))
    for part, expected in {(): [b"0123", b"4567", b"89"], (3, 8): [b"3456", b"7"], (0, 4): [b"0123"]}.items():
        assert [piece async for piece in content.read(*part)] == expected


async def test_file_deleted_during_extraction_is_not_found(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extraction takes a while, in which others call."""
    id = await uploaded(services)
    path = services.store.blobs.path

    def lost(name: str) -> Any:
        path(name).unlink()
        return path(name)

    monkeypatch.setattr(services.store.blobs, "path", lost)
    with pytest.raises(ApiError) as refused:
        await run(services, "files.content", ReadFile(id, TEXT))
    assert (refused.value.kind, refused.value.message) == (Kind.NOT_FOUND, "File not found")


# --- public URLs

URL = re.compile(r"(?P<base>.*)/_files-cdn/(?P<token>[\w-]+)/(?P<name>[\w.-]+)")


async def published(services: Services, id: str, expires_after: int | None = None) -> re.Match[str]:
    """The public URL of a file."""
    view: FileView = await run(services, "files.create_public_url", CreatePublicUrl(id, expires_after))
    assert view.public_url is not None
    found = URL.fullmatch(view.public_url)
    assert found is not None
    return found


async def shown(services: Services, url: re.Match[str], **other: str) -> bytes | None:
    """What a public URL shows."""
    asked = ReadPublicUrl(**{"token": url["token"], "name": url["name"], **other})
    try:
        return await bytes_of(await run(services, "files.public_content", asked))
    except ApiError as error:
        if error.kind is not Kind.NOT_FOUND:
            raise
        return None


async def test_public_url_starts_with_configured_address() -> None:
    """Else where the caller reaches it; the same in every answer that has it."""
    for base in (None, "https://files.example"):
        services = build_services(Settings(public_url=base))
        Runner(services)
        id = await uploaded(services, "a.png", PNG)
        url = await published(services, id)
        assert url["base"] == (base or "http://localhost")
        assert (await run(services, "files.get", FileId(id))).public_url == url[0]
        assert [view.public_url for view in (await listed(services)).items] == [url[0]]
        assert await run(services, "files.revoke_public_url", FileId(id)) == RevokedPublicUrl(id, url[0])
        assert await run(services, "files.revoke_public_url", FileId(id)) == RevokedPublicUrl(id, None)
        assert (await run(services, "files.get", FileId(id))).public_url is None
        services.store.close()


async def test_public_url_serves_file_under_its_name_only(services: Services) -> None:
    """Another file's name does not work, and a revoked URL does not work after a new one is created."""
    id, other = await uploaded(services, "a.png", PNG), await uploaded(services, "b.png", b"other")
    url, theirs = await published(services, id), await published(services, other)
    assert (await published(services, id))[0] == url[0]
    assert await shown(services, url) == PNG
    for name in (theirs["name"], url["name"] + "x", ""):
        assert await shown(services, url, name=name) is None
    await run(services, "files.revoke_public_url", FileId(id))
    again = await published(services, id)
    assert again["token"] != url["token"]
    assert (await shown(services, url), await shown(services, again)) == (None, PNG)


async def test_public_url_expires_with_its_file(services: Services) -> None:
    """At that instant, also where the end of the file came after the URL, and the file is not deleted yet."""
    id = await uploaded(services, "a.png", PNG)
    url = await published(services, id)
    await run(services, "files.update", UpdateFile(id, expires_after=HOUR))
    advance(services, HOUR - 1)
    assert await shown(services, url) == PNG
    advance(services, 1)
    assert await shown(services, url) is None
    assert await run(services, "files.revoke_public_url", FileId(id)) == RevokedPublicUrl(id, None)
    assert len(rows(services, "SELECT 1 FROM files")) == 1


async def test_public_urls_over_limit_of_team_are_refused(services: Services) -> None:
    """One that has ended does not count; one that is there is not a further one."""
    services.teams.set_limits(services.teams.get("default"), {"public_urls_max": 1})
    one, other = await uploaded(services, "a.png", PNG), await uploaded(services, "b.png", PNG)
    await published(services, one, HOUR)
    await published(services, one, 2 * HOUR)
    assert await refusal(run(services, "files.create_public_url", CreatePublicUrl(other))) == ("public_urls_max", None)
    advance(services, 2 * HOUR)
    await published(services, other)


# --- filters


async def test_files_are_filtered_by_public_url_and_its_expiry(services: Services) -> None:
    """Both are null where there is none."""
    none, short, long = [await uploaded(services, f"{name}.png", PNG) for name in "abc"]
    for id, expires_after in ((short, HOUR), (long, 3 * HOUR)):
        await published(services, id, expires_after)
    between = to_datetime(services.teams.get("default").clock.now() + 2 * HOUR * MICROSECONDS).isoformat()
    for filter, expected in {
        "public_url = null": [none],
        "public_url:*": [short, long],
        "public_url_expires_at = null": [none],
        f'public_url_expires_at < "{between}"': [short],
        f'public_url_expires_at > "{between}"': [long],
    }.items():
        assert [view.file.id for view in (await listed(services, filter=filter)).items] == expected, filter
