"""A client of the management API of one team, and of the inference API with the keys it makes."""

from __future__ import annotations

from typing import Any

import httpx

from emulator import Emulator
from tests.serving import PATIENCE_SECONDS

Json = dict[str, Any]
ALL = ["api-key:model:*", "api-key:endpoint:*"]


def client(emulator: Emulator) -> httpx.Client:
    return httpx.Client(base_url=emulator.url, timeout=PATIENCE_SECONDS, trust_env=False)


class Team:
    """A team of an emulator, with its management key."""

    def __init__(self, http: httpx.Client, name: str = "default") -> None:
        suffix = "" if name == "default" else f"@{name}"
        self.name, self.http = name, http
        self.management = {"authorization": f"Bearer xai-token-emulator{suffix}"}
        [team] = self.http.get("/auth/teams", headers=self.management).json()["teams"]
        self.id: str = team["teamId"]

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        """Call the management API."""
        more: Json = {} if body is None else {"json": body}
        return self.http.request(method, path, headers=self.management, params=query, **more)

    def create(self, name: str = "ci", acls: list[str] = ALL, **more: Any) -> Json:
        """Make a key."""
        made = self.call("POST", f"/auth/teams/{self.id}/api-keys", {"name": name, "acls": acls, **more})
        assert made.status_code == 200, made.text
        return dict(made.json())

    def update(self, id: str, mask: str, **fields: Any) -> httpx.Response:
        """Change a key."""
        return self.call("PUT", f"/auth/api-keys/{id}", {"apiKey": fields, "fieldMask": mask})

    def with_key(self, secret: str, method: str = "GET", path: str = "/v1/files", **more: Any) -> httpx.Response:
        """Call the inference API with a key."""
        return self.http.request(method, path, headers={"authorization": f"Bearer {secret}"}, **more)

    def ask(self, secret: str, model: str = "grok-4.3") -> httpx.Response:
        """Ask a model."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hello there"}]}
        return self.with_key(secret, "POST", "/v1/chat/completions", json=body)

    def clock(self, verb: str, **body: Any) -> None:
        """Change the clock of the team."""
        changed = self.http.post(f"/_emulator/clock/{verb}", params={"team": self.name}, json=body)
        assert changed.status_code == 200, changed.text
