"""The verb that searches a running emulator, and shows why it answers what it answers."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

COLUMNS = "{rank:>4}  {score:>10}  {keyword:>16}  {vector:>16}  {file:<24}  {text}"
TEXT_CHARS = 60


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this room."""
    parser = verbs.add_parser("search", help="search collections of a running emulator, and explain the ranking")
    parser.add_argument("query", metavar="QUERY")
    parser.add_argument("--collection", metavar="ID", action="append", required=True, help="may be repeated")
    parser.add_argument("--mode", choices=("hybrid", "semantic", "keyword"), default="hybrid")
    parser.add_argument("--filter", metavar="FILTER", help='on metadata, as in author = "Sandra Kim"')
    parser.add_argument("--limit", metavar="N", type=int, help="chunks to show")
    parser.add_argument("--team", metavar="NAME", default="default")
    parser.add_argument("--url", metavar="URL", default="http://localhost:7878", help="where the emulator listens")
    parser.add_argument("--json", action="store_true", help="print the report as it comes")
    parser.set_defaults(run=_search)


def _search(options: argparse.Namespace) -> int:
    body = {
        "query": options.query,
        "source": {"collection_ids": options.collection},
        "retrieval_mode": {"type": options.mode},
        "filter": options.filter,
        "limit": options.limit,
    }
    try:
        report = _ask(options.url, options.team, body)
    except (OSError, ValueError) as error:
        print(f"xai-emulator: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
        return 0
    print(COLUMNS.format(rank="rank", score="score", keyword="keyword", vector="vector", file="file", text="chunk"))
    for match in report["matches"]:
        print(_line(match))
    return 0


def _ask(url: str, team: str, body: dict[str, Any]) -> Any:
    """The report of a running emulator. Raises OSError or ValueError with one clear sentence."""
    from urllib.error import HTTPError, URLError
    from urllib.parse import quote
    from urllib.request import ProxyHandler, Request, build_opener

    address = f"{url.rstrip('/')}/_emulator/search?team={quote(team, safe='')}"
    request = Request(address, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with build_opener(ProxyHandler({})).open(request) as reply:
            return json.load(reply)
    except HTTPError as error:
        with error:
            raise ValueError(json.load(error).get("error", error.reason)) from None
    except URLError as error:
        raise OSError(f"{url}: {error.reason}") from None


def _line(match: dict[str, Any]) -> str:
    text = " ".join(match["chunk_content"].split())
    return COLUMNS.format(
        rank=match["rank"],
        score=f"{match['score']:.6g}",
        keyword=_place(match["keyword"]),
        vector=_place(match["vector"]),
        file=match["filename"],
        text=text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "…",
    )


def _place(place: dict[str, Any] | None) -> str:
    return "-" if place is None else f"{place['score']:.6g} #{place['rank']}"
