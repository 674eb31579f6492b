"""HAR entries as other programs write them: browsers, Charles, Proxyman, HTTP Toolkit, mitmproxy, Playwright, Polly.

HAR has no place for the bytes of a binary request, so each program has its own: an `encoding` in postData, `_content`
beside it (HTTP Toolkit), or a character for each byte (mitmproxy, ProxyPin), as the length of the body shows. Polly
writes compressed answers as a JSON list of chunks, in base64 or in hexadecimal digits. Some write null for missing
values, headers as lists of two, or an object of headers.
"""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from typing import Any

import msgspec

from emulator.recordings.bounded_json import BAD_JSON
from emulator.recordings.entries import Pair, Param, header
from emulator.recordings.foreign import ForeignExchange


def exchange_of(raw: bytes) -> ForeignExchange | None:
    """Return the exchange of an entry; None for an invalid entry."""
    try:
        entry = msgspec.json.decode(raw)
    except BAD_JSON:
        return None
    request, response = _object(entry, "request"), _object(entry, "response")
    method, url = _string(request, "method"), _string(request, "url")
    if not method or not url:
        return None
    post, content = _object(request, "postData"), _object(response, "content")
    return ForeignExchange(
        method,
        url,
        _pairs(request.get("headers")),
        _body(_object(request, "_content")) or _body(post, _request_size(request), is_text=_is_text(post)),
        _params(post.get("params")),
        _string(post, "mimeType"),
        _number(response.get("status")),
        _string(response, "statusText"),
        _pairs(response.get("headers")),
        _pairs(response.get("_trailers")),
        _body(content, _number(content.get("size")), is_text=_is_text(content)),
        _string(content, "mimeType"),
        max(0, _number(content.get("size"))),
        _string(entry, "startedDateTime"),
        _number(entry.get("time")),
    )


def _object(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _string(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _number(value: Any) -> int:
    """Return a whole number, also from a text."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def _pairs(value: Any) -> list[Pair]:
    if isinstance(value, dict):
        value = [[name, item] for name, item in value.items()]
    found = []
    for item in value if isinstance(value, list) else []:
        match item:
            case {"name": str(name), "value": str() | int() | float() as text}:
                found.append(Pair(name, str(text)))
            case {"name": str(name)}:
                found.append(Pair(name))
            case [str(name), str(text)]:
                found.append(Pair(name, text))
    return found


def _params(value: Any) -> list[Param]:
    found = []
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict):
            try:
                found.append(msgspec.convert({key: each for key, each in item.items() if each is not None}, Param))
            except msgspec.ValidationError:
                continue
    for param in found:
        param.file = msgspec.UNSET  # nothing is read beside the file of another program
    return found


def _request_size(request: dict[str, Any]) -> int:
    """Return the size of a request's body according to the file; 0 if it does not say."""
    length = header(_pairs(request.get("headers")), "content-length")
    return max(0, _number(request.get("bodySize"))) or max(0, _number(length))


def _is_text(body: dict[str, Any]) -> bool:
    kind = _string(body, "mimeType").lower()
    return "json" in kind or kind.startswith("text/")


def _body(value: dict[str, Any], size: int = 0, *, is_text: bool = False) -> bytes | None:
    """Return the bytes of a body. If its text has `size` characters, each character is one byte."""
    text = value.get("text")
    if not isinstance(text, str):
        return None
    if value.get("_isBinary") or (value.get("encoding") == "base64" and text.startswith("[")):
        return _chunks(text)
    if value.get("encoding") == "base64":
        return _base64(text)
    plain = text.encode("utf-8", "replace")
    if size == len(text) != len(plain):
        with suppress(UnicodeError):
            found = text.encode("latin-1")
            if is_text:  # whose characters a program may count, and not the bytes
                found.decode()
            return found
    return plain


def _chunks(text: str) -> bytes | None:
    """The chunks of Polly: a JSON list of texts, or one text."""
    try:
        chunks = msgspec.json.decode(text, type=list[str]) if text.startswith("[") else [text]
    except BAD_JSON:
        return None
    pieces = [_hexadecimal(chunk) or _base64(chunk) for chunk in chunks]
    return None if None in pieces else b"".join(piece for piece in pieces if piece is not None)


def _hexadecimal(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
