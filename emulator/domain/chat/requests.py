"""A model request in the common form of all transports, batches and responders: the JSON of its REST endpoint.

A `responses` request and a gRPC message are converted to the equivalent chat completions body (`ModelRequest.chat`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from emulator.core.cached import cached
from emulator.domain.batches.batch import KINDS, RequestKind, ResultKind
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.conversation import all_parts_of, messages_of, prompt_of, user_text_of
from emulator.domain.chat.evidence import QUERY_CHARS_MAX, Search
from emulator.domain.chat.models import LanguageModel, find_language
from emulator.domain.chat.responses_body import chat_of

_DEFAULT_SECONDS = {RequestKind.VIDEO_GENERATION: 8, RequestKind.VIDEO_EXTENSION: 6}  # OpenAPI: default of `duration`
COLLECTION_TOOLS = ("file_search", "collections_search")
ATTACHMENT_TOOL = "attachment_search"
DEFAULT_MODEL = "grok-4.3"  # its prices apply to batch requests for an unknown model
_SETTINGS = frozenset(
    {
        *("max_completion_tokens", "max_tokens", "parallel_tool_calls", "reasoning_effort", "temperature", "top_p"),
        *("response_format", "tool_choice", "tools", "user", "use_encrypted_content", "include"),
        *("previous_response_id", "reasoning_summary", "prompt_cache_key", "safety_identifier", "top_logprobs"),
    }
)


class Endpoint(enum.Enum):
    """The API of a request. The members of answers differ, their text does not."""

    CHAT = "chat"
    RESPONSES = "responses"
    GRPC = "grpc"
    BATCH = "batch"
    MEDIA = "media"  # images and videos over REST


class ModelRequest(msgspec.Struct, frozen=True, dict=True):  # a dict for what is cached
    """A request for a responder. `kind` is its key in `batch_request`, `body` the JSON of its REST endpoint.

    `evidence` are the results of the emulator's search for it. Outside of batches the two ids are empty. `search`
    replaces the query of that search; False disables it. `history` are the messages of the stored response that it
    continues, and `restored` the messages for each of its encrypted contents (`operations/chat/conversations.py` reads
    both).
    """

    batch_id: str
    batch_request_id: str
    kind: str
    model: str
    body: Json
    endpoint: Endpoint = Endpoint.BATCH
    evidence: tuple[Search, ...] = ()
    team: str = ""
    search: str | Literal[False] | None = None
    history: tuple[Json, ...] = ()
    restored: Mapping[str, Sequence[Json]] = msgspec.field(default_factory=dict)

    def changed(self, **members: Any) -> ModelRequest:
        """Return this request with another `team`, `search` or `evidence`, and with the cached values of its body."""
        copy = msgspec.structs.replace(self, **members)
        vars(copy).update(vars(self))
        return copy

    def __repr__(self) -> str:
        """Return the kind and ids without the content, which may be long."""
        return f"ModelRequest({self.kind!r}, {self.model!r}, {self.endpoint.value!r})"

    @cached
    def prompt(self) -> str:
        """Return the last user message of a conversation, or the prompt of an image or video."""
        if self.result_kind is ResultKind.CHAT:
            return user_text_of(self.messages)
        return prompt_of(RequestKind(self.kind), self.body)

    @cached
    def chat(self) -> Json:
        """Return the equivalent chat completions body of a chat or `responses` request, with the continued messages."""
        chat = chat_of(RequestKind(self.kind), self.body)
        if not self.history and not self.restored:
            return chat
        messages = [message for each in messages_of(chat) for message in self._restored(each)]
        return {**chat, "messages": [*self.history, *messages]}

    def _restored(self, message: Json) -> Sequence[Json]:
        content = message.get("encrypted_content")
        return self.restored.get(content, (message,)) if isinstance(content, str) else (message,)

    @cached
    def inline_citations(self) -> bool:
        """Return whether the text has citation markers: by default in responses, on request in completions (guide to
        citations, 2026-06).
        """
        include = self.body.get("include")
        words = include if isinstance(include, list) else []
        if self.kind == RequestKind.RESPONSES.value:
            return "no_inline_citations" not in words
        return self.endpoint is not Endpoint.CHAT and "inline_citations" in words

    @property
    def is_stored(self) -> bool:
        """Return whether the answer is stored: by default over REST, on request over gRPC."""
        if self.endpoint is Endpoint.RESPONSES:
            return self.chat.get("store") is not False
        return self.endpoint is Endpoint.GRPC and bool(self.chat.get("store"))

    @cached
    def result_kind(self) -> ResultKind:
        return KINDS[RequestKind(self.kind)].result

    @cached
    def language_model(self) -> LanguageModel:
        """Return the model that answers, whose prices apply."""
        found = find_language(self.model) or find_language(DEFAULT_MODEL)
        assert found is not None
        return found

    @property
    def count(self) -> int:
        """Return the number of requested choices or images."""
        n = (self.chat if self.result_kind is ResultKind.CHAT else self.body).get("n")
        return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else 1

    @property
    def seconds(self) -> int:
        """Return the requested duration of a video."""
        given = self.body.get("duration")
        try:
            return int(self.body.get("seconds") if given is None else given)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return _DEFAULT_SECONDS.get(RequestKind(self.kind), 1)

    @property
    def is_streamed(self) -> bool:
        """Return whether the answer is sent in deltas."""
        return self.body.get("stream") is True and not self.body.get("deferred")

    # --- the conversation

    @cached
    def messages(self) -> list[Json]:
        return messages_of(self.chat)

    @cached
    def tools(self) -> list[Json]:
        tools = self.chat.get("tools")
        return [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []

    @cached
    def functions(self) -> list[Json]:
        """Return the functions of the client, each as `{"name": …, "parameters": …}`."""
        found = (tool.get("function") for tool in self.tools)
        return [each for each in found if isinstance(each, dict) and isinstance(each.get("name"), str)]

    @property
    def tool_choice(self) -> str:
        """Return `auto`, `none` or `required`; another word counts as `auto`, and a named function as `required`."""
        choice = self.chat.get("tool_choice")
        if choice is None:
            return "auto"
        if isinstance(choice, dict):
            return "required"
        return choice if choice in ("none", "required") else "auto"

    @cached
    def named_function(self) -> str | None:
        """Return the function that `tool_choice` names."""
        choice = self.chat.get("tool_choice")
        function = choice.get("function") if isinstance(choice, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        return name if isinstance(name, str) else None

    @cached
    def forced_functions(self) -> list[Json]:
        """Return the functions of which `tool_choice` requires a call; none if it requires no call."""
        if self.tool_choice != "required":
            return []
        if not isinstance(self.chat.get("tool_choice"), dict):
            return self.functions
        return [each for each in self.functions if each["name"] == self.named_function]

    @cached
    def turn(self) -> list[Json]:
        """Return the messages after the last user message."""
        last = max((place for place, each in enumerate(self.messages) if each.get("role") == "user"), default=-1)
        return self.messages[last + 1 :]

    @property
    def answers_tool_result(self) -> bool:
        """Return whether the last message is the result of a tool."""
        return bool(self.messages) and self.messages[-1].get("role") in ("tool", "function")

    @property
    def query(self) -> str:
        """Return the query of search tools: the last user text, unless the responder replaces it."""
        return " ".join((self.search or self.prompt).split())[:QUERY_CHARS_MAX]

    @property
    def searches(self) -> bool:
        """Return whether a search tool runs.

        It does not if tools are off, if a function of the client is called, or if the client has just returned the
        result of one.
        """
        if self.result_kind is not ResultKind.CHAT or self.tool_choice == "none" or self.forced_functions:
            return False
        if self.search is False:
            return False
        return not self.answers_tool_result

    @cached
    def collection_tools(self) -> list[Json]:
        """Return the tools that search collections."""
        return [tool for tool in self.tools if tool.get("type") in COLLECTION_TOOLS]

    @property
    def attachment_tools(self) -> list[Json]:
        """Return the tools that search attached files, which are also searched without one."""
        return [tool for tool in self.tools if tool.get("type") == ATTACHMENT_TOOL]

    @cached
    def files(self) -> list[Json]:
        """Return the attached files, in order, each source once."""
        found: dict[str, Json] = {}
        for part in self._parts:
            file = part.get("file")
            if part.get("type") == "file" and isinstance(file, dict):
                found.setdefault(repr([file.get(name) for name in ("file_id", "url", "file_data")]), file)
        return list(found.values())

    @cached
    def images(self) -> list[Json]:
        """Return the images in the conversation, each as `{"url": …}` or `{"file_id": …}`."""
        return list(_images(self._parts))

    @cached
    def asked_images(self) -> list[Json]:
        """Return the images of the last user message."""
        if not self.has_parts:
            return []
        asked = [message for message in self.messages if message.get("role") == "user"][-1:]
        return list(_images(all_parts_of(asked)))

    @cached
    def has_parts(self) -> bool:
        """Return whether a message has parts, such as files and images."""
        return any(isinstance(message.get("content"), list) for message in self.messages)

    @cached
    def _parts(self) -> list[Json]:
        """Return the parts of all messages."""
        return all_parts_of(self.messages)

    @cached
    def server_tools(self) -> list[str]:
        """Return the types of the tools that run on the server, in order, each once."""
        types = [tool.get("type") for tool in self.tools]
        return list(dict.fromkeys(each for each in types if isinstance(each, str) and each != "function"))

    @property
    def format(self) -> str:
        """Return `text`, `json_object` or `json_schema`."""
        wanted = self.chat.get("response_format")
        kind = wanted.get("type") if isinstance(wanted, dict) else None
        return kind if kind in ("json_object", "json_schema") else "text"

    @property
    def schema_demanded(self) -> bool:
        """Return whether the answer is an instance of a schema, which may be large."""
        return self.result_kind is ResultKind.CHAT and self.format == "json_schema"

    @property
    def schema(self) -> Any:
        """Return the JSON Schema of the requested format."""
        described = self.chat["response_format"].get("json_schema")
        return described.get("schema", described) if isinstance(described, dict) else None

    @property
    def tokens_max(self) -> int | None:
        """Return the limit of the visible text, in tokens."""
        for name in ("max_completion_tokens", "max_tokens"):
            bound = self.chat.get(name)
            if isinstance(bound, int) and not isinstance(bound, bool) and bound > 0:
                return bound
        return None

    @property
    def stops(self) -> list[str]:
        """Return the stop sequences."""
        stop = self.chat.get("stop")
        given = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
        return [each for each in given if isinstance(each, str) and each]

    @property
    def settings(self) -> Json:
        """Return the members that an answer repeats."""
        found = {name: value for name, value in self.chat.items() if name in _SETTINGS and value is not None}
        if self.endpoint is Endpoint.RESPONSES and self.body.get("instructions") is not None:
            found["instructions"] = self.body["instructions"]
        return found | ({"store": self.is_stored} if self.endpoint in (Endpoint.RESPONSES, Endpoint.GRPC) else {})

    @property
    def tier(self) -> str:
        """Return the service tier of the answer: `default` unless `priority` was requested (recorded, 2026-09)."""
        return "priority" if self.chat.get("service_tier") in ("priority", "fast") else "default"


def _images(parts: list[Json]) -> Iterator[Json]:
    for part in parts:
        if part.get("type") != "image_url":
            continue
        image = part.get("image_url")
        yield image if isinstance(image, dict) else {"url": image if isinstance(image, str) else ""}
