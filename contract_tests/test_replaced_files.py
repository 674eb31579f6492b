"""What a change of a file leaves as it was, and what it changes with it: type, expiry, content and public URL."""

from __future__ import annotations

from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import Client
from .clients.http import FilePart, Request, Transport
from .clients.models import refusal_kind
from .clients.rest import RestClient
from .target import Target

Json = Any
START = "2031-05-06T07:08:09Z"
NOW = 1_935_817_689  # the same in Unix seconds
DAY = 86_400
NEW = b"The ferns are green."
# What a PUT sends: members in JSON, or the expiry and the file of a form; and what of the file is another one then.
JSON_CHANGES: tuple[tuple[Json, Json], ...] = (
    ({}, {}),
    ({"filename": "b.md"}, {"filename": "b.md", "type": "text/markdown"}),
    ({"filename": "b"}, {"filename": "b", "type": "application/octet-stream"}),
    ({"filename": "b.txt"}, {"filename": "b.txt"}),
    ({"expires_after": 2 * DAY}, {"expires_at": NOW + 60 + 2 * DAY}),
    (
        {"filename": "b.csv", "expires_after": DAY},
        {"filename": "b.csv", "type": "text/csv", "expires_at": NOW + 60 + DAY},
    ),
)
FORM_CHANGES: tuple[tuple[int | None, FilePart, Json], ...] = (
    (None, FilePart("a.txt", NEW), {}),
    (None, FilePart("a.txt", NEW, "text/csv"), {"type": "text/csv"}),
    (None, FilePart("b.md", NEW), {"filename": "b.md", "type": "text/markdown"}),
    (None, FilePart("b.md", NEW, "text/csv"), {"filename": "b.md", "type": "text/csv"}),
    (2 * DAY, FilePart("a.txt", NEW), {"expires_at": NOW + 60 + 2 * DAY}),
    (None, FilePart("a.txt", b""), {}),
)


@case(
    "files.update.parts",
    *("files.update", "files.get", "files.list", "files.content"),
    evidence="assumed",
    source="files.update has no published contract; what a change does not name stays, as in any update",
    control=True,
)
@pytest.mark.own_team
@pytest.mark.usefixtures("transport")
def test_changes(rest: RestClient, target: Target, name: str) -> None:
    """A change of a file changes the name, type, expiry and content that it names, and no other member."""
    target.control("POST", "/clock/freeze", {"at": START})
    changes: list[tuple[Json, bytes | None, Json]] = [({"json_body": body}, None, new) for body, new in JSON_CHANGES]
    for seconds, part, new in FORM_CHANGES:
        expiry = [] if seconds is None else [("expires_after", str(seconds))]
        changes.append(({"form": [*expiry, ("file", part)]}, part.content, new))
    files = [
        (rest.upload_file(b"The kettle.", "a.txt", expires_after=days and days * DAY).id, days, *change)
        for change in changes
        for days in (None, 10)
    ]
    target.control("POST", "/clock/advance", {"seconds": 60})
    for file, days, call, content, new in files:
        shown = rest.json("PUT", f"/v1/files/{file}", **call)
        expected = {"filename": "a.txt", "created_at": NOW, "expires_at": days and NOW + days * DAY, **new}
        kind = expected.pop("type", "text/plain")
        whole = b"The kettle." if content is None else content
        expected["bytes"] = len(whole)
        assert shown == rest.json("GET", f"/v1/files/{file}"), call
        matchers.check(shown, expected, f"{call}")
        assert rest.read_file(file) == whole, call
        filter = f'file_id = "{file}" AND content_type = "{kind}"'
        assert [each.id for each in rest.list_files(filter=filter).items] == [file], (call, kind)


@case(
    "files.public-url.of-changed-file",
    *("files.update", "files.create_public_url", "files.revoke_public_url", "files.public_content", "files.get"),
    evidence="assumed",
    source="Public URL guide: a URL never outlives its file; files.update has no published contract",
    control=True,
)
@pytest.mark.own_team
@pytest.mark.over_both_protocols
def test_public_urls(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A public URL ends with its file whenever that ends, serves new content, and is revoked only while it is there."""
    target.control("POST", "/clock/freeze", {"at": START})

    def publish(word: str, days: int | None, seconds: int | None) -> tuple[str, str]:
        file = rest.upload_file(b"PNG", f"{name}{word}.png", expires_after=days and days * DAY).id
        return file, rest.create_public_url(file, expires_after=seconds).url

    def serves(url: str) -> bytes | None:
        found = rest.load(url)
        assert found.status in (200, 404)
        return found.body if found.status == 200 else None

    def revoke(file: str) -> bool:
        if client.protocol == "grpc":
            return bool(client.call_rpc("RevokePublicUrl", file_id=file)["revoked"])
        return rest.revoke_public_url(file)

    shortened, replaced, ended, deleted, gone = (
        publish(word, days, seconds)
        for word, days, seconds in (
            ("a", 10, 5 * DAY),
            ("b", None, None),
            ("c", None, 3600),
            ("d", 10, None),
            ("e", 1, None),
        )
    )
    rest.json("PUT", f"/v1/files/{shortened[0]}", json_body={"expires_after": 7200})
    rest.json("PUT", f"/v1/files/{replaced[0]}", form=[("file", FilePart(f"{name}b.png", b"OTHER", "image/png"))])
    assert serves(replaced[1]) == b"OTHER"
    assert rest.json("GET", f"/v1/files/{replaced[0]}")["public_url"] == replaced[1]
    rest.delete_file(deleted[0])
    for seconds, alive in ((0, (True, True)), (3600, (True, False)), (3599, (True, False)), (1, (False, False))):
        target.control("POST", "/clock/advance", {"seconds": seconds})
        assert (serves(shortened[1]) is not None, serves(ended[1]) is not None) == alive, seconds
    target.control("POST", "/clock/advance", {"seconds": DAY})
    target.control("POST", "/jobs/run")
    assert serves(replaced[1]) == b"OTHER"
    assert [serves(url) for _, url in (deleted, gone)] == [None, None]
    assert [revoke(file) for file, _ in (shortened, ended, deleted, gone)] == [False] * 4
    assert [revoke(replaced[0]) for _ in range(2)] == [True, False]
    assert serves(replaced[1]) is None
    again = rest.create_public_url(ended[0], expires_after=3600)
    assert again.url != ended[1]
    assert (serves(again.url), serves(ended[1])) == (b"PNG", None)


TEXT = "The kettle. Der Kessel für Öl.\n" * 20


@case(
    "files.content.text.ranges",
    *("files.content",),
    evidence="assumed",
    source="RFC 9110, section 14; OpenAPI: GET /v1/files/{file_id}/content, format",
)
@pytest.mark.usefixtures("transport")
def test_text_ranges(rest: RestClient, transport: Transport, target: Target, name: str) -> None:
    """The text of a file comes in parts as its bytes do, and both ways to download it agree."""
    file = rest.upload_file(TEXT.encode(), f"{name}a.txt").id
    url = f"{target.base_url}/v1/files/{file}/content?format=text"
    head = {"authorization": f"Bearer {target.api_key}"}
    whole = rest.call("GET", f"/v1/files/{file}/content", query={"format": "text"}).body
    assert whole == TEXT.encode()
    for format in ("text", "original"):
        body = {"file_id": file, "format": format}
        assert rest.call("POST", "/v1/files:download", json_body=body).body == whole
    for first, last in ((0, 9), (100, 199), (len(whole) - 5, len(whole) - 1)):
        target.budget.spend()
        found = transport.send(Request("GET", url, {**head, "range": f"bytes={first}-{last}"}))
        assert (found.status, found.body) == (206, whole[first : last + 1]), first
        assert found.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"
    assert refusal_kind(lambda: rest.json("GET", f"/v1/files/{file}/content", query={"format": "pages"})) == "invalid"
