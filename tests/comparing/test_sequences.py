"""Any sequence of calls, recorded and sent to another emulator, is alike; `make soak` tries many more of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Emulator
from emulator.comparing.run import Comparison, compare
from emulator.comparing.send import Target
from emulator.domain.keys import Plane
from emulator.recorder.server import RecorderOptions, RecorderThread
from emulator.recordings.reading import read
from emulator.rpc.messages import load
from tests.comparing.test_compare import differing
from tests.examples import examples
from tests.serving import PATIENCE_SECONDS

CALLS_MAX = 10
UNKNOWN = {
    "file": "file_00000000-0000-4000-8000-00000000000f",
    "collection": "collection_00000000-0000-4000-8000-00000000000c",
    "batch": "batch_00000000-0000-4000-8000-00000000000b",
}
NAMES = ("notes.txt", "a b.md", "naïve ☃.txt", "")
# Each is a method, a path, a query and a body. {file}, {collection} and {batch} stand for something that was made.
REST: tuple[tuple[str, str, dict[str, Any], Any], ...] = (
    ("GET", "/v1/files", {}, None),
    ("GET", "/v1/files", {"limit": 1, "order": "asc"}, None),
    ("GET", "/v1/files", {"limit": 0}, None),
    ("GET", "/v1/files", {"filter": 'filename = "notes.txt"'}, None),
    ("GET", "/v1/files/{file}", {}, None),
    ("HEAD", "/v1/files/{file}", {}, None),
    ("PUT", "/v1/files/{file}", {}, {"filename": "renamed.txt"}),
    ("PUT", "/v1/files/{file}", {}, "{not JSON"),
    ("GET", "/v1/files/{file}/content", {}, None),
    ("POST", "/v1/files/{file}/public-url", {}, {}),
    ("POST", "/v1/files/{file}/public-url/revoke", {}, None),
    ("DELETE", "/v1/files/{file}", {}, None),
    ("POST", "/v1/files:initialize", {}, {"name": "later.bin", "content_type": "text/plain"}),
    ("POST", "/v1/collections", {}, {"collection_name": "papers"}),
    ("POST", "/v1/collections", {}, {"collection_name": "papers", "field_definitions": [{"key": "year"}]}),
    ("POST", "/v1/collections", {}, {"collection_name": 5}),
    ("GET", "/v1/collections", {}, None),
    ("GET", "/v1/collections/{collection}", {}, None),
    ("PUT", "/v1/collections/{collection}", {}, {"collection_name": "renamed"}),
    ("DELETE", "/v1/collections/{collection}", {}, None),
    ("POST", "/v1/collections/{collection}/documents/{file}", {}, {"fields": {"year": "1843"}}),
    ("POST", "/v1/collections/{collection}/documents/{file}", {}, {}),
    ("GET", "/v1/collections/{collection}/documents", {}, None),
    ("GET", "/v1/collections/{collection}/documents/{file}", {}, None),
    ("PATCH", "/v1/collections/{collection}/documents/{file}", {}, {}),
    ("DELETE", "/v1/collections/{collection}/documents/{file}", {}, None),
    ("POST", "/v1/documents/search", {}, {"query": "words", "source": {"collection_ids": ["{collection}"]}}),
    ("POST", "/v1/batches", {}, {"name": "evals"}),
    ("GET", "/v1/batches", {}, None),
    ("GET", "/v1/batches/{batch}", {}, None),
    ("GET", "/v1/batches/{batch}/requests", {}, None),
    ("GET", "/v1/batches/{batch}/results", {}, None),
    ("POST", "/v1/batches/{batch}:cancel", {}, None),
    ("POST", "/v1/batches/{batch}:cancel", {}, {}),
    (
        "POST",
        "/v1/batches/{batch}/requests",
        {},
        {"batch_requests": [{"batch_request_id": "one", "batch_request": {"chat_get_completion": {"messages": []}}}]},
    ),
    ("GET", "/v1/me", {}, None),
    ("GET", "/v1/api-key", {}, None),
    ("GET", "/v1/nothing/here", {}, None),
)
RPCS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("xai_api.Files/ListFiles", "xai_api.ListFilesRequest", {"limit": 2}),
    ("xai_api.Files/RetrieveFile", "xai_api.RetrieveFileRequest", {"file_id": "{file}"}),
    ("xai_api.Files/RetrieveFileContent", "xai_api.RetrieveFileContentRequest", {"file_id": "{file}"}),
    ("xai_api.Files/DeleteFile", "xai_api.DeleteFileRequest", {"file_id": "{file}"}),
    ("xai_api.BatchMgmt/GetBatch", "xai_api.GetBatchRequest", {"batch_id": "{batch}"}),
    ("xai_api.Files/RetrieveFile", "xai_api.RetrieveFileRequest", {"file_id": "file_nope"}),
)
MADE = {
    "/v1/files": ("file", "id"),
    "/v1/collections": ("collection", "collection_id"),
    "/v1/batches": ("batch", "batch_id"),
}

CONTENT = b"The words of a paper.\n" * 20
MAKERS = [
    ("upload", "notes.txt", CONTENT),
    *(
        ("rest", call, "own")
        for call in REST
        if call[:2]
        in (
            ("POST", "/v1/collections"),
            ("POST", "/v1/batches"),
        )
    ),
]

calls = st.tuples(
    st.lists(st.sampled_from(MAKERS), max_size=4),
    st.lists(
        st.tuples(st.just("upload"), st.sampled_from(NAMES), st.binary(max_size=30) | st.just(CONTENT))
        | st.tuples(st.just("rest"), st.sampled_from(REST), st.sampled_from(["own", "own", "own", "other", "none"]))
        | st.tuples(st.just("rpc"), st.sampled_from(RPCS), st.just("own")),
        min_size=1,
        max_size=CALLS_MAX,
    ),
).map(lambda both: both[0] + both[1])


class Caller:
    """Makes calls through a recorder, with the ids that earlier ones have made."""

    def __init__(self, url: str, keys: dict[Plane, str]) -> None:
        self._keys = keys
        self._http = httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False)
        self._channel = grpc.insecure_channel(url.partition("://")[2])
        self._made: dict[str, list[str]] = defaultdict(list)

    def close(self) -> None:
        self._http.close()
        self._channel.close()

    def call(self, kind: str, what: Any, more: Any) -> None:
        match kind:
            case "upload":
                reply = self._http.post("/v1/files", headers=self._head("/v1/files"), files={"file": (what, more)})
                self._note("/v1/files", reply)
            case "rest":
                self._rest(*what, key=more)
            case _:
                self._rpc(*what)

    def _rest(self, method: str, path: str, query: dict[str, Any], body: Any, *, key: str) -> None:
        sent = body if isinstance(body, str) else None if body is None else json.dumps(self._filled(body))
        headers = {} if key == "none" else self._head(path, other=key == "other")
        if sent is not None:
            headers["content-type"] = "application/json"
        target = self._filled(path)
        reply = self._http.request(method, target, params=query or None, headers=headers, content=sent)
        if method == "POST":
            self._note(path, reply)

    def _rpc(self, method: str, request: str, fields: dict[str, Any]) -> None:
        message = load().message(request)(**self._filled(fields))
        call = self._channel.unary_stream(f"/{method}")(
            message.SerializeToString(),
            metadata=(("authorization", f"Bearer {self._keys[Plane.INFERENCE]}"),),
            timeout=PATIENCE_SECONDS,
        )
        with suppress(grpc.RpcError):
            list(call)

    def _head(self, path: str, *, other: bool = False) -> dict[str, str]:
        is_managed = path.startswith("/v1/collections")
        return {"authorization": f"Bearer {self._keys[Plane.MANAGEMENT if is_managed != other else Plane.INFERENCE]}"}

    def _note(self, path: str, reply: httpx.Response) -> None:
        kind, name = MADE.get(path, ("", ""))
        if kind and reply.status_code == 200:
            self._made[kind].append(reply.json()[name])

    def _filled(self, value: Any) -> Any:
        """The same with the newest id of each kind, or one that nothing has."""
        text = json.dumps(value)
        for kind, unknown in UNKNOWN.items():
            text = text.replace(f"{{{kind}}}", self._made[kind][-1] if self._made[kind] else unknown)
        return json.loads(text)


Run = Callable[[list[Any]], Comparison]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Record calls before one emulator and compare them with another one, each in a team of its own."""
    folder = tmp_path_factory.mktemp("sequences")
    numbers = iter(range(1_000_000))

    with Emulator(random_seed="the service") as service, Emulator() as fresh:

        def run(calls: list[Any]) -> Comparison:
            team = f"run-{next(numbers)}"
            out = folder / f"{team}.har"
            keys = new_team(service, team)
            with RecorderThread(RecorderOptions(out, keys, service.url, port=0), log=lambda line: None) as recorder:
                caller = Caller(recorder.url, recorder.keys.of_run)
                for each in calls:
                    caller.call(*each)
                caller.close()
            assert recorder.journal.lost == 0
            keys = new_team(fresh, team)
            return compare(read(out), Target(fresh.url, fresh.grpc_target, keys, team, fresh.control_token))

        yield run


def new_team(emulator: Emulator, name: str) -> dict[Plane, str]:
    httpx.post(f"{emulator.url}/_emulator/teams", json={"name": name}, trust_env=False).raise_for_status()
    return {Plane.INFERENCE: f"{emulator.api_key}@{name}", Plane.MANAGEMENT: f"{emulator.management_key}@{name}"}


@given(calls)
@settings(max_examples=examples(12))
def test_any_sequence_of_calls_is_alike(run: Run, calls: list[Any]) -> None:
    comparison = run(calls)
    assert differing(comparison) == []
    assert len(comparison.outcomes) == len(calls)
