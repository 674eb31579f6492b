"""Which checks of Schemathesis are left out for a call of the API, with the reason beside each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs
import requests
import schemathesis
import schemathesis.specs.openapi.checks as checks

from emulator import Emulator
from emulator.domain.keys import Plane
from tests.generated_calls import has_float

# A bad key is a 400 on the inference plane, and in the default mode nearly every key is a good one.
NEVER_CHECKED = [checks.ignored_auth]
# What the forms of the management plane refuse has rules of its own ("form-invalid:…"), which no schema states.
NOT_CHECKED_ON_THE_MANAGEMENT_PLANE = [checks.positive_data_acceptance]
# On a walk ids are real: then it is the state of a thing that decides, everywhere (a batch may be cancelled, a document
# be there already), and an id may take the place of the very value that made a call wrong.
NOT_CHECKED_ON_WALKS = [checks.positive_data_acceptance, checks.negative_data_rejection]
# Operations in which more than the schema decides between a 200 and a refusal: how they may refuse what fits, and why.
UNDECIDED: dict[str, tuple[tuple[int, ...], str]] = {
    "files.list": ((400,), "a filter has a grammar, a token comes from a page, `after` names a file"),
    "files.upload": ((400,), "the order of the parts, and which of two forms the expiry has"),
    "files.update": ((400,), "as files.upload"),
    "files.content.get": ((400,), "whether the bytes are text"),
    "files.content.post": ((400,), "whether the bytes are text"),
    "files.upload_chunks": ((400, 412), "the state of the file"),
    "files.complete_batch_upload": ((412,), "the state of the files"),
    "documents.search": (
        (400, 422),
        "the grammar of a filter, that something must be asked; a group has one aggregate",
    ),
    "batches.list": ((400,), "a token comes from a page"),
    "batches.add_requests": ((400, 422), "a model answers one kind of request; a request has one kind"),
    "chat.create": ((400,), "whether there is such a model"),
    "chat.tokenize": ((400,), "whether there is such a model"),
    "images.generate": ((400, 422), "how many images; an image has a url or a file_id"),
    "images.edit": ((400, 422), "as images.generate"),
    "videos.generate": ((400, 422), "the seconds, also as a text; a prompt or an image; a url or a file_id"),
    "videos.edit": ((400, 422), "as videos.generate"),
    "videos.extend": ((400, 422), "as videos.generate"),
    "responses.create": ((400, 410, 422), "whether there is such a model; members that are known and refused; items"),
    "responses.compact": ((400, 422), "whether there is such a model; items"),
    "responses.list_input_items": ((400,), "`after` names an item"),
    "files.create_public_url": ((400,), "the type, the size and the expiry of the file"),
}
# (422: the document says that only one member is allowed, beside a $ref, where Schemathesis does not look.)
# These look for the model, and at what a schema does not say of the body, before they ask for a key.
MODEL_FIRST = {
    *("chat.create", "chat.tokenize", "responses.create", "responses.compact"),
    *("images.generate", "images.edit", "videos.generate", "videos.edit", "videos.extend"),
}
# How any operation may refuse what fits: Schemathesis's own list, for what is not there or not allowed.
ANYWHERE = ("2xx", 401, 403, 404, 409, "5xx")


def attacked(document: dict[str, Any]) -> schemathesis.schemas.BaseSchema:
    """A document as Schemathesis is to read it: with the refusals that an operation may answer what fits."""
    operations = [
        {
            "include-operation-id": operation,
            "checks": {"positive_data_acceptance": {"expected-statuses": [*ANYWHERE, *statuses]}},
        }
        for operation, (statuses, _) in UNDECIDED.items()
    ]
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict({"operations": operations}))
    schema.config.phases.stateful.enabled = False
    return schema


def unchecked(case: schemathesis.Case) -> list[Any]:
    """The checks that do not hold for a call."""
    selection = list(NEVER_CHECKED)
    if case.operation.definition.raw["operationId"] in MODEL_FIRST:
        selection.append(checks.missing_required_header)
    if is_on_management(case):
        selection += NOT_CHECKED_ON_THE_MANAGEMENT_PLANE
    elif has_float(case.body):
        selection.append(checks.positive_data_acceptance)
    if is_wrong_where_nobody_looks(case):
        selection.append(checks.negative_data_rejection)
    return selection


def key(emulator: Emulator, case: schemathesis.Case) -> dict[str, str]:
    """The header with the key that fits a call."""
    secret = emulator.management_key if is_on_management(case) else emulator.api_key
    return {"authorization": f"Bearer {secret}"}


def is_on_management(case: schemathesis.Case) -> bool:
    """Whether a call is one of the management plane."""
    return {Plane.MANAGEMENT.value: []} in case.operation.definition.raw.get("security", [])


def is_wrong_where_nobody_looks(case: schemathesis.Case) -> bool:
    """Whether what is wrong is an unknown query parameter, which is ignored, a header, which is ours, or is not sent.

    An empty list or object has no text: in a form it is no part. In a query the list `[5]` has the same text as 5.
    """
    wrong = (
        {place.value for place, part in case.meta.components.items() if part.mode.is_negative} if case.meta else set()
    )
    if wrong <= {"header", "cookie"}:
        return True
    query = case.query or {}
    known = {each["name"] for each in case.operation.definition.raw["parameters"] if each["in"] == "query"}
    if set(query) - known or not all(texts_of(query).get(name, [""])[-1] for name in query):
        return True
    is_form = case.media_type == "multipart/form-data" and isinstance(case.body, dict)
    if is_form and any(map(has_no_text, case.body.values())):
        return True
    return wrong <= {"query", "header", "cookie"} and fits_as_text(case.operation, query)


def texts_of(query: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the texts of each parameter, as they are sent; a parameter that is not sent is missing."""
    url = requests.Request("GET", "http://localhost", params=query).prepare().url
    return parse_qs(urlsplit(url or "").query, keep_blank_values=True)


def fits_as_text(operation: Any, query: Mapping[str, Any]) -> bool:
    """Return whether a server that reads the text of a query finds only values that the schemas of `operation` allow.

    A repeated parameter is read the last time, an empty one is not read. Only numbers are read from text.
    """
    components = operation.schema.raw_schema.get("components", {})
    schemas = {each["name"]: each["schema"] for each in operation.definition.raw["parameters"] if each["in"] == "query"}
    for name, (*_, text) in texts_of(query).items():
        number = [int(text)] if re.fullmatch(r"[-+]?[0-9]{1,30}", text) else []
        validator = jsonschema_rs.validator_for({**schemas[name], "components": components})
        if text and not any(validator.is_valid(value) for value in (text, *number)):
            return False
    return True


def has_no_text(value: Any) -> bool:
    """Return whether a value of a form is sent as nothing, or as nothing but empty parts."""
    if isinstance(value, list):
        return all(map(has_no_text, value))
    return value in ("", None) or value == {}
