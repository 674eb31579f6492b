"""xAI's own Python SDK over gRPC, synchronous and asynchronous: one adapter for both, and for every version."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from typing import Any

from .. import pages
from ..messages import plain, unknown_name
from ..target import Target
from .client import MODEL, Client
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
    api_error_from_grpc,
)


class XaiPython(Client):
    """`xai_sdk.Client`."""

    name = "xai-sdk"
    protocol = "grpc"

    def __init__(self, target: Target) -> None:
        sdk: Any = import_module("xai_sdk")
        self.version = version("xai-sdk")
        self._rpc_error = import_module("grpc").RpcError
        options = {
            "api_key": target.api_key,
            "api_host": target.grpc,
            "management_api_key": target.management_key,
            "management_api_host": target.management_grpc,
        }
        self._target, self._budget = target, target.budget
        self._client = self._open(sdk, options)

    def _open(self, sdk: Any, options: dict[str, Any]) -> Any:
        return sdk.Client(**options)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _answer(self, reply: Any) -> Any:
        return reply

    def _do(self, path: str, *values: Any, **options: Any) -> Any:
        """Call `path` of the client with the options that are given. Raises ApiError and Unsupported."""
        function = self._find(path)
        given = {name: value for name, value in options.items() if value is not None}
        unknown = set(given) - set(inspect.signature(function).parameters)
        if unknown:
            raise Unsupported(f"{self.name} {self.version} has no {path}({min(unknown)}=…)")
        try:
            return self._answer(function(*values, **given))
        except self._rpc_error as error:
            raise api_error_from_grpc(error.code().name, error.details() or "") from None

    def call_rpc(self, rpc: str, **fields: Any) -> dict[str, Any]:
        return plain(self._do(f"{RPCS[rpc][0]}.{rpc}", self._request(rpc, fields)))

    def refusal_without_key(self, rpc: str, **fields: Any) -> ApiError:
        self._find(f"{RPCS[rpc][0]}.{rpc}")  # raises Unsupported where an older library does not know the method
        grpc = import_module("grpc")
        is_management = RPCS[rpc][0].startswith("collections._collections")
        host = str(self._target.management_grpc if is_management else self._target.grpc)
        is_local = host.startswith(("localhost:", "127.0.0.1:"))
        declared = getattr(import_module("xai_sdk.proto"), RPCS[rpc][1]).DESCRIPTOR
        services = declared.services_by_name.values()
        service = next(each.full_name for each in services if rpc in each.methods_by_name)
        channel = grpc.insecure_channel(host) if is_local else grpc.secure_channel(host, grpc.ssl_channel_credentials())
        with channel:
            call = channel.unary_unary(f"/{service}/{rpc}", lambda request: request.SerializeToString())
            try:
                call(self._request(rpc, fields))
            except self._rpc_error as error:
                return api_error_from_grpc(error.code().name, error.details() or "")
        raise AssertionError(f"{rpc} is answered without a key")

    def stream_rpc(self, rpc: str, **fields: Any) -> list[dict[str, Any]]:
        request = self._request(rpc, fields)
        try:
            return [plain(each) for each in self._messages(self._find(f"{RPCS[rpc][0]}.{rpc}"), request)]
        except self._rpc_error as error:
            raise api_error_from_grpc(error.code().name, error.details() or "") from None

    def upload_rpc(self, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        files = import_module("xai_sdk.proto").files_pb2
        chunks = [self._message("UploadFile", files.UploadFileChunk, each) for each in messages]
        return plain(self._do("files._stub.UploadFile", iter(chunks)))

    def _messages(self, stream: Callable[..., Any], request: Any) -> Iterable[Any]:
        found: Iterable[Any] = stream(request)
        return found

    def _request(self, rpc: str, fields: Mapping[str, Any]) -> Any:
        """The message that a method is asked with."""
        stub, module, request = RPCS[rpc]
        self._find(f"{stub}.{rpc}")
        if request == "Empty":
            return import_module("google.protobuf.empty_pb2").Empty()
        return self._message(rpc, getattr(getattr(import_module("xai_sdk.proto"), module), request), fields)

    def _message(self, rpc: str, declared: Any, fields: Mapping[str, Any]) -> Any:
        """A message with these fields. Raises Unsupported where the library lacks one of them, or an enum value."""
        unknown = unknown_name(declared.DESCRIPTOR, fields)
        if unknown is not None:
            raise Unsupported(f"{self.name} {self.version} has no {rpc} with {unknown}")
        return declared(**fields)

    def with_keys(self, api_key: str, management_key: str) -> Client:
        return type(self)(replace(self._target, api_key=api_key, management_key=management_key))

    def _find(self, path: str) -> Callable[..., Any]:
        found: Any = self._client
        for name in path.split("."):
            found = getattr(found, name, None)
            if found is None:
                raise Unsupported(f"{self.name} {self.version} has no {path}")
        return found  # type: ignore[no-any-return]

    # --- files

    def upload_file(
        self, content: bytes, filename: str, *, expires_after: int | None = None, content_type: str | None = None
    ) -> File:
        if content_type is not None:
            raise Unsupported(f"{self.name} {self.version} has no content types: the server takes them from the name")
        return _file(self._do("files.upload", content, filename=filename, expires_after=expires_after))

    def get_file(self, file_id: str) -> File:
        return _file(self._do("files.get", file_id))

    def list_files(
        self,
        *,
        limit: int | None = None,
        ascending: bool | None = None,
        sort_by: str | None = None,
        token: str | None = None,
        filter: str | None = None,
    ) -> Page[File]:
        order = None if ascending is None else "asc" if ascending else "desc"
        found = self._do("files.list", limit=limit, order=order, sort_by=sort_by, pagination_token=token, filter=filter)
        return Page([_file(each) for each in found.data], found.pagination_token or None)

    def walk_files(self, limit: int) -> list[str]:
        files = pages.walk(lambda token: self.list_files(limit=limit, token=token))
        return pages.each_once((file.id for file in files), self._budget, limit)

    def read_file(self, file_id: str) -> bytes:
        return bytes(self._do("files.content", file_id))

    def delete_file(self, file_id: str) -> None:
        assert self._do("files.delete", file_id).deleted is True

    def create_public_url(self, file_id: str, *, expires_after: int | None = None) -> PublicUrl:
        found = self._do("files.create_public_url", file_id, expires_after=expires_after)
        return PublicUrl(found.public_url, found.expires_at.seconds if found.HasField("expires_at") else None)

    def revoke_public_url(self, file_id: str) -> bool:
        return bool(self._do("files.revoke_public_url", file_id).revoked)

    # --- keys

    def describe_key(self) -> dict[str, Any]:
        return plain(self._do("auth.get_api_key_info"))

    def team_of_key(self) -> str:
        return str(self._do("auth.get_api_key_info").team_id)

    # --- collections and documents

    def create_collection(
        self, name: str, *, description: str | None = None, fields: Sequence[Mapping[str, Any]] = ()
    ) -> Collection:
        defaults = {"required": False, "unique": False, "inject_into_chunk": False}
        definitions = [{**defaults, **each} for each in fields] or None
        found = self._do("collections.create", name, description=description, field_definitions=definitions)
        return _collection(found)

    def get_collection(self, collection_id: str) -> Collection:
        return _collection(self._do("collections.get", collection_id))

    def list_collections(
        self, *, limit: int | None = None, token: str | None = None, filter: str | None = None
    ) -> Page[Collection]:
        found = self._do("collections.list", limit=limit, pagination_token=token, filter=filter)
        return Page([_collection(each) for each in found.collections], found.pagination_token or None)

    def rename_collection(self, collection_id: str, name: str) -> Collection:
        return _collection(self._do("collections.update", collection_id, name=name))

    def describe_collection(self, collection_id: str) -> str:
        return str(self._do("collections.generate_description", collection_id))

    def delete_collection(self, collection_id: str) -> None:
        self._do("collections.delete", collection_id)

    def add_document(self, collection_id: str, file_id: str, fields: Mapping[str, str] | None = None) -> None:
        self._do("collections.add_existing_document", collection_id, file_id, fields=fields)

    def upload_document(
        self, collection_id: str, name: str, content: bytes, fields: Mapping[str, str] | None = None
    ) -> Document:
        upload = "collections.upload_document"
        # Version 1.4.0 calls Collections/UploadDocument, which demands the type; later ones upload a file and add it.
        typed = "content_type" in inspect.signature(self._find(upload)).parameters
        content_type = "text/plain" if typed else None
        return _document(self._do(upload, collection_id, name, content, content_type=content_type, fields=fields))

    def get_document(self, collection_id: str, file_id: str) -> Document:
        return _document(self._do("collections.get_document", file_id, collection_id))

    def list_documents(
        self, collection_id: str, *, limit: int | None = None, token: str | None = None, filter: str | None = None
    ) -> Page[Document]:
        found = self._do(
            "collections.list_documents", collection_id, limit=limit, pagination_token=token, filter=filter
        )
        return Page([_document(each) for each in found.documents], found.pagination_token or None)

    def batch_get_documents(self, collection_id: str, file_ids: Sequence[str]) -> list[Document]:
        found = self._do("collections.batch_get_documents", collection_id, file_ids)
        return [_document(each) for each in found.documents]

    def update_document(
        self,
        collection_id: str,
        file_id: str,
        *,
        content: bytes | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Document:
        return _document(self._do("collections.update_document", collection_id, file_id, data=content, fields=fields))

    def reindex_document(self, collection_id: str, file_id: str) -> None:
        self._do("collections.reindex_document", collection_id, file_id)

    def remove_document(self, collection_id: str, file_id: str) -> None:
        self._do("collections.remove_document", collection_id, file_id)

    def search(
        self, query: str, collection_ids: Sequence[str], *, limit: int | None = None, mode: str | None = None
    ) -> list[SearchMatch]:
        found = self._do("collections.search", query, collection_ids, limit=limit, retrieval_mode=mode)
        return [
            SearchMatch(each.file_id, each.chunk_id, each.chunk_content, each.score, tuple(each.collection_ids))
            for each in found.matches
        ]

    # --- batches

    def create_batch(self, name: str, *, input_file_id: str | None = None) -> Batch:
        return _batch(self._do("batch.create", name, input_file_id=input_file_id))

    def add_chats(self, batch_id: str, prompts: Mapping[str, str]) -> None:
        self._find("batch.add")
        user = import_module("xai_sdk.chat").user
        chats = [
            self._client.chat.create(model=MODEL, batch_request_id=id, messages=[user(prompt)])
            for id, prompt in prompts.items()
        ]
        self._do("batch.add", batch_id, chats)

    def get_batch(self, batch_id: str) -> Batch:
        return _batch(self._do("batch.get", batch_id))

    def list_batches(self, *, limit: int | None = None, token: str | None = None) -> Page[Batch]:
        found = self._do("batch.list", limit=limit, pagination_token=token)
        return Page([_batch(each) for each in found.batches], found.pagination_token or None)

    def cancel_batch(self, batch_id: str) -> Batch:
        return _batch(self._do("batch.cancel", batch_id))

    def list_batch_requests(
        self, batch_id: str, *, limit: int | None = None, token: str | None = None
    ) -> Page[BatchRow]:
        found = self._do("batch.list_batch_requests", batch_id, limit=limit, pagination_token=token)
        rows = [BatchRow(each.batch_request_id, STATES[each.state]) for each in found.batch_request_metadata]
        return Page(rows, found.pagination_token or None)

    def get_batch_result(self, batch_id: str, request_id: str) -> BatchResult:
        """Through the SDK's stub: it has no method for this."""
        self._find("batch")
        messages: Any = import_module("xai_sdk.proto").batch_pb2
        asked = messages.GetBatchRequestResultRequest(batch_id=batch_id, batch_request_id=request_id)
        result = self._do("batch._stub.GetBatchRequestResult", asked).result
        text = result.response.completion_response.outputs[0].message.content
        return BatchResult(result.batch_request_id, text)

    def list_batch_results(
        self, batch_id: str, *, limit: int | None = None, token: str | None = None
    ) -> Page[BatchResult]:
        found = self._do("batch.list_batch_results", batch_id, limit=limit, pagination_token=token)
        results = [
            BatchResult(each.batch_request_id, None, each.error_message)
            if each.has_error
            else BatchResult(each.batch_request_id, each.response.content)
            for each in found.results
        ]
        return Page(results, found.pagination_token or None)


class XaiPythonAsync(XaiPython):
    """`xai_sdk.AsyncClient`, on an event loop of its own."""

    name = "xai-sdk-async"

    def _open(self, sdk: Any, options: dict[str, Any]) -> Any:
        self._loop = asyncio.Runner()

        async def open() -> Any:
            return sdk.AsyncClient(**options)

        return self._loop.run(open())

    def close(self) -> None:
        """Close the connections."""
        self._loop.run(self._client.close())
        self._loop.close()

    def _answer(self, reply: Any) -> Any:
        async def wait() -> Any:
            return await reply

        return self._loop.run(wait())

    def _messages(self, stream: Callable[..., Any], request: Any) -> Iterable[Any]:
        async def read() -> list[Any]:
            return [each async for each in stream(request)]

        return self._loop.run(read())


STATES = ("unknown", "pending", "succeeded", "cancelled", "failed")  # BatchRequestMetadata.State
STATUSES = ("UNKNOWN", "PROCESSING", "PROCESSED", "FAILED", "CHUNKED", "EMBEDDING", "WRITING")  # DocumentStatus


_FILES, _COLLECTIONS, _DOCUMENTS, _BATCH = (
    ("files._stub", "files_pb2"),
    ("collections._collections_stub", "collections_pb2"),
    ("collections._documents_stub", "documents_pb2"),
    ("batch._stub", "batch_pb2"),
)
_CHAT = ("chat._stub", "chat_pb2")
_MODELS = ("models._stub", "models_pb2")
# The methods that are asked without a function of the SDK: its stub, and the request.
RPCS = {
    "RetrieveFile": (*_FILES, "RetrieveFileRequest"),
    "ListFiles": (*_FILES, "ListFilesRequest"),
    "RetrieveFileContent": (*_FILES, "RetrieveFileContentRequest"),
    "DeleteFile": (*_FILES, "DeleteFileRequest"),
    "CreatePublicUrl": (*_FILES, "CreatePublicUrlRequest"),
    "RevokePublicUrl": (*_FILES, "RevokePublicUrlRequest"),
    "GetCollectionMetadata": (*_COLLECTIONS, "GetCollectionMetadataRequest"),
    "ListCollections": (*_COLLECTIONS, "ListCollectionsRequest"),
    "CreateCollection": (*_COLLECTIONS, "CreateCollectionRequest"),
    "UpdateCollection": (*_COLLECTIONS, "UpdateCollectionRequest"),
    "DeleteCollection": (*_COLLECTIONS, "DeleteCollectionRequest"),
    "GetDocumentMetadata": (*_COLLECTIONS, "GetDocumentMetadataRequest"),
    "ListDocuments": (*_COLLECTIONS, "ListDocumentsRequest"),
    "BatchGetDocuments": (*_COLLECTIONS, "BatchGetDocumentsRequest"),
    "UpdateDocument": (*_COLLECTIONS, "UpdateDocumentRequest"),
    "UploadDocument": (*_COLLECTIONS, "UploadDocumentRequest"),
    "AddDocumentToCollection": (*_COLLECTIONS, "AddDocumentToCollectionRequest"),
    "RemoveDocumentFromCollection": (*_COLLECTIONS, "RemoveDocumentFromCollectionRequest"),
    "ReIndexDocument": (*_COLLECTIONS, "ReIndexDocumentRequest"),
    "Search": (*_DOCUMENTS, "SearchRequest"),
    "CreateBatch": (*_BATCH, "CreateBatchRequest"),
    "AddBatchRequests": (*_BATCH, "AddBatchRequestsRequest"),
    "GetBatch": (*_BATCH, "GetBatchRequest"),
    "ListBatches": (*_BATCH, "ListBatchesRequest"),
    "CancelBatch": (*_BATCH, "CancelBatchRequest"),
    "ListBatchRequestMetadata": (*_BATCH, "ListBatchRequestMetadataRequest"),
    "ListBatchResults": (*_BATCH, "ListBatchResultsRequest"),
    "GetBatchRequestResult": (*_BATCH, "GetBatchRequestResultRequest"),
    "GetCompletion": (*_CHAT, "GetCompletionsRequest"),
    "GetCompletionChunk": (*_CHAT, "GetCompletionsRequest"),
    "StartDeferredCompletion": (*_CHAT, "GetCompletionsRequest"),
    "GetDeferredCompletion": ("chat._stub", "deferred_pb2", "GetDeferredRequest"),
    "GetStoredCompletion": (*_CHAT, "GetStoredCompletionRequest"),
    "DeleteStoredCompletion": (*_CHAT, "DeleteStoredCompletionRequest"),
    "CompactContext": (*_CHAT, "CompactContextRequest"),
    "GenerateImage": ("image._stub", "image_pb2", "GenerateImageRequest"),
    "GenerateVideo": ("video._stub", "video_pb2", "GenerateVideoRequest"),
    "ExtendVideo": ("video._stub", "video_pb2", "ExtendVideoRequest"),
    "GetDeferredVideo": ("video._stub", "video_pb2", "GetDeferredVideoRequest"),
    "ListLanguageModels": (*_MODELS, "Empty"),
    "ListImageGenerationModels": (*_MODELS, "Empty"),
    "GetLanguageModel": (*_MODELS, "GetModelRequest"),
    "GetImageGenerationModel": (*_MODELS, "GetModelRequest"),
    "TokenizeText": ("tokenize._stub", "tokenize_pb2", "TokenizeTextRequest"),
}


def _file(found: Any) -> File:
    expires_at = found.expires_at.seconds if found.HasField("expires_at") else None
    return File(found.id, found.filename, found.size, found.created_at.seconds, expires_at)


def _collection(found: Any) -> Collection:
    return Collection(
        found.collection_id,
        found.collection_name,
        found.documents_count,
        getattr(found, "collection_description", "") or None,
        tuple(each.key for each in getattr(found, "field_definitions", ())),
    )


def _document(found: Any) -> Document:
    file = found.file_metadata
    return Document(file.file_id, file.name, file.size_bytes, STATUSES[found.status], dict(found.fields), file.hash)


def _batch(found: Any) -> Batch:
    state = found.state
    return Batch(
        found.batch_id,
        found.name,
        state.num_requests,
        state.num_pending,
        state.num_success,
        state.num_error,
        state.num_cancelled,
        getattr(found, "cancel_by_xai_message", "") or None,
        found.HasField("cancel_time"),
    )
