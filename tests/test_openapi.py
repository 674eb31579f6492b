"""The OpenAPI document: whole, valid, honest about bounds, and true under fire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
import schemathesis.specs.openapi.checks as checks
from hypothesis import strategies as st

from emulator import Emulator
from emulator.app import build_world
from emulator.domain.files import FILENAME_PATTERN, check_filename
from emulator.domain.keys import Plane
from emulator.errors import ApiError
from emulator.operations import OPERATIONS
from emulator.rest.openapi import document
from emulator.rest.routes import ROUTES
from emulator.settings import from_keywords


def described(**settings: Any) -> dict[str, Any]:
    """The document of a new team of an emulator with these settings."""
    world = build_world(from_keywords(settings))
    try:
        return document(world.team("any"), "http://localhost")
    finally:
        world.store.close()


def schemas_of(value: Any, name: str) -> Iterator[dict[str, Any]]:
    """Every schema of a property or parameter of a name, wherever in the document."""
    if isinstance(value, list):
        for each in value:
            yield from schemas_of(each, name)
    elif isinstance(value, dict):
        if value.get("name") == name and "schema" in value:
            yield value["schema"]
        if isinstance(value.get("properties"), dict) and name in value["properties"]:
            yield value["properties"][name]
        for each in value.values():
            yield from schemas_of(each, name)


def bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """What a schema says about how large a value may be, in whichever branch."""
    found = {word: schema[word] for word in ("minimum", "maximum", "maxLength") if word in schema}
    for branch in schema.get("anyOf", []):
        found |= bounds(branch)
    return found


def test_the_document_is_openapi_3_1() -> None:
    """It is valid by the schema that belongs to the specification."""
    assert described()["openapi"].startswith("3.1.")
    assert schemathesis.openapi.from_dict(described()).validate() is None


def test_the_document_is_served(emulator: Emulator) -> None:
    """At the emulator's own address, and at the one where the live service has its own; to every web page."""
    own, live = (httpx.get(f"{emulator.url}/{path}/openapi.json") for path in ("_emulator", "api-docs"))
    assert own.json() == {**described(), "servers": [{"url": emulator.url}]}
    assert live.json() == own.json()


def test_every_route_is_in_the_document_and_nothing_else() -> None:
    """A path that is served is described once, under a name of its own, with its evidence and its key."""
    paths = described()["paths"]
    operations = {(method.upper(), path): each for path, item in paths.items() for method, each in item.items()}
    assert set(operations) == {(route.method, route.path) for route in ROUTES}
    assert len({each["operationId"] for each in operations.values()}) == len(ROUTES)
    for route in ROUTES:
        operation, each = OPERATIONS[route.operation], operations[route.method, route.path]
        assert each["summary"], route
        assert (each["x-evidence"], each["x-source"]) == (operation.confidence.value, operation.source)
        assert ("security" in each) == (operation.plane is not Plane.PUBLIC)


def test_nothing_is_declared_that_nobody_refers_to() -> None:
    """Every component has a reader, and every reference leads somewhere."""
    referred = set(re.findall(r"'#/components/schemas/([^']+)'", str(described())))
    assert referred == set(described()["components"]["schemas"])


@pytest.mark.parametrize(
    ("profile", "page", "life", "name"),
    [
        ("documented", {}, {"minimum": 3600, "maximum": 2_592_000}, {"maxLength": 255}),
        ("strict", {"maximum": 100}, {"minimum": 3600, "maximum": 2_592_000}, {"maxLength": 255}),
        ("relaxed", {}, {}, {}),
    ],
)
def test_bounds_are_stated_where_the_profile_refuses(
    profile: str, page: dict[str, int], life: dict[str, int], name: dict[str, int]
) -> None:
    """Where a page size is clamped, the description says so instead."""
    given = described(profile=profile)
    (limit,) = schemas_of(given["paths"]["/v1/files"]["get"]["parameters"], "limit")
    assert bounds(limit) == {"minimum": -(2**31), "maximum": 2**31 - 1, **page}
    assert ("taken as 100" in limit["description"]) == (profile == "documented")
    lives = [*schemas_of(given, "expires_after"), *schemas_of(given, "expires_after[seconds]")]
    assert [bounds(each) for each in lives] == [life] * len(lives)
    assert len(lives) >= 5
    (filename,) = schemas_of(given["components"]["schemas"]["UpdateBody"], "filename")
    assert bounds(filename) == name


def test_an_overridden_limit_is_stated() -> None:
    """The document tells the limits in force, not the documented ones."""
    given = described(limits={"expires_after_seconds_max": 7200, "filename_chars_max": None})
    assert {bounds(each)["maximum"] for each in schemas_of(given, "expires_after")} == {7200}
    assert "maxLength" not in str(given["components"]["schemas"]["InitializeBody"])


@hypothesis.given(name=st.text(alphabet='ab./";\\\n\x85\u2028é\x00\x7f', max_size=8))
def test_the_stated_pattern_of_names_is_the_rule(name: str) -> None:
    """What the pattern lets through is what an upload takes."""
    try:
        check_filename(name)
    except ApiError:
        assert not re.fullmatch(FILENAME_PATTERN, name)
    else:
        assert re.fullmatch(FILENAME_PATTERN, name)


# --- under fire

# A bad key is a 400 on the inference plane, and in the default mode nearly every key is a good one.
NEVER_CHECKED = [checks.ignored_auth]
# The management plane reads ProtoJSON: a number may be a string, an enum its number. What its forms refuse has rules of
# its own ("form-invalid:…"), which no schema states.
NOT_CHECKED_ON_THE_MANAGEMENT_PLANE = [checks.negative_data_rejection, checks.positive_data_acceptance]
# Operations in which more than the schema decides between a 200 and a refusal, and what.
UNDECIDED = {
    "files.list": "a filter has a grammar, a token comes from a page, `after` names a file",
    "files.upload": "the order of the parts, and which of two forms the expiry has",
    "files.update": "as files.upload",
    "files.content.get": "whether the bytes are text",
    "files.content.post": "whether the bytes are text",
    "files.upload_chunks": "the state of the file",
    "files.complete_batch_upload": "the state of the files",
    "documents.search": "which collections there are, the grammar of a filter, and that something must be asked",
    "batches.list": "a token comes from a page",
    "batches.add_requests": "a request has one kind",
    "files.create_public_url": "the type, the size and the expiry of the file",
}


def attacked() -> schemathesis.schemas.BaseSchema:
    """The document as Schemathesis reads it."""
    schema = schemathesis.openapi.from_dict(described())
    schema.config.phases.stateful.enabled = False
    return schema


def has_float(value: Any) -> bool:
    """Whether a body holds a number such as 3600.0, an integer to JSON Schema and none to the JSON extractor."""
    if isinstance(value, dict | list):
        return any(map(has_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)


@attacked().parametrize()
@hypothesis.settings(max_examples=15, suppress_health_check=list(hypothesis.HealthCheck))
def test_what_is_described_is_what_is_done(case: schemathesis.Case, emulator: Emulator) -> None:
    """What the document allows is taken, what it forbids is refused, and nothing breaks."""
    operation, unchecked = case.operation.definition.raw, list(NEVER_CHECKED)
    on_management = {Plane.MANAGEMENT.value: []} in operation.get("security", [])
    if on_management:
        unchecked += NOT_CHECKED_ON_THE_MANAGEMENT_PLANE
    elif operation["operationId"] in UNDECIDED or has_float(case.body):
        unchecked.append(checks.positive_data_acceptance)
    key = emulator.management_key if on_management else emulator.api_key
    case.call_and_validate(base_url=emulator.url, headers={"authorization": f"Bearer {key}"}, excluded_checks=unchecked)
