"""Forms on POST /v1/files: order, names, and everything that is broken about them; refused means nothing stored."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator import Emulator
from tests.blobs import blobs_on_disk
from tests.examples import examples

BOUNDARY = "----emulator-test"
TYPE = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
FILE = 'name="file"; filename="a.txt"'


def part(disposition: str | bytes, content: bytes = b"x") -> bytes:
    """One part of a form, its Content-Disposition as it is given."""
    if isinstance(disposition, str):
        disposition = disposition.encode()
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; ".encode()
    return head + disposition + b"\r\n\r\n" + content + b"\r\n"


def field(name: str, value: str) -> bytes:
    """A plain field."""
    return part(f'name="{name}"', value.encode())


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def post(rest: httpx.Client, body: bytes, headers: dict[str, str] = TYPE) -> httpx.Response:
    """Upload a body as it is."""
    return rest.post("/v1/files", content=body, headers=headers)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (form(part(FILE), field("expires_after", "3600")), "before file"),
        (form(part(FILE), field("expires_after[seconds]", "3600")), "before file"),
        (form(field("expires_after", "3600"), field("expires_after", "3600"), part(FILE)), "twice"),
        (form(field("expires_after", "3600"), field("expires_after[seconds]", "3600"), part(FILE)), "two forms"),
        (form(field("expires_after[anchor]", "created_at"), part(FILE)), "seconds] is missing"),
        (form(field("expires_after[anchor]", "now"), field("expires_after[seconds]", "3600"), part(FILE)), "anchor"),
        (form(field("expires_after", "1e4"), part(FILE)), "whole number"),
        (form(field("expires_after", ""), part(FILE)), "whole number"),
        (form(field("expires_after", "４２００"), part(FILE)), "whole number"),
        (form(field("expires_after", "-1"), part(FILE)), "at least 3600"),
        (form(field("expires_after", "9" * 19), part(FILE)), "whole number"),
        (form(field("purpose", "x")), "no part named `file`"),
        (form(part('name="file"')), "no filename"),
        (form(part('name="file"; filename=""')), "no filename"),
        (form(part(FILE), part(FILE)), "two parts"),
        (form(), "no part named `file`"),
        (b"", "boundary"),
        (b"junk", "boundary"),
        (form(part(FILE))[:-20], "boundary"),
        (form(part(FILE, b"x" * 100_000))[:50_000], "boundary"),
        (form(part(FILE))[: -len(form())], "boundary"),
        (form(part("nothing")), "Content-Disposition"),
        (form(part('name="a"; name="b"')), "names name twice"),
        (b"--%b\r\nX: y\r\n\r\nx\r\n" % BOUNDARY.encode() + form(), "Content-Disposition"),
        (form(part(f'name="{"a" * 20_000}"')), "eader"),
        (form(field("purpose", "x" * 70_000), part(FILE)), "longer than"),
        (form(*(field(f"f{n}", "") for n in range(1100))), "1000 parts"),
        (form(part(b'name="file"; filename="\xff.txt"')), "UTF-8"),
        (form(part(r'name="file"; filename="a\"b.txt"')), "U+005C"),
        (form(part(r'name="file"; filename="C:\dir\evil.txt"')), "U+005C"),
        (form(part('name="file"; filename="a;b.txt"')), "U+003B"),
        (form(part('name="file"; filename="a\u2028b"')), "U+2028"),
        (form(part('name="file"; filename="a\x07b"')), "U+0007"),
        (form(part('name="file"; filename="../../etc/passwd"')), "path segment"),
        (form(part("name=\"file\"; filename*=UTF-8''a%0Ab")), "U+000A"),
        (form(part("name=\"file\"; filename*=UTF-8''a%FF")), "UTF-8"),
        (form(part("name=\"file\"; filename*=koi8''a")), "RFC 5987"),
    ],
)
def test_bad_form_returns_400_and_stores_nothing(
    emulator: Emulator, rest: httpx.Client, body: bytes, words: str
) -> None:
    """400 with words that name the fault; no file in the list, no byte on disk."""
    reply = post(rest, body)
    assert reply.status_code == 400, reply.text
    assert words in reply.json()["error"]
    assert rest.get("/v1/files").json()["data"] == []
    assert blobs_on_disk(emulator) == []


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x", ""],
)
def test_body_that_is_no_form_is_refused(rest: httpx.Client, content_type: str) -> None:
    """Without multipart/form-data and its boundary there is no form."""
    reply = post(rest, form(part(FILE)), {"content-type": content_type})
    assert reply.status_code == 400
    assert "boundary" in reply.json()["error"]


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('name="file"; filename="naïve ☕.txt"', "naïve ☕.txt"),
        ('name="file"; filename="x"; filename*=UTF-8\'\'na%C3%AFve.txt', "naïve.txt"),
        ("name=\"file\"; filename*=iso-8859-1'en'na%EFve.txt", "naïve.txt"),
        ("name=file; filename=bare.txt", "bare.txt"),
        ('NAME="file";FILENAME="case.txt";', "case.txt"),
        ('name="file"; filename="a%22b.txt"', "a%22b.txt"),
        ('name="file"; filename="docs/a.txt"', "docs/a.txt"),
        ('name="file"; filename="' + "☕" * 255 + '"', "☕" * 255),
    ],
)
def test_filename_in_utf8_rfc5987_or_bare_is_decoded(rest: httpx.Client, disposition: str, filename: str) -> None:
    """UTF-8, RFC 5987 and bare values are understood; what a browser escaped stays escaped."""
    reply = post(rest, form(part(disposition)))
    assert (reply.status_code, reply.json().get("filename")) == (200, filename)


@pytest.mark.parametrize(
    ("type", "filename", "expected"),
    [
        ("image/png", "a.bin", "image/png"),
        (None, "a.png", "image/png"),
        ("application/octet-stream", "a.png", "image/png"),
        ("text/plain", "a.png", None),
    ],
)
def test_content_type_comes_from_part_or_extension(
    rest: httpx.Client, type: str | None, filename: str, expected: str | None
) -> None:
    """A declared type wins, unless it says no more than "bytes"; seen where a public URL serves it."""
    head = f'name="file"; filename="{filename}"' + (f"\r\nContent-Type: {type}" if type else "")
    id = post(rest, form(part(head))).json()["id"]
    made = rest.post(f"/v1/files/{id}/public-url")
    if expected is None:
        assert made.json()["error"] == "Public URLs are not supported for files with content type 'text/plain'."
    else:
        assert httpx.get(made.json()["public_url"]).headers["content-type"] == expected


PARTS = {
    "file": part(FILE, b"content"),
    "purpose": field("purpose", "assistants"),
    "expires_after": field("expires_after", "3600"),
    "anchor": field("expires_after[anchor]", "created_at"),
    "seconds": field("expires_after[seconds]", "3600"),
    "unknown": field("unknown", "x"),
}


def acceptable(names: list[str]) -> bool:
    """The rule of the guide, in a few lines."""
    if names.count("file") != 1:
        return False
    before, after = names[: names.index("file")], names[names.index("file") + 1 :]
    if len(set(before)) < len(before) or {"expires_after", "anchor", "seconds"} & set(after):
        return False
    if "expires_after" in before and {"anchor", "seconds"} & set(before):
        return False
    return "anchor" not in before or "seconds" in before


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(names=st.lists(st.sampled_from(sorted(PARTS)), max_size=6), cut=st.integers(0, 200))
def test_form_is_accepted_only_in_allowed_order_of_parts(rest: httpx.Client, names: list[str], cut: int) -> None:
    """A form is taken if and only if its parts stand in an allowed order; a cut one never."""
    body = form(*(PARTS[name] for name in names))
    assert post(rest, body).status_code == (200 if acceptable(names) else 400)
    if 0 < cut < len(body) - 4:  # the line end after the last boundary may be missing
        assert post(rest, body[: -cut - 4]).status_code == 400


@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(content=st.binary(max_size=2000) | st.sampled_from([b"\r\n" * 500, f"\r\n--{BOUNDARY}".encode()[:-1] * 40]))
def test_uploaded_bytes_are_downloaded_unchanged(rest: httpx.Client, content: bytes) -> None:
    """Whatever the bytes, boundary look-alikes included."""
    file = post(rest, form(part(FILE, content))).json()
    assert file["bytes"] == len(content)
    assert rest.get(f"/v1/files/{file['id']}/content").content == content


@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    name=st.text(
        st.characters(exclude_characters='"\\;', exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=255
    )
)
def test_allowed_filename_is_returned_unchanged(rest: httpx.Client, name: str) -> None:
    """Every name the rules allow survives a round trip, unchanged."""
    reply = post(rest, form(part(f'name="file"; filename="{name}"')))
    if ".." in name.split("/"):
        assert reply.status_code == 400
    else:
        assert reply.json()["filename"] == name
