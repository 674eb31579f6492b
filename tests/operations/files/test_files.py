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
from emulator.runtime.app import build_world
from emulator.state.settings import Settings
from emulator.state.world import World
from tests.operations.client import advance, blobs, bytes_of, pieces, refusal, rows, run, uploaded

HOUR = 3600
PNG = b"\x89PNG"
TEXT = ContentFormat.TEXT


async def listed(world: World, limit: int = 10, **changes: Any) -> Any:
    """A page of files, the oldest first."""
    return await run(world, "files.list", ListFiles(limit, False, SortBy.CREATED_AT, **changes))


# --- pages


async def test_a_token_wins_over_after(world: World) -> None:
    """Which may then be anything, as the clients that page by id send both."""
    ids = [await uploaded(world) for _ in range(3)]
    token = (await listed(world, 1)).next_token
    for after in (None, "", ids[1], "nothing"):
        page = await listed(world, pagination_token=token, after=after)
        assert [view.file.id for view in page.items] == ids[1:]
    assert [view.file.id for view in (await listed(world, after=ids[1])).items] == ids[2:]


async def test_no_filter_is_an_empty_one(world: World) -> None:
    """Tokens of both are the same."""
    ids = [await uploaded(world) for _ in range(3)]
    for filter, other in ((None, ""), ("", None)):
        token = (await listed(world, 1, filter=filter)).next_token
        page = await listed(world, pagination_token=token, filter=other)
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
async def test_new_bytes_are_as_many_as_the_name_allows(world: World, present: str, new: str | None, row: str) -> None:
    """The new name, where there is one."""
    world.teams.set_limits(world.teams.get("default"), {"file_bytes_max": 10, "jsonl_file_bytes_max": 20})
    id = await uploaded(world, present)
    most = {"file_bytes_max": 10, "jsonl_file_bytes_max": 20}[row]
    for size in (most, most + 1):
        change = run(world, "files.update", UpdateFile(id, new, content=pieces(b"x" * size)))
        if size > most:
            assert await refusal(change) == (row, "file")
        else:
            assert (await change).file.size == most


async def test_a_bad_name_is_refused_before_bytes_are_read(world: World) -> None:
    """It would be a pity about them."""
    id = await uploaded(world)

    async def content() -> AsyncIterator[bytes]:
        raise CallerGone
        yield b""

    assert await refusal(run(world, "files.update", UpdateFile(id, "..", content=content()))) == ("filename",) * 2
    with pytest.raises(CallerGone):
        await run(world, "files.update", UpdateFile(id, content=content()))


@pytest.mark.parametrize("happens", ["files.update", "files.delete"])
async def test_bytes_for_a_file_that_changes_meanwhile_are_refused(world: World, happens: str) -> None:
    """The later call was sent for what was there, and its sender is told; nothing of it is left."""
    id = await uploaded(world)

    async def content() -> AsyncIterator[bytes]:
        yield b"slow"
        other = UpdateFile(id, content=pieces(b"quick")) if happens == "files.update" else FileId(id)
        await run(world, happens, other)
        yield b"er"

    with pytest.raises(ApiError) as refused:
        await run(world, "files.update", UpdateFile(id, content=content()))
    changed = happens == "files.update"
    assert refused.value.kind is (Kind.ABORTED if changed else Kind.NOT_FOUND)
    assert refused.value.rule == ("concurrent_change" if changed else "not_found")
    assert blobs(world) == (1 if changed else 0)
    if changed:
        assert await bytes_of(await run(world, "files.content", ReadFile(id))) == b"quick"


@pytest.mark.parametrize("speed", ["manual", "instant"])
async def test_a_change_is_answered_when_documents_can_be_found(world: World, speed: str) -> None:
    """At the instant speed; else they are being processed, and what they were is gone already."""
    team = world.teams.get("default")
    team.configure(world.settings, {"indexing": "instant"})
    collection: Collection = await run(world, "collections.create", CreateCollection("c"))
    id = await uploaded(world)
    await run(world, "documents.add", AddDocument(collection.id, id))
    assert len(rows(world, "SELECT 1 FROM chunks")) == 1
    team.configure(world.settings, {"indexing": speed})
    await run(world, "files.update", UpdateFile(id, content=pieces(b"other words")))
    document = await run(world, "documents.get", DocumentId(collection.id, id))
    assert document.status is (DocumentStatus.PROCESSED if speed == "instant" else DocumentStatus.PROCESSING)
    assert len(rows(world, "SELECT 1 FROM chunks")) == (1 if speed == "instant" else 0)


# --- content


@pytest.mark.parametrize("format", ContentFormat)
async def test_content_can_be_read_whole_and_in_part(world: World, format: ContentFormat) -> None:
    """And bytes that the disk has lost are a broken disk before the first is sent."""
    id = await uploaded(world, "a.txt", b"some words")
    content = await run(world, "files.content", ReadFile(id, format))
    assert (content.size, await bytes_of(content)) == (10, b"some words")
    assert [await bytes_of(content, *part) for part in ((0,), (5,), (0, 4), (2, 2), (5, 8))] == [
        *(b"some words", b"words", b"some", b"", b"wor"),
    ]
    for path in world.store.blobs._blobs.iterdir():
        path.write_bytes(b"some")
    with pytest.raises(OSError, match="cut short"):
        await run(world, "files.content", ReadFile(id, format))


async def test_a_text_comes_in_pieces(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As bytes do, so that a long one is not copied at once."""
    monkeypatch.setattr(read, "READ_BYTES", 4)
    content = await run(world, "files.content", ReadFile(await uploaded(world, "a.txt", b"0123456789"), TEXT))
    for part, expected in {(): [b"0123", b"4567", b"89"], (3, 8): [b"3456", b"7"], (0, 4): [b"0123"]}.items():
        assert [piece async for piece in content.read(*part)] == expected


async def test_a_file_that_goes_while_its_text_is_extracted_is_not_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Extraction takes a while, in which others call."""
    id = await uploaded(world)
    path = world.store.blobs.path

    def lost(name: str) -> Any:
        path(name).unlink()
        return path(name)

    monkeypatch.setattr(world.store.blobs, "path", lost)
    with pytest.raises(ApiError) as refused:
        await run(world, "files.content", ReadFile(id, TEXT))
    assert (refused.value.kind, refused.value.message) == (Kind.NOT_FOUND, "File not found")


# --- public URLs

URL = re.compile(r"(?P<base>.*)/_files-cdn/(?P<token>[\w-]+)/(?P<name>[\w.-]+)")


async def published(world: World, id: str, expires_after: int | None = None) -> re.Match[str]:
    """The public URL of a file."""
    view: FileView = await run(world, "files.create_public_url", CreatePublicUrl(id, expires_after))
    assert view.public_url is not None
    found = URL.fullmatch(view.public_url)
    assert found is not None
    return found


async def shown(world: World, url: re.Match[str], **other: str) -> bytes | None:
    """What a public URL shows."""
    asked = ReadPublicUrl(**{"token": url["token"], "name": url["name"], **other})
    try:
        return await bytes_of(await run(world, "files.public_content", asked))
    except ApiError as error:
        if error.kind is not Kind.NOT_FOUND:
            raise
        return None


async def test_a_public_url_is_where_the_emulator_is_said_to_be() -> None:
    """Else where the caller reaches it; the same in every answer that has it."""
    for base in (None, "https://files.example"):
        world = build_world(Settings(public_url=base))
        Runner(world)
        id = await uploaded(world, "a.png", PNG)
        url = await published(world, id)
        assert url["base"] == (base or "http://localhost")
        assert (await run(world, "files.get", FileId(id))).public_url == url[0]
        assert [view.public_url for view in (await listed(world)).items] == [url[0]]
        assert await run(world, "files.revoke_public_url", FileId(id)) == RevokedPublicUrl(id, url[0])
        assert await run(world, "files.revoke_public_url", FileId(id)) == RevokedPublicUrl(id, None)
        assert (await run(world, "files.get", FileId(id))).public_url is None
        world.store.close()


async def test_a_public_url_shows_its_file_by_its_name(world: World) -> None:
    """Not by another, and not a second time when it was revoked and made anew."""
    id, other = await uploaded(world, "a.png", PNG), await uploaded(world, "b.png", b"other")
    url, theirs = await published(world, id), await published(world, other)
    assert (await published(world, id))[0] == url[0]
    assert await shown(world, url) == PNG
    for name in (theirs["name"], url["name"] + "x", ""):
        assert await shown(world, url, name=name) is None
    await run(world, "files.revoke_public_url", FileId(id))
    again = await published(world, id)
    assert again["token"] != url["token"]
    assert (await shown(world, url), await shown(world, again)) == (None, PNG)


async def test_a_public_url_ends_with_its_file(world: World) -> None:
    """At that instant, also where the end of the file came after the URL, and the file is not deleted yet."""
    id = await uploaded(world, "a.png", PNG)
    url = await published(world, id)
    await run(world, "files.update", UpdateFile(id, expires_after=HOUR))
    advance(world, HOUR - 1)
    assert await shown(world, url) == PNG
    advance(world, 1)
    assert await shown(world, url) is None
    assert await run(world, "files.revoke_public_url", FileId(id)) == RevokedPublicUrl(id, None)
    assert len(rows(world, "SELECT 1 FROM files")) == 1


async def test_a_team_has_so_many_public_urls_at_a_time(world: World) -> None:
    """One that has ended does not count; one that is there is not a further one."""
    world.teams.set_limits(world.teams.get("default"), {"public_urls_max": 1})
    one, other = await uploaded(world, "a.png", PNG), await uploaded(world, "b.png", PNG)
    await published(world, one, HOUR)
    await published(world, one, 2 * HOUR)
    assert await refusal(run(world, "files.create_public_url", CreatePublicUrl(other))) == ("public_urls_max", None)
    advance(world, 2 * HOUR)
    await published(world, other)


# --- filters


async def test_a_list_can_be_filtered_by_the_public_url_and_its_end(world: World) -> None:
    """Both are null where there is none."""
    none, short, long = [await uploaded(world, f"{name}.png", PNG) for name in "abc"]
    for id, expires_after in ((short, HOUR), (long, 3 * HOUR)):
        await published(world, id, expires_after)
    between = to_datetime(world.teams.get("default").clock.now() + 2 * HOUR * MICROSECONDS).isoformat()
    for filter, expected in {
        "public_url = null": [none],
        "public_url:*": [short, long],
        "public_url_expires_at = null": [none],
        f'public_url_expires_at < "{between}"': [short],
        f'public_url_expires_at > "{between}"': [long],
    }.items():
        assert [view.file.id for view in (await listed(world, filter=filter)).items] == expected, filter
