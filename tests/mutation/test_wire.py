"""The mutants of the wire: what is generated, and that a server is wrong in just that way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from contract_tests import response_schemas
from contract_tests.clients.http import Response
from emulator import Emulator
from emulator.http.requests import Request
from emulator.rest import server as rest
from emulator.rpc import server as rpc
from tests.mutation.wire.changes import Changer, Seen, names_of
from tests.mutation.wire.server import Mutant, Place, Wire, install

LIST = "GET /v1/files"
GONE: Any = object()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """The wire of the emulators that a test starts."""
    for owner, name in ((rest.Rest, "_call"), (Request, "read_body"), (rpc.RpcServer, "_perform"), (rpc, "METHODS")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # so that it is as before afterwards
    found = Wire()
    install(found)
    return found


@pytest.fixture
def emulator(wire: Wire) -> Iterator[Emulator]:
    """An emulator on that wire, with two files."""
    with Emulator(port=0) as emulator:
        for name in "ab":
            assert ask(emulator, "POST", "/v1/files", files={"file": (f"{name}.txt", b"x")}).status_code == 200
        yield emulator


def ask(emulator: Emulator, method: str, path: str, **more: Any) -> httpx.Response:
    """One call."""
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    return httpx.request(method, f"{emulator.url}{path}", headers=headers, trust_env=False, **more)


def kit_error(response: httpx.Response) -> str | None:
    """What the contract kit finds wrong with the shape of a list of files."""
    found = Response(response.status_code, dict(response.headers), response.content)
    return response_schemas.violation("GET", "/v1/files", found)


def test_recorded_calls_become_mutants(wire: Wire, emulator: Emulator) -> None:
    """Members, headers, statuses, errors and what was asked for become mutants of the calls that were recorded."""
    wire.case = "files.list"
    ask(emulator, "GET", "/v1/files?limit=1")
    ask(emulator, "GET", "/v1/files?limit=0")
    wire.case = None
    found = {str(mutant) for mutant in wire.mutants()}
    assert {
        "rest answer GET /v1/files data.[].filename drop",
        "rest answer GET /v1/files data.[].bytes plus-one",
        "rest answer GET /v1/files data.[].created_at like-bytes",
        "rest header GET /v1/files x-request-id drop",
        "rest status GET /v1/files 200 other",
        "rest request GET /v1/files query.limit drop",
    } <= found
    assert len(found) == len(wire.mutants())
    assert all(seen.cases == {"files.list"} for seen in wire.seen.values())


@pytest.mark.parametrize(
    ("part", "path", "change", "error"),
    [
        ("answer", ("data", "[]", "filename"), "drop", "filename"),
        ("answer", ("data", "[]", "bytes"), "as-text", "bytes"),
        ("header", ("x-request-id",), "longer", "x-request-id"),
    ],
)
def test_mutant_is_wrong_until_it_ends(
    wire: Wire, emulator: Emulator, part: str, path: tuple[str, ...], change: str, error: str
) -> None:
    """A server is wrong where the mutant says, the kit notices that, and afterwards the server is right again."""
    assert kit_error(ask(emulator, "GET", "/v1/files")) is None
    wire.begin(Mutant(Place("rest", part, LIST, path), change))
    reason = kit_error(ask(emulator, "GET", "/v1/files"))
    assert reason is not None
    assert error in reason
    assert wire.changer.count > 0
    wire.mutant = None
    assert kit_error(ask(emulator, "GET", "/v1/files")) is None


def test_changed_request_is_read_by_server(wire: Wire, emulator: Emulator) -> None:
    """A member that the server does not read has no effect, which the comparison of answers shows."""
    wire.case = "files.list"
    right = ask(emulator, "GET", "/v1/files?limit=1").json()
    wire.case = None
    wire.begin(Mutant(Place("rest", "request", LIST, ("query", "limit")), "drop"))
    wrong = ask(emulator, "GET", "/v1/files?limit=1").json()
    assert [len(right["data"]), len(wrong["data"])] == [1, 2]
    assert wire.has_other_answers("files.list")


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("previous", [1, 2, 3], [1, 1, 2]),
        ("first", [1, 2, 3], [1, 1, 1]),
        ("plus-one", [1, 2], [2, 3]),
        ("as-text", [True], ["true"]),
        ("reversed", [[1, 2]], [[2, 1]]),
        ("day-later", ["2026-02-28", "2026-12-31T00:00:00Z"], ["2026-03-01", "2027-01-01T00:00:00Z"]),
        ("drop", [1], [GONE]),
        ("like-b", [1], [7]),
    ],
)
def test_change_gives_wrong_value(name: str, values: list[Any], expected: list[Any]) -> None:
    """Each change is what its name says; those with a memory repeat values of earlier answers."""
    changer = Changer(name, ("a",), is_grpc=False)
    answers = [{"a": value, "b": 7} for value in values]
    for answer in answers:
        changer.apply(answer)
    assert [answer.get("a", GONE) for answer in answers] == expected


def test_value_of_object_is_kept_per_object() -> None:
    """What is stale is the value that the same object had first."""
    changer = Changer("first-of-object", ("data", "[]", "n"), is_grpc=False)
    changer.apply({"data": [{"id": "a", "n": 1}, {"id": "b", "n": 2}]})
    later = {"data": [{"id": "b", "n": 5}, {"id": "a", "n": 6}]}
    assert changer.apply(later)
    assert later == {"data": [{"id": "b", "n": 2}, {"id": "a", "n": 1}]}


def test_changes_without_effect_are_not_generated() -> None:
    """A change is a mutant only where it changes a value that was seen."""
    names = [*names_of(Seen([3, 3.0], set()), ("a",), {}, is_grpc=False, is_request=False)]
    assert {"drop", "null", "plus-one", "double"} <= {*names}
    assert not {"rounded", "cut", "reversed", "not"} & {*names}
    assert [*names_of(Seen([0], set()), ("a",), {}, is_grpc=True, is_request=True)] == ["plus-one", "minus-one"]
