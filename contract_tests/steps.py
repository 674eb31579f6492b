"""Runs a case that is data: its HTTP requests one after the other, each answer held against what is expected.

A step is a table:
- `request`: method and path (or a whole URL, which is asked without a key), with a query if need be. Values in braces
  (`{file}`) are replaced: those a step saved, and `{run}`, with which every name begins. A path under /_emulator goes
  to the control plane of the run's team.
- `query`: further parameters, encoded here; `headers`: further headers.
- `key`: `own` (default: that of the plane), `other` (that of the other plane), `foreign` (that of another team, on an
  emulator), `wrong`, `none`.
- one of `json`, `form` (pairs, in order; a file is a table with `name`, `text` or `bytes_count`, and `type`) and
  `body` with `type`.
- `expect`: `status` (a number or several), `json`, `keys` (exactly these members), `text`, `type`, `headers`.
- `save`: names for parts of the answer, as paths such as `data.0.id`; `.` is the whole answer.
- `within_seconds`: ask again until the answer is as expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from . import answers, must
from .case import Case
from .clients.wire import Answer, Form, Part, Request, Transport
from .target import FOREIGN, Target, as_team

WORDS = frozenset(
    ("request", "query", "headers", "key", "json", "form", "body", "type", "expect", "save", "within_seconds")
)
EXPECTATIONS = frozenset(("status", "json", "keys", "text", "type", "headers"))
_PLACE = re.compile(r"\{(\w+)(?::(\d+))?\}")
WRONG_KEYS = "xai-token-of-nobody", "xai-of-nobody"  # by plane: each looks like a key of the other one


def run(case: Case, target: Target, transport: Transport) -> None:
    """Run every step; fail at the first that is not answered as expected."""
    known: dict[str, Any] = {"run": target.run, "url": target.base_url, "team": target.team}
    for number, step in enumerate(case.steps, 1):
        if unknown := set(step) - WORDS:
            raise ValueError(f"{case.id}, step {number}: there is no {', '.join(sorted(unknown))}")
        answer, body = _ask_until(step, known, target, transport, f"step {number} ({step['request']})")
        for name, path in step.get("save", {}).items():
            known[name] = _part(body if body is not None else answer, path)


def _ask_until(step: Any, known: Mapping[str, Any], target: Target, transport: Transport, where: str) -> Any:
    """Ask until the answer is as expected, at least once."""
    found: Any = None

    def differs() -> str | None:
        nonlocal found
        target.budget.spend()
        request = build(step, known, target)
        answer = transport.send(request)
        found = (answer, answer.json() if answer.is_json else None)
        return _differs(request, answer, _filled(step.get("expect", {}), known))

    seconds = step.get("within_seconds")
    if seconds is None:
        reason = differs()
        assert reason is None, f"{where}: {reason}\n{_shown(found[0])}"
    else:
        must.become(differs, "$null", within_seconds=min(seconds, target.patience_seconds), what=where)
    return found


def build(step: Mapping[str, Any], known: Mapping[str, Any], target: Target) -> Request:
    """The HTTP request of a step."""
    method, _, place = step["request"].partition(" ")
    if _PLACE.fullmatch(place):
        return Request(method, str(_filled(place, known)))
    path, _, text = _filled_path(place, known).partition("?")
    query = [(name, str(value)) for name, value in _pairs(_filled(step.get("query", {}), known))]
    control = path.startswith("/_emulator")
    if control and not path.startswith("/_emulator/teams"):  # whose path names the team
        query.append(("team", str(target.team)))
    management = path.startswith("/v1/collections")
    headers = dict(_filled(step.get("headers", {}), known))
    key = target.control_token if control else _key(step.get("key", "own"), management, target)
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    body = _body(step, known, headers)
    form = _form(step["form"], known) if "form" in step else None
    address = f"{target.management_url if management else target.base_url}{path}"
    whole = "&".join(part for part in (text, urlencode(query)) if part)
    return Request(method, f"{address}?{whole}" if whole else address, headers, body, form)


def _key(word: str, management: bool, target: Target) -> str | None:
    match word:
        case "none":
            return None
        case "wrong":
            return WRONG_KEYS[management]
        case "foreign":
            other = as_team(target, f"{target.team}{FOREIGN}")
            return other.management_key if management else other.api_key
        case "own" | "other":
            return target.management_key if management == (word == "own") else target.api_key
    raise ValueError(f"key = {word!r} is not own, other, foreign, wrong or none")


def _body(step: Mapping[str, Any], known: Mapping[str, Any], headers: dict[str, str]) -> bytes | None:
    if "json" in step:
        headers.setdefault("content-type", "application/json")
        return json.dumps(_filled(step["json"], known)).encode()
    if "body" in step:
        if "type" in step:
            headers["content-type"] = step["type"]
        return str(_filled(step["body"], known)).encode()
    return None


def _form(parts: Any, known: Mapping[str, Any]) -> Form:
    return [(name, value if isinstance(value, str) else _file(value)) for name, value in _filled(parts, known)]


def _file(value: Mapping[str, Any]) -> Part:
    content = bytes(value["bytes_count"]) if "bytes_count" in value else value["text"].encode()
    return Part(value.get("name"), content, value.get("type"))


# --- values in braces


def _filled(value: Any, known: Mapping[str, Any]) -> Any:
    """The value with every `{name}` replaced; one that stands alone keeps its type."""
    if isinstance(value, str):
        whole = _PLACE.fullmatch(value)
        if whole and not whole[2]:
            return known[whole[1]]
        return _PLACE.sub(lambda found: str(known[found[1]]).ljust(int(found[2] or 0), "ö"), value)
    if isinstance(value, Mapping):
        return {name: _filled(each, known) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, known) for each in value]
    return value


def _filled_path(path: str, known: Mapping[str, Any]) -> str:
    return _PLACE.sub(lambda found: quote(str(known[found[1]]), safe=""), path)


def _pairs(query: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        (name, value) for name, values in query.items() for value in (values if isinstance(values, list) else [values])
    ]


def _part(value: Any, path: str) -> Any:
    """A part of an answer, by a path such as `data.0.id`; `header.NAME` is a header."""
    if isinstance(value, Answer) or path.startswith("header."):
        assert isinstance(value, Answer)
        return value.headers[path.removeprefix("header.")]
    for step in path.split(".") if path != "." else ():
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


# --- the judgement


def _differs(request: Request, answer: Answer, expected: Mapping[str, Any]) -> str | None:
    if unknown := set(expected) - EXPECTATIONS:
        raise ValueError(f"there is no expectation {', '.join(sorted(unknown))}")
    wanted = expected.get("status", 200)
    if answer.status not in (wanted if isinstance(wanted, list) else [wanted]):
        return f"the status is {answer.status}, not {wanted}"
    checks: tuple[tuple[str, Callable[[Any], str | None]], ...] = (
        ("type", lambda type: must.differs(answer.headers.get("content-type", must.ABSENT), type, "the content type")),
        ("headers", lambda headers: must.differs(dict(answer.headers), headers, "")),
        ("text", lambda text: must.differs(answer.body.decode("utf-8", "replace"), text, "the body")),
        ("keys", lambda keys: must.differs(answer.json(), {"$keys": keys}, "the answer")),
        ("json", lambda value: must.differs(answer.json(), value)),
    )
    for name, check in checks:
        reason = check(expected[name]) if name in expected else None
        if reason is not None:
            return reason
    path = request.url.split("/v1/", 1)
    if len(path) == 2 and request.method != "HEAD":
        return answers.misshapen(request.method, f"/v1/{path[1].partition('?')[0]}", answer)
    return None


def _shown(answer: Answer) -> str:
    return f"{answer.status} {answer.headers.get('content-type', '')}\n{answer.body[:2000].decode('utf-8', 'replace')}"
