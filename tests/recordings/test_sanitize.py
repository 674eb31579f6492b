"""The sanitizers: nothing secret is left, one value has one placeholder, and what is clean stays as it is."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.recordings.entries import Content, Entry, Grpc, Page, Pair, Param, PostData, Request, Response
from emulator.recordings.sanitize import Sanitizer
from emulator.recordings.sanitizer_rules import RULES

KEY = "xai-" + "C4naryInferenceKey" * 4
MANAGEMENT = "xai-token-" + "C4naryManagementKey" * 4
STRIKE = "Canary & Söhne GmbH"
CANARIES = {
    "key": KEY,
    "management key": MANAGEMENT,
    "foreign key": "xai-" + "F0reignCanaryKey" * 5,
    "openai key": "sk-CanaryCanaryCanaryCanary",
    "struck text": STRIKE,
    "email": "canary.person@canary-company.example.org",
    "IPv4": "203.0.113.77",
    "IPv6": "2001:db8:ca:4a::77",
    "uuid": "ca4a41e5-1111-4222-8333-c0ffee15bad0",
    "id": "file_ca4a41e5-1111-4222-8333-c0ffee15bad1",
    "hash": "ca4a41e5" * 8,
    "hash in capitals": "CA4A41E5" * 8,
    "token of a session": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlQ2FuYXJ5",
    "struck text in capitals": STRIKE.upper(),
    "home": "/home/canaryuser",
}


def sanitizer(**options: Any) -> Sanitizer:
    return Sanitizer({KEY: "[inference key]", MANAGEMENT: "[management key]"}, [STRIKE], **options)


def spellings(text: str) -> dict[str, str]:
    return {
        "plain": text,
        "percent-encoded": quote(text, safe=""),
        "as a form": quote_plus(text),
        "in base64": base64.b64encode(f"before {text} after".encode()).decode(),
        "in urlsafe base64": base64.urlsafe_b64encode(f"~~{text}~~".encode()).decode(),
        "in a sentence": f"It is “{text}”, or so.",
        "in JSON within a text": json.dumps({"a": [text]}),
    }


def entry_with(text: str, operation: str) -> Entry:
    """An exchange with a text wherever one can be."""
    body = json.dumps({"a": text, text: 1, "b": [{"c": text}], "error": f"invalid: {text}"})
    return Entry(
        Request(
            "POST",
            f"https://api.x.ai/v1/files/{quote(text)}?q={quote_plus(text)}&{quote(text)}=1&filter={text}",
            headers=[
                Pair("x-a", text),
                Pair(text, "b"),
                Pair("authorization", f"Bearer {text}"),
                Pair("cookie", f"a={text}"),
            ],
            query=[Pair("q", text)],
            cookies=[{"name": "a", "value": text}],
            body=PostData(
                "application/json",
                body,
                params=[
                    Param("name", text),
                    Param(text, "value"),
                    Param("fields", json.dumps({"author": text})),
                    Param("file", filename=text, content_type=text, disposition=f'form-data; filename="{text}"'),
                ],
            ),
        ),
        Response(
            400,
            text,
            headers=[
                Pair("location", f"https://x/{text}"),
                Pair("set-cookie", f"a={text}"),
                Pair("x-request-id", text),
            ],
            body=Content(1, "application/json", f'{body[:-1]}, "cut": "{text[:-1]}{text[-1]}'),
            redirect_url=f"https://x/?{quote(text)}",
        ),
        operation=operation,
        error=f"broke: {text}",
        page=f"case {text}",
        grpc=Grpc(
            [{"name": text, "fields": {text: text}}],
            [{"id": text}],
            "NOT_FOUND",
            f"no {text}",
            [Pair("x-meta", text)],
            [Pair("x-trailer", text)],
        ),
    )


@pytest.mark.parametrize("operation", ["files.upload", "auth.me", "batches.get_request", "documents.search", ""])
@pytest.mark.parametrize("spelling", list(spellings("x")))
@pytest.mark.parametrize("canary", list(CANARIES))
def test_sanitized_entry_has_no_secret(canary: str, spelling: str, operation: str) -> None:
    secret = CANARIES[canary]
    line = sanitizer().encode(entry_with(spellings(secret)[spelling], operation)).decode()
    json.loads(line)
    for name, spelt in spellings(secret).items():
        if name not in ("in a sentence", "in JSON within a text"):
            assert spelt not in line, name
    distinct = secret.removeprefix("file_")
    assert distinct not in line
    assert json.dumps(distinct)[1:-1] not in line


def test_keys_are_struck_out_of_names_of_cases() -> None:
    clean = sanitizer()
    assert KEY not in clean.text(Page(f"case {KEY}").id)


def test_base64_of_a_key_is_struck_out_at_any_offset() -> None:
    for before in range(6):
        encoded = base64.b64encode(b"\x80" * before + KEY.encode() + b"\x80" * before).decode()
        entry = Entry(Request("GET", "https://api.x.ai/", headers=[Pair("x-proof", encoded)]))
        line = sanitizer().encode(entry).decode()
        assert all(encoded[start : start + 24] not in line for start in range(8, len(encoded) - 32)), before


def test_value_split_over_two_pieces_of_a_body_is_found() -> None:
    from emulator.recordings.capture import BodyCapture

    body = BodyCapture("application/json", is_text=True)
    raw = json.dumps({"email": CANARIES["email"]}).encode()
    for place in range(0, len(raw), 5):
        body.write(raw[place : place + 5])
    line = sanitizer().encode(Entry(Request("POST", "https://x/", body=body.post_data()))).decode()
    assert "canary" not in line


def test_value_has_same_placeholder_everywhere() -> None:
    clean = sanitizer()
    secret = CANARIES["id"]
    first = clean.json_text(json.dumps({"id": secret}))
    assert json.loads(first)["id"] == "file_00000000-0000-4000-8001-000000000001"
    assert clean.url(f"https://api.x.ai/v1/files/{secret}/content").endswith("-000000000001/content")
    assert clean.text(secret.removeprefix("file_")) == "00000000-0000-4000-8001-000000000001"
    assert clean.text("file_ca4a41e5-1111-4222-8333-c0ffee15bad2") == "file_00000000-0000-4000-8001-000000000002"


def test_hash_of_a_content_is_replaced_even_if_ids_are_kept() -> None:
    """The content of a small file can be guessed, and then its hash would confirm the guess."""
    digest = "ca4a41e5" * 8
    form = PostData("multipart/form-data", params=[Param("file", filename="a.txt", size=3, digest=digest)])
    entry = Entry(Request("POST", "https://api.x.ai/v1/files", body=form), operation="files.upload")
    entry.response.body = Content(3, "text/plain", digest=digest)
    entry.grpc = Grpc([{"data": {"_bytes": 3, "_blake3": digest}}])
    line = sanitizer(keep=["ids"]).encode(entry).decode()
    assert digest not in line
    assert json.loads(line)["_grpc"]["request"][0]["data"]["_blake3"].startswith("0" * 60)


def test_page_token_is_replaced_by_value_from_then_on() -> None:
    clean = sanitizer()
    page = json.loads(clean.json_text('{"pagination_token": "eyJvZmZzZXQiOjF9"}'))
    assert page["pagination_token"] == "token-1xxxxxxxxx"
    assert clean.url("/v1/files?pagination_token=eyJvZmZzZXQiOjF9&limit=1") == (
        "/v1/files?pagination_token=token-1xxxxxxxxx&limit=1"
    )


def test_free_texts_become_fillers_of_the_same_length_also_where_they_are_echoed() -> None:
    request = PostData("application/json", json.dumps({"query": "my secret question", "limit": 0}))
    content = Content(1, "application/json", json.dumps({"error": "bad query: my secret question"}))
    entry = Entry(Request("POST", "https://api.x.ai/v1/documents/search", body=request), operation="documents.search")
    entry.response.body = content
    sanitizer().clean(entry)
    assert isinstance(entry.request.body, PostData)
    assert json.loads(entry.request.body.text) == {"query": "text 1 left out le", "limit": 0}
    assert "secret" not in str(entry.response.body.text)


def test_names_that_clients_chose_and_what_is_compared_are_kept() -> None:
    text = json.dumps(
        {"name": "Contracts 2026", "bytes": 240, "created_at": "2026-04-16T07:18:48.515Z", "d": "2026-04-16"}
    )
    assert sanitizer().json_text(text) == text


def test_malformed_json_keeps_its_bytes_but_for_what_is_secret() -> None:
    """The service names line and column of the fault."""
    broken = '{"name": "a",  "limit" : 1,}\n{"email": "canary.person@canary-company.example.org", '
    clean = sanitizer().json_text(broken)
    assert clean.startswith('{"name": "a",  "limit" : 1,}\n{"email": "somebody-1@')
    assert clean.endswith('", ')


def test_value_that_is_cut_off_is_judged_by_its_name() -> None:
    request = PostData("application/json", '{"limit": 5, "query": "my secret quest')
    entry = Entry(Request("POST", "https://api.x.ai/v1/documents/search", body=request), operation="documents.search")
    sanitizer().clean(entry)
    assert request.text == '{"limit": 5, "query": "text 1 left out'


@pytest.mark.parametrize("rule", RULES)
def test_rule_that_is_kept_leaves_what_it_would_replace(rule: str) -> None:
    samples = {
        "keys": ("x-api-key", "sk-CanaryCanaryCanaryCanary"),
        "shown-keys": ("x-a", "Incorrect API key provided: ca***ry."),
        "cookies": ("cookie", "a=canary"),
        "ids": ("x-a", CANARIES["uuid"]),
        "tokens": ("", '{"next_page_token": "canary-canary"}'),
        "people": ("x-a", CANARIES["email"]),
        "places": ("x-real-ip", "203.0.113.77"),
        "urls": ("x-a", "https://x/?sig=canary"),
        "trace": ("x-request-id", "canary"),
        "contents": ("x-a", "data:text/plain;base64,Q2FuYXJ5"),
        "texts": ("", '{"query": "canary canary"}'),
        "paths": ("x-a", "/home/canary/x"),
    }
    name, value = samples[rule]
    results = []
    for keep in ([], [rule]):
        entry = Entry(
            Request("POST", "https://x/", headers=[Pair(name, value)] if name else []), operation="documents.search"
        )
        if not name:
            entry.request.body = PostData("application/json", value)
        results.append(
            value in json.dumps(json.loads(sanitizer(keep=keep).encode(entry)), ensure_ascii=False).replace("\\", "")
        )
    assert results == [False, True]


@given(st.text(max_size=60), st.sampled_from(["", *CANARIES.values()]))
def test_sanitizing_twice_is_sanitizing_once(around: str, canary: str) -> None:
    text = f"{around}{canary}{around}"
    clean = sanitizer()
    once = clean.text(text)
    assert clean.text(once) == once
    assert sanitizer().text(once) == once


@pytest.mark.parametrize(
    "run", ["a", "a_", "1", "%", "%41", ":", "@", "a@", ".", "1.", "/", "=", "-", "a-", '\\"', "xai-", "data:", "0:"]
)
def test_long_runs_of_anything_are_sanitized_in_time(run: str) -> None:
    """A pattern that restarts at each position of a run would take hours."""
    text = run * (20_000 // len(run))
    clean = sanitizer()
    clean.text(text)
    clean.json_text(f'{{"{text}": "{text}", "cut": "{text}')
    clean.url(f"https://api.x.ai/v1/files?{text}={text}&{text}")


def test_docs_name_every_rule_with_what_it_replaces() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recordings.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", page, re.MULTILINE))
    assert {rule: sentence.replace("`", "") for rule, sentence in rows.items()} == RULES


def protobuf(text: str) -> str:
    """A message with a text in it and bytes that are not UTF-8, in base64, as in grpc-status-details-bin."""
    raw = b"\x08\x96\x01\x12" + bytes([len(text)]) + text.encode() + b"\xff\xfe\x80"
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize("canary", ["key", "foreign key", "email", "uuid", "id", "home", "IPv4", "hash"])
def test_secret_in_a_binary_message_is_replaced(canary: str) -> None:
    text = protobuf(CANARIES[canary])
    trailers = [Pair("grpc-status-details-bin", text), Pair("x-a", f"see {text}.")]
    entry = Entry(Request("POST", "https://api.x.ai/a.B/C"), grpc=Grpc(trailers=trailers))
    for pair in json.loads(sanitizer().encode(entry))["_grpc"]["trailers"]:
        encoded = pair["value"].removeprefix("see ").rstrip(".")
        assert CANARIES[canary].removeprefix("file_").encode() not in base64.b64decode(encoded)


def echo(headers: list[Pair], answer: list[Pair], secret: str) -> str:
    """An exchange that says in both bodies and in a header what a header has."""
    body = json.dumps({"error": f"no {secret} here", "items": [secret]})
    entry = Entry(
        Request("POST", "https://api.x.ai/v1/files", headers=headers, body=PostData("application/json", body)),
        Response(400, headers=[*answer, Pair("x-error", secret)], body=Content(1, "application/json", body)),
        operation="files.list",
    )
    return sanitizer().encode(entry).decode()


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("authorization", "Bearer my-own-odd-key", "my-own-odd-key"),
        ("authorization", "my-own-odd-key", "my-own-odd-key"),
        ("x-api-key", "my-own-odd-key", "my-own-odd-key"),
        ("cookie", "a=1; session=canary-session", "canary-session"),
        ("set-cookie", "session=canary-session; Path=/", "canary-session"),
        ("cf-ipcity", "Canaryville", "Canaryville"),
        ("x-forwarded-for", "canary-host.example", "canary-host.example"),
        ("cf-ray", "8c1d2e3f4a5b6c7d-FRA", "8c1d2e3f4a5b6c7d-FRA"),
        ("x-request-id", "canary-request-1", "canary-request-1"),
    ],
)
def test_secret_of_a_header_is_replaced_where_bodies_echo_it(name: str, value: str, secret: str) -> None:
    assert secret not in echo([Pair(name, value)], [], secret)
    assert secret not in echo([], [Pair(name, value)], secret)


def test_key_of_a_client_is_replaced_in_later_exchanges_too() -> None:
    clean = sanitizer()
    clean.encode(Entry(Request("GET", "https://api.x.ai/", headers=[Pair("authorization", "Bearer my-own-odd-key")])))
    assert clean.line("the key my-own-odd-key is revoked") == "the key [other key] is revoked"


def test_name_of_the_forwarding_host_does_not_strike_the_host_out_of_urls() -> None:
    headers = [Pair("x-forwarded-host", "api.x.ai"), Pair("x-forwarded-proto", "https")]
    entry = json.loads(sanitizer().encode(Entry(Request("GET", "https://api.x.ai/v1/files", headers=headers))))
    assert entry["request"]["url"] == "https://api.x.ai/v1/files"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("redis://canary:canarypass@localhost:6379/0", "canarypass"),
        ("https://canarytoken@gateway.example/v1", "canarytoken"),
        ("invalid header cf-ipcity: Canaryville", "Canaryville"),
        ("bad value of `x-real-ip` = `canary-host`", "canary-host"),
        ('{"cf-ipcity": "Canaryville"}', "Canaryville"),
    ],
)
def test_secret_that_a_text_names_is_replaced(text: str, secret: str) -> None:
    clean = sanitizer()
    once = clean.json_text(text) if text.startswith("{") else clean.text(text)
    assert secret not in once
    assert clean.text(once) == once


def test_method_of_a_request_is_sanitized() -> None:
    assert KEY not in sanitizer().encode(Entry(Request(KEY, "https://api.x.ai/"))).decode()


def test_names_of_pages_and_hosts_are_sanitized(tmp_path: Path) -> None:
    from emulator.recorder.server import RecorderOptions, RecorderThread

    secret = CANARIES["email"]
    options = RecorderOptions(tmp_path / "x.har", to="http://203.0.113.77:9", port=0)
    with RecorderThread(options, log=lambda line: None) as recorder:
        recorder.journal.turn_to(f"case {secret}", f"title {secret}")
        recorder.journal.add(Entry(Request("GET", "https://api.x.ai/v1/files"), page=f"case {secret}"))
    log = json.loads((tmp_path / "x.har").read_text())["log"]
    assert log["_xai_emulator"]["to"] == ["http://192.0.2.1:9"]
    assert [page["id"] for page in log["pages"]] == ["case somebody-1@example.com"] == [log["entries"][0]["pageref"]]
    assert secret not in (tmp_path / "x.har").read_text()
