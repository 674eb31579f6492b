"""Stored responses: read, deleted, continued, listed by their input, compacted; for how long, and by whom."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from emulator import Emulator
from fixtures.team import EmulatedTeam
from tests.rest.test_responses import FERNS, WEATHER, attached, collection, post, search, text_of
from tests.serving import PATIENCE_SECONDS, Served

Json = dict[str, Any]
PATH = "/v1/responses"
DAY = 86_400
USER = {"role": "user", "content": "one"}


@pytest.fixture
def team(emulator: Emulator) -> EmulatedTeam:
    """A team without anything."""
    emulator.reset()
    return EmulatedTeam(emulator, "default")


def items(rest: httpx.Client, id: str, **query: Any) -> Json:
    """A page of the input of a response."""
    reply = rest.get(f"{PATH}/{id}/input_items", params=query)
    assert reply.status_code == 200, reply.text
    page: Json = reply.json()
    return page


# --- read and delete


def test_stored_response_is_read_without_instructions(rest: httpx.Client) -> None:
    created = post(rest, instructions="Be brief.").json()
    assert created["instructions"] == "Be brief."
    assert rest.get(f"{PATH}/{created['id']}").json() == {**created, "instructions": None}


def test_streamed_response_is_stored(rest: httpx.Client) -> None:
    id = post(rest, stream=True).headers["x-request-id"]
    assert text_of(rest.get(f"{PATH}/{id}").json()) == "Hello there world"


def test_stored_response_is_read_without_reasoning(emulator: Emulator, team: EmulatedTeam, rest: httpx.Client) -> None:
    services = emulator._running().services
    said = {"content": "x", "reasoning_content": "thoughts"}
    services.teams.set_responder(services.teams.get("default"), lambda request: said)
    try:
        created = post(rest).json()
    finally:
        services.teams.set_responder(services.teams.get("default"), "echo")
    assert [item["type"] for item in created["output"]] == ["reasoning", "message"]
    assert rest.get(f"{PATH}/{created['id']}").json()["output"] == created["output"][1:]


def test_response_is_not_stored_where_request_says_so(rest: httpx.Client) -> None:
    created = post(rest, store=False).json()
    assert created["store"] is False
    assert rest.get(f"{PATH}/{created['id']}").status_code == 404


def test_deleted_response_is_gone(rest: httpx.Client) -> None:
    id = post(rest).json()["id"]
    assert rest.delete(f"{PATH}/{id}").json() == {"id": id, "object": "response", "deleted": True}
    unknown = {"code": "not-found", "error": f"Response with id={id} not found"}
    for reply in (rest.delete(f"{PATH}/{id}"), rest.get(f"{PATH}/{id}"), rest.get(f"{PATH}/{id}/input_items")):
        assert (reply.status_code, reply.json()) == (404, unknown)


def test_deleted_response_leaves_no_job(emulator: Emulator, team: EmulatedTeam, rest: httpx.Client) -> None:
    rest.delete(f"{PATH}/{post(rest).json()['id']}")
    assert emulator._running().services.store.jobs.count("default") == 0


# --- continue


def test_conversation_is_continued_with_input_and_output(rest: httpx.Client) -> None:
    first = post(rest, "my name is Ada", instructions="Be brief.").json()
    second = post(rest, "and now?", previous_response_id=first["id"]).json()
    assert second["previous_response_id"] == first["id"]
    whole = [
        *({"role": "user", "content": "my name is Ada"}, {"role": "assistant", "content": "my name is Ada"}),
        {"role": "user", "content": "and now?"},
    ]
    assert second["usage"]["input_tokens"] == post(rest, whole).json()["usage"]["input_tokens"]
    third = post(rest, "and then?", previous_response_id=second["id"]).json()
    assert third["usage"]["input_tokens"] > second["usage"]["input_tokens"]


def test_result_of_function_continues_call(rest: httpx.Client) -> None:
    asked = post(rest, "Rain?", tools=[WEATHER], tool_choice="required").json()
    output = [{"type": "function_call_output", "call_id": asked["output"][0]["call_id"], "output": "rain"}]
    answered = post(rest, output, previous_response_id=asked["id"], tools=[WEATHER]).json()
    assert text_of(answered) == "weather: rain"


def test_file_of_continued_response_is_searched_again(team: EmulatedTeam, rest: httpx.Client) -> None:
    file = team.upload("a.txt", FERNS.encode())
    first = post(rest, attached("Hello", {"file_id": file})).json()
    second = post(rest, "ferns?", previous_response_id=first["id"]).json()
    assert text_of(second) == f'From a.txt: "{FERNS}"'
    rest.delete(f"/v1/files/{file}")
    assert post(rest, "ferns?", previous_response_id=first["id"]).status_code == 404


def test_continued_response_may_be_deleted(rest: httpx.Client) -> None:
    first = post(rest, "my name is Ada").json()
    second = post(rest, "and now?", previous_response_id=first["id"]).json()
    rest.delete(f"{PATH}/{first['id']}")
    assert post(rest, previous_response_id=first["id"]).status_code == 404
    assert post(rest, previous_response_id=second["id"]).json()["usage"]["input_tokens"] > 10


def test_response_that_is_not_stored_cannot_be_continued(rest: httpx.Client) -> None:
    id = post(rest, store=False).json()["id"]
    assert post(rest, previous_response_id=id).status_code == 404


# --- input items


def test_input_is_listed_with_ids(rest: httpx.Client) -> None:
    given = [USER, {"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}]
    id = post(rest, given).json()["id"]
    page = items(rest, id)
    assert list(page) == ["object", "data", "first_id", "last_id", "has_more"]
    assert (page["object"], page["has_more"]) == ("list", False)
    assert [(item["type"], item["role"], item["content"]) for item in page["data"]] == [
        ("message", each["role"], each["content"]) for each in given
    ]
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])


def test_input_is_that_of_one_request(rest: httpx.Client) -> None:
    first = post(rest, "one").json()["id"]
    second = post(rest, "two", previous_response_id=first).json()["id"]
    assert [item["content"] for item in items(rest, second)["data"]] == ["two"]


def test_input_is_paged_in_both_orders(rest: httpx.Client) -> None:
    given = [{"role": "user", "content": str(number)} for number in range(5)]
    id = post(rest, given).json()["id"]
    for order, expected in (("asc", "01234"), ("desc", "43210")):
        found, after = "", None
        while True:
            page = items(rest, id, limit=2, order=order, **({"after": after} if after else {}))
            found += "".join(item["content"] for item in page["data"])
            after = page["last_id"]
            if not page["has_more"]:
                break
        assert found == expected


def test_empty_page_of_input_has_no_ids(rest: httpx.Client) -> None:
    id = post(rest, [USER]).json()["id"]
    [item] = items(rest, id)["data"]
    assert items(rest, id, after=item["id"]) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


@pytest.mark.parametrize("query", [{"after": "message_x"}, {"order": "up"}, {"limit": "x"}])
def test_bad_query_of_input_returns_400(rest: httpx.Client, query: Json) -> None:
    id = post(rest).json()["id"]
    assert rest.get(f"{PATH}/{id}/input_items", params=query).status_code == 400


# --- compact


def compact(rest: httpx.Client, input: Any, **body: Any) -> httpx.Response:
    """Compact a conversation."""
    return rest.post(f"{PATH}/compact", json={"model": "grok-4.3", "input": input, **body})


def test_compacted_conversation_stands_for_its_messages(rest: httpx.Client) -> None:
    talk = [{"role": "user", "content": "my name is Ada"}, {"role": "assistant", "content": "hello Ada"}]
    compacted = compact(rest, talk).json()
    assert list(compacted) == ["id", "object", "created_at", "model", "output", "usage"]
    assert (compacted["object"], compacted["usage"]["dropped_message_count"]) == ("response.compaction", 2)
    assert compacted["id"].startswith("cmp_")
    [item] = compacted["output"]
    assert list(item) == ["type", "encrypted_content", "id"]
    question = {"role": "user", "content": "and now?"}
    short, long = (post(rest, [*begun, question]).json() for begun in ([item], talk))
    assert text_of(short) == "and now?"
    assert short["usage"]["input_tokens"] == long["usage"]["input_tokens"]
    again = compact(rest, [item, question]).json()
    assert again["usage"]["dropped_message_count"] == 3


def test_attached_file_of_compacted_conversation_is_found(team: EmulatedTeam, rest: httpx.Client) -> None:
    file = team.upload("a.txt", FERNS.encode())
    [item] = compact(rest, attached("Hello", {"file_id": file})).json()["output"]
    assert text_of(post(rest, [item, {"role": "user", "content": "ferns?"}]).json()) == f'From a.txt: "{FERNS}"'


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"input": []}, 400, "Bad data: Messages cannot be empty"),
        ({"model": "grok-2"}, 400, "Model not found: grok-2"),
        ({"input": 5}, 422, "Failed to deserialize the JSON body into the target type: input: data did not match"),
        ({"input": [{"type": "compaction", "encrypted_content": "eA=="}]}, 400, "Could not decrypt"),
        ({"input": [{"type": "compaction", "encrypted_content": "ä"}]}, 400, "Could not decrypt"),
    ],
)
def test_compaction_is_refused(rest: httpx.Client, body: Json, status: int, sentence: str) -> None:
    reply = compact(rest, **{"input": "x", **body})
    assert (reply.status_code, reply.json()["error"][: len(sentence)]) == (status, sentence)


def test_changed_and_foreign_encrypted_content_is_refused(emulator: Emulator, rest: httpx.Client) -> None:
    [item] = compact(rest, "one").json()["output"]
    content = item["encrypted_content"]
    changed = {**item, "encrypted_content": ("B" if content[0] == "A" else "A") + content[1:]}
    assert post(rest, [changed]).status_code == 400
    other = {"authorization": f"Bearer {emulator.api_key}@other"}
    body = {"model": "grok-4.3", "input": [item]}
    assert rest.post(PATH, json=body, headers=other).headers["x-emulator-rule"] == "encrypted_content"
    assert rest.post(PATH, json=body).status_code == 200


# --- time, teams, snapshots


@pytest.mark.parametrize(("seconds", "status"), [(30 * DAY - 1, 200), (30 * DAY, 404)])
def test_stored_response_expires_after_30_days(
    emulator: Emulator, team: EmulatedTeam, rest: httpx.Client, seconds: int, status: int
) -> None:
    team.freeze()
    id = post(rest).json()["id"]
    team.advance(seconds)
    assert rest.get(f"{PATH}/{id}").status_code == status
    assert post(rest, previous_response_id=id).status_code == status
    total = emulator._running().services.store.responses.total("default")
    assert total == (2 if status == 200 else 0)


def test_stored_response_of_another_team_is_not_found(emulator: Emulator, rest: httpx.Client) -> None:
    id = post(rest).json()["id"]
    with httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {emulator.api_key}@other"}) as other:
        assert other.get(f"{PATH}/{id}").status_code == 404
        assert other.get(f"{PATH}/{id}/input_items").status_code == 404
        assert other.delete(f"{PATH}/{id}").status_code == 404
        assert post(other, previous_response_id=id).status_code == 404
    assert rest.get(f"{PATH}/{id}").status_code == 200


def test_snapshot_holds_stored_responses(emulator: Emulator, rest: httpx.Client) -> None:
    created = post(rest).json()
    with httpx.Client(base_url=f"{emulator.url}/_emulator", timeout=PATIENCE_SECONDS) as control:
        control.post("/snapshots", json={"name": "before"}).raise_for_status()
        control.post("/reset").raise_for_status()
        assert rest.get(f"{PATH}/{created['id']}").status_code == 404
        control.post("/snapshots/before/restore").raise_for_status()
    assert rest.get(f"{PATH}/{created['id']}").json() == created


def test_stored_response_outlives_the_process(tmp_path: object) -> None:
    headers = {"authorization": "Bearer xai-emulator"}
    with Served("--data-dir", str(tmp_path)) as served:
        with httpx.Client(base_url=served.url, headers=headers, timeout=PATIENCE_SECONDS) as rest:
            created = post(rest).json()
            [item] = compact(rest, "one").json()["output"]
        served.stop()
    with (
        Served("--data-dir", str(tmp_path)) as served,
        httpx.Client(base_url=served.url, headers=headers, timeout=PATIENCE_SECONDS) as rest,
    ):
        assert rest.get(f"{PATH}/{created['id']}").json() == created
        assert post(rest, [item]).status_code == 200


def test_journal_names_operations(emulator: Emulator, team: EmulatedTeam, rest: httpx.Client) -> None:
    id = post(rest).json()["id"]
    rest.get(f"{PATH}/{id}")
    rest.get(f"{PATH}/{id}/input_items")
    compact(rest, "one")
    rest.delete(f"{PATH}/{id}")
    assert [call["operation"] for call in team.requests()] == [
        f"responses.{name}" for name in ("create", "get", "list_input_items", "compact", "delete")
    ]


def test_search_is_stored_with_its_results(team: EmulatedTeam, rest: httpx.Client) -> None:
    id, _ = collection(team, FERNS)
    created = post(rest, "ferns", tools=search(id), include=["file_search_call.results"]).json()
    assert rest.get(f"{PATH}/{created['id']}").json() == created
