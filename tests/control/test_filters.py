"""The control API reports all errors of a filter."""

from __future__ import annotations

import httpx
import pytest


@pytest.mark.parametrize(
    ("body", "positions"),
    [
        ({"filter": "a == 1 AND b =! 2 OR c = 3"}, [3, 14]),
        ({"filter": "missing = 1"}, []),
        ({"filter": " "}, []),
        ({"filter": "size_bytes > big AND missing = 1 AND name = x", "list": "files"}, [13, 21]),
        ({"filter": "collection_name = x AND name = x", "list": "collections"}, [24]),
        ({"filter": "fields.any = x AND status = DONE", "list": "documents"}, [28]),
    ],
)
def test_check_returns_every_error_of_a_filter(
    control: httpx.Client, body: dict[str, str], positions: list[int]
) -> None:
    reply = control.post("/filters/check", json=body)
    assert reply.status_code == 200
    errors = reply.json()["errors"]
    assert [error["position"] for error in errors] == positions
    assert all(error["message"] and error["hint"] for error in errors)


def test_check_applies_the_limits_of_the_team(control: httpx.Client) -> None:
    control.put("/limits?team=short", json={"filter_chars_max": 5}).raise_for_status()
    assert len(control.post("/filters/check?team=short", json={"filter": "name = x"}).json()["errors"]) == 1
    assert control.post("/filters/check", json={"filter": "name = x"}).json()["errors"] == []


@pytest.mark.parametrize(
    "body", [{}, {"filter": 1}, {"filter": "a = 1", "list": "batches"}, {"filter": "", "other": 1}]
)
def test_check_of_a_body_of_another_shape_is_400(control: httpx.Client, body: dict[str, object]) -> None:
    assert control.post("/filters/check", json=body).status_code == 400
