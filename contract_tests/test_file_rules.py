"""Rules of files as tables: content types, names, expiries, public URLs, text, and parameters of lists."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.http import FilePart, Request, Transport
from .clients.models import ApiError
from .clients.rest import RestClient
from .target import Target

pytestmark = pytest.mark.usefixtures("transport")

OCTETS = "application/octet-stream"
# The declared type, the name, and the type that the file has.
TYPES = (
    (OCTETS, "a.png", "image/png"),
    (OCTETS, "a.pdf", "application/pdf"),
    (OCTETS, "a.md", "text/markdown"),
    (OCTETS, "a.json", "application/json"),
    (OCTETS, "a.PNG", "image/png"),
    (OCTETS, "a", OCTETS),
    (OCTETS, "a.unknown-extension", OCTETS),
    ("image/jpeg", "a.png", "image/jpeg"),
    ("IMAGE/JPEG", "a.bin", "image/jpeg"),
    ("text/plain; charset=utf-8", "a.bin", "text/plain"),
    ("nonsense", "a.txt", "text/plain"),
)


@case(
    "files.types",
    *("files.upload", "files.list"),
    evidence="assumed",
    source="files.proto: content_type; how a declared type and an extension combine is not documented",
)
def test_types(rest: RestClient, name: str) -> None:
    """A file has its declared type in lower case, without parameters; else, and for bytes, that of its extension."""
    for declared, filename, expected in TYPES:
        file = rest.upload_file(b"x", f"{name}{filename}", content_type=declared).id
        found = rest.list_files(filter=f'file_id = "{file}" AND content_type = "{expected}"').items
        assert [each.id for each in found] == [file], f"{filename} declared as {declared} is not {expected}"


BAD_NAMES = ("..", "../a", "a/..", "a/../b", "a;b", "a\\b", 'a"b', "a\nb", "a\x00b", "")
GOOD_NAMES = ("a..b", "..a", "a...", ".a", "a b", "ä'(1).txt", "文書.txt", "🙂", "a/b.txt")


@case(
    "files.names",
    *("files.update", "files.get"),
    evidence="assumed",
    source="files.proto and REST reference: rules of names; files.update has no published contract",
    refusal="filename",
)
def test_names(rest: RestClient, name: str) -> None:
    """A name with control characters, quotes, semicolons, backslashes or parent folders is 400; others are kept."""
    file = rest.upload_file(b"x", f"{name}a.txt").id
    for bad in BAD_NAMES:
        with pytest.raises(ApiError) as error:
            rest.json("PUT", f"/v1/files/{file}", json_body={"filename": bad})
        assert error.value.kind == "invalid", bad
        assert rest.get_file(file).name == f"{name}a.txt", bad
    for good in GOOD_NAMES:
        rest.json("PUT", f"/v1/files/{file}", json_body={"filename": f"{name}{good}"})
        assert rest.get_file(file).name == f"{name}{good}"


@case(
    "files.update.type",
    *("files.update", "files.list", "files.create_public_url", "files.public_content"),
    evidence="assumed",
    source="files.update has no published contract; Public URL guide: types with public URLs",
)
def test_renamed_type(rest: RestClient, transport: Transport, name: str) -> None:
    """A new name gives a file the type of its extension; one of a type without public URLs loses its own."""
    file = rest.upload_file(b"x", f"{name}a.png").id
    url = rest.create_public_url(file).url

    def typed(expected: str) -> bool:
        return len(rest.list_files(filter=f'file_id = "{file}" AND content_type = "{expected}"').items) == 1

    assert transport.send(Request("GET", url)).status == 200
    assert typed("image/png")
    rest.json("PUT", f"/v1/files/{file}", json_body={"filename": f"{name}a.txt"})
    assert typed("text/plain")
    assert transport.send(Request("GET", url)).status == 404
    assert "public_url" not in rest.json("GET", f"/v1/files/{file}")


@case(
    "files.expiry.updates",
    *("files.update", "files.get"),
    evidence="assumed",
    source="files.update has no published contract; the expiry counts from the update, as that of an upload",
    control=True,
)
def test_updated_expiry(rest: RestClient, target: Target, name: str) -> None:
    """A file whose expiry is updated lives until the new one, whether that is earlier or later."""
    target.control("POST", "/clock/freeze", {"at": "2031-05-06T07:08:09Z"})
    earlier, later, kept = (rest.upload_file(b"x", f"{name}{word}", expires_after=7200).id for word in "abc")

    def alive() -> list[str]:
        listed = [each.id for each in rest.list_files(ascending=True).items]
        for file in (earlier, later, kept):
            try:
                rest.get_file(file)
                found = True
            except ApiError:
                found = False
            assert found == (file in listed), file
        return listed

    def advance(seconds: int) -> None:
        target.control("POST", "/clock/advance", {"seconds": seconds})
        target.control("POST", "/jobs/run")

    advance(1800)
    for file, seconds in ((earlier, 3600), (later, 10_000)):
        shown = rest.json("PUT", f"/v1/files/{file}", json_body={"expires_after": seconds})
        assert shown["expires_at"] - shown["created_at"] == 1800 + seconds
    advance(3599)
    assert alive() == [earlier, later, kept]
    advance(1)
    assert alive() == [later, kept]
    advance(1800)
    assert alive() == [later]
    advance(4599)
    assert alive() == [later]
    advance(1)
    assert alive() == []


@case(
    "files.public-url.life",
    *("files.create_public_url", "files.public_content", "files.get"),
    evidence="documented",
    source="Public URL guide: expiry, and what the URL serves",
    refusal="expires_after",
    control=True,
)
def test_public_urls(rest: RestClient, transport: Transport, target: Target, name: str) -> None:
    """A public URL keeps its address with a new expiry, never outlives its file, and serves only its own address."""
    target.control("POST", "/clock/freeze", {"at": "2031-05-06T07:08:09Z"})
    now = 1_935_817_689  # a fixed point to measure from
    file = rest.upload_file(b"PNG", f"{name}a.png", expires_after=20_000, content_type="image/png").id
    other = rest.upload_file(b"OTHER", f"{name}b.pdf", expires_after=3600, content_type="application/pdf").id
    first = rest.create_public_url(file, expires_after=7200)
    again = rest.create_public_url(file)
    longer = rest.create_public_url(file, expires_after=10_000)
    shorter = rest.create_public_url(file, expires_after=5000)
    found = (first, again, longer, shorter)
    assert {each.url for each in found} == {first.url}
    ends = [each.expires_at - now for each in found if each.expires_at is not None]
    created = rest.get_file(file).created_at - now
    assert ends == [created + 7200, created + 7200, created + 10_000, created + 5000]
    with pytest.raises(ApiError) as error:
        rest.create_public_url(file, expires_after=20_001)
    assert error.value.kind == "invalid"
    assert rest.create_public_url(file, expires_after=20_000).expires_at == rest.get_file(file).expires_at
    second = rest.create_public_url(other)
    assert second.expires_at == rest.get_file(other).expires_at

    def status(url: str) -> tuple[int, bytes]:
        found = transport.send(Request("GET", url))
        return found.status, found.body if found.status == 200 else b""

    assert (status(first.url), status(second.url)) == ((200, b"PNG"), (200, b"OTHER"))
    for wrong in (
        first.url.removesuffix(".png") + ".pdf",
        first.url.replace(file, other),
        first.url.rpartition("/")[0],
        first.url.replace("/_files-cdn/", "/_files-cdn/x"),
    ):
        assert status(wrong)[0] == 404, wrong
    target.control("POST", "/clock/advance", {"seconds": 3600})
    assert (status(first.url)[0], status(second.url)[0]) == (200, 404)
    target.control("POST", "/clock/advance", {"seconds": 16_399})
    assert status(first.url)[0] == 200
    target.control("POST", "/clock/advance", {"seconds": 1})
    assert status(first.url)[0] == 404


ANCHOR, SECONDS = "expires_after[anchor]", "expires_after[seconds]"
# Fields of an upload that name no expiry of the form that is documented.
BAD_EXPIRIES: tuple[tuple[tuple[str, str], ...], ...] = (
    *((("expires_after", text),) for text in ("", "soon", "1h", "7200.5", "-7200", "0", "1e4")),
    ((ANCHOR, "uploaded_at"), (SECONDS, "7200")),
    ((ANCHOR, ""), (SECONDS, "7200")),
    ((ANCHOR, "created_at"),),
    ((ANCHOR, "created_at"), (SECONDS, "soon")),
    ((ANCHOR, "created_at"), (SECONDS, "3599")),
    (("expires_after", "7200"), (ANCHOR, "created_at"), (SECONDS, "7200")),
    (("expires_after", "7200"), (SECONDS, "9000")),
    (("expires_after", "7200"), ("expires_after", "7200")),
)


@case(
    "files.upload.expiry-forms",
    *("files.upload", "files.list"),
    evidence="assumed",
    source="OpenAPI: expires_after is an integer, its anchor created_at; how others are rejected is not said",
    refusal="expires_after",
)
def test_expiry_forms(rest: RestClient, name: str) -> None:
    """An expiry that is no whole number, has another anchor, or is given in two forms, is 400, and no file is made."""
    for fields in BAD_EXPIRIES:
        with pytest.raises(ApiError) as error:
            rest.call("POST", "/v1/files", form=[*fields, ("file", FilePart(f"{name}a.txt", b"x"))])
        assert error.value.kind == "invalid", fields
    assert rest.list_files(filter=f'name:"{name}"').items == []


# Types of pictures, films, sounds and documents that the guide does not name as eligible.
INELIGIBLE = (
    *("image/gif", "image/webp", "image/svg+xml", "image/tiff", "image/heic", "video/webm", "video/quicktime"),
    *("audio/mpeg", "text/html", "text/csv", "application/json", "application/zip", "application/octet-stream"),
)


@case(
    "files.public-url.ineligible",
    *("files.create_public_url", "files.get"),
    evidence="documented",
    source="Public URL guide: eligible types are PNG, JPEG, MP4 and PDF",
    refusal="content type",
)
def test_ineligible(rest: RestClient, name: str) -> None:
    """A file of any other type than PNG, JPEG, MP4 and PDF gets no public URL."""
    for content_type in INELIGIBLE:
        file = rest.upload_file(b"x", f"{name}a.unknown-extension", content_type=content_type).id
        with pytest.raises(ApiError) as error:
            rest.create_public_url(file)
        assert error.value.kind == "invalid", content_type
        assert "public_url" not in rest.json("GET", f"/v1/files/{file}"), content_type


@case(
    "files.list.parameters",
    *("files.list",),
    evidence="assumed",
    source="OpenAPI: GET /v1/files; how it rejects other values is not documented",
    refusal="token",
)
def test_parameters(rest: RestClient, name: str) -> None:
    """A page token is valid for its own order, sort key and filter; unknown values of parameters are 400."""
    for number in range(3):
        rest.upload_file(b"x" * number, f"{name}{number}.txt")
    filter = f'name:"{name}"'
    query = {"filter": filter, "limit": 2, "order": "asc", "sort_by": "size"}
    token = rest.json("GET", "/v1/files", query=query)["pagination_token"]
    assert len(rest.json("GET", "/v1/files", query={**query, "pagination_token": token})["data"]) == 1
    assert len(rest.json("GET", "/v1/files", query={**query, "limit": 1, "pagination_token": token})["data"]) == 1
    files = [each["id"] for each in rest.json("GET", "/v1/files", query={**query, "limit": 3})["data"]]
    rest.delete_file(files[1])
    left = rest.json("GET", "/v1/files", query={"filter": filter, "order": "asc", "sort_by": "size", "after": files[1]})
    assert [each["id"] for each in left["data"]] == files[2:]
    changed: tuple[dict[str, Any], ...] = (
        {"order": "desc"},
        {"sort_by": "filename"},
        {"sort_by": "created_at"},
        {"filter": f"{filter} size_bytes >= 0"},
    )
    wrong: tuple[dict[str, Any], ...] = (
        *({**query, **change, "pagination_token": token} for change in changed),
        {"after": "file_00000000-0000-4000-8000-000000000000"},
        {"limit": "many"},
        {"sort_by": "colour"},
        {"order": "up"},
        {"pagination_token": token[:-2]},
    )
    for each in wrong:
        with pytest.raises(ApiError) as error:
            rest.json("GET", "/v1/files", query=each)
        assert error.value.kind == "invalid", each


# The name, the bytes, and what format=text returns: a text, or words that are there and words that are not.
TEXTS: tuple[tuple[str, bytes, str | None, tuple[str, ...], tuple[str, ...]], ...] = (
    ("a.txt", "Käse\n 1 \n".encode(), "Käse\n 1 \n", (), ()),
    ("a.md", b"# Head\n*x*", "# Head\n*x*", (), ()),
    ("a.csv", b"a,b\n1,2\n", "a,b\n1,2\n", (), ()),
    ("a.json", b'{"a": [1]}', '{"a": [1]}', (), ()),
    (
        "a.html",
        b"<html><head><title>Head</title><style>p{color:red}</style><script>hidden()</script></head>"
        b"<body><p>One &amp; two</p><p>Three<br>four</p></body></html>",
        None,
        ("One & two", "Three", "four"),
        ("hidden", "color", "<p>", "&amp;"),
    ),
)


@case(
    "files.content.texts",
    *("files.content",),
    evidence="assumed",
    source="OpenAPI: GET /v1/files/{file_id}/content, format; what is extracted from which type is not documented",
)
def test_texts(rest: RestClient, name: str) -> None:
    """format=text returns text files as they are, and the readable text of HTML."""
    for filename, content, whole, present, absent in TEXTS:
        file = rest.upload_file(content, f"{name}{filename}").id
        text = rest.call("GET", f"/v1/files/{file}/content", query={"format": "text"}).body.decode()
        assert whole in (None, text), filename
        assert all(word in text for word in present), f"{filename}: {text!r}"
        assert not any(word in text for word in absent), f"{filename}: {text!r}"


@case(
    "files.headers",
    *("files.get", "files.content", "files.upload"),
    evidence="assumed",
    source="HTTP: content types and lengths; x-request-id is on every response of the live service",
)
def test_headers(rest: RestClient, name: str) -> None:
    """Each response has its content type, its length and a request id of its own."""
    made = rest.call("POST", "/v1/files", form=[("file", FilePart(f"{name}a.txt", b"12345"))])
    file = made.json()["id"]
    shown = rest.call("GET", f"/v1/files/{file}")
    content = rest.call("GET", f"/v1/files/{file}/content")
    for response, expected in ((made, "application/json"), (shown, "application/json"), (content, OCTETS)):
        assert response.headers["content-type"].split(";")[0] == expected
        assert int(response.headers["content-length"]) == len(response.body)
    ids = {response.headers.get("x-request-id") for response in (made, shown, content)}
    assert len(ids) == 3
    matchers.check(made.json(), shown.json())


SIZE = 1000
# A Range header, and the part of the content that it selects; None for the whole, () for 416 (RFC 9110, section 14).
RANGES: tuple[tuple[str, tuple[int, int] | tuple[()] | None], ...] = (
    ("bytes=0-0", (0, 1)),
    ("bytes=0-99", (0, 100)),
    ("bytes=100-199", (100, 200)),
    ("bytes=990-", (990, SIZE)),
    ("bytes=990-5000", (990, SIZE)),
    ("bytes=-10", (990, SIZE)),
    ("bytes=-5000", (0, SIZE)),
    (f"bytes={SIZE - 1}-", (SIZE - 1, SIZE)),
    (f"bytes={SIZE}-", ()),
    ("bytes=5000-6000", ()),
    ("bytes=9-1", None),
    ("bytes=a-b", None),
    ("lines=0-1", None),
)


@case(
    "files.content.ranges",
    *("files.content", "files.public_content"),
    evidence="assumed",
    source="RFC 9110, section 14; that the service serves ranges is not documented",
)
def test_ranges(rest: RestClient, transport: Transport, target: Target, name: str) -> None:
    """A Range header selects a part of the content, with its place; one that cannot be satisfied is 416."""
    content = bytes(number % 251 for number in range(SIZE))
    file = rest.upload_file(content, f"{name}a.png").id
    url = rest.create_public_url(file).url
    own = f"{target.base_url}/v1/files/{file}/content"
    key = {"authorization": f"Bearer {target.api_key}"}
    for address, head in ((own, key), (url, {})):
        for wanted, part in RANGES:
            target.budget.spend()
            found = transport.send(Request("GET", address, {**head, "range": wanted}))
            if part == ():
                assert found.status == 416, wanted
                continue
            start, stop = part or (0, SIZE)
            assert found.status == (200 if part is None else 206), wanted
            assert found.body == content[start:stop], wanted
            assert found.headers["content-length"] == str(stop - start), wanted
            place = None if part is None else f"bytes {start}-{stop - 1}/{SIZE}"
            assert found.headers.get("content-range") == place, wanted
        target.budget.spend()
        found = transport.send(Request("HEAD", address, head))
        assert (found.status, found.body, found.headers["content-length"]) == (200, b"", str(SIZE))


@case(
    "files.cors",
    *("files.list",),
    evidence="assumed",
    source="observed live, 2026-04: access-control-allow-origin is *; an emulator may name pages of its machine alone",
    web_page=True,
)
def test_cors(rest: RestClient, transport: Transport, target: Target) -> None:
    """A page of this machine may call the API: every response and every preflight request allows its origin."""
    origin = "http://localhost:3000"
    url = f"{target.base_url}/v1/files"
    key = {"authorization": f"Bearer {target.api_key}"}
    assert rest.list_files(limit=1).items is not None
    for method, head in (
        ("GET", key),
        ("GET", {}),
        ("OPTIONS", {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}),
    ):
        target.budget.spend()
        found = transport.send(Request(method, url, {**head, "origin": origin}))
        assert found.headers.get("access-control-allow-origin") in ("*", origin), method
        assert found.headers.get("access-control-expose-headers"), method
        if method == "OPTIONS":
            assert found.status in (200, 204)
            assert found.headers.get("access-control-allow-methods"), found.headers
            assert found.headers.get("access-control-allow-headers"), found.headers


@case(
    "files.batch-upload.same",
    *("files.initialize", "files.upload_chunks", "files.batch_upload", "files.complete_batch_upload", "files.get"),
    evidence="assumed",
    source="REST reference of March 2026: chunked uploads; a batch upload has no published contract",
)
def test_batch_upload(rest: RestClient, name: str) -> None:
    """The files of a batch upload stay in the order in which they were named, and are what their uploads said."""
    contents = {"b.txt": b"hello", "a.bin": b"\x00\xff"}
    named = [{"name": f"{name}{each}", "content_type": "text/plain"} for each in contents]
    begun = rest.json("POST", "/v1/files/batch_upload", json_body={"files": named})
    matchers.check(begun["files"], [{**each, "size_bytes": "0", "file_path": ""} for each in named])
    uploaded = [
        rest.json("POST", "/v1/files:uploadChunks", json_body={"file_id": each["file_id"], "chunk": chunk})
        for each, chunk in zip(begun["files"], (b64encode(each).decode() for each in contents.values()), strict=True)
    ]
    done = rest.json("POST", f"/v1/files/batch_upload/{begun['batch_job_id']}:complete")
    assert done["files"] == uploaded
    assert (done["batch_job_id"], done["status"]) == (begun["batch_job_id"], "complete")
    for file, content in zip(done["files"], contents.values(), strict=True):
        assert rest.read_file(file["file_id"]) == content
        assert rest.get_file(file["file_id"]).size == int(file["size_bytes"]) == len(content)
        alone = rest.json("POST", "/v1/files:initialize", json_body={"name": f"{name}c", "content_type": "text/plain"})
        for piece in (content[:1], content[1:]):
            body = {"file_id": alone["file_id"], "chunk": b64encode(piece).decode()}
            alone = rest.json("POST", "/v1/files:uploadChunks", json_body=body)
        assert alone["hash"] == file["hash"]
        assert rest.read_file(alone["file_id"]) == content


@case(
    "files.two-files",
    *("files.upload", "files.list"),
    evidence="assumed",
    source="OpenAPI: UploadFileMultipartRequest has one file; the refusal is not recorded",
    refusal="multipart",
)
def test_two_files(rest: RestClient, name: str) -> None:
    """A form with two files is refused, and neither of them is stored."""
    form = [("file", FilePart(f"{name}{word}.txt", b"x", "text/plain")) for word in "ab"]
    with pytest.raises(ApiError) as refused:
        rest.call("POST", "/v1/files", form=form)
    assert refused.value.kind == "invalid"
    assert rest.list_files(filter=f'name:"{name}"').items == []
