"""Read an object through every call that returns it, and compare it with what it was before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import matchers
from .clients.client import Client
from .clients.models import ApiError
from .clients.rest import RestClient
from .messages import disagreement

State = dict[str, Any]  # an object as its JSON members by dotted path, such as state.num_pending


class Observer:
    """Reads objects over REST, from lists too, and over gRPC where the client speaks it. Every read has to agree."""

    def __init__(self, rest: RestClient, client: Client) -> None:
        self._rest = rest
        self._grpc = client if client.protocol == "grpc" else None

    def file(self, file_id: str) -> State | None:
        """A file by its members, or None where there is none."""
        found = self._get(f"/v1/files/{file_id}")
        query = {"filter": f'file_id = "{file_id}"'}
        self._agree(found, self._rest.json("GET", "/v1/files", query=query)["data"], "GET /v1/files")
        if self._grpc is not None:
            self._agree_over_grpc(found, "RetrieveFile", file_id=file_id, renamed={"size": "bytes"})
        return _flat(found)

    def collection(self, collection_id: str) -> State | None:
        """A collection by its members, or None."""
        found = self._get(f"/v1/collections/{collection_id}")
        query = {"filter": f'collection_id = "{collection_id}"'}
        listed = self._rest.json("GET", "/v1/collections", query=query)["collections"]
        self._agree(found, listed, "GET /v1/collections")
        if self._grpc is not None:
            self._agree_over_grpc(found, "GetCollectionMetadata", collection_id=collection_id)
        return _flat(found)

    def document(self, collection_id: str, file_id: str) -> State | None:
        """A document by its members, or None."""
        path = f"/v1/collections/{collection_id}/documents"
        found = self._get(f"{path}/{file_id}")
        try:
            for list_path, query in ((path, {}), (f"{path}:batchGet", {"file_ids": file_id})):
                listed = self._rest.json("GET", list_path, query=query)["documents"]
                own = [each for each in listed if each["file_metadata"]["file_id"] == file_id]
                self._agree(found, own, f"GET {list_path}")
        except ApiError as error:
            if found is not None or error.kind != "not_found":
                raise
        if self._grpc is not None:
            self._agree_over_grpc(found, "GetDocumentMetadata", collection_id=collection_id, file_id=file_id)
        return _flat(found)

    def batch(self, batch_id: str) -> State | None:
        """A batch by its members."""
        found = self._get(f"/v1/batches/{batch_id}")
        listed = self._rest.json("GET", "/v1/batches", query={"limit": 100})["batches"]
        self._agree(found, [each for each in listed if each["batch_id"] == batch_id], "GET /v1/batches")
        if self._grpc is not None:
            self._agree_over_grpc(found, "GetBatch", batch_id=batch_id, ignored=("cost_breakdown",))
        return _flat(found)

    def _get(self, path: str) -> Any:
        try:
            return self._rest.json("GET", path)
        except ApiError as error:
            if error.kind != "not_found":
                raise
            return None

    def _agree(self, found: Any, listed: list[Any], what: str) -> None:
        expected = [] if found is None else [found]
        assert listed == expected, f"{what} shows {listed!r}, the object itself is {found!r}"

    def _agree_over_grpc(
        self,
        found: Any,
        rpc: str,
        *,
        ignored: tuple[str, ...] = (),
        renamed: Mapping[str, str] | None = None,
        **request: Any,
    ) -> None:
        assert self._grpc is not None
        try:
            message = self._grpc.call_rpc(rpc, **request)
        except ApiError as error:
            if found is not None or error.kind != "not_found":
                raise
            return
        names = renamed or {}
        shown = {names.get(key, key): each for key, each in message.items() if key not in ignored}
        reason = "it is there over gRPC alone" if found is None else disagreement(shown, found)
        assert reason is None, f"{rpc}: {reason}"


def check_changes(before: State | None, after: State | None, expected: Mapping[str, Any], what: str) -> None:
    """Fail where other members have changed than those expected, or to other values (see matchers).

    An object that is created or deleted changes in its member `.`: from or to `$absent`.
    """
    old, new = (state if state is not None else {} for state in (before, after))
    if (before is None) != (after is None):
        new, old = ({".": matchers.ABSENT}, {".": old}) if after is None else ({".": new}, {})
    changed = {key: new.get(key, matchers.ABSENT) for key in {**old, **new} if old.get(key) != new.get(key)}
    assert changed.keys() == expected.keys(), f"{what}: changed are {changed!r}, expected {dict(expected)!r}"
    for key, wanted in expected.items():
        reason = matchers.mismatch(changed[key], wanted, f"{what}: {key}")
        assert reason is None, reason


def _flat(found: Any) -> State | None:
    """The members of an object by dotted path; lists and empty objects are values."""
    if found is None:
        return None
    state: State = {}
    for key, value in found.items():
        if isinstance(value, dict) and value:
            state.update({f"{key}.{inner}": each for inner, each in (_flat(value) or {}).items()})
        else:
            state[key] = value
    return state
