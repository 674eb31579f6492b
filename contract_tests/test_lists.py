"""Order, pages and filters of every list, for each sort key in both directions, over REST and gRPC."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import Client, chat_request
from .clients.models import ApiError, Page
from .clients.rest import RestClient
from .pages import walk
from .target import Target

pytestmark = pytest.mark.over_both_protocols
PAGE_SIZES = (1, 2, 3, 6, 7, 100)
# Names in the order of their code points are not those of a dictionary; two are equal, and so are some sizes.
NAMED = (("b", 3), ("B", 1), ("a", 2), ("a", 2), ("c", 1), ("ä", 3), ("a b", 11))


@dataclass(frozen=True)
class Listing:
    """One list: how REST and gRPC call it, and how to find the id of an item."""

    path: str
    rpc: str
    items: str
    id_of: Callable[[Mapping[str, Any]], str]
    query: Mapping[str, str]
    message: Mapping[str, Any]

    def page(self, client: Client, rest: RestClient, query: Mapping[str, Any], message: Mapping[str, Any]) -> Page[str]:
        """One page of ids, over the protocol of the client."""
        if client.protocol == "grpc":
            found = client.call_rpc(self.rpc, **self.message, **message)
        else:
            found = rest.json("GET", self.path, query={**self.query, **query})
        return Page([self.id_of(each) for each in found[self.items]], found.get("pagination_token"))


def listing_of_files(filter: str) -> Listing:
    """The files that a filter selects."""
    only = {"filter": filter}
    return Listing("/v1/files", "ListFiles", "data", lambda each: str(each["id"]), only, only)


def listing_of_collections(filter: str) -> Listing:
    """The collections that a filter selects."""
    only = {"filter": filter}
    return Listing(
        "/v1/collections", "ListCollections", "collections", lambda each: str(each["collection_id"]), only, only
    )


def listing_of_documents(collection: str) -> Listing:
    """The documents of a collection."""
    path, message = f"/v1/collections/{collection}/documents", {"collection_id": collection}
    return Listing(path, "ListDocuments", "documents", lambda each: str(each["file_metadata"]["file_id"]), {}, message)


def check_order(
    listing: Listing,
    client: Client,
    rest: RestClient,
    order: tuple[Mapping[str, Any], Mapping[str, Any]],
    keys: Mapping[str, Any],
    *,
    reverse: bool,
    page_sizes: Sequence[int] = PAGE_SIZES,
) -> None:
    """Fail where the ids are not sorted by their keys, or where pages of some size are not parts of the whole list."""
    query, message = order
    whole = listing.page(client, rest, query, message).items
    assert sorted(whole) == sorted(keys), f"{order}: {whole} are not all there are"
    found = [keys[id] for id in whole]
    assert found == sorted(found, reverse=reverse), f"{order}: the list is sorted as {found}"
    for size in page_sizes:
        pages: list[Page[str]] = []

        def page(token: str | None, size: int = size, pages: list[Page[str]] = pages) -> Page[str]:
            more = {"limit": size, **({} if token is None else {"pagination_token": token})}
            pages.append(listing.page(client, rest, {**query, **more}, {**message, **more}))
            return pages[-1]

        assert list(walk(page)) == whole, f"{order}: pages of {size} are not the list"
        lengths = [len(each.items) for each in pages]
        assert all(length == size for length in lengths[: len(whole) // size]), (
            f"{order}: pages of {size} have {lengths}"
        )


@case("files.lists", "files.list", evidence="documented", source="OpenAPI: GET /v1/files; files.proto")
def test_files(client: Client, rest: RestClient, name: str) -> None:
    """Files sort by time, name and size in both directions, and pages of every size are parts of the same list."""
    files = [rest.upload_file(b"x" * size, f"{name}{word}.txt").id for word, size in NAMED]
    filter = f'name:"{name}"'
    listing = listing_of_files(filter)
    columns: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("created_at", 0, {id: number for number, id in enumerate(files)}),
        ("filename", 1, {id: f"{word}.txt" for id, (word, _) in zip(files, NAMED, strict=True)}),
        ("size", 2, {id: size for id, (_, size) in zip(files, NAMED, strict=True)}),
    )
    for column, number, keys in columns:
        for word, direction in (("asc", 0), ("desc", 1)):
            order = {"sort_by": column, "order": word}, {"sort_by": number, "order": direction}
            check_order(listing, client, rest, order, keys, reverse=word == "desc")
    check_order(listing, client, rest, ({}, {}), columns[0][2], reverse=client.protocol == "rest")


@case(
    "collections.lists",
    *("collections.list",),
    evidence="documented",
    source="Collections reference: GET /v1/collections; collections.proto",
)
def test_collections(client: Client, rest: RestClient, name: str) -> None:
    """Collections sort by name and age in both directions, and pages of every size are parts of the same list."""
    made = [rest.create_collection(f"{name}{word}").id for word, _ in NAMED]
    filter = f'collection_name:"{name}"'
    listing = listing_of_collections(filter)
    names = {id: word for id, (word, _) in zip(made, NAMED, strict=True)}
    ages = {id: number for number, id in enumerate(made)}  # the oldest one first
    for column, number, keys in (("NAME", 0, names), ("AGE", 1, ages)):
        for word, direction in (("ASCENDING", 1), ("DESCENDING", 2)):
            query = {"sort_by": f"COLLECTIONS_SORT_BY_{column}", "order": f"ORDERING_{word}"}
            order = query, {"sort_by": number, "order": direction}
            check_order(listing, client, rest, order, keys, reverse=direction == 2)


@case(
    "collections.documents.lists",
    *("documents.list",),
    evidence="documented",
    source="Collections reference: GET …/documents; collections.proto",
)
def test_documents(client: Client, rest: RestClient, name: str) -> None:
    """Documents sort by name, size and age in both directions, and pages of every size are parts of the same list."""
    collection, other = (rest.create_collection(f"{name}{word}").id for word in ("notes", "others"))
    files = [rest.upload_file(b"x" * size, f"{name}{word}.txt").id for word, size in NAMED]
    for file in files:
        rest.add_document(collection, file)
    rest.add_document(other, files[0])
    listing = listing_of_documents(collection)
    columns: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("NAME", 0, {id: f"{word}.txt" for id, (word, _) in zip(files, NAMED, strict=True)}),
        ("SIZE", 1, {id: size for id, (_, size) in zip(files, NAMED, strict=True)}),
        ("AGE", 2, {id: number for number, id in enumerate(files)}),
    )
    for column, number, keys in columns:
        for word, direction in (("ASCENDING", 1), ("DESCENDING", 2)):
            query = {"sort_by": f"DOCUMENTS_SORT_BY_{column}", "order": f"ORDERING_{word}"}
            order = query, {"sort_by": number, "order": direction}
            check_order(listing, client, rest, order, keys, reverse=direction == 2)


@case(
    "batches.rows.lists",
    *("batches.list_requests", "batches.list_results"),
    evidence="documented",
    source="Batch reference: limit and pagination_token of requests and results; batch.proto",
    destructive=True,
)
def test_batch_rows(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Requests and results of a batch come sorted by id, whatever order they were added in, in pages of every size."""
    ids = ["b", "10", "a", "9", "B", "ä", "a-1"]
    batches = [rest.create_batch(f"{name}{word}").id for word in ("one", "two")]
    for batch in batches:
        requests = [
            {"batch_request_id": id, "batch_request": {"chat_get_completion": chat_request(f"Say {id}.")}} for id in ids
        ]
        rest.call("POST", f"/v1/batches/{batch}/requests", json_body={"batch_requests": requests})
        matchers.wait_until(
            lambda batch=batch: vars(rest.get_batch(batch)),  # type: ignore[misc]
            {"pending": 0, "requests": len(ids)},
            within_seconds=target.wait_seconds_max,
        )
    for rows, rpc, items in (
        ("requests", "ListBatchRequestMetadata", "batch_request_metadata"),
        ("results", "ListBatchResults", "results"),
    ):
        listing = Listing(
            f"/v1/batches/{batches[0]}/{rows}",
            rpc,
            items,
            lambda each: str(each["batch_request_id"]),
            {},
            {"batch_id": batches[0]},
        )
        check_order(listing, client, rest, ({}, {}), {id: id for id in ids}, reverse=False)
    for result in rest.json("GET", f"/v1/batches/{batches[0]}/results")["results"]:
        completion = result["batch_result"]["response"]["chat_get_completion"]
        assert f"Say {result['batch_request_id']}." in completion["choices"][0]["message"]["content"] or (
            target.team is None
        ), "a result is that of another request"


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def check_filters(
    listed: Callable[[str], Sequence[str]], field: str, values: Mapping[str, Any], spell: Callable[[Any], str]
) -> None:
    """Fail where a comparison with one of the values finds others than those that compare so."""
    for sign, holds in OPERATORS.items():
        for value in sorted(set(values.values())):
            filter = f"{field} {sign} {spell(value)}"
            expected = sorted(id for id, own in values.items() if holds(own, value))
            assert sorted(listed(filter)) == expected, f"{filter}: {values}"


def check_expressions(listed: Callable[[str], Sequence[str]], expected: Mapping[str, Sequence[str]]) -> None:
    """Fail where a filter finds others than those expected."""
    for filter, ids in expected.items():
        assert sorted(listed(filter)) == sorted(ids), filter


@case(
    "files.filters",
    *("files.list",),
    evidence="documented",
    source="OpenAPI: GET /v1/files, filter; AIP-160",
    control=True,
)
@pytest.mark.own_team
def test_file_filters(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Every field of a file compares with every operator as its type does, and terms combine as AIP-160 says."""
    target.control("POST", "/clock/freeze", {"at": "2031-05-06T07:08:09Z"})
    files, sizes, times, expiries = {}, {}, {}, {}
    for number, (word, size) in enumerate((("a.txt", 9), ("b.png", 10), ("C.pdf", 100))):
        id = files[word] = rest.upload_file(b"x" * size, word, expires_after=(number + 2) * 86_400).id
        sizes[id], times[id] = size, f"2031-05-06T0{7 + number}:08:09Z"
        expiries[id] = f"2031-05-{8 + number:02}T0{7 + number}:08:09Z"
        target.control("POST", "/clock/advance", {"seconds": 3600})
    a, b, c = files.values()
    rest.create_public_url(b)
    rest.create_public_url(c, expires_after=7200)

    def listed(filter: str) -> list[str]:
        if client.protocol == "grpc":
            return [each["id"] for each in client.call_rpc("ListFiles", filter=filter)["data"]]
        return [file.id for file in rest.list_files(filter=filter).items]

    check_filters(listed, "size_bytes", sizes, str)
    check_filters(listed, "created_at", times, lambda time: f'"{time}"')
    check_filters(listed, "expires_at", expiries, lambda time: f'"{time}"')
    ends = {b: expiries[b], c: "2031-05-06T12:08:09Z"}
    check_expressions(
        listed,
        {
            "": [a, b, c],
            f'file_id = "{a}"': [a],
            f'file_id != "{a}"': [b, c],
            'name:"A.T"': [a],
            'name:"c.p"': [c],
            'NOT name:"a.t"': [b, c],
            'name != "a.t"': [b, c],
            'name:"txt a"': [a],
            "name:'a.t'": [a],
            "content_type:image/png": [b],
            "size_bytes>9": [b, c],
            "size_bytes :>= 10": [b, c],
            'name:"txt b"': [],
            'file_name:"b.p"': [b],
            'created_at > "2031-05-06T08:08:08.5Z"': [b, c],
            'created_at >= "2031-05-06T08:08:09.000001Z"': [c],
            "upload_status != null": [a, b, c],
            "user_defined_id = null": [a, b, c],
            '-name:"a.t"': [b, c],
            'content_type:"image"': [b],
            'content_type = "application/pdf"': [c],
            "public_url = null": [a],
            "public_url != null": [b, c],
            f'public_url_expires_at = "{ends[c]}"': [c],
            f'public_url_expires_at > "{ends[c]}"': [b],
            "size_bytes = 9 OR size_bytes = 100": [a, c],
            "size_bytes > 9 AND size_bytes < 100": [b],
            "size_bytes = 9 OR size_bytes = 10 AND size_bytes > 9": [b],
            "(size_bytes > 9 AND size_bytes < 100) OR size_bytes = 9": [a, b],
            "NOT (size_bytes > 9 AND size_bytes < 100)": [a, c],
            "size_bytes > 9 size_bytes < 100": [b],
            'created_at > "2031-05-06T09:38:09+02:00"': [b, c],
            "size_bytes = 11": [],
        },
    )


BAD_FILTERS = (
    "size_bytes = many",
    "size_bytes = null",
    'created_at > "yesterday"',
    "created_at > 7",
    "size_bytes >",
    "(size_bytes > 1",
    "size_bytes > 1)",
    "AND size_bytes > 1",
    'colour = "red"',
    'name = "open',
)


@case(
    "files.filters.invalid",
    *("files.list",),
    evidence="assumed",
    source="OpenAPI: GET /v1/files, filter; AIP-160; how an invalid filter is rejected is not documented",
    refusal="filter",
)
def test_invalid_filters(client: Client, rest: RestClient) -> None:
    """A filter with a syntax error, an unknown field, or a value of another type than its field is rejected."""

    def listed(filter: str) -> None:
        if client.protocol == "grpc":
            client.call_rpc("ListFiles", filter=filter)
        else:
            rest.list_files(filter=filter)

    for filter in BAD_FILTERS:
        with pytest.raises(ApiError) as error:
            listed(filter)
        assert error.value.kind == "invalid", filter


@case(
    "collections.filters",
    *("collections.list", "documents.list", "documents.search"),
    evidence="documented",
    source="Collections reference: filter of collections, documents and searches; AIP-160",
    control=True,
)
@pytest.mark.own_team
def test_document_filters(client: Client, rest: RestClient, target: Target) -> None:
    """Collections compare by name, time and count, documents by size, time and their fields, and searches likewise."""
    target.control("POST", "/clock/freeze", {"at": "2031-05-06T07:08:09Z"})
    collections, times, counts = [], {}, {}
    for number, word in enumerate(("alpha", "Beta", "gamma")):
        id = rest.create_collection(word, fields=[{"key": "author"}, {"key": "year"}]).id
        collections.append(id)
        times[id], counts[id] = f"2031-05-06T0{7 + number}:08:09Z", 0
        target.control("POST", "/clock/advance", {"seconds": 3600})
    fields = ({"author": "Sappho", "year": "9"}, {"author": "Sappho of Lesbos", "year": "10"}, {"author": "Homer"})
    files, sizes, ages = [], {}, {}
    for number in range(len(fields)):
        file = rest.upload_file(b"kettle " * (number + 2), f"{number}.txt").id
        files.append(file)
        sizes[file], ages[file] = 7 * (number + 2), f"2031-05-06T1{number}:08:09Z"
        target.control("POST", "/clock/advance", {"seconds": 3600})
    for file, values in zip(files, fields, strict=True):  # later than the files were created
        rest.add_document(collections[1], file, values)
    rest.add_document(collections[2], files[0])
    counts[collections[1]], counts[collections[2]] = 3, 1
    is_grpc = client.protocol == "grpc"

    def found(filter: str) -> list[str]:
        if is_grpc:
            return [each["collection_id"] for each in client.call_rpc("ListCollections", filter=filter)["collections"]]
        return [each.id for each in rest.list_collections(filter=filter).items]

    def documents(filter: str) -> list[str]:
        if is_grpc:
            listed = client.call_rpc("ListDocuments", collection_id=collections[1], filter=filter)["documents"]
            return [each["file_metadata"]["file_id"] for each in listed]
        return [each.file_id for each in rest.list_documents(collections[1], filter=filter).items]

    def matches(filter: str) -> list[str]:
        request = {"query": "kettle", "filter": filter, "source": {"collection_ids": [collections[1]]}}
        # Over REST for every client: SearchRequest of documents.proto has no filter.
        return [each["file_id"] for each in rest.json("POST", "/v1/documents/search", json_body=request)["matches"]]

    check_filters(found, "created_at", times, lambda time: f'"{time}"')
    check_filters(found, "documents_count", counts, str)
    check_expressions(
        found,
        {
            'collection_name:"ALPH"': collections[:1],
            'NOT collection_name:"a"': [],
            'collection_name:"m" OR documents_count = 3': collections[1:],
            "documents_count:>0": collections[1:],
            "documents_count:<=1": [collections[0], collections[2]],
            "created_at:>2031-05-06T07:08:09Z": collections[1:],
            "collection_name:'alph'": collections[:1],
        },
    )
    check_filters(documents, "size_bytes", sizes, str)
    check_filters(documents, "created_at", ages, lambda time: f'"{time}"')
    check_expressions(
        documents,
        {
            'status = "DOCUMENT_STATUS_PROCESSED"': files,
            'status != "DOCUMENT_STATUS_PROCESSED"': [],
            "status:DOCUMENT_STATUS_PROCESSED": files,
            "status:!DOCUMENT_STATUS_PROCESSED": [],
            "status:!DOCUMENT_STATUS_FAILED": files,
            "size_bytes:!21": [files[0], files[2]],
            "size_bytes:>14 AND content_type:text/plain": files[1:],
            "size_bytes:<=21": files[:2],
            "created_at:>=2031-05-06T11:08:09Z": files[1:],
            'content_type:"text"': files,
            'name:"2.T"': files[2:],
            "name:'2.t'": files[2:],
        },
    )
    for listed, prefix in ((documents, "fields."), (matches, "")):
        author, year = f"{prefix}author", f"{prefix}year"
        check_expressions(
            listed,
            {
                f'{author} = "Sappho"': files[:1],
                f'{author} = "sappho"': [],
                f'{author} = "Homer" OR {author} = "Sappho"': [files[0], files[2]],
                f"{year} < 10": files[:1],
                f"{year} <= 10": files[:2],
                f"{year} > 9": files[1:2],
                f"{year} >= 9": files[:2],
                f"{year} = 10": files[1:2],
                f'{author} = "Sappho" AND {year} = 10': [],
                f'{author} = "Sappho" {year} = 9': files[:1],
                f'NOT {author} = "Sappho"': files[1:],
                f'({author} = "Sappho" AND {year} = 9) OR {author} = "Homer"': [files[0], files[2]],
            },
        )
