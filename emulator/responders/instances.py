"""Generate a minimal instance of a JSON Schema, with a bounded size: a small schema can demand a value of any size."""

from __future__ import annotations

from itertools import islice, repeat
from typing import Any

import msgspec

_PLAIN: dict[str, Any] = {"string": "", "boolean": False, "null": None}
# Assumed: more than any generated answer needs.
PARTS_MAX = 10_000  # of a value: its members and items, at all levels
BYTES_MAX = 256 * 1024  # of texts from the schema: names of members, constants, defaults
DEPTH_MAX = 50


class TooLarge(ValueError):
    """No value within the bounds satisfies the schema; the message says which bound."""


def instance(schema: Any) -> Any:
    """Return a value for a schema: its default, its first choice, or a minimal one of its type. Raises TooLarge."""
    return _Writer(schema).value(schema)


class _Writer:
    """Generates one value. Every part and byte is counted each time it is generated."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._parts, self._bytes = PARTS_MAX, BYTES_MAX
        self._sizes: dict[int, int] = {}  # of constants, by the `id()` of the value in the schema
        self._resolved: dict[str, Any] = {}
        self._open: set[str] = set()  # references that are being followed

    def value(self, schema: Any, depth: int = 0) -> Any:
        self._spend(parts=1)
        if not isinstance(schema, dict) or depth > DEPTH_MAX:
            return {}
        for key in ("const", "default"):
            if key in schema:
                return self._constant(schema[key])
        for key in ("enum", "allOf", "anyOf", "oneOf"):
            choices = schema.get(key)
            if isinstance(choices, list) and choices:
                return self._constant(choices[0]) if key == "enum" else self.value(choices[0], depth + 1)
        if isinstance(schema.get("$ref"), str):
            return self._referred(schema["$ref"], depth)
        return self._of_type(schema, depth)

    def _of_type(self, schema: dict[str, Any], depth: int) -> Any:
        type = schema.get("type", "object")
        type = type[0] if isinstance(type, list) and type else type
        if type == "array":
            least = schema.get("minItems")
            count = (
                min(least, self._parts + 1) if isinstance(least, int) else 0
            )  # one more than the bound is enough to be refused
            return [self.value(items, depth + 1) for items in repeat(schema.get("items"), max(0, count))]
        if type == "object":
            properties, required = schema.get("properties"), schema.get("required")
            properties = properties if isinstance(properties, dict) else {}
            names = required if isinstance(required, list) else properties
            some = islice(names, self._parts + 1)
            return {name: self._member(name, properties, depth) for name in some if isinstance(name, str)}
        if type in ("integer", "number"):
            least = schema.get("minimum")
            return least if isinstance(least, int | float) else 0
        return _PLAIN.get(type) if isinstance(type, str) else None

    def _member(self, name: str, properties: dict[str, Any], depth: int) -> Any:
        self._spend(bytes=len(name))
        return self.value(properties.get(name), depth + 1)

    def _constant(self, value: Any) -> Any:
        if id(value) not in self._sizes:
            self._sizes[id(value)] = len(msgspec.json.encode(value))
        self._spend(bytes=self._sizes[id(value)])
        return value

    def _referred(self, reference: str, depth: int) -> Any:
        """Return an instance of a referenced schema; a circular reference gives an empty value."""
        if reference in self._open:
            return {}
        self._open.add(reference)
        try:
            return self.value(self._resolve(reference), depth + 1)
        finally:
            self._open.discard(reference)

    def _resolve(self, reference: str) -> Any:
        """Return the schema that `#/$defs/Name` refers to."""
        if reference not in self._resolved:
            found = self._root
            for name in reference.removeprefix("#/").split("/"):
                found = found.get(name) if isinstance(found, dict) else None
            self._resolved[reference] = found
        return self._resolved[reference]

    def _spend(self, *, parts: int = 0, bytes: int = 0) -> None:
        self._parts -= parts
        self._bytes -= bytes
        if self._parts < 0:
            raise TooLarge(f"The schema demands an answer of more than {PARTS_MAX} parts.")
        if self._bytes < 0:
            raise TooLarge(f"The schema demands an answer of more than {BYTES_MAX} bytes.")
