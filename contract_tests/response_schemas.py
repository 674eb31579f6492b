"""The official shape of every answer, and whether an answer has it. The shapes are JSON Schemas in schemas/."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import relations
from .target import MANAGEMENT_PATHS

if TYPE_CHECKING:
    from .clients.http import Response

SCHEMAS = Path(__file__).parent / "schemas"
_UUID = re.compile("[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
PENDING = 202  # a deferred answer that is not there yet has no body

# Method, path, and the shape of a success: a file of schemas/ and a definition in it.
SCHEMA_BY_ROUTE: tuple[tuple[str, str, str], ...] = (
    ("POST", "/v1/files", "files/File"),
    ("GET", "/v1/files", "files/Files"),
    ("GET", "/v1/files/{id}", "files/File"),
    ("PUT", "/v1/files/{id}", "files/File"),
    ("DELETE", "/v1/files/{id}", "files/Deleted"),
    ("POST", "/v1/files/{id}/public-url", "files/PublicUrl"),
    ("POST", "/v1/files/{id}/public-url/revoke", "files/Revoked"),
    ("GET", "/v1/api-key", "auth/ApiKey"),
    ("GET", "/v1/me", "auth/Me"),
    ("POST", "/auth/teams/{id}/api-keys", "keys/NewKey"),
    ("GET", "/auth/teams/{id}/api-keys", "keys/Keys"),
    ("PUT", "/auth/api-keys/{id}", "keys/Key"),
    ("DELETE", "/auth/api-keys/{id}", "collections/Empty"),
    ("POST", "/auth/api-keys/{id}/rotate", "keys/NewKey"),
    ("GET", "/auth/api-keys/{id}/propagation", "keys/Propagation"),
    ("GET", "/auth/management-keys/validation", "keys/ManagementKey"),
    ("GET", "/auth/teams", "keys/Teams"),
    ("GET", "/auth/teams/{id}/models", "keys/Models"),
    ("GET", "/auth/teams/{id}/endpoints", "keys/Endpoints"),
    ("GET", "/audit/teams/{id}/events", "keys/Events"),
    ("POST", "/v1/collections", "collections/Collection"),
    ("GET", "/v1/collections", "collections/Collections"),
    ("GET", "/v1/collections/{id}", "collections/Collection"),
    ("PUT", "/v1/collections/{id}", "collections/Collection"),
    ("DELETE", "/v1/collections/{id}", "collections/Empty"),
    ("POST", "/v1/collections/{id}/documents", "collections/Document"),
    ("GET", "/v1/collections/{id}/documents", "collections/Documents"),
    ("GET", "/v1/collections/{id}/documents:batchGet", "collections/Documents"),
    ("POST", "/v1/collections/{id}/documents/{file}", "collections/Empty"),
    ("GET", "/v1/collections/{id}/documents/{file}", "collections/Document"),
    ("PATCH", "/v1/collections/{id}/documents/{file}", "collections/Empty"),
    ("DELETE", "/v1/collections/{id}/documents/{file}", "collections/Empty"),
    ("POST", "/v1/documents/search", "search/Matches"),
    ("GET", "/v1/models", "models/Models"),
    ("GET", "/v1/models/{id}", "models/Model"),
    ("GET", "/v1/language-models", "models/LanguageModels"),
    ("GET", "/v1/language-models/{id}", "models/LanguageModel"),
    ("GET", "/v1/image-generation-models", "models/ImageModels"),
    ("GET", "/v1/image-generation-models/{id}", "models/ImageModel"),
    ("GET", "/v1/video-generation-models", "models/VideoModels"),
    ("GET", "/v1/video-generation-models/{id}", "models/VideoModel"),
    ("GET", "/v1/embedding-models", "models/EmbeddingModels"),
    ("GET", "/v1/embedding-models/{id}", "models/EmbeddingModel"),
    ("POST", "/v1/tokenize-text", "models/Tokens"),
    ("POST", "/v1/chat/completions", "chat/Answer"),
    ("GET", "/v1/chat/deferred-completion/{id}", "chat/Completion"),
    ("POST", "/v1/images/generations", "media/Images"),
    ("POST", "/v1/images/edits", "media/Images"),
    ("POST", "/v1/videos/generations", "media/Started"),
    ("POST", "/v1/videos/edits", "media/Started"),
    ("POST", "/v1/videos/extensions", "media/Started"),
    ("GET", "/v1/videos/{id}", "media/Video"),
    ("POST", "/v1/responses", "responses/Response"),
    ("POST", "/v1/responses/compact", "responses/Compacted"),
    ("GET", "/v1/responses/{id}", "responses/Response"),
    ("DELETE", "/v1/responses/{id}", "responses/Deleted"),
    ("GET", "/v1/responses/{id}/input_items", "responses/InputItems"),
    ("POST", "/v1/batches", "batches/Batch"),
    ("GET", "/v1/batches", "batches/Batches"),
    ("GET", "/v1/batches/{id}", "batches/Batch"),
    ("POST", "/v1/batches/{id}:cancel", "batches/Batch"),
    ("GET", "/v1/batches/{id}/requests", "batches/Requests"),
    ("POST", "/v1/batches/{id}/requests", "batches/Nothing"),
    ("GET", "/v1/batches/{id}/results", "batches/Results"),
)


def violation(method: str, path: str, answer: Response) -> str | None:
    """Why an answer is not of its official shape, or None; paths without one are of any shape."""
    request_id = answer.headers.get("x-request-id")
    if request_id is not None and _UUID.fullmatch(request_id) is None:  # recorded live, 2026-04, on both planes
        return f"x-request-id is {request_id!r}, not a UUID"
    if answer.status >= 400:
        return _error_violation(path, answer)
    if answer.status == PENDING:
        return None
    if (answer.headers.get("content-type") or "").startswith("text/event-stream"):
        return relations.stream_error(answer.body.decode("utf-8", "replace"))
    for verb, template, shape in SCHEMA_BY_ROUTE:
        if verb == method and _pattern(template).fullmatch(path):
            if not answer.is_json:
                return f"{method} {path} answers {answer.headers.get('content-type')!r}, not JSON"
            value = answer.json()
            return schema_error(value, shape) or _results_error(value) or relations.error(value)
    return None


# What a result of a batch has for each kind of request: the answer of that call.
_SHAPE_BY_KIND = {
    "chat_get_completion": "chat/Completion",
    "image_generation": "media/Images",
    "video_generation": "media/Video",
}


def _results_error(value: Any) -> str | None:
    """Why a response of a batch is not of the shape of its call, or None."""
    for result in value.get("results", ()) if isinstance(value, dict) else ():
        for kind, response in result["batch_result"].get("response", {}).items():
            reason = schema_error(response, _SHAPE_BY_KIND[kind]) if kind in _SHAPE_BY_KIND else None
            if reason is not None:
                return f"{kind} of {result['batch_request_id']}: {reason}"
    return None


def _error_violation(path: str, answer: Response) -> str | None:
    """A refusal is JSON in the dialect of its plane, or the plain sentence of the inference plane's extractor."""
    if not answer.is_json:
        return (
            None if answer.status in PLAIN_TEXT_STATUSES else f"{answer.status} answers {answer.body[:200]!r}, not JSON"
        )
    shape = "Management" if path.startswith(MANAGEMENT_PATHS) else "Inference"
    if answer.status == MISSHAPEN and path.startswith("/v1/responses"):
        shape = "Misshapen"
    return schema_error(answer.json(), f"errors/{shape}") or _code_error(shape, answer)


# The codes that go with each status: of the inference plane, and numbers of google.rpc.Code of the management plane.
CODES: dict[str, dict[int, tuple[str | int, ...]]] = {
    "Inference": {
        400: ("invalid-argument", "400"),  # the number was recorded for some, 2026-04
        401: ("unauthenticated:no-credentials",),
        403: ("permission-denied",),
        404: ("not-found", "Some requested entity was not found"),
        409: ("aborted",),
        410: ("invalid-argument",),
        412: ("failed-precondition",),
        413: ("invalid-argument",),
        416: ("out-of-range",),
        429: ("resource-exhausted",),
        501: ("unimplemented",),
    },
    "Management": {
        400: (3, 9),
        401: (16,),
        403: (7,),
        404: (5,),
        409: (6, 10),
        413: (3, 8),
        429: (8,),
        501: (12,),
    },
}


def _code_error(shape: str, answer: Response) -> str | None:
    """Why the code of a refusal does not go with its status, or None."""
    codes = CODES.get(shape, {}).get(answer.status)
    if codes is None:
        return None
    code = answer.json()["code"]
    return None if code in codes else f"{answer.status} has the code {code!r}, not {codes[0]!r}"


MISSHAPEN = 422
PLAIN_TEXT_STATUSES = frozenset(
    {400, 405, 415, 422}
)  # what axum's extractors answer in plain text (observed live for 422)


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/:]+", re.escape(template)))


@functools.cache
def _validator(shape: str) -> Any:
    import jsonschema_rs

    file, _, name = shape.partition("/")
    schema = json.loads((SCHEMAS / f"{file}.json").read_text("utf-8"))
    return jsonschema_rs.validator_for({**schema, "$ref": f"#/$defs/{name}"})


def schema_error(value: Any, shape: str) -> str | None:
    """Why a value is not of a shape such as `files/File`, or None."""
    for error in _validator(shape).iter_errors(value):
        place = "".join(f"[{step!r}]" for step in error.instance_path)
        return f"{shape}{place}: {error.message}"
    return None


def error_message(answer: Response) -> str:
    """The sentence of a refusal, in whichever dialect."""
    if not answer.is_json:
        return answer.body.decode("utf-8", "replace")
    found = answer.json()
    return str(found.get("error") or found.get("message") or found)
