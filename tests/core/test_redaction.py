"""Settings that hold a key are shown without it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator
from emulator.core.redaction import redact_url
from emulator.state.settings import BadSetting, from_keywords, parse

KEY = "sk-0123456789abcdef"


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("echo", "echo"),
        ("canned:answers@home.jsonl", "canned:answers@home.jsonl"),
        ("call:module:function", "call:module:function"),
        ("http://localhost:11434/v1?model=llama3", "http://localhost:11434/v1?model=llama3"),
        (f"http://{KEY}@localhost/v1", "http://[redacted]@localhost/v1"),
        (f"http:http://{KEY}@localhost/v1", "http:http://[redacted]@localhost/v1"),
        (f"https://user:{KEY}@localhost/v1", "https://[redacted]@localhost/v1"),
        (f"https://a/{KEY}@localhost/v1", "https://[redacted]@localhost/v1"),
        (f"https://{KEY}?@localhost/v1", "https://[redacted]"),
        (f"http://h/v1?model=m&api_key={KEY}", "http://h/v1?model=m&api_key=[redacted]"),
        (f"http://h/v1?{KEY}", "http://h/v1?[redacted]"),
        (f"http://h/v1#{KEY}", "http://h/v1#[redacted]"),
        (f"htp://{KEY}@localhost/v1", "htp://[redacted]@localhost/v1"),
        (f"http:{KEY}@localhost/v1", "http:[redacted]@localhost/v1"),
        (f"//{KEY}@localhost/v1", "//[redacted]@localhost/v1"),
    ],
)
def test_redact_url_hides_user_and_query_values(setting: str, shown: str) -> None:
    """The user and every value of the query but `model` are hidden; what is no URL stays."""
    assert redact_url(setting) == shown


@given(st.text(), st.text())
def test_redact_url_never_shows_a_key_before_the_host(before: str, after: str) -> None:
    """Whatever surrounds it."""
    assert KEY not in redact_url(f"http://{before}{KEY}@{after}")


def test_repr_of_settings_holds_no_key() -> None:
    """Neither of a server nor of a client."""
    settings = from_keywords(
        {
            "responder": f"http://{KEY}@localhost/v1",
            "embedder": f"http://{KEY}@localhost/v1/embeddings",
            "allow": [f"responder=http://{KEY}@localhost/v2"],
            "keys": [f"{KEY}=inference"],
        }
    )
    assert KEY not in repr(settings)
    assert "http://[redacted]@localhost/v1" in repr(settings)


@pytest.mark.parametrize("name", ["responder", "embedder", "allow"])
@pytest.mark.parametrize("value", [f"htp://{KEY}@localhost", f"http:{KEY}@localhost", f"http://{KEY}@", "http://é@x"])
def test_refusal_of_a_setting_holds_no_key(name: str, value: str) -> None:
    """A mistyped URL is quoted without its key."""
    prefix = "responder=" if name == "allow" else ""
    with pytest.raises(BadSetting) as refusal, Emulator(**{name: [prefix + value] if prefix else value}):
        pass
    assert KEY not in str(refusal.value)
    assert "é" not in str(refusal.value)


@pytest.mark.parametrize("name", ["responder", "embedder", "allow"])
def test_undecodable_setting_is_quoted_without_its_key(name: str) -> None:
    """As any other."""
    with pytest.raises(BadSetting, match="UTF-8") as refusal:
        parse(name, f"http://{KEY}@\udcff", f"--{name}")
    assert KEY not in str(refusal.value)


def test_teams_are_listed_without_keys_of_servers(emulator: Emulator, control: httpx.Client, tmp_path: Path) -> None:
    """No response about a team contains the key, and the team still uses it."""
    url = f"http://{KEY}@localhost:1/v1"
    emulator.configure(responder=url)
    replies = [
        control.get("/teams"),
        control.get("/teams/default"),
        control.patch("/teams/default", json={"profile": "strict"}),
        control.patch("/teams/default", json={"responder": "http://[redacted]@localhost:1/v1"}),
    ]
    assert [reply.status_code for reply in replies] == [200] * 4
    assert [KEY in reply.text for reply in replies] == [False] * 4
    assert json.loads(replies[-1].content)["team"]["overrides"]["responder"] == "http://[redacted]@localhost:1/v1"
    assert emulator._server is not None
    assert emulator._server.services.teams.get("default").responder == url
