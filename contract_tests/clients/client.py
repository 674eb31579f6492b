"""What every client is asked to do. An adapter overrides what its library can; the rest is Unsupported."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from .. import relations
from ..observed_objects import READS, ObservedObjects
from ..target import Budget
from .models import (
    ApiError,
    Batch,
    BatchResult,
    BatchRow,
    Collection,
    Document,
    File,
    Page,
    PublicUrl,
    SearchMatch,
    Unsupported,
)

_READING = ("get_", "list_", "walk_", "read_", "batch_get_", "search", "describe_key", "team_of_key", "stream_rpc")
MODEL = "grok-4.3"  # which batches accept (observed live, 2026-08)


def chat_request(prompt: str) -> dict[str, Any]:
    """The body of a chat request."""
    return {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}


def batch_input(prompts: Mapping[str, str]) -> bytes:
    """The input file of a batch: a chat request for each prompt, under the prompt's key (Batch guide)."""
    lines = [
        {"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": chat_request(prompt)}
        for id, prompt in prompts.items()
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


class Client:
    """One library, as the cases use it. `version` is the library's."""

    name: str
    version: str
    protocol = "rest"
    observes = False  # whether it compares by itself what it is shown

    def close(self) -> None:
        """Close the connections."""

    def in_case(self, observed: ObservedObjects) -> Client:
        """The same client, which compares what it is shown with what the other clients of a case are shown."""
        return self

    def call_rpc(self, rpc: str, **fields: Any) -> dict[str, Any]:
        """The answer of a method of the gRPC services, with all its fields; `fields` are those of the request."""
        self._cannot("gRPC")

    def refusal_without_key(self, rpc: str, **fields: Any) -> ApiError:
        """The refusal of a method that is called without a key; `fields` are those of the request."""
        self._cannot("calls without a key")

    def stream_rpc(self, rpc: str, **fields: Any) -> list[dict[str, Any]]:
        """The messages that a method of the gRPC services streams, each with all its fields."""
        self._cannot("gRPC")

    def upload_rpc(self, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The file that UploadFile returns for its messages, as call_rpc. Raises ApiError."""
        self._cannot("messages of gRPC")

    def with_keys(self, api_key: str, management_key: str) -> Client:
        """The same library with other keys; to be closed."""
        self._cannot("other keys")

    def _cannot(self, what: str) -> NoReturn:
        raise Unsupported(f"{self.name} {self.version} has no {what}")

    # --- files

    def upload_file(
        self, content: bytes, filename: str, *, expires_after: int | None = None, content_type: str | None = None
    ) -> File:
        """Upload bytes under a name."""
        self._cannot("upload of files")

    def get_file(self, file_id: str) -> File:
        """The metadata of a file."""
        self._cannot("metadata of a file")

    def list_files(
        self,
        *,
        limit: int | None = None,
        ascending: bool | None = None,
        sort_by: str | None = None,
        token: str | None = None,
        filter: str | None = None,
    ) -> Page[File]:
        """One page of files."""
        self._cannot("list of files")

    def walk_files(self, limit: int) -> list[str]:
        """The ids of all files, as the library pages by itself."""
        self._cannot("page walk over files")

    def read_file(self, file_id: str) -> bytes:
        """The bytes of a file."""
        self._cannot("content of a file")

    def delete_file(self, file_id: str) -> None:
        """Delete a file."""
        self._cannot("delete of a file")

    def create_public_url(self, file_id: str, *, expires_after: int | None = None) -> PublicUrl:
        """Give a file a public URL."""
        self._cannot("public URLs")

    def revoke_public_url(self, file_id: str) -> bool:
        """Revoke a file's public URL; whether there was one."""
        self._cannot("public URLs")

    # --- keys

    def describe_key(self) -> dict[str, Any]:
        """What gRPC says of the key, each with all its fields, as call_rpc."""
        self._cannot("messages of gRPC")

    def team_of_key(self) -> str:
        """The team id of the key."""
        self._cannot("description of a key")

    # --- collections and documents

    def create_collection(
        self, name: str, *, description: str | None = None, fields: Sequence[Mapping[str, Any]] = ()
    ) -> Collection:
        """Create a collection with field definitions (key, required, unique, inject_into_chunk)."""
        self._cannot("collections")

    def get_collection(self, collection_id: str) -> Collection:
        """A collection."""
        self._cannot("collections")

    def list_collections(
        self, *, limit: int | None = None, token: str | None = None, filter: str | None = None
    ) -> Page[Collection]:
        """One page of collections."""
        self._cannot("list of collections")

    def rename_collection(self, collection_id: str, name: str) -> Collection:
        """Change a collection's name."""
        self._cannot("change of a collection")

    def describe_collection(self, collection_id: str) -> str:
        """Let the server write a description of a collection."""
        self._cannot("descriptions that the server writes")

    def delete_collection(self, collection_id: str) -> None:
        """Delete a collection; its files stay."""
        self._cannot("collections")

    def add_document(self, collection_id: str, file_id: str, fields: Mapping[str, str] | None = None) -> None:
        """Put a file into a collection."""
        self._cannot("documents")

    def upload_document(
        self, collection_id: str, name: str, content: bytes, fields: Mapping[str, str] | None = None
    ) -> Document:
        """Upload a file into a collection in one call."""
        self._cannot("upload of documents")

    def get_document(self, collection_id: str, file_id: str) -> Document:
        """A document."""
        self._cannot("documents")

    def list_documents(
        self, collection_id: str, *, limit: int | None = None, token: str | None = None, filter: str | None = None
    ) -> Page[Document]:
        """One page of a collection's documents."""
        self._cannot("list of documents")

    def batch_get_documents(self, collection_id: str, file_ids: Sequence[str]) -> list[Document]:
        """Several documents at once."""
        self._cannot("several documents at once")

    def update_document(
        self,
        collection_id: str,
        file_id: str,
        *,
        content: bytes | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Document:
        """Change a document's content or fields."""
        self._cannot("change of documents")

    def reindex_document(self, collection_id: str, file_id: str) -> None:
        """Index a document again."""
        self._cannot("re-indexing")

    def remove_document(self, collection_id: str, file_id: str) -> None:
        """Take a file out of a collection; the file stays."""
        self._cannot("removal of documents")

    def search(
        self, query: str, collection_ids: Sequence[str], *, limit: int | None = None, mode: str | None = None
    ) -> list[SearchMatch]:
        """Search in collections; `mode` is keyword, semantic or hybrid."""
        self._cannot("search")

    # --- batches

    def create_batch(self, name: str, *, input_file_id: str | None = None) -> Batch:
        """Create a batch: empty, or of a JSONL file."""
        self._cannot("batches")

    def add_chats(self, batch_id: str, prompts: Mapping[str, str]) -> None:
        """Add a chat request for each prompt, under the prompt's key."""
        self._cannot("requests that are added to a batch")

    def submit_chats(self, name: str, prompts: Mapping[str, str]) -> Batch:
        """Write chat requests into a JSONL file, upload it, and create a batch of it."""
        file = self.upload_file(batch_input(prompts), f"{name}.jsonl")
        return self.create_batch(name, input_file_id=file.id)

    def get_batch(self, batch_id: str) -> Batch:
        """A batch."""
        self._cannot("batches")

    def list_batches(self, *, limit: int | None = None, token: str | None = None) -> Page[Batch]:
        """One page of batches, newest first."""
        self._cannot("list of batches")

    def cancel_batch(self, batch_id: str) -> Batch:
        """Cancel a batch."""
        self._cannot("cancelling")

    def list_batch_requests(
        self, batch_id: str, *, limit: int | None = None, token: str | None = None
    ) -> Page[BatchRow]:
        """One page of a batch's requests."""
        self._cannot("list of a batch's requests")

    def get_batch_result(self, batch_id: str, request_id: str) -> BatchResult:
        """The result of one request."""
        self._cannot("result of one request")

    def list_batch_results(
        self, batch_id: str, *, limit: int | None = None, token: str | None = None
    ) -> Page[BatchResult]:
        """One page of a batch's results."""
        self._cannot("results of a batch")


@dataclass
class Step:
    """One call of a story, and how it ended."""

    call: str
    outcome: str = "it did not end"


def instrumented(
    client: Client, budget: Budget, steps: list[Step] | None = None, observed: ObservedObjects | None = None
) -> Client:
    """The same client, its calls counted, and recorded in `steps`; what they show is compared in `observed`."""
    client = client if observed is None else client.in_case(observed)
    observed = None if client.observes else observed
    return cast(Client, _InstrumentedClient(client, budget, [] if steps is None else steps, observed))


class _InstrumentedClient:
    def __init__(
        self, client: Client, budget: Budget, steps: list[Step], observed: ObservedObjects | None = None
    ) -> None:
        self._client, self._budget, self._steps, self._observed = client, budget, steps, observed

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def call(*values: Any, **options: Any) -> Any:
            self._budget.spend()
            step = Step(_format_call(name, values, options))
            self._steps.append(step)
            observed = self._observed
            if observed is not None and not _reads(name, values):
                observed.write()
            version = 0 if observed is None else observed.version
            try:
                answer = found(*values, **options)
            except Exception as error:
                step.outcome = f"{type(error).__name__}: {error}"
                raise
            step.outcome = repr(answer)
            if name in ("call_rpc", "stream_rpc"):
                reason = relations.error(answer) if name == "call_rpc" else relations.messages_error(answer)
                assert reason is None, f"{values[0]}: {reason}"
            if observed is not None and name == "call_rpc":
                observed.rpc(version, values[0], options, answer)
            if observed is not None and name == "upload_rpc":
                observed.rpc(version, "UploadFile", {}, answer)
            return answer

        return call


def _reads(name: str, values: tuple[Any, ...]) -> bool:
    """Whether a call changes nothing."""
    return str(values[0]).startswith(READS) if name == "call_rpc" else name.startswith(_READING)


def _format_call(name: str, values: tuple[Any, ...], options: Mapping[str, Any]) -> str:
    given = [repr(value)[:60] for value in values]
    given += [f"{option}={value!r}"[:80] for option, value in options.items() if value is not None]
    return f"{name}({', '.join(given)})"
