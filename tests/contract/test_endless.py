"""The contract kit ends, with a report, on servers whose lists or answers do not."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract_tests import cleanup, deadline, pages
from contract_tests.clients.http import HttpxTransport, Request, Response
from contract_tests.clients.models import File, Page
from contract_tests.target import Budget, BudgetExhausted, Target

from .kit import NODE_PACKAGES, Run, run_kit
from .mutants import Mutant

Change = tuple[str, str, str]

EMPTY_TOKEN = (
    "emulator/rest/schemas/files.py",
    "return FilesJson([file_json(view) for view in page.items], page.next_token)",
    'return FilesJson([file_json(view) for view in page.items], page.next_token or "")',
)
TOKEN_IGNORED = ("emulator/rest/schemas/files.py", "pagination_token=query.pagination_token,", "pagination_token=None,")
AFTER_IGNORED = ("emulator/rest/schemas/files.py", "after=query.after,", "after=None,")
TOKEN_OVER_GRPC_IGNORED = (
    "emulator/rpc/files.py",
    'pagination_token=optional(message, "pagination_token"),',
    "pagination_token=None,",
)
RESULTS_TOKEN_IGNORED = (
    (
        "emulator/rest/schemas/batches.py",
        'return {"results": [_result(view) for view in page.items], "pagination_token": token}',
        'return {"results": [_result(view) for view in page.items], "pagination_token": "again"}',
    ),
    (
        "emulator/operations/batches/results.py",
        "    batch = get_batch(services, call, request.batch_id)\n    query =",
        "    request = msgspec.structs.replace(request, pagination_token=None)\n"
        "    batch = get_batch(services, call, request.batch_id)\n    query =",
    ),
)
ANSWERS_NEVER = (
    "emulator/operations/files/read.py",
    "    return view(services, call, get_file(services, call, request.file_id))\n",
    "    import asyncio\n\n    await asyncio.sleep(3600)\n    raise AssertionError\n",
)


def judge(tmp_path: Path, changes: tuple[Change, ...], *options: str, client: str = "httpx") -> Run:
    """Run the kit against an emulator that is wrong in one way."""
    tree = Mutant("", changes, "files.").grow(tmp_path / "tree")
    return run_kit(f"--clients={client}", *options, tree=tree, record=tmp_path / "record.json")


@pytest.mark.parametrize(
    ("client", "change", "says"),
    [
        ("httpx", EMPTY_TOKEN, "the last page has the token '', instead of none"),
        ("httpx", TOKEN_IGNORED, "comes a second time"),
        ("openai", AFTER_IGNORED, "comes a second time after 3 items, so the list never ends"),
        ("xai-sdk", TOKEN_OVER_GRPC_IGNORED, "comes a second time"),
    ],
    ids=["empty-token", "token-ignored", "after-ignored", "grpc-token-ignored"],
)
def test_endless_file_list_fails_and_run_ends(tmp_path: Path, client: str, change: Change, says: str) -> None:
    """A walk over an endless list of files fails with the reason, and the run ends with its report."""
    run = judge(tmp_path, (change,), "--features=files", "-k", "walk or pages", client=client)
    assert run.code == 1, run.output
    assert {"files.walk", "files.pages"} & run.failed  # a walk over REST ends at a page that is not full
    assert says in run.output


def test_cleanup_with_empty_page_token_reports_it(tmp_path: Path) -> None:
    """Clean-up deletes what such a list has shown, and says why that may not be all."""
    run = judge(tmp_path, (EMPTY_TOKEN,), "--features=files", "-k", "files.upload.empty")
    assert "Not cleaned up: files: the last page has the token '', instead of none" in run.output


@pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="litellm is not installed")
def test_litellm_endless_results_fail_and_run_ends(tmp_path: Path) -> None:
    """LiteLLM's own walk over endless results is interrupted."""
    options = ("--features=batches", "--destructive", "-k", "batches.file-with-clients", "--case-seconds=3")
    assert judge(tmp_path, RESULTS_TOKEN_IGNORED, *options, client="litellm").code == 1


def test_ai_sdk_endless_results_fail_and_run_ends(tmp_path: Path) -> None:
    """The AI SDK's own walk over endless results ends at the first result that comes again."""
    options = ("--features=batches", "--destructive", "-k", "test_file", f"--node-packages={NODE_PACKAGES}")
    run = judge(tmp_path, RESULTS_TOKEN_IGNORED, *options, client="ai-sdk")
    if "ai-sdk" not in run.record["clients"]:
        pytest.skip("the npm package @ai-sdk/xai is not installed")
    assert run.code == 1, run.output
    assert "comes a second time" in run.output


@pytest.mark.parametrize("client", ["httpx", "xai-sdk"])
def test_call_without_response_is_interrupted(tmp_path: Path, client: str) -> None:
    """A case whose call is never answered fails at its timeout, and the run continues.

    On a busy machine the time may be over before the call begins, so where the case is interrupted is not judged.
    """
    run = judge(tmp_path, (ANSWERS_NEVER,), "--features=files", "-k", "round_trip", "--case-seconds=1", client=client)
    assert run.code == 1, run.output
    assert "it has not ended after 1 seconds" in run.output


def test_run_over_time_limit_does_not_pass(tmp_path: Path) -> None:
    """After the time of the run no further calls are made, and the run fails as incomplete."""
    run = run_kit("--clients=httpx", "--features=auth", "--run-seconds=0", record=tmp_path / "record.json")
    assert run.code == 1, run.output
    assert "the 0 seconds of the run are over: the run is not complete" in run.output


# --- the parts


def listing(*found: Page[str]) -> Callable[[str | None], Page[str]]:
    """A list that answers these pages in turn, and the last one for ever."""
    answers = list(found)
    return lambda token: answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.mark.parametrize(
    ("found", "items"),
    [
        ([Page(["a", "b"], None)], ["a", "b"]),
        ([Page(["a"], "1"), Page(["b"], "2"), Page(["c"], None)], ["a", "b", "c"]),
        ([Page(["a"], "1"), Page([], "2")], ["a"]),
    ],
)
def test_walk_without_token_or_items_ends(found: list[Page[str]], items: list[str]) -> None:
    """A walk yields all items, and ends at a page without a token or without items."""
    assert list(pages.walk(listing(*found))) == items


@pytest.mark.parametrize("found", [[Page(["a"], "")], [Page(["a"], "1"), Page(["b"], "1")]])
def test_walk_with_empty_or_repeated_token_raises(found: list[Page[str]]) -> None:
    """A token that is empty, or was there before, is a failure of the server."""
    with pytest.raises(AssertionError, match="token"):
        list(pages.walk(listing(*found)))


def test_endless_iteration_of_new_ids_ends_at_budget() -> None:
    """A client's own iteration over a list that invents new items for ever spends the budget of its pages."""

    def ids() -> Iterator[str]:
        number = 0
        while True:
            number += 1
            yield str(number)

    budget = Budget(20)
    with pytest.raises(BudgetExhausted):
        pages.each_once(ids(), budget, 10)
    assert budget.calls == 18


def test_deadline_interrupts_and_restores() -> None:
    """A block that takes too long is left with DeadlineExceeded, which `except Exception` does not catch."""
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(deadline.DeadlineExceeded, match=r"not ended after 0\.05 seconds"), deadline.deadline(0.05):
        signal.pause()
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert not issubclass(deadline.DeadlineExceeded, Exception)


class Server(HttpxTransport):
    """A server that lists the same file on every page, with a new token each time."""

    asked: list[str]

    def send(self, request: Request) -> Response:
        """Answer."""
        self.asked.append(request.method)
        if request.method == "DELETE":
            return Response(200, JSON, b'{"id": "x", "deleted": true, "object": "file"}')
        file = b'{"id": "file_00000000-0000-4000-8000-000000000000", "bytes": 1, "created_at": 1, "filename": "run-a"'
        token = str(len(self.asked)).encode()
        return Response(200, JSON, b'{"data": [%b, "object": "file"}], "pagination_token": "%b"}' % (file, token))


JSON = {"content-type": "application/json"}


def test_cleanup_over_budget_deletes_listed_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean-up on a list without end stops with the budget and says so."""
    server = Server()
    server.asked = []
    monkeypatch.setattr(cleanup, "HttpxTransport", lambda: server)
    target = Target(
        "http://api", "http://api", None, None, "xai-a", None, "run-", frozenset({"files"}), budget=Budget(20)
    )
    [reason] = cleanup.clean_up(target)
    assert reason == "files: the budget of 20 calls is spent"
    assert len(server.asked) <= 20


def test_each_once_returns_unique_ids_in_order() -> None:
    """Ids that come once each are returned in their order."""
    files = [File(str(number), "a", 1, 1) for number in range(5)]
    assert pages.each_once((file.id for file in files), Budget(), 2) == ["0", "1", "2", "3", "4"]
