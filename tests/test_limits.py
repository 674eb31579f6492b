"""Each limit at N-1, N and N+1 with its row overridden to something small, and the documented defaults."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from emulator import Emulator
from emulator.core.limits import (
    DEFAULTS,
    DOCUMENTED,
    RELAXED,
    ROWS,
    Confidence,
    Limits,
    PageSize,
    override,
    parse_value,
)
from emulator.domain.bounds import rules
from emulator.operations import OPERATIONS
from emulator.rest.routes import ROUTES
from emulator.rpc.messages import load
from emulator.rpc.methods import METHODS
from emulator.store.responses import size_of
from fixtures.team import EmulatedTeam
from fixtures.worlds import MODEL
from tests.rpc.client import Rpc, message
from tests.serving import PATIENCE_SECONDS

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("file_bytes_max", 48 * MIB),
        ("jsonl_file_bytes_max", 200 * MIB),
        ("collection_document_bytes_max", 100 * MIB),
        ("filename_chars_max", 255),
        ("expires_after_seconds_min", 3600),
        ("expires_after_seconds_max", 2_592_000),
        ("files_per_team_max", 100_000),
        ("total_bytes_per_team_max", 100 * 1024**3),
        ("page_items_max", 100),
        ("page_items_default", 100),
        ("public_urls_max", 1000),
        ("public_url_bytes_max", 50 * MIB),
        ("batch_page_items_max", 1000),
        ("batch_request_bytes_max", 25 * MIB),
        ("jsonl_lines_max", 50_000),
        ("batch_creates_per_second", 2),
        ("add_calls_per_30s", 1000),
        ("chat_tools_max", 350),
        ("chat_stop_texts_max", 4),
        ("chat_collections_max", 10),
        ("attachment_bytes_max", 48 * MIB),
        ("deferred_completion_seconds", 86_400),
        ("stored_response_seconds", 2_592_000),
        ("input_items_page_max", 100),
        ("input_items_page_default", 20),
    ],
)
def test_default_limit_is_documented_value(name: str, value: int) -> None:
    """What the documents say, written down a second time on purpose."""
    assert getattr(DOCUMENTED, name) == value
    assert ROWS[name].confidence is Confidence.DOCUMENTED


def test_limit_rows_name_their_source() -> None:
    """A limit without a source is a rumour; a guess says that it is one."""
    assert all(row.source for row in ROWS.values())
    assert set(ROWS) == set(DEFAULTS)


def test_relaxed_profile_keeps_only_safety_limits() -> None:
    """Everything that can be switched off is off, but for the safety rows."""
    for name, row in ROWS.items():
        if row.safety:
            assert getattr(RELAXED, name) == DEFAULTS[name]
    assert RELAXED.file_bytes_max is None
    assert RELAXED.expires_after_seconds_min is None
    assert RELAXED.page_items_default == 100


@pytest.mark.parametrize(
    ("text", "value"), [("10", 10), ("512MiB", 512 * MIB), ("1kb", 1000), ("2 GiB", 2 * 1024**3), ("none", None)]
)
def test_limit_value_may_have_unit(text: str, value: int | None) -> None:
    """Whole numbers, binary and decimal sizes, or none."""
    assert parse_value("file_bytes_max", text) == value


@pytest.mark.parametrize("text", ["", "x", "1.5", "-1", "1 parsec", "9" * 30, "9" * 5000, "１２"])
def test_limit_value_that_is_no_number_is_refused(text: str) -> None:
    """One clear sentence, with the name."""
    with pytest.raises(ValueError, match="file_bytes_max"):
        parse_value("file_bytes_max", text)


def test_default_limit_cannot_be_none() -> None:
    """Only bounds can be none."""
    with pytest.raises(ValueError, match="page_items_default"):
        parse_value("page_items_default", "none")
    with pytest.raises(ValueError, match="nope"):
        override(Limits(), {"nope": 1})


SMALL = {
    "batch_upload_files_max": 2,
    "multipart_field_bytes_max": 20,
    "query_string_bytes_max": 40,
    "file_bytes_max": 1000,
    "jsonl_file_bytes_max": 2000,
    "filename_chars_max": 10,
    "expires_after_seconds_min": 50,
    "expires_after_seconds_max": 60,
    "files_per_team_max": 5,
    "page_items_max": 3,
    "public_url_bytes_max": 100,
    "public_urls_max": 2,
    "total_bytes_per_team_max": 5000,
}


@pytest.fixture(scope="module")
def small() -> Iterator[Emulator]:
    """An emulator with small limits."""
    with Emulator(limits=SMALL, profile="strict") as emulator:
        yield emulator


@pytest.fixture
def client(small: Emulator) -> Iterator[httpx.Client]:
    """A client of it, on an emulator that was reset."""
    small.reset()
    headers = {"authorization": f"Bearer {small.api_key}"}
    with httpx.Client(base_url=small.base_url, headers=headers) as client:
        yield client


def send(client: httpx.Client, name: str = "a", size: int = 1, **fields: str) -> httpx.Response:
    """Upload a file of a size."""
    return client.post("/files", data=fields, files={"file": (name, b"x" * size)})


@pytest.mark.parametrize("off", [-1, 0, 1])
@pytest.mark.parametrize(
    ("name", "row"),
    [("a.txt", "file_bytes_max"), ("a.jsonl", "jsonl_file_bytes_max"), ("A.JSONL", "jsonl_file_bytes_max")],
)
def test_file_over_size_limit_returns_413(client: httpx.Client, name: str, row: str, off: int) -> None:
    """413 above the limit, naming the rule; batch input files have their own."""
    reply = send(client, name, SMALL[row] + off)
    assert reply.status_code == (413 if off > 0 else 200)
    if off > 0:
        assert reply.headers["x-emulator-rule"] == row
        assert client.get("/files").json()["data"] == []


def test_file_over_size_limit_is_refused_before_its_end(small: Emulator, client: httpx.Client) -> None:
    """As soon as that is known: the client has not sent half of it, and nothing of it stays on disk."""
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {small.api_key}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", small.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(head.encode() + bytes(SMALL["file_bytes_max"] + 1))
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert client.get("/files").json()["data"] == []
    assert list((small._running().services.store.blobs.directory / "blobs").iterdir()) == []


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_filename_over_length_limit_returns_400(client: httpx.Client, off: int) -> None:
    """Counted in characters, not bytes."""
    assert send(client, "é" * (10 + off)).status_code == (400 if off > 0 else 200)


@pytest.mark.parametrize(
    ("seconds", "status"), [(49, 400), (50, 200), (51, 200), (59, 200), (60, 200), (61, 400), (0, 400)]
)
@pytest.mark.parametrize("field", ["expires_after", "expires_after[seconds]"])
def test_expires_after_outside_limits_returns_400(client: httpx.Client, field: str, seconds: int, status: int) -> None:
    """Both bounds are inclusive."""
    assert send(client, **{field: str(seconds)}).status_code == status


@pytest.mark.parametrize(("limit", "status"), [(2, 200), (3, 200), (4, 400)])
def test_page_over_size_limit_returns_400_under_strict(client: httpx.Client, limit: int, status: int) -> None:
    """Above the maximum is refused there."""
    assert client.get(f"/files?limit={limit}").status_code == status


def test_page_size_is_clamped_with_warning_under_documented() -> None:
    """There it is clamped, with a warning."""
    with Emulator(limits={"page_items_max": 3}) as emulator:
        client = httpx.Client(base_url=emulator.base_url, headers={"authorization": f"Bearer {emulator.api_key}"})
        for _ in range(4):
            send(client)
        for query, seen, warned in (
            ("limit=2", 2, 0),
            ("limit=3", 3, 0),
            ("limit=4", 3, 1),
            ("limit=0", 3, 0),
            ("", 3, 0),
        ):
            reply = client.get(f"/files?{query}")
            assert (len(reply.json()["data"]), "x-emulator-warning" in reply.headers) == (seen, warned)
        client.close()


LISTS = [
    name for name, each in OPERATIONS.items() if any(isinstance(rule, PageSize) for _, rule in rules(each.request))
]


@pytest.fixture(scope="module")
def two_of_everything() -> Iterator[tuple[EmulatedTeam, dict[str, str]]]:
    """A team whose pages hold one item, with two of all that is listed; and ids by their names in paths."""
    bounds = {"page_items_max": 1, "batch_page_items_max": 1, "input_items_page_max": 1}
    with Emulator(limits=bounds) as emulator:
        team = EmulatedTeam(emulator, "default")
        files = [team.upload(name, b"x") for name in ("a.txt", "b.txt")]
        collections = [team.call("POST", "/v1/collections", {"collection_name": name}) for name in ("a", "b")]
        collection = collections[0]["collection_id"]
        for file in files:
            team.call("POST", f"/v1/collections/{collection}/documents/{file}", {})
        batch, _ = (team.call("POST", "/v1/batches", {"name": name})["batch_id"] for name in ("a", "b"))
        chat = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
        requests = [{"batch_request": {"chat_get_completion": chat}}] * 2
        team.call("POST", f"/v1/batches/{batch}/requests", {"batch_requests": requests})
        for name in ("a", "b"):
            team.create_key(name)
        team.advance_until(batch_done=batch)
        items = [chat["messages"][0]] * 2
        response = team.call("POST", "/v1/responses", {"model": MODEL, "input": items})["id"]
        yield (
            team,
            {"collection_id": collection, "batch_id": batch, "response_id": response, "team_id": "default"},
        )


@pytest.mark.parametrize("operation", LISTS)
def test_default_page_size_is_used_by_every_list(
    two_of_everything: tuple[EmulatedTeam, dict[str, str]], operation: str
) -> None:
    """It is the default, and never above the maximum: in every list, over both transports."""
    team, ids = two_of_everything
    (route,) = (each for each in ROUTES if each.operation == operation)
    answer = team.call(route.method, route.path.format_map(ids))
    assert [len(value) for value in answer.values() if isinstance(value, list)] == [1]
    methods = [each for each in METHODS if each.operation == operation]
    if not methods:  # these are REST alone
        assert operation == "responses.list_input_items" or route.path.startswith(("/auth/", "/audit/"))
        return
    (method,) = methods
    asked = load().service(method.service).methods_by_name[method.name].input_type
    known = {name: id for name, id in ids.items() if name in asked.fields_by_name}
    key = team.management_key if operation.startswith(("collections", "documents")) else team.api_key
    with Rpc(team.grpc_target, key) as rpc:
        page = rpc.call(f"{method.service}/{method.name}", message(asked.full_name, **known))
    assert [len(value) for field, value in page.ListFields() if field.is_repeated] == [1]


def test_files_over_quota_return_429(client: httpx.Client) -> None:
    """429 for one more; a deleted file makes room again."""
    ids = [send(client).json()["id"] for _ in range(5)]
    assert send(client).status_code == 429
    client.delete(f"/files/{ids[0]}")
    assert send(client).status_code == 200
    for id in client.get("/files?limit=3").json()["data"]:
        client.delete(f"/files/{id['id']}")
    assert [send(client, "a.jsonl", 2000).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(("size", "status"), [(99, 200), (100, 200), (101, 400)])
def test_public_url_of_file_over_size_limit_returns_400(client: httpx.Client, size: int, status: int) -> None:
    """A public URL has a size limit of its own."""
    id = send(client, "a.png", size).json()["id"]
    assert client.post(f"/files/{id}/public-url").status_code == status


def test_public_urls_over_quota_return_429(client: httpx.Client) -> None:
    """429 for one more than the team may have; a revoked one makes room."""
    ids = [send(client, "a.png").json()["id"] for _ in range(3)]
    assert [client.post(f"/files/{id}/public-url").status_code for id in ids] == [200, 200, 429]
    client.post(f"/files/{ids[0]}/public-url/revoke")
    assert client.post(f"/files/{ids[2]}/public-url").status_code == 200


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_batch_upload_over_file_limit_returns_400(client: httpx.Client, off: int) -> None:
    """A batch upload names no more than so many."""
    files = [{"name": f"{number}", "content_type": "text/plain"} for number in range(2 + off)]
    reply = client.post("/files/batch_upload", json={"files": files})
    assert (reply.status_code, reply.headers.get("x-emulator-rule")) == (
        (400, "batch_upload_files_max") if off > 0 else (200, None)
    )


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_form_field_over_length_limit_is_refused(client: httpx.Client, off: int) -> None:
    """Counted in bytes."""
    reply = send(client, purpose="x" * (20 + off))
    assert (reply.status_code == 200) == (off <= 0)
    assert reply.headers.get("x-emulator-rule") == ("multipart_field_bytes_max" if off > 0 else None)


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_query_string_over_length_limit_is_refused(client: httpx.Client, off: int) -> None:
    """Counted in bytes as they are sent."""
    reply = client.get(f"/files?{'x' * (40 + off)}")
    assert (reply.status_code == 200) == (off <= 0)
    assert reply.headers.get("x-emulator-rule") == ("query_string_bytes_max" if off > 0 else None)


def test_default_search_limit_is_used(
    two_of_everything: tuple[EmulatedTeam, dict[str, str]],
) -> None:
    """It is a row of the table, as the size of a page is."""
    team, ids = two_of_everything
    asked = {"query": "x", "source": {"collection_ids": [ids["collection_id"]]}}
    for limits, found in (({}, 2), ({"search_limit_default": 1}, 1)):
        team.configure(limits=limits)
        assert len(team.call("POST", "/v1/documents/search", asked)["matches"]) == found


def test_batch_and_its_media_urls_expire() -> None:
    """Both end at the second, and neither before."""
    with Emulator(limits={"batch_expiry_seconds": 100, "media_url_seconds": 50}) as emulator:
        team = EmulatedTeam(emulator, "default")
        team.freeze()
        batch = team.call("POST", "/v1/batches", {"name": "a"})["batch_id"]
        asked = {"image_generation": {"model": "grok-imagine-image", "prompt": "A kettle."}}
        team.call("POST", f"/v1/batches/{batch}/requests", {"batch_requests": [{"batch_request": asked}]})
        team.advance_until(batch_done=batch)
        (result,) = team.call("GET", f"/v1/batches/{batch}/results")["results"]
        url = result["batch_result"]["response"]["image_generation"]["data"][0]["url"]
        statuses = []
        for seconds in (49, 1):
            team.advance(seconds)
            statuses.append(httpx.get(url).status_code)
        assert statuses == [200, 404]
    with Emulator(limits={"batch_expiry_seconds": 100}, batches="manual") as emulator:
        team = EmulatedTeam(emulator, "default")
        team.freeze()
        batch = team.call("POST", "/v1/batches", {"name": "a"})["batch_id"]
        chat = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
        requests = {"batch_requests": [{"batch_request": {"chat_get_completion": chat}}]}
        team.call("POST", f"/v1/batches/{batch}/requests", requests)
        pending = []
        for seconds in (99, 1):
            team.advance(seconds)
            pending.append(team.call("GET", f"/v1/batches/{batch}")["state"]["num_pending"])
        assert pending == [1, 0]


CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {}}}
CHAT_BODIES = {
    "chat_choices_max": lambda count: {**CHAT, "n": count},
    "chat_tools_max": lambda count: {**CHAT, "tools": [FUNCTION] * count},
    "chat_stop_texts_max": lambda count: {**CHAT, "stop": [str(number) for number in range(count)]},
}


@pytest.mark.parametrize("off", [-1, 0, 1])
@pytest.mark.parametrize("name", CHAT_BODIES)
def test_chat_request_over_limit_returns_400(client: httpx.Client, small: Emulator, name: str, off: int) -> None:
    EmulatedTeam(small, "default").configure(limits={name: 2})
    reply = client.post("/chat/completions", json=CHAT_BODIES[name](2 + off))
    assert (reply.status_code, reply.headers.get("x-emulator-rule")) == ((400, name) if off > 0 else (200, None))


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_attachment_over_limit_returns_400(client: httpx.Client, small: Emulator, off: int) -> None:
    EmulatedTeam(small, "default").configure(limits={"attachment_bytes_max": 10})
    file = send(client, "a.txt", 10 + off).json()["id"]
    parts = [{"type": "text", "text": "x"}, {"type": "file", "file": {"file_id": file}}]
    reply = client.post("/chat/completions", json={**CHAT, "messages": [{"role": "user", "content": parts}]})
    assert reply.status_code == (400 if off > 0 else 200)


def test_deferred_completions_over_limit_return_429(client: httpx.Client, small: Emulator) -> None:
    EmulatedTeam(small, "default").configure(limits={"deferred_completions_max": 1})
    replies = [client.post("/chat/completions", json={**CHAT, "deferred": True}) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 429]
    client.get(f"/chat/deferred-completion/{replies[0].json()['request_id']}")
    assert client.post("/chat/completions", json={**CHAT, "deferred": True}).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(99, 200), (100, 404)])
def test_deferred_completion_lives_as_long_as_the_limit_says(
    client: httpx.Client, small: Emulator, seconds: int, status: int
) -> None:
    team = EmulatedTeam(small, "default")
    team.configure(limits={"deferred_completion_seconds": 100})
    team.freeze()
    id = client.post("/chat/completions", json={**CHAT, "deferred": True}).json()["request_id"]
    team.advance(seconds)
    assert client.get(f"/chat/deferred-completion/{id}").status_code == status


def test_videos_over_limit_return_429(client: httpx.Client, small: Emulator) -> None:
    team = EmulatedTeam(small, "default")
    team.configure(limits={"deferred_videos_max": 1, "deferred_video_seconds": 100})
    team.freeze()
    statuses = [client.post("/videos/generations", json={"prompt": "x"}).status_code for _ in range(2)]
    assert statuses == [200, 429]
    team.advance(200)  # until then it shows as expired
    assert client.post("/videos/generations", json={"prompt": "x"}).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(99, "done"), (100, "expired")])
def test_video_lives_as_long_as_the_limit_says(
    client: httpx.Client, small: Emulator, seconds: int, status: str
) -> None:
    team = EmulatedTeam(small, "default")
    team.configure(limits={"deferred_video_seconds": 100})
    team.freeze()
    id = client.post("/videos/generations", json={"prompt": "x"}).json()["request_id"]
    team.advance(seconds)
    assert client.get(f"/videos/{id}").json()["status"] == status


def test_images_over_limit_return_429_until_one_expires(client: httpx.Client, small: Emulator) -> None:
    team = EmulatedTeam(small, "default")
    team.configure(limits={"media_items_max": 2})
    team.freeze()
    statuses = [client.post("/images/generations", json={"prompt": "x"}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    team.advance(3600)
    assert client.post("/images/generations", json={"prompt": "x"}).status_code == 200


RESPONSE = {"model": MODEL, "input": "x"}


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_stored_responses_over_limit_replace_the_oldest(client: httpx.Client, small: Emulator, off: int) -> None:
    EmulatedTeam(small, "default").configure(limits={"stored_responses_max": 2})
    ids = [client.post("/responses", json=RESPONSE).json()["id"] for _ in range(2 + off)]
    statuses = [client.get(f"/responses/{id}").status_code for id in ids]
    assert statuses == [404] * max(0, off) + [200] * min(2, 2 + off)


def test_conversation_over_limit_cannot_be_stored(client: httpx.Client, small: Emulator) -> None:
    team = EmulatedTeam(small, "default")
    id = client.post("/responses", json=RESPONSE).json()["id"]
    services = small._running().services
    stored = services.store.responses.get("default", id, services.teams.get("default").clock.now())
    assert stored is not None
    size = size_of(stored)
    found = []
    for off in (-1, 0, 1):
        team.configure(limits={"stored_response_bytes_max": size - off})
        replies = [client.post("/responses", json={**RESPONSE, "store": store}) for store in (True, False)]
        found.append([(reply.status_code, reply.headers.get("x-emulator-rule")) for reply in replies])
    fits, refused = (200, None), (400, "stored_response_bytes_max")
    assert found == [[fits, fits], [fits, fits], [refused, fits]]


@pytest.mark.parametrize(("seconds", "status"), [(99, 200), (100, 404)])
def test_stored_response_lives_as_long_as_the_limit_says(
    client: httpx.Client, small: Emulator, seconds: int, status: int
) -> None:
    team = EmulatedTeam(small, "default")
    team.configure(limits={"stored_response_seconds": 100})
    team.freeze()
    id = client.post("/responses", json=RESPONSE).json()["id"]
    team.advance(seconds)
    assert client.get(f"/responses/{id}").status_code == status


@pytest.mark.parametrize(("limit", "count"), [(None, 2), (0, 2), (1, 1), (2, 2), (3, 3), (4, None)])
def test_page_of_input_items_is_bounded(
    client: httpx.Client, small: Emulator, limit: int | None, count: int | None
) -> None:
    team = EmulatedTeam(small, "default")
    team.configure(limits={"input_items_page_max": 3, "input_items_page_default": 2})
    items = [{"role": "user", "content": str(number)} for number in range(5)]
    id = client.post("/responses", json={**RESPONSE, "input": items}).json()["id"]
    reply = client.get(f"/responses/{id}/input_items", params={} if limit is None else {"limit": limit})
    if count is None:
        assert (reply.status_code, reply.headers["x-emulator-rule"]) == (400, "input_items_page_max")
    else:
        assert (len(reply.json()["data"]), reply.json()["has_more"]) == (count, True)
