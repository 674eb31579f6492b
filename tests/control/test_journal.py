"""The journal over the control API: entries, queries, and that entries contain no secret."""

from __future__ import annotations

import json
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import httpx
import pytest
import xai_sdk
from google.protobuf import empty_pb2
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator
from emulator.domain.json_depth import WALKED_MAX
from emulator.http.near_misses import edits, near_misses
from emulator.rest.routes import ROUTES
from emulator.rpc.messages import load
from tests.serving import PATIENCE_SECONDS

MIB = 1024 * 1024


def calls(control: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    """The calls that are remembered."""
    answer: list[dict[str, Any]] = control.get("/requests", params=query).json()["requests"]
    return answer


def last(control: httpx.Client) -> dict[str, Any]:
    """The last call."""
    return calls(control)[-1]


def test_journal_entry_has_request_and_response(control: httpx.Client, rest: httpx.Client) -> None:
    """An entry has the request, the transport, the response and the duration."""
    body = {"name": "a.txt", "content_type": "text/plain"}
    reply = rest.post("/v1/files:initialize?x=1", json=body, headers={"x-stainless-retry-count": "2"})
    call = last(control)
    assert {
        name: call[name] for name in ("operation", "transport", "method", "target", "status", "outcome", "rule")
    } == {
        "operation": "files.initialize",
        "transport": "rest",
        "method": "POST",
        "target": "/v1/files:initialize?x=1",
        "status": 200,
        "outcome": "ok",
        "rule": None,
    }
    assert call["request"]["json"] == body
    assert call["response"]["json"] == reply.json()
    assert call["request"]["bytes"] == len(reply.request.content)
    assert len(call["request"]["hash"]) == 64
    assert call["headers"]["x-stainless-retry-count"] == "2"
    assert call["ms"] > 0


def test_response_headers_of_rest_calls_are_listed_as_sent(control: httpx.Client, rest: httpx.Client) -> None:
    """Every header that the emulator set is in the journal, for an answer, a refusal and an unknown path alike."""
    replies = [rest.get("/v1/files"), rest.get("/v1/files/x"), rest.get("/v1/nothing"), rest.put("/v1/files")]
    for call, reply in zip(calls(control), replies, strict=True):
        sent = {name: value for name, value in reply.headers.items() if name not in ("date", "server")}
        assert call["response_headers"] == sent, call["target"]
        assert call["response_headers"]["x-request-id"]
    assert calls(control)[-1]["response_headers"]["allow"]


def test_response_metadata_of_grpc_calls_is_listed(control: httpx.Client, emulator: Emulator) -> None:
    """What REST says in headers is metadata over gRPC, and listed like them."""
    with pytest.raises(grpc.RpcError) as refused:
        rpc(emulator, "/xai_api.Files/RetrieveFile", b"")
    trailing = dict(refused.value.trailing_metadata())
    assert last(control)["response_headers"] == {**trailing, "grpc-message": refused.value.details()}
    assert "x-emulator-rule" in trailing


def test_response_headers_never_repeat_a_key(control: httpx.Client, emulator: Emulator) -> None:
    """A header that repeats the caller's key, or anything that looks like one, has it struck out."""
    key = secrets.token_hex(8)
    field = f"{key}_field"
    with httpx.Client(base_url=emulator.base_url, headers={"authorization": f"Bearer {key}"}) as client:
        reply = client.post("/batches", json={"name": "a", field: 1})
    assert key in reply.headers["x-emulator-warning"]
    assert key not in control.get("/requests").text
    assert "[redacted]" in last(control)["response_headers"]["x-emulator-warning"]


def test_calls_have_the_real_time_beside_the_time_of_the_team(control: httpx.Client, rest: httpx.Client) -> None:
    """A moved clock moves `at`, which is the team's time, and not `real_at`."""
    control.post("/clock/advance", json={"seconds": 86_400})
    before = datetime.now(UTC)
    rest.get("/v1/files")
    call = last(control)
    real, team = datetime.fromisoformat(call["real_at"]), datetime.fromisoformat(call["at"])
    assert before <= real <= datetime.now(UTC)
    assert timedelta(days=1) <= team - before <= timedelta(days=1, minutes=10)


def test_journal_entry_of_refusal_names_its_rule(control: httpx.Client, rest: httpx.Client) -> None:
    """As the header did."""
    rest.post("/v1/files", data={"expires_after": 1}, files={"file": ("a", b"x")})
    call = last(control)
    assert (call["outcome"], call["status"]) == ("INVALID_ARGUMENT", 400)
    assert call["rule"] == "expires_after_seconds_min"
    rest.get("/v1/files/x/content", headers={"range": "bytes=9-"})
    assert last(control)["outcome"] == "NOT_FOUND"
    id = rest.post("/v1/files", files={"file": ("a", b"x")}).json()["id"]
    assert rest.get(f"/v1/files/{id}/content", headers={"range": "bytes=9-"}).status_code == 416
    assert last(control)["outcome"] == "RANGE_NOT_SATISFIABLE"  # found out by the transport


def test_journal_keeps_no_file_content(control: httpx.Client, rest: httpx.Client) -> None:
    """Not a byte of a file is in the journal; an upload's hash is."""
    id = rest.post("/v1/files", files={"file": ("a.txt", b"the content of the file")}).json()["id"]
    rest.get(f"/v1/files/{id}/content")
    upload, download = calls(control)
    assert upload["request"]["bytes"] > 23
    assert len(upload["request"]["hash"]) == 64
    assert "json" not in upload["request"]
    assert "text" not in upload["request"]
    assert download["response"] == {"bytes": 23, "hash": None, "truncated": False}
    assert "the content of the file" not in control.get("/requests").text


def test_journal_has_hash_of_upload_to_collection(
    control: httpx.Client, rest: httpx.Client, management: httpx.Client
) -> None:
    """Wherever a file is part of the answer."""
    collection = management.post("/v1/collections", json={"collection_name": "c"}).json()["collection_id"]
    form = {"name": "a.txt", "content_type": "text/plain"}
    reply = management.post(f"/v1/collections/{collection}/documents", data=form, files={"data": ("a.txt", b"text")})
    assert reply.status_code == 200, reply.text
    assert last(control)["request"]["hash"] == reply.json()["file_metadata"]["hash"]


def test_journal_cuts_long_body_and_keeps_its_hash(control: httpx.Client, rest: httpx.Client) -> None:
    """The beginning, the whole length, and the hash of all of it."""
    name = "n" * 20_000
    rest.post("/v1/files:initialize", json={"name": name, "content_type": "x"})
    request = last(control)["request"]
    assert request["truncated"]
    assert request["bytes"] > 20_000
    assert len(request["text"]) == 8192
    assert len(request["hash"]) == 64


@pytest.mark.parametrize("depth", [100, 600, 900, 4000])
def test_journal_shows_deeply_nested_body(control: httpx.Client, rest: httpx.Client, depth: int) -> None:
    """As JSON or as text; it was refused for its depth, and the journal can be read and searched nevertheless."""
    body = b'{"name":' + b"[" * depth + b"]" * depth + b"}"
    refused = rest.post("/v1/batches", content=body, headers={"content-type": "application/json"})
    assert refused.status_code in (400, 422)
    entry = last(control)["request"]
    assert entry["bytes"] == len(body)
    assert ("json" if depth < WALKED_MAX else "text") in entry
    assert control.post("/requests/count", json={"body": {"name": []}}).json()["count"] == 0


def test_unknown_fields_are_journalled_and_warned_about(control: httpx.Client, rest: httpx.Client) -> None:
    """In the journal, and in a warning to the client; where the profile is silent the journal still knows."""
    body = {"name": "a", "content_type": "x", "expire_after": 3600, "nested": {"a": 1}}
    reply = rest.post("/v1/files:initialize", json=body)
    assert reply.headers["x-emulator-warning"] == "unknown fields ignored: expire_after (use expires_after), nested"
    assert last(control)["unread_fields"] == ["expire_after", "nested"]
    reply = rest.post("/v1/files/batch_upload", json={"files": [{**body, "x\r\ny": 1}]})
    assert last(control)["unread_fields"] == ["files.expire_after", "files.nested", "files.x\r\ny"]
    assert "x\\r\\ny" in reply.headers["x-emulator-warning"]
    refused = rest.post("/v1/files:initialize", json={"filename": "a", "content_type": "x"})
    assert (refused.status_code, refused.headers["x-emulator-warning"]) == (
        422,
        "unknown fields ignored: filename",
    )
    control.patch("/teams/default", json={"profile": "relaxed"})
    assert "x-emulator-warning" not in rest.post("/v1/files:initialize", json=body).headers
    assert last(control)["unread_fields"] == ["expire_after", "nested"]


def test_many_unread_fields_do_not_fill_the_header(control: httpx.Client, rest: httpx.Client) -> None:
    """Eight are named, the rest counted."""
    reply = rest.post(
        "/v1/files:initialize", json={"name": "a", "content_type": "x"} | {f"f{n}": 1 for n in range(999)}
    )
    assert reply.headers["x-emulator-warning"].endswith("f7 and 991 more")


def rpc(emulator: Emulator, method: str, message: bytes, key: str = "xai-emulator") -> bytes:
    """A raw call."""
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        answer: bytes = channel.unary_unary(method)(
            message, metadata=[("authorization", f"Bearer {key}")], timeout=PATIENCE_SECONDS
        )
        return answer


def test_grpc_call_in_journal_is_json(control: httpx.Client, emulator: Emulator) -> None:
    """Messages by their fields' names, bytes by their number, and the fields that the contract does not declare."""
    message = load().message("xai_api.ListFilesRequest")(limit=5)
    rpc(emulator, "/xai_api.Files/ListFiles", message.SerializeToString() + bytes((0x90, 0x89, 0x02, 0x01)))
    call = last(control)
    assert (call["transport"], call["target"], call["status"]) == ("grpc", "/xai_api.Files/ListFiles", "OK")
    assert call["request"]["json"] == {"limit": 5}
    assert call["unread_fields"] == ["4242"]
    with pytest.raises(grpc.RpcError):
        rpc(emulator, "/xai_api.Files/RetrieveFile", b"\xff")
    assert last(control)["status"] == "INVALID_ARGUMENT"


def distance(one: str, other: str) -> int:
    """Levenshtein's distance as it is defined."""
    if not one or not other:
        return len(one) + len(other)
    rest = distance(one[1:], other[1:])
    if one[0] == other[0]:
        return rest
    return 1 + min(rest, distance(one[1:], other), distance(one, other[1:]))


@given(st.text("ab", max_size=6), st.text("abc", max_size=6), st.integers(0, 7))
def test_edit_distance_stops_at_bound(one: str, other: str, most: int) -> None:
    """Up to the most that is asked for the number is Levenshtein's; beyond that it is only known to be more."""
    assert edits(one, other, most) == min(distance(one, other), most + 1)


@pytest.mark.measure
def test_near_misses_of_long_path_take_milliseconds() -> None:
    """Comparing every letter with every other took two minutes for 500 such paths."""
    before = time.process_time()
    near_misses("GET", f"/v1/collectionz/{'a' * 120}/documents/{'b' * 150}", ROUTES)
    assert time.process_time() - before < 0.1


def test_unmatched_request_has_near_misses(control: httpx.Client, rest: httpx.Client, emulator: Emulator) -> None:
    """With the routes that were probably meant; over gRPC with the name that was called."""
    rest.get("/v1/fils/file_1")
    rest.put("/v1/files")
    rest.post("/v1/files:download/")
    with pytest.raises(grpc.RpcError):
        rpc(emulator, "/xai_api.Files/Upload", b"")
    rest.get("/nothing/like/it")
    unmatched = control.get("/requests/unmatched").json()["requests"]
    nearest = [each["near_misses"][0] if each["near_misses"] else None for each in unmatched]
    assert [each["request"]["outcome"] for each in unmatched] == [
        "NOT_FOUND",
        "METHOD_NOT_ALLOWED",
        "NOT_FOUND",
        "NOT_FOUND",
        "NOT_FOUND",
    ]
    assert nearest[0] == {"method": "GET", "path": "/v1/files/{file_id}", "operation": "files.get", "distance": 1}
    assert (nearest[1]["path"], nearest[1]["distance"]) == ("/v1/files", 1)
    assert (nearest[2]["path"], nearest[2]["distance"]) == ("/v1/files:download", 1)
    assert unmatched[3]["request"]["target"] == "/xai_api.Files/Upload"
    assert nearest[4] is None


def test_reason_of_an_unmatched_request_has_no_key(control: httpx.Client, emulator: Emulator) -> None:
    """A key that a client put into the path is struck out of the reason too, and a long path is cut."""
    key = noise("xai-")
    headers = {"authorization": f"Bearer {key}"}
    for path in (f"/v1/skills/{key}", f"/v1/modelz/{key}", f"/v1/skills/{'x' * 2_000}"):
        httpx.get(f"{emulator.url}{path}", headers=headers)
    reasons = [call["reason"] for call in calls(control)]
    assert [reason[:12] for reason in reasons] == ["/v1/skills/[", "There is no ", "/v1/skills/x"]
    assert key not in str(calls(control))
    assert max(map(len, reasons)) < 300


# --- questions


def some_calls(rest: httpx.Client) -> None:
    """Three initializes, a list, a call that is refused."""
    for name in ("a", "b", "c"):
        rest.post("/v1/files:initialize", json={"name": name, "content_type": "text/plain"})
    rest.get("/v1/files?limit=2")
    rest.get("/v1/files/nope")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 5),
        ({"operation": "files.*"}, 5),
        ({"operation": "files.initialize"}, 3),
        ({"operation": "nope"}, 0),
        ({"method": "GET"}, 2),
        ({"target": "*limit=2"}, 1),
        ({"outcome": "ok"}, 4),
        ({"outcome": "refused"}, 1),
        ({"outcome": "NOT_FOUND", "status": 404}, 1),
        ({"status": 200, "transport": "rest"}, 4),
        ({"transport": "grpc"}, 0),
        ({"body": {"name": "b"}}, 1),
        ({"body": {"content_type": "text/plain"}}, 3),
        ({"body": {}}, 3),
        ({"body": {"name": "b", "more": 1}}, 0),
        ({"fault": "*"}, 0),
        ({"after": 3}, 2),
    ],
)
def test_journal_query_finds_calls_by_properties(
    control: httpx.Client, rest: httpx.Client, query: dict[str, Any], count: int
) -> None:
    """Every part of a description narrows; find and count agree."""
    start = control.get("/requests").json()["last"]
    some_calls(rest)
    query["after"] = query.get("after", 0) + start
    assert control.post("/requests/count", json=query).json()["count"] == count
    assert len(control.post("/requests/find", json=query).json()["requests"]) == count


@pytest.mark.parametrize(
    ("expected", "passed"),
    [
        ({}, True),
        ({"times": 3}, True),
        ({"times": 2}, False),
        ({"at_least": 3}, True),
        ({"at_least": 4}, False),
        ({"at_most": 3}, True),
        ({"at_most": 2}, False),
        ({"at_least": 1, "at_most": 3}, True),
    ],
)
def test_verify_compares_number_of_calls(
    control: httpx.Client, rest: httpx.Client, expected: dict[str, Any], passed: bool
) -> None:
    """Nothing said means at least one."""
    some_calls(rest)
    answer = control.post("/requests/verify", json={"operation": "files.initialize", **expected}).json()
    assert (answer["passed"], answer["count"]) == (passed, 3)


def test_failed_verification_shows_nearest_calls(control: httpx.Client, rest: httpx.Client) -> None:
    """The calls that fit in all but one thing come first, with what did not fit."""
    some_calls(rest)
    wanted = {"operation": "files.initialize", "body": {"name": "d"}, "status": 200}
    answer = control.post("/requests/verify", json=wanted).json()
    assert not answer["passed"]
    assert [each["differs"] for each in answer["nearest"]] == [["body"]] * 3
    assert answer["nearest"][0]["request"]["request"]["json"]["name"] == "c"
    assert control.post("/requests/verify", json={"at_least": 2, "at_most": 1}).status_code == 422


def test_clearing_keeps_the_numbers_going(control: httpx.Client, rest: httpx.Client) -> None:
    """So a number that was noted stays a place in time."""
    some_calls(rest)
    noted = control.get("/requests").json()["last"]
    assert control.delete("/requests").json()["cleared"]["requests"] == 5
    rest.get("/v1/files")
    answer = control.get("/requests").json()
    assert (answer["evicted"], answer["last"], answer["requests"][0]["number"]) == (0, noted + 1, noted + 1)
    assert control.post("/requests/verify", json={"times": 1}).json()["passed"]


def test_journal_stream_sends_ended_calls(control: httpx.Client, rest: httpx.Client) -> None:
    """Server-sent events: a call appears when it has ended, with the answer in it."""
    with control.stream("GET", "/requests/stream") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        lines = stream.iter_lines()
        assert next(lines) == ": watching"
        thread = threading.Thread(target=lambda: rest.get("/v1/files/nope"))
        thread.start()
        seen = [next(lines) for _ in range(4)]
        thread.join()
    assert seen[0] == ""
    assert seen[1].startswith("id: ")
    assert seen[2] == "event: call"
    call = json.loads(seen[3].removeprefix("data: "))
    assert (call["operation"], call["status"]) == ("files.get", 404)
    assert call["response"]["json"]["code"] == "not-found"


# --- secrets


def noise(prefix: str) -> str:
    """What looks like a real key."""
    return prefix + secrets.token_hex(40)


def test_secrets_are_in_no_journal_log_or_snapshot(capfd: pytest.CaptureFixture[str]) -> None:
    """Keys as keys, in other headers, in the query, in JSON, in a form, in a name, in metadata; over both transports.

    They are in no view of the journal, in nothing that is logged, and in no snapshot, but for what is a file's name or
    content: that is what the caller gave to be kept.
    """
    with Emulator() as emulator, httpx.Client(base_url=f"{emulator.url}/_emulator") as control:
        key, management, password = noise("xai-"), noise("xai-token-"), "hunter2-but-long"
        spilled = [noise("xai-") for _ in range(6)] + [noise("sk-")]
        kept = noise("xai-")
        for credentials in (key, password):
            with httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {credentials}"}) as rest:
                rest.get("/v1/me", headers={"x-api-key": spilled[0], "user-agent": f"tool/{spilled[1]} {credentials}"})
                rest.get(f"/v1/files?api_key={spilled[2]}&filter={credentials}&password=p4ssw0rd-in-query")
                rest.get(f"/v1/{spilled[3]}/{credentials}")
                body = {"name": "a", "content_type": spilled[4], "api_key": "plain-secret", "note": credentials}
                rest.post("/v1/files:initialize", json=body)
                rest.post("/v1/files:initialize", json={**body, "long": "x" * 8100, "more": spilled[5] + credentials})
                rest.post("/v1/files", data={"purpose": credentials}, files={"file": (f"{kept}.txt", b"content")})
                rest.post(f"/v1/files/{spilled[6]}/public-url")
        httpx.get(f"{emulator.url}/v1/collections", headers={"authorization": f"Bearer {management}"})
        sdk = xai_sdk.Client(
            api_key=key,
            management_api_key=management,
            api_host=emulator.grpc_target,
            management_api_host=emulator.grpc_target,
        )
        sdk.files.list()
        with pytest.raises(grpc.RpcError):
            sdk.files.get(f"{key}")
        sdk.close()
        with pytest.raises(grpc.RpcError):
            rpc(emulator, f"/xai_api.Files/{spilled[0]}", empty_pb2.Empty().SerializeToString(), key)
        control.post("/snapshots", json={"name": "s"})
        assert emulator._server is not None
        views = {
            "requests": control.get("/requests?limit=2000").text,
            "unmatched": control.get("/requests/unmatched").text,
            "verify": control.post("/requests/verify", json={"operation": "nope"}).text,
        }
        snapshot = control.get("/snapshots/s").content
        memory = repr([vars(entry) for entry in emulator._server.services.journal.ring("default").entries])  # type: ignore[attr-defined]
    out, err = capfd.readouterr()
    credentials = [key, management, password]
    for where, text in {**views, "out": out, "err": err}.items():
        for secret in (*credentials, *spilled, kept, "plain-secret", "p4ssw0rd-in-query"):
            assert secret not in text, (where, secret)
            assert secret[:24] not in text or len(secret) < 24, (where, secret)
    for secret in credentials:
        assert secret not in memory
        assert secret.encode() not in snapshot
    assert kept.encode() in snapshot
    assert err.count("looks real") == 1


def test_default_keys_are_not_redacted(control: httpx.Client, rest: httpx.Client) -> None:
    """Names that hold them are shown as they are."""
    rest.post("/v1/files:initialize", json={"name": "xai-emulator-notes.txt", "content_type": "text/plain"})
    assert last(control)["request"]["json"]["name"] == "xai-emulator-notes.txt"
