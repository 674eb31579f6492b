"""Runs a case that is data: its HTTP requests one after the other, each response compared with what is expected.

A step is a table:
- `request`: method and path (or a whole URL, which is asked without a key), with a query if need be. Values in braces
  (`{file}`) are replaced: those a step saved, and `{run}`, with which every name begins. A path under /_emulator goes
  to the control plane of the run's team.
- `query`: further parameters, encoded here; `headers`: further headers.
- `key`: `own` (default: that of the plane), `other` (that of the other plane), `foreign` (that of another team, on an
  emulator), `wrong`, `none`, or a key that a step saved.
- `host`: `inference` sends the request to the inference host with its key, whatever the path.
- one of `json`, `form` (pairs, in order; a file is a table with `name`, `text` or `bytes_count`, and `type`) and
  `body` with `type`.
- `expect`: `status` (a number or several), `json`, `keys` (exactly these members), `text`, `type`, `headers`.
- `save`: names for parts of the response, as paths such as `data.0.id`; `.` is the whole response.
- `within_seconds`: ask again until the response is as expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from . import matchers, response_schemas
from .case import Case
from .clients.http import FilePart, Form, HeaderMismatch, Request, Response, Transport
from .target import FOREIGN_TEAM_SUFFIX, MANAGEMENT_PATHS, Target, as_team

STEP_KEYS = frozenset(
    ("request", "query", "headers", "key", "host", "json", "form", "body", "type", "expect", "save", "within_seconds")
)
EXPECTATION_KEYS = frozenset(("status", "json", "keys", "text", "type", "headers"))
_PLACEHOLDER = re.compile(r"\{(\w+)(?::(\d+))?\}")
_API_PATH = re.compile(r"/(?:v1|auth|audit)/.*")
INVALID_KEYS = "xai-token-of-nobody", "xai-of-nobody"  # by plane: each looks like a key of the other one


def run(case: Case, target: Target, transport: Transport) -> None:
    """Run every step; fail at the first that is not answered as expected."""
    variables: dict[str, Any] = {"run": target.run_prefix, "url": target.base_url, "team": target.team}
    for number, step in enumerate(case.steps, 1):
        if unknown := set(step) - STEP_KEYS:
            raise ValueError(f"{case.id}, step {number}: there is no {', '.join(sorted(unknown))}")
        response, body = _request_until_expected(
            step, variables, target, transport, f"step {number} ({step['request']})"
        )
        for name, path in step.get("save", {}).items():
            of_headers = body is None or path.startswith("header.")
            variables[name] = _extract(response if of_headers else body, path)


def _request_until_expected(
    step: Any, variables: Mapping[str, Any], target: Target, transport: Transport, where: str
) -> Any:
    """Ask until the response is as expected, at least once."""
    found: Any = None

    def mismatch() -> str | None:
        nonlocal found
        target.budget.spend()
        request = build_request(step, variables, target)
        observed, path = target.observed, _api_path(request)
        version = observed.version + (request.method not in ("GET", "HEAD"))
        try:
            response = transport.send(request)
        except HeaderMismatch as error:
            found = (error.response, None)
            return str(error)
        found = (response, response.json() if response.is_json else None)
        reason = _mismatch(request, response, _substitute(step.get("expect", {}), variables))
        if reason is None and path is not None and response.status < 400 and found[1] is not None:
            reason = observed.rest_mismatch(version, request.method, path, found[1])
        return reason

    seconds = step.get("within_seconds")
    if seconds is None:
        reason = mismatch()
        assert reason is None, f"{where}: {reason}\n{_format_response(found[0])}"
    else:
        matchers.wait_until(mismatch, "$null", within_seconds=min(seconds, target.wait_seconds_max), what=where)
    return found


def build_request(step: Mapping[str, Any], variables: Mapping[str, Any], target: Target) -> Request:
    """The HTTP request of a step."""
    method, _, place = step["request"].partition(" ")
    if _PLACEHOLDER.fullmatch(place):
        return Request(method, str(_substitute(place, variables)))
    path, _, text = _substitute_path(place, variables).partition("?")
    query = [(name, str(value)) for name, value in _pairs(_substitute(step.get("query", {}), variables))]
    control = path.startswith("/_emulator")
    if control and not path.startswith("/_emulator/teams"):  # whose path names the team
        query.append(("team", str(target.team)))
    management = path.startswith(MANAGEMENT_PATHS) and step.get("host") != "inference"
    headers = dict(_substitute(step.get("headers", {}), variables))
    word = _substitute(step.get("key", "own"), variables)
    key = target.control_token if control else _key(word, management, target)
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    body = _body(step, variables, headers)
    form = _form(step["form"], variables) if "form" in step else None
    address = f"{target.management_url if management else target.base_url}{path}"
    whole = "&".join(part for part in (text, urlencode(query)) if part)
    return Request(method, f"{address}?{whole}" if whole else address, headers, body, form)


def _key(word: str, management: bool, target: Target) -> str | None:
    match word:
        case "none":
            return None
        case "wrong":
            return INVALID_KEYS[management]
        case "foreign":
            other = as_team(target, f"{target.team}{FOREIGN_TEAM_SUFFIX}")
            return other.management_key if management else other.api_key
        case "own" | "other":
            return target.management_key if management == (word == "own") else target.api_key
    if word.startswith("xai-"):
        return word
    raise ValueError(f"key = {word!r} is not own, other, foreign, wrong, none or a saved key")


def _body(step: Mapping[str, Any], variables: Mapping[str, Any], headers: dict[str, str]) -> bytes | None:
    if "json" in step:
        headers.setdefault("content-type", "application/json")
        return json.dumps(_substitute(step["json"], variables)).encode()
    if "body" in step:
        if "type" in step:
            headers["content-type"] = step["type"]
        return str(_substitute(step["body"], variables)).encode()
    return None


def _form(parts: Any, variables: Mapping[str, Any]) -> Form:
    return [(name, value if isinstance(value, str) else _file(value)) for name, value in _substitute(parts, variables)]


def _file(value: Mapping[str, Any]) -> FilePart:
    content = bytes(value["bytes_count"]) if "bytes_count" in value else value["text"].encode()
    return FilePart(value.get("name"), content, value.get("type"))


# --- values in braces


def _substitute(value: Any, variables: Mapping[str, Any]) -> Any:
    """The value with every `{name}` replaced; one that stands alone keeps its type."""
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        if whole and not whole[2]:
            return variables[whole[1]]
        return _PLACEHOLDER.sub(lambda found: str(variables[found[1]]).ljust(int(found[2] or 0), "ö"), value)
    if isinstance(value, Mapping):
        return {name: _substitute(each, variables) for name, each in value.items()}
    if isinstance(value, list):
        return [_substitute(each, variables) for each in value]
    return value


def _substitute_path(path: str, variables: Mapping[str, Any]) -> str:
    return _PLACEHOLDER.sub(lambda found: quote(str(variables[found[1]]), safe=""), path)


def _pairs(query: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        (name, value) for name, values in query.items() for value in (values if isinstance(values, list) else [values])
    ]


def _extract(value: Any, path: str) -> Any:
    """A part of an response, by a path such as `data.0.id`; `header.NAME` is a header."""
    if isinstance(value, Response) or path.startswith("header."):
        assert isinstance(value, Response)
        return value.headers[path.removeprefix("header.")]
    for step in path.split(".") if path != "." else ():
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


# --- the judgement


def _mismatch(request: Request, response: Response, expected: Mapping[str, Any]) -> str | None:
    if unknown := set(expected) - EXPECTATION_KEYS:
        raise ValueError(f"there is no expectation {', '.join(sorted(unknown))}")
    wanted = expected.get("status", 200)
    if response.status not in (wanted if isinstance(wanted, list) else [wanted]):
        return f"the status is {response.status}, not {wanted}"
    checks: tuple[tuple[str, Callable[[Any], str | None]], ...] = (
        (
            "type",
            lambda type: matchers.mismatch(
                response.headers.get("content-type", matchers.ABSENT), type, "the content type"
            ),
        ),
        ("headers", lambda headers: matchers.mismatch(dict(response.headers), headers, "")),
        ("text", lambda text: matchers.mismatch(response.body.decode("utf-8", "replace"), text, "the body")),
        ("keys", lambda keys: matchers.mismatch(response.json(), {"$keys": keys}, "the response")),
        ("json", lambda value: matchers.mismatch(response.json(), value)),
    )
    for name, check in checks:
        reason = check(expected[name]) if name in expected else None
        if reason is not None:
            return reason
    path = _api_path(request)
    if path is not None and request.method != "HEAD":
        return response_schemas.violation(request.method, path, response)
    return None


def _api_path(request: Request) -> str | None:
    """The path of a call of the API, after what the host may have before it."""
    found = _API_PATH.search(urlsplit(request.url).path)
    return None if found is None else found[0]


def _format_response(response: Response) -> str:
    content_type = response.headers.get("content-type", "")
    return f"{response.status} {content_type}\n{response.body[:2000].decode('utf-8', 'replace')}"
