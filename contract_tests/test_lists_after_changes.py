"""Lists follow their items: after a change they sort, filter and page by the new values alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from .case import case
from .clients.client import Client
from .clients.rest import RestClient
from .test_lists import Listing, check_order, listing_of_collections, listing_of_documents, listing_of_files

pytestmark = pytest.mark.over_both_protocols
NAMES = ("bca", "dca", "caa")  # of three items: the letter of each at first, and after each change
PAGE_SIZES = (1, 100)
ORDERINGS = (("ORDERING_ASCENDING", 1), ("ORDERING_DESCENDING", 2))


def check_names(
    listing: Listing,
    client: Client,
    rest: RestClient,
    orders: tuple[tuple[str, int], ...],
    sort: tuple[str, int],
    names: Mapping[str, str],
    field: str,
) -> None:
    """Fail where a list is not sorted by these names, ascending or descending, or a filter finds others than those."""
    for (word, number), reverse in zip(orders, (False, True), strict=True):
        by = {"sort_by": sort[0], "order": word}, {"sort_by": sort[1], "order": number}
        check_order(listing, client, rest, by, names, reverse=reverse, page_sizes=PAGE_SIZES)
    others = replace(listing, query={}, message={key: each for key, each in listing.message.items() if key != "filter"})
    for name in names.values():
        filter = {"filter": f'{field} = "{name}"'}
        found = others.page(client, rest, filter, filter).items
        assert sorted(found) == sorted(id for id, each in names.items() if each == name), filter


@case(
    "files.lists.after-changes",
    *("files.list", "files.update"),
    evidence="assumed",
    source="OpenAPI: GET /v1/files, sort_by and filter; files.update has no published contract",
)
def test_files(client: Client, rest: RestClient, name: str) -> None:
    """Files are sorted and filtered by the names that they have now, not by those they were uploaded with."""
    files = [rest.upload_file(b"x", f"{name}{letter}.txt").id for letter in NAMES[0]]
    listing = listing_of_files(f'name:"{name}"')
    for letters in NAMES:
        names = {id: f"{name}{letter}.txt" for id, letter in zip(files, letters, strict=True)}
        for id, filename in names.items():
            rest.json("PUT", f"/v1/files/{id}", json_body={"filename": filename})
        check_names(listing, client, rest, (("asc", 0), ("desc", 1)), ("filename", 1), names, "name")


@case(
    "collections.lists.after-changes",
    *("collections.list", "collections.update"),
    evidence="documented",
    source="Collections reference: GET /v1/collections, sort_by and filter; collections.proto",
)
def test_collections(client: Client, rest: RestClient, name: str) -> None:
    """Collections are sorted and filtered by the names that they have now."""
    made = [rest.create_collection(f"{name}{letter}").id for letter in NAMES[0]]
    listing = listing_of_collections(f'collection_name:"{name}"')
    for letters in NAMES:
        names = {id: f"{name}{letter}" for id, letter in zip(made, letters, strict=True)}
        for id, collection_name in names.items():
            rest.rename_collection(id, collection_name)
        check_names(listing, client, rest, ORDERINGS, ("COLLECTIONS_SORT_BY_NAME", 0), names, "collection_name")


@case(
    "collections.documents.lists-after-changes",
    *("documents.list", "documents.batch_get"),
    evidence="assumed",
    source="Collections reference: GET …/documents, sort_by and filter; that a file and its documents share a name",
)
def test_documents(client: Client, rest: RestClient, name: str) -> None:
    """Documents are sorted and filtered by the names, sizes and fields that they have now, in each collection."""
    collections = [rest.create_collection(f"{name}{word}").id for word in ("notes", "others")]
    files = [rest.upload_file(b"x", f"{name}{letter}.txt").id for letter in NAMES[0]]
    for collection in collections:
        for file in files:
            rest.add_document(collection, file)
    for step, letters in enumerate(NAMES):
        names = {id: f"{name}{letter}.txt" for id, letter in zip(files, letters, strict=True)}
        sizes = {id: (number * (step + 2)) % 5 + 1 for number, id in enumerate(files)}
        for id, filename in names.items():
            if client.protocol == "grpc":
                ids = {"collection_id": collections[0], "file_id": id}
                client.call_rpc(
                    "UpdateDocument", **ids, name=filename, data=b"x" * sizes[id], fields={"step": f"{step}"}
                )
            else:
                rest.json("PUT", f"/v1/files/{id}", json_body={"filename": filename})
        for collection in collections:
            listing = listing_of_documents(collection)
            check_names(listing, client, rest, ORDERINGS, ("DOCUMENTS_SORT_BY_NAME", 0), names, "name")
            listed = rest.batch_get_documents(collection, files)
            assert {each.file_id: each.name for each in listed} == names
            if client.protocol == "rest":
                continue
            for reverse, number in ((False, 1), (True, 2)):
                by = {"sort_by": 1, "order": number}
                check_order(listing, client, rest, (by, by), sizes, reverse=reverse, page_sizes=PAGE_SIZES)
            assert {each.file_id: each.size for each in listed} == sizes
            filter = {"filter": f"fields.step = {step}"}
            found = listing.page(client, rest, filter, filter).items
            assert sorted(found) == sorted(files if collection == collections[0] else []), filter
