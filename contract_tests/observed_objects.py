"""Every representation of an object agrees with the one before, as long as nothing was written in between.

A case reads the same object through many calls: as the answer to its creation, alone, in lists, over gRPC. Whatever a
case is about, all of these have to show the same members. `ObservedObjects` remembers what a case was shown, and fails
at the first representation that differs. It also fails where an object is shown after its deletion, or where a member
changes that never does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .messages import disagreement

Json = Any
Key = tuple[str, str]  # kind and id

READS = (
    "Get",
    "List",
    "Retrieve",
    "BatchGet",
    "Search",
    "TokenizeText",
)  # how the names of RPCs that change nothing begin


def _always(_: Json) -> bool:
    return True


def _is_indexed(document: Json) -> bool:
    return str(document.get("status", "")).endswith(("PROCESSED", "FAILED"))


def _is_done(batch: Json) -> bool:
    """Whether the counters of a batch change by calls alone: nothing is pending, and no file is being read."""
    state = batch["state"]
    return not int(state["num_pending"]) and (int(state["num_requests"]) > 0 or not batch.get("input_file_id"))


def _is_finished(row: Json) -> bool:
    return not str(row.get("state", "pending")).lower().endswith("pending")


@dataclass(frozen=True)
class Kind:
    """What is known of a kind of object: its id, what never changes, and when the rest changes by calls alone."""

    id: str
    constant: tuple[str, ...] = ()
    is_settled: Callable[[Json], bool] = _always
    unsettled: tuple[str, ...] = ()  # the members that change by themselves until then
    ignored: tuple[str, ...] = ()  # the members that one representation has and another has not
    renamed: Mapping[str, str] = field(default_factory=dict)  # from gRPC to REST
    within: str = ""  # a member with an id that its own is a part of
    has_one_form: bool = True  # whether the messages of gRPC have the members of REST


KINDS: dict[str, Kind] = {
    "file": Kind("id", ("created_at", "object"), renamed={"size": "bytes"}),
    "metadata": Kind(
        "file_id", ("created_at", "file_path"), ignored=("processing_status",)
    ),  # of a file, as documents show it
    "collection": Kind("collection_id", ("created_at",)),
    "document": Kind(
        "file_metadata.file_id",
        is_settled=_is_indexed,
        unsettled=("status", "last_indexed_at", "chunk_count", "chunks_processed_count", "error_message"),
    ),
    "batch": Kind(
        "batch_id",
        ("name", "create_time", "expire_time", "create_api_key_id", "input_file_id"),
        is_settled=_is_done,
        unsettled=("state", "cancel_time", "cancel_by_xai_message"),
        ignored=("cost_breakdown",),
    ),
    "row": Kind("batch_request_id", ("create_time",), is_settled=_is_finished, unsettled=("state", "finish_time")),
    "result": Kind("batch_request_id", ("batch_result", "response", "error"), has_one_form=False),
    "key": Kind("apiKeyId", ("createTime", "userId", "teamId"), ignored=("apiKey",)),
    "response": Kind(
        "id",
        ("created_at", "completed_at", "model", "output", "usage", "status", "tools", "text", "metadata"),
        ignored=("instructions",),
    ),
    "completion": Kind("id", ("created", "outputs", "model", "usage", "settings")),
    "chunk": Kind("chunk_id", ignored=("score", "collection_ids"), within="file_id"),
    "model": Kind("id"),
}


@dataclass(frozen=True)
class Shown:
    """Where a response shows objects of a kind: in the list of this name, else itself; `scope` is a part of the ids."""

    kind: str
    items: str = ""
    scope: str = ""


_FILES, _FILE = "/v1/files", "/v1/files/{id}"
_COLLECTIONS, _COLLECTION = "/v1/collections", "/v1/collections/{id}"
_DOCUMENTS, _DOCUMENT = "/v1/collections/{scope}/documents", "/v1/collections/{scope}/documents/{id}"
_BATCHES, _BATCH = "/v1/batches", "/v1/batches/{id}"
_KEYS, _KEY = "/auth/teams/{team}/api-keys", "/auth/api-keys/{id}"
SHOWN_BY_ROUTE: tuple[tuple[str, str, Shown], ...] = (
    *((method, path, Shown("file")) for method, path in (("POST", _FILES), ("GET", _FILE), ("PUT", _FILE))),
    ("GET", _FILES, Shown("file", "data")),
    *(("POST", f"{_FILES}:{verb}", Shown("metadata")) for verb in ("initialize", "uploadChunks")),
    *(("POST", f"{_FILES}/batch_upload{more}", Shown("metadata", "files")) for more in ("", "/{id}:complete")),
    *((method, _COLLECTION, Shown("collection")) for method in ("GET", "PUT")),
    ("POST", _COLLECTIONS, Shown("collection")),
    ("GET", _COLLECTIONS, Shown("collection", "collections")),
    ("POST", _DOCUMENTS, Shown("document")),
    ("GET", _DOCUMENT, Shown("document")),
    *(("GET", path, Shown("document", "documents")) for path in (_DOCUMENTS, f"{_DOCUMENTS}:batchGet")),
    *((method, path, Shown("batch")) for method, path in (("POST", _BATCHES), ("GET", _BATCH))),
    ("POST", f"{_BATCH}:cancel", Shown("batch")),
    ("GET", _BATCHES, Shown("batch", "batches")),
    ("GET", "/v1/batches/{scope}/requests", Shown("row", "batch_request_metadata")),
    ("GET", "/v1/batches/{scope}/results", Shown("result", "results")),
    ("POST", "/v1/documents/search", Shown("chunk", "matches")),
    *((method, path, Shown("key")) for method, path in (("POST", _KEYS), ("PUT", _KEY), ("POST", f"{_KEY}/rotate"))),
    ("GET", _KEYS, Shown("key", "apiKeys")),
    ("POST", "/v1/responses", Shown("response")),
    ("GET", "/v1/responses/{id}", Shown("response")),
    *(
        (
            *("GET", f"/v1/{word}{path}"),
            Shown("model", "" if path else "data" if word == "models" else "models", word),
        )
        for word in (
            *("models", "language-models", "image-generation-models"),
            *("video-generation-models", "embedding-models"),
        )
        for path in ("", "/{id}")
    ),
)
SHOWN_BY_RPC: dict[str, Shown] = {
    "UploadFile": Shown("file"),
    "RetrieveFile": Shown("file"),
    "ListFiles": Shown("file", "data"),
    **dict.fromkeys(("CreateCollection", "GetCollectionMetadata", "UpdateCollection"), Shown("collection")),
    "ListCollections": Shown("collection", "collections"),
    **dict.fromkeys(
        ("GetDocumentMetadata", "UpdateDocument", "UploadDocument"), Shown("document", scope="collection_id")
    ),
    **dict.fromkeys(("ListDocuments", "BatchGetDocuments"), Shown("document", "documents", "collection_id")),
    **dict.fromkeys(("CreateBatch", "GetBatch", "CancelBatch"), Shown("batch")),
    "ListBatches": Shown("batch", "batches"),
    "ListBatchRequestMetadata": Shown("row", "batch_request_metadata", "batch_id"),
    "ListBatchResults": Shown("result", "results", "batch_id"),
    "Search": Shown("chunk", "matches"),
    "GetCompletion": Shown("completion"),
    "GetStoredCompletion": Shown("completion"),
}
# What a deletion ends: the path and the kind. A document comes back when its file is added again.
DELETED: tuple[tuple[str, str], ...] = (
    (_FILE, "file"),
    (_COLLECTION, "collection"),
    (_DOCUMENT, "document"),
    (_KEY, "key"),
    ("/v1/responses/{id}", "response"),
)


@dataclass(frozen=True)
class _Sighting:
    version: int
    where: str
    members: Json


class ObservedObjects:
    """What the calls of a case have shown. Its methods raise AssertionError where that does not agree."""

    def __init__(self, *, is_active: bool = True) -> None:
        self._is_active = is_active
        self._version = 0  # counts the writes
        self._seen: dict[tuple[str, Key], _Sighting] = {}  # by protocol and object
        self._deleted: dict[Key, str] = {}

    @property
    def version(self) -> int:
        """The number of writes so far."""
        return self._version

    def write(self) -> None:
        """From now on everything may be different: something was written, the clock was moved, or it is not known."""
        self._version += 1

    def rest(self, version: int, method: str, path: str, value: Json) -> None:
        """Compare a successful response of REST, whose call began when there were `version` writes."""
        if not self._is_active:
            return
        path = path.partition("?")[0]
        if method == "DELETE":
            self._delete(path, value)
            return
        if method == "POST" and (found := _pattern(_DOCUMENT).fullmatch(path)):
            self._deleted.pop(("document", f"{found['scope']}/{found['id']}"), None)
        for verb, template, shown in SHOWN_BY_ROUTE:
            if verb == method and (found := _pattern(template).fullmatch(path)):
                scope = found.groupdict().get("scope") or shown.scope
                self._observe("REST", f"{method} {template}", shown, scope, version, value)

    def rest_mismatch(self, version: int, method: str, path: str, value: Json) -> str | None:
        """As `rest`, but return the reason."""
        try:
            self.rest(version, method, path, value)
        except AssertionError as error:
            return str(error)
        return None

    def rpc(self, version: int, rpc: str, request: Mapping[str, Any], message: Json) -> None:
        """Compare a response of gRPC, in the plain values of `messages`."""
        shown = SHOWN_BY_RPC.get(rpc)
        if shown is not None and self._is_active:
            self._observe("gRPC", rpc, shown, str(request.get(shown.scope, "")), version, message)

    def _observe(self, protocol: str, where: str, shown: Shown, scope: str, version: int, value: Json) -> None:
        for members in _items(shown, value):
            self._sight(protocol, shown.kind, scope, _Sighting(version, where, members))
            if shown.kind == "document":
                self._metadata(protocol, _Sighting(version, f"file_metadata of {where}", members.get("file_metadata")))
            elif shown.kind == "metadata":
                self._metadata(protocol, _Sighting(version, where, members))

    def _metadata(self, protocol: str, sighting: _Sighting) -> None:
        """Compare a file as documents and uploads show it, with others like it, and with the file itself."""
        members = sighting.members
        if not isinstance(members, dict) or "size_bytes" not in members:
            return
        self._sight(protocol, "metadata", "", sighting)
        names = {"id": "file_id", "filename": "name", "created_at": "created_at", "expires_at": "expires_at"}
        file = {name: members.get(other) for name, other in names.items()}
        whole = _OF_METADATA + protocol
        self._sight(whole, "file", "", replace(sighting, members={**file, "bytes": int(members["size_bytes"])}))

    def _sight(self, protocol: str, word: str, scope: str, sighting: _Sighting) -> None:
        kind, where = KINDS[word], sighting.where
        id = _member(sighting.members, kind.id)
        if not isinstance(id, str):
            return
        whole = f"{_member(sighting.members, kind.within)}/{id}" if kind.within else id
        key = (word, f"{scope}/{whole}" if scope else whole)
        assert key not in self._deleted, f"{where} shows {word} {id} after {self._deleted[key]}"
        for other in _PROTOCOLS:
            old = self._seen.get((other, key))
            if old is not None:
                reason = _difference(kind, (protocol, sighting), (other, old))
                assert reason is None, reason
        if sighting.version == self._version:
            self._seen[protocol, key] = sighting

    def _delete(self, path: str, value: Json) -> None:
        for template, kind in DELETED:
            if found := _pattern(template).fullmatch(path):
                named = value.get("id", found["id"]) if isinstance(value, dict) else found["id"]
                assert named == found["id"], f"DELETE {template} of {found['id']} answers that {named} is deleted"
                scope = found.groupdict().get("scope")
                self._deleted[kind, f"{scope}/{found['id']}" if scope else found["id"]] = f"DELETE {template}"


_OF_METADATA = "metadata of "
_PROTOCOLS = tuple(f"{prefix}{word}" for prefix in ("", _OF_METADATA) for word in ("REST", "gRPC"))


def _difference(kind: Kind, new: tuple[str, _Sighting], old: tuple[str, _Sighting]) -> str | None:
    """Where two sightings of an object differ and should not, or None."""
    (protocol, one), (other, before) = new, old
    is_now = one.version == before.version
    ignored = set(kind.ignored)
    if not (kind.is_settled(one.members) and kind.is_settled(before.members)):
        ignored |= set(kind.unsettled)
    if protocol == other:
        both = {*one.members} & {*before.members}
        names = {*one.members, *before.members} if is_now else {*kind.constant} & both
        for name in sorted(names - ignored):
            found, expected = (each.members.get(name, _NOTHING) for each in (one, before))
            if found != expected:
                return f"{one.where} shows {name} as {found!r}, {before.where} showed {expected!r}"
        return None
    if not (is_now and kind.has_one_form):
        return None
    message, shown = (before, one) if protocol == "REST" else (one, before)
    renamed, other_one = (
        {kind.renamed.get(name, name): each for name, each in sighting.members.items() if name not in ignored}
        for sighting in (message, shown)
    )
    reason = disagreement(renamed, other_one)
    return None if reason is None else f"{message.where} and {shown.where} differ: {reason}"


_NOTHING: Any = type("Nothing", (), {"__repr__": lambda self: "nothing"})()
_PATTERNS: dict[str, re.Pattern[str]] = {}


def _pattern(template: str) -> re.Pattern[str]:
    if template not in _PATTERNS:
        _PATTERNS[template] = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/:]+)", re.escape(template)))
    return _PATTERNS[template]


def _items(shown: Shown, value: Json) -> Iterator[Json]:
    found = value.get(shown.items, ()) if shown.items and isinstance(value, dict) else [value]
    yield from (each for each in found or () if isinstance(each, dict))


def _member(value: Json, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
