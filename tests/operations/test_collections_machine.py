"""Collections, files and documents against a model of a few lines, over both transports."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
import pytest
import xai_sdk
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from emulator import Emulator
from tests.examples import examples
from tests.serving import PATIENCE_SECONDS

TEAMS = itertools.count()
NAMES = st.sampled_from(["a.txt", "b.md", "c.csv"])
CONTENTS = st.binary(max_size=3)
FIELDS = st.fixed_dictionaries(
    {"isbn": st.sampled_from(["1", "2"])}, optional={key: st.just("x") for key in ("author", "other")}
)
REST_STATUS = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND"}


@dataclass
class Collection:
    """What the model knows of a collection: its rules, and the fields of its documents in order of their arrival."""

    required: bool
    unique: bool
    documents: dict[str, dict[str, str]] = field(default_factory=dict)

    def refusal(self, file_id: str, fields: dict[str, str]) -> str | None:
        """Why a document cannot have these fields."""
        if self.required and "author" not in fields:
            return "INVALID_ARGUMENT"
        taken = [each.get("isbn") for id, each in self.documents.items() if id != file_id]
        return "INVALID_ARGUMENT" if self.unique and fields.get("isbn", "-") in taken else None


class Machine(RuleBasedStateMachine):
    """Each step uses a randomly drawn transport; both must answer what the model expects."""

    emulator: Emulator

    collections = Bundle("collections")
    files = Bundle("files")
    via_rest = st.booleans()

    def __init__(self) -> None:
        super().__init__()
        team = f"machine-{next(TEAMS)}"
        url, target = self.emulator.url, self.emulator.grpc_target
        keys = f"{self.emulator.api_key}@{team}", f"{self.emulator.management_key}@{team}"
        self.rest, self.management = (
            httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS)
            for key in keys
        )
        self.xai = xai_sdk.Client(
            api_key=keys[0], management_api_key=keys[1], api_host=target, management_api_host=target
        )
        self.model: dict[str, Collection] = {}
        self.contents: dict[str, tuple[str, int]] = {}  # of files: name and size

    def teardown(self) -> None:
        for client in (self.rest, self.management, self.xai):
            client.close()

    # --- one call over one transport

    def outcome(self, method: str, path: str, body: Any = None) -> str | None:
        """Call over REST; how it was refused, if it was."""
        reply = self.management.request(method, path, json=body)
        return None if reply.status_code == 200 else REST_STATUS[reply.status_code]

    def grpc_outcome(self, call: Any, *arguments: Any, **named: Any) -> str | None:
        """Call over gRPC; how it was refused, if it was."""
        try:
            call(*arguments, **named)
        except grpc.RpcError as error:
            code: str = error.code().name
            return code
        return None

    # --- rules

    @initialize(target=collections)
    def begin_with_a_collection(self) -> str:
        return self.create(required=False, unique=True, via_rest=True)

    @initialize(target=files)
    def begin_with_files(self) -> Any:
        return multiple(*(self.upload("a.txt", b"1", via_rest=True) for _ in range(3)))

    @rule(target=collections, required=st.booleans(), unique=st.booleans(), via_rest=via_rest)
    def create(self, required: bool, unique: bool, via_rest: bool) -> str:
        flags = {"inject_into_chunk": False}
        definitions = [
            {"key": "author", "required": required, "unique": False, **flags},
            {"key": "isbn", "required": False, "unique": unique, **flags},
        ]
        if via_rest:
            body = {"collection_name": "c", "field_definitions": definitions}
            id = self.management.post("/v1/collections", json=body).json()["collection_id"]
        else:
            id = self.xai.collections.create("c", field_definitions=definitions).collection_id
        self.model[id] = Collection(required, unique)
        return str(id)

    @rule(id=consumes(collections), via_rest=via_rest)
    def delete_collection(self, id: str, via_rest: bool) -> None:
        path = f"/v1/collections/{id}"
        did = self.outcome("DELETE", path) if via_rest else self.grpc_outcome(self.xai.collections.delete, id)
        assert did is None
        del self.model[id]

    @rule(target=files, name=NAMES, content=CONTENTS, via_rest=via_rest)
    def upload(self, name: str, content: bytes, via_rest: bool) -> str:
        if via_rest:
            id = self.rest.post("/v1/files", files={"file": (name, content)}).json()["id"]
        else:
            id = self.xai.files.upload(content, filename=name).id
        self.contents[id] = name, len(content)
        return str(id)

    @rule(id=consumes(files), via_rest=via_rest)
    def delete_file(self, id: str, via_rest: bool) -> None:
        if via_rest:
            assert self.rest.delete(f"/v1/files/{id}").status_code == 200
        else:
            self.xai.files.delete(id)
        del self.contents[id]
        for collection in self.model.values():
            collection.documents.pop(id, None)

    @rule(id=collections, file=files, fields=FIELDS, via_rest=via_rest)
    def add(self, id: str, file: str, fields: dict[str, str], via_rest: bool) -> None:
        expected = self.model[id].refusal(file, fields)
        if via_rest:
            did = self.outcome("POST", f"/v1/collections/{id}/documents/{file}", {"fields": fields})
        else:
            did = self.grpc_outcome(self.xai.collections.add_existing_document, id, file, fields)
        assert did == expected
        if expected is None:
            self.model[id].documents[file] = fields

    add_another = add  # the commonest step

    @rule(target=files, id=collections, name=NAMES, content=CONTENTS, fields=FIELDS)
    def upload_in_one_step(self, id: str, name: str, content: bytes, fields: dict[str, str]) -> Any:
        form = {"data": (name, content), "fields": (None, httpx.Response(200, json=fields).text)}
        reply = self.management.post(f"/v1/collections/{id}/documents", files=form)
        if self.model[id].refusal("", fields) is not None:
            assert reply.status_code == 400
            return multiple()
        file = reply.json()["file_metadata"]["file_id"]
        self.contents[file] = name, len(content)
        self.model[id].documents[file] = fields
        return file

    @rule(id=collections, file=files, fields=FIELDS, data=st.none() | CONTENTS)
    def update(self, id: str, file: str, fields: dict[str, str], data: bytes | None) -> None:
        collection = self.model[id]
        did = self.grpc_outcome(self.xai.collections.update_document, id, file, data=data, fields=fields)
        if file not in collection.documents:
            assert did == "NOT_FOUND"
            return
        merged = {**collection.documents[file], **fields}
        assert did == collection.refusal(file, merged)
        if did is None:
            collection.documents[file] = merged
            if data is not None:
                self.contents[file] = self.contents[file][0], len(data)

    @rule(id=collections, file=files, verb=st.sampled_from(["DELETE", "PATCH"]), via_rest=via_rest)
    def remove_or_reindex(self, id: str, file: str, verb: str, via_rest: bool) -> None:
        documents, calls = self.model[id].documents, self.xai.collections
        if via_rest:
            did = self.outcome(verb, f"/v1/collections/{id}/documents/{file}")
        else:
            did = self.grpc_outcome(calls.remove_document if verb == "DELETE" else calls.reindex_document, id, file)
        assert did == (None if file in documents else "NOT_FOUND")
        if verb == "DELETE":
            documents.pop(file, None)

    # --- what is always so

    @invariant()
    def collections_count_their_documents(self) -> None:
        listed = {each["collection_id"]: each for each in self.management.get("/v1/collections").json()["collections"]}
        assert listed.keys() == self.model.keys()
        assert {each.collection_id for each in self.xai.collections.list().collections} == self.model.keys()
        for id, collection in self.model.items():
            sizes = [self.contents[file][1] for file in collection.documents]
            assert listed[id]["documents_count"] == len(sizes)
            assert listed[id]["total_file_size"] == str(sum(sizes))

    @invariant()
    def pages_hold_every_document_once(self) -> None:
        for id, collection in self.model.items():
            order = list(collection.documents)
            expected = sorted(order, key=lambda file: (self.contents[file][0], order.index(file)))
            token, found = None, []
            while token != "":
                page = self.xai.collections.list_documents(id, limit=2, order="asc", pagination_token=token)
                found += [document.file_metadata.file_id for document in page.documents]
                token = page.pagination_token
            assert found == expected
            page = self.management.get(f"/v1/collections/{id}/documents", params={"limit": 100}).json()
            assert [each["file_metadata"]["file_id"] for each in page["documents"]] == expected[::-1]
            assert {each["file_metadata"]["file_id"]: each["fields"] for each in page["documents"]} == (
                collection.documents
            )


@pytest.fixture(scope="module")
def machine() -> Iterator[type[Machine]]:
    with Emulator() as emulator:
        Machine.emulator = emulator
        yield Machine


def test_collections_agree_with_model_over_both_transports(machine: type[Machine]) -> None:
    """Counts, uniqueness, required fields, cascades and page walks are the model's, after any sequence of calls."""
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples(15),
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.reuse, Phase.generate],  # to shrink over both transports takes minutes, and 20 steps can be read
    )
    case("runTest").runTest()
