"""Removes what a run has made: everything whose name begins as the run's names do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from .clients.client import Client, instrumented
from .clients.http import HttpxTransport, Request
from .clients.models import ApiError, Page
from .clients.rest import RestClient
from .deadline import DeadlineExceeded, deadline
from .pages import walk
from .target import BudgetExhausted, Target

_PAGE = 100


def clean_up(target: Target) -> list[str]:
    """Delete the run's collections, files and API keys, and cancel its batches, which cannot be deleted.

    Return why something may be left behind: one sentence for each kind. What is listed before a list fails is removed.
    """
    rest = RestClient(target, HttpxTransport())
    target.budget.release_reserve()
    client = instrumented(rest, target.budget)
    features = target.features
    jobs: list[tuple[str, Callable[[], None]]] = []
    if target.management_key is not None and features & {"collections", "search", "faults"}:
        jobs.append(
            ("collections", lambda: _remove(client.list_collections, client.delete_collection, target.run_prefix))
        )
    if features - {"auth"}:
        jobs.append(("files", lambda: _remove(client.list_files, client.delete_file, target.run_prefix)))
    if "keys" in features and target.destructive and target.management_key is not None:
        jobs.append(("API keys", lambda: _delete_keys(target)))
    if "batches" in features and target.destructive:
        jobs.append(("batches", lambda: _cancel(client, target.run_prefix)))
    reasons = []
    try:
        with deadline(target.case_seconds):
            for what, job in jobs:
                try:
                    job()
                except (ApiError, BudgetExhausted, AssertionError, OSError, KeyError, TypeError, ValueError) as error:
                    reasons.append(f"{what}: {str(error) or type(error).__name__}")
    except DeadlineExceeded as error:
        reasons.append(str(error))
    finally:
        rest.close()
    return reasons


def _remove(list_page: Callable[..., Page[Any]], delete: Callable[[str], None], run: str) -> None:
    """Delete what is listed; a list that fails or never ends is reported when what it has shown is deleted."""
    ids: dict[str, None] = {}
    problem: Exception | None = None
    try:
        for each in walk(lambda token: list_page(limit=_PAGE, token=token)):
            if each.name.startswith(run):
                ids[each.id] = None
    except (AssertionError, ApiError) as error:
        problem = error
    for id in ids:
        try:
            delete(id)
        except ApiError as refusal:
            if refusal.kind != "not_found":  # gone meanwhile, as with its time
                raise
    if problem is not None:
        raise problem


def _delete_keys(target: Target) -> None:
    """Delete the run's API keys: those of cases that failed are left."""
    transport = HttpxTransport()

    def call(method: str, path: str) -> Any:
        target.budget.spend()
        headers = {"authorization": f"Bearer {target.management_key}"}
        response = transport.send(Request(method, f"{target.management_url}{path}", headers))
        assert response.status == 200, f"{method} {path} answers {response.status}"
        return response.json()

    def page(token: str | None) -> Page[Any]:
        query = urlencode({"pageSize": _PAGE, "paginationToken": token or ""})
        found = call("GET", f"/auth/teams/{team}/api-keys?{query}")
        return Page(found["apiKeys"], found.get("paginationToken") or None)

    try:
        team = call("GET", "/auth/teams")["teams"][0]["teamId"]
        for id in [key["apiKeyId"] for key in walk(page) if key["name"].startswith(target.run_prefix)]:
            call("DELETE", f"/auth/api-keys/{id}")
    finally:
        transport.close()


def _cancel(client: Client, run: str) -> None:
    for batch in client.list_batches(limit=_PAGE).items:
        if batch.name.startswith(run) and batch.pending and not batch.was_cancelled:
            client.cancel_batch(batch.id)
