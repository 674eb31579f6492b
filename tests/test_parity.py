"""Every RPC and every path of the API is covered, and both transports refuse with the same errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.core.errors import WIRE, Kind
from emulator.domain.keys import Plane
from emulator.operations import OPERATIONS
from emulator.rest.routes import NOT_EMULATED as PATHS_NOT_EMULATED
from emulator.rest.routes import ROUTES
from emulator.rpc.messages import load
from emulator.rpc.methods import METHODS
from emulator.rpc.methods import NOT_EMULATED as METHODS_NOT_EMULATED
from tests.rpc.client import Rpc, data, init, message, trailers

# Every path of the emulated APIs that xAI's documents name.
DOCUMENTED = """
POST /v1/files
GET /v1/files
GET /v1/files/{file_id}
PUT /v1/files/{file_id}
DELETE /v1/files/{file_id}
GET /v1/files/{file_id}/content
POST /v1/files:download
POST /v1/files:initialize
POST /v1/files:uploadChunks
POST /v1/files/batch_upload
POST /v1/files/batch_upload/{batch_job_id}:complete
POST /v1/files/{file_id}/public-url
POST /v1/files/{file_id}/public-url/revoke
POST /v1/documents/search
POST /v1/batches
GET /v1/batches
GET /v1/batches/{batch_id}
GET /v1/batches/{batch_id}/requests
POST /v1/batches/{batch_id}/requests
GET /v1/batches/{batch_id}/results
POST /v1/batches/{batch_id}:cancel
GET /v1/api-key
GET /v1/me
POST /v1/collections
GET /v1/collections
GET /v1/collections/{collection_id}
PUT /v1/collections/{collection_id}
DELETE /v1/collections/{collection_id}
GET /v1/collections/{collection_id}/documents
POST /v1/collections/{collection_id}/documents
POST /v1/collections/{collection_id}/documents/{file_id}
GET /v1/collections/{collection_id}/documents/{file_id}
PATCH /v1/collections/{collection_id}/documents/{file_id}
DELETE /v1/collections/{collection_id}/documents/{file_id}
GET /v1/collections/{collection_id}/documents:batchGet
GET /v1/models
GET /v1/models/{model_id}
GET /v1/language-models
GET /v1/language-models/{model_id}
GET /v1/image-generation-models
GET /v1/image-generation-models/{model_id}
GET /v1/video-generation-models
GET /v1/video-generation-models/{model_id}
GET /v1/embedding-models
GET /v1/embedding-models/{model_id}
POST /v1/chat/completions
GET /v1/chat/deferred-completion/{request_id}
POST /v1/tokenize-text
POST /v1/images/generations
POST /v1/images/edits
POST /v1/videos/generations
POST /v1/videos/edits
POST /v1/videos/extensions
GET /v1/videos/{request_id}
POST /auth/teams/{team_id}/api-keys
GET /auth/teams/{team_id}/api-keys
PUT /auth/api-keys/{api_key_id}
DELETE /auth/api-keys/{api_key_id}
POST /auth/api-keys/{api_key_id}/rotate
GET /auth/api-keys/{api_key_id}/propagation
GET /auth/management-keys/validation
GET /auth/teams
GET /auth/teams/{team_id}/models
GET /auth/teams/{team_id}/endpoints
GET /audit/teams/{team_id}/events
POST /v1/responses
POST /v1/responses/compact
GET /v1/responses/{response_id}
DELETE /v1/responses/{response_id}
GET /v1/responses/{response_id}/input_items
"""
# Paths of the emulator itself, where URLs that it hands out lead to.
OWN = {"GET /_files-cdn/{token}/{name}", "GET /_media/{token}/{name}"}


def test_rpcs_are_bound_or_listed() -> None:
    """Bind it in a table of METHODS, or list it with a reason in NOT_EMULATED of rpc/methods.py, but not both.

    A whole service may be listed too: then none of it is declared.
    """
    declared = {
        f"{name}/{method.name}" for name in load().services for method in load().service(name).methods_by_name.values()
    }
    bound = [f"{method.service}/{method.name}" for method in METHODS]
    assert sorted(bound) == sorted(set(bound)), "bound twice"
    assert declared - set(bound) - set(METHODS_NOT_EMULATED) == set(), "neither bound nor listed"
    assert set(bound) & set(METHODS_NOT_EMULATED) == set(), "bound, so take it off the list"
    listed = {name for name in METHODS_NOT_EMULATED if "/" in name}
    assert listed <= declared, "listed, but no such RPC is declared"
    assert (set(METHODS_NOT_EMULATED) - listed) & set(load().services) == set(), "listed, but the service is declared"
    assert set(bound) <= declared, "bound, but no such RPC is declared"


def test_documented_paths_are_bound_or_listed() -> None:
    """Bind it in a table of ROUTES, or list its prefix with a reason in NOT_EMULATED of rest/routes.py."""
    bound = {f"{route.method} {route.path}" for route in ROUTES}
    missing = set(DOCUMENTED.split("\n")) - {""} - bound
    assert {each for each in missing if not covered(each.split()[1])} == set(), "neither bound nor listed"
    assert bound - set(DOCUMENTED.split("\n")) == OWN, "bound, but in no document"


def covered(path: str) -> bool:
    """Whether a path lies below one that is listed."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in PATHS_NOT_EMULATED)


def test_paths_listed_as_not_emulated_are_not_bound() -> None:
    """A path that is served must not be said to be missing; each reason is a sentence's worth."""
    assert [route.path for route in ROUTES if covered(route.path)] == []
    assert all(len(reason.split()) > 2 for reason in [*PATHS_NOT_EMULATED.values(), *METHODS_NOT_EMULATED.values()])


def test_operations_have_a_transport() -> None:
    """Every operation has at least one transport, and no transport names an unknown operation."""
    led_to = {route.operation for route in ROUTES} | {method.operation for method in METHODS}
    assert led_to == set(OPERATIONS)


def test_operation_plane_matches_path_and_service() -> None:
    """Whose keys it takes, and in whose words it refuses."""
    for route in ROUTES:
        if route.path.startswith("/v1"):
            managed = route.path.startswith("/v1/collections")
            assert OPERATIONS[route.operation].plane is (Plane.MANAGEMENT if managed else Plane.INFERENCE), route
    for method in METHODS:
        managed = method.service == "collections.Collections"
        assert OPERATIONS[method.operation].plane is (Plane.MANAGEMENT if managed else Plane.INFERENCE), method


# --- the same refusal over both transports

UNKNOWN = "file_00000000-0000-4000-8000-000000000000"
FILES, COLLECTIONS = "xai_api.Files", "collections.Collections"
Rest = Callable[[httpx.Client, dict[str, str]], httpx.Response]
Wire = tuple[str, Callable[[dict[str, str]], Any]]


@dataclass(frozen=True)
class Case:
    """One bad request over both transports; `kind` is why it is refused."""

    kind: Kind
    rest: Rest
    rpc: Wire
    plane: Plane = Plane.INFERENCE
    key: str | None = "the right one"


def on_file(method: str, path: str = "", **body: Any) -> Rest:
    """A request about a file that is not there."""
    return lambda client, ids: client.request(method, f"/v1/files/{UNKNOWN}{path}", json=body or None)


def upload(name: str = "a.txt", size: int = 1, **fields: str) -> Rest:
    """An upload over REST."""
    return lambda client, ids: client.post("/v1/files", data=fields, files={"file": (name, bytes(size))})


def stream(name: str = "a.txt", size: int = 1, **fields: int) -> Wire:
    """The same over gRPC."""
    return f"{FILES}/UploadFile", lambda ids: [init(name, **fields), data(bytes(size))]


def unary(method: str, request: str, **fields: Any) -> Wire:
    """A call over gRPC; a field may name a thing that is there."""
    return method, lambda ids: message(request, **{key: ids.get(value, value) for key, value in fields.items()})


def get(path: str, **query: Any) -> Rest:
    """A GET over REST."""
    return lambda client, ids: client.get(path.format_map(ids), params=query)


def public_url(id: str, **body: int) -> Rest:
    """A public URL asked for over REST."""
    return lambda client, ids: client.post(f"/v1/files/{ids[id]}/public-url", json=body)


# Sentences that are known to differ: over REST, over gRPC.
WORDED_OTHERWISE = {"Batch not found": "Cannot find batch with ID batch_nope"}
LIST = "xai_api.ListFilesRequest"
MADE = "xai_api.CreatePublicUrlRequest"
CASES = {
    "an unknown file": Case(
        Kind.NOT_FOUND, on_file("GET"), unary(f"{FILES}/RetrieveFile", "xai_api.RetrieveFileRequest", file_id=UNKNOWN)
    ),
    "an unknown file to delete": Case(
        Kind.NOT_FOUND, on_file("DELETE"), unary(f"{FILES}/DeleteFile", "xai_api.DeleteFileRequest", file_id=UNKNOWN)
    ),
    "an unknown file to read": Case(
        Kind.NOT_FOUND,
        on_file("GET", "/content"),
        unary(f"{FILES}/RetrieveFileContent", "xai_api.RetrieveFileContentRequest", file_id=UNKNOWN),
    ),
    "an unknown file to publish": Case(
        Kind.NOT_FOUND, on_file("POST", "/public-url"), unary(f"{FILES}/CreatePublicUrl", MADE, file_id=UNKNOWN)
    ),
    "a name that is not allowed": Case(Kind.INVALID_ARGUMENT, upload("a;b"), stream("a;b")),
    "a name that leads upwards": Case(Kind.INVALID_ARGUMENT, upload("../a"), stream("../a")),
    "a name that is too long": Case(Kind.INVALID_ARGUMENT, upload("a" * 256), stream("a" * 256)),
    "a life that is too short": Case(Kind.INVALID_ARGUMENT, upload(expires_after="3599"), stream(expires_after=3599)),
    "a life that is too long": Case(
        Kind.INVALID_ARGUMENT, upload(expires_after="2592001"), stream(expires_after=2_592_001)
    ),
    "a file that is too large": Case(Kind.PAYLOAD_TOO_LARGE, upload(size=1001), stream(size=1001)),
    "one file too many": Case(Kind.RESOURCE_EXHAUSTED, upload(), stream(), key="xai-emulator@full"),
    "an unknown token": Case(
        Kind.INVALID_ARGUMENT,
        get("/v1/files", pagination_token="AAAA"),
        unary(f"{FILES}/ListFiles", LIST, pagination_token="AAAA"),
    ),
    "a page that is too large": Case(
        Kind.INVALID_ARGUMENT, get("/v1/files", limit=101), unary(f"{FILES}/ListFiles", LIST, limit=101)
    ),
    "a filter that breaks off": Case(
        Kind.INVALID_ARGUMENT, get("/v1/files", filter="name ="), unary(f"{FILES}/ListFiles", LIST, filter="name =")
    ),
    "a filter on what is not there": Case(
        Kind.INVALID_ARGUMENT, get("/v1/files", filter="x = 1"), unary(f"{FILES}/ListFiles", LIST, filter="x = 1")
    ),
    "text of what is none": Case(
        Kind.INVALID_ARGUMENT,
        get("/v1/files/{png}/content", format="text"),
        unary(f"{FILES}/RetrieveFileContent", "xai_api.RetrieveFileContentRequest", file_id="png", format=2),
    ),
    "a public URL of a text": Case(
        Kind.INVALID_ARGUMENT, public_url("text"), unary(f"{FILES}/CreatePublicUrl", MADE, file_id="text")
    ),
    "a public URL that lives too long": Case(
        Kind.INVALID_ARGUMENT,
        public_url("png", expires_after=2_592_001),
        unary(f"{FILES}/CreatePublicUrl", MADE, file_id="png", expires_after=2_592_001),
    ),
    "no key": Case(Kind.NO_CREDENTIALS, get("/v1/files"), unary(f"{FILES}/ListFiles", LIST), key=None),
    "a key of the other plane": Case(
        Kind.INCORRECT_KEY, get("/v1/files"), unary(f"{FILES}/ListFiles", LIST), key="xai-token-emulator"
    ),
    "no key to say who it is": Case(
        Kind.NO_CREDENTIALS, get("/v1/api-key"), ("xai_api.Auth/get_api_key_info", lambda ids: b""), key=None
    ),
    "an inference key for collections": Case(
        Kind.INCORRECT_KEY,
        get("/v1/collections"),
        unary(f"{COLLECTIONS}/ListCollections", "collections.ListCollectionsRequest"),
        Plane.MANAGEMENT,
        key="xai-emulator",
    ),
    "no key for collections": Case(
        Kind.NO_CREDENTIALS,
        get("/v1/collections"),
        unary(f"{COLLECTIONS}/ListCollections", "collections.ListCollectionsRequest"),
        Plane.MANAGEMENT,
        key=None,
    ),
    "an unknown collection": Case(
        Kind.NOT_FOUND,
        get("/v1/collections/collection_nope"),
        unary(
            f"{COLLECTIONS}/GetCollectionMetadata",
            "collections.GetCollectionMetadataRequest",
            collection_id="collection_nope",
        ),
        Plane.MANAGEMENT,
    ),
    "a collection without a name": Case(
        Kind.INVALID_ARGUMENT,
        lambda client, ids: client.post("/v1/collections", json={}),
        unary(f"{COLLECTIONS}/CreateCollection", "collections.CreateCollectionRequest"),
        Plane.MANAGEMENT,
    ),
    "an unknown batch": Case(
        Kind.NOT_FOUND,
        get("/v1/batches/batch_nope"),
        unary("xai_api.BatchMgmt/GetBatch", "xai_api.GetBatchRequest", batch_id="batch_nope"),
    ),
    "a batch of an unknown file": Case(
        Kind.NOT_FOUND,
        lambda client, ids: client.post("/v1/batches", json={"name": "b", "input_file_id": UNKNOWN}),
        unary("xai_api.BatchMgmt/CreateBatch", "xai_api.CreateBatchRequest", name="b", input_file_id=UNKNOWN),
    ),
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """A strict one, whose files are small and few."""
    with Emulator(profile="strict", limits={"file_bytes_max": 1000, "files_per_team_max": 4}) as running:
        yield running


@pytest.fixture(scope="module")
def ids(emulator: Emulator) -> dict[str, str]:
    """Things that are there, by name."""
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    with httpx.Client(base_url=emulator.base_url, headers=headers) as client:
        files = {"png": ("a.png", b"\x89PNG\xff", "image/png"), "text": ("a.txt", b"x", "text/plain")}
        return {name: client.post("/files", files={"file": file}).json()["id"] for name, file in files.items()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_rest_and_grpc_refuse_for_the_same_reason(emulator: Emulator, ids: dict[str, str], case: Case) -> None:
    """With the same message and rule, and the status that the error table gives each transport."""
    right = emulator.management_key if case.plane is Plane.MANAGEMENT else emulator.api_key
    key = right if case.key == "the right one" else case.key
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=emulator.url, headers=headers) as client, Rpc(emulator.grpc_target, key) as rpc:
        if case is CASES["one file too many"]:
            fill(client)
        over_rest = case.rest(client, ids)
        method, request = case.rpc
        over_grpc = rpc.refusal(method, request(ids))
    wire, body = WIRE[case.kind], over_rest.json()
    if case.plane is Plane.MANAGEMENT:
        assert over_rest.status_code == (wire.management_http or wire.http)
        assert (body["code"], body["details"]) == (wire.number, [])
        words = body["message"]
    else:
        assert (over_rest.status_code, body["code"]) == (wire.http, wire.code)
        words = body["error"]
    assert over_grpc.code() is grpc.StatusCode[wire.grpc]
    assert over_grpc.details() == WORDED_OTHERWISE.get(words, words)
    for label in ("x-emulator-rule", "x-emulator-param"):
        assert trailers(over_grpc).get(label) == over_rest.headers.get(label)


def fill(client: httpx.Client) -> None:
    """Upload files until no more are taken."""
    while upload()(client, {}).status_code == 200:
        pass
