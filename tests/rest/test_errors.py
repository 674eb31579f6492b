"""Refusals over REST: status, content type and words, in the dialect of each plane."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from emulator import Emulator

JSON = {"content-type": "application/json"}
SHAPE = "Failed to deserialize the JSON body into the target type: "
SYNTAX = "Failed to parse the request body as JSON: "


@pytest.mark.parametrize(
    ("authorization", "status", "body"),
    [
        (
            "Bearer xai-token-abcdefgh",
            400,
            {
                "code": "invalid-argument",
                "error": "Incorrect API key provided: xa***gh. You can obtain an API key from https://console.x.ai.",
            },
        ),
        (None, 401, {"code": "unauthenticated:no-credentials", "error": "No credentials provided"}),
        ("Basic eDp5", 401, {"code": "unauthenticated:no-credentials", "error": "No credentials provided"}),
        ("Bearer", 401, {"code": "unauthenticated:no-credentials", "error": "No credentials provided"}),
    ],
)
def test_wrong_inference_key_returns_400_and_missing_key_401(
    emulator: Emulator, authorization: str | None, status: int, body: dict[str, str]
) -> None:
    """A wrong key is a 400 in the recorded words, a missing one a 401."""
    headers = {} if authorization is None else {"authorization": authorization}
    reply = httpx.get(f"{emulator.base_url}/files", headers=headers)
    assert (reply.status_code, reply.json()) == (status, body)
    assert reply.headers["content-type"] == "application/json"


def test_shape_mode_accepts_any_key_of_the_plane(emulator: Emulator) -> None:
    """The shape mode takes any bearer, so that a test needs no set-up."""
    for key in ("xai-emulator", "sk-anything", "xai-0123456789"):
        assert httpx.get(f"{emulator.base_url}/files", headers={"authorization": f"Bearer {key}"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"name":"a"}', "missing field `content_type` at line 1 column 12"),
        (b'{"name":5,"content_type":"t"}', "name: invalid type: integer `5`, expected a string at line 1 column 9"),
        (b'{\n "name": true}', "name: invalid type: boolean `true`, expected a string at line 2 column 13"),
        (b'{"name":null,"content_type":"t"}', "name: invalid type: null, expected a string at line 1 column 12"),
        (b'{"name":[1,{"a":"]"}]}', "name: invalid type: sequence, expected a string at line 1 column 21"),
        (b'["a"]', "invalid type: sequence, expected struct InitializeBody at line 1 column 5"),
        (
            b'{"name":"a","content_type":"t","expires_after":"9"}',
            'expires_after: invalid type: string "9", expected i64 at line 1 column 50',
        ),
    ],
)
def test_misshapen_body_returns_422_at_position_of_serde(rest: httpx.Client, body: bytes, sentence: str) -> None:
    """422 in plain text: a missing field after its object's brace, a wrong type after its value."""
    reply = rest.post("/v1/files:initialize", content=body, headers=JSON)
    assert (reply.status_code, reply.text) == (422, SHAPE + sentence)
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b'{"name":', "EOF while parsing a value at line 1 column 8"),
        (b"{nope}", "expected value at line 1 column 2"),
        (b'{"a":1}x', "trailing characters at line 1 column 8"),
        (b"[" * 129, "recursion limit exceeded at line 1 column 129"),
        (b'{"a":' * 200_000, "recursion limit exceeded at line 1 column 641"),
    ],
)
def test_malformed_json_returns_400_with_line_and_column(rest: httpx.Client, body: bytes, sentence: str) -> None:
    """400 in plain text, with the line and the column; never a crash, however deep."""
    reply = rest.post("/v1/files:initialize", content=body, headers=JSON)
    assert (reply.status_code, reply.text) == (400, SYNTAX + sentence)


@pytest.mark.parametrize(
    "body", [b'{"name":"\xff"}', b"\x00", b'"' + b"\\" * 9999, b'{"a":"' + b'\\"' * 100_000, b"1" * 10_000]
)
def test_bytes_that_are_no_json_return_400(rest: httpx.Client, body: bytes) -> None:
    """Neither broken UTF-8 nor endless escapes or digits are more than a refusal."""
    reply = rest.post("/v1/files:initialize", content=body, headers=JSON)
    assert reply.status_code in (400, 422)
    assert len(reply.text) < 300


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_body_without_json_content_type_returns_415(rest: httpx.Client, content_type: str | None) -> None:
    """415 in the words of the real service's framework."""
    headers = {} if content_type is None else {"content-type": content_type}
    reply = rest.post("/v1/files:initialize", content=b"{}", headers=headers)
    assert (reply.status_code, reply.text) == (415, "Expected request with `Content-Type: application/json`")


def test_wrong_method_returns_405_with_allow(rest: httpx.Client) -> None:
    """405 with Allow, and an empty body."""
    reply = rest.patch("/v1/files")
    assert (reply.status_code, reply.content) == (405, b"")
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_unknown_path_returns_404_and_unserved_path_501(rest: httpx.Client) -> None:
    """An unknown path is a 404, one of the real service that is not emulated a 501 that says so."""
    unknown, elsewhere = rest.get("/v1/nothing"), rest.post("/v1/embeddings", json={})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "Some requested entity was not found")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (501, "unimplemented")
    assert "not emulated" in elsewhere.json()["error"]


def test_management_path_is_refused_in_management_dialect(rest: httpx.Client) -> None:
    """Also where it is not emulated: a client of that host reads google.rpc.Status."""
    reply = rest.get("/v1/billing/teams/t/invoices")
    assert (reply.status_code, reply.json()["code"], reply.json()["details"]) == (501, 12, [])
    assert "not emulated" in reply.json()["message"]


@pytest.mark.parametrize("id", ["file_nope", "a%2Fb", "a%3Acontent", "%C3%A9", "..%2F..%2Fetc%2Fpasswd", "a:b", "%00"])
def test_id_with_any_characters_returns_404(rest: httpx.Client, id: str) -> None:
    """A path is split before its segments are decoded, so any id leads to the same refusal."""
    reply = rest.get(f"/v1/files/{id}")
    assert (reply.status_code, reply.json()) == (404, {"code": "not-found", "error": "File not found"})


def test_path_that_is_not_utf8_is_refused(rest: httpx.Client) -> None:
    """Broken percent-encoding is a refusal, not a crash."""
    assert rest.get("/v1/files/%FF").status_code == 400


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("limit=x", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=null", "limit"),
        ("order=up", "order"),
        ("sort_by=name", "sort_by"),
        ("pagination_token=x", "pagination_token"),
        ("after=file_nope", "after"),
        ("order=%FF", "UTF-8"),
    ],
)
def test_bad_query_parameter_returns_400_with_its_name(rest: httpx.Client, query: str, word: str) -> None:
    """400, and the words say which parameter is wrong."""
    reply = rest.get(f"/v1/files?{query}")
    assert reply.status_code == 400
    assert reply.json()["code"] == "invalid-argument"
    assert word in reply.json()["error"]


def test_response_has_emulator_header_and_request_id(rest: httpx.Client) -> None:
    """Every reply says that the emulator made it, and carries an id of its own."""
    replies = [rest.get("/v1/files"), rest.get("/v1/nothing"), rest.get("/v1/files/x")]
    assert all(reply.headers["x-emulator"] for reply in replies)
    assert len({reply.headers["x-request-id"] for reply in replies}) == 3
    assert replies[2].headers["x-emulator-rule"] == "not_found"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"params": {"order": "up"}}, "order"),
        ({"params": {"filter": "size_bytes >"}}, "filter"),
        ({"params": {"pagination_token": "x"}}, "pagination_token"),
    ],
)
def test_refusal_has_header_with_field_name(rest: httpx.Client, asked: Any, param: str) -> None:
    """Beside the words of the API a header has its name; a refusal that is about no field has none."""
    assert rest.get("/v1/files", **asked).headers["x-emulator-param"] == param
    assert "x-emulator-param" not in rest.get("/v1/files/file_nope").headers


def test_unknown_field_name_is_escaped_and_cut_in_warning() -> None:
    """Whatever it is made of."""
    with Emulator(profile="strict") as strict:
        key = {"authorization": f"Bearer {strict.management_key}"}
        with httpx.Client(base_url=strict.url, headers=key) as management:
            made = management.post("/v1/collections", json={"collection_name": "c"}).json()
            inference = {"authorization": f"Bearer {strict.api_key}"}
            file = management.post("/v1/files", files={"file": ("a", b"x")}, headers=inference).json()
            path = f"/v1/collections/{made['collection_id']}/documents/{file['id']}"
            reply = management.post(path, json={"fields": {"ü\r\nSet-Cookie: a" + "x" * 5000: "1"}})
    assert reply.status_code == 400
    assert reply.headers["x-emulator-param"].startswith(r"fields.\xfc\r\nSet-Cookie: ax")
    assert len(reply.headers["x-emulator-param"]) < 250
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/batches"),
        ("POST", "/v1/batches/batch_1/requests"),
        ("PUT", "/v1/files/file_1"),
        ("POST", "/v1/files/batch_upload"),
        ("POST", "/v1/collections"),
        ("GET", "/v1/files?order=up"),
    ],
)
def test_key_is_checked_before_body(emulator: Emulator, method: str, path: str) -> None:
    """But for a search, whose shape the real service looks at first."""
    body = {} if method == "GET" else {"json": {"name": 1, "files": 1, "filename": 1, "batch_requests": 1}}
    assert httpx.request(method, f"{emulator.url}{path}", **body).status_code == 401


def test_api_key_describes_itself_in_documented_order(emulator: Emulator, rest: httpx.Client) -> None:
    """GET /v1/api-key and /v1/me have the documented members in the documented order, and never the key."""
    key, me = rest.get("/v1/api-key").json(), rest.get("/v1/me").json()
    assert list(key) == [
        *("redacted_api_key", "user_id", "name", "create_time", "modify_time", "modified_by", "team_id", "acls"),
        *("api_key_id", "team_blocked", "api_key_blocked", "api_key_disabled"),
    ]
    assert list(me) == ["user_id", "team_id", "zdr_status", "team_blocked", "api_key"]
    assert me["api_key"]["api_key_id"] == key["api_key_id"]
    assert emulator.api_key not in str(key) + str(me)
    other = httpx.get(f"{emulator.base_url}/api-key", headers={"authorization": f"Bearer {emulator.api_key}@b"}).json()
    assert other["team_id"] != key["team_id"]


def test_unknown_route_is_refused_in_the_recorded_words(rest: httpx.Client) -> None:
    """Recorded 2025-07 and later; which route was meant stands in a header, for the body has to be the service's."""
    reply = rest.get("/v1/fils/file_1")
    assert reply.status_code == 404
    assert reply.content == (
        b'{"code":"Some requested entity was not found","error":"No handler found on route. '
        b'Please double check your URL and consult https://api.x.ai/docs for more information."}'
    )
    hint = "There is no /v1/fils/file_1 in this API. Nearest: GET /v1/files/{file_id}"
    assert reply.headers["x-emulator-hint"] == hint
    assert rest.get("/_emulator/requests/unmatched").json()["requests"][-1]["request"]["reason"] == hint


def test_unknown_route_with_a_long_path_has_a_short_hint(rest: httpx.Client) -> None:
    assert len(rest.get("/v1/" + "x" * 5000).headers["x-emulator-hint"]) <= 200
