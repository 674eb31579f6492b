"""What canned rules answer over time: sequences, bounds, delays, pace, cuts, and what they count."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import xai_sdk
from xai_sdk.chat import user
from xai_sdk.tools import collections_search

from emulator import Emulator
from tests.rest.batch_helpers import Batches, request
from tests.serving import PATIENCE_SECONDS, until

Json = dict[str, Any]
FROZEN_AT = "2026-03-01T00:00:00Z"


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """An emulator of the test's own, for its team is frozen and its answers wait."""
    with Emulator(random_seed="canned") as running:
        yield running


def use(emulator: Emulator, path: Path, *rules: Json, team: str = "default") -> None:
    """Answer the requests of a team from a file of rules."""
    file = path / f"{team}.jsonl"
    file.write_text("\n".join(map(json.dumps, rules)))
    emulator.configure(team, responder=f"canned:{file}")


def client(emulator: Emulator, team: str = "default") -> httpx.Client:
    """A client of the REST API."""
    headers = {"authorization": f"Bearer {emulator.api_key}@{team}"}
    return httpx.Client(base_url=emulator.base_url, headers=headers, timeout=PATIENCE_SECONDS)


def body(text: str = "hi", **members: Any) -> Json:
    """The body of a chat request."""
    return {"model": "grok-4.3", "messages": [{"role": "user", "content": text}], **members}


def said(client: httpx.Client, text: str = "hi", **members: Any) -> str:
    """The text that answers a chat request."""
    reply = client.post("/chat/completions", json=body(text, **members))
    assert reply.status_code == 200, reply.text
    return str(reply.json()["choices"][0]["message"]["content"])


def counts(emulator: Emulator, team: str = "default") -> Json:
    """The counts of a team's answers, as the control API returns them."""
    reply = httpx.get(f"{emulator.url}/_emulator/answers", params={"team": team})
    assert reply.status_code == 200, reply.text
    found: Json = reply.json()
    return found


def freeze(emulator: Emulator) -> None:
    """Stop the clock of the default team."""
    httpx.post(f"{emulator.url}/_emulator/clock/freeze", json={"at": FROZEN_AT}).raise_for_status()


def waiting(emulator: Emulator) -> bool:
    """Whether an answer waits for the clock of the default team."""
    return bool(emulator._running().services.waits._changes.get("default"))


# --- sequences, bounds and counters


def test_rule_with_times_answers_so_many_requests(emulator: Emulator, tmp_path: Path) -> None:
    use(emulator, tmp_path, {"contains": "hi", "times": 2, "response": "first"}, {"response": "then"})
    with client(emulator) as http:
        assert [said(http) for _ in range(4)] == ["first", "first", "then", "then"]


def test_responses_come_one_after_the_other_and_the_last_stays(emulator: Emulator, tmp_path: Path) -> None:
    use(emulator, tmp_path, {"responses": ["queued", {"json": {"turn": "{turn}"}}, "done"]})
    with client(emulator) as http:
        assert [said(http) for _ in range(4)] == ["queued", '{"turn": "1"}', "done", "done"]


def test_error_for_one_request_is_followed_by_the_response(emulator: Emulator, tmp_path: Path) -> None:
    error = {"status": 429, "message": "slow down", "retry_after": 7}
    use(emulator, tmp_path, {"times": 1, "error": error}, {"response": "there"})
    with client(emulator) as http:
        refused = http.post("/chat/completions", json=body())
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
        assert said(http) == "there"


def test_sequence_is_shared_by_rest_grpc_and_batches(emulator: Emulator, tmp_path: Path) -> None:
    use(emulator, tmp_path, {"responses": ["one", "two", "three", "four"]})
    sdk = xai_sdk.Client(api_key=emulator.api_key, api_host=emulator.grpc_target, use_insecure_channel=True)
    with client(emulator) as http:
        assert said(http) == "one"
        assert sdk.chat.create("grok-4.3", messages=[user("hi")]).sample().content == "two"
    batches = Batches(emulator)
    with batches.http:
        id = batches.filled(request("a", body=body()))
        batches.advance(1)
        answer = batches.results(id)["a"]["response"]["chat_get_completion"]
    assert answer["choices"][0]["message"]["content"] == "three"
    sdk.close()


def test_teams_count_for_themselves_and_a_reset_counts_anew(emulator: Emulator, tmp_path: Path) -> None:
    rules = ({"contains": "once", "times": 1, "response": "once"}, {"contains": "never", "response": "never"})
    for team in ("default", "other"):
        use(emulator, tmp_path, *rules, team=team)
    emulator.configure("other", responder=f"canned:{tmp_path / 'default.jsonl'}")
    with client(emulator) as http, client(emulator, "other") as other:
        assert [said(http, "once"), said(http, "once!"), said(other, "once")] == ["once", "once!", "once"]
    lines = counts(emulator)["canned"]["rules"]
    assert [(each["id"], each["hits"], each["exhausted"]) for each in lines] == [
        ("line 1", 1, True),
        ("line 2", 0, False),
    ]
    assert counts(emulator)["canned"]["unmatched"] == 1
    emulator.reset()
    use(emulator, tmp_path, *rules)
    assert [each["hits"] for each in counts(emulator)["canned"]["rules"]] == [0, 0]
    assert [each["hits"] for each in counts(emulator, "other")["canned"]["rules"]] == [1, 0]


def test_concurrent_requests_use_a_rule_no_more_often_than_it_says(emulator: Emulator, tmp_path: Path) -> None:
    use(emulator, tmp_path, {"times": 5, "response": "few"}, {"response": "many"})

    async def all_at_once() -> list[str]:
        headers = {"authorization": f"Bearer {emulator.api_key}"}
        async with httpx.AsyncClient(base_url=emulator.base_url, headers=headers, timeout=PATIENCE_SECONDS) as http:
            replies = await asyncio.gather(*(http.post("/chat/completions", json=body()) for _ in range(20)))
        return [reply.json()["choices"][0]["message"]["content"] for reply in replies]

    assert sorted(asyncio.run(all_at_once())) == ["few"] * 5 + ["many"] * 15


# --- what a rule says of the answer


def test_response_sets_citations_model_and_usage(emulator: Emulator, tmp_path: Path) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    citations = ["collections://c/files/f"]
    use(emulator, tmp_path, {"response": {"content": "x", "citations": citations, "model": "grok-9", "usage": usage}})
    with client(emulator) as http:
        answer = http.post("/chat/completions", json=body(n=2)).json()
    assert (answer["model"], answer["citations"], len(answer["choices"])) == ("grok-9", citations, 2)
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["total_tokens"]) == (7, 10)


def test_stream_condition_tells_streams_from_whole_answers(emulator: Emulator, tmp_path: Path) -> None:
    use(emulator, tmp_path, {"stream": True, "response": "streamed"}, {"response": "whole"})
    sdk = xai_sdk.Client(api_key=emulator.api_key, api_host=emulator.grpc_target, use_insecure_channel=True)
    with client(emulator) as http:
        assert said(http) == "whole"
        assert '"content":"streamed"' in http.post("/chat/completions", json=body(stream=True)).text
    chat = sdk.chat.create("grok-4.3", messages=[user("hi")])
    assert [response.content for response, _ in chat.stream()][-1] == "streamed"
    assert chat.sample().content == "whole"
    sdk.close()


@pytest.fixture
def library(emulator: Emulator) -> tuple[Any, str]:
    """A client of xai-sdk, and a collection with two documents."""
    sdk = xai_sdk.Client(
        api_key=emulator.api_key,
        api_host=emulator.grpc_target,
        management_api_key=emulator.management_key,
        management_api_host=emulator.grpc_target,
    )
    made = sdk.collections.create("notes").collection_id
    for name, text in (("ferns.md", "Ferns like shade."), ("stove.md", "The stove burns birch wood.")):
        sdk.collections.upload_document(made, name, text.encode())
    return sdk, made


def test_search_replaces_the_query(emulator: Emulator, tmp_path: Path, library: tuple[Any, str]) -> None:
    sdk, collection = library
    rules: list[Json] = [
        {"contains": "anything", "search": "birch stove", "response": "{quote}"},
        {"contains": "nothing", "search": False, "response": "<{quote}>"},
    ]
    use(emulator, tmp_path, *rules)
    ask = {"model": "grok-4.3", "tools": [collections_search([collection])]}
    answer = sdk.chat.create(**ask, messages=[user("say anything")]).sample()
    assert answer.content == "The stove burns birch wood."
    assert '"birch stove\\' in answer.tool_calls[0].function.arguments
    answer = sdk.chat.create(**ask, messages=[user("say nothing")]).sample()
    assert (answer.content, list(answer.tool_calls)) == ("<>", [])


# --- time


def test_delay_and_pace_of_a_whole_answer_pass_by_the_clock_of_the_team(emulator: Emulator, tmp_path: Path) -> None:
    """30 tokens at 10 in a second, after 5 seconds and 2 more to the first token: 10 seconds in all."""
    freeze(emulator)
    use(emulator, tmp_path, {"response": "x" * 120, "delay": 5, "ttft": 2, "tokens_per_second": 10})
    replies: list[str] = []
    with client(emulator) as http:
        thread = threading.Thread(target=lambda: replies.append(said(http)))
        thread.start()
        until(lambda: waiting(emulator))
        for seconds in (5, 4.9):
            emulator.advance(seconds)
            until(lambda: waiting(emulator))
            assert replies == []
        emulator.advance(0.1)
        thread.join(PATIENCE_SECONDS)
    assert replies == ["x" * 120]


def test_stream_at_a_pace_sends_each_delta_when_its_time_has_come(emulator: Emulator, tmp_path: Path) -> None:
    """The three words have 2, 2 and 3 tokens, and a token takes a second."""
    freeze(emulator)
    use(emulator, tmp_path, {"response": "sevens, letters. written.", "tokens_per_second": 1, "delay": 3})
    lines: list[str] = []
    ended = threading.Event()

    def read() -> None:
        with client(emulator) as http, http.stream("POST", "/chat/completions", json=body(stream=True)) as reply:
            lines.extend(line for line in reply.iter_lines() if line)
        ended.set()

    def texts() -> list[str]:
        chunks = [json.loads(line[6:]) for line in list(lines) if line != "data: [DONE]"]
        return [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"][0]["delta"]]

    threading.Thread(target=read).start()
    until(lambda: waiting(emulator))
    emulator.advance(3 + 2)
    until(lambda: texts() == ["sevens,"])
    emulator.advance(2)
    until(lambda: texts() == ["sevens,", " letters."])
    assert not ended.is_set()
    emulator.advance(3)
    assert ended.wait(PATIENCE_SECONDS)
    assert texts() == ["sevens,", " letters.", " written."]


def test_reset_ends_the_wait_of_an_answer(emulator: Emulator, tmp_path: Path) -> None:
    """Whatever the clock showed: no answer waits for an instant of the time before."""
    use(emulator, tmp_path, {"response": "late", "delay": 3600})
    emulator.advance(1_000_000)
    replies: list[str] = []
    with client(emulator) as http:
        thread = threading.Thread(target=lambda: replies.append(said(http)))
        thread.start()
        until(lambda: waiting(emulator))
        emulator.reset()
        thread.join(PATIENCE_SECONDS)
    assert replies == ["late"]


def test_delayed_error_comes_after_its_delay(emulator: Emulator, tmp_path: Path) -> None:
    freeze(emulator)
    use(emulator, tmp_path, {"error": {"status": 503, "message": "busy"}, "delay": 30})
    statuses: list[int] = []
    with client(emulator) as http:
        ask = threading.Thread(target=lambda: statuses.append(http.post("/chat/completions", json=body()).status_code))
        ask.start()
        until(lambda: waiting(emulator))
        assert statuses == []
        emulator.advance(30)
        ask.join(PATIENCE_SECONDS)
    assert statuses == [503]


def test_client_that_leaves_ends_the_wait(emulator: Emulator, tmp_path: Path) -> None:
    freeze(emulator)
    use(emulator, tmp_path, {"response": "late", "delay": 30})
    sdk = xai_sdk.Client(api_key=emulator.api_key, api_host=emulator.grpc_target, use_insecure_channel=True, timeout=1)
    with pytest.raises(grpc.RpcError) as ended:
        sdk.chat.create("grok-4.3", messages=[user("hi")]).sample()
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: not waiting(emulator))
    sdk.close()


def test_deferred_answer_is_ready_when_its_time_has_passed(emulator: Emulator, tmp_path: Path) -> None:
    freeze(emulator)
    use(emulator, tmp_path, {"response": "later", "delay": 20})
    with client(emulator) as http:
        id = http.post("/chat/completions", json=body(deferred=True)).json()["request_id"]
        assert http.get(f"/chat/deferred-completion/{id}").status_code == 202
        emulator.advance(19)
        assert http.get(f"/chat/deferred-completion/{id}").status_code == 202
        emulator.advance(1)
        assert http.get(f"/chat/deferred-completion/{id}").status_code == 200


def test_batch_is_not_kept_waiting_by_a_delay(emulator: Emulator, tmp_path: Path) -> None:
    """A batch has a speed of its own."""
    freeze(emulator)
    use(emulator, tmp_path, {"response": "at once", "delay": 3600, "tokens_per_second": 1})
    batches = Batches(emulator)
    with batches.http:
        id = batches.filled(request("a", body=body()))
        batches.advance(1)
        assert batches.results(id)["a"]["response"]["chat_get_completion"]["choices"][0]["message"]["content"]


# --- chunks and cuts


def deltas(text: str) -> list[str]:
    """The texts of the deltas of a stream."""
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    found = [json.loads(line)["choices"][0]["delta"].get("content") for line in lines]
    return [each for each in found if each]


def test_chunk_sets_the_words_of_a_delta(emulator: Emulator, tmp_path: Path) -> None:
    use(emulator, tmp_path, {"response": "a b c d e", "chunk": 2})
    with client(emulator) as http:
        assert deltas(http.post("/chat/completions", json=body(stream=True)).text) == ["a b", " c d", " e"]


def read_until_cut(emulator: Emulator) -> bytes:
    """What a stream sends before its connection ends."""
    read = b""
    with client(emulator) as http, http.stream("POST", "/chat/completions", json=body(stream=True)) as reply:
        try:
            for piece in reply.iter_raw():
                read += piece
        except httpx.RemoteProtocolError:
            return read
    raise AssertionError("the stream was not cut")


@pytest.mark.parametrize(("cut_after", "seen"), [(0, []), (2, ["a", " b"]), (9, ["a", " b", " c"])])
def test_cut_ends_a_stream_without_its_last_event(
    emulator: Emulator, tmp_path: Path, cut_after: int, seen: list[str]
) -> None:
    """A stream that is shorter is cut before its end, so that the cut always happens."""
    use(emulator, tmp_path, {"response": "a b c", "cut_after": cut_after})
    read = read_until_cut(emulator)
    assert deltas(read.decode()) == seen
    assert b"[DONE]" not in read
    assert b'"finish_reason":"stop"' not in read
    [call] = httpx.get(f"{emulator.url}/_emulator/requests").json()["requests"]
    assert call["outcome"] == "CUT"


def test_cut_ends_a_stream_over_grpc_with_unavailable(emulator: Emulator, tmp_path: Path) -> None:
    use(emulator, tmp_path, {"response": "a b c", "cut_after": 2})
    sdk = xai_sdk.Client(
        api_key=emulator.api_key,
        api_host=emulator.grpc_target,
        use_insecure_channel=True,
        channel_options=[("grpc.enable_retries", 0)],
    )
    seen = []
    with pytest.raises(grpc.RpcError) as ended:  # noqa: PT012 - reads as it goes
        for _, chunk in sdk.chat.create("grok-4.3", messages=[user("hi")]).stream():
            seen.append(chunk.content)
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    assert seen == ["a", " b"]
    sdk.close()


# --- the check of a file


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"times": 0, "response": "x"}', r"line 2: Expected `int` >= 1 - at `\$.times`"),
        ('{"responses": []}', "line 2: Expected `array` of length >= 1"),
        ('{"response": {"choices": []}}', "line 2: response: a chat completion has at least one choice"),
        (
            '{"responses": ["a", 1]}',
            r"line 2: responses\[1\]: a response is a text, a message or a whole result, not 1",
        ),
        ('{"responses": ["a"], "response": "b"}', "line 2: response and responses exclude each other"),
        ('{"responses": ["a"], "times": 2}', "line 2: times and responses exclude each other"),
        ('{"response": {"contnet": "x"}}', "line 2: response: Object contains unknown field `contnet`"),
        ('{"response": {"content": "x", "json": 1}}', "line 2: response: content and json exclude each other"),
        ('{"response": {"tool_calls": [{"id": "x"}]}}', r"line 2: response: tool_calls\[0\] has no name"),
        ('{"response": null}', "line 2: response: a response is .*, not null"),
        ('{"error": "x", "ttft": 1}', "line 2: ttft needs a response"),
        ('{"response": "x", "delay": -1}', "line 2: Expected `float` >= 0.0"),
        ('{"response": "x", "delay": 1e9}', "line 2: Expected `float` <= 86400.0"),
        ('{"response": "x", "chunk": 0}', "line 2: Expected `int` >= 1"),
        ('{"response": "x", "tokens_per_second": 0}', "line 2: Expected `float` > 0"),
        ('{"response": "x", "search": "y", "found": true}', "line 2: search decides what is searched"),
        ('{"response": "x", "search": true}', "line 2: Expected `str | bool | null`|line 2: Invalid enum value"),
        ('{"strict": 1}', "line 2: strict is true or false"),
        ("[]", "line 2: Expected `object`, got `array`"),
        ('{"response": "x"', "line 2: Input data was truncated"),
    ],
)
def test_bad_line_is_refused_when_the_file_is_loaded(tmp_path: Path, line: str, complaint: str) -> None:
    file = tmp_path / "rules.jsonl"
    file.write_text(f'{{"response": "good"}}\n{line}\n')
    with pytest.raises(ValueError, match=complaint):
        Emulator(responder=f"canned:{file}").start()
