"""What a newcomer reads when something is wrong: each message says what happened, by which rule, and what to do.

`pytest tests/test_messages.py -rP` prints them all, for reading.
"""

from __future__ import annotations

import ast
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.cli import main
from emulator.core.error_hints import RULES, hint_for
from emulator.core.limits import ROWS
from tests.serving import PATIENCE_SECONDS

ROOT = Path(__file__).parent.parent

# --- command line: the arguments, what the message names, and the advice that it gives

COMMANDS: dict[str, tuple[str, str]] = {
    "serve --prot 1": ("--prot", "did you mean --port?"),
    "srve": ("srve", "did you mean serve?"),
    "": ("VERB", "--help"),
    "serve --port 99999": ("--port: '99999'", "from 0 to 65535"),
    "serve --limit nope=1": ("--limit: there is no limit named 'nope'", "`xai-emulator limits` lists them"),
    "serve --limit file_bytes_max=big": ("file_bytes_max='big'", "such as 100, 512MiB or none"),
    "serve --limit page_items_default=none": ("page_items_default", "give it a number"),
    "serve --limit file_bytes_max": ("'file_bytes_max'", "NAME=VALUE"),
    "serve --profile odd": ("--profile: 'odd'", "documented, strict, relaxed"),
    "serve --auth odd": ("--auth: 'odd'", "shape, strict, open"),
    "serve --key secret": ("--key", "KEY=inference or KEY=management"),
    "serve --indexing fast": ("--indexing: 'fast'", "instant, realistic, manual"),
    "serve --chaos 7:nope": ("--chaos: unknown chaos flag 'nope'", "known flags: small_pages"),
    "serve --public-url nope": ("--public-url: 'nope'", "such as http://localhost:7878"),
    "serve --responder nope": ("--responder: 'nope'", "echo, canned:FILE"),
    "serve --responder canned:/nope": ("responder: /nope", "No such file"),
    "serve --responder call:nope:f": ("responder: nope:f", "No module named 'nope'"),
    "serve --embedder nope": ("embedder: 'nope'", "stand-in, MODULE:FUNCTION or the URL"),
    "serve --seed /nope.yaml": ("--seed: /nope.yaml", "No such file"),
    "serve --data-dir /dev/null/x": ("--data-dir: /dev/null/x", "Not a directory"),
    "serve --host 203.0.113.7": ("203.0.113.7", "Give --host an address of this machine"),
    "serve --port {taken}": ("Port {taken} is taken", "choose another with --port"),
    "serve --port 0 --data-dir {locked}": ("{locked} is in use by another xai-emulator", "choose another --data-dir"),
    "serve --port 0 --data-dir {newer}": ("{newer}", "newer"),
    "demo --port {taken}": ("Port {taken} is taken", "Choose another with --port"),
    "snapshot list --url http://localhost:9": ("no emulator answers at http://localhost:9", "`xai-emulator serve`"),
    "wait --url http://localhost:9 --timeout 0": ("no emulator answers at http://localhost:9", "`xai-emulator serve`"),
    "exec -- no-such-command": ("no-such-command", "No such file"),
    "filter a=(": ('expected a value, found "("', "hint: "),
}
ENVIRONMENT: dict[tuple[str, str], tuple[str, str]] = {
    ("XAI_EMULATOR_PROT", "1"): ("XAI_EMULATOR_PROT: there is no such setting", "XAI_EMULATOR_PORT"),
    ("XAI_EMULATOR_PORT", "x"): ("XAI_EMULATOR_PORT: 'x'", "from 0 to 65535"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Things that are in the way: a port and a directory in use, and a database of a later version."""
    locked, newer = tmp_path_factory.mktemp("locked"), tmp_path_factory.mktemp("newer")
    with Emulator(data_dir=newer):
        pass
    database = sqlite3.connect(next(newer.rglob("*.sqlite*")))
    database.execute("PRAGMA user_version = 999999")
    database.close()
    with socket.create_server(("127.0.0.1", 0)) as taken, Emulator(data_dir=locked):
        yield {"taken": str(taken.getsockname()[1]), "locked": str(locked), "newer": str(newer)}


@pytest.mark.parametrize("typed", COMMANDS, ids=lambda typed: typed or "nothing")
def test_failing_command_says_what_to_do(
    typed: str, places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One message on stderr names what was wrong and what to do; the exit code is not 0, and stdout is empty."""
    named, advice = (text.format(**places) for text in COMMANDS[typed])
    code, said = run(typed.format(**places), capsys)
    assert code in (1, 2, 127)
    assert named in said
    assert advice in said


@pytest.mark.parametrize("variable", ENVIRONMENT, ids=lambda variable: variable[0])
def test_invalid_environment_setting_is_refused(
    variable: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A setting of the environment is refused as a flag is, under its own name."""
    monkeypatch.setenv(*variable)
    code, said = run("serve", capsys)
    assert code == 2
    assert all(text in said for text in ENVIRONMENT[variable])


def run(typed: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a command in this process: its exit code, and what it says on stderr."""
    try:
        code = main(typed.split())
    except SystemExit as exit:  # as argparse ends
        code = int(exit.code or 0)
    written = capsys.readouterr()
    assert "Traceback" not in written.err
    assert written.out == "" or typed.startswith("filter")
    _print(f"$ xai-emulator {typed}", written.err.strip() or written.out.strip())
    return code, written.err or written.out


# --- over REST: what is sent, the rule that refuses, and what the body names

Send = Callable[["Sender"], httpx.Response]


class Sender:
    """A newcomer's client, and what a newcomer has made so far."""

    def __init__(self, emulator: Emulator, client: httpx.Client) -> None:
        self.emulator, self.client = emulator, client
        self.files = {"Authorization": f"Bearer {emulator.api_key}"}
        self.management = {"Authorization": f"Bearer {emulator.management_key}"}
        self.file = self.upload("a.txt").json()["id"]
        definitions = [{"key": "author", "required": True}, {"key": "isbn", "unique": True}]
        self.collection = self.manage("/v1/collections", collection_name="c", field_definitions=definitions).json()[
            "collection_id"
        ]
        self.add({"author": "Ada", "isbn": "1"}, self.file)
        self.batch = self.post("/v1/batches", name="b").json()["batch_id"]

    def upload(self, name: str, content: bytes = b"text", **fields: str) -> httpx.Response:
        return self.client.post("/v1/files", headers=self.files, data=fields, files={"file": (name, content)})

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.client.post(path, headers=self.files, json=body)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.client.get(path, headers=self.files, params=query)

    def manage(self, path: str, **body: Any) -> httpx.Response:
        return self.client.post(path, headers=self.management, json=body)

    def add(self, fields: dict[str, str], file_id: str | None = None) -> httpx.Response:
        file_id = file_id or self.upload("b.txt").json()["id"]
        return self.manage(f"/v1/collections/{self.collection}/documents/{file_id}", fields=fields)

    def search(self, **body: Any) -> httpx.Response:
        body = {"query": "q", "source": {"collection_ids": [self.collection]}, **body}
        return self.post("/v1/documents/search", **body)

    def add_request(self, model: str, id: str = "1", text: str = "x", batch: str | None = None) -> httpx.Response:
        chat = {"model": model, "messages": [{"role": "user", "content": text}]}
        requests = [{"batch_request_id": id, "batch_request": {"chat_get_completion": chat}}]
        return self.post(f"/v1/batches/{batch or self.batch}/requests", batch_requests=requests)


def sealed(sender: Sender) -> httpx.Response:
    """A request for a batch that came from a file."""
    line = (
        b'{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": []}}'
    )
    file_id = sender.upload("b.jsonl", line).json()["id"]
    batch = sender.post("/v1/batches", name="b", input_file_id=file_id).json()["batch_id"]
    return sender.add_request("grok-4.3", batch=batch)


def cancelled(sender: Sender) -> httpx.Response:
    """A request for a batch that was cancelled."""
    batch = sender.post("/v1/batches", name="b").json()["batch_id"]
    sender.post(f"/v1/batches/{batch}:cancel")
    return sender.add_request("grok-4.3", batch=batch)


def twice(sender: Sender) -> httpx.Response:
    """The same id for other content."""
    sender.add_request("grok-4.3", "same", "x")
    return sender.add_request("grok-4.3", "same", "y")


def expired(sender: Sender) -> httpx.Response:
    """A file whose time is over."""
    file_id = sender.upload("a.txt", expires_after="3600").json()["id"]
    sender.emulator.advance(3600)
    return sender.get(f"/v1/files/{file_id}")


def late_expiry(sender: Sender) -> httpx.Response:
    """The order in which OpenAI's Node SDK sends what stands in its own example."""
    parts = [("file", ("a.txt", b"x")), ("expires_after[seconds]", (None, "3600"))]
    return sender.client.post("/v1/files", headers=sender.files, files=parts)


REFUSALS: dict[str, tuple[Send, str, str]] = {
    "no key": (lambda s: s.client.get("/v1/files"), "key", "No credentials"),
    "management key for files": (lambda s: s.client.get("/v1/files", headers=s.management), "key", "Incorrect API key"),
    "inference key for collections": (lambda s: s.get("/v1/collections"), "key", "valid management key"),
    "a path of nothing": (lambda s: s.get("/v1/fils"), "unknown_route", "No handler found on route"),
    "embeddings": (lambda s: s.post("/v1/embeddings"), "not_emulated", "embeddings are not emulated"),
    "a wrong method": (lambda s: s.client.patch("/v1/files", headers=s.files), "method", ""),
    "no JSON": (
        lambda s: s.client.post("/v1/batches", headers=s.files, content="{"),
        "content_type",
        "application/json",
    ),
    "a missing field": (lambda s: s.post("/v1/batches"), "json", "missing field `name`"),
    "an unknown file": (lambda s: s.get("/v1/files/file_1"), "not_found", "File not found"),
    "an expired file": (expired, "not_found", "File not found"),
    "no file part": (lambda s: s.client.post("/v1/files", headers=s.files, files={"x": b"x"}), "missing_file", "file"),
    "expiry after the file": (late_expiry, "expires_after_order", "put expires_after before file"),
    "too short a life": (lambda s: s.upload("a", expires_after="60"), "expires_after_seconds_min", "at least 3600"),
    "a bad name": (lambda s: s.upload("a;b.txt"), "filename", "filename"),
    "no text in it": (
        lambda s: s.get(f"/v1/files/{s.upload('a.bin', bytes(range(256))).json()['id']}/content", format="text"),
        "format_text",
        "not supported",
    ),
    "a public text": (lambda s: s.post(f"/v1/files/{s.file}/public-url"), "public_url_content_type", "text/plain"),
    "a bad filter": (lambda s: s.get("/v1/files", filter="name = ("), "filter", "name = ("),
    "an unknown field": (lambda s: s.get("/v1/files", filter="nme = a"), "filter", "nme"),
    "a token of another list": (
        lambda s: s.get("/v1/files", pagination_token="x"),
        "pagination_token",
        "was not returned",
    ),
    "a collection without a name": (lambda s: s.manage("/v1/collections", name="x"), "not-empty", "collection_name"),
    "a required field": (lambda s: s.add({}), "required", "fields.author"),
    "a value twice": (lambda s: s.add({"author": "Bob", "isbn": "1"}), "unique", "'1', which must be unique"),
    "search in nothing": (lambda s: s.search(source={"collection_ids": []}), "collection_ids", "name a collection"),
    "search where nothing is": (lambda s: s.search(source={"collection_ids": ["c"]}), "not_found", "Collection"),
    "an empty query": (lambda s: s.search(query=""), "query", "query"),
    "a model that batches do not take": (lambda s: s.add_request("grok-4.5"), "batch_model", "grok-4.5"),
    "an id for other content": (twice, "batch_request_id", "'same' content differs"),
    "a sealed batch": (sealed, "file_based_batch", "file-based"),
    "a cancelled batch": (cancelled, "closed_batch", "cancelled"),
}


@pytest.fixture(scope="module")
def sender() -> Iterator[Sender]:
    """A newcomer on an emulator."""
    with Emulator() as emulator, httpx.Client(base_url=emulator.url, timeout=PATIENCE_SECONDS) as client:
        yield Sender(emulator, client)


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_call_names_rule_with_hint(sender: Sender, case: str) -> None:
    """The answer is the API's, the header names the rule, and for each rule there is something to do."""
    send, rule, named = REFUSALS[case]
    reply = send(sender)
    assert 400 <= reply.status_code < 600
    assert reply.headers["x-emulator-rule"] == rule
    assert named in reply.text.encode().decode("unicode_escape") or named in reply.text
    text = hint_for(rule)
    assert text is not None
    _print(f"{case}: {reply.status_code}", f"{reply.text.strip()}\n{rule}: {text}")


# --- the table of rules

COMPUTED = {"filter", "name", "qps", "qpm", "tpm"}  # named by an expression


def literal_rules() -> Iterator[str]:
    """Every rule that a source names: where it refuses, or as the last word of a form error."""
    for path in (ROOT / "emulator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            given = [each.value for each in node.keywords if each.arg == "rule"]
            if isinstance(node.func, ast.Name) and node.func.id == "form_error":
                given.append(node.args[-1])
            yield from (each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str))


def test_rules_have_hints() -> None:
    """Each rule that can refuse is a limit with a source, or a row that says what to do; and no row is left over."""
    named = set(literal_rules())
    assert named - set(ROWS) - set(RULES) == set()
    assert set(RULES) - named == COMPUTED
    assert not set(RULES) & set(ROWS)


def test_control_plane_serves_hints(control: httpx.Client) -> None:
    """The table is served, so that the console can show it beside a refusal."""
    rules = control.get("/rules").json()["rules"]
    assert set(rules) == {*ROWS, *RULES}
    assert all(text.endswith(".") for text in rules.values())


def _print(what: str, said: str) -> None:
    print(f"\n{what}\n  " + said.replace("\n", "\n  "))
