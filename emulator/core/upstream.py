"""Servers that the emulator itself calls, with a bearer key in their URL: those of `--responder` and `--embedder`.

The key is sent only to the host in the URL. Redirects are refused, because urllib would send the key to their target.
The key is redacted in everything that is shown or raised.
"""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, quote, unquote, urlsplit, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
)

import msgspec

from emulator.core.redaction import REDACTED, redact_url

REPLY_BYTES_MAX = 32 * 1024 * 1024  # assumed: more than any answer or batch of vectors needs
REPLY_BYTES_READ = 65_536  # of an error reply
REPLY_CHARS_MAX = 200  # of an error reply, in a message


class UpstreamError(Exception):
    """A call of a server failed; the message has the server and the reason, without the key.

    `said` is the server's own error message, if its reply has one.
    """

    def __init__(self, message: str, said: str | None = None) -> None:
        super().__init__(message)
        self.said = said


def direct_opener() -> OpenerDirector:
    """Return an opener that follows no redirects and ignores the proxies of the environment."""
    opener = OpenerDirector()
    for handler in (HTTPHandler(), HTTPSHandler(), HTTPDefaultErrorHandler(), HTTPErrorProcessor()):
        opener.add_handler(handler)
    return opener


def redirect_refusal(url: str, error: HTTPError) -> str | None:
    """Return the error message for a redirect; None for any other reply."""
    if not 300 <= error.code < 400:
        return None
    try:
        host = urlsplit(error.headers.get("location") or "").hostname
    except ValueError:
        host = None
    where = "another path" if host is None else ascii(host)
    return f"{url} answered {error.code}, a redirect to {where}: not followed, since it would carry the key along"


class Upstream(msgspec.Struct, frozen=True):
    """A server with its key and model, from a URL such as `http://KEY@localhost:11434/v1?model=llama3`."""

    url: str  # without user, query and fragment
    key: str | None
    model: str | None
    opener: OpenerDirector

    @classmethod
    def from_url(cls, url: str) -> Upstream:
        """Return the server at a URL: its user is the bearer key, `model` in its query the model. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{redact_url(url)} is not an http URL")
        key, at, host = parts.netloc.rpartition("@")
        key = unquote(key)
        if not (key.isascii() and key.isprintable()):
            raise ValueError("the key in the URL is not printable ASCII, so no header can carry it")
        model = parse_qs(parts.query).get("model", [None])[0]
        address = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        return cls(address, key if at else None, model, direct_opener())

    def __repr__(self) -> str:
        return f"Upstream({self.url!r})"  # without the key

    def post(self, path: str, body: Any, *, timeout_seconds: float) -> Any:
        """POST JSON below the URL, and return the JSON of the reply. Blocks. Raises UpstreamError."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if self.key is not None:
            headers["authorization"] = f"Bearer {self.key}"
        url = self.url + path
        try:
            request = Request(url, json.dumps(body).encode(), headers)
            with self.opener.open(request, timeout=timeout_seconds) as reply:
                text = reply.read(REPLY_BYTES_MAX + 1)
            if len(text) > REPLY_BYTES_MAX:
                raise UpstreamError(f"{url}: the reply has more than {REPLY_BYTES_MAX} bytes")
            return json.loads(text)
        except HTTPError as error:
            with error:
                said = self._without_key(error.read(REPLY_BYTES_READ).decode("utf-8", "replace"))
            refusal = redirect_refusal(url, error)
            if refusal is not None:
                raise UpstreamError(refusal) from None
            raise UpstreamError(f"{url} answered {error.code}: {said[:REPLY_CHARS_MAX]}", _message(said)) from None
        except (URLError, HTTPException, OSError, ValueError) as error:
            raise UpstreamError(self._without_key(f"{url}: {getattr(error, 'reason', error)}")) from None

    def _without_key(self, text: str) -> str:
        """Redact the key: a server may quote the key that it refuses."""
        if not self.key:
            return text
        return text.replace(self.key, REDACTED).replace(quote(self.key, safe=""), REDACTED)


def _message(text: str) -> str | None:
    """Return the message of an error reply, in either of the two common formats."""
    try:
        found = json.loads(text)["error"]
        return str(found["message"] if isinstance(found, dict) else found)
    except (ValueError, TypeError, KeyError):
        return None
