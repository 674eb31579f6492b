"""The links of the OpenAPI document: operations that accept an id from a response (OpenAPI 3.1, Link Object)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from emulator.http.openapi import names_in
from emulator.rest.responses import AsJson
from emulator.rest.route import Route
from emulator.rest.routes import ROUTES


def operation_id(route: Route) -> str:
    """Return the name of the operation, with the method if several routes use it."""
    alone = sum(other.operation == route.operation for other in ROUTES) == 1
    return route.operation if alone else f"{route.operation}.{route.method.lower()}"


def links(route: Route) -> dict[str, Any]:
    """Return the operations that can be called with the ids in a response, without ids that the request contained."""
    in_path = {name: f"$request.path.{name}" for name in names_in(route.path)}
    in_answer = _in_answer(route)
    if not set(in_answer) - set(in_path):
        return {}
    known = {**in_answer, **in_path}
    found: dict[str, Any] = {}
    for target in ROUTES:
        taken = {f"path.{name}": known[name] for name in names_in(target.path) if name in known}
        if taken and target is not route:
            found[operation_id(target)] = {"operationId": operation_id(target), "parameters": taken}
    return found


def _in_answer(route: Route) -> dict[str, str]:
    """Return the path parameters whose values a response contains, with their JSON pointers."""
    if not isinstance(route.write, AsJson):
        return {}
    names = {name for other in ROUTES for name in names_in(other.path)}
    found = ((_own_id(route) if pointer == "/id" else name, pointer) for name, pointer in _ids(route.write.shape))
    return {name: f"$response.body#{pointer}" for name, pointer in found if name in names}


def _ids(shape: Any) -> Iterator[tuple[str, str]]:
    """Yield the ids of a struct and of the structs in it: names and JSON pointers."""
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        for member in msgspec.structs.fields(shape):
            if member.name.endswith("id"):
                yield member.name, f"/{member.encode_name}"
            yield from ((name, f"/{member.encode_name}{pointer}") for name, pointer in _ids(member.type))


def _own_id(route: Route) -> str:
    """Return the parameter for a plain `id`: the parameter that follows the path, else the last one in it."""
    below = (other.path.removeprefix(f"{route.path}/") for other in ROUTES if other.path.startswith(f"{route.path}/"))
    follows = (re.fullmatch(r"\{(\w+)\}", rest) for rest in below)
    return next((found[1] for found in follows if found), (names_in(route.path) or [""])[-1])
