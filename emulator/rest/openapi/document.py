"""The OpenAPI 3.1 document of `/v1`, generated from the declarations that decode, validate and render.

Paths come from the routes, schemas from the msgspec structs, bounds from the rules of the operations' requests. A bound
is in the schema only if the team's profile refuses values beyond it; if the profile clamps them, it is in the
description.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from types import NoneType
from typing import Any

from emulator.core.limits import Between, Chars, Items, PageSize
from emulator.core.profiles import Reaction
from emulator.domain.bounds import rules
from emulator.domain.keys import Plane
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
from emulator.operations import OPERATIONS
from emulator.operations.base import Operation
from emulator.rest.media import AsVideoJson
from emulator.rest.openapi.links import links, operation_id
from emulator.rest.openapi.protojson import accept_protojson
from emulator.rest.protojson import FromProtoJson, FromProtoQuery
from emulator.rest.requests import FromJson, FromQuery, FromStream
from emulator.rest.responses import AsAnswer, AsBytes, AsFetched, AsJson
from emulator.rest.route import Route
from emulator.rest.routes import ROUTES
from emulator.state.teams import Team

_INFERENCE_ERROR: Schema = {
    "type": "object",
    "required": ["code", "error"],
    "properties": {"code": {"type": "string"}, "error": {"type": "string"}},
}
_MISSHAPEN: Schema = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_MANAGEMENT_ERROR: Schema = {  # google.rpc.Status as grpc-gateway writes it
    "type": "object",
    "required": ["code", "message", "details"],
    "properties": {
        "code": {"type": "integer"},
        "message": {"type": "string"},
        "details": {"type": "array", "items": {}},
    },
}
_ERRORS = {Plane.INFERENCE: "Error", Plane.PUBLIC: "Error", Plane.MANAGEMENT: "Status"}


def document(team: Team, origin: str) -> dict[str, Any]:
    """Return the document for a team's limits and profile."""
    schemas = _schemas(team)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, team, schemas)
    for route in ROUTES:
        if isinstance(route.read, FromQuery):
            schemas.pop(route.read.shape.__name__, None)  # not needed: each field is a parameter
    security = {
        plane.value: {"type": "http", "scheme": "bearer", "description": f"A key of the {plane.value} plane."}
        for plane in (Plane.INFERENCE, Plane.MANAGEMENT)
    }
    return openapi.document(
        "xai-emulator",
        "The xAI Files, Collections, Documents-search, Batch, Chat, Responses, Image, Video and Models APIs, "
        "as this emulator serves them.",
        origin,
        paths,
        {
            "schemas": {**schemas, "Error": _INFERENCE_ERROR, "Status": _MANAGEMENT_ERROR},
            "securitySchemes": security,
        },
    )


def _structs() -> Iterator[type]:
    for route in ROUTES:
        for part in (route.read, route.write):
            if isinstance(part, FromJson | FromQuery | AsJson):
                if part.shape is not NoneType:
                    yield part.shape
            elif isinstance(part, FromStream) and part.json_shape is not None:
                yield part.json_shape


def _schemas(team: Team) -> dict[str, Schema]:
    """Return the schema of every struct, with the bounds of the operations that read it."""
    schemas = schemas_of(_structs())
    for route in ROUTES:
        if isinstance(route.write, AsJson) and route.write.shape is not NoneType:
            _require_what_is_written(route.write.shape.__name__, schemas)
        shape = _json_shape(route)
        if shape is not None:
            _bound(_properties(shape.__name__, schemas), OPERATIONS[route.operation], team)
    for kind, in_query in ((FromProtoJson, False), (FromProtoQuery, True)):
        names = {route.read.shape.__name__ for route in ROUTES if isinstance(route.read, kind)}
        accept_protojson(names, schemas, in_query=in_query)
    return schemas


def _require_what_is_written(name: str, schemas: dict[str, Schema]) -> None:
    """Make members required that a response always contains, including those with defaults; only UNSET is omitted."""
    schema = schemas[name]
    properties = schema.get("properties", {})
    if properties:
        present = schema.get("required", [])
        schema["required"] = [each for each, its in properties.items() if each in present or "default" in its]
    for inner in _inner(properties):
        _require_what_is_written(inner, schemas)


def _properties(name: str, schemas: dict[str, Schema]) -> dict[str, Schema]:
    """Return the properties of a body and of the objects in it, by name; outer ones have priority."""
    own = schemas[name].get("properties", {})
    found = dict(own)
    for inner in _inner(own):
        found = {**_properties(inner, schemas), **found}
    return found


def _inner(properties: dict[str, Schema]) -> list[str]:
    """Return the names of the schemas to which properties refer."""
    return re.findall(r"'#/components/schemas/([^']+)'", str(properties))


def _json_shape(route: Route) -> type | None:
    """Return the type of the JSON body that a route reads, or None."""
    if isinstance(route.read, FromStream):
        return route.read.json_shape
    return route.read.shape if isinstance(route.read, FromJson) else None


def _bound(properties: dict[str, Schema], operation: Operation, team: Team) -> None:
    """Add the bounds of an operation to the schemas of the properties with the same names."""
    for name, rule in rules(operation.request):
        high = getattr(team.limits, rule.high)
        for schema in (properties[key] for key in (name, f"{name}[seconds]") if key in properties):
            if isinstance(rule, Between):
                _state(schema, "integer", minimum=getattr(team.limits, rule.low), maximum=high)
            elif isinstance(rule, Chars):
                _state(schema, "string", maxLength=high)
            elif isinstance(rule, Items):
                _state(schema, "array", maxItems=high)
            else:
                _describe_page_size(schema, rule, team)


def _state(schema: Schema, type: str, **bounds: int | None) -> None:
    """Add bounds to the branch of a type; None is no bound."""
    for branch in schema.get("anyOf", [schema]):
        if branch.get("type") == type:
            branch |= {keyword: bound for keyword, bound in bounds.items() if bound is not None}


def _describe_page_size(schema: Schema, rule: PageSize, team: Team) -> None:
    text = f"0 or less means {rule.default(team.limits)}."
    high: int | None = getattr(team.limits, rule.high)
    if high is not None and team.profile.page_limit_above_max is Reaction.REFUSE:
        _state(schema, "integer", maximum=high)
    elif high is not None:
        text += f" More than {high} is taken as {high}."
    schema["description"] = text


def _operation(route: Route, team: Team, schemas: dict[str, Schema]) -> dict[str, Any]:
    operation = OPERATIONS[route.operation]
    described: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": (operation.run.__doc__ or "").split("\n", 1)[0],
        "tags": [route.operation.split(".", 1)[0]],
        "x-evidence": operation.confidence.value,
        "x-source": operation.source,
        "parameters": [*_path_parameters(route), *_query_parameters(route, team, schemas)],
        "responses": {**_success(route), "default": _refusal(operation.plane, route)},
    }
    if isinstance(route.read, FromJson) and route.read.refuses_in_json:
        described["responses"]["422"] = {"description": "A body of another shape.", "content": json_content(_MISSHAPEN)}
    if any("not" in each["schema"] for each in described["parameters"]):
        described["responses"]["405"] = {"description": "The id is a word of another path, which has other methods."}
    body = _body(route, team)
    if body is not None:
        described["requestBody"] = body
    if operation.plane is not Plane.PUBLIC:
        described["security"] = [{operation.plane.value: []}]
    return described


def _path_parameters(route: Route) -> list[Schema]:
    found = []
    for name in names_in(route.path):
        taken = _literals(route.path.partition(f"{{{name}}}")[0])
        found.append(path_parameter(name, **({"not": {"enum": taken}} if taken else {})))
    return found


def _literals(prefix: str) -> list[str]:
    """Return the literal segments at the place of a parameter: they belong to other paths."""
    rests = {route.path.removeprefix(prefix).partition("/")[0] for route in ROUTES if route.path.startswith(prefix)}
    return sorted(rest for rest in rests if "{" not in rest)


def _query_parameters(route: Route, team: Team, schemas: dict[str, Schema]) -> list[Schema]:
    if not isinstance(route.read, FromQuery):
        return []
    shape = schemas[route.read.shape.__name__]
    properties = {name: dict(schema) for name, schema in shape["properties"].items()}
    _bound(properties, OPERATIONS[route.operation], team)
    for schema in properties.values():
        schema.pop("maxItems", None)  # a target with so many items would exceed the limit of a request head
    parameters = query_parameters({**shape, "properties": properties})
    for each in parameters:
        if each["name"] == "limit":
            each["schema"] = _or_empty(each["schema"])
    return parameters


def _or_empty(schema: Schema) -> Schema:
    """Allow an empty limit (`?limit=`), which is the same as none."""
    rest = {key: value for key, value in schema.items() if key in ("default", "description")}
    return {**rest, "anyOf": [{key: value for key, value in schema.items() if key not in rest}, {"const": ""}]}


def _body(route: Route, team: Team) -> Schema | None:
    read = route.read
    shape, content = _json_shape(route), {}
    if isinstance(read, FromStream):
        schema = copy.deepcopy(read.schema)
        _bound(schema["properties"], OPERATIONS[route.operation], team)
        content[read.media_type] = {"schema": schema}
    if shape is not None:
        content |= json_content(reference(shape.__name__))
    optional = isinstance(read, FromProtoJson) or getattr(read, "optional", False)
    return {"required": not optional, "content": content} if content else None


def _success(route: Route) -> dict[str, Schema]:
    """Return the responses of a successful call, by status."""
    if isinstance(route.write, AsJson):
        empty = route.write.shape is NoneType
        schema = {"type": "null"} if empty else reference(route.write.shape.__name__)
        reply: Schema = {"description": "Success.", "content": json_content(schema)}
        if isinstance(route.write, AsAnswer):
            reply["content"][route.write.media_type] = {"schema": {"type": "string"}}
        pending = {"202": {"description": "Pending."}} if isinstance(route.write, AsFetched | AsVideoJson) else {}
        return {"200": {**reply, "links": followed} if (followed := links(route)) else reply, **pending}
    assert isinstance(route.write, AsBytes)  # there is no third kind of response
    content = {route.write.media_type: BINARY}
    replies: dict[str, Schema] = {"200": {"description": "The bytes.", "content": content}}
    if route.method == "GET":
        replies["206"] = {"description": "The bytes of a `Range`.", "content": content}
    return replies


def _refusal(plane: Plane, route: Route) -> Schema:
    """Return the schema of a refusal: the plane's JSON, or the plain text of the inference plane's JSON extractor."""
    content = json_content(reference(_ERRORS[plane]))
    if isinstance(route.read, FromJson | FromStream) and plane is Plane.INFERENCE:
        content["text/plain"] = {"schema": {"type": "string"}}
    return {"description": "A refusal.", "content": content}
