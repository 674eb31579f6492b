"""What follows without a store: counters, states, due times, input lines, chat forms, results and media."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.core.errors import ApiError, Kind
from emulator.core.limits import DOCUMENTED, RELAXED, override
from emulator.domain.batches.batch import (
    KINDS,
    PHASES,
    STATES,
    Batch,
    Failure,
    NewRequest,
    Phase,
    Request,
    RequestKind,
    ResultKind,
    State,
    cancelled_outcome,
    canonical,
    check_model,
    check_open,
    check_size,
    content_conflict,
    due,
    finish,
    model_of,
    state_of,
)
from emulator.domain.batches.checks import complaint, file_ids
from emulator.domain.batches.jsonl import BadFile, body_of, read_line
from emulator.domain.batches.results import cost_of, result_of
from emulator.domain.chat.answers import BadAnswer
from emulator.domain.chat.conversation import prompt_of
from emulator.domain.chat.requests import ModelRequest
from emulator.domain.chat.responses_body import from_responses
from emulator.domain.json_depth import is_deeper
from tests.examples import examples

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def a_batch(phase: Phase, *, requests: int = 0, success: int = 0, error: int = 0) -> Batch:
    """A batch in a phase."""
    return Batch(
        *("b", "name", 0, 1, "key", None, None, phase, 5, None, False, requests, success, error, 0, 0, 1),
    )


def a_request(outcome: bytes | Failure | None) -> Request:
    """A request with an outcome."""
    return Request("r", RequestKind.CHAT, "grok", 0, None if outcome is None else 3, outcome, 2, None, 1)


def asked(kind: RequestKind, **body: Any) -> ModelRequest:
    """A request as a responder sees it."""
    return ModelRequest("b", "r", kind.value, body.get("model", "grok"), body)


# --- states


@given(
    phase=st.sampled_from(Phase),
    counts=st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
)
def test_counters_add_up_in_every_phase(phase: Phase, counts: tuple[int, int, int]) -> None:
    """num_requests is the sum of the other four; a closed batch has none pending, an open one none cancelled."""
    success, error, left = counts
    batch = a_batch(phase, requests=success + error + left, success=success, error=error)
    assert batch.num_requests == batch.num_pending + batch.num_success + batch.num_error + batch.num_cancelled
    assert (batch.num_cancelled if not batch.closed else batch.num_pending) == 0


def test_state_tables_have_a_row_for_every_state() -> None:
    """Each phase and each state has its row; what has ended stays so, but for the race of a cancelled request."""
    assert set(PHASES) == set(Phase)
    assert set(STATES) == set(State)
    assert [state for state in State if not STATES[state]] == [State.SUCCEEDED, State.FAILED]
    assert STATES[State.PENDING] == set(State) - {State.PENDING}
    assert STATES[State.CANCELLED] == {State.SUCCEEDED, State.FAILED}
    ends = {Phase.CANCELLED, Phase.EXPIRED}
    for phase, targets in PHASES.items():
        assert targets == (set() if phase in ends else {*ends, Phase.SEALED} if phase is Phase.VALIDATING else ends)
    assert set(KINDS) == set(RequestKind)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("outcome", [None, b"{}", Failure(Kind.INTERNAL, "no")])
def test_unfinished_request_state_follows_its_batch(phase: Phase, outcome: Any) -> None:
    """The state of an unfinished request follows from its batch, that of a finished one from its outcome."""
    batch, state = a_batch(phase), state_of(a_batch(phase), a_request(outcome))
    expected = State.CANCELLED if batch.closed else State.PENDING
    assert state is {type(None): expected, bytes: State.SUCCEEDED, Failure: State.FAILED}[type(outcome)]


def test_finishing_a_request_twice_is_a_defect() -> None:
    """A second outcome is a defect of the caller, not a result."""
    batch = a_batch(Phase.OPEN, requests=1)
    assert finish(batch, a_request(None), b"{}") is State.SUCCEEDED
    assert finish(batch, a_request(None), Failure(Kind.INTERNAL, "no")) is State.FAILED
    with pytest.raises(AssertionError, match="SUCCEEDED"):
        finish(batch, a_request(b"{}"), b"{}")


@given(at=st.integers(0, 10**15), index=st.integers(0, 1000))
def test_due_times_of_the_speeds(at: int, index: int) -> None:
    """At once; a quarter of the requests every quarter of a second; or not before it is released."""
    assert due("instant", at, index) == at
    assert due("manual", at, index) is None
    realistic = due("realistic", at, index)
    assert realistic is not None
    assert realistic - at in {250_000, 500_000, 750_000, 1_000_000}
    assert len({due("realistic", at, index + n) for n in range(4)}) == 4
    assert due("realistic", at) == at + 250_000


def respelled(value: Any, absent: str) -> Any:
    """The same content, spelled otherwise: members in another order and a null one more, whole numbers as floats."""
    if isinstance(value, dict):
        members = {name: respelled(member, absent) for name, member in reversed(value.items())}
        return members if absent in members else {**members, absent: None}
    if isinstance(value, list):
        return [respelled(item, absent) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def changed(value: Any) -> Any:
    """Other content, by as little as possible, as deep as possible."""
    if isinstance(value, dict) and value:
        first = next(iter(value))
        return {**value, first: changed(value[first])}
    if isinstance(value, list) and value:
        return [*value[:-1], changed(value[-1])]
    return value + 0.5 if type(value) in (int, float) and abs(value) < 2**50 else [value, 0]


@given(body=st.dictionaries(st.text(max_size=5), JSON, max_size=4), absent=st.text(max_size=5))
@settings(max_examples=examples(50))
def test_equal_content_reads_the_same(body: dict[str, Any], absent: str) -> None:
    """Neither the order of members, nor an absent one, nor 1.0 for 1 is another content, at any depth; all else is."""
    assert canonical(RequestKind.CHAT, respelled(body, absent)) == canonical(RequestKind.CHAT, body)
    assert canonical(RequestKind.CHAT, changed(body)) != canonical(RequestKind.CHAT, body)
    assert canonical(RequestKind.CHAT, body) != canonical(RequestKind.RESPONSES, body)
    if absent not in body:
        assert canonical(RequestKind.CHAT, {**body, absent: 0}) != canonical(RequestKind.CHAT, body)


# --- what may be added


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("file", [None, "file_1"])
def test_only_open_batches_without_file_accept_requests(phase: Phase, file: str | None) -> None:
    """A batch that has not come from a file and has not ended; the refusals are the recorded ones."""
    batch = msgspec.structs.replace(a_batch(phase), input_file_id=file)
    if file is not None:
        expected = (Kind.FAILED_PRECONDITION, "file_based_batch", "Cannot add inline requests to a file-based batch")
    elif phase in (Phase.CANCELLED, Phase.EXPIRED):
        word = {Phase.CANCELLED: "a cancelled", Phase.EXPIRED: "an expired"}[phase]
        expected = (Kind.PERMISSION_DENIED, "closed_batch", f"Cannot add requests to {word} batch")
    else:
        check_open(batch)
        return
    with pytest.raises(ApiError) as refused:
        check_open(batch)
    assert (refused.value.kind, refused.value.rule, refused.value.message) == expected


@pytest.mark.parametrize(("phase", "word"), [(Phase.CANCELLED, "cancelled"), (Phase.EXPIRED, "expired")])
def test_unfinished_request_of_closed_batch_is_aborted(phase: Phase, word: str) -> None:
    """In the recorded words; and only what was cancelled has the time of it."""
    batch = msgspec.structs.replace(a_batch(phase), closed_at=9)
    assert cancelled_outcome(batch) == Failure(Kind.ABORTED, f"Batch {word}")
    assert batch.cancelled_at == (9 if phase is Phase.CANCELLED else None)


@given(size=st.integers(0, 20), most=st.none() | st.integers(0, 20))
def test_body_size_limit_is_inclusive(size: int, most: int | None) -> None:
    """The limit is inclusive, and there may be none."""
    limits = override(DOCUMENTED, {"batch_request_bytes_max": most})
    if most is None or size <= most:
        check_size(size, limits)
        return
    with pytest.raises(ApiError, match=f"at most {most} bytes, this one has {size}") as refused:
        check_size(size, limits)
    assert (refused.value.kind, refused.value.rule) == (Kind.PAYLOAD_TOO_LARGE, "batch_request_bytes_max")


def test_unsupported_model_is_refused_by_name() -> None:
    """Any other value names none; and some models are refused, by their names."""
    assert [model_of(body) for body in ({"model": "m"}, {"model": 5}, {"model": None}, {})] == ["m", "", "", ""]
    check_model("grok-4")
    with pytest.raises(ApiError) as refused:
        check_model("grok-3-mini")
    assert refused.value.message == "Model grok-3-mini is not supported for batch processing."
    assert (refused.value.rule, refused.value.param) == ("batch_model", "model")


def test_content_conflict_has_recorded_message() -> None:
    """The refusal of another one is the recorded one."""
    error = content_conflict("r")
    assert error.message == "batch_request_id 'r' content differs from originally submitted"
    assert (error.kind, error.rule) == (Kind.FAILED_PRECONDITION, "batch_request_id")


# --- input lines


def line(**changes: Any) -> bytes:
    """A good line, with changes."""
    body = {"model": "grok-4", "messages": [{"role": "user", "content": "hi"}]}
    good = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps({**good, **changes}).encode()


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"{", "line 7: invalid JSON: EOF while parsing a value"),
        (b"nonsense", "line 7: invalid JSON: invalid character"),
        (b"[]", "line 7: invalid JSON: Expected `object`, got `array`"),
        (b"{}", "line 7: missing field `custom_id`"),
        (line(custom_id=None), "line 7: missing field `custom_id`"),
        (line(custom_id=""), "line 7: custom_id must be a non-empty string"),
        (line(custom_id=5), "line 7: custom_id must be a non-empty string"),
        (line(method="GET"), "line 7: unsupported method 'GET', only POST is"),
        (line(url="/v1/embeddings"), "line 7: unsupported url '/v1/embeddings'"),
        (line(url=["/v1/chat/completions"]), "line 7: unsupported url ['/v1/chat/completions']"),
        (line(body="x"), "line 7: invalid body: Expected `object`, got `str`"),
        (line(body={"messages": [{}]}), "line 7: invalid body: missing field `role` - at `messages[0]`"),
        (line(url="/v1/videos/edits", body={"prompt": "x"}), "line 7: invalid body: missing field `video`"),
        (line(body={"model": "grok-4.5"}), "Model grok-4.5 is not supported for batch processing."),
        (b'{"custom_id":"\xff"}', "line 7: invalid JSON: "),
        (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", "line 7: invalid JSON: recursion limit exceeded"),
    ],
)
def test_bad_line_is_refused_with_its_number(raw: bytes, complaint: str) -> None:
    """The message has the line number and the reason; for an unknown model it has no line number (observed live)."""
    with pytest.raises(BadFile) as refused:
        read_line(7, raw, DOCUMENTED)
    assert str(refused.value).startswith(f"JSONL file validation failed: {complaint}")


@given(raw=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_random_line_is_refused_as_bad_file(raw: bytes) -> None:
    """Whatever is on a line, it is a request or a bad file."""
    try:
        read_line(1, raw, DOCUMENTED)
    except BadFile:
        return
    raise AssertionError("nothing random is a request")


def test_line_size_limit_is_inclusive() -> None:
    """The limit is inclusive."""
    raw = line()
    read_line(1, raw, override(DOCUMENTED, {"batch_request_bytes_max": len(raw)}))
    with pytest.raises(BadFile, match=f"at most {len(raw) - 1} bytes, this one has {len(raw)}"):
        read_line(1, raw, override(DOCUMENTED, {"batch_request_bytes_max": len(raw) - 1}))
    body = json.loads(raw)["body"]
    assert read_line(1, raw, RELAXED) == NewRequest("a", RequestKind.CHAT, body)


def test_line_nested_too_deeply_is_refused_without_depth_limit() -> None:
    """Where none is too much for the limits, it is for the parser."""
    deep = b'{"custom_id":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(BadFile, match="line 3: invalid JSON: "):
        read_line(3, deep, override(DOCUMENTED, {"json_depth_max": None}))


@given(body=st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_body_of_stored_line_can_be_read_again(body: dict[str, Any]) -> None:
    """The line alone is kept; its body is read from it when it is wanted."""
    assert msgspec.json.decode(body_of(line(body=body))) == body


@given(value=JSON, most=st.integers(0, 6))
def test_json_depth_ignores_brackets_in_strings(value: Any, most: int) -> None:
    """Brackets in texts are no nesting."""

    def depth(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    assert is_deeper(json.dumps(value).encode(), most) == (depth(value) > most)
    assert is_deeper(json.dumps({"\\": [value], 'a"\\"': 1}).encode(), most) == (depth(value) + 2 > most)
    assert not is_deeper(json.dumps("[{" * 500).encode(), 1)


def test_json_depth_counts_brackets_of_invalid_json() -> None:
    """Whatever else stands there, valid or not; and without a limit nothing is too deep."""
    assert not is_deeper(json.dumps({'"[[[': 1}).encode(), 1)
    assert is_deeper(b"[~[", 1)
    assert not is_deeper(b"[~[", 2)
    assert not is_deeper(b"[" * 1000, None)


# --- chat


def test_responses_body_is_translated_to_chat_body() -> None:
    """Instructions, messages, calls and their outputs, formats and functions find their places."""
    chat = from_responses(
        {
            "model": "grok-4",
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
                {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "rain"},
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "And here?"},
                        {"type": "input_image", "image_url": "https://example.com/a.png"},
                        {"type": "input_file", "file_id": "file_1"},
                    ],
                },
            ],
            "max_output_tokens": 9,
            "reasoning": {"effort": "low"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
            "tools": [{"type": "function", "name": "weather", "parameters": {}}, {"type": "web_search"}],
            "tool_choice": {"type": "function", "name": "weather"},
        }
    )
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    assert chat["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And here?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "file", "file": {"file_id": "file_1"}},
            ],
        },
    ]
    assert chat["max_tokens"] == 9
    assert chat["reasoning_effort"] == "low"
    assert chat["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object"}},
    }
    assert chat["tools"] == [
        {"type": "function", "function": {"name": "weather", "parameters": {}}},
        {"type": "web_search"},
    ]
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


@given(body=st.dictionaries(st.sampled_from(["input", "messages", "tools", "text", "reasoning", "prompt"]), JSON))
def test_prompt_of_random_body_is_text(body: dict[str, Any]) -> None:
    """What does not fit is left out."""
    for kind in RequestKind:
        assert isinstance(prompt_of(kind, body), str)
    json.dumps(from_responses(body))


# --- results


CHAT = {"messages": [{"role": "user", "content": "12345"}]}


def test_completion_is_built_from_text_alone() -> None:
    """Everything else is filled in, and adds up."""
    result = result_of(asked(RequestKind.CHAT, **CHAT, n=2), "four", id="i", created=9)
    assert [choice["message"]["content"] for choice in result["choices"]] == ["four", "four"]
    assert [choice["index"] for choice in result["choices"]] == [0, 1]
    usage = result["usage"]
    assert usage["prompt_tokens"] == 2  # five characters begin two tokens
    assert usage["completion_tokens"] == 2
    assert usage["total_tokens"] == 4
    assert cost_of(result) == usage["cost_in_usd_ticks"] > 0


def test_tool_calls_are_written_out() -> None:
    """A name and arguments become a call as the API shows it, and the reason to stop."""
    said = {"tool_calls": [{"name": "weather", "arguments": {"city": "Bern"}}]}
    [choice] = result_of(asked(RequestKind.CHAT, **CHAT), said, id="i", created=9)["choices"]
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    assert call["type"] == "function"
    assert call["function"] == {"name": "weather", "arguments": '{"city": "Bern"}'}


def test_reasoning_tokens_are_not_completion_tokens() -> None:
    """They are counted beside them (observed live)."""
    said = {"content": "four", "reasoning_content": "12345678"}
    usage = result_of(asked(RequestKind.CHAT, **CHAT), said, id="i", created=9)["usage"]
    assert (usage["completion_tokens"], usage["completion_tokens_details"]["reasoning_tokens"]) == (1, 2)
    assert usage["total_tokens"] == usage["prompt_tokens"] + 1 + 2


def test_upstream_completion_is_kept_unchanged() -> None:
    """What a server upstream said wins over what would be filled in; its cost is counted from its usage."""
    said = {
        "id": "theirs",
        "model": "llama",
        "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }
    result = result_of(asked(RequestKind.RESPONSES, input="x"), said, id="i", created=9)
    assert (result["id"], result["model"], result["choices"][0]["finish_reason"]) == ("theirs", "llama", "length")
    assert result["usage"]["total_tokens"] == 110
    assert cost_of(result) == 100 * 12_500 + 10 * 25_000


@given(kind=st.sampled_from(RequestKind), said=JSON)
def test_whatever_a_responder_says_is_a_result_or_a_bad_answer(kind: RequestKind, said: Any) -> None:
    """Nothing in between: a result has what its kind has."""
    try:
        result = result_of(asked(kind, **CHAT, prompt="x"), said, id="i", created=9)
        assert isinstance(cost_of(result), int)
    except BadAnswer:
        return
    keys = {ResultKind.CHAT: "choices", ResultKind.IMAGE: "data", ResultKind.VIDEO: "video"}
    assert keys[KINDS[kind].result] in result


@pytest.mark.parametrize(
    ("kind", "body", "error"),
    [
        (RequestKind.CHAT, {"messages": []}, "Bad data: Messages cannot be empty"),
        (RequestKind.RESPONSES, {"input": []}, "Bad data: Messages cannot be empty"),
        (
            RequestKind.CHAT,
            {**CHAT, "presence_penalty": 0},
            "Model grok-4.3 does not support parameter presencePenalty.",
        ),
        (
            RequestKind.CHAT,
            {**CHAT, "max_tokens": -5},
            "Maximum number of tokens max_tokens must be positive but max_tokens = -5",
        ),
        (
            RequestKind.CHAT,
            {**CHAT, "max_tokens": 5, "max_completion_tokens": 0},
            "Maximum number of tokens max_tokens must be positive but max_tokens = 0",
        ),
        *[
            (
                RequestKind.CHAT,
                {"messages": [{"role": "user", "content": [{"type": "file", "file": file}]}]},
                "FileContent must set one of file_id, url, or inline data",
            )
            for file in ({"filename": "a"}, {"file_id": ""}, "file_1")
        ],
        (
            RequestKind.CHAT,
            {"messages": [{"role": "user", "content": [{"type": "file", "file": None}]}]},
            "Empty content block",
        ),
        (
            RequestKind.CHAT,
            {**CHAT, "max_tokens": 0, "max_completion_tokens": 5},
            "Maximum number of tokens max_tokens must be positive but max_tokens = 0",
        ),
        (
            RequestKind.CHAT,
            {**CHAT, "tool_choice": "auto"},
            "Invalid request content: A tool_choice was set on the request but no tools were specified.",
        ),
        (RequestKind.IMAGE_GENERATION, {"prompt": "x", "n": 11}, "n must be between 1 and 10, got 11"),
        (RequestKind.CHAT, {**CHAT, "n": 0}, "n must be between 1 and 128, got 0"),
        (RequestKind.CHAT, {**CHAT, "n": 2**31 - 1}, "n must be between 1 and 128, got 2147483647"),
        (RequestKind.VIDEO_GENERATION, {"duration": 16}, "duration must be between 1 and 15 seconds, got 16"),
        (RequestKind.VIDEO_EXTENSION, {"duration": "11"}, "duration must be between 1 and 10 seconds, got 11"),
    ],
)
def test_invalid_request_body_is_refused_with_reason(kind: RequestKind, body: dict[str, Any], error: str) -> None:
    """In the recorded words, where there are any."""
    assert complaint(asked(kind, **body), DOCUMENTED) == error


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RequestKind.CHAT, {**CHAT, "max_tokens": 1}),
        (RequestKind.IMAGE_GENERATION, {"n": 10}),
        (RequestKind.VIDEO_GENERATION, {"prompt": "x", "duration": 15}),
        (RequestKind.VIDEO_GENERATION, {"prompt": "x", "seconds": "1"}),
        (RequestKind.VIDEO_EXTENSION, {"duration": 10}),
        (RequestKind.VIDEO_GENERATION, {"prompt": "x", "n": 500}),
        (RequestKind.CHAT, {**CHAT, "n": 1}),
        (RequestKind.CHAT, {**CHAT, "n": 128}),
        *[
            (RequestKind.CHAT, {"messages": [{"role": "user", "content": [{"type": "file", "file": {source: "x"}}]}]})
            for source in ("file_id", "url", "file_data")
        ],
    ],
)
def test_request_body_bounds_are_inclusive(kind: RequestKind, body: dict[str, Any]) -> None:
    """Bounds are inclusive."""
    assert complaint(asked(kind, **body), DOCUMENTED) is None


def test_file_ids_are_found_at_any_depth_of_request() -> None:
    """But a tool's schema may have a property of that name."""
    body = {
        "image": {"file_id": "a"},
        "keyframes": [{"image": {"file_id": "b"}}],
        "messages": [{"content": [{"type": "file", "file": {"file_id": "c"}}]}],
        "tools": [{"function": {"parameters": {"example": {"file_id": "not one"}}}}],
        "video": {"file_id": None},
        "reference_images": [{"file_id": ""}, {"file_id": 5}, ["x"]],
        "response_format": {"schema": {"properties": {"file_id": "not one"}}},
        "text": {"format": {"schema": {"properties": {"file_id": "not one"}}}},
    }
    assert sorted(file_ids(body)) == ["a", "b", "c"]
