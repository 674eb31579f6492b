"""`/llms.txt`: the emulator described for agents."""

from __future__ import annotations

import re

import httpx

from emulator import Emulator
from emulator.control.routes import ROUTES as CONTROL_ROUTES
from emulator.rest.routes import ROUTES


def test_guide_names_addresses_and_every_route(emulator: Emulator) -> None:
    """Each route of the API and of the control API is a line with its purpose."""
    reply = httpx.get(f"{emulator.url}/llms.txt")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.text == httpx.get(f"{emulator.url}/_emulator/llms.txt").text
    assert reply.text.startswith("# xai-emulator ")
    assert emulator.base_url in reply.text
    assert emulator.grpc_target in reply.text
    listed = set(re.findall(r"^- `(\w+ /\S+)`(?: \(\w+\))?: \S+", reply.text, re.MULTILINE))
    assert {f"{route.method} {route.path}" for route in ROUTES} <= listed
    assert {f"{route.method} /_emulator{route.path}" for route in CONTROL_ROUTES} <= listed
    assert len(listed) == len(ROUTES) + len(CONTROL_ROUTES)


def test_links_of_the_guide_answer(emulator: Emulator) -> None:
    """Both documents are there, without a key."""
    links = re.findall(r"\]\((http[^)]+)\)", httpx.get(f"{emulator.url}/llms.txt").text)
    assert [httpx.get(link).json()["openapi"][:3] for link in links] == ["3.1", "3.1"]


def test_guide_shows_no_keys_that_were_given() -> None:
    """Keys of `--key` are not listed, and the page needs no token."""
    with Emulator(keys=["sk-of-mine=inference"], control_token="token-of-mine") as emulator:
        text = httpx.get(f"{emulator.url}/llms.txt").text
    assert "sk-of-mine" not in text
    assert "token-of-mine" not in text
