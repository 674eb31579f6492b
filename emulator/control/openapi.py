"""The OpenAPI 3.1 document of the control plane, produced from the table of its routes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from emulator.control.route import Answer, ControlRoute, Refusal
from emulator.http.responses import EventStream, FileDownload
from emulator.version import VERSION

PREFIX = "/_emulator"
Schema = dict[str, Any]
_REF = "#/components/schemas/{name}"
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
    """The document for these routes."""
    routes = tuple(routes)
    shapes = [Refusal, *(shape for route in routes for shape in (route.body, route.reply) if _is_json(shape))]
    _, schemas = msgspec.json.schema_components(dict.fromkeys(shapes), ref_template=_REF)
    paths: dict[str, Schema] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "xai-emulator control",
            "version": VERSION,
            "description": "Time, failure and memory of an emulator, per team. Local callers, or those with the token.",
        },
        "servers": [{"url": origin}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"control_token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"control_token": []}],  # the token is needed where the emulator has one
    }


def _is_json(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, msgspec.Struct)


def _operation(route: ControlRoute) -> Schema:
    lines = (inspect.getdoc(route.run) or "").split("\n\n", 1)
    described: Schema = {
        "operationId": f"{route.method} {route.path}",
        "summary": " ".join(lines[0].split()),
        "tags": [route.path.split("/")[1]],
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {"200": {"description": "Done.", "content": _content(route)}, **_refusals(route)},
    }
    if len(lines) > 1:
        described["description"] = " ".join(lines[1].split())
    if route.uploads:
        binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        described["requestBody"] = {"required": True, "content": binary}
    elif route.body is not None:
        schema = {"$ref": _REF.format(name=route.body.__name__)}
        described["requestBody"] = {
            "required": not route.optional_body,
            "content": {"application/json": {"schema": schema}},
        }
    return described


def _content(route: ControlRoute) -> Schema:
    if route.reply is EventStream:
        return {"text/event-stream": {"schema": {"type": "string"}}}
    if route.reply is FileDownload:
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    if issubclass(route.reply, Answer):
        return {"application/json": {"schema": {"$ref": _REF.format(name=route.reply.__name__)}}}
    return {"application/json": {"schema": {"type": "object"}}}


def _refusals(route: ControlRoute) -> Schema:
    content = {"application/json": {"schema": {"$ref": _REF.format(name=Refusal.__name__)}}}
    statuses = sorted(
        {400, *(() if route.public else (401,)), 403, *route.refusals, *((413,) if route.body or route.uploads else ())}
    )
    return {str(status): {"description": _STATUSES[status], "content": content} for status in sorted(statuses)}


def _path_parameters(route: ControlRoute) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _query_parameters(route: ControlRoute) -> list[Schema]:
    _, components = msgspec.json.schema_components([route.query], ref_template=_REF)
    shape = components[route.query.__name__]
    return [
        {"name": name, "in": "query", "required": name in shape.get("required", ()), "schema": _without_null(schema)}
        for name, schema in shape["properties"].items()
    ]


def _without_null(schema: Schema) -> Schema:
    """A query has no null: an optional parameter is left out instead."""
    branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) != 1:
        return schema
    kept = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**kept, **branches[0]}
