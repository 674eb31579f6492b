"""A recorded exchange as a command line and as a test.

The command calls the same server again. The test starts with an empty team of the pytest plugin, so it first repeats
the exchanges that this one depends on. Contents of files are not recorded: fillers of the recorded size replace them.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from emulator.domain.keys import Plane
from emulator.recordings.chains import ID, Chain, Chains, Link, answer_of, succeeded
from emulator.recordings.entries import Entry, Grpc, Param, PostData, header
from emulator.rpc.plain import filled

INDENT = " " * 4
_SENT = ("range", "accept", "content-type")
_GLOBBED = re.compile(r"[\[\]{}]")
_FILL = "x"


class CannotCopy(ValueError):
    """A call that cannot be sent again; the message says why."""


class Server(msgspec.Struct, frozen=True):
    """The server that a command calls, and its keys."""

    url: str
    grpc: str
    keys: dict[Plane, str]


# --- curl


def curl_of(entry: Entry, server: Server) -> str:
    """Return the command that calls a server as this exchange did: curl, or grpcurl. Raises CannotCopy."""
    if isinstance(entry.grpc, Grpc):
        return _grpcurl(entry, entry.grpc, server)
    parts = urlsplit(entry.request.url)
    url = server.url + parts.path + (f"?{parts.query}" if parts.query else "")
    method = entry.request.method
    words = ["curl", *(["-g"] if _GLOBBED.search(url) else []), *([] if method == "GET" else _method(method)), url]
    lines = [shlex.join(words)]
    is_form = isinstance(entry.request.body, PostData) and entry.request.body.params is not UNSET
    lines += [shlex.join(["-H", f"{name}: {value}"]) for name, value in _headers(entry, server, is_form=is_form)]
    feed = ""
    if isinstance(entry.request.body, PostData):
        feed, more = _curl_body(entry.request.body)
        lines += more
    return feed + " \\\n  ".join(lines)


def _method(method: str) -> list[str]:
    return ["-I"] if method == "HEAD" else ["-X", method]


def _headers(entry: Entry, server: Server, *, is_form: bool) -> Iterator[tuple[str, str]]:
    key = _key(entry)
    if key is not None:
        yield "authorization", f"Bearer {server.keys.get(key, 'xai-not-a-key') if isinstance(key, Plane) else key}"
    for name in _SENT:
        value = header(entry.request.headers, name)
        if value not in (None, "*/*") and not (is_form and name == "content-type"):
            yield name, str(value)


def _key(entry: Entry) -> Plane | str | None:
    """Return the plane whose key was sent, another key, or None for no key."""
    recorded = header(entry.request.headers, "authorization")
    if recorded is None:
        return None
    label = recorded.partition(" ")[2].strip("[]").removesuffix(" key")
    return Plane(label) if label in [plane.value for plane in Plane] else "xai-not-a-key"


def _curl_body(body: PostData) -> tuple[str, list[str]]:
    """Return the input of curl, and its arguments."""
    if body.params is UNSET:
        if body.size is not UNSET and body.size:
            raise CannotCopy(_left_out(body.size))
        # Without an explicit type, curl would declare the body a form.
        return "", [*([] if body.mime_type else ["-H content-type:"]), shlex.join(["--data-raw", body.text])]
    feed, lines = "", []
    for param in body.params:
        if isinstance(param.value, str) and param.filename is UNSET:
            lines.append(shlex.join(["--form-string", f"{param.name}={param.value}"]))
            continue
        if feed:
            raise CannotCopy("it uploads several files")
        feed = f"head -c {_size(param)} /dev/zero | tr '\\0' {_FILL} | "
        name = str(param.filename).replace("\\", "\\\\").replace('"', '\\"')
        lines.append(shlex.join(["-F", f'{param.name}=@-;filename="{name}"']))
    return feed, lines


def _grpcurl(entry: Entry, call: Grpc, server: Server) -> str:
    _check(call)
    lines = ["grpcurl -plaintext"]
    lines += [shlex.join(["-H", f"{name}: {value}"]) for name, value in _headers(entry, server, is_form=True)]
    lines.append(shlex.join(["-d", "\n".join(json.dumps(filled(message)) for message in call.request)]))
    lines.append(shlex.join([server.grpc, urlsplit(entry.request.url).path.removeprefix("/")]))
    return " \\\n  ".join(lines)


def _check(call: Grpc) -> None:
    if call.messages is not UNSET:
        raise CannotCopy("the journal does not keep its messages")


def _left_out(size: int) -> str:
    return f"the journal does not keep the {size} bytes of its body"


def _size(param: Param) -> int:
    return 0 if param.size is UNSET else param.size


# --- pytest


def pytest_of(entries: Sequence[Entry], entry: Entry) -> str:
    """Return a test that makes the same call with the fixture `xai_emulator`. Raises CannotCopy.

    `entries` are the exchanges before, of which those that lead to this one are made first.
    """
    chain = Chains(entries).of(entry)
    lines = list(_Test(chain).lines())
    uses_http = any("http." in line for line in lines)
    name = re.sub(r"\W", "_", entry.operation or "call").lower()
    docstring = f'{INDENT}"""Call {entry.number} of the journal, after the calls that lead to it."""'
    head = ["import httpx", "", "", f"def test_{name}(xai_emulator):", docstring]
    if not uses_http:
        return "\n".join([f"def test_{name}(xai_emulator):", docstring, *(INDENT + line for line in lines), ""])
    return "\n".join(
        [
            *head,
            f"{INDENT}with httpx.Client(base_url=xai_emulator.url, trust_env=False) as http:",
            *(2 * INDENT + line for line in lines),
            "",
        ]
    )


class _Test:
    """The lines of a test."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._known: set[str] = set()  # the variables that have a value by now

    def lines(self) -> Iterator[str]:
        for link in self._chain.links:
            if isinstance(link.entry.grpc, Grpc):
                yield from self._grpc(link, link.entry.grpc)
            else:
                yield from self._rest(link)
            for variable, path in link.saves.items():
                base = "answer.responses[0]" if isinstance(link.entry.grpc, Grpc) else "response.json()"
                yield f"{variable} = {base}{_subscripts(path)}"
                self._known.add(variable)
            if link is not self._chain.links[-1] and _starts_jobs(link.entry):
                yield "xai_emulator.advance(1)  # what the call has started is done then"

    # --- REST

    def _rest(self, link: Link) -> Iterator[str]:
        entry = link.entry
        parts = urlsplit(entry.request.url)
        target = self._literal(parts.path + (f"?{parts.query}" if parts.query else ""))
        arguments = [f"{entry.request.method!r}", target]
        is_form = isinstance(entry.request.body, PostData) and entry.request.body.params is not UNSET
        headers = self._headers(entry, is_form=is_form)
        if headers:
            arguments.append("headers={" + ", ".join(headers) + "}")
        if isinstance(entry.request.body, PostData):
            arguments += self._body(entry.request.body)
        yield f"response = http.request({', '.join(arguments)})"
        yield f"assert response.status_code == {entry.response.status}, response.text"
        if link is self._chain.links[-1]:
            yield from self._answer(entry)

    def _headers(self, entry: Entry, *, is_form: bool) -> list[str]:
        found = []
        key = _key(entry)
        if isinstance(key, Plane):
            name = "management_key" if key is Plane.MANAGEMENT else "api_key"
            found.append(f'"authorization": f"Bearer {{xai_emulator.{name}}}"')
        elif key is not None:
            found.append(f'"authorization": "Bearer {key}"')
        for name in _SENT:
            value = header(entry.request.headers, name)
            if value not in (None, "*/*") and not (is_form and name == "content-type"):
                found.append(f'"{name}": {value!r}')
        return found

    def _body(self, body: PostData) -> list[str]:
        if body.params is UNSET:
            if body.size is not UNSET and body.size:
                raise CannotCopy(_left_out(body.size))
            return [f"content={self._literal(body.text)}.encode()"] if body.text else []
        parts = []
        for param in body.params:
            if isinstance(param.value, str) and param.filename is UNSET:
                parts.append(f"({param.name!r}, (None, {self._literal(param.value)}))")
            else:
                name = self._literal(str(param.filename))
                parts.append(f"({param.name!r}, ({name}, b{_FILL!r} * {_size(param)}))")
        return [f"files=[{', '.join(parts)}]"]

    def _answer(self, entry: Entry) -> Iterator[str]:
        """Return the assertion on the response: the whole body of a refusal, the members of any other."""
        answer = None if entry.request.method == "HEAD" else answer_of(entry)
        if isinstance(answer, dict) and succeeded(entry):
            yield f"assert list(response.json()) == {list(answer)!r}"
        elif isinstance(answer, dict):
            yield f"assert response.json() == {self._value(answer)}"
        elif isinstance(answer, str) and answer and not succeeded(entry):
            yield f"assert response.text == {self._literal(answer)}"

    # --- gRPC

    def _grpc(self, link: Link, call: Grpc) -> Iterator[str]:
        _check(call)
        method = urlsplit(link.entry.request.url).path.removeprefix("/")
        messages = [self._value(filled(message)) for message in call.request]
        key = _key(link.entry)
        sent = [] if isinstance(key, Plane) else [f"key={key!r}"]
        yield f"answer = xai_emulator.grpc({', '.join([repr(method), *messages, *sent])})"
        yield f'assert answer.code == "{call.status}", answer.message'
        if link is self._chain.links[-1] and call.message:
            yield f"assert answer.message == {self._literal(call.message)}"

    # --- values

    def _value(self, value: Any) -> str:
        match value:
            case str():
                return self._literal(value)
            case list():
                return f"[{', '.join(map(self._value, value))}]"
            case dict():
                return "{" + ", ".join(f"{name!r}: {self._value(item)}" for name, item in value.items()) + "}"
            case _:
                return repr(value)

    def _literal(self, text: str) -> str:
        """Return a text as a Python literal, with variables for ids of earlier responses."""
        names = self._chain.names
        pieces: list[str] = []
        end = 0
        for found in ID.finditer(text):
            variable = names.get(found[0])
            if variable in self._known:
                pieces += [_braced(text[end : found.start()]), f"{{{variable}}}"]
                end = found.end()
        if not pieces:
            return repr(text)
        rest = _braced(text[end:])
        if pieces[0] == rest == "" and len(pieces) == 2:
            return pieces[1][1:-1]
        return 'f"' + "".join([*pieces, rest]) + '"'


def _braced(text: str) -> str:
    """Return a text escaped for an f-string in double quotes."""
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("{", "{{").replace("}", "}}")


def _subscripts(path: str) -> str:
    return "".join(f"[{part}]" if part.isdigit() else f"[{part!r}]" for part in path.split("."))


def _starts_jobs(entry: Entry) -> bool:
    """Return whether a call starts jobs that run after the response."""
    return entry.operation in ("documents.add", "documents.upload", "documents.update", "batches.add_requests")
