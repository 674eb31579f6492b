"""What a request of up to 4 KB can cost, looked for with Hypothesis on a server with 10,000 rows.

`make soak` tries XAI_COSTS (300) examples for each route and method. What a call plans for the next minute belongs to
its cost, and so do the calls that make use of what it made: the file is indexed and read as a batch.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import httpx
import hypothesis
import pytest
from hypothesis import strategies as st

from emulator.domain.keys import Plane
from emulator.operations import OPERATIONS
from emulator.rest.routes import plane_of
from tests.examples import examples
from tests.reliability.cost_meter import MANAGEMENT_KEY, Cost, MeteredServer
from tests.reliability.costly_requests import TARGETS, RestRequest, RpcRequest, requests_of
from tests.rpc.client import Rpc
from tests.serving import KEY, PATIENCE_SECONDS

EXAMPLES = int(os.environ.get("XAI_COSTS", "4"))
STEP_SECONDS_MAX = 0.250
MEMORY_BYTES_MAX = 64 * 1024 * 1024
ROWS_MAX = 10_000

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read in /proc")


class Client:
    """Sends requests over both transports, and then makes use of what they made."""

    def __init__(self, server: MeteredServer) -> None:
        self.server = server
        self.rest = httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS)
        self.document = self.rest.get("/_emulator/openapi.json").json()
        keys = {Plane.INFERENCE: KEY, Plane.MANAGEMENT: MANAGEMENT_KEY}
        self._keys = {plane: key["authorization"].removeprefix("Bearer ") for plane, key in keys.items()}
        self._rpc = {plane: Rpc(server.target, key) for plane, key in self._keys.items()}
        self._warm_up()

    def _warm_up(self) -> None:
        """Let the server load what it loads with the first call, and build its index."""
        self.send(RpcRequest("xai_api.Auth/get_api_key_info", [b""]), Plane.INFERENCE)
        search = {"query": "fox", "source": {"collection_ids": self.server.ids.collections}}
        self._post("/v1/documents/search", search)

    def close(self) -> None:
        self.rest.close()
        for rpc in self._rpc.values():
            rpc.channel.close()

    def cost(self, request: RestRequest | RpcRequest, plane: Plane) -> Cost:
        """What a request costs, with what follows from it."""
        return self.server.cost(lambda: self._use(self.send(request, plane)))

    def send(self, request: RestRequest | RpcRequest, plane: Plane) -> dict[str, Any]:
        """Send a request; what its answer says as JSON or as a message, nothing of a refusal."""
        if isinstance(request, RestRequest):
            return self._send(request)
        try:
            answer = self._rpc[plane].call(request.name, _messages(request))
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL):
                raise
            return {}
        return {} if isinstance(answer, list) else {field.name: value for field, value in answer.ListFields()}

    def _send(self, request: RestRequest) -> dict[str, Any]:
        key = self._keys[plane_of(request.target)]
        headers = {"authorization": f"Bearer {key}", "content-type": request.content_type or "application/json"}
        reply = self.rest.request(request.method, request.target, content=request.body, headers=headers)
        assert reply.status_code != 500, (request, reply.text)
        is_json = reply.headers.get("content-type", "").startswith("application/json")
        answer = reply.json() if reply.is_success and is_json else {}
        return answer if isinstance(answer, dict) else {}

    def _use(self, answer: dict[str, Any]) -> None:
        collection, files = answer.get("collection_id"), self.server.ids.files[:2]
        if "chunk_configuration" in answer and collection is not None:  # a collection
            for file in files:
                fields = {key: f"{file}{key}" for key in _defined(answer)}
                self._post(f"/v1/collections/{collection}/documents/{file}", {"fields": fields})
        if answer.get("object") == "file" or "filename" in answer:
            file = answer["id"]
            self._post(f"/v1/collections/{self.server.ids.collections[0]}/documents/{file}", {"fields": {"isbn": file}})
            self._post("/v1/batches", {"name": "of a file", "input_file_id": file})
            self._send(RestRequest("GET", f"/v1/files/{file}/content?format=text"))

    def _post(self, path: str, body: Any) -> None:
        self._send(RestRequest("POST", path, httpx.Request("POST", "http://x", json=body).content, "application/json"))


def _defined(collection: dict[str, Any]) -> list[str]:
    """The keys of the fields that a collection defines, as JSON or as messages."""
    defined = collection.get("field_definitions", [])
    return [each["key"] if isinstance(each, dict) else each.key for each in defined]


def _messages(request: RpcRequest) -> Any:
    return request.messages if request.name.endswith("/UploadFile") else request.messages[0]


@contextmanager
def serving(rows: int) -> Iterator[Client]:
    """A client of a server with so many rows."""
    with MeteredServer(rows) as server:
        client = Client(server)
        try:
            yield client
        finally:
            client.close()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of a server with 10,000 rows."""
    with serving(10_000) as client:
        yield client


def _plane(name: str) -> Plane:
    return OPERATIONS[TARGETS[name].operation].plane


def tried(count: int) -> hypothesis.settings:
    """How requests are looked for. What was measured differs from run to run, so an example cannot be shrunk."""
    return hypothesis.settings(
        max_examples=count,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
        database=None,
    )


def test_operations_are_all_tried() -> None:
    """No operation is left out."""
    assert {target.operation for target in TARGETS.values()} == OPERATIONS.keys()


def test_small_requests_make_few_rows() -> None:
    """No request of up to 4 KB makes more than 10,000 rows, with all that it plans for the next minute."""
    with serving(1_000) as client:
        files = [{"name": "a.txt", "content_type": "text/plain"}] * 60
        request = RestRequest("POST", "/v1/files/batch_upload", json.dumps({"files": files}).encode())
        assert client.cost(request, Plane.INFERENCE).rows == len(files) + 1, "rows are counted"

        @tried(examples(100))
        @hypothesis.given(st.data(), st.sampled_from(sorted(TARGETS)))
        def judge(data: st.DataObject, name: str) -> None:
            request = data.draw(requests_of(name, client.document, client.server.ids))
            assert client.cost(request, _plane(name)).rows <= ROWS_MAX

        judge()


@pytest.mark.measure
@pytest.mark.parametrize("name", TARGETS)
def test_small_requests_cost_little(client: Client, name: str) -> None:
    """No request of up to 4 KB, through any route or method, holds the event loop for more than 250 ms of processor
    time, grows the process by more than 64 MiB or makes more than 10,000 rows, with all that it plans for the next
    minute. The server has 10,000 rows.
    """
    client.server.restore()

    @tried(EXAMPLES)
    @hypothesis.given(requests_of(name, client.document, client.server.ids))
    def judge(request: RestRequest | RpcRequest) -> None:
        cost = client.cost(request, _plane(name))
        assert cost.step_seconds <= STEP_SECONDS_MAX, cost.step
        assert cost.memory_bytes <= MEMORY_BYTES_MAX
        assert cost.rows <= ROWS_MAX

    judge()
