"""What a model request remembers of its body."""

from __future__ import annotations

from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.requests import ModelRequest


def test_changed_request_keeps_what_was_read_of_its_body() -> None:
    body = {"messages": [{"role": "user", "content": "x"}]}
    request = ModelRequest("", "", RequestKind.CHAT.value, "grok-4.3", body)
    messages = request.messages
    changed = request.changed(team="t", search="y")
    assert changed.messages is messages
    assert (changed.team, changed.search, changed.query, request.team, request.query) == ("t", "y", "y", "", "x")
