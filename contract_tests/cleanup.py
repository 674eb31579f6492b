"""Removes what a run has made: everything whose name begins as the run's names do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .clients.rest import RestClient
from .clients.seen import Page, Refused
from .clients.wire import Httpx
from .target import Target

_PAGE = 100


def clean_up(target: Target) -> str | None:
    """Delete the run's collections and files, cancel its batches, which cannot be deleted; why that failed, if so."""
    client = RestClient(target, Httpx())
    try:
        if target.management_key is not None and target.features & {"collections", "search"}:
            _delete(client.list_collections, client.delete_collection, target.run)
        if target.features - {"auth"}:
            _delete(client.list_files, client.delete_file, target.run)
        if "batches" in target.features and target.destructive:
            for batch in client.list_batches(limit=_PAGE).items:
                if batch.name.startswith(target.run) and batch.pending and not batch.was_cancelled:
                    client.cancel_batch(batch.id)
    except (Refused, AssertionError, OSError) as error:
        return str(error)
    finally:
        client.close()
    return None


def _delete(list_page: Callable[..., Page[Any]], delete: Callable[[str], None], run: str) -> None:
    ids, token, last = [], None, False
    while not last:
        page = list_page(limit=_PAGE, token=token)
        ids += [each.id for each in page.items if each.name.startswith(run)]
        token, last = page.token, page.token is None or not page.items
    for id in ids:
        try:
            delete(id)
        except Refused as refusal:
            if refusal.kind != "not_found":  # gone meanwhile, as with its time
                raise
