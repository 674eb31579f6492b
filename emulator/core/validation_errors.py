"""Rewords msgspec's validation errors for users: `status must be an integer of at least 400`.

Used for the emulator's own interfaces: the control API and the seed file. Refusals of `/v1` have the messages of the
real service (`rest/serde_errors.py`).
"""

from __future__ import annotations

import re

import msgspec

_TYPES = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
    "datetime": "a time",
}
_BOUNDS = {">=": "of at least", "<=": "of at most", ">": "greater than", "<": "less than"}
_PLACE = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_EXPECTED = re.compile(r"Expected `([^`]+)`(?:, got `([^`]+)`)?(.*)$", re.DOTALL)
_LENGTH = re.compile(r" of length (>=|<=) (\d+)$")
_BOUND = re.compile(r" (>=|<=|>|<) (\S+)$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`$", re.DOTALL)


def explain(error: msgspec.ValidationError) -> str:
    """Return the error as one sentence that begins with the field, if there is one."""
    text = str(error)
    found = _PLACE.search(text)
    place = found[1].lstrip(".") if found else ""
    sentence = text[: found.start()] if found else text
    if unknown := _UNKNOWN.match(sentence):
        return f"{f'{place}: ' if place else ''}there is no field {unknown[1]!r}"
    if missing := _MISSING.match(sentence):
        return f"{f'{place}.' if place else ''}{missing[1]} is missing"
    subject = place or "it"
    if expected := _EXPECTED.match(sentence):
        return f"{subject} must be {_wanted(expected[1], expected[3])}{_got(expected[2])}"
    return f"{subject}: {sentence[:1].lower()}{sentence[1:]}" if place else sentence


def _wanted(types: str, condition: str) -> str:
    kinds = [_TYPES.get(kind, kind) for kind in types.split(" | ") if kind != "null"]
    text = " or ".join(kinds)
    if length := _LENGTH.search(condition):
        unit = "characters" if "str" in types else "items"
        return f"{text} of at {'least' if length[1] == '>=' else 'most'} {int(length[2]):,} {unit}"
    if bound := _BOUND.search(condition):
        return f"{text} {_BOUNDS[bound[1]]} {bound[2]}"
    if condition.startswith(" matching regex "):
        pattern = condition.removeprefix(" matching regex ").strip("'").replace("(?!\\\\n)", "").replace("(?!\\n)", "")
        return f"{text} that matches {pattern}"
    return text + condition


def _got(kind: str | None) -> str:
    return "" if kind is None else f", not {_TYPES.get(kind, kind)}"
