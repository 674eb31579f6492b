"""What answers batch requests: echo, canned, call and http, and what becomes of an answer that is none."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Emulator
from emulator.core.threads import THREADS
from emulator.core.upstream import REPLY_BYTES_MAX
from emulator.domain.chat.requests import ModelRequest
from emulator.responders import make_responder
from emulator.responders.instances import BYTES_MAX, PARTS_MAX, TooLarge, instance
from emulator.state.settings import BadSetting
from tests.examples import examples
from tests.rest.batch_helpers import Batches, Json, chat_body, request
from tests.serving import PATIENCE_SECONDS, until

SAMPLES = Path(__file__).parents[2] / "fixtures" / "data" / "batches"
Responder = str | Callable[[ModelRequest], Any]


@pytest.fixture
def batches(emulator: Emulator) -> Iterator[Batches]:
    """The default team, as new."""
    emulator.reset()
    client = Batches(emulator)
    with client.http:
        yield client


def answered(batches: Batches, responder: Responder, *requests: Json) -> dict[str, Json]:
    """What a responder makes of requests: the results by id."""
    services = batches.emulator._running().services
    services.teams.set_responder(services.teams.get("default"), responder)
    id = batches.filled(*requests)
    batches.advance(1)
    assert batches.counters(id)[1] == 0
    return batches.results(id)


def completion(result: Json) -> Json:
    """The chat completion of a result."""
    found: Json = result["response"]["chat_get_completion"]
    return found


def choice(result: Json) -> Json:
    """The first choice of a chat completion."""
    found: Json = completion(result)["choices"][0]
    return found


# --- echo


def test_echo_answers_with_last_user_message(batches: Batches) -> None:
    """Whatever comes before and after; always the same."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "second"},
        {"role": "user", "content": [{"type": "text", "text": "third"}, {"type": "text", "text": "and more"}]},
        {"role": "assistant", "content": "fourth"},
    ]
    body = {"model": "grok-4", "messages": messages}
    results = answered(batches, "echo", request("a", body=body), request("b", body=body))
    assert choice(results["a"]) == choice(results["b"])
    assert choice(results["a"])["message"]["content"] == "third\nand more"
    assert completion(results["a"])["usage"] == completion(results["b"])["usage"]


def test_echo_of_long_prompt_is_truncated() -> None:
    """Results are kept, and no answer is as long as the longest prompts."""
    [said] = asyncio.run(make_responder("echo").answer([asked("x" * 501)]))
    assert (len(said), said[-1]) == (500, "…")
    assert asyncio.run(make_responder("echo").answer([asked("x" * 500)])) == ["x" * 500]


def asked(content: str = "hi", id: str = "a", **fields: Any) -> ModelRequest:
    """A chat request as a responder sees it."""
    return ModelRequest("batch", id, "chat_get_completion", "grok-4", chat_body(content, **fields))


def test_tools_of_the_server_are_accepted_and_not_run(batches: Batches) -> None:
    """The answer says so."""
    tools = [{"type": "web_search"}, {"type": "mcp", "server_label": "l", "server_url": "https://example.com"}]
    results = answered(batches, "echo", request("a", "responses", {"input": "hi", "tools": tools}))
    assert choice(results["a"])["message"]["content"] == "hi\n\n[xai-emulator: accepted, but not run: web_search, mcp]"


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}, "note": {}},
            "required": ["city", "days"],
        },
    },
}


@pytest.mark.parametrize("tool_choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_echo_calls_required_tool(batches: Batches, tool_choice: Any) -> None:
    """With the plainest arguments that its schema admits."""
    body = chat_body("Rain?", tools=[WEATHER], tool_choice=tool_choice)
    given = choice(answered(batches, "echo", request("a", body=body))["a"])
    assert given["finish_reason"] == "tool_calls"
    [call] = given["message"]["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert json.loads(call["function"]["arguments"]) == {"city": "", "days": 1}


def test_echo_calls_no_optional_tool(batches: Batches) -> None:
    """An echo makes no decisions."""
    for tool_choice in ("auto", "none", {"type": "function", "function": {"name": "other"}}):
        body = chat_body("Rain?", tools=[WEATHER], tool_choice=tool_choice)
        [said] = asyncio.run(make_responder("echo").answer([asked("Rain?", **{**body, "messages": body["messages"]})]))
        assert said == "Rain?"


def test_json_is_answered_where_json_is_demanded(batches: Batches) -> None:
    """Of the schema, if one is given."""
    schema = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}, "score": {"type": "number"}}}
    free = chat_body("hi", response_format={"type": "json_object"})
    bound = chat_body("hi", response_format={"type": "json_schema", "json_schema": {"name": "m", "schema": schema}})
    text = {"format": {"type": "json_schema", "name": "m", "schema": schema}}
    results = answered(
        batches,
        "echo",
        request("f", body=free),
        request("b", body=bound),
        request("r", "responses", {"input": "hi", "text": text}),
    )
    said = {id: json.loads(choice(result)["message"]["content"]) for id, result in results.items()}
    assert said == {"f": {"echo": "hi"}, "b": {"mood": "good", "score": 0}, "r": {"mood": "good", "score": 0}}


def test_echo_returns_n_choices_and_images(batches: Batches) -> None:
    """And pictures, too."""
    results = answered(
        batches, "echo", request("c", body=chat_body(n=3)), request("p", "image_generation", {"prompt": "a", "n": 4})
    )
    assert [each["index"] for each in completion(results["c"])["choices"]] == [0, 1, 2]
    assert len({each["url"] for each in results["p"]["response"]["image_generation"]["data"]}) == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "required", "$ref", "enum", "anyOf", "minItems", "a"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(schema=JSON)
@settings(max_examples=examples(50))
def test_instance_of_any_schema_is_built_or_refused(schema: Any) -> None:
    """Whatever it is, there is a value, or it is refused."""
    with suppress(TooLarge):
        json.dumps(instance(schema))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "items": {"type": "integer", "minimum": 3}, "minItems": 2}, [3, 3]),
        ({"$defs": {"A": {"const": 7}}, "properties": {"a": {"$ref": "#/$defs/A"}}}, {"a": 7}),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"type": ["boolean", "null"]}, False),
        ({"type": "string", "default": "x"}, "x"),
    ],
)
def test_minimal_instance_fits_schema(schema: Any, value: Any) -> None:
    """References, choices, defaults, bounds."""
    assert instance(schema) == value


@pytest.mark.parametrize("width", [1, 2, 9])
def test_schema_that_refers_to_itself_gets_finite_instance(width: int) -> None:
    """What refers back to what is being written is left empty."""
    properties = {f"p{n}": {"$ref": "#/$defs/T"} for n in range(width)}
    tree: Json = {"$defs": {"T": {"type": "object", "properties": properties}}, "$ref": "#/$defs/T"}
    assert instance(tree) == {f"p{n}": {} for n in range(width)}


def nested_arrays(depth: int, items: int) -> Json:
    """A schema of some hundred bytes whose smallest instance has items ** depth numbers."""
    schema: Json = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", "minItems": items, "items": schema}
    return schema


def doubled(depth: int) -> Json:
    """A schema in which each definition has the next one twice."""
    definitions: Json = {}
    for n in range(depth):
        member = {"$ref": f"#/$defs/T{n + 1}"}
        definitions[f"T{n}"] = {"required": ["a", "b"], "properties": {"a": member, "b": member}}
    return {"$defs": definitions, "$ref": "#/$defs/T0"}


TOO_LARGE = {
    "nested arrays": (nested_arrays(6, 100), "parts"),
    "one long array": ({"type": "array", "minItems": 10**30}, "parts"),
    "doubled references": (doubled(40), "parts"),
    "many required members": ({"required": [str(n) for n in range(PARTS_MAX + 1)]}, "parts"),
    "a constant many times": ({"type": "array", "minItems": 1000, "items": {"const": "x" * 1000}}, "bytes"),
    "a default many times": ({"type": "array", "minItems": 1000, "items": {"default": ["x" * 999]}}, "bytes"),
    "a choice many times": ({"type": "array", "minItems": 1000, "items": {"enum": ["x" * 1000]}}, "bytes"),
    "a long name many times": (
        {"type": "array", "minItems": 1000, "items": {"required": ["x" * 1000]}},
        "bytes",
    ),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_instance_over_bounds_is_refused_without_being_written(case: str) -> None:
    """The message says which bound; every part counts each time it comes up."""
    schema, unit = TOO_LARGE[case]
    bound = {"parts": PARTS_MAX, "bytes": BYTES_MAX}[unit]
    with pytest.raises(TooLarge, match=f"more than {bound} {unit}"):
        instance(schema)


@pytest.mark.parametrize(("items", "fits"), [(PARTS_MAX - 2, True), (PARTS_MAX - 1, True), (PARTS_MAX, False)])
def test_array_of_parts_max_with_its_own_part_is_the_largest(items: int, fits: bool) -> None:
    """The array counts, and each of its items."""
    schema = {"type": "array", "minItems": items}
    if fits:
        assert len(instance(schema)) == items
    else:
        with pytest.raises(TooLarge):
            instance(schema)


def test_request_for_huge_answer_fails_alone(batches: Batches) -> None:
    """With a sentence, in a response format, a tool's parameters or many choices; the others of the batch succeed."""
    schema = nested_arrays(6, 100)
    formatted = {"type": "json_schema", "json_schema": {"name": "m", "schema": schema}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    wide = {"type": "json_schema", "json_schema": {"schema": {"type": "array", "minItems": 9000}}}
    results = answered(
        batches,
        "echo",
        request("format", body=chat_body(response_format=formatted)),
        request("tool", body=chat_body(tools=[tool], tool_choice="required")),
        request("choices", body=chat_body(response_format=wide, n=128)),
        request("fine"),
    )
    parts = f"The schema demands an answer of more than {PARTS_MAX} parts."
    assert [results[id]["error"] for id in ("format", "tool")] == [parts, parts]
    assert results["choices"]["error"].startswith("All choices of an answer have at most 1048576 characters")
    assert choice(results["fine"])["message"]["content"] == "hi"


def test_echo_as_json_object_of_long_prompt_is_cut() -> None:
    """As the plain echo is."""
    body = {"response_format": {"type": "json_object"}}
    [said] = asyncio.run(make_responder("echo").answer([asked("x" * 10_000, **body)]))
    assert len(json.loads(said)["echo"]) == 500


@pytest.mark.parametrize("spec", ["echo", f"canned:{SAMPLES / 'canned.jsonl'}"])
def test_built_in_responder_answers_off_the_event_loop(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a schema demands, the loop does not wait for it."""
    threads: list[threading.Thread] = []

    def note(schema: Any) -> Any:
        threads.append(threading.current_thread())
        return instance(schema)

    monkeypatch.setattr("emulator.responders.echo.instance", note)
    formatted = {"type": "json_schema", "json_schema": {"schema": {"type": "string"}}}
    asyncio.run(make_responder(spec).answer([asked(id="none fits", response_format=formatted)]))
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


def shared(depth: int) -> Any:
    """A value of some hundred bytes in memory that has 100 ** depth parts as JSON."""
    value: Any = "x"
    for _ in range(depth):
        value = [value] * 100
    return value


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"content": "x", "more": shared(6)}, "chat_get_completion"),
        ({"tool_calls": [{"name": "f", "arguments": shared(6)}]}, "chat_get_completion"),
        ({"choices": [{"message": {"content": "x"}}], "more": shared(6)}, "chat_get_completion"),
        ({"data": [{"url": "u", "more": shared(6)}]}, "image_generation"),
        ({"video": {"url": "u"}, "more": shared(6)}, "video_generation"),
    ],
)
def test_huge_answer_of_function_fails_that_request_only(batches: Batches, said: Any, kind: str) -> None:
    """It is measured before anything of it is written."""
    services = batches.emulator._running().services
    services.teams.set_limits(services.teams.get("default"), {"batch_result_bytes_max": 10_000})
    body = None if kind == "chat_get_completion" else {"prompt": "a"}
    results = answered(
        batches,
        lambda asked: said if asked.batch_request_id == "bad" else "fine",
        request("bad", kind, body),
        request("good"),
    )
    assert results["bad"]["error"] == "invalid responder result: it has more than 10000 bytes"
    assert choice(results["good"])["message"]["content"] == "fine"


def test_more_images_than_a_request_may_ask_for_are_not_made(batches: Batches) -> None:
    """A responder's list of empty images has the length that it has."""
    results = answered(
        batches,
        lambda asked: {"data": [{}] * int(asked.batch_request_id)},
        *(request(str(n), "image_generation", {"prompt": "a"}) for n in (10, 11)),
    )
    assert len(results["10"]["response"]["image_generation"]["data"]) == 10
    assert results["11"]["error"] == "invalid responder result: at most 10 images are made for one request"


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_result_over_limit_fails_its_request(batches: Batches, off: int) -> None:
    """Counted in bytes of the JSON that is kept."""
    services = batches.emulator._running().services
    results = answered(batches, lambda asked: "x" * 100, request("a"))
    [[size]] = services.store.database.rows("SELECT length(result) FROM batch_requests")
    services.teams.set_limits(services.teams.get("default"), {"batch_result_bytes_max": size})
    results = answered(batches, lambda asked: "x" * (100 + off), request("a"))
    if off > 0:
        expected = f"invalid responder result: it has {size + 1} bytes, at most {size} are allowed"
        assert results["a"]["error"] == expected
    else:
        assert "response" in results["a"]


# --- canned


def test_canned_answers_go_by_id_kind_and_content(batches: Batches) -> None:
    """The first line that fits; where none does, an echo."""
    spec = f"canned:{SAMPLES / 'canned.jsonl'}"
    results = answered(
        batches,
        spec,
        request("fb_1", body=chat_body("I love it")),
        request("fb_2", body=chat_body("It came late")),
        request("fb_3", body=chat_body("It works")),
        request("other", body=chat_body("I love it")),
        request("tool", body=chat_body("How is the weather?")),
        request("picture", "image_generation", {"prompt": "a"}),
        request("edit", "image_edit", {"prompt": "a", "image": {"url": "u"}}),
    )
    contents = {id: choice(results[id])["message"]["content"] for id in ("fb_1", "fb_2", "fb_3", "other")}
    assert contents == {"fb_1": "positive", "fb_2": "negative", "fb_3": "neutral", "other": "I love it"}
    [call] = choice(results["tool"])["message"]["tool_calls"]
    assert call["function"] == {"name": "get_weather", "arguments": '{"city": "Bern"}'}
    assert results["picture"] == {"error": "The prompt was refused."}
    assert "response" in results["edit"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"response": "x"}\nnonsense', "line 2: "),
        ('{"id": "a"}', "line 1: one of response, responses and error is needed"),
        ('{"response": "x", "error": "x"}', "line 1: response and error exclude each other"),
        ('{"response": "x", "ids": "x"}', "line 1: .*unknown field `ids`"),
    ],
)
def test_bad_canned_answers_file_is_refused_with_line(tmp_path: Path, text: str, complaint: str) -> None:
    """At once, with its line."""
    path = tmp_path / "answers.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        make_responder(f"canned:{path}")


def test_missing_canned_answers_file_fails_requests(batches: Batches, tmp_path: Path) -> None:
    """Its requests fail with the reason; nothing hangs."""
    path = tmp_path / "answers.jsonl"
    path.write_text('{"response": "canned"}')
    assert choice(answered(batches, f"canned:{path}", request("a"))["a"])["message"]["content"] == "canned"
    path.unlink()
    batches.emulator._running().services.responders.reload()
    id = batches.filled(request("b"))
    batches.advance(1)
    assert batches.results(id)["b"] == {"error": f"{path}: No such file or directory"}
    assert batches.counters(id) == (1, 0, 0, 1, 0)


# --- call


def test_function_responder_returns_text_message_or_result(batches: Batches) -> None:
    """With a text, a message or a whole result; it sees what was asked."""
    seen: list[ModelRequest] = []

    def answer(asked: ModelRequest) -> Any:
        seen.append(asked)
        return {
            "text": "plain",
            "message": {"content": "said", "reasoning_content": "thought"},
            "whole": {"choices": [{"message": {"content": "whole"}, "finish_reason": "length"}], "citations": ["u"]},
            "picture": "https://example.com/a.png",
            "film": {"video": {"url": "https://example.com/a.mp4", "duration": 2}},
        }[asked.batch_request_id]

    results = answered(
        batches,
        answer,
        request("text", body=chat_body("question")),
        request("message"),
        request("whole", "responses", {"input": "question", "model": "m"}),
        request("picture", "image_generation", {"prompt": "a"}),
        request("film", "video_generation", {"prompt": "a"}),
    )
    assert choice(results["text"])["message"]["content"] == "plain"
    assert choice(results["message"])["message"]["reasoning_content"] == "thought"
    assert choice(results["whole"])["finish_reason"] == "length"
    assert completion(results["whole"])["citations"] == ["u"]
    assert results["picture"]["response"]["image_generation"]["data"] == [{"url": "https://example.com/a.png"}]
    assert results["film"]["response"]["video_generation"]["video"]["duration"] == 2
    prompts = {each.batch_request_id: (each.kind, each.prompt) for each in seen}
    assert prompts["text"] == ("chat_get_completion", "question")
    assert prompts["whole"] == ("responses", "question")
    assert next(each for each in seen if each.kind == "responses").chat["messages"][0]["content"] == "question"


class Speechless(Exception):
    """Cannot even say what is wrong."""

    def __str__(self) -> str:
        raise RuntimeError


def _chat(**usage: int) -> dict[str, Any]:
    return {"choices": [{"message": {"content": "x"}}], "usage": usage}


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (ValueError("out of luck"), "out of luck"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (None, "invalid responder result: a chat answer is a text"),
        (5, "invalid responder result: a chat answer is a text"),
        ({"choices": ["x"]}, "invalid responder result: a choice has a message"),
        ({"content": object()}, "invalid responder result: "),
        (ValueError("half \ud800"), "half ?"),
        (Speechless(), "Speechless"),
        ({"content": "x", "more": json.loads("[" * 500 + "]" * 500)}, "invalid responder result: it is nested"),
        (_chat(cost_in_usd_ticks=10**30), "invalid responder result: a cost lies between"),
        (_chat(prompt_tokens=2**62), "invalid responder result: a cost lies between"),
        ({"tool_calls": [{}]}, "invalid responder result: a tool call has a name"),
    ],
)
def test_invalid_responder_result_fails_one_request(batches: Batches, said: Any, error: str) -> None:
    """Raised or returned; the others of the batch are answered."""

    def answer(asked: ModelRequest) -> Any:
        if asked.batch_request_id != "bad":
            return "fine"
        if isinstance(said, BaseException):
            raise said
        return said

    results = answered(batches, answer, request("bad"), *(request(f"r{n}") for n in range(20)))
    assert results["bad"]["error"].startswith(error)
    assert sum("response" in result for result in results.values()) == 20


def test_async_function_responder_answers(batches: Batches) -> None:
    """On a loop of its own."""

    async def answer(asked: ModelRequest) -> str:
        await asyncio.sleep(0)
        return asked.batch_request_id

    assert choice(answered(batches, answer, request("a"))["a"])["message"]["content"] == "a"


def test_function_responder_runs_in_parallel_threads(batches: Batches) -> None:
    """As many calls wait together as there are threads, while the emulator answers others."""
    barrier = threading.Barrier(THREADS + 1, timeout=PATIENCE_SECONDS)

    def answer(asked: ModelRequest) -> str:
        barrier.wait()
        return "together"

    services = batches.emulator._running().services
    services.teams.set_responder(services.teams.get("default"), answer)
    id = batches.filled(*(request(f"r{n}") for n in range(THREADS)))
    while barrier.n_waiting < THREADS:
        assert batches.counters(id)[1] == THREADS
    barrier.wait()
    batches.advance(1)
    assert batches.counters(id)[2] == THREADS


class Late:
    """A responder that does not answer before it is let."""

    def __init__(self, batches: Batches) -> None:
        self.go_on, self._asked = threading.Event(), threading.Event()
        services = batches.emulator._running().services
        services.teams.set_responder(services.teams.get("default"), self._answer)

    def _answer(self, asked: ModelRequest) -> str:
        self._asked.set()
        assert self.go_on.wait(PATIENCE_SECONDS)
        return "too late"

    def wait_until_asked(self) -> None:
        """Wait until it has begun."""
        assert self._asked.wait(PATIENCE_SECONDS)


def test_answer_to_cancelled_request_is_dropped(batches: Batches) -> None:
    """Its result is dropped."""
    late = Late(batches)
    id = batches.filled(request("a"))
    late.wait_until_asked()
    assert tuple(batches.cancel(id)["state"].values()) == (1, 0, 0, 0, 1)
    late.go_on.set()
    batches.advance(1)
    assert batches.counters(id) == (1, 0, 0, 0, 1)
    assert batches.contents(id) == {"a": "error: Batch cancelled"}


@pytest.mark.parametrize("how", ["reset", "delete"])
def test_late_answer_after_reset_is_dropped(batches: Batches, how: str) -> None:
    """Ids come again then: the answer is not one to a batch of the same id, nor is that batch begun before its time."""
    late = Late(batches)
    id = batches.filled(request("a"))
    late.wait_until_asked()
    gone = batches.http.delete("/_emulator/teams/default") if how == "delete" else batches.http.post("/_emulator/reset")
    assert gone.status_code == 200
    batches.configure(batches="manual")
    assert batches.filled(request("a")) == id
    late.go_on.set()
    batches.advance(1)
    assert batches.counters(id) == (1, 1, 0, 0, 0)
    batches.emulator.run_jobs()
    assert batches.counters(id) == (1, 0, 1, 0, 0)


def test_late_answer_does_not_recreate_deleted_team(batches: Batches) -> None:
    """What was under way for it ends without it."""
    late = Late(batches)
    batches.filled(request("a"))
    late.wait_until_asked()
    batches.http.delete("/_emulator/teams/default")
    late.go_on.set()
    batches.emulator.run_jobs("another")
    until(lambda: not batches.emulator._running().runner._tasks)
    store = batches.emulator._running().services.store
    assert store.teams.names() == []
    assert store.jobs.teams() == []


def test_function_responder_is_imported_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also in the working directory."""
    (tmp_path / "my_answers.py").write_text("def shout(request):\n    return request.prompt.upper()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert asyncio.run(make_responder("call:my_answers:shout").answer([asked("hi")])) == ["HI"]


# --- http


class Upstream(ThreadingHTTPServer):
    """A server that speaks OpenAI's API as far as it is asked to, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[tuple[str, str | None, Json]] = []
        self.reply: tuple[int, bytes] = (200, b"{}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.calls.append((self.path, self.headers["authorization"], body))
        status, content = self.server.reply
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A server to forward to."""
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_requests_are_forwarded(batches: Batches, upstream: Upstream) -> None:
    """Chat and `responses` as chat, with the key and the model that the URL names; usage comes back, with a cost."""
    whole = {"choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    upstream.reply = (200, json.dumps({**whole, "model": "llama3", "usage": usage}).encode())
    spec = f"http:{upstream.url.replace('//', '//se%20cret@')}/?model=llama3"
    results = answered(
        batches, spec, request("c", body=chat_body("one")), request("r", "responses", {"input": "two", "model": "m"})
    )
    assert {(path, key) for path, key, _ in upstream.calls} == {("/v1/chat/completions", "Bearer se cret")}
    sent = sorted((body["messages"][-1]["content"], body["model"]) for _, _, body in upstream.calls)
    assert sent == [("one", "llama3"), ("two", "llama3")]
    assert choice(results["c"])["message"]["content"] == "hello"
    assert completion(results["r"])["usage"]["total_tokens"] == 7
    assert completion(results["r"])["usage"]["cost_in_usd_ticks"] > 0


def test_pictures_are_forwarded_and_films_are_made_here(batches: Batches, upstream: Upstream) -> None:
    """OpenAI's API has no films."""
    upstream.reply = (200, b'{"created": 1, "data": [{"b64_json": "aGk="}]}')
    results = answered(
        batches,
        upstream.url,
        request("p", "image_generation", {"prompt": "a"}),
        request("f", "video_generation", {"prompt": "a"}),
    )
    assert [path for path, _, _ in upstream.calls] == ["/v1/images/generations"]
    assert results["p"]["response"]["image_generation"]["data"] == [{"b64_json": "aGk="}]
    assert "/_media/" in results["f"]["response"]["video_generation"]["video"]["url"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ((429, b'{"error": {"message": "slow down"}}'), "slow down"),
        ((400, b'{"code": "x", "error": "bad data"}'), "bad data"),
        ((502, b"<html>"), "answered 502: <html>"),
        ((200, b"no JSON"), "Expecting value"),
        ((200, b" " * (REPLY_BYTES_MAX + 1)), f"the reply has more than {REPLY_BYTES_MAX} bytes"),
        ((200, b"[]"), "invalid responder result"),
        ((200, b'{"choices": []}'), "a chat completion has at least one choice"),
    ],
)
def test_upstream_error_is_request_error(
    batches: Batches, upstream: Upstream, reply: tuple[int, bytes], error: str
) -> None:
    """In the words of the server there."""
    upstream.reply = reply
    result = answered(batches, upstream.url, request("a"))["a"]
    assert error in result.get("error", "")


def test_unreachable_upstream_fails_request(batches: Batches) -> None:
    """With its address, and without a key."""
    with Upstream() as gone:
        url = gone.url
    result = answered(batches, url.replace("//", "//secret@"), request("a"))["a"]
    assert "Connection refused" in result["error"]
    assert "secret" not in result["error"]


# --- choosing one


@pytest.mark.parametrize(
    "spec",
    [
        *("", "nope", "canned", "canned:", "call:", "call:json", "call:json:nope", "call:nope:f", "call:json:__name__"),
        *("http:", "http:localhost", "http:ftp://x", "https:"),
    ],
)
def test_invalid_responder_refuses_to_start(spec: str) -> None:
    """With one clear line, before anything listens."""
    with pytest.raises(BadSetting, match="responder"), Emulator(responder=spec):
        pass


def test_responder_is_set_at_start_or_per_team() -> None:
    """From its settings: text or function; a team can have one of its own."""
    with Emulator(responder=lambda request: "by function", batches="instant") as emulator:
        first, second = Batches(emulator), Batches(emulator, "other")
        with first.http, second.http:
            second.configure(responder="echo")
            ids = [each.filled(request("a", body=chat_body("by echo"))) for each in (first, second)]
            first.advance(1)
            second.advance(1)
            contents = [each.contents(id) for each, id in zip((first, second), ids, strict=True)]
            assert contents == [{"a": "by function"}, {"a": "by echo"}]
            wrong = first.http.patch("/_emulator/teams/other", json={"responder": "canned:/nowhere"})
            assert (wrong.status_code, "/nowhere" in wrong.json()["error"]) == (403, True)
            assert first.http.get("/_emulator/teams/other").json()["team"]["overrides"] == {"responder": "echo"}
