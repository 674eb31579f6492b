"""The audit log: every change of a team, by whom, when and of what, over both transports."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import httpx
import pytest

from emulator import Emulator
from emulator.operations import OPERATIONS
from emulator.pipeline.middleware.audit import CHANGES
from emulator.rest.routes import ROUTES
from emulator.rpc.methods import METHODS
from emulator.store.audit import AuditLog
from tests.rest.batch_helpers import request as batch_request
from tests.rest.key_helpers import Json, Team, client
from tests.rpc.client import Rpc, message

# Operations that a POST or an RPC runs, and that change nothing of a team.
NO_CHANGES = {
    *("files.content", "documents.search", "collections.describe", "auth.api_key", "documents.batch_get"),
}
OF_MODELS = {"chat", "responses", "images", "videos"}  # families whose answers are no changes
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def team(emulator: Emulator) -> Iterator[Team]:
    with client(emulator) as http:
        yield Team(http, f"team-{next(NUMBERS)}")


def events(team: Team, **query: str | int) -> list[Json]:
    """The events of a team, newest first."""
    found = team.call("GET", f"/audit/teams/{team.id}/events", **query)
    assert found.status_code == 200, found.text
    return list(found.json()["events"])


def test_operation_that_writes_is_audited_or_listed_as_no_change() -> None:
    written = {route.operation for route in ROUTES if route.method not in ("GET", "HEAD")}
    read = ("get", "list")
    called = {method.operation for method in METHODS if not method.operation.partition(".")[2].startswith(read)}
    found = (written | called) - NO_CHANGES
    assert {each for each in found if each.partition(".")[0] not in OF_MODELS} == CHANGES.keys()
    assert OPERATIONS.keys() >= NO_CHANGES


def make_every_change(emulator: Emulator, team: Team) -> None:
    """Call every operation that changes something."""
    http, inference = team.http, {"authorization": f"Bearer xai-emulator@{team.name}"}

    def post(path: str, body: Json | None = None, **more: object) -> Json:
        reply = http.post(path, headers=inference, **({"json": body} if body is not None else {}), **more)  # type: ignore[arg-type]
        assert reply.status_code == 200, reply.text
        return reply.json() or {}  # type: ignore[no-any-return]

    def upload(name: str = "notes.txt") -> str:
        return str(post("/v1/files", files={"file": (name, b"Some text.")})["id"])

    first = upload()
    initialized = post("/v1/files:initialize", {"name": "parts.txt", "content_type": "text/plain"})["file_id"]
    chunk = {"chunk": "QQ==", "file_id": initialized}
    http.post("/v1/files:uploadChunks", headers=inference, json=chunk)
    begun = post("/v1/files/batch_upload", {"files": [{"name": "b.txt", "content_type": "text/plain"}]})
    http.post("/v1/files:uploadChunks", headers=inference, json={**chunk, "file_id": begun["files"][0]["file_id"]})
    post(f"/v1/files/batch_upload/{begun['batch_job_id']}:complete")
    http.put(f"/v1/files/{first}", headers=inference, json={"filename": "renamed.txt"})
    image = str(post("/v1/files", files={"file": ("a.png", b"PNG", "image/png")})["id"])
    post(f"/v1/files/{image}/public-url", {})
    post(f"/v1/files/{image}/public-url/revoke", {})
    http.delete(f"/v1/files/{image}", headers=inference)
    collection = team.call("POST", "/v1/collections", {"collection_name": "minutes"}).json()["collection_id"]
    documents = f"/v1/collections/{collection}/documents"
    team.call("PUT", f"/v1/collections/{collection}", {"collection_name": "protocols"})
    team.call("POST", f"{documents}/{first}", {})
    team.call("PATCH", f"{documents}/{first}")
    form = {"name": (None, "direct.txt"), "data": ("direct.txt", b"Some more text.", "text/plain")}
    http.post(documents, headers=team.management, files=form)
    target = f"127.0.0.1:{emulator.url.rpartition(':')[2]}"
    with Rpc(target, f"xai-token-emulator@{team.name}") as rpc:
        changed = message("collections.UpdateDocumentRequest", collection_id=collection, file_id=first, name="new.txt")
        rpc.call("collections.Collections/UpdateDocument", changed)
    team.call("DELETE", f"{documents}/{first}")
    team.call("DELETE", f"/v1/collections/{collection}")
    batch = post("/v1/batches", {"name": "evals"})["batch_id"]
    post(f"/v1/batches/{batch}/requests", {"batch_requests": [batch_request("one")]})
    post(f"/v1/batches/{batch}:cancel")
    key = team.create()["apiKeyId"]
    team.update(key, "qps", qps=5)
    team.call("POST", f"/auth/api-keys/{key}/rotate", {})
    team.call("DELETE", f"/auth/api-keys/{key}")


def test_changes_are_audit_events(emulator: Emulator, team: Team) -> None:
    make_every_change(emulator, team)
    found = events(team)
    assert {event["action"] for event in found} == CHANGES.keys()
    for event in found:
        assert event["subject"] in event["description"]
        assert event["description"].startswith(CHANGES[event["action"]].sentence)
        assert event["teamId"] == team.id
        assert event["eventTime"].endswith("Z")
    assert [event["eventTime"] for event in found] == sorted((event["eventTime"] for event in found), reverse=True)
    assert len({event["eventId"] for event in found}) == len(found)


def test_refused_call_is_no_event(team: Team) -> None:
    assert team.call("POST", "/v1/collections", {"collection_name": ""}).status_code == 400
    assert team.call("DELETE", "/v1/collections/none").status_code == 404
    assert events(team) == []


def test_event_names_the_key_that_made_the_change(team: Team) -> None:
    made = team.create()
    team.with_key(made["apiKey"], "POST", files={"file": ("a.txt", b"text")})
    upload, creation = events(team)
    assert (upload["action"], upload["apiKeyId"], upload["userId"]) == (
        *("files.upload", made["apiKeyId"]),
        made["userId"],
    )
    validated = team.call("GET", "/auth/management-keys/validation").json()
    assert (creation["action"], creation["apiKeyId"]) == ("keys.create", validated["apiKeyId"])


def test_events_are_filtered_by_words_user_and_time(team: Team) -> None:
    team.clock("freeze", at="2026-11-21T00:00:00Z")
    first = team.create("Nightly build")
    team.clock("advance", seconds=60)
    second = team.create("release build")

    def found(**query: str) -> list[str]:
        return [event["subject"] for event in events(team, **query)]

    both = [second["apiKeyId"], first["apiKeyId"]]
    assert found(**{"eventFilter.query": "BUILD api"}) == both
    assert found(**{"eventFilter.query": "nightly"}) == both[1:]
    assert found(**{"eventFilter.query": "weekly"}) == []
    assert found(**{"eventFilter.userId": first["userId"]}) == both
    assert found(**{"eventFilter.userId": "other"}) == []
    assert found(eventTimeFrom="2026-11-21T00:00:01Z") == both[:1]
    assert found(eventTimeTo="2026-11-21T00:00:00Z") == both[1:]
    assert found(eventTimeFrom="2026-11-21T01:00:00+01:00", eventTimeTo="2026-11-21T01:01:00+01:00") == both


def test_pages_of_events_hold_each_one_once(team: Team) -> None:
    ids = [team.create(f"key {number}")["apiKeyId"] for number in range(5)]
    found: list[str] = []
    token: str | None = ""
    while token is not None:
        reply = team.call("GET", f"/audit/teams/{team.id}/events", pageSize=2, pageToken=token).json()
        found += [event["subject"] for event in reply["events"]]
        token = reply.get("nextPageToken")
    assert found == ids[::-1]


def test_time_without_a_zone_is_refused(team: Team) -> None:
    refused = team.call("GET", f"/audit/teams/{team.id}/events", eventTimeFrom="2026-11-21T00:00:00")
    assert (refused.status_code, refused.json()["code"]) == (400, 3)


def test_log_keeps_its_newest_events_only() -> None:
    with Emulator(limits={"audit_events_per_team_max": 3}) as emulator, client(emulator) as http:
        team, other = Team(http), Team(http, "other")
        other.create()
        ids = [team.create(f"key {number}")["apiKeyId"] for number in range(5)]
        assert [event["subject"] for event in events(team)] == ids[:1:-1]
        assert len(events(other)) == 1


def test_change_is_acknowledged_where_its_event_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sees a refusal takes it that nothing changed."""
    with Emulator() as emulator, client(emulator) as http:
        team = Team(http)

        def full(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(AuditLog, "append", full)
        assert http.post("/v1/collections", headers=team.management, json={"collection_name": "a"}).status_code == 200


def test_team_of_another_key_is_refused(team: Team) -> None:
    other = Team(team.http, f"{team.name}-other")
    refused = other.call("GET", f"/audit/teams/{team.id}/events")
    assert isinstance(refused, httpx.Response)
    assert (refused.status_code, refused.json()["code"]) == (403, 7)
