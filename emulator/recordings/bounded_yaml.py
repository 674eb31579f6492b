"""Read untrusted YAML: texts, bytes, lists and mappings, without recursion, and within bounds.

The loaders of PyYAML recurse: a deeply nested file crashes a process with libyaml (a segmentation fault), and aliases
of aliases fill the memory of one without. Here the document is built from the events of the parser. No tag creates an
object: `!!binary` gives bytes, and every other scalar a text or None.
"""

from __future__ import annotations

import base64
import binascii
import importlib
from typing import Any

DEPTH_MAX = 32
NODES_MAX = 2_000_000  # including those repeated by aliases
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_BINARY = "tag:yaml.org,2002:binary"


class BadYaml(ValueError):
    """The text is no YAML, or exceeds the bounds; the message is one line."""


def load(data: bytes) -> Any:
    """Return the first document of a text. Raises BadYaml."""
    yaml: Any = importlib.import_module("yaml")  # imported only for a YAML file
    builder = _Builder()
    try:
        for event in yaml.parse(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.DocumentEndEvent):
                break
            getattr(builder, _NAMES.get(type(event).__name__, "ignore"))(event)
    except yaml.YAMLError as error:
        raise BadYaml(" ".join(str(error).split())) from None
    return builder.root


class _Open:
    """An open list or mapping."""

    def __init__(self, value: list[Any] | dict[str, Any], anchor: str | None, before: int) -> None:
        self.value, self.anchor, self.before = value, anchor, before
        self.key: str | None = None


class _Builder:
    """Builds one document from its events."""

    def __init__(self) -> None:
        self.root: Any = None
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}  # with the number of nodes
        self._nodes = 0

    def ignore(self, event: Any) -> None:
        """Ignore the start and end events."""

    def scalar(self, event: Any) -> None:
        """Add a text, bytes or None."""
        value: Any = event.value
        if event.tag == _BINARY:
            try:
                value = base64.b64decode("".join(value.split()), validate=True)
            except (ValueError, binascii.Error):
                raise BadYaml("!!binary is no base64") from None
        elif event.implicit[0] and value in _NOTHING:
            value = None
        self._add(value, 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, 1

    def alias(self, event: Any) -> None:
        """Add the value of an anchor."""
        if event.anchor not in self._anchors:
            raise BadYaml(f"the alias *{event.anchor} has no anchor before it")
        self._add(*self._anchors[event.anchor])

    def begin_list(self, event: Any) -> None:
        """Begin a list."""
        self._begin([], event.anchor)

    def begin_mapping(self, event: Any) -> None:
        """Begin a mapping."""
        self._begin({}, event.anchor)

    def end(self, event: Any) -> None:
        """End the innermost open list or mapping."""
        done = self._open.pop()
        if done.anchor is not None:
            self._anchors[done.anchor] = done.value, self._nodes - done.before

    def _begin(self, value: list[Any] | dict[str, Any], anchor: str | None) -> None:
        before = self._nodes
        self._add(value, 1)
        if len(self._open) >= DEPTH_MAX:
            raise BadYaml(f"it is nested deeper than {DEPTH_MAX} levels")
        self._open.append(_Open(value, anchor, before))

    def _add(self, value: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > NODES_MAX:
            raise BadYaml(f"it has more than {NODES_MAX} values")
        if not self._open:
            self.root = value
            return
        last = self._open[-1]
        if isinstance(last.value, list):
            last.value.append(value)
        elif last.key is None:
            if value is not None and not isinstance(value, str):
                raise BadYaml("a key is no text")
            last.key = value or ""
        else:
            last.value[last.key] = value
            last.key = None


_NAMES = {
    "ScalarEvent": "scalar",
    "AliasEvent": "alias",
    "SequenceStartEvent": "begin_list",
    "MappingStartEvent": "begin_mapping",
    "SequenceEndEvent": "end",
    "MappingEndEvent": "end",
}
