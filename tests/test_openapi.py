"""The OpenAPI document: whole, valid, honest about bounds, and true under fire."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator
from typing import Any

import httpx
import hypothesis
import jsonschema_rs
import msgspec
import pytest
import requests
import schemathesis
from hypothesis import strategies as st

from emulator import Emulator
from emulator.core.errors import ApiError
from emulator.domain.files import FILENAME_PATTERN, check_filename
from emulator.domain.keys import Plane
from emulator.http.search_json import GroupBy
from emulator.operations import OPERATIONS
from emulator.rest.openapi.document import document
from emulator.rest.routes import ROUTES
from emulator.runtime.app import build_services
from emulator.state.settings import from_keywords
from tests.contract.unchecked import attacked, fits_as_text, key, unchecked
from tests.generated_calls import check_generated_calls


def described(**settings: Any) -> dict[str, Any]:
    """The document of a new team of an emulator with these settings."""
    return copy.deepcopy(_default()) if not settings else _described(settings)


@functools.cache
def _default() -> dict[str, Any]:
    """The document with the default settings, which most tests read: it takes 60 ms to make."""
    return _described({})


def _described(settings: dict[str, Any]) -> dict[str, Any]:
    services = build_services(from_keywords(settings))
    try:
        return document(services.teams.get("any"), "http://localhost")
    finally:
        services.store.close()


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


def test_document_is_valid_openapi_3_1() -> None:
    """It is valid by the schema that belongs to the specification."""
    assert described()["openapi"].startswith("3.1.")
    assert schemathesis.openapi.from_dict(described()).validate() is None


def test_document_is_served_at_both_addresses(emulator: Emulator) -> None:
    """At the emulator's own address, and at the one where the live service has its own; to every web page."""
    own, live = (httpx.get(f"{emulator.url}/{path}/openapi.json") for path in ("_emulator", "api-docs"))
    assert own.json() == {**described(), "servers": [{"url": emulator.url}]}
    assert live.json() == own.json()


def test_document_describes_exactly_the_routes() -> None:
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


def test_declared_schemas_are_all_referenced() -> None:
    """Every component has a reader, and every reference leads somewhere."""
    referred = set(re.findall(r"'#/components/schemas/([^']+)'", str(described())))
    assert referred == set(described()["components"]["schemas"])


@pytest.mark.parametrize(
    ("shape", "always", "sometimes"),
    [
        ("FileJson", {"bytes", "created_at", "filename", "id", "object"}, {"public_url", "public_url_expires_at"}),
        ("DeletedJson", {"id", "deleted", "object"}, set()),
        ("MeJson", {"user_id", "team_id", "zdr_status", "team_blocked"}, set()),
        ("MeKeyJson", {"redacted_api_key", "api_key_id", "blocked", "disabled"}, set()),
        ("ChunkConfigurationJson", {"strip_whitespace"}, {"chars_configuration", "bytes_configuration"}),
    ],
)
def test_response_schema_requires_members_always_sent(shape: str, always: set[str], sometimes: set[str]) -> None:
    """What is always there is required, as in xAI's own document, whether or not it has a default here."""
    schema = described()["components"]["schemas"][shape]
    assert always <= set(schema["required"])
    assert sometimes <= set(schema["properties"]) - set(schema["required"])


def test_content_of_one_type_is_described_as_such() -> None:
    """Files are octets, as xAI's own document says; a public URL shows each file with its own type."""
    paths = described()["paths"]
    for path, type in (
        ("/v1/files/{file_id}/content", "application/octet-stream"),
        ("/_files-cdn/{token}/{name}", "*/*"),
    ):
        assert list(paths[path]["get"]["responses"]["200"]["content"]) == [type]


def test_request_schema_does_not_require_optional_members() -> None:
    """Requests have defaults, which is what a client may leave to them."""
    schemas = described()["components"]["schemas"]
    assert schemas["CreateBatchBody"]["required"] == ["name"]
    assert schemas["CreateCollectionBody"].get("required", []) == []


def test_id_schema_excludes_words_of_other_paths() -> None:
    """Where a path has a word in the place of an id, the schema says that the id is not that, and what happens if."""
    paths = described()["paths"]
    for path in ("/v1/files/{file_id}", "/v1/collections/{collection_id}", "/v1/batches/{batch_id}"):
        (id,) = (each["schema"] for each in paths[path]["get"]["parameters"] if each["in"] == "path")
        words = {other.split("/")[3] for other in paths if other.startswith(path.partition("{")[0])}
        taken = {word for word in words if "{" not in word}
        assert set(id.get("not", {"enum": []})["enum"]) == taken, path
        assert (
            ("batch_upload" in taken) == ("405" in paths[path]["get"]["responses"]) == (path == "/v1/files/{file_id}")
        )


def linked() -> Iterator[tuple[str, dict[str, Any], str, dict[str, str]]]:
    """Every link of the document: the call it begins at, that call's answer, where it leads, and what it hands on."""
    given = described()
    for path, item in given["paths"].items():
        for method, operation in item.items():
            reply = operation["responses"]["200"]
            for link in reply.get("links", {}).values():
                schema = reply["content"]["application/json"]["schema"]
                answer = given["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], {})
                yield f"{method.upper()} {path}", answer, link["operationId"], link["parameters"]


def test_links_hand_on_what_there_is() -> None:
    """A link leads to an operation that takes the ids, and finds them in the request's path or in the answer."""
    given = described()
    operations = {
        each["operationId"]: {parameter["name"] for parameter in each["parameters"] if parameter["in"] == "path"}
        for item in given["paths"].values()
        for each in item.values()
    }
    for call, answer, target, handed_on in linked():
        for name, where in handed_on.items():
            assert name.removeprefix("path.") in operations[target], (call, target)
            _, _, pointer = where.partition("#")
            assert pointer or f"{{{where.removeprefix('$request.path.')}}}" in call, (call, where)
            for step in pointer.split("/")[1:]:
                assert step in answer["properties"], (call, where)
                reference = answer["properties"][step].get("$ref", "")
                answer = given["components"]["schemas"].get(reference.rpartition("/")[2], answer)


def test_links_lead_to_every_operation_that_takes_an_id() -> None:
    """From the call that makes the id; the id of a document is that of its file, in its collection."""
    ends = {(call, target): handed_on for call, _, target, handed_on in linked()}
    for path, item in described()["paths"].items():
        for operation in item.values():
            for id in set(re.findall(r"\{(\w+_id)\}", path)) - NOT_MADE:
                assert any(
                    end == operation["operationId"] and f"path.{id}" in handed_on
                    for (call, end), handed_on in ends.items()
                    if call in MAKERS
                ), (path, id)
    assert ends["POST /v1/collections/{collection_id}/documents", "documents.get"] == {
        "path.collection_id": "$request.path.collection_id",
        "path.file_id": "$response.body#/file_metadata/file_id",
    }


# What makes a thing with an id of its own.
NOT_MADE = {"model_id", "team_id"}  # ids that no call makes
MAKERS = (
    "POST /v1/files",
    "POST /v1/files/batch_upload",
    "POST /v1/collections",
    "POST /v1/batches",
    "POST /v1/chat/completions",
    "POST /auth/teams/{team_id}/api-keys",
    "POST /v1/responses",
)


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


def test_document_states_overridden_limits() -> None:
    """The document has the limits in force, not the documented ones."""
    given = described(limits={"expires_after_seconds_max": 7200, "filename_chars_max": None})
    assert {bounds(each)["maximum"] for each in schemas_of(given, "expires_after")} == {7200}
    assert "maxLength" not in str(given["components"]["schemas"]["InitializeBody"])


@hypothesis.given(name=st.text(alphabet='ab./";\\\n\x85\u2028é\x00\x7f', max_size=8))
def test_filename_pattern_equals_filename_check(name: str) -> None:
    """What the pattern lets through is what an upload takes."""
    try:
        check_filename(name)
    except ApiError:
        assert not re.fullmatch(FILENAME_PATTERN, name)
    else:
        assert re.fullmatch(FILENAME_PATTERN, name)


@pytest.mark.parametrize(
    ("aggregate", "fits"),
    [
        (None, True),
        ({}, False),
        ({"min_k": None}, False),
        ({"min_k": {"keys": [], "k": 1}}, True),
        ({"min_k": {"keys": [], "k": 1}, "max_k": None}, True),
        ({"min_k": {"keys": [], "k": 1}, "max_k": {"keys": [], "k": 1}}, False),
    ],
)
def test_aggregate_schema_equals_aggregate_check(aggregate: Any, fits: bool) -> None:
    """What the schema lets through is what a search takes: one of two members, or nothing."""
    given = described()
    whole = {"$ref": "#/components/schemas/GroupBy", "components": given["components"]}
    group_by = {"keys": ["a"], "aggregate": aggregate}
    assert jsonschema_rs.validator_for(whole).is_valid(group_by) == fits
    try:
        msgspec.convert(group_by, GroupBy)
    except msgspec.ValidationError:
        assert not fits
    else:
        assert fits


# --- under fire


@pytest.fixture(scope="module")
def schema() -> schemathesis.schemas.BaseSchema:
    """The document as Schemathesis reads it."""
    return attacked(described())


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ({}, True),
        ({"limit": 5}, True),
        ({"limit": [5]}, True),
        ({"limit": {"5": 1}}, True),
        ({"limit": [""]}, True),
        ({"limit": {"": ""}}, True),
        ({"limit": [None]}, True),
        ({"order": [["asc"]]}, True),
        ({"limit": [0.5]}, False),
        ({"limit": 2**31}, False),
        ({"limit": ["a"]}, False),
        ({"order": "null"}, False),
        ({"order": [["asc"], ["no"]]}, False),
    ],
    ids=str,
)
def test_generated_query_is_judged_by_the_text_that_is_sent(
    schema: schemathesis.schemas.BaseSchema, query: dict[str, Any], fits: bool
) -> None:
    """A value that violates the schema may have the text of one that does not: the server cannot refuse it."""
    assert fits_as_text(schema["/v1/files"]["get"], query) == fits


@pytest.mark.parametrize(
    ("path", "method"), [(path, method) for path, item in described()["paths"].items() for method in item]
)
def test_operation_answers_generated_calls_as_described(
    schema: schemathesis.schemas.BaseSchema, path: str, method: str, emulator: Emulator, session: requests.Session
) -> None:
    """A call that the document allows is accepted, one that it forbids is refused, and none fails with 500."""
    check_generated_calls(
        schema[path][method],
        emulator.url,
        session,
        excluded_checks=unchecked,
        headers=lambda case: key(emulator, case),
    )
