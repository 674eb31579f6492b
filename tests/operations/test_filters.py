"""Filters of lists: what each field matches, full pages, tokens bound to their filter, and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
import xai_sdk
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Emulator
from emulator.operations import pagination
from fixtures.team import EmulatedTeam
from tests.examples import examples
from tests.serving import PATIENCE_SECONDS

FILES = ["Quarterly Report.pdf", "quarterly notes.txt", "data.csv", "picture.png"]
FIELDS = {"data.csv": {"isbn": "978-1", "year": "2024"}, "picture.png": {"year": "2026", "a b": "c"}}


class World:
    """One emulator with four files, all of them documents of one collection, and two collections more."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.rest, self.management = (
            httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS)
            for key in (emulator.api_key, emulator.management_key)
        )
        self.xai = xai_sdk.Client(
            api_key=emulator.api_key,
            management_api_key=emulator.management_key,
            api_host=emulator.grpc_target,
            management_api_host=emulator.grpc_target,
        )
        self.rest.post("/_emulator/clock/freeze")
        self.collections = [self.create(name) for name in ("SEC filings 2024", "Reports", "empty")]
        self.documents = f"/v1/collections/{self.collections[0]}/documents"
        self.ids: dict[str, str] = {}
        self.times: dict[str, str] = {}
        for number, name in enumerate(FILES):
            emulator.advance(60)
            expiry = {"expires_after": "7200"} if name == "data.csv" else {}
            file = self.rest.post("/v1/files", data=expiry, files={"file": (name, b"x" * 10**number)}).json()
            self.ids[name] = file["id"]
            self.management.post(f"{self.documents}/{file['id']}", json={"fields": FIELDS.get(name, {})})
            self.times[name] = self.rest.get("/_emulator/clock").json()["now"]
        self.rest.post(f"/v1/files/{self.ids['picture.png']}/public-url", json={})

    def create(self, name: str) -> str:
        """Create a collection."""
        id: str = self.management.post("/v1/collections", json={"collection_name": name}).json()["collection_id"]
        return id

    def fill(self, filter: str) -> str:
        """Put ids and times into a filter."""
        for name, id in self.ids.items():
            filter = filter.replace(f"ID({name})", id).replace(f"TIME({name})", self.times[name])
        return filter.replace("COLLECTION", self.collections[0])

    def page(self, what: str, filter: str) -> Any:
        """A page over gRPC, oldest first."""
        if what == "files":
            return self.xai.files.list(filter=filter)
        collections = self.xai.collections
        if what == "documents":
            return collections.list_documents(self.collections[0], filter=filter, sort_by="age", order="asc")
        return collections.list(filter=filter, sort_by="age", order="asc")

    def found(self, what: str, filter: str) -> list[str]:
        """The names that a list shows, over REST; over gRPC there must be the same ones."""
        filter = self.fill(filter)
        page = self.page(what, filter)
        if what == "files":
            reply = self.rest.get("/v1/files", params={"filter": filter, "order": "asc"}).json()
            names = [file["filename"] for file in reply["data"]]
            assert names == [file.filename for file in page.data]
        elif what == "documents":
            reply = self.management.get(self.documents, params={"filter": filter, "sort_by": "2", "order": "1"}).json()
            names = [each["file_metadata"]["name"] for each in reply["documents"]]
            assert names == [each.file_metadata.name for each in page.documents]
        else:
            reply = self.management.get("/v1/collections", params={"filter": filter, "sort_by": "1", "order": "1"})
            names = [each["collection_name"] for each in reply.json()["collections"]]
            assert names == [each.collection_name for each in page.collections]
        return names

    def close(self) -> None:
        """Close every client."""
        for client in (self.rest, self.management, self.xai):
            client.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Emulator() as emulator:
        world = World(emulator)
        yield world
        world.close()


REPORT, NOTES, DATA, PICTURE = FILES
TABLE: list[tuple[str, str, list[str]]] = [
    ("files", "", FILES),
    ("files", 'name:"report quarterly"', [REPORT]),
    ("files", 'file_name = "quarterly"', [REPORT, NOTES]),
    ("files", 'NOT name = "quarterly"', [DATA, PICTURE]),
    ("files", 'file_id = "ID(data.csv)"', [DATA]),
    ("files", "size_bytes > 10", [DATA, PICTURE]),
    ("files", "size_bytes:10..100", [NOTES, DATA]),
    ("files", 'content_type = "pdf"', [REPORT]),
    ("files", "content_type:text/", [NOTES, DATA]),
    ("files", 'content_type = "application/pdf"', [REPORT]),
    ("files", 'created_at >= "TIME(data.csv)"', [DATA, PICTURE]),
    ("files", "created_at < TIME(data.csv)", [REPORT, NOTES]),
    ("files", "expires_at != null", [DATA]),
    ("files", "expires_at = null", [REPORT, NOTES, PICTURE]),
    ("files", 'expires_at < "2100-01-01T00:00:00+01:00"', [DATA]),
    ("files", 'upload_status = "Complete"', FILES),
    ("files", 'upload_status = "complete"', []),
    ("files", "user_defined_id = x", []),
    ("files", "user_defined_id = null", FILES),
    ("files", "public_url != null", [PICTURE]),
    ("files", "public_url = null AND name:quarterly", [REPORT, NOTES]),
    ("files", "public_url_expires_at = null", FILES),
    ("files", "size_bytes = 1 OR size_bytes = 10 AND name:notes", [NOTES]),
    ("documents", "status:DOCUMENT_STATUS_PROCESSED", [NOTES, DATA]),
    ("documents", 'name:"quarterly" AND status:!DOCUMENT_STATUS_FAILED', [NOTES]),
    ("documents", 'fields.isbn:"978-1"', [DATA]),
    ("documents", "fields.year > 2024", [PICTURE]),
    ("documents", "fields.year:*", [DATA, PICTURE]),
    ("documents", 'fields."a b" = c', [PICTURE]),
    ("documents", "fields.missing = 1", []),
    ("documents", "size_bytes:>50 AND content_type:text/csv", [DATA]),
    ("documents", "size_bytes:>5 AND content_type:image", [PICTURE]),
    ("documents", "created_at:>TIME(data.csv)", [PICTURE]),
    ("collections", 'collection_id = "COLLECTION"', ["SEC filings 2024"]),
    ("collections", 'collection_name:"SEC" AND documents_count:>3', ["SEC filings 2024"]),
    ("collections", 'collection_name = "report"', ["Reports"]),
    ("collections", "documents_count = 0", ["Reports", "empty"]),
    ("collections", "created_at:>2025-01-01T00:00:00Z", ["SEC filings 2024", "Reports", "empty"]),
    ("collections", "collection_name:dev-1", []),
]


@pytest.mark.parametrize(("what", "filter", "expected"), TABLE)
def test_filter_selects_by_every_documented_field(world: World, what: str, filter: str, expected: list[str]) -> None:
    """Every documented field of every list matches as documented, the same over both transports."""
    assert world.found(what, filter) == expected


BAD: list[tuple[str, str, str]] = [
    ("files", 'nmae = "x"', "nmae"),
    ("files", "size_bytes > big", "big"),
    ("files", "created_at > yesterday", "yesterday"),
    ("files", "size_bytes = null", "null"),
    ("files", "fields.a = 1", "fields.a"),
    ("files", 'name = "x', '"x'),
    ("documents", "status = DONE", "DONE"),
    ("documents", "status > DOCUMENT_STATUS_FAILED", "> DOC"),
    ("documents", "author = x", "author"),
    ("collections", "documents_count = many", "many"),
    ("collections", 'collection_description = "x"', "collection_description"),
]


@pytest.mark.parametrize(("what", "filter", "spot"), BAD)
def test_bad_filter_is_refused_with_caret(world: World, what: str, filter: str, spot: str) -> None:
    """An unknown field, a value that does not fit and broken syntax are refused, with a caret under the spot."""
    path = {"files": "/v1/files", "documents": world.documents, "collections": "/v1/collections"}[what]
    client = world.rest if what == "files" else world.management
    reply = client.get(path, params={"filter": filter})
    body = reply.json()
    message = body["error" if what == "files" else "message"]
    assert (reply.status_code, body["code"]) == (400, "invalid-argument" if what == "files" else 3)
    assert reply.headers["x-emulator-rule"] == "filter"
    line, caret = message.splitlines()[1:3]
    assert line[caret.index("^") :].startswith(spot)
    with pytest.raises(grpc.RpcError) as caught:
        world.page(what, filter)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, message)


@pytest.mark.parametrize(
    ("row", "filters"),
    [
        ("filter_chars_max", ["name=1" + " " * blanks for blanks in (3, 4, 5)]),
        ("filter_depth_max", ["(" * depth + "size_bytes=1" + ")" * depth for depth in (9, 10, 11)]),
        ("filter_terms_max", [" AND ".join(["size_bytes=1"] * terms) for terms in (9, 10, 11)]),
    ],
)
def test_filter_over_limit_is_refused_by_name(row: str, filters: list[str]) -> None:
    """N-1 and N are read, N+1 is refused by the name of the row."""
    with Emulator(limits={row: 10}) as emulator:
        headers = {"authorization": f"Bearer {emulator.api_key}"}
        for filter, within in zip(filters, (True, True, False), strict=True):
            reply = httpx.get(f"{emulator.url}/v1/files", params={"filter": filter}, headers=headers)
            assert (reply.headers.get("x-emulator-rule") == row) is not within


# --- pages


@pytest.fixture(scope="module")
def many() -> Iterator[httpx.Client]:
    """Forty files of sizes 0 to 4, on an emulator whose filters look at seven rows at a time."""
    rows, pagination.SCAN_ROWS = pagination.SCAN_ROWS, 7
    with Emulator() as emulator:
        headers = {"authorization": f"Bearer {emulator.api_key}"}
        with httpx.Client(base_url=emulator.url, headers=headers, timeout=PATIENCE_SECONDS) as client:
            for number in range(40):
                client.post("/v1/files", files={"file": (f"{number:02}", b"x" * (number * 7 % 5))})
            yield client
    pagination.SCAN_ROWS = rows


def walk(client: httpx.Client, **query: Any) -> list[list[dict[str, Any]]]:
    """Every page of a list."""
    pages, token = [], ""
    while True:
        body = client.get("/v1/files", params={**query, "pagination_token": token}).json()
        pages.append(body["data"])
        token = body["pagination_token"]
        if token is None:
            return pages


@given(
    st.sampled_from(["size_bytes", "filename", "created_at"]),
    st.sampled_from(["asc", "desc"]),
    st.integers(1, 45),
    st.sampled_from(
        ["size_bytes = 3", "size_bytes > 0", 'name = "1"', "size_bytes > 9", 'name = "39"', "size_bytes >= 0"]
    ),
)
@settings(max_examples=examples(25))
def test_filtered_pages_are_full(many: httpx.Client, sort_by: str, order: str, limit: int, filter: str) -> None:
    """Every page but the last is full, and together they are the unfiltered list without what does not match."""
    sort_by = "size" if sort_by == "size_bytes" else sort_by
    [everything] = walk(many, sort_by=sort_by, order=order)
    tests = {
        "size_bytes = 3": lambda file: file["bytes"] == 3,
        "size_bytes > 0": lambda file: file["bytes"] > 0,
        'name = "1"': lambda file: "1" in file["filename"],
        "size_bytes > 9": lambda file: False,
        'name = "39"': lambda file: file["filename"] == "39",
        "size_bytes >= 0": lambda file: True,
    }
    pages = walk(many, sort_by=sort_by, order=order, limit=limit, filter=filter)
    assert [file for page in pages for file in page] == [file for file in everything if tests[filter](file)]
    assert all(len(page) == limit for page in pages[:-1])


def test_page_token_of_other_filter_is_refused(many: httpx.Client) -> None:
    """A token of one filter is refused with another one, and with none."""
    query = {"limit": 2, "filter": "size_bytes > 0"}
    token = many.get("/v1/files", params=query).json()["pagination_token"]
    assert many.get("/v1/files", params={**query, "pagination_token": token}).status_code == 200
    for other in ("size_bytes > 1", "", "size_bytes  > 0"):
        reply = many.get("/v1/files", params={**query, "filter": other, "pagination_token": token})
        assert (reply.status_code, reply.headers["x-emulator-rule"]) == (400, "pagination_token")


def test_filter_and_after_combine(many: httpx.Client) -> None:
    """OpenAI's cursor and a filter go together."""
    files = many.get("/v1/files", params={"order": "asc", "filter": "size_bytes = 4"}).json()["data"]
    query = {"order": "asc", "filter": "size_bytes = 4", "after": files[2]["id"]}
    assert many.get("/v1/files", params=query).json()["data"] == files[3:]


@pytest.mark.parametrize(("most", "refused"), [(7, True), (8, False), (9, False)])
@pytest.mark.parametrize("where", ["files", "search"])
def test_filter_with_too_many_comparisons_is_refused(most: int, refused: bool, where: str) -> None:
    """Four items times two terms; the first page of a list is full before all are looked at."""
    with Emulator(limits={"filter_comparisons_max": most}) as emulator:
        team = EmulatedTeam(emulator, "default")
        collection = team.call("POST", "/v1/collections", {"collection_name": "c"})["collection_id"]
        for name in FILES:
            team.call("POST", f"/v1/collections/{collection}/documents/{team.upload(name, b'text')}", {})
        headers = {"authorization": f"Bearer {team.api_key}"}
        if where == "files":
            params = {"filter": 'name = "data" OR size_bytes > 1000', "limit": "2"}
            reply = httpx.get(f"{emulator.base_url}/files", params=params, headers=headers)
            assert httpx.get(f"{emulator.base_url}/files?limit=1&filter=size_bytes>0", headers=headers).is_success
        else:
            asked = {"query": "x", "source": {"collection_ids": [collection]}, "filter": "a = 1 OR b = 2"}
            reply = httpx.post(f"{emulator.base_url}/documents/search", json=asked, headers=headers)
        assert reply.status_code == (400 if refused else 200)
        assert reply.headers.get("x-emulator-rule") == ("filter_comparisons_max" if refused else None)
        if refused:
            assert f"more than {most} comparisons: 2 for each item" in reply.text
