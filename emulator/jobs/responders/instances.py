"""The plainest value that a JSON Schema admits."""

from __future__ import annotations

from typing import Any

_PLAIN: dict[str, Any] = {"string": "", "boolean": False, "null": None}
PARTS_MAX, DEPTH_MAX = 1000, 50  # of a value: a schema that refers to itself has no end
ITEMS_MAX = 100  # of an array


def instance(schema: Any) -> Any:
    """A value of a schema: its default, its first choice, or the emptiest of its type."""
    return _Writer(schema).value(schema)


class _Writer:
    """Writes one value; when it has become too large, what is left is empty."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = PARTS_MAX

    def value(self, schema: Any, depth: int = 0) -> Any:
        self._left -= 1
        if not isinstance(schema, dict) or self._left < 0 or depth > DEPTH_MAX:
            return {}
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        for key in ("enum", "allOf", "anyOf", "oneOf"):
            choices = schema.get(key)
            if isinstance(choices, list) and choices:
                return choices[0] if key == "enum" else self.value(choices[0], depth + 1)
        if isinstance(schema.get("$ref"), str):
            return self.value(self._resolve(schema["$ref"]), depth + 1)
        return self._of_type(schema, depth)

    def _of_type(self, schema: dict[str, Any], depth: int) -> Any:
        type = schema.get("type", "object")
        type = type[0] if isinstance(type, list) and type else type
        if type == "array":
            least = schema.get("minItems")
            item = self.value(schema.get("items"), depth + 1)
            return [item] * min(least, ITEMS_MAX) if isinstance(least, int) else []
        if type == "object":
            properties, required = schema.get("properties"), schema.get("required")
            properties = properties if isinstance(properties, dict) else {}
            names = required if isinstance(required, list) else list(properties)
            return {name: self.value(properties.get(name), depth + 1) for name in names if isinstance(name, str)}
        if type in ("integer", "number"):
            least = schema.get("minimum")
            return least if isinstance(least, int | float) else 0
        return _PLAIN.get(type) if isinstance(type, str) else None

    def _resolve(self, reference: str) -> Any:
        """What `#/$defs/Name` refers to."""
        found = self._root
        for name in reference.removeprefix("#/").split("/"):
            found = found.get(name) if isinstance(found, dict) else None
        return found
