"""Schemas of requests that are read as ProtoJSON, which accepts more than the plain JSON of the same struct.

null is the same as a missing field, an enum may be a number, and a number may be a string (protobuf.dev, "ProtoJSON
Format"). `rest/protojson.py` reads requests in this way; this module describes it in the OpenAPI document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]

_NUMBER = {"type": "string", "pattern": r"^-?(0|[1-9][0-9]*)(\.0+)?$"}
_NULL = {"type": "null"}
_REFERENCE = re.compile(r"'#/components/schemas/([^']+)'")


def accept_protojson(names: Iterable[str], schemas: dict[str, Schema], *, in_query: bool) -> None:
    """Extend the schemas of these structs, and of all to which they refer, in place. No response may refer to them.

    A query has neither null nor types: of its parameters only the enums are extended.
    """
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += _REFERENCE.findall(str(schemas[name]))
        if "enum" in schemas[name]:
            schemas[name] = _enum(schemas[name])
        elif not in_query:
            properties = schemas[name].get("properties", {})
            schemas[name]["properties"] = {key: _nullable(_number(value)) for key, value in properties.items()}


def _enum(schema: Schema) -> Schema:
    values: list[str] = schema["enum"]
    number = {"type": "integer", "minimum": 0, "maximum": len(values) - 1}
    text = "A name, or its number: " + ", ".join(f"{place} is {value}" for place, value in enumerate(values)) + "."
    return {"title": schema.get("title"), "description": text, "anyOf": [{"enum": values}, number]}


def _number(schema: Schema) -> Schema:
    branches = schema.get("anyOf", [schema])
    if not any(branch.get("type") == "integer" for branch in branches):
        return schema
    rest = {key: value for key, value in schema.items() if key in ("default", "description")}
    plain = [{key: value for key, value in branch.items() if key not in rest} for branch in branches]
    return {**rest, "anyOf": [*plain, _NUMBER]}


def _nullable(schema: Schema) -> Schema:
    if _NULL in schema.get("anyOf", ()):
        return schema
    rest = {key: value for key, value in schema.items() if key in ("default", "description")}
    own = {key: value for key, value in schema.items() if key not in rest}
    branches = own.get("anyOf", [own])
    return {**rest, "anyOf": [*branches, _NULL]}
