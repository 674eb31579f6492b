"""What the unmodified clients make of an API that is not emulated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from emulator import Emulator

CALLS: dict[str, Callable[[openai.OpenAI], Any]] = {
    "embeddings": lambda client: client.embeddings.create(model="v1", input="x"),
    "completions": lambda client: client.completions.create(model="grok-4", prompt="x"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_openai_does_not_retry_what_is_not_emulated(
    emulator: Emulator, control: httpx.Client, call: Callable[[openai.OpenAI], Any]
) -> None:
    """One request, whose refusal says what is not emulated; the journal gives the same reason and no near misses."""
    client = openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=2)
    with client, pytest.raises(openai.InternalServerError) as refused:
        call(client)
    assert refused.value.status_code == 501
    (unmatched,) = control.get("/requests/unmatched").json()["requests"]
    request = unmatched["request"]
    assert "not emulated" in request["reason"]
    assert request["reason"] == refused.value.response.json()["error"]
    assert (request["outcome"], request["rule"], request["status"]) == ("NOT_EMULATED", "not_emulated", 501)
    assert unmatched["near_misses"] == []


def test_planned_501_is_retried(emulator: Emulator, control: httpx.Client) -> None:
    """A fault is answered as the real service would, without the header that ends retries."""
    control.post("/faults", json={"operation": "files.list", "status": 501, "times": 1})
    with openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=1) as client:
        assert client.files.list().data == []
    assert [call["status"] for call in control.get("/requests").json()["requests"]] == [501, 200]
