"""Recordings by the rules of HAR 1.2, as the JSON schema of har-schema 2.0 has them, so that other programs read them.

Fields that begin with `_` are allowed by HAR 1.2, and ignored by readers that do not know them.
"""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from emulator import Emulator
from emulator.recordings.har import Recording
from tests.comparing.conftest import record_flow

TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}


def object_of(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": {**required, **optional, "comment": TEXT}}


def list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)"}
PAIR = object_of({"name": TEXT, "value": TEXT})
COOKIE = object_of({"name": TEXT, "value": TEXT})
PARAM = object_of({"name": TEXT}, value=TEXT, fileName=TEXT, contentType=TEXT)
POST_DATA = object_of({"mimeType": TEXT}, text=TEXT, params=list_of(PARAM))
CONTENT = object_of({"size": WHOLE, "mimeType": TEXT}, compression=WHOLE, text=TEXT, encoding=TEXT)
MESSAGE = {
    "httpVersion": TEXT,
    "cookies": list_of(COOKIE),
    "headers": list_of(PAIR),
    "headersSize": WHOLE,
    "bodySize": WHOLE,
}
URL = {"type": "string", "format": "uri"}
REQUEST = object_of({"method": TEXT, "url": URL, "queryString": list_of(PAIR), **MESSAGE}, postData=POST_DATA)
RESPONSE = object_of({"status": WHOLE, "statusText": TEXT, "content": CONTENT, "redirectURL": TEXT, **MESSAGE})
TIMINGS = object_of({"send": NUMBER, "wait": NUMBER, "receive": NUMBER})
ENTRY = object_of(
    {
        "startedDateTime": MOMENT,
        "time": {"type": "number", "minimum": 0},
        "request": REQUEST,
        "response": RESPONSE,
        "cache": {"type": "object"},
        "timings": TIMINGS,
    },
    pageref=TEXT,
    serverIPAddress=TEXT,
    connection=TEXT,
)
PAGE = object_of({"startedDateTime": MOMENT, "id": TEXT, "title": TEXT, "pageTimings": {"type": "object"}})
CREATOR = object_of({"name": TEXT, "version": TEXT})
HAR = object_of(
    {"log": object_of({"version": TEXT, "creator": CREATOR, "entries": list_of(ENTRY)}, pages=list_of(PAGE))}
)
VALIDATOR = jsonschema_rs.Draft7Validator(HAR, validate_formats=True)


def errors(value: Any) -> list[str]:
    return [f"{error.instance_path}: {error.message}" for error in VALIDATOR.iter_errors(value)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    with Emulator() as service:
        return record_flow(service, tmp_path_factory.mktemp("schema") / "live.har")


def test_recording_of_every_family_of_operations_is_har(recorded: Recording) -> None:
    value = json.loads(recorded.path.read_text())
    assert errors(value) == []
    assert len(value["log"]["entries"]) > 25


@pytest.mark.parametrize("lost", ["startedDateTime", "time", "cache", "timings"])
def test_entry_without_a_field_that_har_requires_is_found(recorded: Recording, lost: str) -> None:
    value = json.loads(recorded.path.read_text())
    del value["log"]["entries"][0][lost]
    assert len(errors(value)) == 1


def test_custom_fields_begin_with_an_underscore(recorded: Recording) -> None:
    """In what we add to objects of HAR; below our own fields names are our own."""

    def extra(value: Any, schema: dict[str, Any]) -> set[str]:
        found: set[str] = set()
        if isinstance(value, dict) and "properties" in schema:
            for name, item in value.items():
                if name in schema["properties"]:
                    found |= extra(item, schema["properties"][name])
                elif not name.startswith("_"):
                    found.add(name)
        for item in value if isinstance(value, list) else []:
            found |= extra(item, schema.get("items", {}))
        return found

    assert extra(json.loads(recorded.path.read_text()), HAR) == set()
