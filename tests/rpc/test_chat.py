"""The Chat and Tokenize services: the shapes of answers and chunks, refusals, faults, and clients that leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from emulator import Emulator
from fixtures.team import EmulatedTeam
from tests.rest.batch_helpers import chat_body
from tests.rpc.client import Rpc
from tests.rpc.client import message as made
from tests.serving import PATIENCE_SECONDS, until

CHAT = "xai_api.Chat"
FERNS = "The lighthouse keeper waters the ferns on Monday."
ASSISTANT, TOOL = 2, 5  # MessageRole
STOP, TOOL_CALLS = 3, 4  # FinishReason
COMPLETED, COLLECTIONS_SEARCH, CLIENT_SIDE = 1, 5, 1  # ToolCallStatus, ToolCallType
COLLECTIONS_OUTPUT, INLINE_CITATIONS = 4, 7  # IncludeOption
DONE, PENDING = 1, 3  # DeferredStatus


@pytest.fixture
def rpc(emulator: Emulator) -> Iterator[Rpc]:
    """A plain client of an emulator that was reset."""
    emulator.reset()
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        yield rpc


@pytest.fixture
def team(emulator: Emulator) -> EmulatedTeam:
    """The team of the client."""
    return EmulatedTeam(emulator, "default")


def asked(text: str = "one two three", /, *parts: Any, **fields: Any) -> Any:
    """A request of one user message."""
    content = [made("xai_api.Content", text=text), *parts]
    messages = [made("xai_api.Message", role=1, content=content)]
    return made("xai_api.GetCompletionsRequest", **{"model": "grok-4.3", "messages": messages, **fields})


def complete(rpc: Rpc, request: Any) -> Any:
    """A whole answer."""
    return rpc.call(f"{CHAT}/GetCompletion", request)


def chunks(rpc: Rpc, request: Any) -> list[Any]:
    """The chunks of an answer."""
    return list(rpc.start(f"{CHAT}/GetCompletionChunk", request))


def searching(team: EmulatedTeam, **fields: Any) -> tuple[Any, str, str]:
    """A request with a tool that searches a collection; the collection, and the file that matches."""
    collection = team.call("POST", "/v1/collections", {"collection_name": "c"})["collection_id"]
    files = [team.upload(f"{number}.txt", text) for number, text in enumerate((b"copper", FERNS.encode()))]
    for file in files:
        team.call("POST", f"/v1/collections/{collection}/documents/{file}", {})
    tool = made("xai_api.Tool", collections_search=made("xai_api.CollectionsSearch", collection_ids=[collection]))
    return asked("ferns on Monday", tools=[tool], **fields), collection, files[1]


def weather(**fields: Any) -> Any:
    """A request that demands a call of a function."""
    function = made("xai_api.Function", name="weather", parameters='{"type": "object"}')
    choice = made("xai_api.ToolChoice", mode=3)
    return asked(tools=[made("xai_api.Tool", function=function)], tool_choice=choice, **fields)


def plan(emulator: Emulator, **effect: Any) -> None:
    """Plan a fault for the next chat completion."""
    httpx.post(
        f"{emulator.url}/_emulator/faults", json={"operation": "chat.create", **effect}, timeout=PATIENCE_SECONDS
    ).raise_for_status()


# --- whole answers


def test_answer_has_one_output_with_role_and_settings(rpc: Rpc) -> None:
    answer = complete(rpc, asked(user="u", max_tokens=9))
    [output] = answer.outputs
    assert (output.index, output.message.role, output.finish_reason) == (0, ASSISTANT, STOP)
    assert output.message.content == "one two three"
    assert (answer.model, answer.service_tier) == ("grok-4.3", 1)
    assert answer.system_fingerprint == "fp_eb3c003fc66c14ed"
    assert answer.created.seconds > 0
    settings = answer.settings
    assert (settings.parallel_tool_calls, settings.user, settings.max_tokens) == (True, "u", 9)
    assert (round(settings.temperature, 3), round(settings.top_p, 3)) == (0.7, 0.95)


def test_several_choices_are_outputs_in_order(rpc: Rpc) -> None:
    assert [each.index for each in complete(rpc, asked(n=3)).outputs] == [0, 1, 2]


def test_function_call_is_complete_and_of_client(rpc: Rpc) -> None:
    answer = complete(rpc, weather())
    [output] = answer.outputs
    [call] = output.message.tool_calls
    assert (call.type, call.status, call.function.name) == (CLIENT_SIDE, COMPLETED, "weather")
    assert call.function.arguments == "{}"
    assert output.finish_reason == TOOL_CALLS
    assert answer.settings.tools[0].function.name == "weather"


def test_search_without_include_skips_index_of_its_output(rpc: Rpc, team: EmulatedTeam) -> None:
    request, collection, file = searching(team)
    answer = complete(rpc, request)
    first, last = answer.outputs
    assert [first.index, last.index] == [0, 2]
    [call] = first.message.tool_calls
    assert (call.type, call.status, call.function.name) == (COLLECTIONS_SEARCH, COMPLETED, "collections_search")
    assert (first.message.role, first.finish_reason) == (ASSISTANT, 0)
    assert last.message.content == f'From 1.txt: "{FERNS}"'
    assert list(last.message.citations) == []
    assert list(answer.citations) == [f"collections://{collection}/files/{file}"]
    assert list(answer.usage.server_side_tools_used) == [6]


def test_included_search_output_is_an_output_with_citations(rpc: Rpc, team: EmulatedTeam) -> None:
    request, collection, file = searching(team, include=[COLLECTIONS_OUTPUT])
    call, returned, _ = complete(rpc, request).outputs
    assert (returned.index, returned.message.role, returned.finish_reason) == (1, TOOL, 0)
    assert returned.message.content.startswith('{"search_matches":[{"file_id":')
    assert list(returned.message.tool_calls) == list(call.message.tool_calls)
    cited = returned.message.citations[0].collections_citation
    assert (cited.file_id, cited.chunk_content, list(cited.collection_ids)) == (file, FERNS, [collection])


def test_inline_citation_marks_its_place_in_text(rpc: Rpc, team: EmulatedTeam) -> None:
    request, collection, file = searching(team, include=[INLINE_CITATIONS])
    output = complete(rpc, request).outputs[-1].message
    [citation] = output.citations
    uri = f"collections://{collection}/files/{file}"
    assert output.content[citation.start_index : citation.end_index] == f"[[1]]({uri})"
    assert (citation.id, citation.collections_citation.file_id) == ("1", file)


def test_attached_file_is_searched_and_not_cited(rpc: Rpc, team: EmulatedTeam) -> None:
    part = made("xai_api.Content", file=made("xai_api.FileContent", file_id=team.upload("a.txt", FERNS.encode())))
    answer = complete(rpc, asked("ferns?", part))
    assert answer.outputs[-1].message.content == f'From a.txt: "{FERNS}"'
    assert (list(answer.citations), list(answer.usage.server_side_tools_used)) == ([], [8])


def test_inline_file_is_searched(rpc: Rpc) -> None:
    part = made("xai_api.Content", file=made("xai_api.FileContent", data=FERNS.encode(), filename="notes.txt"))
    assert complete(rpc, asked("ferns?", part)).outputs[-1].message.content == f'From notes.txt: "{FERNS}"'


# --- refusals


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"model": "grok-2"}, "INVALID_ARGUMENT", "Model not found: grok-2"),
        ({"model": ""}, "INVALID_ARGUMENT", "Model not found: latest"),
        ({"messages": []}, "INVALID_ARGUMENT", "Bad data: Messages cannot be empty"),
        ({"max_tokens": 0}, "INVALID_ARGUMENT", "must be positive but max_tokens = 0"),
        ({"presence_penalty": 0.0}, "INVALID_ARGUMENT", "does not support parameter presencePenalty"),
        ({"search_parameters": made("xai_api.SearchParameters")}, "FAILED_PRECONDITION", "Live search is deprecated."),
        ({"previous_response_id": "x"}, "NOT_FOUND", "Response with id=x not found"),
    ],
)
@pytest.mark.parametrize("method", ["GetCompletion", "GetCompletionChunk", "StartDeferredCompletion"])
def test_request_is_refused_in_words_of_rest(rpc: Rpc, method: str, fields: Any, code: str, words: str) -> None:
    refused = rpc.refusal(f"{CHAT}/{method}", asked(**fields))
    assert refused.code() is grpc.StatusCode[code]
    assert words in refused.details()


def test_unknown_file_is_not_found(rpc: Rpc) -> None:
    part = made("xai_api.Content", file=made("xai_api.FileContent", file_id="file_nope"))
    refused = rpc.refusal(f"{CHAT}/GetCompletionChunk", asked("x", part))
    assert (refused.code(), refused.details()) == (grpc.StatusCode.NOT_FOUND, "File file_nope not found")


def test_unknown_model_is_refused_before_key(emulator: Emulator) -> None:
    with Rpc(emulator.grpc_target, "xai-token-wrong") as rpc:
        assert "Model not found" in rpc.refusal(f"{CHAT}/GetCompletion", asked(model="grok-2")).details()
        assert rpc.refusal(f"{CHAT}/GetCompletion", asked()).code() is grpc.StatusCode.UNAUTHENTICATED


CITED = {"choices": [{"message": {"content": "x"}}], "citations": ["\ud800"]}


@pytest.mark.parametrize(
    "said",
    ["\ud800", {"content": "", "reasoning_content": "\ud800"}, CITED, {"choices": []}],
    ids=["text", "reasoning", "citations", "no choice"],
)
def test_answer_that_is_no_text_is_internal_error(
    emulator: Emulator, rpc: Rpc, rest: httpx.Client, monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    """A responder may say what no transport can send: half of a surrogate pair, or no choice at all."""

    class Broken:
        requests_max = 1

        async def answer(self, requests: Any) -> list[Any]:
            return [said]

    monkeypatch.setattr(emulator._running().services.responders, "of", lambda team: Broken())
    for method in ("GetCompletion", "GetCompletionChunk"):
        refused = rpc.refusal(f"{CHAT}/{method}", asked())
        assert refused.code() is grpc.StatusCode.INTERNAL
        assert "invalid responder result" in refused.details()
    for stream in (False, True):
        reply = rest.post("/v1/chat/completions", json=chat_body("x", model="grok-4.3", stream=stream))
        assert (reply.status_code, reply.json()["code"]) == (500, "internal")


# --- chunks


def test_chunks_add_up_to_answer(rpc: Rpc) -> None:
    request = asked()
    whole, streamed = complete(rpc, request), chunks(rpc, request)
    assert [each.outputs[0].delta.content for each in streamed] == ["one", " two", " three", ""]
    assert {each.outputs[0].delta.role for each in streamed} == {ASSISTANT}
    assert [each.outputs[0].finish_reason for each in streamed] == [0, 0, 0, STOP]
    assert streamed[-1].usage == whole.usage
    assert {(each.id, each.model, each.created.seconds, each.system_fingerprint) for each in streamed} == {
        (streamed[0].id, whole.model, streamed[0].created.seconds, whole.system_fingerprint)
    }


def test_usage_of_chunks_grows_and_has_total_at_end(rpc: Rpc, team: EmulatedTeam) -> None:
    request, *_ = searching(team)
    usages = [each.usage for each in chunks(rpc, request)]
    for name in ("prompt_tokens", "completion_tokens", "cost_in_usd_ticks"):
        values = [getattr(usage, name) for usage in usages]
        assert values == sorted(values)
        assert values[0] < values[-1]
    assert [bool(usage.total_tokens) for usage in usages] == [False] * (len(usages) - 1) + [True]
    assert usages[-2].cost_in_usd_ticks == usages[-1].cost_in_usd_ticks


def test_search_is_streamed_as_call_and_result(rpc: Rpc, team: EmulatedTeam) -> None:
    request, collection, file = searching(team, include=[COLLECTIONS_OUTPUT, INLINE_CITATIONS])
    begun, done, *text = chunks(rpc, request)
    outputs = [each.outputs[0] for each in (begun, done)]
    assert [(each.index, each.delta.role) for each in outputs] == [(0, ASSISTANT), (1, TOOL)]
    assert [each.delta.tool_calls[0].status for each in outputs] == [0, COMPLETED]
    assert outputs[1].delta.content.startswith('{"search_matches":')
    assert outputs[1].delta.citations[0].collections_citation.file_id == file
    assert {each.outputs[0].index for each in text} == {2}
    content = "".join(each.outputs[0].delta.content for each in text)
    marks = [mark for each in text for mark in each.outputs[0].delta.citations]
    assert [content[mark.start_index : mark.end_index] for mark in marks] == [
        f"[[1]](collections://{collection}/files/{file})"
    ]
    cited = [list(each.citations) for each in (begun, done, *text)]
    assert cited == [[]] * (len(cited) - 1) + [[f"collections://{collection}/files/{file}"]]


def test_search_result_without_include_has_no_content(rpc: Rpc, team: EmulatedTeam) -> None:
    request, *_ = searching(team)
    done = chunks(rpc, request)[1].outputs[0].delta
    assert (done.content, list(done.citations), done.tool_calls[0].status) == ("", [], COMPLETED)


def test_function_call_is_streamed_whole(rpc: Rpc) -> None:
    call, end = (each.outputs[0] for each in chunks(rpc, weather()))
    assert (call.delta.tool_calls[0].function.arguments, call.delta.tool_calls[0].status) == ("{}", COMPLETED)
    assert end.finish_reason == TOOL_CALLS


def test_several_choices_are_streamed_and_counted_once(rpc: Rpc) -> None:
    request = asked("a", n=2)
    streamed = chunks(rpc, request)
    assert [(each.outputs[0].index, each.outputs[0].finish_reason) for each in streamed] == [
        *((0, 0), (0, STOP)),
        *((1, 0), (1, STOP)),
    ]
    assert [each.usage.total_tokens for each in streamed] == [0, 0, 0, complete(rpc, request).usage.total_tokens]


# --- faults, and clients that leave


@pytest.mark.parametrize(("after", "words"), [(0, ""), (2, "one two"), (99, "one two three")])
def test_stream_is_cut_after_planned_number_of_deltas(emulator: Emulator, rpc: Rpc, after: int, words: str) -> None:
    plan(emulator, cut_stream_after_deltas=after)
    received: list[str] = []
    call = rpc.start(f"{CHAT}/GetCompletionChunk", asked())
    with pytest.raises(grpc.RpcError) as cut:
        received.extend(each.outputs[0].delta.content for each in call)
    assert cut.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "".join(received) == words
    assert httpx.get(f"{emulator.url}/_emulator/requests").json()["requests"][0]["outcome"] == "CUT"


def test_client_that_leaves_stalled_stream_ends_it(emulator: Emulator, rpc: Rpc) -> None:
    """A stall lasts a minute of real time: the thread of the call is free long before, and the journal says why."""
    plan(emulator, stall_stream_after_deltas=1)
    call = rpc.start(f"{CHAT}/GetCompletionChunk", asked())
    assert next(call).outputs[0].delta.content == "one"
    call.cancel()
    assert complete(rpc, asked()).outputs[0].message.content == "one two three"
    journal = f"{emulator.url}/_emulator/requests"
    until(lambda: httpx.get(journal).json()["requests"][0]["outcome"] == "CANCELLED")


def test_client_that_leaves_cancels_responder(emulator: Emulator, rpc: Rpc, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    class Waiting:
        requests_max = 1

        async def answer(self, requests: Any) -> list[Any]:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return []

    services = emulator._running().services
    monkeypatch.setattr(services.responders, "of", lambda team: Waiting())
    call = rpc.start(f"{CHAT}/StartDeferredCompletion", asked())
    assert begun.wait(PATIENCE_SECONDS)
    call.cancel()
    assert cancelled.wait(PATIENCE_SECONDS)
    assert services.store.deferred.total("default") == 0


def test_journal_shows_call_by_its_operation(emulator: Emulator, rpc: Rpc) -> None:
    chunks(rpc, asked())
    complete(rpc, asked())
    entries = httpx.get(f"{emulator.url}/_emulator/requests").json()["requests"]
    assert {(entry["operation"], entry["transport"], entry["status"]) for entry in entries} == {
        ("chat.create", "grpc", "OK")
    }


# --- deferred answers


def test_deferred_answer_is_pending_until_released_and_fetched_once(
    emulator: Emulator, rpc: Rpc, team: EmulatedTeam
) -> None:
    team.configure(batches="manual")
    id = rpc.call(f"{CHAT}/StartDeferredCompletion", asked(user="u")).request_id
    wanted = made("xai_api.GetDeferredRequest", request_id=id)
    pending = rpc.call(f"{CHAT}/GetDeferredCompletion", wanted)
    assert (pending.status, pending.HasField("response")) == (PENDING, False)
    httpx.post(f"{emulator.url}/_emulator/jobs/run", timeout=PATIENCE_SECONDS).raise_for_status()
    done = rpc.call(f"{CHAT}/GetDeferredCompletion", wanted)
    assert (done.status, done.response.outputs[0].message.content) == (DONE, "one two three")
    assert done.response.settings.user == "u"
    refused = rpc.refusal(f"{CHAT}/GetDeferredCompletion", wanted)
    assert (refused.code(), refused.details()) == (grpc.StatusCode.NOT_FOUND, "Invalid request ID")


def test_deferred_answer_is_the_same_over_rest(rpc: Rpc, rest: httpx.Client) -> None:
    id = rpc.call(f"{CHAT}/StartDeferredCompletion", asked("later")).request_id
    completion = rest.get(f"/v1/chat/deferred-completion/{id}").json()
    assert completion["choices"][0]["message"]["content"] == "later"
    assert "settings" not in completion
    id = rest.post("/v1/chat/completions", json=chat_body("x", model="grok-4.3", deferred=True)).json()["request_id"]
    wanted = made("xai_api.GetDeferredRequest", request_id=id)
    assert rpc.call(f"{CHAT}/GetDeferredCompletion", wanted).response.outputs[0].message.content == "x"


# --- tokens


def test_tokens_are_those_of_rest(rpc: Rpc, rest: httpx.Client) -> None:
    text = "Hello wörld! 你好"
    answer = rpc.call(
        "xai_api.Tokenize/TokenizeText", made("xai_api.TokenizeTextRequest", text=text, model="grok-latest")
    )
    same = rest.post("/v1/tokenize-text", json={"text": text, "model": "grok-latest"}).json()["token_ids"]
    assert [
        {"token_id": each.token_id, "string_token": each.string_token, "token_bytes": list(each.token_bytes)}
        for each in answer.tokens
    ] == same
    assert b"".join(each.token_bytes for each in answer.tokens) == text.encode()
    assert answer.model == "grok-4.3"


def test_tokens_of_unknown_model_are_refused(rpc: Rpc) -> None:
    refused = rpc.refusal("xai_api.Tokenize/TokenizeText", made("xai_api.TokenizeTextRequest", text="a", model="x"))
    assert (refused.code(), refused.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "Model not found: x")
