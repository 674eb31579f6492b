"""The verb `search`: search a running emulator, and explain the ranking."""

from __future__ import annotations

import argparse
from typing import Any

from emulator.cli.client import add_target, call
from emulator.cli.output import say, say_json

COLUMNS = "{rank:>4}  {score:>10}  {keyword:>16}  {vector:>16}  {file:<24}  {text}"
TEXT_CHARS = 60


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this module."""
    parser = verbs.add_parser("search", help="search collections of a team, and explain the ranking")
    parser.add_argument("query", metavar="QUERY")
    parser.add_argument("--collection", metavar="ID", action="append", required=True, help="may be repeated")
    parser.add_argument(
        "--mode", choices=("hybrid", "semantic", "keyword"), default="hybrid", help="default: hybrid, as in the API"
    )
    parser.add_argument("--filter", metavar="FILTER", help='on metadata, as in author = "Sandra Kim"')
    parser.add_argument("--limit", metavar="N", type=int, help="chunks to show; default 10")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_target(parser)
    parser.set_defaults(run=_search)


def _search(options: argparse.Namespace) -> int:
    body = {
        "query": options.query,
        "source": {"collection_ids": options.collection},
        "retrieval_mode": {"type": options.mode},
        "filter": options.filter,
        "limit": options.limit,
    }
    report = call(options, "POST", "/search", body)
    if options.json:
        say_json(report)
        return 0
    say(COLUMNS.format(rank="rank", score="score", keyword="keyword", vector="vector", file="file", text="chunk"))
    for match in report["matches"]:
        say(_line(match))
    return 0


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
