"""Parts that the OpenAPI 3.1 documents of both APIs share: the frame, and the schemas of paths and queries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from emulator.core.version import VERSION

Schema = dict[str, Any]

_REF = "#/components/schemas/{name}"
BINARY: Schema = {"schema": {"type": "string", "format": "binary"}}


def document(
    title: str, description: str, origin: str, paths: dict[str, Schema], components: Schema, **more: Any
) -> Schema:
    """Return a whole document, served at an origin."""
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION, "description": description},
        "servers": [{"url": origin}],
        "paths": paths,
        "components": components,
        **more,
    }


def schemas_of(shapes: Iterable[type]) -> dict[str, Schema]:
    """Return the schemas of structs and their members, by name."""
    _, schemas = msgspec.json.schema_components(dict.fromkeys(shapes), ref_template=_REF)
    return schemas


def reference(name: str) -> Schema:
    """The schema of a name."""
    return {"$ref": _REF.format(name=name)}


def json_content(schema: Schema) -> Schema:
    """The content of a body in JSON."""
    return {"application/json": {"schema": schema}}


def names_in(path: str) -> list[str]:
    """Return the names in braces."""
    return re.findall(r"\{(\w+)\}", path)


def path_parameter(name: str, **more: Any) -> Schema:
    """A parameter of a path; `more` is added to its schema."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, **more}}


def query_parameters(shape: Schema) -> list[Schema]:
    """Return the members of a struct as query parameters."""
    required = shape.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": without_null(schema)}
        for name, schema in shape["properties"].items()
    ]


def without_null(schema: Schema) -> Schema:
    """Remove null from a schema: in a query an optional parameter is left out instead."""
    schema = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) == 1:
        return {**{key: value for key, value in schema.items() if key != "anyOf"}, **branches[0]}
    return schema
