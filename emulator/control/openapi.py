"""The OpenAPI 3.1 document of the control API, generated from its routes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec

from emulator.control.route import Answer, ControlRoute, Refusal
from emulator.http import openapi
from emulator.http.openapi import (
    BINARY,
    Schema,
    json_content,
    names_in,
    path_parameter,
    query_parameters,
    reference,
    schemas_of,
)
from emulator.http.responses import EventStream, FileDownload, TextResponse

PREFIX = "/_emulator"
_STATUSES = {
    400: "The call is not of the documented shape.",
    401: "The call does not carry the control token that this emulator asks for.",
    403: "The call comes from a foreign page or host, or sets what only the start of the emulator can set.",
    404: "What the call names is not there.",
    409: "It cannot be done as things are now.",
    413: "The body is too large.",
    422: "The shape is right, but this can never be done.",
}


def document(routes: Iterable[ControlRoute], origin: str) -> Schema:
    """Return the document for these routes."""
    routes = tuple(routes)
    used: list[Any] = [Refusal, *(shape for route in routes for shape in (route.body, route.reply))]
    schemas = schemas_of(filter(_is_json, used))
    paths: dict[str, Schema] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route)
    return openapi.document(
        "xai-emulator control",
        "Time, failure and memory of an emulator, per team. Local callers, or those with the token.",
        origin,
        paths,
        {"schemas": schemas, "securitySchemes": {"control_token": {"type": "http", "scheme": "bearer"}}},
        security=[{}, {"control_token": []}],  # the token is required if the emulator has one
    )


def _is_json(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, msgspec.Struct)


def _operation(route: ControlRoute) -> Schema:
    lines = (inspect.getdoc(route.run) or "").split("\n\n", 1)
    described: Schema = {
        "operationId": f"{route.method} {route.path}",
        "summary": " ".join(lines[0].split()),
        "tags": [route.path.split("/")[1]],
        "parameters": [*map(path_parameter, names_in(route.path)), *_query_parameters(route)],
        "responses": {"200": {"description": "Done.", "content": _content(route)}, **_refusals(route)},
    }
    if len(lines) > 1:
        described["description"] = " ".join(lines[1].split())
    if route.uploads:
        binary = {"application/octet-stream": BINARY}
        described["requestBody"] = {"required": True, "content": binary}
    elif route.body is not None:
        schema = reference(route.body.__name__)
        described["requestBody"] = {
            "required": not route.optional_body,
            "content": json_content(schema),
        }
    return described


def _content(route: ControlRoute) -> Schema:
    if route.reply is EventStream:
        return {"text/event-stream": {"schema": {"type": "string"}}}
    if route.reply is TextResponse:
        return {"text/plain": {"schema": {"type": "string"}}}
    if route.reply is FileDownload:
        return {"application/octet-stream": BINARY}
    if issubclass(route.reply, Answer):
        return json_content(reference(route.reply.__name__))
    return json_content({"type": "object"})


def _refusals(route: ControlRoute) -> Schema:
    content = json_content(reference(Refusal.__name__))
    statuses = sorted(
        {400, *(() if route.public else (401,)), 403, *route.refusals, *((413,) if route.body or route.uploads else ())}
    )
    return {str(status): {"description": _STATUSES[status], "content": content} for status in sorted(statuses)}


def _query_parameters(route: ControlRoute) -> list[Schema]:
    return query_parameters(schemas_of([route.query])[route.query.__name__])
