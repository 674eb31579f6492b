"""Readers of requests: from the path, the query, a JSON body or a form, each with its OpenAPI schema."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import msgspec

from emulator.core.errors import ApiError, Kind, invalid
from emulator.core.limits import Limits
from emulator.http.requests import Request, query_pairs
from emulator.operations.base import Call
from emulator.rest import serde_errors


class Reading(Protocol):
    """Interface of the readers."""

    content_type: ClassVar[str | None]

    async def __call__(self, request: Request, call: Call) -> Any: ...


class FromPath(msgspec.Struct, frozen=True):
    """Path parameters only."""

    make: Callable[[Mapping[str, str]], Any]
    content_type: ClassVar[str | None] = None

    async def __call__(self, request: Request, call: Call) -> Any:
        return self.make(request.path_params)


class FromQuery(msgspec.Struct, frozen=True):
    """Path and query parameters; `shape` is the msgspec.Struct of the query."""

    shape: type
    make: Callable[[Mapping[str, str], Any], Any]
    content_type: ClassVar[str | None] = None

    async def __call__(self, request: Request, call: Call) -> Any:
        return self.make(request.path_params, query(request, self.shape, call.team.limits))


class FromJson(msgspec.Struct, frozen=True):
    """Path parameters and a JSON body; an optional body may be missing, or have no content type."""

    shape: type
    make: Callable[[Mapping[str, str], Any], Any]
    optional: bool = False
    content_type: ClassVar[str | None] = "application/json"
    refuses_in_json: ClassVar[bool] = False  # refuse a body that does not fit as JSON without a code, not as plain text

    async def __call__(self, request: Request, call: Call) -> Any:
        body = await read_json_body(request, call.team.limits)
        if self.optional and not body.strip():
            return self.make(request.path_params, self.shape())
        self.check_type(request)
        return self.make(request.path_params, serde_errors.decode(body, self.shape, call.team.limits))

    def check_type(self, request: Request) -> None:
        """Refuse a content type other than JSON."""
        declared = (request.header(b"content-type") or "").split(";", 1)[0].strip().lower()
        if declared != self.content_type and not declared.endswith("+json"):
            raise ApiError(
                Kind.UNSUPPORTED_MEDIA_TYPE,
                "Expected request with `Content-Type: application/json`",  # message of axum
                rule="content_type",
            )


class FromStream(msgspec.Struct, frozen=True, eq=False):
    """A body that is read as it arrives; with `json_shape`, a JSON body of that type is accepted as well."""

    make: Callable[[Request, Call], Any]
    media_type: str
    schema: dict[str, Any]  # JSON Schema of the form or the message
    json_shape: type | None = None
    content_type: ClassVar[str | None] = None

    async def __call__(self, request: Request, call: Call) -> Any:
        return await self.make(request, call)


def query(request: Request, shape: type, limits: Limits) -> Any:
    """Read the query parameters; unknown ones are ignored, and the last one of several with the same name counts."""
    raw: bytes = request.scope["query_string"]
    if not raw:
        return shape()
    most = limits.query_string_bytes_max
    if most is not None and len(raw) > most:
        raise invalid(f"The query string has more than {most} bytes.", rule="query_string_bytes_max")
    lists = _lists(shape)
    values: dict[str, Any] = {}
    try:
        for name, value in query_pairs(raw.decode("latin-1")):
            if name in lists:
                values.setdefault(name, []).append(value)
            elif value or name != "limit":  # an empty limit is no limit
                values[name] = value
        found: Any = msgspec.convert(values, shape, strict=False)
    except UnicodeDecodeError:
        raise invalid("The query string is not valid UTF-8.", rule="query") from None
    except msgspec.ValidationError as error:
        raise _bad_query(error, values) from None
    for name in values:
        if getattr(found, name, values) is None:  # msgspec reads the text `null` as None; a query has no null
            raise invalid(f"Invalid {name}: 'null' is not one of its values.", rule="query", param=name)
    return found


def query_names(request: Request, limits: Limits) -> list[str]:
    """Return the decoded names of the query parameters; none if the query is too long or not valid UTF-8."""
    raw: bytes = request.scope["query_string"]
    if limits.query_string_bytes_max is not None and len(raw) > limits.query_string_bytes_max:
        return []
    try:
        return [name for name, _ in query_pairs(raw.decode("latin-1"))]
    except UnicodeDecodeError:
        return []


@functools.cache
def _lists(shape: type) -> frozenset[str]:
    """Return the parameters of a type that may occur several times."""
    declared = msgspec.structs.fields(shape)
    return frozenset(each.encode_name for each in declared if getattr(each.type, "__origin__", None) is list)


def _bad_query(error: msgspec.ValidationError, values: Mapping[str, Any]) -> ApiError:
    """Return a refusal that names the parameter and its valid values."""
    sentence, _, path = str(error).partition(" - at `$.")
    name = path.rstrip("`").split("[", 1)[0]
    value = str(values.get(name, ""))[:40]
    if sentence.startswith("Expected `int"):
        return invalid(f"Invalid {name}: {value!r} is not a whole number.", rule="query", param=name)
    return invalid(f"Invalid {name}: {value!r} is not one of the known values.", rule="query", param=name)


async def read_json_body(request: Request, limits: Limits) -> bytes:
    """Return the whole body. Refuses one over the limit as soon as the limit is exceeded."""
    return await request.read_body(limits.json_body_bytes_max, "json_body_bytes_max")
