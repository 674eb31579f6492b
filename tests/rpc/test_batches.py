"""The BatchMgmt service: its methods, interoperation with REST, and the mapping of messages to JSON."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Emulator
from emulator.domain.batches.bodies import URLS, check_body
from emulator.rpc.batches.media import EXTENSION_REQUEST, IMAGE_REQUEST, IMAGE_RESPONSE, VIDEO_REQUEST, VIDEO_RESPONSE
from emulator.rpc.batches.methods import METHODS
from emulator.rpc.chat.messages import CHAT_REQUEST, CHAT_RESPONSE
from emulator.rpc.fields import Shape
from emulator.rpc.messages import load
from tests.examples import examples
from tests.rpc.client import Message, Rpc, message

SERVICE = "xai_api.BatchMgmt"


@pytest.fixture
def rpc(emulator: Emulator) -> Iterator[Rpc]:
    """A client of the inference plane, on an emulator that was reset."""
    emulator.reset()
    with Rpc(emulator.grpc_target, emulator.api_key) as client:
        yield client


def call(rpc: Rpc, method: str, **fields: Any) -> Message:
    """The answer of a method to its own request message."""
    request = load().service(SERVICE).methods_by_name[method].input_type.full_name
    return rpc.call(f"{SERVICE}/{method}", message(request, **fields))


def refusal(rpc: Rpc, method: str, **fields: Any) -> tuple[str, str]:
    """The code and the words of a refusal."""
    request = load().service(SERVICE).methods_by_name[method].input_type.full_name
    error = rpc.refusal(f"{SERVICE}/{method}", message(request, **fields))
    return error.code().name, error.details()


def text(content: str) -> Message:
    """A user's message."""
    part = message("xai_api.Content", text=content)
    return message("xai_api.Message", role=1, content=[part])


def chat(id: str, content: str = "hi", model: str = "grok-4", **fields: Any) -> Message:
    """A chat request."""
    request = message("xai_api.GetCompletionsRequest", model=model, messages=[text(content)], **fields)
    return message("xai_api.BatchRequest", batch_request_id=id, completion_request=request)


def a_batch(rpc: Rpc, *requests: Message) -> str:
    """A new batch with requests."""
    id: str = call(rpc, "CreateBatch", name="b").batch_id
    call(rpc, "AddBatchRequests", batch_id=id, batch_requests=requests)
    return id


def test_batch_methods_are_all_served() -> None:
    """The table has what the contract declares."""
    assert {method.name for method in METHODS} == {method.name for method in load().service(SERVICE).methods}


def test_batch_has_timestamps_and_sum_of_costs(rpc: Rpc, emulator: Emulator) -> None:
    """What REST shows as dates are Timestamps here; the costs are the sum of the results'."""
    id = a_batch(rpc, chat("a"), chat("b", "hello again"))
    emulator.advance(1)
    batch = call(rpc, "GetBatch", batch_id=id)
    assert batch.expire_time.seconds - batch.create_time.seconds == 30 * 86_400
    assert batch.create_time.nanos % 1000 == 0
    assert not batch.HasField("cancel_time")
    assert not batch.HasField("cancel_by_xai_message")
    assert not batch.HasField("input_file_id")
    results = call(rpc, "ListBatchResults", batch_id=id).results
    ticks = [result.response.completion_response.usage.cost_in_usd_ticks for result in results]
    assert batch.cost_breakdown.total_cost_usd_ticks == sum(ticks) > 0
    [endpoint] = batch.cost_breakdown.endpoint_costs
    assert (endpoint.endpoint, endpoint.request_count) == ("xai_api.Chat/GetCompletion", 2)
    assert batch.cost_breakdown.HasField("calculation_time")


def test_lists_have_a_token_only_where_something_follows(rpc: Rpc, emulator: Emulator) -> None:
    """A page that ends the list has none, however full it is."""
    id = a_batch(rpc, *(chat(f"r{n}") for n in range(4)))
    emulator.advance(1)
    for method, name in (("ListBatchRequestMetadata", "batch_request_metadata"), ("ListBatchResults", "results")):
        first = call(rpc, method, batch_id=id, limit=3)
        assert [item.batch_request_id for item in getattr(first, name)] == ["r0", "r1", "r2"]
        rest = call(rpc, method, batch_id=id, limit=3, pagination_token=first.pagination_token)
        assert [item.batch_request_id for item in getattr(rest, name)] == ["r3"]
        assert not rest.HasField("pagination_token")
        assert not call(rpc, method, batch_id=id, limit=4).HasField("pagination_token")
    assert not call(rpc, "ListBatches", limit=1).HasField("pagination_token")


def test_requests_are_filtered_by_named_states(rpc: Rpc, emulator: Emulator) -> None:
    """Any of the states that are named; none means all."""
    httpx.post(f"{emulator.url}/_emulator/clock/freeze").raise_for_status()
    configure(emulator, batches="realistic")
    id = a_batch(rpc, *(chat(f"r{n}", max_tokens=n) for n in range(4)))  # the first asks for no token at all
    emulator.advance(0.5)

    def listed(*states: int) -> list[tuple[str, int]]:
        found = call(rpc, "ListBatchRequestMetadata", batch_id=id, status=states).batch_request_metadata
        return [(item.batch_request_id, item.state) for item in found]

    assert listed() == [("r0", 4), ("r1", 2), ("r2", 1), ("r3", 1)]
    assert listed(2, 4) == [("r0", 4), ("r1", 2)]
    assert listed(3) == []
    call(rpc, "CancelBatch", batch_id=id)
    assert listed(1) == []
    assert listed(3) == [("r2", 3), ("r3", 3)]
    assert refusal(rpc, "ListBatchRequestMetadata", batch_id=id, status=[9])[0] == "INVALID_ARGUMENT"
    errors = {item.batch_request_id: item.error for item in call(rpc, "ListBatchResults", batch_id=id).results}
    assert (errors["r0"].code, errors["r2"].code, errors["r2"].message) == (3, 1, "Batch cancelled")


def configure(emulator: Emulator, **changes: Any) -> None:
    """Give the default team settings of its own."""
    httpx.patch(f"{emulator.url}/_emulator/teams/default", json=changes).raise_for_status()


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("GetBatch", {}),
        ("CancelBatch", {}),
        ("AddBatchRequests", {}),
        ("ListBatchRequestMetadata", {}),
        ("ListBatchResults", {}),
        ("GetBatchRequestResult", {"batch_request_id": "a"}),
    ],
)
def test_unknown_batch_is_refused_by_every_method(rpc: Rpc, method: str, fields: dict[str, Any]) -> None:
    """Every method says so in the words of xAI's own test server, which are not those of REST."""
    sentence = "Cannot find batch with ID batch_nope"
    assert refusal(rpc, method, batch_id="batch_nope", **fields) == ("NOT_FOUND", sentence)


def test_refused_requests_have_recorded_messages_and_store_nothing(rpc: Rpc, emulator: Emulator) -> None:
    """In the recorded words; what is refused leaves nothing behind."""
    id = a_batch(rpc, chat("a"))
    add = {"batch_id": id}
    assert refusal(rpc, "AddBatchRequests", **add, batch_requests=[chat("b"), chat("c", model="grok-4.5")]) == (
        "INVALID_ARGUMENT",
        "Model grok-4.5 is not supported for batch processing.",
    )
    assert refusal(rpc, "AddBatchRequests", **add, batch_requests=[chat("b"), chat("a", "other")]) == (
        "FAILED_PRECONDITION",
        "batch_request_id 'a' content differs from originally submitted",
    )
    nothing = message("xai_api.BatchRequest", batch_request_id="b")
    assert refusal(rpc, "AddBatchRequests", **add, batch_requests=[nothing])[0] == "INVALID_ARGUMENT"
    assert refusal(rpc, "GetBatchRequestResult", batch_id=id, batch_request_id="b")[0] == "NOT_FOUND"
    assert refusal(rpc, "CreateBatch", name="x", input_file_id="file_nope") == ("NOT_FOUND", "File not found")
    assert call(rpc, "GetBatch", **add).state.num_requests == 1


def test_request_result_is_missing_while_pending(rpc: Rpc, emulator: Emulator) -> None:
    """Without a result while it is pending; the request comes back as it was sent."""
    httpx.post(f"{emulator.url}/_emulator/clock/freeze").raise_for_status()
    configure(emulator, batches="manual")
    sent = chat("a", "hello", temperature=0.7)
    id = a_batch(rpc, sent)
    answer = call(rpc, "GetBatchRequestResult", batch_id=id, batch_request_id="a")
    assert answer.request == sent
    assert not answer.HasField("result")
    emulator.run_jobs()
    answer = call(rpc, "GetBatchRequestResult", batch_id=id, batch_request_id="a")
    assert answer.result.response.completion_response.outputs[0].message.content == "hello"


def test_request_is_equal_over_both_transports(rpc: Rpc, emulator: Emulator) -> None:
    """One form stands behind both: a message added here is a body there, and the same content on both."""
    id = a_batch(rpc, chat("a", "from grpc", temperature=0.7, max_tokens=5))
    with httpx.Client(base_url=emulator.base_url, headers={"authorization": f"Bearer {emulator.api_key}"}) as rest:
        body = {"model": "grok-4", "messages": [{"role": "user", "content": "from grpc"}], "temperature": 0.7}
        again = {"batch_request_id": "a", "batch_request": {"chat_get_completion": {**body, "max_tokens": 5}}}
        said = {"model": "grok-4", "input": "from rest", "instructions": "Shout."}
        other = {"batch_request_id": "b", "batch_request": {"responses": said}}
        reply = rest.post(f"/batches/{id}/requests", json={"batch_requests": [again, other]})
        assert (reply.status_code, reply.text) == (200, "null")
        emulator.advance(1)
        rows = rest.get(f"/batches/{id}/results").json()["results"]
    contents = [
        row["batch_result"]["response"]["chat_get_completion"]["choices"][0]["message"]["content"] for row in rows
    ]
    assert contents == ["from grpc", "from rest"]
    assert call(rpc, "GetBatch", batch_id=id).state.num_requests == 2
    request = call(rpc, "GetBatchRequestResult", batch_id=id, batch_request_id="b").request.completion_request
    assert [(each.role, each.content[0].text) for each in request.messages] == [(3, "Shout."), (1, "from rest")]
    results = call(rpc, "ListBatchResults", batch_id=id).results
    assert [each.response.completion_response.outputs[0].message.content for each in results] == contents


def test_image_result_has_moderation_and_data_url(rpc: Rpc, emulator: Emulator) -> None:
    """With respect for moderation, and base64 as a data URL, which REST has without its head."""
    image = message("xai_api.GenerateImageRequest", prompt="a", model="grok-imagine-image", format=1)
    id = a_batch(rpc, message("xai_api.BatchRequest", batch_request_id="a", image_request=image))
    emulator.advance(1)
    [result] = call(rpc, "ListBatchResults", batch_id=id).results
    [picture] = result.response.image_response.images
    head, _, encoded = picture.base64.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(encoded).startswith(b"\x89PNG")
    assert picture.respect_moderation
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    [row] = httpx.get(f"{emulator.base_url}/batches/{id}/results", headers=headers).json()["results"]
    assert row["batch_result"]["response"]["image_generation"]["data"][0]["b64_json"] == encoded


# --- the tables

TABLES = {
    "xai_api.GetCompletionsRequest": (CHAT_REQUEST, "/v1/chat/completions"),
    "xai_api.GenerateImageRequest": (IMAGE_REQUEST, "/v1/images/edits"),
    "xai_api.GenerateVideoRequest": (VIDEO_REQUEST, "/v1/videos/generations"),
    "xai_api.ExtendVideoRequest": (EXTENSION_REQUEST, "/v1/videos/extensions"),
}
SCALARS = {
    "string": st.text(max_size=4),
    "bool": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**53), 2**53),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "bytes": st.binary(max_size=4),
}
_TYPES = {2: "float", 3: "int64", 5: "int32", 8: "bool", 9: "string", 12: "bytes"}
REQUIRED = {"role", "id", "name", "arguments"}  # of a chat body, where a message can leave out what is empty
SCHEMAS = st.sampled_from(['{"type":"object"}', '{"a": [1, {"b": null}]}', "no JSON", "[]", '"text"', "{"])


@st.composite
def messages(draw: st.DrawFn, name: str, *, known: bool) -> Message:
    """Any message of a type: some of its fields, one of each oneof; `known` leaves out the first value of enums."""
    if name == "google.protobuf.Timestamp":
        return message(name, seconds=draw(st.integers(0, 2**32)), nanos=draw(st.integers(0, 999_999)) * 1000)
    made, chosen = message(name), set()
    for field in draw(st.permutations(list(load().message(name).DESCRIPTOR.fields))):
        oneof = field.containing_oneof
        if oneof is None or oneof.name.startswith("_"):
            wanted = draw(st.integers(0, 3)) == 0 or (known and field.name in REQUIRED)
        else:
            wanted = oneof.name not in chosen
            chosen.add(oneof.name)
        if wanted:
            fill(draw, made, field, known=known)
    return made


def fill(draw: st.DrawFn, made: Message, field: Any, *, known: bool) -> None:
    """Give a field a value."""
    place = getattr(made, field.name)
    value: st.SearchStrategy[Any]
    if field.message_type is not None:
        value = messages(field.message_type.full_name, known=known)
    elif field.enum_type is not None:
        value = st.sampled_from([value.number for value in field.enum_type.values][known:])
    else:
        value = SCHEMAS if field.name in ("parameters", "schema") else SCALARS[_TYPES[field.type]]
        value = value.filter(bool) if known and field.name in REQUIRED else value
    if hasattr(place, "update"):
        place.update(draw(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)))
    elif hasattr(place, "append"):
        place.extend(draw(st.lists(value, max_size=2)))
    elif field.message_type is not None:
        place.CopyFrom(draw(value))
    else:
        setattr(made, field.name, draw(value))


def compacted(sent: Message) -> Message:
    """The message with its JSON texts as this side writes them: blanks in a schema are not kept."""
    for field, value in sent.ListFields():
        if field.name in ("parameters", "schema"):
            with contextlib.suppress(ValueError):
                found = json.loads(value)
                if isinstance(found, dict):
                    setattr(sent, field.name, json.dumps(found))
        elif field.message_type is not None and field.name != "extra_headers":
            for inner in value if hasattr(value, "append") else [value]:
                compacted(inner)
    return sent


@pytest.mark.parametrize("name", TABLES)
@given(data=st.data())
@settings(max_examples=examples(50))
def test_request_message_survives_conversion_to_json(name: str, data: st.DataObject) -> None:
    """What a client sends is what it gets back, field by field."""
    table, _ = TABLES[name]
    sent = data.draw(messages(name, known=False))
    kept = msgspec.json.decode(msgspec.json.encode(table.to_json(sent)))
    back = table.to_message(kept)
    assert compacted(back) == compacted(sent)
    assert table.to_json(back) == kept


@pytest.mark.parametrize("name", TABLES)
@given(data=st.data())
@settings(max_examples=examples(25))
def test_request_message_converts_to_valid_rest_body(name: str, data: st.DataObject) -> None:
    """The form in which requests are kept is the one that the REST endpoint documents."""
    table, url = TABLES[name]
    body = {"prompt": "", "video": {}, **table.to_json(data.draw(messages(name, known=True)))}
    assert check_body(msgspec.json.decode(msgspec.json.encode(body)), URLS[url][1]) is None


@pytest.mark.parametrize("name", TABLES)
def test_request_fields_are_all_in_tables(name: str) -> None:
    """None is forgotten, none is invented."""
    table, _ = TABLES[name]
    assert {field.name for field in table.fields} == {field.name for field in load().message(name).DESCRIPTOR.fields}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    data=st.data(),
    table=st.sampled_from([*(table for table, _ in TABLES.values()), CHAT_RESPONSE, IMAGE_RESPONSE, VIDEO_RESPONSE]),
)
@settings(max_examples=examples(80))
def test_any_body_converts_to_message(data: st.DataObject, table: Shape) -> None:
    """A body came from anywhere: what the message has no place for is left out."""
    names = [field.key or field.name for field in table.fields]
    body = data.draw(st.dictionaries(st.sampled_from(names), JSON))
    assert table.to_message(body).DESCRIPTOR.full_name == table.message


UNFIT = {"seed": 2**31, "n": "two", "stop": ["a", 1, "b"], "messages": [{"role": "user", "content": 5}, 7], "tools": 1}


@given(st.dictionaries(st.sampled_from(sorted(UNFIT)), st.none()), st.integers(-9, 9), st.text(max_size=3))
def test_member_of_wrong_type_is_left_out_alone(chosen: dict[str, None], seed: int, model: str) -> None:
    """A member of a wrong type, or a number too large for its field, is left out by itself; so is an item of a list."""
    body = {"model": model, "temperature": 0.5, "seed": seed} | {key: UNFIT[key] for key in chosen}
    found = CHAT_REQUEST.to_message(body)
    assert (found.model, found.temperature) == (model, 0.5)
    assert found.HasField("seed") is ("seed" not in chosen)
    assert list(found.stop) == (["a", "b"] if "stop" in chosen else [])
    assert [message.role for message in found.messages] == ([1] if "messages" in chosen else [])
    assert not found.HasField("n")
    assert not found.tools


@given(st.permutations(["max_tokens", "max_completion_tokens"]), st.none() | st.just(7), st.none() | st.just(5))
def test_alias_is_read_unless_first_name_is_set(order: list[str], first: int | None, second: int | None) -> None:
    """The first of them counts, unless it is null, in whichever order they come."""
    body = {"max_tokens": first, "max_completion_tokens": second}
    assert CHAT_REQUEST.to_message({key: body[key] for key in order}).max_tokens == (first or second or 0)


def test_timestamp_outside_calendar_is_refused(rpc: Rpc) -> None:
    """It has no place in JSON, so it is an argument that is not valid."""
    search = message("xai_api.XSearch", from_date=message("google.protobuf.Timestamp", seconds=2**60))
    request = chat("a", tools=[message("xai_api.Tool", x_search=search)])
    id = a_batch(rpc)
    assert refusal(rpc, "AddBatchRequests", batch_id=id, batch_requests=[request])[0] == "INVALID_ARGUMENT"
    unknown = chat("a", reasoning_effort=77)
    assert refusal(rpc, "AddBatchRequests", batch_id=id, batch_requests=[unknown])[0] == "INVALID_ARGUMENT"
    assert call(rpc, "GetBatch", batch_id=id).state.num_requests == 0


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 500 + "1" + "}" * 500, "[" * 500 + "]" * 500, "\x00"])
def test_schema_of_any_text_is_returned_unchanged(rpc: Rpc, text: str) -> None:
    """Also one that is too deep to be read as JSON: it comes back as it was sent."""
    function = message("xai_api.Function", name="f", parameters=text)
    sent = chat("a", tools=[message("xai_api.Tool", function=function)])
    id = a_batch(rpc, sent)
    assert call(rpc, "GetBatchRequestResult", batch_id=id, batch_request_id="a").request == sent
