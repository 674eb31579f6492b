"""A search explained: on the control plane, and by the command line."""

from __future__ import annotations

import json

import httpx
import pytest

from emulator import Emulator
from emulator.cli import main


@pytest.fixture
def collection(control: httpx.Client, rest: httpx.Client, management: httpx.Client) -> str:
    """A collection of three documents, one of them far from the query."""
    id = management.post("/v1/collections", json={"collection_name": "c"}).json()["collection_id"]
    for name, text in (("ash.txt", "ash and elm"), ("ashes.txt", "ashes,\nashen"), ("oak.txt", "oak")):
        file = rest.post("/v1/files", files={"file": (name, text.encode())}).json()["id"]
        management.post(f"/v1/collections/{id}/documents/{file}", json={"fields": {"tree": name}}).raise_for_status()
    return str(id)


def body(collection: str, **fields: object) -> dict[str, object]:
    """The body that the API takes as well."""
    return {"query": "ash", "source": {"collection_ids": [collection]}, **fields}


def test_hybrid_search_report_has_scores_and_ranks(control: httpx.Client, rest: httpx.Client, collection: str) -> None:
    """Per match the keyword score, the vector score, both ranks, and the score that these ranks give."""
    report = control.post("/search", json=body(collection)).raise_for_status().json()
    answered = rest.post("/v1/documents/search", json=body(collection)).json()["matches"]
    assert report["mode"] == "hybrid"
    assert [match["chunk_id"] for match in report["matches"]] == [match["chunk_id"] for match in answered]
    assert [match["score"] for match in report["matches"]] == [match["score"] for match in answered]
    assert [match["rank"] for match in report["matches"]] == [1, 2, 3]
    first, second, third = report["matches"]
    assert first["filename"] == "ash.txt"
    assert first["fields"] == answered[0]["fields"]
    assert first["fields"]["tree"] == "ash.txt"
    assert (first["keyword"]["rank"], second["keyword"]["rank"], third["keyword"]) == (1, 2, None)
    assert third["vector"]["score"] == 0
    for match in report["matches"]:
        ranks = [place["rank"] for place in (match["keyword"], match["vector"]) if place]
        assert match["score"] == pytest.approx(sum(0.5 / (60 + rank) for rank in ranks), rel=1e-6)


@pytest.mark.parametrize(("mode", "other"), [("keyword", "vector"), ("semantic", "keyword")])
def test_single_mode_score_is_that_of_its_ranking(
    control: httpx.Client, collection: str, mode: str, other: str
) -> None:
    """And the other ranking was not made."""
    ranking = {"keyword": "keyword", "semantic": "vector"}[mode]
    report = control.post("/search", json=body(collection, retrieval_mode={"type": mode})).json()
    for match in report["matches"]:
        assert match[other] is None
        assert match["score"] == pytest.approx(match[ranking]["score"], rel=1e-6)


def test_filter_does_not_change_ranks(control: httpx.Client, collection: str) -> None:
    """What is left out is still counted."""
    everything = control.post("/search", json=body(collection)).json()["matches"]
    some = control.post("/search", json=body(collection, filter='tree != "ash.txt"')).json()["matches"]
    assert [{**match, "rank": 0} for match in some] == [{**match, "rank": 0} for match in everything[1:]]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"source": {"collection_ids": ["nope"]}}, 404),
        ({"filter": "= 3"}, 422),
        ({"limit": 0}, 422),
        ({"query": ""}, 422),
        ({"source": 3}, 400),
        ({"retrieval_mode": {"type": "magic"}}, 400),
    ],
)
def test_refusals(control: httpx.Client, collection: str, changes: dict[str, object], status: int) -> None:
    """In the words of the search, as errors of the control plane."""
    reply = control.post("/search", json={**body(collection), **changes})
    assert (reply.status_code, set(reply.json())) == (status, {"schema_version", "error"})


def test_another_team_is_named(control: httpx.Client, collection: str) -> None:
    """The collection is not theirs."""
    assert control.post("/search", params={"team": "others"}, json=body(collection)).status_code == 404


def test_search_command_prints_table(emulator: Emulator, collection: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each match, best first, with both scores and ranks."""
    assert main(["search", "--url", emulator.url, "--collection", collection, "ash"]) == 0
    head, first, second, third = capsys.readouterr().out.splitlines()
    assert head.split() == ["rank", "score", "keyword", "vector", "file", "chunk"]
    assert first.split()[0] == "1"
    assert first.endswith("ash.txt                   ash and elm")
    assert " #1 " in first
    assert second.endswith("ashes, ashen")
    assert third.split()[2] == "-"


def test_search_command_prints_json(emulator: Emulator, collection: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The report as it comes, for the mode, the filter and the limit that were given."""
    flags = ["--mode", "keyword", "--filter", "tree = ash.txt", "--limit", "1", "--json"]
    assert main(["search", "--url", emulator.url, "--collection", collection, *flags, "ash"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["mode"], [match["filename"] for match in report["matches"]]) == ("keyword", ["ash.txt"])


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--collection", "nope"], "Collection not found"),
        (["--collection", "c", "--url", "http://localhost:9"], "no emulator answers at http://localhost:9"),
        (["--collection", "c", "--limit", "0"], "limit"),
    ],
)
def test_search_command_fails_with_one_line(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], flags: list[str], sentence: str
) -> None:
    """Exit code 1, and why."""
    assert main(["search", "--url", emulator.url, *flags, "ash"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("xai-emulator: ")
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
