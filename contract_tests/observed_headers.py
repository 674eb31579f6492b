"""What the headers of all responses of a run have in common, whatever a case is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .clients.http import Request, Response

REQUEST_ID = "x-request-id"
_API_PATH = re.compile("/(v1|auth|audit)(/|$)")
_ID = re.compile("(?<=/)[a-z_]*[0-9a-f]{8}-[0-9a-f-]{27}")
_UUID = "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
# What stands in a header that is there (recorded live, 2026-04 to 2026-09; RFC 9110).
_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(form))
    for name, form in (
        (REQUEST_ID, _UUID),
        ("x-zero-data-retention", "true|false"),
        ("x-data-retention", "[a-z_-]+"),
        ("x-should-retry", "true|false"),
        ("x-ratelimit-limit-requests", "[0-9]+"),
        ("x-ratelimit-limit-tokens", "[0-9]+"),
        ("x-ratelimit-remaining-requests", "[0-9]+"),
        ("x-ratelimit-remaining-tokens", "[0-9]+"),
        ("accept-ranges", "bytes|none"),
    )
)
_RATES = ("requests", "tokens")


class ObservedHeaders:
    """The headers of the responses that one run was sent."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._limits: dict[tuple[str, str, str], tuple[str, str]] = {}

    def mismatch(self, request: Request, response: Response) -> str | None:
        """Return what is wrong with the headers of a response, or None. Other paths than those of the API may differ.

        A server that sends x-request-id sends it with each response, and another one each time; the response to a
        stored answer has the id of that. The limits of the rates are the same for one key and model, whichever call
        names them.
        """
        path = urlsplit(request.url).path
        is_broken = response.status >= 500  # what a broken server sends is reported as that
        if _API_PATH.search(path) is None or request.method in ("HEAD", "OPTIONS") or is_broken:
            return None
        reason = self._reason(request, path, response)
        return None if reason is None else f"{request.method} {_ID.sub('{id}', path)} {reason}"

    def _reason(self, request: Request, path: str, response: Response) -> str | None:
        headers = response.headers
        if response.body and "content-type" not in headers:
            return "has a body without a content-type"
        for name, form in _FORMS:
            if name in headers and form.fullmatch(headers[name]) is None:
                return f"has {name}: {headers[name]!r}"
        return self._request_id(path, headers) or self._rates(request, path, headers)

    def _request_id(self, path: str, headers: Mapping[str, str]) -> str | None:
        id = headers.get(REQUEST_ID)
        if id is None:
            return f"has no {REQUEST_ID}, as other responses have" if self._ids else None
        if id in self._ids and id not in path:
            return f"has the {REQUEST_ID} of an earlier response"
        self._ids.add(id)
        return None

    def _rates(self, request: Request, path: str, headers: Mapping[str, str]) -> str | None:
        for rate in _RATES:
            limit, left = (headers.get(f"x-ratelimit-{word}-{rate}") for word in ("limit", "remaining"))
            if limit is None or left is None:
                if limit != left:
                    return f"has one of the headers of {rate} without the other"
                continue
            if int(left) > int(limit):
                return f"has {left} {rate} left of {limit}"
            owner = (request.headers.get("authorization", ""), _model(request), rate)
            before, where = self._limits.setdefault(owner, (limit, _ID.sub("{id}", path)))
            if limit != before:
                return f"limits {rate} to {limit}, {where} to {before}"
        return None


def _model(request: Request) -> str:
    found = re.search(rb'"model":\s*"([^"]*)"', request.body or b"")
    return found[1].decode() if found else ""
