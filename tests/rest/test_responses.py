"""Responses over REST: their members, the items of their output, retrieval, and refusals in the recorded words."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.domain.media import png
from fixtures.team import EmulatedTeam

Json = dict[str, Any]
PATH = "/v1/responses"
FERNS = "The lighthouse keeper waters the ferns on Monday."
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "name": "weather", "parameters": CITY}


@pytest.fixture
def team(emulator: Emulator) -> EmulatedTeam:
    """A team without anything."""
    emulator.reset()
    return EmulatedTeam(emulator, "default")


def post(rest: httpx.Client, input: Any = "Hello there world", **body: Any) -> httpx.Response:
    """Send a request for a response."""
    return rest.post(PATH, json={"model": "grok-4.3", "input": input, **body})


def collection(team: EmulatedTeam, *texts: str) -> tuple[str, list[str]]:
    """A collection of a document for each text, and the ids of their files."""
    id = team.call("POST", "/v1/collections", {"collection_name": "c"})["collection_id"]
    files = [team.upload(f"{number}.txt", text.encode()) for number, text in enumerate(texts)]
    for file in files:
        team.call("POST", f"/v1/collections/{id}/documents/{file}", {})
    return id, files


def search(*collections: str, **members: Any) -> list[Json]:
    """The tools of a request that searches collections."""
    return [{"type": "file_search", "vector_store_ids": list(collections), **members}]


def attached(question: str, *files: Json) -> list[Json]:
    """A question with attached files."""
    parts = [{"type": "input_text", "text": question}, *({"type": "input_file", **file} for file in files)]
    return [{"role": "user", "content": parts}]


def text_of(response: Json) -> str:
    """The text of the last item of the output."""
    return str(response["output"][-1]["content"][0]["text"])


# --- members


def test_response_has_recorded_members_in_order(rest: httpx.Client) -> None:
    reply = post(rest)
    response = reply.json()
    assert list(response) == [
        *("created_at", "completed_at", "id", "max_output_tokens", "model", "object", "output", "parallel_tool_calls"),
        *("previous_response_id", "reasoning", "temperature", "text", "tool_choice", "tools", "top_p", "usage", "user"),
        *("incomplete_details", "status", "store", "metadata", "background", "service_tier", "truncation"),
        *("top_logprobs", "presence_penalty", "frequency_penalty", "prompt_cache_key", "max_tool_calls"),
        *("safety_identifier", "error", "instructions"),
    ]
    part = {"type": "output_text", "text": "Hello there world", "logprobs": [], "annotations": []}
    item = {"content": [part], "id": f"msg_{response['id']}", "role": "assistant", "type": "message"}
    assert response["output"] == [{**item, "status": "completed"}]
    assert list(response["output"][0]) == ["content", "id", "role", "type", "status"]
    assert reply.headers["x-request-id"] == response["id"]


def test_defaults_are_echoed_as_recorded(rest: httpx.Client) -> None:
    response = post(rest, reasoning={"summary": "nonsense"}).json()
    assert (response["temperature"], response["top_p"], response["store"]) == (0.7, 0.95, True)
    assert response["reasoning"] == {"effort": None, "summary": "detailed"}
    assert response["text"] == {"format": {"type": "text"}}
    assert response["metadata"] == {"system_fingerprint": "fp_eb3c003fc66c14ed"}


def test_given_settings_are_echoed(rest: httpx.Client) -> None:
    schema = {"type": "json_schema", "name": "m", "schema": CITY, "strict": True}
    given = {
        "temperature": 0.1,
        "top_p": 0.2,
        "max_output_tokens": 50,
        "user": "u",
        "instructions": "Be brief.",
        "tools": [WEATHER],
        "tool_choice": {"type": "function", "name": "weather"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "text": {"format": schema},
    }
    response = post(rest, reasoning={"effort": "low", "summary": "concise"}, **given).json()
    assert {name: response[name] for name in given} == given
    assert response["reasoning"] == {"effort": "low", "summary": "concise"}


def test_usage_counts_as_chat_does(rest: httpx.Client) -> None:
    usage = post(rest).json()["usage"]
    messages = [{"role": "user", "content": "Hello there world"}]
    chat = rest.post("/v1/chat/completions", json={"model": "grok-4.3", "messages": messages}).json()["usage"]
    assert usage == {
        "input_tokens": chat["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": chat["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": chat["total_tokens"],
        "num_sources_used": 0,
        "num_server_side_tools_used": 0,
        "cost_in_usd_ticks": chat["cost_in_usd_ticks"],
        "context_details": {"input_tokens": chat["prompt_tokens"], "output_tokens": chat["completion_tokens"]},
    }


def test_output_over_bound_is_incomplete(rest: httpx.Client) -> None:
    response = post(rest, max_output_tokens=1).json()
    assert text_of(response) == "Hell"
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


def test_unknown_members_and_words_are_ignored(rest: httpx.Client) -> None:
    reply = post(
        rest, include=["nonsense"], n=3, nonsense=1, truncation="auto", tool_choice="nonsense", tools=[WEATHER]
    )
    assert reply.status_code == 200
    assert len(reply.json()["output"]) == 1


# --- functions, formats, reasoning


def test_forced_function_is_called_and_no_message_returned(rest: httpx.Client) -> None:
    response = post(rest, tools=[WEATHER], tool_choice="required").json()
    [item] = response["output"]
    assert list(item) == ["arguments", "call_id", "name", "type", "id", "status"]
    assert (item["name"], item["arguments"], item["type"]) == ("weather", '{"city": ""}', "function_call")
    assert item["id"] == f"fc_{response['id']}_0"


def test_result_of_function_is_answered(rest: httpx.Client) -> None:
    asked = post(rest, tools=[WEATHER], tool_choice="required").json()
    [call] = asked["output"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
    answered = post(rest, [{"role": "user", "content": "Rain?"}, call, output], tools=[WEATHER]).json()
    assert text_of(answered) == "weather: rain"


def test_result_of_unknown_call_returns_422(rest: httpx.Client) -> None:
    asked = post(rest, tools=[WEATHER], tool_choice="required").json()
    output = {"type": "function_call_output", "call_id": asked["output"][0]["id"], "output": "rain"}
    reply = post(rest, [*asked["output"], output])
    assert (reply.status_code, list(reply.json())) == (422, ["error"])
    assert reply.headers["x-emulator-rule"] == "call_id"


def test_json_schema_is_answered_by_instance(rest: httpx.Client) -> None:
    text = {"format": {"type": "json_schema", "name": "m", "schema": CITY, "strict": True}}
    assert text_of(post(rest, text=text).json()) == '{"city": ""}'


@pytest.mark.parametrize("body", [{"store": False}, {"include": ["reasoning.encrypted_content"]}])
def test_encrypted_reasoning_can_be_sent_back(emulator: Emulator, team: EmulatedTeam, body: Json) -> None:
    services = emulator._running().services
    services.teams.set_responder(
        services.teams.get("default"), lambda request: {"content": "x", "reasoning_content": "thoughts"}
    )
    try:
        with httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {emulator.api_key}"}) as rest:
            reasoning, message = post(rest, **body).json()["output"]
            assert reasoning["summary"] == [{"text": "thoughts", "type": "summary_text"}]
            assert list(reasoning) == ["id", "summary", "type", "status", "encrypted_content"]
            question = {"role": "user", "content": "and?"}
            assert post(rest, [reasoning, message, question]).status_code == 200
            foreign = {**reasoning, "encrypted_content": "bm90IG91cnM="}
            reply = post(rest, [foreign, message, question])
            assert (reply.status_code, reply.headers["x-emulator-rule"]) == (400, "encrypted_content")
            assert "encrypted_content" not in post(rest).json()["output"][0]
    finally:
        services.teams.set_responder(services.teams.get("default"), "echo")


def test_reasoning_tokens_are_part_of_output(emulator: Emulator, team: EmulatedTeam, rest: httpx.Client) -> None:
    services = emulator._running().services
    services.teams.set_responder(
        services.teams.get("default"), lambda request: {"content": "four", "reasoning_content": "eight ch"}
    )
    try:
        usage = post(rest).json()["usage"]
    finally:
        services.teams.set_responder(services.teams.get("default"), "echo")
    assert (usage["output_tokens"], usage["output_tokens_details"]) == (3, {"reasoning_tokens": 2})
    assert usage["total_tokens"] == usage["input_tokens"] + 3


# --- retrieval


def test_search_of_collection_is_item_and_is_cited(team: EmulatedTeam, rest: httpx.Client) -> None:
    id, files = collection(team, "The kettle is copper.", FERNS)
    response = post(rest, "ferns on Monday", tools=search(id)).json()
    found, message = response["output"]
    assert list(found) == ["type", "id", "status", "queries", "results"]
    assert found["id"].startswith(f"fs_{response['id']}_call-")
    assert (found["status"], found["queries"], found["results"]) == ("completed", ["ferns on Monday"], None)
    [part] = message["content"]
    uri = f"collections://{id}/files/{files[1]}"
    mark = f"[[1]]({uri})"
    assert part["text"] == f'From 1.txt: "{FERNS}" {mark}'
    start = part["text"].index(mark)
    cited = {"type": "url_citation", "url": uri, "start_index": start, "end_index": start + len(mark), "title": "1"}
    assert part["annotations"] == [cited]
    assert list(part["annotations"][0]) == ["type", "url", "start_index", "end_index", "title"]
    assert "citations" not in response


def test_search_of_collection_is_counted_and_charged(team: EmulatedTeam, rest: httpx.Client) -> None:
    id, _ = collection(team, FERNS)
    usage = post(rest, "ferns", tools=search(id)).json()["usage"]
    details = usage["server_side_tool_usage_details"]
    assert usage["num_server_side_tools_used"] == 1
    assert {name for name, count in details.items() if count} == {"file_search_calls"}
    tokens = usage["input_tokens"] * 12_500 + usage["output_tokens"] * 25_000
    assert usage["cost_in_usd_ticks"] == tokens + 25_000_000
    assert usage["context_details"]["input_tokens"] < usage["input_tokens"]


def test_results_are_returned_where_included(team: EmulatedTeam, rest: httpx.Client) -> None:
    id, [file] = collection(team, FERNS)
    found, _ = post(rest, "ferns", tools=search(id), include=["file_search_call.results"]).json()["output"]
    [result] = found["results"]
    assert (result["file_id"], result["filename"], result["text"]) == (file, "", FERNS)
    assert result["score"] > 0


def test_citations_have_no_place_where_not_inline(team: EmulatedTeam, rest: httpx.Client) -> None:
    id, [file] = collection(team, FERNS)
    message = post(rest, "ferns", tools=search(id), include=["no_inline_citations"]).json()["output"][1]
    [part] = message["content"]
    uri = f"collections://{id}/files/{file}"
    assert part["text"] == f'From 0.txt: "{FERNS}"'
    assert part["annotations"] == [
        {"type": "url_citation", "url": uri, "start_index": 0, "end_index": 0, "title": uri},
    ]


def test_collections_search_is_another_name_of_file_search(team: EmulatedTeam, rest: httpx.Client) -> None:
    id, _ = collection(team, FERNS)
    tools = [{"type": "collections_search", "vector_store_ids": [id], "max_num_results": 1}]
    assert post(rest, "ferns", tools=tools).json()["output"][0]["type"] == "file_search_call"


def test_tool_choice_none_searches_nothing(team: EmulatedTeam, rest: httpx.Client) -> None:
    id, _ = collection(team, FERNS)
    response = post(rest, "ferns", tools=search(id), tool_choice="none").json()
    assert [item["type"] for item in response["output"]] == ["message"]
    assert "server_side_tool_usage_details" not in response["usage"]


def test_attached_file_is_quoted_and_shows_in_usage_alone(team: EmulatedTeam, rest: httpx.Client) -> None:
    file = team.upload("a.txt", FERNS.encode())
    response = post(rest, attached("ferns?", {"file_id": file})).json()
    [message] = response["output"]
    assert message["content"][0]["text"] == f'From a.txt: "{FERNS}"'
    assert message["content"][0]["annotations"] == []
    usage = response["usage"]
    details = usage["server_side_tool_usage_details"]
    assert {name for name, count in details.items() if count} == {"document_search_calls"}
    tokens = usage["input_tokens"] * 12_500 + usage["output_tokens"] * 25_000
    assert usage["cost_in_usd_ticks"] == tokens + 50_000_000


@pytest.mark.parametrize("prefix", ["", "data:text/plain;base64,"], ids=["base64", "data URL"])
def test_inline_file_is_quoted(team: EmulatedTeam, rest: httpx.Client, prefix: str) -> None:
    data = prefix + base64.b64encode(FERNS.encode()).decode()
    response = post(rest, attached("ferns?", {"file_data": data, "filename": "notes.txt"})).json()
    assert text_of(response) == f'From notes.txt: "{FERNS}"'


def test_file_url_is_named_and_not_fetched(rest: httpx.Client) -> None:
    response = post(rest, attached("ferns?", {"file_url": "https://example.com/a.txt"})).json()
    assert text_of(response) == "https://example.com/a.txt is not fetched: the emulator reads no other server"


def test_image_is_described(rest: httpx.Client) -> None:
    picture = png(64, 48, (1, 2, 3))
    url = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    parts = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": url}]
    response = post(rest, [{"role": "user", "content": parts}]).json()
    assert text_of(response) == f"see\n[image 1: image/png 64x48, {len(picture)} bytes]"


def test_tools_that_are_not_run_are_named(rest: httpx.Client) -> None:
    tools = [{"type": each} for each in ("web_search", "x_search", "code_interpreter", "shell")]
    assert "accepted, but not run: web_search, x_search, code_interpreter, shell" in text_of(
        post(rest, tools=tools).json()
    )


# --- refusals

UNKNOWN_TOOL = (
    "Failed to deserialize the JSON body into the target type: tools[0].type: unknown variant `namespace`, expected "
    "one of `function`, `web_search`, `x_search`, `image_generation`, `collections_search`, `file_search`, "
    "`code_execution`, `code_interpreter`, `mcp`, `shell`, `tool_search` at line 1 column "
)
TARGET = "Failed to deserialize the JSON body into the target type: "


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"tools": [{"type": "namespace"}]}, UNKNOWN_TOOL),
        ({"tools": [{"type": "function", "name": "f"}]}, f"{TARGET}tools[0]: missing field `parameters`"),
        ({"tools": [{"type": "file_search"}]}, f"{TARGET}tools[0]: missing field `vector_store_ids`"),
        ({"tools": [{"type": "mcp", "server_label": "a"}]}, f"{TARGET}tools[0]: missing field `server_url`"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "file_search"}},
            f"{TARGET}tool_choice: data did not match any variant of untagged enum ModelToolChoice",
        ),
        *(
            ({"input": input}, f"{TARGET}input: data did not match any variant of untagged enum ModelInput")
            for input in (
                5,
                [5],
                [{"type": "custom_tool_call", "call_id": "a", "name": "b", "input": "c"}],
                [{"type": "nonsense"}],
                [{"role": "tool", "content": "x"}],
                [{"role": "user"}],
                [{"role": "user", "content": ["x"]}],
                [{"type": "function_call", "call_id": "a", "name": "b"}],
                [{"type": ["message"], "role": "user", "content": "x"}],
            )
        ),
        ({"temperature": "warm"}, f"{TARGET}temperature: invalid type"),
    ],
)
def test_body_of_another_shape_returns_422_as_json(rest: httpx.Client, body: Json, sentence: str) -> None:
    reply = post(rest, **{"input": "x", **body})
    assert reply.status_code == 422
    assert list(reply.json()) == ["error"]
    assert reply.json()["error"].startswith(sentence)


def test_body_without_input_returns_422(rest: httpx.Client) -> None:
    reply = rest.post(PATH, json={"model": "grok-4.3"})
    assert (reply.status_code, reply.json()["error"]) == (422, f"{TARGET}missing field `input` at line 1 column 20")


def test_body_that_is_no_json_returns_400_as_text(rest: httpx.Client) -> None:
    reply = rest.post(PATH, content=b"{", headers={"content-type": "application/json"})
    assert (reply.status_code, reply.headers["content-type"]) == (400, "text/plain; charset=utf-8")


LIVE_SEARCH = (
    "Live search is deprecated. Please switch to the Agent Tools API: https://docs.x.ai/docs/guides/tools/overview"
)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"model": "grok-2"}, 400, "Model not found: grok-2"),
        ({"model": None}, 400, "Model not found: latest"),
        ({"background": True}, 400, "Argument not supported: background"),
        ({"metadata": {"a": "b"}}, 400, "Argument not supported: metadata"),
        ({"max_tokens": 5}, 400, "Argument not supported: max_tokens, use max_output_tokens instead"),
        ({"response_format": {"type": "text"}}, 400, "Argument not supported: response_format"),
        ({"search_parameters": {"mode": "off"}}, 410, LIVE_SEARCH),
        ({"web_search_options": {}}, 410, LIVE_SEARCH),
        ({"tools": search("c", filters={})}, 400, "Argument not supported: filters"),
        ({"tools": search("c", ranking_options={})}, 400, "Argument not supported: ranking_options"),
        (
            {"tools": [{"type": "web_search", "external_web_access": False}]},
            400,
            "Argument not supported: external_web_access",
        ),
        (
            {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
            400,
            "Argument not supported: container",
        ),
        ({"tool_choice": "none"}, 400, "Invalid request content: A tool_choice was set on the request but no tools "),
        ({"max_output_tokens": 0}, 400, "Maximum number of tokens max_tokens must be positive but max_tokens = 0"),
        ({"input": ""}, 400, "Each message must have at least one content element"),
        ({"input": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "Empty content block"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, 400, "Empty content block"),
        ({"input": attached("x", {})}, 400, "FileContent must set one of file_id, url, or inline data"),
        ({"input": attached("x", {"file_id": "file_x"})}, 404, "File file_x not found"),
        ({"tools": search("collection_x")}, 404, "Collection not found"),
        ({"previous_response_id": "resp_x"}, 404, "Response with id=resp_x not found"),
        ({"reasoning": {"effort": "low"}, "model": "grok-build-0.1"}, 400, "Model grok-build-0.1 does not support "),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_request_is_refused_in_recorded_words(
    rest: httpx.Client, body: Json, status: int, sentence: str, stream: bool
) -> None:
    reply = post(rest, **{"input": "x", "stream": stream, **body})
    assert (reply.status_code, reply.json()["error"][: len(sentence)]) == (status, sentence)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"input": []}, "Bad data: Messages cannot be empty"),
        (
            {"instructions": "a", "previous_response_id": "b"},
            "Argument not supported: instructions and previous_response_id together",
        ),
    ],
)
def test_some_refusals_have_the_code_400(rest: httpx.Client, body: Json, sentence: str) -> None:
    assert post(rest, **{"input": "x", **body}).json() == {"code": "400", "error": sentence}


def test_model_is_looked_at_before_the_key(emulator: Emulator) -> None:
    body = {"model": "grok-2", "input": "x"}
    reply = httpx.post(f"{emulator.url}{PATH}", json=body, headers={"authorization": "Bearer wrong"})
    assert reply.json()["error"] == "Model not found: grok-2"


@pytest.mark.parametrize("count", [2, 3])
def test_collections_over_limit_return_400(team: EmulatedTeam, rest: httpx.Client, count: int) -> None:
    team.configure(limits={"chat_collections_max": 2})
    ids = [collection(team, FERNS)[0] for _ in range(count)]
    reply = post(rest, "ferns", tools=search(*ids))
    assert reply.status_code == (400 if count == 3 else 200)


def test_penalties_and_stop_of_chat_are_ignored(rest: httpx.Client) -> None:
    """The penalties and `stop` of chat completions are no members of this endpoint, and so are ignored."""
    assert post(rest, presence_penalty=0, frequency_penalty=1, stop="x").status_code == 200
