"""Replay recorded exchanges with the real service on a fresh emulator, and report where the responses differ.

    python -m tools.recordings DIRECTORY

Each `*.json` in the directory is a list of recordings, `{"name": …, "exchanges": [{"method", "url", "content_type",
"body", "at", "status", "response_type", "response"}]}`. A recording gets a team of its own, whose clock stands at the
time of each exchange. Identifiers are bound: where the recording shows one for the first time, the one that the
emulator gives takes its place in later requests. The contents of uploads are not recorded, so files of the recorded
size are sent, or what a later exchange downloads.

The exit code is 1 if there is a difference, or nothing to compare.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from emulator import Emulator

Exchange = Mapping[str, Any]

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ID = re.compile(rf"(?:[a-z]+_)?{UUID}")
# Values that differ from run to run: what has one of these forms has the same form here.
FORMS = {
    "an identifier": ID,
    "a timestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
    "a date": re.compile(r"\d{4}-\d\d-\d\d"),
    "a hash": re.compile("[0-9a-f]{64}"),
}
REFUSED_KEY = 401
PAGE_ITEMS = 100  # of a full page, on which a token follows
# What depends on how far the service had come when it was asked: the emulator is always at the end.
PROGRESS = {"status", "last_indexed_at", "chunk_count", "chunks_processed_count"}


def replay(exchanges: list[Exchange], emulator: Emulator, team: str) -> Iterator[str]:
    """Send the requests of one recording, and yield the differences of the responses."""
    bound: dict[str, str] = {}
    with httpx.Client(base_url=emulator.url) as client:
        client.post("/_emulator/teams", json={"name": team, "batches": "manual"}).raise_for_status()
        for number, exchange in enumerate(exchanges, 1):
            client.post(f"/_emulator/clock/freeze?team={team}", json={"at": exchange["at"]}).raise_for_status()
            reply = _send(client, exchange, exchanges[number:], bound, team)
            place = f"{number}: {exchange['method']} {urlsplit(exchange['url']).path}"
            for difference in compare(exchange, reply, bound):
                yield f"{place}: {difference}"


def _send(
    client: httpx.Client, exchange: Exchange, later: list[Exchange], bound: Mapping[str, str], team: str
) -> httpx.Response:
    url = urlsplit(exchange["url"])
    is_managed = url.netloc.startswith("management-api.")
    refused = exchange["status"] == REFUSED_KEY
    key = "xai-token-emulator" if is_managed is not refused else "xai-emulator"
    headers = {"authorization": f"Bearer {key}@{team}"}
    target = quote(_bind(url.path, bound), safe="/:") + (f"?{_bind(url.query, bound)}" if url.query else "")
    if exchange["body"] is None and exchange["method"] == "POST" and url.path == "/v1/files":
        recorded = json.loads(exchange["response"])
        file = (recorded["filename"], _content(recorded, later))
        return client.post(target, headers=headers, files={"file": file})
    if exchange["content_type"] is not None:
        headers["content-type"] = exchange["content_type"]
    body = None if exchange["body"] is None else _bind(exchange["body"], bound)
    return client.request(exchange["method"], target, headers=headers, content=body)


def _content(recorded: Mapping[str, Any], later: list[Exchange]) -> bytes:
    """Return what a later exchange downloads of a file, or as many bytes as it has."""
    path = f"/v1/files/{recorded['id']}/content"
    for exchange in later:
        if exchange["status"] == 200 and urlsplit(exchange["url"]).path == path:
            return str(exchange["response"]).encode()
    return b"x" * int(recorded["bytes"])


def _bind(text: str, bound: Mapping[str, str]) -> str:
    return ID.sub(lambda found: bound.get(found[0], found[0]), text)


def compare(exchange: Exchange, reply: httpx.Response, bound: dict[str, str]) -> Iterator[str]:
    """Yield the differences of a response, and bind the identifiers that the recording shows for the first time."""
    if exchange["status"] != reply.status_code:
        yield f"status {exchange['status']} recorded, {reply.status_code} here: {reply.text[:200]}"
        return
    content_type = reply.headers.get("content-type")
    if exchange["response_type"] != content_type:
        yield f"content type {exchange['response_type']!r} recorded, {content_type!r} here"
    if exchange["response_type"] != "application/json":
        if exchange["response"] != reply.text:
            yield f"body {exchange['response']!r} recorded, {reply.text!r} here"
        return
    if _style(exchange["response"]) != _style(reply.text):
        yield f"spaces as in {exchange['response'][:40]!r} recorded, as in {reply.text[:40]!r} here"
    yield from _compare(json.loads(exchange["response"]), reply.json(), "$", bound)


def _style(text: str) -> str:
    """Return how the members of JSON are separated: its bytes are known by that and by their order."""
    for separators in ((",", ":"), (", ", ":"), (", ", ": ")):
        if json.dumps(json.loads(text), separators=separators, ensure_ascii=False) == text:
            return repr(separators)
    return "otherwise"


def _compare(there: Any, here: Any, path: str, bound: dict[str, str]) -> Iterator[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        yield from _compare_objects(there, here, path, bound)
    elif isinstance(there, list) and isinstance(here, list):
        yield from _compare_lists(there, here, path, bound)
    elif isinstance(there, str) and isinstance(here, str):
        yield from _compare_texts(there, here, path, bound)
    elif type(there) is not type(here) or there != here:
        is_time = path.endswith("_at") and type(there) is type(here) is int  # Unix seconds, which pass meanwhile
        if not is_time:
            yield f"{path}: {there!r} recorded, {here!r} here"


def _compare_objects(there: dict[str, Any], here: dict[str, Any], path: str, bound: dict[str, str]) -> Iterator[str]:
    if list(there) != list(here):
        yield f"{path}: members {', '.join(there)} recorded, {', '.join(here)} here"
    is_in_progress = str(there.get("status", "")).startswith("DOCUMENT_STATUS_")
    has_next_page = any(isinstance(value, list) and len(value) == PAGE_ITEMS for value in there.values())
    for name in there.keys() & here.keys():
        if is_in_progress and name in PROGRESS and there["status"] != here["status"]:
            continue
        if has_next_page and name == "pagination_token":
            continue
        yield from _compare(there[name], here[name], f"{path}.{name}", bound)


def _compare_lists(there: list[Any], here: list[Any], path: str, bound: dict[str, str]) -> Iterator[str]:
    """Compare the items in their order; those that the recording did not make have only their shape compared."""
    foreign = [item for item in there if _is_foreign(item, bound)]
    known = [item for item in there if item not in foreign]
    if len(known) != len(here):
        yield f"{path}: {len(known)} items recorded, {len(here)} here"
    for number, (one, other) in enumerate(zip(known, here, strict=False)):
        yield from _compare(one, other, f"{path}[{number}]", bound)
    for item in foreign:
        if here and isinstance(item, dict) and list(item) != list(here[0]):
            yield f"{path}: members {', '.join(item)} recorded, {', '.join(here[0])} here"
            return


def _is_foreign(item: Any, bound: Mapping[str, str]) -> bool:
    """Whether an item of a list was not made by the recording: its first identifier is not bound."""
    if not isinstance(item, dict):
        return False
    first = next(iter(item.values()), None)
    return isinstance(first, str) and ID.fullmatch(first) is not None and first not in bound


def _compare_texts(there: str, here: str, path: str, bound: dict[str, str]) -> Iterator[str]:
    for form, pattern in FORMS.items():
        if not pattern.fullmatch(there):
            continue
        if not pattern.fullmatch(here) or (there.partition("_")[0] != here.partition("_")[0] and "_" in there):
            yield f"{path}: {form} such as {there!r} recorded, {here!r} here"
        elif pattern is ID and bound.setdefault(there, here) != here:
            yield f"{path}: the same identifier as before recorded, another one here"
        return
    if there != here:
        yield f"{path}: {there!r} recorded, {here!r} here"


def main(words: list[str]) -> int:
    """Replay every recording of a directory; print the differences."""
    [directory] = words
    recordings = [each for path in sorted(Path(directory).glob("*.json")) for each in json.loads(path.read_text())]
    exchanges, differences = 0, 0
    with Emulator() as emulator:
        for number, recording in enumerate(recordings):
            exchanges += len(recording["exchanges"])
            for difference in replay(recording["exchanges"], emulator, f"recording-{number}"):
                differences += 1
                print(f"{recording['name']} {difference}")
    print(f"{exchanges} exchanges replayed, {differences} differences")
    return 1 if differences or not exchanges else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
