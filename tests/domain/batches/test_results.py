"""The whole result that the API shows, from whatever a responder said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.batches.batch import RequestKind, ResultKind
from emulator.domain.batches.results import TICKS_MAX, cost_of, result_of
from emulator.domain.chat.answers import BadAnswer, call_id, tokens
from emulator.domain.chat.requests import ModelRequest
from emulator.domain.chat.responses_body import from_responses

# Prices in ticks of 1e-10 US dollar; those of text are of grok-4.3, where grok-4 leads to.
PROMPT, COMPLETION, PICTURE, SECOND = 12_500, 25_000, 200_000_000, 500_000_000
COUNTS = st.integers(0, 1000)
EMPTY = {"message": {"content": ""}}


def asked(kind: RequestKind = RequestKind.CHAT, model: str = "grok-4", **body: Any) -> ModelRequest:
    """A request as a responder sees it."""
    return ModelRequest("b", "r", kind.value, model, body)


def answered(request: ModelRequest, said: Any) -> dict[str, Any]:
    """The result of a request."""
    return result_of(request, said, id="i", created=9)


def test_text_answer_becomes_recorded_completion() -> None:
    """With everything that a completion of the live service has (observed, 2026-08)."""
    picture = {"type": "image_url", "image_url": {"url": "u"}}
    request = asked(messages=[{"role": "user", "content": [{"type": "text", "text": "12345"}, picture]}])
    assert answered(request, "four") == {
        "id": "i",
        "object": "chat.completion",
        "created": 9,
        "model": "grok-4.3",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "four", "refusal": None},
            }
        ],
        "usage": {
            "prompt_tokens": 258,
            "completion_tokens": 1,
            "total_tokens": 259,
            "prompt_tokens_details": {"text_tokens": 2, "audio_tokens": 0, "image_tokens": 256, "cached_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "num_sources_used": 0,
            "cost_in_usd_ticks": 258 * PROMPT + COMPLETION,
        },
        "system_fingerprint": "fp_eb3c003fc66c14ed",
        "service_tier": "default",
    }


@given(st.text(max_size=20))
def test_token_count_is_characters_divided_by_four_rounded_up(text: str) -> None:
    """Nothing for nothing."""
    assert 4 * tokens(text) - 3 <= len(text) <= 4 * tokens(text)


@given(prompt=st.none() | COUNTS, completion=st.none() | COUNTS, reasoning=st.none() | COUNTS)
def test_usage_adds_up(prompt: int | None, completion: int | None, reasoning: int | None) -> None:
    """What is given is kept, what is not is counted, and total and cost follow from both."""
    said = {
        "choices": [{"message": {"content": "12345", "reasoning_content": "123456789"}}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        },
    }
    usage = answered(asked(messages=[{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]), said)[
        "usage"
    ]
    expected = [2 if prompt is None else prompt, 2 if completion is None else completion]
    expected.append(3 if reasoning is None else reasoning)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (expected[0], expected[1])
    assert usage["prompt_tokens_details"]["text_tokens"] == expected[0]
    assert usage["total_tokens"] == sum(expected)
    assert usage["cost_in_usd_ticks"] == PROMPT * expected[0] + COMPLETION * (expected[1] + expected[2])


def test_unknown_usage_members_are_kept() -> None:
    """Its own cost too; what is null is filled in."""
    given = {"cost_in_usd_ticks": 7, "num_sources_used": 3, "total_tokens": None, "more": 1}
    usage = answered(asked(), {"choices": [EMPTY], "usage": given})["usage"]
    assert {name: usage[name] for name in given} == {**given, "total_tokens": 0}


def test_text_tokens_are_not_negative_beside_image_tokens() -> None:
    """Where a prompt is said to be smaller than its pictures, no text is left, not less than none."""
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}
    said = {"choices": [EMPTY], "usage": {"prompt_tokens": 5}}
    details = answered(asked(messages=[picture]), said)["usage"]["prompt_tokens_details"]
    assert (details["text_tokens"], details["image_tokens"]) == (0, 256)


@pytest.mark.parametrize(
    ("said", "message", "reason"),
    [
        ({"content": "a"}, {"content": "a"}, "stop"),
        ({"refusal": "no"}, {"refusal": "no"}, "stop"),
        ({"reasoning_content": "hm"}, {"reasoning_content": "hm"}, "stop"),
        ({"content": "a", "tool_calls": []}, {"content": "a"}, "stop"),
        (
            {"tool_calls": [{"name": "f"}, {"id": "c", "type": "t", "function": {"name": "g", "arguments": "{ }"}}]},
            {
                "tool_calls": [
                    {"id": call_id("i", 0), "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "c", "type": "t", "function": {"name": "g", "arguments": "{ }"}},
                ]
            },
            "tool_calls",
        ),
    ],
)
def test_missing_message_members_are_filled_in(said: dict[str, Any], message: dict[str, Any], reason: str) -> None:
    """The role, absent members and the finish reason get defaults; tool calls get an id and a type."""
    for answer in (said, {"choices": [{"message": said}]}):
        [choice] = answered(asked(), answer)["choices"]
        expected = {"role": "assistant", "content": "", "refusal": None, **message}
        assert choice == {"index": 0, "finish_reason": reason, "message": expected}


def test_arguments_of_calls_are_written_too() -> None:
    """They count as completion tokens, beside the text."""
    call = {"name": "f", "arguments": {"a": 1}}  # eight characters of JSON
    usage = answered(asked(), {"content": "12345", "tool_calls": [call, call]})["usage"]
    assert usage["completion_tokens"] == 2 + 2 * 2


def test_completion_members_are_kept_unless_null() -> None:
    """Members that are null are filled in all the same; what it has beyond them stays."""
    said = {"choices": [EMPTY], "id": "theirs", "model": None, "service_tier": None, "citations": ["u"], "usage": None}
    result = answered(asked(), said)
    assert (result["id"], result["model"], result["service_tier"]) == ("theirs", "grok-4.3", "default")
    assert result["citations"] == ["u"]
    assert result["usage"]["total_tokens"] == 0
    assert "citations" not in answered(asked(), {"content": "x", "citations": ["u"]})  # a message is no completion


@pytest.mark.parametrize(
    ("kind", "said", "words"),
    [
        (RequestKind.CHAT, 5, "a chat answer is a text, a message or a chat completion, not 5"),
        (RequestKind.CHAT, {"text": "x"}, "a chat answer is"),
        (RequestKind.CHAT, ["x" * 200], r"not \['x{78}$"),
        (RequestKind.CHAT, {"choices": []}, "a chat completion has at least one choice"),
        (RequestKind.CHAT, {"choices": [5]}, "a choice has a message, unlike 5"),
        (RequestKind.CHAT, {"choices": [{"message": "x"}]}, "a choice has a message, unlike"),
        (RequestKind.CHAT, {"tool_calls": ["f"]}, "a tool call is an object, not 'f'"),
        (RequestKind.CHAT, {"tool_calls": [{"function": "f"}]}, "a tool call has a name, unlike"),
        (RequestKind.CHAT, {"tool_calls": [{"function": {"name": 5}}]}, "a tool call has a name, unlike"),
        (RequestKind.IMAGE_GENERATION, {"data": ["u"]}, "an image answer is a URL or has data, unlike"),
        (RequestKind.VIDEO_GENERATION, {"video": "u"}, "a video answer is a URL or has a video, unlike"),
    ],
)
def test_invalid_answer_is_refused_with_its_beginning(kind: RequestKind, said: Any, words: str) -> None:
    """With the first eighty characters of it."""
    with pytest.raises(BadAnswer, match=words):
        answered(asked(kind), said)


# --- images and videos


@pytest.mark.parametrize(
    ("said", "data"),
    [
        ("u", [{"url": "u"}, {"url": "u"}]),
        (None, [{}, {}]),
        ({}, [{}, {}]),
        ({"data": None}, [{}, {}]),
        ({"data": [{"b64_json": "x"}]}, [{"b64_json": "x"}]),
        ({"data": []}, []),
    ],
)
@pytest.mark.parametrize("kind", [RequestKind.IMAGE_GENERATION, RequestKind.IMAGE_EDIT])
def test_pictures_cost_by_their_number(kind: RequestKind, said: Any, data: list[Any]) -> None:
    """As many as are there, or as were asked for."""
    assert answered(asked(kind, "m", n=2), said) == {
        "model": "m",
        "data": data,
        "usage": {"cost_in_usd_ticks": PICTURE * len(data)},
    }
    assert answered(asked(kind, ""), said)["model"] == "grok-imagine-image"


@pytest.mark.parametrize(
    ("kind", "body", "said", "video", "seconds"),
    [
        (RequestKind.VIDEO_GENERATION, {}, "u", {"url": "u", "duration": 8}, 8),
        (RequestKind.VIDEO_EXTENSION, {}, "u", {"url": "u", "duration": 6}, 6),
        (RequestKind.VIDEO_GENERATION, {"duration": 3}, None, {"duration": 3}, 3),
        (RequestKind.VIDEO_GENERATION, {"seconds": "4"}, {"video": {"url": "u"}}, {"url": "u", "duration": 4}, 4),
        (RequestKind.VIDEO_GENERATION, {"duration": 3, "seconds": 4}, {"video": {"duration": 2}}, {"duration": 2}, 2),
        (RequestKind.VIDEO_GENERATION, {}, {"video": {"duration": None}}, {"duration": None}, 8),
        (RequestKind.VIDEO_GENERATION, {}, {"video": {"duration": True}}, {"duration": True}, 8),
    ],
)
def test_films_cost_by_their_length(
    kind: RequestKind, body: dict[str, Any], said: Any, video: dict[str, Any], seconds: int
) -> None:
    """In seconds: the film's own, else those that were asked for, else the documented ones."""
    assert answered(asked(kind, "m", **body), said) == {
        "status": "done",
        "model": "m",
        "progress": 100,
        "video": {"url": "", "respect_moderation": True, **video},
        "usage": {"cost_in_usd_ticks": SECOND * seconds},
    }
    assert answered(asked(kind, "", **body), said)["model"] == "grok-imagine-video"


@pytest.mark.parametrize("kind", [RequestKind.IMAGE_GENERATION, RequestKind.VIDEO_GENERATION])
def test_media_answer_members_are_kept(kind: RequestKind) -> None:
    """Its model, its own usage and whatever else it has; a usage that is none is not."""
    said = {"model": "theirs", "usage": {"cost_in_usd_ticks": 7, "n": 1}, "more": 1}
    result = answered(asked(kind), said)
    assert (result["model"], result["usage"], result["more"]) == ("theirs", {"cost_in_usd_ticks": 7, "n": 1}, 1)
    assert cost_of(result) == 7
    assert cost_of(answered(asked(kind), {"usage": "free"})) in (PICTURE, SECOND * 8)


# --- what was asked


@pytest.mark.parametrize(("n", "count"), [(3, 3), (1, 1), (0, 1), (-1, 1), (None, 1), (True, 1), ("2", 1), (2.0, 1)])
def test_count_of_choices_is_one_unless_n_is_positive(n: Any, count: int) -> None:
    """A number above zero."""
    assert repr(asked(n=n).count) == repr(count)  # and no truth value


@pytest.mark.parametrize(
    ("body", "seconds"),
    [({}, 8), ({"duration": "5"}, 5), ({"seconds": 4}, 4), ({"duration": 0}, 0), ({"duration": -3}, -3)],
)
def test_video_duration_defaults_where_none_is_given(body: dict[str, Any], seconds: int) -> None:
    """A number that a video cannot have stays, to be refused."""
    assert asked(RequestKind.VIDEO_GENERATION, **body).seconds == seconds
    assert asked(RequestKind.VIDEO_GENERATION, duration="long").seconds == 8
    assert asked(RequestKind.CHAT).seconds == 1


def test_request_exposes_prompt_and_hides_body_in_repr() -> None:
    """Its prompt, its conversation, and what is to come of it; but not its body, which may be long."""
    request = asked(RequestKind.RESPONSES, input="hi")
    assert (request.prompt, request.chat) == ("hi", from_responses({"input": "hi"}))
    assert request.result_kind is ResultKind.CHAT
    assert "hi" not in repr(request)


@pytest.mark.parametrize(
    ("usage", "ticks"),
    [
        ({"cost_in_usd_ticks": 5}, 5),
        ({"cost_in_usd_ticks": 0}, 0),
        ({"cost_in_usd_ticks": TICKS_MAX}, TICKS_MAX),
        ({"cost_in_usd_ticks": True}, 0),
        ({"cost_in_usd_ticks": "5"}, 0),
        (5, 0),
        (None, 0),
    ],
)
def test_cost_without_number_of_ticks_is_zero(usage: Any, ticks: int) -> None:
    """What says no number costs nothing."""
    assert cost_of({"usage": usage}) == ticks


@pytest.mark.parametrize("ticks", [-1, TICKS_MAX + 1, 2**63, 10**30])
def test_cost_out_of_range_is_refused(ticks: int) -> None:
    """A batch of 900,000 such requests still has a sum."""
    assert TICKS_MAX * 900_000 < 2**63
    with pytest.raises(BadAnswer, match="a cost lies between 0 and"):
        cost_of({"usage": {"cost_in_usd_ticks": ticks}})
