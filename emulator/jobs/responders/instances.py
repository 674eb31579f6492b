"""The plainest value that a JSON Schema admits."""

from __future__ import annotations

from typing import Any

_PLAIN: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "null": None}
DEPTH_MAX = 16  # of a schema that refers to itself


def instance(schema: Any) -> Any:
    """A value of a schema: its default, its first choice, or the emptiest of its type."""
    return _instance(schema, schema if isinstance(schema, dict) else {}, 0)


def _instance(schema: Any, root: dict[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > DEPTH_MAX:
        return {}
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    if isinstance(schema.get("$ref"), str):
        return _instance(_resolve(schema["$ref"], root), root, depth + 1)
    for key in ("allOf", "anyOf", "oneOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return _instance(schema[key][0], root, depth + 1)
    return _of_type(schema, root, depth)


def _of_type(schema: dict[str, Any], root: dict[str, Any], depth: int) -> Any:
    type = schema.get("type", "object")
    type = type[0] if isinstance(type, list) and type else type
    if type == "array":
        least = schema.get("minItems", 0)
        return [_instance(schema.get("items"), root, depth + 1)] * (least if isinstance(least, int) else 0)
    if type == "object":
        properties, required = schema.get("properties"), schema.get("required")
        properties = properties if isinstance(properties, dict) else {}
        names = required if isinstance(required, list) else list(properties)
        return {name: _instance(properties.get(name), root, depth + 1) for name in names if isinstance(name, str)}
    if type in ("integer", "number"):
        least = schema.get("minimum", 0)
        return least if isinstance(least, int | float) else 0
    return _PLAIN.get(type) if isinstance(type, str) else None


def _resolve(reference: str, root: dict[str, Any]) -> Any:
    """What `#/$defs/Name` refers to."""
    found: Any = root
    for name in reference.removeprefix("#/").split("/"):
        found = found.get(name) if isinstance(found, dict) else None
    return found
