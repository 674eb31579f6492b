"""From a path to its route: whatever an id holds, and however many routes there are."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.errors import ApiError
from emulator.http.routing import RouteTree
from emulator.rest.routes import ROUTES

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
TEMPLATES = sorted({route.path for route in ROUTES})


def dispatch() -> RouteTree[str]:
    """All routes, each leading to its own path."""
    routes: RouteTree[str] = RouteTree()
    for route in ROUTES:
        routes.add(route.method, route.path, route.path)
    return routes


ALL = dispatch()


def parameters(template: str) -> list[str]:
    """The names in braces."""
    return re.findall(r"\{(\w+)\}", template)


def filled(template: str, values: dict[str, str]) -> str:
    """The path of a template, its values percent-encoded to the last character that is not a letter."""
    return re.sub(r"\{(\w+)\}", lambda found: quote(values[found[1]], safe=""), template)


@pytest.mark.parametrize("template", TEMPLATES)
@given(data=st.data())
def test_any_id_leads_to_its_route_and_comes_back(template: str, data: st.DataObject) -> None:
    """Slashes, colons, dots and percent signs in it are those of the id, not of the path."""
    values = {name: data.draw(IDS) for name in parameters(template)}
    match = ALL.find(filled(template, values), "GET")
    assert match is not None
    assert set(match.methods.values()) == {template}
    assert match.parameters == values


@given(st.text(st.sampled_from("/v1files:collections{}%.~-_abc2F3A"), max_size=40))
def test_any_path_is_answered(path: str) -> None:
    """With a route that fits, with none, or with a refusal of what is no UTF-8; never with a crash."""
    try:
        match = ALL.find(path, "GET")
    except ApiError:
        return
    if match is not None:
        (template,) = set(match.methods.values())
        assert path.count("/") == template.count("/")
        assert all(match.parameters.values())


@pytest.mark.parametrize(
    ("path", "template", "values"),
    [
        ("/v1/batches/team%2Fbatch%3A1:cancel", "/v1/batches/{batch_id}:cancel", {"batch_id": "team/batch:1"}),
        ("/v1/batches/b_1:cancel", "/v1/batches/{batch_id}:cancel", {"batch_id": "b_1"}),
        ("/v1/batches/b_1%3Acancel", "/v1/batches/{batch_id}", {"batch_id": "b_1:cancel"}),
        ("/v1/batches/b:1", "/v1/batches/{batch_id}", {"batch_id": "b:1"}),
        ("/v1/batches/:cancel", "/v1/batches/{batch_id}", {"batch_id": ":cancel"}),
        ("/v1/files:download", "/v1/files:download", {}),
        ("/v1/files/batch_upload", "/v1/files/batch_upload", {}),
        ("/v1/files/batch_upload/x:complete", "/v1/files/batch_upload/{batch_job_id}:complete", {"batch_job_id": "x"}),
        ("/v1/files/f/content", "/v1/files/{file_id}/content", {"file_id": "f"}),
    ],
)
def test_verbs_and_names_are_told_apart(path: str, template: str, values: dict[str, str]) -> None:
    """A verb is literal, as the official TypeScript SDK sends it; an id may look like one."""
    routes: RouteTree[str] = RouteTree()
    for each in {*TEMPLATES, "/v1/batches/{batch_id}", "/v1/batches/{batch_id}:cancel"}:
        routes.add("POST", each, each)
    match = routes.find(path, "POST")
    assert match is not None
    assert (match.row, match.parameters) == (template, values)


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "v1/files", "/v1/files/", "//v1/files", "/v1/files//content"])
def test_path_with_empty_segment_matches_no_route(path: str) -> None:
    """No part is empty."""
    assert ALL.find(path, "GET") is None


def test_conflicting_routes_are_refused() -> None:
    """Two routes for one method of a path, or two names for one parameter."""
    routes = dispatch()
    with pytest.raises(AssertionError, match="twice"):
        routes.add("GET", "/v1/files", "")
    with pytest.raises(AssertionError, match="two names"):
        routes.add("GET", "/v1/files/{id}", "")
