"""Files over REST: shapes, lists, content, changes, chunked uploads, public URLs, the end of a file."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator import Emulator
from tests.blobs import blobs_on_disk
from tests.examples import examples

PNG = ("a.png", b"\x89PNG", "image/png")
DAY = 86_400


def upload(rest: httpx.Client, name: str = "a.txt", content: bytes = b"hello", **fields: Any) -> dict[str, Any]:
    """Upload a file and return it."""
    reply = rest.post("/v1/files", data=fields, files={"file": (name, content)})
    assert reply.status_code == 200, reply.text
    file: dict[str, Any] = reply.json()
    return file


def names(rest: httpx.Client, query: str = "") -> list[str]:
    """The filenames of a page."""
    return [file["filename"] for file in rest.get(f"/v1/files?{query}").json()["data"]]


def test_file_has_recorded_members_in_order(rest: httpx.Client) -> None:
    """Keys, order and types as recorded; the purpose is always empty, whatever was sent."""
    file = upload(rest, purpose="assistants")
    assert list(file) == ["bytes", "created_at", "expires_at", "filename", "id", "object", "purpose"]
    assert file["id"].startswith("file_")
    assert (file["bytes"], file["expires_at"], file["object"], file["purpose"]) == (5, None, "file", "")
    assert isinstance(file["created_at"], int)
    assert rest.get(f"/v1/files/{file['id']}").json() == file


def test_list_and_delete_have_recorded_members(rest: httpx.Client) -> None:
    """The token is null on a page that is not full; a delete says so, once."""
    file = upload(rest)
    assert rest.get("/v1/files").json() == {"data": [file], "pagination_token": None}
    gone = rest.delete(f"/v1/files/{file['id']}")
    assert gone.json() == {"id": file["id"], "deleted": True, "object": "file"}
    assert rest.delete(f"/v1/files/{file['id']}").status_code == 404
    assert rest.get(f"/v1/files/{file['id']}/content").status_code == 404


def test_files_are_sorted_newest_first_by_default(rest: httpx.Client) -> None:
    """Newest first unless asked otherwise; names by code point; ties in order of upload."""
    for name, size in (("b", 3), ("B", 1), ("a", 2), ("é", 1)):
        upload(rest, name, b"x" * size)
    assert names(rest) == ["é", "a", "B", "b"]
    assert names(rest, "order=asc") == ["b", "B", "a", "é"]
    assert names(rest, "order=asc&sort_by=filename") == ["B", "a", "b", "é"]
    assert names(rest, "order=asc&sort_by=size") == ["B", "é", "a", "b"]
    assert names(rest, "sort_by=size") == ["b", "a", "é", "B"]


def test_page_token_of_other_order_or_team_is_refused(emulator: Emulator, rest: httpx.Client) -> None:
    """A full page has a token; it is refused with another order, by another team, or when it was touched."""
    for name in "abc":
        upload(rest, name)
    token = rest.get("/v1/files?limit=2").json()["pagination_token"]
    assert names(rest, f"limit=2&pagination_token={token}") == ["a"]
    assert names(rest, f"limit=1&pagination_token={token}") == ["a"], "the size of the page may change"
    for query in (f"order=asc&pagination_token={token}", f"sort_by=size&pagination_token={token}"):
        assert rest.get(f"/v1/files?{query}").status_code == 400
    assert rest.get(f"/v1/files?pagination_token={token[:-2]}AA").status_code == 400
    other = {"authorization": f"Bearer {emulator.api_key}@other"}
    assert rest.get(f"/v1/files?pagination_token={token}", headers=other).status_code == 400


def test_full_last_page_has_token_to_empty_page(rest: httpx.Client) -> None:
    """As recorded for lists of this API: only a short page is the end for certain."""
    for name in "ab":
        upload(rest, name)
    token = rest.get("/v1/files?limit=2").json()["pagination_token"]
    assert rest.get(f"/v1/files?limit=2&pagination_token={token}").json() == {"data": [], "pagination_token": None}


@pytest.mark.parametrize("limit", ["0", "-1", ""])
def test_limit_of_zero_is_the_default(rest: httpx.Client, limit: str) -> None:
    """0 or less means 100."""
    for n in range(3):
        upload(rest, str(n))
    assert len(names(rest, f"limit={limit}")) == 3


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    data=st.data(), sort_by=st.sampled_from(["created_at", "filename", "size"]), order=st.sampled_from(["asc", "desc"])
)
def test_paging_under_changes_repeats_and_skips_no_file(
    emulator: Emulator, rest: httpx.Client, data: st.DataObject, sort_by: str, order: str
) -> None:
    """Files that are there from start to end are seen exactly once, whatever comes and goes meanwhile."""
    emulator.reset()
    living = {
        upload(rest, data.draw(st.sampled_from("abc")), b"x" * data.draw(st.integers(0, 3)))["id"] for _ in range(6)
    }
    stayed, seen, token = set(living), [], ""
    while True:
        page = rest.get("/v1/files", params={"limit": 2, "sort_by": sort_by, "order": order, "pagination_token": token})
        seen += [file["id"] for file in page.json()["data"]]
        token = page.json()["pagination_token"]
        if not token:
            break
        for _ in range(data.draw(st.integers(0, 2))):
            if living and data.draw(st.booleans()):
                victim = data.draw(st.sampled_from(sorted(living)))
                rest.delete(f"/v1/files/{victim}")
                living.discard(victim)
                stayed.discard(victim)
            elif len(seen) < 30:
                living.add(upload(rest, data.draw(st.sampled_from("abc")))["id"])
    assert len(seen) == len(set(seen))
    assert stayed <= set(seen)


def test_file_is_gone_at_second_of_expiry(emulator: Emulator, rest: httpx.Client) -> None:
    """From its expiry on, a file is in no list, has no metadata, no content, no public URL, and no bytes on disk."""
    file = rest.post("/v1/files", data={"expires_after": "3600"}, files={"file": PNG}).json()
    kept = upload(rest, "kept.txt")
    url = rest.post(f"/v1/files/{file['id']}/public-url").json()["public_url"]
    rest.post("/_emulator/clock/freeze")
    rest.post("/_emulator/clock/advance", json={"seconds": 3590})
    assert rest.get(f"/v1/files/{file['id']}").status_code == 200
    rest.post("/_emulator/clock/advance", json={"seconds": 11})
    for path in ("", "/content"):
        assert rest.get(f"/v1/files/{file['id']}{path}").status_code == 404
    assert rest.delete(f"/v1/files/{file['id']}").status_code == 404
    assert httpx.get(url).status_code == 404
    assert names(rest) == ["kept.txt"]
    assert len(blobs_on_disk(emulator)) == 1
    assert rest.get(f"/v1/files/{kept['id']}").status_code == 200


@pytest.mark.parametrize(
    ("header", "status", "body"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=4-", 206, b"456789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=9-99", 206, b"9"),
        ("bytes=10-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=3-1", 200, b"0123456789"),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("lines=0-1", 200, b"0123456789"),
    ],
)
def test_single_range_returns_206_and_unsatisfiable_one_416(
    rest: httpx.Client, header: str, status: int, body: bytes | None
) -> None:
    """A single range is served, an unsatisfiable one refused, anything else ignored (RFC 9110 §14)."""
    id = upload(rest, content=b"0123456789")["id"]
    reply = rest.get(f"/v1/files/{id}/content", headers={"range": header})
    assert reply.status_code == status
    if body is not None:
        assert reply.content == body
        assert int(reply.headers["content-length"]) == len(body)
    if status == 206:
        assert reply.headers["content-range"].endswith("/10")


def test_content_type_of_download_is_octet_stream(rest: httpx.Client) -> None:
    """Content-Type is always octet-stream, with the length; HEAD answers without the body, and knows no ranges."""
    id = upload(rest, "a.json", b"{}")["id"]
    for method, headers in (("GET", {}), ("HEAD", {}), ("HEAD", {"range": "bytes=5-"})):
        reply = rest.request(method, f"/v1/files/{id}/content", headers=headers)
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.headers["content-length"] == "2"
        assert reply.content == (b"{}" if method == "GET" else b"")
    assert rest.head(f"/v1/files/{id}").status_code == 200


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.txt", "héllo".encode(), "héllo"),
        ("a", b"", ""),
        ("a.txt", "héllo".encode("utf-16"), "héllo"),
        ("a.html", b"<p>One<p>Two &amp; three<script>no</script>", "One\nTwo & three"),
        ("a.bin", b"\xff\x00", None),
        ("a.png", b"\x89PNG", None),
        ("a.pdf", b"%PDF-1.7 and no more", None),
    ],
)
def test_content_as_text_returns_extracted_text(
    rest: httpx.Client, name: str, content: bytes, text: str | None
) -> None:
    """What search would read of a file, in UTF-8, as octets too; a refusal where there is no text."""
    reply = rest.get(f"/v1/files/{upload(rest, name, content)['id']}/content?format=text")
    if text is None:
        assert (reply.status_code, reply.headers["x-emulator-rule"]) == (400, "format_text")
    else:
        assert (reply.status_code, reply.content.decode()) == (200, text)
        assert reply.headers["content-type"] == "application/octet-stream"
        assert int(reply.headers["content-length"]) == len(reply.content)


def test_range_of_text_counts_bytes_of_text(rest: httpx.Client) -> None:
    """A range is one of the text's bytes, not of the file's."""
    id = upload(rest, "a.txt", "0123456789".encode("utf-16"))["id"]
    reply = rest.get(f"/v1/files/{id}/content?format=text", headers={"range": "bytes=3-5"})
    assert (reply.status_code, reply.content, reply.headers["content-range"]) == (206, b"345", "bytes 3-5/10")


def test_download_of_deleted_file_continues_to_end(emulator: Emulator, rest: httpx.Client) -> None:
    """Who was answered with a file gets all of it, whatever the next call does."""

    async def read_and_delete(id: str) -> tuple[int, bytes]:
        headers = {"authorization": f"Bearer {emulator.api_key}"}
        transport = httpx.ASGITransport(deleting)
        async with httpx.AsyncClient(transport=transport, base_url=emulator.url, headers=headers) as client:
            reply = await client.get(f"/v1/files/{id}/content")
            return reply.status_code, reply.content

    async def deleting(scope: Any, receive: Any, send: Any) -> None:
        async def send_and_delete(message: Any) -> None:
            if message["type"] == "http.response.start":
                assert rest.delete(scope["path"].removesuffix("/content")).status_code == 200
            await send(message)

        await emulator.app(scope, receive, send_and_delete)

    id = upload(rest, content=bytes(1_000_000))["id"]
    assert asyncio.run(read_and_delete(id)) == (200, bytes(1_000_000))
    assert rest.get(f"/v1/files/{id}").status_code == 404


def test_download_post_returns_content(rest: httpx.Client) -> None:
    """POST /v1/files:download is content, asked for in a body."""
    id = upload(rest)["id"]
    assert rest.post("/v1/files:download", json={"file_id": id}).content == b"hello"
    assert rest.post("/v1/files:download", json={"file_id": id, "format": "text"}).text == "hello"
    assert rest.post("/v1/files:download", json={"file_id": "nope"}).status_code == 404
    assert rest.post("/v1/files:download", json={"file_id": id, "format": "x"}).status_code == 422


def test_put_changes_named_members_only(rest: httpx.Client) -> None:
    """PUT renames in JSON, or takes new content in a form; what is not named stays."""
    file = upload(rest, expires_after="3600")
    renamed = rest.put(f"/v1/files/{file['id']}", json={"filename": "b.txt"}).json()
    assert renamed == {**file, "filename": "b.txt"}
    changed = rest.put(f"/v1/files/{file['id']}", files={"file": ("c.txt", b"other bytes")}).json()
    assert changed == {**file, "filename": "c.txt", "bytes": 11}
    assert rest.get(f"/v1/files/{file['id']}/content").content == b"other bytes"
    assert rest.put(f"/v1/files/{file['id']}", json={"filename": "a;b"}).status_code == 400
    assert rest.put("/v1/files/nope", json={}).status_code == 404


def test_changed_expiry_replaces_former_one(emulator: Emulator, rest: httpx.Client) -> None:
    """After PUT with expires_after, the file lives that long from now on."""
    file = upload(rest, expires_after="3600")
    rest.put(f"/v1/files/{file['id']}", json={"expires_after": 2 * DAY})
    emulator.advance(DAY)
    assert rest.get(f"/v1/files/{file['id']}").status_code == 200
    emulator.advance(DAY)
    assert rest.get(f"/v1/files/{file['id']}").status_code == 404


def chunk(content: bytes) -> str:
    """A chunk as JSON carries it."""
    return base64.b64encode(content).decode()


def test_file_is_uploaded_in_chunks(rest: httpx.Client) -> None:
    """initialize, then uploadChunks once or more, each with one chunk or a stream of them."""
    made = rest.post("/v1/files:initialize", json={"name": "a.txt", "content_type": "text/plain"}).json()
    id = made["file_id"]
    assert (made["upload_status"], made["size_bytes"], made["content_type"]) == ("Initializing", "0", "text/plain")
    first = rest.post("/v1/files:uploadChunks", json={"file_id": id, "chunk": chunk(b"one ")}).json()
    assert (first["upload_status"], first["size_bytes"]) == ("Complete", "4")
    stream = "\n".join(f'{{"file_id":"{id}","chunk":"{chunk(piece)}"}}' for piece in (b"two ", b"three"))
    rest.post("/v1/files:uploadChunks", content=stream, headers={"content-type": "application/json"})
    assert rest.get(f"/v1/files/{id}/content").content == b"one two three"


def test_bad_chunk_is_refused_and_changes_nothing(rest: httpx.Client) -> None:
    """Unknown file, broken base64, a file that was not initialized, two files in one call: refused, nothing changed."""
    plain = upload(rest)["id"]
    made = rest.post("/v1/files:initialize", json={"name": "a.txt", "content_type": "text/plain"}).json()["file_id"]
    send = lambda **body: rest.post("/v1/files:uploadChunks", json=body).status_code  # noqa: E731
    assert send(file_id="nope", chunk="") == 404
    assert send(file_id=made, chunk="*") == 400
    assert send(file_id=plain, chunk=chunk(b"x")) == 412
    assert send(file_id=made) == 422
    two = f'{{"file_id":"{made}","chunk":""}}\n{{"file_id":"{plain}","chunk":""}}'
    reply = rest.post("/v1/files:uploadChunks", content=two, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert rest.get(f"/v1/files/{made}").json()["bytes"] == 0


def test_batch_upload_completes_when_each_file_has_its_bytes(rest: httpx.Client) -> None:
    """Several files are initialized together, and complete together once each has its bytes."""
    body = {"files": [{"name": f"{n}.txt", "content_type": "text/plain"} for n in range(2)]}
    job = rest.post("/v1/files/batch_upload", json=body).json()
    assert (job["status"], [file["name"] for file in job["files"]]) == ("pending", ["0.txt", "1.txt"])
    complete = f"/v1/files/batch_upload/{job['batch_job_id']}:complete"
    assert rest.post(complete).status_code == 412
    for file in job["files"]:
        rest.post("/v1/files:uploadChunks", json={"file_id": file["file_id"], "chunk": chunk(b"x")})
    for _ in range(2):
        done = rest.post(complete).json()
        assert (done["status"], [file["upload_status"] for file in done["files"]]) == ("complete", ["Complete"] * 2)
    late = rest.post("/v1/files:uploadChunks", json={"file_id": job["files"][0]["file_id"], "chunk": chunk(b"y")})
    assert late.status_code == 412
    assert rest.post("/v1/files/batch_upload/nope:complete").status_code == 404
    assert rest.post("/v1/files/batch_upload", json={"files": []}).status_code == 400


@pytest.mark.parametrize("bad", [{"name": "b;c"}, {"name": "b" * 256}, {"expires_after": 3599}])
def test_batch_upload_with_bad_file_creates_nothing(rest: httpx.Client, bad: dict[str, Any]) -> None:
    """Each file is validated like an upload; all of them are created, or none."""
    good = {"name": "a.txt", "content_type": "text/plain"}
    assert rest.post("/v1/files/batch_upload", json={"files": [good, {**good, **bad}]}).status_code == 400
    assert names(rest) == []


def test_public_url_is_stable_until_revoked(emulator: Emulator, rest: httpx.Client) -> None:
    """One URL per file: asked again it is the same; revoked it is dead, and the next one is another."""
    id = rest.post("/v1/files", files={"file": PNG}).json()["id"]
    path = f"/v1/files/{id}/public-url"
    first = rest.post(path).json()
    assert set(first) == {"public_url"}, "no expiry, no expires_at"
    again = rest.post(path, json={"expires_after": 3600}).json()
    assert again["public_url"] == first["public_url"]
    assert rest.get(f"/v1/files/{id}").json()["public_url_expires_at"] == again["expires_at"]
    assert rest.post(path, json={}).json() == again, "an expiry that is there stays"
    assert rest.post(f"{path}/revoke").json() == {"id": id, "revoked": True, "public_url": first["public_url"]}
    assert rest.post(f"{path}/revoke").json() == {"id": id, "revoked": False}
    assert rest.post("/v1/files/nope/public-url/revoke").json() == {"id": "nope", "revoked": False}
    assert "public_url" not in rest.get(f"/v1/files/{id}").json()
    assert rest.post(path).json()["public_url"] != first["public_url"]


def test_public_url_expires_with_its_own_expiry(emulator: Emulator, rest: httpx.Client) -> None:
    """It ends with its own expiry, which is at most its file's."""
    id = rest.post("/v1/files", data={"expires_after": str(2 * DAY)}, files={"file": PNG}).json()["id"]
    path = f"/v1/files/{id}/public-url"
    assert rest.post(path, json={"expires_after": 3 * DAY}).status_code == 400
    inherited = rest.post(path).json()
    assert inherited["expires_at"] == rest.get(f"/v1/files/{id}").json()["expires_at"]
    short = rest.post(path, json={"expires_after": DAY}).json()
    assert httpx.get(short["public_url"]).status_code == 200
    emulator.advance(DAY + 1)
    assert httpx.get(short["public_url"]).status_code == 404
    assert "public_url" not in rest.get(f"/v1/files/{id}").json()


@pytest.mark.parametrize("file", [("a.txt", b"x", "text/plain"), ("a.png", b"", "image/png")])
def test_public_url_of_unsuitable_file_is_refused(rest: httpx.Client, file: tuple[str, bytes, str]) -> None:
    """Other types and empty files are refused."""
    id = rest.post("/v1/files", files={"file": file}).json()["id"]
    assert rest.post(f"/v1/files/{id}/public-url").status_code == 400


def test_public_url_needs_token_and_filename(rest: httpx.Client) -> None:
    """Only the token opens it, and only under the file's own name."""
    id = rest.post("/v1/files", files={"file": PNG}).json()["id"]
    url = rest.post(f"/v1/files/{id}/public-url").json()["public_url"]
    token = url.split("/")[-2]
    assert len(token) == 22
    assert rest.get(f"/_files-cdn/{token}/{id}.jpg").status_code == 404
    assert rest.get(f"/_files-cdn/{'A' * 22}/{id}.png").status_code == 404
