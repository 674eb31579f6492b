"""Frameworks against an emulator that `xai-emulator exec` has started; each test has a team of its own.

Nothing here imports the emulator: these tests run where its packages are not installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

TEXT = b"The ferns are watered on Monday."
SECONDS = 60


@dataclass(frozen=True)
class Team:
    """A team of the emulator, its keys, and what a test prepares in it."""

    url: str
    grpc_target: str
    name: str

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def api_key(self) -> str:
        return f"{os.environ['XAI_API_KEY']}@{self.name}"

    @property
    def management_key(self) -> str:
        return f"{os.environ['XAI_MANAGEMENT_KEY']}@{self.name}"

    def post(self, path: str, key: str, **body: Any) -> Any:
        """Call the API and return its JSON."""
        headers = {"authorization": f"Bearer {key}"}
        return httpx.post(f"{self.url}{path}", headers=headers, timeout=SECONDS, **body).raise_for_status().json()

    def upload(self) -> str:
        """Upload a file and return its id."""
        id: str = self.post("/v1/files", self.api_key, files={"file": ("garden.md", TEXT)})["id"]
        return id

    def collection(self) -> tuple[str, str]:
        """Create a collection with a document; return its id and that of the file."""
        file = self.upload()
        made = self.post("/v1/collections", self.management_key, json={"collection_name": "garden"})
        self.post(f"/v1/collections/{made['collection_id']}/documents/{file}", self.management_key, json={})
        return made["collection_id"], file

    def answer(self, **rule: Any) -> None:
        """Plan an answer."""
        httpx.post(f"{self.url}/_emulator/answers", params={"team": self.name}, json=rule).raise_for_status()


@pytest.fixture
def team(request: pytest.FixtureRequest) -> Iterator[Team]:
    """A team named after the test."""
    url, grpc_target = os.environ["XAI_EMULATOR_URL"], os.environ["XAI_EMULATOR_GRPC"]
    team = Team(url, grpc_target, request.node.originalname.replace("_", "-")[-60:].strip("-"))
    yield team
    httpx.post(f"{url}/_emulator/reset", params={"team": team.name}).raise_for_status()
