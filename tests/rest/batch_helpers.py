"""A plain HTTP client of the Batch API, and the requests and lines that tests send with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from emulator import Emulator
from emulator.domain.keys import DEFAULT_TEAM, INFERENCE_KEY
from tests.serving import PATIENCE_SECONDS

Json = dict[str, Any]
COUNTERS = ("num_requests", "num_pending", "num_success", "num_error", "num_cancelled")


def chat_body(content: str = "hi", **fields: Any) -> Json:
    """The body of a chat request."""
    return {"model": "grok-4", "messages": [{"role": "user", "content": content}], **fields}


def request(id: str | None, kind: str = "chat_get_completion", body: Json | None = None) -> Json:
    """One request of a batch."""
    return {"batch_request_id": id, "batch_request": {kind: chat_body() if body is None else body}}


def line(id: str, url: str = "/v1/chat/completions", body: Json | None = None, **changes: Any) -> str:
    """One line of an input file."""
    whole = {"custom_id": id, "method": "POST", "url": url, "body": chat_body() if body is None else body}
    return json.dumps({**whole, **changes})


class Batches:
    """The Batch API of one team."""

    def __init__(self, emulator: Emulator, team: str = DEFAULT_TEAM) -> None:
        key = INFERENCE_KEY if team == DEFAULT_TEAM else f"{INFERENCE_KEY}@{team}"
        self.emulator, self.team = emulator, team
        self.http = httpx.Client(
            base_url=emulator.url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS
        )

    # --- the control plane

    def configure(self, **changes: Any) -> None:
        """Give the team settings of its own."""
        self.http.get("/v1/api-key").raise_for_status()  # the first call makes the team
        self.http.patch(f"/_emulator/teams/{self.team}", json=changes).raise_for_status()

    def freeze(self) -> None:
        """Stop the team's clock."""
        self.http.post("/_emulator/clock/freeze", params={"team": self.team}).raise_for_status()

    def advance(self, seconds: float) -> None:
        """Move the team's clock, and run what becomes due."""
        self.emulator.advance(seconds, self.team)

    # --- the API

    def create(self, **body: Any) -> str:
        """A new batch."""
        return str(self.http.post("/v1/batches", json={"name": "test", **body}).raise_for_status().json()["batch_id"])

    def from_lines(self, *lines: str, name: str = "input.jsonl") -> str:
        """A new batch from a file with these lines."""
        return self.from_file("\n".join(lines).encode(), name)

    def from_file(self, content: bytes, name: str = "input.jsonl") -> str:
        """A new batch from a file."""
        file = self.http.post("/v1/files", files={"file": (name, content)}).raise_for_status().json()["id"]
        return self.create(input_file_id=file)

    def add(self, id: str, *requests: Json) -> httpx.Response:
        """The reply to an attempt to add requests."""
        return self.http.post(f"/v1/batches/{id}/requests", json={"batch_requests": requests})

    def filled(self, *requests: Json) -> str:
        """A new batch with requests."""
        id = self.create()
        self.add(id, *requests).raise_for_status()
        return id

    def get(self, id: str) -> Json:
        """A batch."""
        found: Json = self.http.get(f"/v1/batches/{id}").raise_for_status().json()
        return found

    def counters(self, id: str) -> tuple[int, ...]:
        """The five counters of a batch."""
        state = self.get(id)["state"]
        return tuple(state[name] for name in COUNTERS)

    def cancel(self, id: str) -> Json:
        """Cancel a batch."""
        found: Json = self.http.post(f"/v1/batches/{id}:cancel").raise_for_status().json()
        return found

    def pages(self, path: str, name: str, **query: Any) -> Iterator[list[Json]]:
        """The pages of a list, to the end."""
        token = None
        while True:
            tokens = {} if token is None else {"pagination_token": token}
            page = self.http.get(f"/v1/batches{path}", params={**query, **tokens}).raise_for_status().json()
            yield page[name]
            token = page["pagination_token"]
            if token is None:
                return

    def requests(self, id: str, **query: Any) -> list[Json]:
        """What is known about all requests of a batch."""
        return flat(self.pages(f"/{id}/requests", "batch_request_metadata", **query))

    def results(self, id: str, **query: Any) -> dict[str, Json]:
        """All results of a batch by id; none may come twice."""
        rows = flat(self.pages(f"/{id}/results", "results", **query))
        found = {row["batch_request_id"]: row["batch_result"] for row in rows}
        assert len(found) == len(rows), "a result came twice"
        return found

    def contents(self, id: str) -> dict[str, str]:
        """What all chats of a batch were answered, or the errors."""
        return {key: content(result) for key, result in self.results(id).items()}


def content(result: Json) -> str:
    """The text of a chat's result, or its error."""
    if "error" in result:
        return f"error: {result['error']}"
    return str(result["response"]["chat_get_completion"]["choices"][0]["message"]["content"])


def flat(pages: Iterable[list[Json]]) -> list[Json]:
    """The items of all pages."""
    return [item for page in pages for item in page]
