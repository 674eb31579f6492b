"""The tools of `xai-emulator mcp`: calls of the control API, as its OpenAPI document describes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

import msgspec

from emulator.control.openapi import PREFIX, document
from emulator.control.routes import ROUTES

Schema = dict[str, Any]

# Name of a tool -> its control call.
TOOLS: dict[str, tuple[str, str]] = {
    "list_calls": ("POST", "/requests/find"),
    "list_unknown_calls": ("GET", "/requests/unmatched"),
    "verify_calls": ("POST", "/requests/verify"),
    "show_call_as_code": ("GET", "/requests/{number}/code"),
    "clear_calls": ("DELETE", "/requests"),
    "list_faults": ("GET", "/faults"),
    "list_fault_words": ("GET", "/faults/vocabulary"),
    "plan_fault": ("POST", "/faults"),
    "plan_fault_script": ("POST", "/scripts"),
    "clear_faults": ("DELETE", "/faults"),
    "list_answers": ("GET", "/answers"),
    "plan_answer": ("POST", "/answers"),
    "clear_answers": ("DELETE", "/answers"),
    "read_clock": ("GET", "/clock"),
    "advance_clock": ("POST", "/clock/advance"),
    "freeze_clock": ("POST", "/clock/freeze"),
    "resume_clock": ("POST", "/clock/resume"),
    "list_jobs": ("GET", "/jobs"),
    "run_jobs": ("POST", "/jobs/run"),
    "search": ("POST", "/search"),
    "check_filter": ("POST", "/filters/check"),
    "count_resources": ("GET", "/totals"),
    "list_limits": ("GET", "/limits"),
    "change_limits": ("PUT", "/limits"),
    "list_teams": ("GET", "/teams"),
    "list_snapshots": ("GET", "/snapshots"),
    "save_snapshot": ("POST", "/snapshots"),
    "restore_snapshot": ("POST", "/snapshots/{name}/restore"),
    "reset_team": ("POST", "/reset"),
}
# Tools that remove state which a test may need: an agent should ask first.
DESTRUCTIVE = frozenset({"clear_calls", "clear_faults", "clear_answers", "restore_snapshot", "reset_team"})


class Tool(msgspec.Struct, frozen=True):
    """A tool, and the place of each argument in the request. `schema` is the JSON Schema of all arguments."""

    name: str
    method: str
    path: str
    description: str
    schema: Schema
    in_query: frozenset[str]
    in_body: frozenset[str]
    reads: bool

    def call(self, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any], bytes | None]:
        """Return the path, the query and the body of the control call for these arguments. Raises ValueError."""
        unknown = sorted(arguments.keys() - self.schema["properties"].keys())
        missing = [name for name in self.schema["required"] if name not in arguments]
        if unknown or missing:
            raise ValueError(f"{self.name} takes no {unknown[0]!r}" if unknown else f"{self.name} needs {missing[0]!r}")
        path = re.sub(r"\{(\w+)\}", lambda found: quote(str(arguments[found[1]]), safe=""), self.path)
        query = {name: value for name, value in arguments.items() if name in self.in_query}
        body = {name: value for name, value in arguments.items() if name in self.in_body}
        return path, query, json.dumps(body).encode() if self.in_body else None


@cache
def tools() -> dict[str, Tool]:
    """Return all tools by name, in the order of the table."""
    described = document(ROUTES, "")
    reading = {(route.method, route.path) for route in ROUTES if route.reads or route.method == "GET"}
    return {name: _tool(name, *call, described, call in reading) for name, call in TOOLS.items()}


def _tool(name: str, method: str, path: str, described: Schema, reads: bool) -> Tool:
    operation: Schema = described["paths"][PREFIX + path][method.lower()]
    schemas: dict[str, Schema] = described["components"]["schemas"]
    parameters: list[Schema] = operation["parameters"]
    body = _body(operation, schemas)
    own = {each["name"]: each["schema"] for each in parameters}
    assert not own.keys() & body["properties"].keys(), name
    required = [each["name"] for each in parameters if each["required"]] + body.get("required", [])
    properties = _with_local_references({**own, **body["properties"]})
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    if definitions := _definitions(properties, schemas):
        schema["$defs"] = definitions
    return Tool(
        name,
        method,
        path,
        " ".join(filter(None, [operation["summary"], operation.get("description")])),
        schema,
        frozenset(each["name"] for each in parameters if each["in"] == "query"),
        frozenset(body["properties"]),
        reads,
    )


def _body(operation: Schema, schemas: Mapping[str, Schema]) -> Schema:
    """Return the schema of a call's body, whose members become arguments."""
    if "requestBody" not in operation:
        return {"properties": {}}
    reference: str = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return schemas[reference.rpartition("/")[2]]


def _with_local_references(value: Any) -> Any:
    """Return a schema whose references point to its own definitions."""
    if isinstance(value, dict):
        return {
            key: each.replace("#/components/schemas/", "#/$defs/") if key == "$ref" else _with_local_references(each)
            for key, each in value.items()
        }
    return [_with_local_references(each) for each in value] if isinstance(value, list) else value


def _definitions(schema: Any, schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Every definition that a schema refers to, through others too."""
    found: dict[str, Schema] = {}
    waiting = [schema]
    while waiting:
        for name in re.findall(r'"#/\$defs/(\w+)"', json.dumps(waiting.pop())):
            if name not in found:
                found[name] = _with_local_references(schemas[name])
                waiting.append(found[name])
    return found
