"""Teams are isolated to each other: for every operation, and for what is kept of calls."""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.operations import OPERATIONS
from tests.reliability.attacks import ATTEMPTS, Attempt, Ids
from tests.rest.batch_helpers import request
from tests.rpc.client import Rpc, message
from tests.serving import PATIENCE_SECONDS, Served, until

CANARY = "canary-7d1f word"
PDF = b"%PDF-1.4 " + CANARY.encode()
MISSING = {
    "file_id": "file_00000000-0000-4000-8000-000000000000",
    "collection_id": "collection_00000000-0000-4000-8000-000000000000",
    "batch_id": "batch_00000000-0000-4000-8000-000000000000",
    "batch_job_id": "batch_upload_00000000-0000-4000-8000-000000000000",
    "batch_request_id": "nothing",
    "request_id": "00000000-0000-4000-8000-000000000000",
    "model_id": "no-such-model",
    "response_id": "00000000-0000-4000-8000-000000000001",
    "token": "0" * 32,
    "name": "a.pdf",
    "team_id": "00000000-0000-4000-8000-000000000000",
    "api_key_id": "00000000-0000-4000-8000-000000000000",
}


@dataclass
class Team:
    """A team with one of everything, and clients of both planes."""

    emulator: Emulator
    name: str
    http: dict[bool, httpx.Client]  # by whether it is of the management plane
    rpc: dict[bool, Rpc]
    ids: dict[str, str]
    files: list[str]
    urls: list[str]

    def everything(self) -> list[Any]:
        """All that the team can see of itself."""
        inference, management = self.http[False], self.http[True]
        collection, batch, team = self.ids["collection_id"], self.ids["batch_id"], self.ids["team_id"]
        pages = [
            *(inference.get(f"/v1/{path}") for path in ("files", "batches", "me")),
            *(inference.get(f"/v1/files/{id}/content") for id in self.files),
            *(inference.get(f"/v1/batches/{batch}{rest}") for rest in ("", "/requests", "/results")),
            *(management.get(f"/v1/collections{rest}") for rest in ("", f"/{collection}", f"/{collection}/documents")),
            *(management.get(path) for path in (f"/auth/teams/{team}/api-keys", f"/audit/teams/{team}/events")),
            *(inference.get(f"/v1/responses/{self.ids['response_id']}{rest}") for rest in ("", "/input_items")),
            *(inference.get(url) for url in self.urls),
        ]
        return [(page.status_code, page.content) for page in pages]


def furnish(emulator: Emulator, name: str, stack: ExitStack) -> Team:
    """A team with one of everything."""
    keys = {False: f"{emulator.api_key}@{name}", True: f"{emulator.management_key}@{name}"}
    http = {
        plane: stack.enter_context(
            httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS)
        )
        for plane, key in keys.items()
    }
    rpc = {plane: stack.enter_context(Rpc(emulator.grpc_target, key)) for plane, key in keys.items()}

    def post(path: str, management: bool = False, **body: Any) -> Any:
        return http[management].post(path, **body).raise_for_status().json()

    text = post("/v1/files", files={"file": (f"{name}.txt", CANARY.encode())})["id"]
    pdf = post("/v1/files", files={"file": (f"{name}.pdf", PDF, "application/pdf")})["id"]
    half = post("/v1/files:initialize", json={"name": "half.txt", "content_type": "text/plain"})["file_id"]
    job = post("/v1/files/batch_upload", json={"files": [{"name": "x.txt", "content_type": "text/plain"}]})
    collection = post("/v1/collections", True, json={"collection_name": f"of {name}"})["collection_id"]
    post(f"/v1/collections/{collection}/documents/{text}", True, json={})
    batch = post("/v1/batches", json={"name": f"of {name}"})["batch_id"]
    post(f"/v1/batches/{batch}/requests", json={"batch_requests": [request(f"request-of-{name}")]})
    emulator.advance(5, name)
    chat = {"model": "grok-4.3", "messages": [{"role": "user", "content": CANARY}], "deferred": True}
    deferred = post("/v1/chat/completions", json=chat)["request_id"]
    response = post("/v1/responses", json={"model": "grok-4.3", "input": CANARY})["id"]
    public = post(f"/v1/files/{pdf}/public-url", json={})["public_url"]
    token, file_name = public.split("/")[-2:]
    team_id = http[False].get("/v1/me").raise_for_status().json()["team_id"]
    key = post(f"/auth/teams/{team_id}/api-keys", True, json={"name": CANARY, "acls": ["api-key:endpoint:*"]})
    ids = {
        "file_id": text,
        "collection_id": collection,
        "batch_id": batch,
        "batch_job_id": job["batch_job_id"],
        "batch_request_id": f"request-of-{name}",
        "request_id": deferred,
        "response_id": response,
        "token": token,
        "name": file_name,
        "team_id": team_id,
        "api_key_id": key["apiKeyId"],
    }
    return Team(emulator, name, http, rpc, ids, [text, pdf, half], [public])


@pytest.fixture(scope="module")
def teams(emulator: Emulator) -> Iterator[tuple[Team, Team]]:
    """The team whose objects are attacked, and another team."""
    with ExitStack() as stack:
        yield furnish(emulator, "owner", stack), furnish(emulator, "outsider", stack)


@pytest.fixture(scope="module")
def attacked(emulator: Emulator) -> Iterator[tuple[Team, Team, list[Any]]]:
    """A team that no test changes, another team, and all that the first can see of itself, read once."""
    with ExitStack() as stack:
        owner = furnish(emulator, "attacked", stack)
        yield owner, furnish(emulator, "attacker", stack), owner.everything()


def test_operations_are_all_tried() -> None:
    """No operation is left out of the attempts."""
    assert {attempt.operation for attempt in ATTEMPTS} == set(OPERATIONS)


def anonymous(said: str, *ids: Ids) -> str:
    """An answer without the ids that it repeats and those that it gives."""
    for name, value in itertools.chain.from_iterable(each.items() for each in ids):
        said = said.replace(value, f"<{name}>")
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[\d:.]+Z|(?<=: )\d{9,}", "<new>", said)


def mixtures(attempt: Attempt, owner: Team, own: Ids) -> Iterator[tuple[Ids, Ids]]:
    """The ids of an attack, and those of a request for missing objects: each id is the owner's or the outsider's."""
    if {"token", "name"} & set(attempt.names()):
        return  # here the token is the credential: any caller that has it may read
    if "model_id" in attempt.names():
        return  # models are the same for every team
    for file in owner.files:
        foreign = {**owner.ids, "file_id": file}
        for choice in itertools.product((True, False), repeat=len(attempt.names())):
            chosen = dict(zip(attempt.names(), choice, strict=True))
            if any(choice):
                yield (
                    {name: (foreign if chosen[name] else own)[name] for name in chosen},
                    {name: (MISSING if chosen[name] else own)[name] for name in chosen},
                )


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_objects_of_another_team_are_not_found(attacked: tuple[Team, Team, list[Any]], attempt: Attempt) -> None:
    """Every operation, over every transport, with another team's key and each mixture of both teams' ids.

    It fails with the same message as for unknown ids, and the owner's objects are unchanged. Only public content can be
    read by all, with the token in its URL.
    """
    owner, outsider, before = attacked
    http, rpc = (clients[attempt.is_management] for clients in (outsider.http, outsider.rpc))
    for attack, control in mixtures(attempt, owner, outsider.ids):
        (ended, said), (expected, said_of_nothing) = attempt(http, rpc, attack), attempt(http, rpc, control)
        assert ended == expected
        assert anonymous(said, attack, control) == anonymous(said_of_nothing, control, attack)
        assert CANARY not in said
    if not attempt.names():
        said = attempt(http, rpc, outsider.ids)[1]
        assert not [id for id in (*owner.ids.values(), *owner.files) if id in said]
    assert owner.everything() == before


@pytest.mark.parametrize("attempt", [each for each in ATTEMPTS if each.is_management], ids=str)
def test_foreign_team_id_grants_no_access(attacked: tuple[Team, Team, list[Any]], attempt: Attempt) -> None:
    """Naming the owner's team in `team_id` with another team's key is refused, or returns nothing of the owner's."""
    owner, outsider, before = attacked
    http = outsider.http[True]
    with httpx.Client(base_url=http.base_url, headers=http.headers, params={"team_id": owner.ids["team_id"]}) as named:
        ended, said = attempt(named, outsider.rpc[True], owner.ids)
    assert ended[0] != "OK" or attempt.transport == "rest", "every message has the field"
    assert ended[0] != 200 or not [id for id in (*owner.ids.values(), *owner.files) if id in said]
    assert owner.everything() == before


@pytest.mark.parametrize(
    "attempt", [each for each in ATTEMPTS if {"team_id", "api_key_id"} & set(each.names())], ids=str
)
def test_team_and_api_key_of_another_team_are_refused(attacked: tuple[Team, Team, list[Any]], attempt: Attempt) -> None:
    """A management key is denied the paths of another team, and finds no API key of another team."""
    owner, outsider, before = attacked
    ended, said = attempt(outsider.http[True], outsider.rpc[True], owner.ids)
    refused = ((403, "team_id"), 7) if "team_id" in attempt.names() else ((404, "not_found"), 5)
    assert (ended, json.loads(said)["code"]) == refused
    assert owner.everything() == before


def test_foreign_page_token_grants_no_access(teams: tuple[Team, Team]) -> None:
    """A page token of the owner gives another team nothing of the owner's."""
    owner, outsider = teams
    page = owner.http[False].get("/v1/files", params={"limit": 1}).json()
    said = outsider.http[False].get("/v1/files", params={"pagination_token": page["pagination_token"]}).text
    assert not [id for id in owner.files if id in said]
    after, missing = owner.files[0], MISSING["file_id"]
    attack, control = (outsider.http[False].get("/v1/files", params={"after": id}) for id in (after, missing))
    assert attack.text.replace(after, missing) == control.text


def test_public_urls_cannot_be_guessed(teams: tuple[Team, Team]) -> None:
    """Public URLs cannot be guessed: at least 128 bits, drawn from the server's seed, that say nothing about the file.

    Another token, another name or a neighbour's token finds nothing.
    """
    owner, outsider = teams
    http = outsider.http[False]
    token, name = owner.ids["token"], owner.ids["name"]
    assert http.get(f"/_files-cdn/{token}/{name}").content == PDF
    assert len(token) >= 22  # base64 of 128 bits
    assert owner.files[1].removeprefix("file_") not in token
    shared = sum(one == other for one, other in zip(token, outsider.ids["token"], strict=True))
    assert shared < len(token) / 2
    other = "A" if token[-1] != "A" else "B"
    for guess in (
        f"{token[:-1]}{other}/{name}",
        f"{token[:-1]}/{name}",
        f"{token}/{outsider.ids['name']}",
        f"%00/{name}",
    ):
        reply = http.get(f"/_files-cdn/{guess}")
        assert reply.status_code == 404, guess
        assert CANARY not in reply.text


def images(team: Team, **body: Any) -> dict[str, Any]:
    """What a batch of a team says of a picture that it makes."""
    http, emulator = team.http[False], team.emulator
    batch = http.post("/v1/batches", json={"name": "pictures"}).raise_for_status().json()["batch_id"]
    items = [request("picture", "image_generation", {"prompt": "a", **body})]
    http.post(f"/v1/batches/{batch}/requests", json={"batch_requests": items}).raise_for_status()
    emulator.advance(5, team.name)
    [result] = http.get(f"/v1/batches/{batch}/results").raise_for_status().json()["results"]
    found: dict[str, Any] = result["batch_result"]
    return found


def test_images_of_batches_belong_to_the_team(teams: tuple[Team, Team]) -> None:
    """Image URLs cannot be guessed, and a file that a batch stores belongs to its team alone."""
    owner, outsider = teams
    options = {"storage_options": {"filename": "a.png", "public_url": True}}
    (picture,) = images(owner, **options)["response"]["image_generation"]["data"]
    (other,) = images(outsider)["response"]["image_generation"]["data"]
    token, name = picture["url"].split("/")[-2:]
    assert len(token) >= 22  # base64 of 128 bits
    assert sum(one == another for one, another in zip(token, other["url"].split("/")[-2], strict=True)) < len(token) / 2
    http = outsider.http[False]
    assert http.get(picture["url"]).content.startswith(b"\x89PNG")
    changed = "A" if token[-1] != "A" else "B"
    for guess in (f"{token[:-1]}{changed}/{name}", f"{token[:-1]}/{name}", f"{token}/image_1.png", f"%00/{name}"):
        assert http.get(f"/_media/{guess}").status_code == 404, guess
        assert http.get(f"/_files-cdn/{guess}").status_code == 404, guess
    stored = picture["file_output"]["file_id"]
    for path in (f"/v1/files/{stored}", f"/v1/files/{stored}/content"):
        assert http.get(path).status_code == 404
        assert owner.http[False].get(path).is_success
    assert stored not in http.get("/v1/files").text
    assert http.get(picture["file_output"]["public_url"]).is_success, "that is for everybody"


def test_batch_request_with_file_of_another_team_fails(teams: tuple[Team, Team]) -> None:
    """A request that names a file of another team fails as one that names an unknown file."""
    owner, outsider = teams
    said = [
        images(outsider, image={"file_id": id})["error"].replace(id, "<file>")
        for id in (owner.files[1], MISSING["file_id"])
    ]
    assert said[0] == said[1]
    assert "not found" in said[0]


# --- logs


KEY = "canary-key-5b0c9e"


def use_everything(url: str, target: str, text: str) -> None:
    """Some of every kind of call, good and bad, over both transports, with a key and contents that must not leak."""
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_SECONDS) as http:
        id = http.post("/v1/files", files={"file": ("a.txt", text)}).json()["id"]
        http.get(f"/v1/files/{id}/content").raise_for_status()
        http.post("/v1/files", content=text, headers={"content-type": "multipart/form-data; boundary=b"})
        http.put(f"/v1/files/{id}", files={"file": ("b.txt", text * 2)}).raise_for_status()
        http.get(f"/v1/files/{id}", params={"key": KEY})
        http.get(f"/v1/nowhere/{KEY}")
        http.get(f"/v1/files/{KEY}")
        http.get("/v1/files", params={"filter": f'name = "{KEY}'})
        collection = http.post("/v1/collections", json={"collection_name": "c"}).json()["collection_id"]
        http.post(f"/v1/collections/{collection}/documents", files={"data": ("a.txt", text)}, data={"name": "a.txt"})
        http.post("/v1/documents/search", json={"query": "x", "source": {"collection_ids": [collection]}})
        http.post("/v1/batches", content=f'{{"name": "{KEY}"')
    with Rpc(target, KEY) as rpc:
        rpc.refusal("xai_api.Files/RetrieveFile", message("xai_api.RetrieveFileRequest", file_id=KEY))
        rpc.refusal("xai_api.Files/DeleteFile", KEY.encode())
        assert len(rpc.call("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest")).data) >= 1


def test_library_loggers_have_no_key_or_content(caplog: pytest.LogCaptureFixture) -> None:
    """Library loggers print no key and no content, at DEBUG level too."""
    caplog.set_level(logging.DEBUG)
    with Emulator(auth="open") as emulator:
        use_everything(emulator.url, emulator.grpc_target, "canary-content-91aa " * 50)
    theirs = ("httpx", "httpcore")  # of the client
    said = [record.getMessage() for record in caplog.records if not record.name.startswith(theirs)]
    assert caplog.records, "loggers are heard, if only those of the client"
    assert not [line for line in said if KEY in line or "canary-content" in line]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_logs_have_no_key_or_content(tmp_path: Path, log_format: str) -> None:
    """No key is in the log with every warning on, the journal, a snapshot or the database; no content is in the log."""
    text = "canary-content-91aa " * 50
    flags = ("--data-dir", tmp_path, "--log-format", log_format, "--auth", "open")
    with Served(*flags, python=("-W", "default"), GRPC_VERBOSITY="debug") as served:
        use_everything(served.url, f"localhost:{served.port}", text)
        entries = httpx.get(f"{served.url}/_emulator/requests", params={"limit": 1000}).json()["requests"]
        found = [entry for entry in entries if entry["operation"] == "documents.search"]
        assert "canary-content" in str(found), "what a search finds is an answer in JSON, and shown as such"
        journal = str([entry for entry in entries if entry not in found])
        snapshot = {"name": "all"}
        httpx.post(f"{served.url}/_emulator/snapshots", json=snapshot, timeout=PATIENCE_SECONDS).raise_for_status()
        served.stop()
        until(lambda: not served._listener.is_alive())
    said = "".join(served.said)
    assert "keys: " in said
    assert "boundary character" not in said, "not even a byte of a body"
    assert "RetrieveFile" in journal
    assert "Traceback" not in said
    for log in (said, journal):
        assert KEY not in log
        assert "canary-content" not in log
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"canary-content" in path.read_bytes() for path in kept), "the contents are kept"
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]
