"""Several clients at once, over both transports: whatever they see could have happened one after the other."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emulator import Emulator
from emulator.operations import OPERATIONS
from tests.examples import examples
from tests.reliability.linearizability import Event, linearize
from tests.rest.batch_helpers import chat_body
from tests.rpc.client import Rpc, data, init, message
from tests.serving import PATIENCE_SECONDS

TEAMS = itertools.count()
CLIENTS = 4  # every second one over gRPC
CALLS = 6  # of each
SIZE = 10  # bytes of every file
AT_ONCE = 210  # requests that are added in one call: more than the emulator takes without a pause
Answer = Any


# --- the model: what one client after the other would see


@dataclass(frozen=True)
class Model:
    """A team with files, one collection with a unique field, and one batch."""

    files: frozenset[str] = frozenset()
    documents: frozenset[tuple[str, str]] = frozenset()  # file and the value of its unique field
    requests: frozenset[tuple[int, str]] = frozenset()  # of which block they are, and what each asks


@dataclass(frozen=True)
class Call:
    """What a client asks: the name of a method of both transports, and its arguments."""

    name: str
    arguments: tuple[Any, ...] = ()


def apply(model: Model, call: Call, answer: Answer) -> Model | None:
    """The model after a call, or None where it would have answered otherwise."""
    return globals()[f"_{call.name}"](model, answer, *call.arguments)  # type: ignore[no-any-return]


def _upload(model: Model, answer: Answer) -> Model | None:
    return None if answer in model.files else replace(model, files=model.files | {answer})


def _get(model: Model, answer: Answer, file: str) -> Model | None:
    return model if answer == ("ok" if file in model.files else "NOT_FOUND") else None


def _list(model: Model, answer: Answer) -> Model | None:
    return model if answer == model.files else None


def _delete(model: Model, answer: Answer, file: str) -> Model | None:
    if answer != ("ok" if file in model.files else "NOT_FOUND"):
        return None
    documents = frozenset(each for each in model.documents if each[0] != file)
    return replace(model, files=model.files - {file}, documents=documents)


def _add_document(model: Model, answer: Answer, file: str, isbn: str) -> Model | None:
    others = frozenset(each for each in model.documents if each[0] != file)
    if file not in model.files:
        return model if answer == "NOT_FOUND" else None
    if isbn in {each[1] for each in others}:
        return model if answer == "INVALID_ARGUMENT" else None
    return replace(model, documents=others | {(file, isbn)}) if answer == "ok" else None


def _remove_document(model: Model, answer: Answer, file: str) -> Model | None:
    others = frozenset(each for each in model.documents if each[0] != file)
    expected = "ok" if others != model.documents else "NOT_FOUND"
    return replace(model, documents=others) if answer == expected else None


def _list_documents(model: Model, answer: Answer) -> Model | None:
    return model if answer == model.documents else None


def _count_documents(model: Model, answer: Answer) -> Model | None:
    return model if answer == (len(model.documents), SIZE * len(model.documents)) else None


def _add_requests(model: Model, answer: Answer, block: int, text: str) -> Model | None:
    """All of a block, or none: under ids that are there already it has to be the same again."""
    present = dict(model.requests)
    if present.get(block, text) != text:
        return model if answer == "FAILED_PRECONDITION" else None
    return replace(model, requests=model.requests | {(block, text)}) if answer == "ok" else None


def _count_requests(model: Model, answer: Answer) -> Model | None:
    return model if answer == AT_ONCE * len(model.requests) else None


# --- the transports


@dataclass
class Things:
    """What all clients know."""

    collection: str
    batch: str


# A client has a method for each call of the model, which gives its answer in the model's words.

STATUS = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 409: "ABORTED", 412: "FAILED_PRECONDITION"}


class OverRest:
    """A client that speaks HTTP."""

    def __init__(self, emulator: Emulator, team: str, things: Things) -> None:
        self._things = things
        keys = (f"{emulator.api_key}@{team}", f"{emulator.management_key}@{team}")
        self._inference, self._management = (
            httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS)
            for key in keys
        )

    def close(self) -> None:
        self._inference.close()
        self._management.close()

    def _send(self, method: str, path: str, *, management: bool = False, **what: Any) -> Any:
        reply = (self._management if management else self._inference).request(method, path, **what)
        return reply.json() if reply.is_success else STATUS[reply.status_code]

    def _done(self, *arguments: Any, **what: Any) -> str:
        answer = self._send(*arguments, **what)
        return answer if isinstance(answer, str) else "ok"

    def _of_collection(self, method: str, rest: str = "", **what: Any) -> Any:
        path = f"/v1/collections/{self._things.collection}{rest}"
        return self._send(method, path, management=True, **what)

    def upload(self) -> Answer:
        return self._send("POST", "/v1/files", files={"file": ("a.txt", b"x" * SIZE)})["id"]

    def get(self, file: str) -> Answer:
        return self._done("GET", f"/v1/files/{file}")

    def list(self) -> Answer:
        return frozenset(each["id"] for each in self._send("GET", "/v1/files")["data"])

    def delete(self, file: str) -> Answer:
        return self._done("DELETE", f"/v1/files/{file}")

    def add_document(self, file: str, isbn: str) -> Answer:
        answer = self._of_collection("POST", f"/documents/{file}", json={"fields": {"isbn": isbn}})
        return answer if isinstance(answer, str) else "ok"

    def remove_document(self, file: str) -> Answer:
        answer = self._of_collection("DELETE", f"/documents/{file}")
        return answer if isinstance(answer, str) else "ok"

    def list_documents(self) -> Answer:
        found = self._of_collection("GET", "/documents")["documents"]
        return frozenset((each["file_metadata"]["file_id"], each["fields"]["isbn"]) for each in found)

    def count_documents(self) -> Answer:
        found = self._of_collection("GET")
        return int(found["documents_count"]), int(found.get("total_file_size", 0))

    def add_requests(self, block: int, text: str) -> Answer:
        items = [
            {"batch_request_id": f"{block}-{n}", "batch_request": {"chat_get_completion": chat_body(text)}}
            for n in range(AT_ONCE)
        ]
        return self._done("POST", f"/v1/batches/{self._things.batch}/requests", json={"batch_requests": items})

    def count_requests(self) -> Answer:
        return self._send("GET", f"/v1/batches/{self._things.batch}")["state"]["num_requests"]


class OverRpc:
    """A client that speaks gRPC."""

    def __init__(self, emulator: Emulator, team: str, things: Things) -> None:
        self._things = things
        keys = (f"{emulator.api_key}@{team}", f"{emulator.management_key}@{team}")
        self._inference, self._management = (Rpc(emulator.grpc_target, key) for key in keys)

    def close(self) -> None:
        self._inference.channel.close()
        self._management.channel.close()

    def _send(self, rpc: Rpc, name: str, asked: Any) -> Any:
        try:
            return rpc.call(name, asked)
        except grpc.RpcError as error:
            return str(error.code().name)

    def _of_files(self, method: str, asked: str, **fields: Any) -> Any:
        return self._send(self._inference, f"xai_api.Files/{method}", message(f"xai_api.{asked}", **fields))

    def _of_collection(self, method: str, asked: str, **fields: Any) -> Any:
        fields["collection_id"] = self._things.collection
        whole = message(f"collections.{asked}", **fields)
        return self._send(self._management, f"collections.Collections/{method}", whole)

    def upload(self) -> Answer:
        return self._send(self._inference, "xai_api.Files/UploadFile", [init("a.txt"), data(b"x" * SIZE)]).id

    def get(self, file: str) -> Answer:
        return _word(self._of_files("RetrieveFile", "RetrieveFileRequest", file_id=file))

    def list(self) -> Answer:
        return frozenset(each.id for each in self._of_files("ListFiles", "ListFilesRequest").data)

    def delete(self, file: str) -> Answer:
        return _word(self._of_files("DeleteFile", "DeleteFileRequest", file_id=file))

    def add_document(self, file: str, isbn: str) -> Answer:
        asked = ("AddDocumentToCollection", "AddDocumentToCollectionRequest")
        return _word(self._of_collection(*asked, file_id=file, fields={"isbn": isbn}))

    def remove_document(self, file: str) -> Answer:
        asked = ("RemoveDocumentFromCollection", "RemoveDocumentFromCollectionRequest")
        return _word(self._of_collection(*asked, file_id=file))

    def list_documents(self) -> Answer:
        found = self._of_collection("ListDocuments", "ListDocumentsRequest").documents
        return frozenset((each.file_metadata.file_id, each.fields["isbn"]) for each in found)

    def count_documents(self) -> Answer:
        found = self._of_collection("GetCollectionMetadata", "GetCollectionMetadataRequest")
        return found.documents_count, found.total_file_size

    def add_requests(self, block: int, text: str) -> Answer:
        body = message("xai_api.GetCompletionsRequest", model="grok-4")
        body.messages.add(role=1).content.add(text=text)
        asked = message("xai_api.AddBatchRequestsRequest", batch_id=self._things.batch)
        for n in range(AT_ONCE):
            asked.batch_requests.add(batch_request_id=f"{block}-{n}", completion_request=body)
        return _word(self._send(self._inference, "xai_api.BatchMgmt/AddBatchRequests", asked))

    def count_requests(self) -> Answer:
        asked = message("xai_api.GetBatchRequest", batch_id=self._things.batch)
        return self._send(self._inference, "xai_api.BatchMgmt/GetBatch", asked).state.num_requests


def _word(answer: Any) -> str:
    return answer if isinstance(answer, str) else "ok"


# --- histories


class Rig:
    """A team of its own with some things, and clients of both transports that use them at once."""

    def __init__(self, emulator: Emulator, files: int) -> None:
        team = f"concurrent-{next(TEAMS)}"
        first = OverRest(emulator, team, Things("", ""))
        definition = {"key": "isbn", "required": False, "unique": True, "inject_into_chunk": False}
        body = {"collection_name": "c", "field_definitions": [definition]}
        collection = first._send("POST", "/v1/collections", management=True, json=body)["collection_id"]
        batch = first._send("POST", "/v1/batches", json={"name": "b"})["batch_id"]
        things = Things(collection, batch)
        self.files = [first.upload() for _ in range(files)]
        first.close()
        self._clients = [(OverRest, OverRpc)[n % 2](emulator, team, things) for n in range(CLIENTS)]
        self._ticks = itertools.count()
        self._start = threading.Barrier(CLIENTS)

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def run(self, programs: list[list[Call]]) -> list[Event]:
        """The history of clients that each make their calls one after the other."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            histories = pool.map(self._run_one, self._clients, programs)
            return [event for history in histories for event in history]

    def _run_one(self, client: Any, program: list[Call]) -> list[Event]:
        history = []
        self._start.wait()
        for call in program:
            began = next(self._ticks)
            answer = getattr(client, call.name)(*call.arguments)
            history.append(Event(began, next(self._ticks), call, answer))
        return history


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One that does not answer the requests of batches meanwhile: thousands are added."""
    with Emulator(batches="manual") as running:
        yield running


FILES = st.integers(0, 2)
CALL = st.one_of(
    st.builds(Call, st.sampled_from(["upload", "list", "list_documents", "count_documents", "count_requests"])),
    st.builds(lambda name, file: Call(name, (file,)), st.sampled_from(["get", "delete", "remove_document"]), FILES),
    st.builds(lambda file, isbn: Call("add_document", (file, isbn)), FILES, st.sampled_from("12")),
    st.builds(lambda block, text: Call("add_requests", (block, text)), st.integers(0, 2), st.sampled_from("xy")),
)
PROGRAMS = st.lists(st.lists(CALL, min_size=CALLS, max_size=CALLS), min_size=CLIENTS, max_size=CLIENTS)


def named(program: list[Call], files: list[str]) -> list[Call]:
    """The calls with the ids of files, not their numbers."""
    about_files = ("get", "delete", "remove_document", "add_document")
    return [
        Call(call.name, (files[call.arguments[0]], *call.arguments[1:])) if call.name in about_files else call
        for call in program
    ]


@settings(
    max_examples=examples(15),
    phases=[Phase.explicit, Phase.generate],  # a history comes about once: there is nothing to be made smaller
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(programs=PROGRAMS)
def test_clients_at_once_see_what_clients_in_turn_would(emulator: Emulator, programs: list[list[Call]]) -> None:
    """Creates, deletions, unique values, ids that are added twice, lists and counters are linearizable.

    Clients of both transports call at once; for each history a search finds an order of the calls in which a model of
    a few lines gives the same answers.
    """
    rig = Rig(emulator, 3)
    try:
        history = rig.run([named(program, rig.files) for program in programs])
    finally:
        rig.close()
    assert linearize(history, Model(frozenset(rig.files)), apply) is not None, sorted(history, key=lambda e: e.began)


# --- the search itself


def test_premature_response_is_detected(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test can fail: the same harness detects a deletion that is answered before it is done."""
    delete = OPERATIONS["files.delete"]

    async def early(services: Any, call: Any, request: Any) -> Any:
        task = asyncio.get_running_loop().create_task(later(services, call, request))
        tasks.append(task)
        return request.file_id

    async def later(services: Any, call: Any, request: Any) -> None:
        await asyncio.to_thread(all_answered.wait, PATIENCE_SECONDS)
        await delete.run(services, call, request)

    tasks: list[asyncio.Task[None]] = []
    all_answered = threading.Event()
    rig = Rig(emulator, 1)
    program = [Call("delete", (rig.files[0],)), Call("get", (rig.files[0],))]
    programs = [program, *([Call("list")] for _ in range(CLIENTS - 1))]
    monkeypatch.setitem(OPERATIONS, "files.delete", type(delete)(**{**_fields(delete), "run": early}))
    try:
        assert linearize(rig.run(programs), Model(frozenset(rig.files)), apply) is None
    finally:
        all_answered.set()
        rig.close()


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


A, B = frozenset("a"), frozenset("b")
NOT_LINEARIZABLE = {
    "a list without what was uploaded before it began": [
        Event(0, 1, Call("upload"), "a"),
        Event(2, 3, Call("list"), frozenset()),
    ],
    "a list that goes back behind an earlier one": [
        Event(0, 9, Call("upload"), "a"),
        Event(1, 2, Call("list"), A),
        Event(3, 4, Call("list"), frozenset()),
    ],
    "two clients that see two uploads in different orders": [
        Event(0, 9, Call("upload"), "a"),
        Event(1, 8, Call("upload"), "b"),
        Event(2, 3, Call("list"), A),
        Event(4, 5, Call("list"), B),
    ],
    "one id for two uploads": [Event(0, 2, Call("upload"), "a"), Event(1, 3, Call("upload"), "a")],
    "a unique value twice": [
        Event(0, 1, Call("upload"), "a"),
        Event(2, 3, Call("upload"), "b"),
        Event(4, 6, Call("add_document", ("a", "1")), "ok"),
        Event(5, 7, Call("add_document", ("b", "1")), "ok"),
    ],
    "a unique value refused to both": [
        Event(0, 1, Call("upload"), "a"),
        Event(2, 3, Call("upload"), "b"),
        Event(4, 6, Call("add_document", ("a", "1")), "INVALID_ARGUMENT"),
        Event(5, 7, Call("add_document", ("b", "1")), "INVALID_ARGUMENT"),
    ],
    "a counter that lost an update": [
        Event(0, 2, Call("add_requests", (0, "x")), "ok"),
        Event(1, 3, Call("add_requests", (1, "x")), "ok"),
        Event(4, 5, Call("count_requests"), AT_ONCE),
    ],
    "a counter of half a call": [
        Event(0, 3, Call("add_requests", (0, "x")), "ok"),
        Event(1, 2, Call("count_requests"), AT_ONCE // 2),
    ],
}


@pytest.mark.parametrize("history", NOT_LINEARIZABLE.values(), ids=NOT_LINEARIZABLE)
def test_non_linearizable_history_is_detected(history: list[Event]) -> None:
    """Histories that no order explains, such as stale reads and lost updates, are detected."""
    assert linearize(history, Model(), apply) is None


@given(order=st.permutations(range(8)), stretch=st.lists(st.integers(0, 40), min_size=16, max_size=16))
def test_linearizable_history_is_accepted(order: list[int], stretch: list[int]) -> None:
    """Sequential calls, recorded as if they had overlapped and in any order: a valid order is found."""
    calls = [
        (Call("upload"), "a"),
        (Call("add_document", ("a", "1")), "ok"),
        (Call("upload"), "b"),
        (Call("add_document", ("b", "1")), "INVALID_ARGUMENT"),
        (Call("count_documents"), (1, SIZE)),
        (Call("delete", ("a",)), "ok"),
        (Call("add_document", ("b", "1")), "ok"),
        (Call("list"), B),
    ]
    moments = [100 * (n + 1) for n in range(len(calls))]  # at which each took effect
    history = [
        Event(moment - 4 * stretch[n] - n, moment + 4 * stretch[n + 8] + n + 1, *call)
        for n, (moment, call) in enumerate(zip(moments, calls, strict=True))
    ]
    found = linearize([history[n] for n in order], Model(), apply)
    assert found is not None
    model: Model | None = Model()
    for place, event in enumerate(found):
        assert model is not None
        model = apply(model, event.asked, event.answer)
        assert all(event.began < later.ended for later in found[place:]), "time is respected"
    assert model is not None
