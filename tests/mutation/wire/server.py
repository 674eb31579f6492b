"""An emulator whose answers are recorded, or of which one thing is wrong."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from emulator.core.errors import Kind
from emulator.http.requests import Request
from emulator.http.responses import ContentResponse, JsonResponse, Response, SseResponse
from emulator.rest import server as rest
from emulator.rest.requests import FromJson
from emulator.rest.route import Route
from emulator.rpc import server as rpc
from emulator.rpc.messages import load
from emulator.rpc.requests import Message, Method

from .changes import Changer, Json, Path, Seen, flatten, names_of

SAMPLES = 12  # different values that are kept of each place
MESSAGE_BYTES_MAX = 300_000  # of a message that is looked at
_OTHER_STATUS = {200: 201, 201: 200, 202: 200, 206: 200}
_OWN_HEADERS = ("content-length", "x-emulator")
# Names of a run, ids, times and what is signed: other ones in each run.
_OF_ONE_RUN = re.compile(
    r"contract-[0-9a-f]+-\d*-?|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+|\b\d{9,}\b|[\w-]{30,}"
)
_request: ContextVar[tuple[str, Request]] = ContextVar("request")  # of the REST call that runs


class Place(NamedTuple):
    """Where something can be wrong: in an answer, a request, an error, a status, a header or an event."""

    transport: str  # rest, grpc
    part: str
    call: str
    path: Path = ()


class Mutant(NamedTuple):
    """A place and what is wrong there."""

    place: Place
    change: str

    def __str__(self) -> str:
        transport, part, call, path = self.place
        return f"{transport} {part} {call} {'.'.join(path)} {self.change}"


class Wire:
    """What a server that this process runs does with its answers: as `case` or `mutant` say, else nothing."""

    def __init__(self) -> None:
        self.seen: dict[Place, Seen] = defaultdict(lambda: Seen([], set()))
        self.bodies: dict[str, bytes] = {}  # of a success of each REST call
        self.case: str | None = None  # whose calls are recorded
        self.mutant: Mutant | None = None
        self.changer = Changer("", (), is_grpc=False)
        self._answers: dict[str | None, Counter[int]] = defaultdict(Counter)  # of each case, and of the mutant

    def begin(self, mutant: Mutant) -> None:
        """Be wrong from here on."""
        self.mutant = mutant
        self._answers.pop(None, None)
        self.changer = Changer(mutant.change, mutant.place.path, is_grpc=mutant.place.transport == "grpc")

    def mutants(self) -> list[Mutant]:
        """Every mutant of what was recorded."""
        beside: dict[Place, dict[str, Seen]] = defaultdict(dict)
        for place, seen in self.seen.items():
            beside[place._replace(path=place.path[:-1])][place.path[-1] if place.path else ""] = seen
        return [Mutant(place, change) for place, seen in self.seen.items() for change in _changes(place, seen, beside)]

    def has_other_answers(self, case: str) -> bool:
        """Whether the answers since the last question were not those that the case had in the recorded run."""
        return self._answers.pop(None, Counter()) != self._answers.get(case, Counter())

    # --- what the hooks ask

    def answered(self, call: str, answer: object) -> None:
        """Remember an answer, for the comparison of runs."""
        if self.case is not None or (self.mutant is not None and self.mutant.place.part == "request"):
            text = f"{call} {answer}"[:MESSAGE_BYTES_MAX]
            self._answers[self.case][hash(_OF_ONE_RUN.sub("-", text))] += 1

    def is_active(self, place: Place) -> bool:
        """Whether the calls of a place are recorded, or changed."""
        return self.case is not None or (self.mutant is not None and self.mutant.place[:3] == place[:3])

    def value(self, place: Place, value: Json, depth: int = 0) -> bool:
        """Record the members of a value below a depth, or change one in place; return whether it is different."""
        if self.case is not None:
            for path, member in flatten(value):
                if len(path) > depth:
                    self.note(place._replace(path=path), None if isinstance(member, dict) else member)
            return False
        return self.is_active(place) and self.changer.apply(value)

    def note(self, place: Place, sample: Json = None) -> bool:
        """Record that a place is there; return whether this is the place that is wrong."""
        if self.case is not None:
            seen = self.seen[place]
            seen.cases.add(self.case)
            if sample not in seen.samples and len(seen.samples) < SAMPLES:
                seen.samples.append(copy.deepcopy(sample))
            return False
        if self.mutant is None or self.mutant.place != place:
            return False
        self.changer.count += 1
        return True

    # --- REST

    def response(self, call: str, response: Response) -> Response:
        """Record a response, or make it wrong."""
        status = response.status_code
        self.answered(call, (status, response.body))
        if status >= 400:
            return self._error(call, response)
        headers = {name.decode(): value for name, value in response.raw_headers}
        if isinstance(response, JsonResponse):
            self.bodies.setdefault(call, response.body)
        if self.note(Place("rest", "status", call, (str(status),))):
            response.status_code = _OTHER_STATUS[status]
        for name in headers:
            if not name.startswith(_OWN_HEADERS) and self.note(Place("rest", "header", call, (name,))):
                self._header(response, name.encode())
        if isinstance(response, SseResponse):
            events = response._events
            response._events = lambda: self._events(call, events())
        elif not isinstance(response, ContentResponse) and response.body[:1] in (b"{", b"["):
            value = json.loads(response.body)
            if self.value(Place("rest", "answer", call), value):
                response.replace_body(_encoded(value))
        return response

    def _header(self, response: Response, name: bytes) -> None:
        change = self.mutant.change if self.mutant else ""
        kept = [(key, value) for key, value in response.raw_headers if key != name or change != "drop"]
        response.raw_headers[:] = [(key, value + b"1" if key == name else value) for key, value in kept]

    def _error(self, call: str, response: Response) -> Response:
        rule = next((value.decode() for name, value in response.raw_headers if name == b"x-emulator-rule"), "-")
        if not self.note(Place("rest", "error", call, (str(response.status_code), rule))):
            return response
        change = self.mutant.change if self.mutant else ""
        if change == "accepted":
            return Response(self.bodies.get(call, b"{}"), 200)
        if change == "status":
            response.status_code = 404 if response.status_code == 400 else 400
            return response
        try:
            value = json.loads(response.body)
        except ValueError:
            response.replace_body(b"Bad Request")
            return response
        if change == "code" and "code" in value:
            value["code"] = "other" if isinstance(value["code"], str) else value["code"] + 1
        elif change == "message":
            value["message" if "message" in value else "error"] = "Bad Request"
        response.replace_body(_encoded(value))
        return response

    async def _events(self, call: str, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        held: bytes | None = None
        async for event in events:
            found = re.search(rb"^data: (\{.*)", event, re.MULTILINE)
            name = "end"
            if found is not None:
                value = json.loads(found[1])
                name = value.get("type", "chunk")
                self.answered(call, found[1])
                if self.value(Place("rest", "answer", call), {name: value}, 1):
                    event = event.replace(found[1], _encoded(value))
            if self.note(Place("rest", "event", call, (name,))):
                change = self.mutant.change if self.mutant else ""
                if change == "late" and held is None:
                    held = event
                if change in ("late", "drop"):
                    continue
                yield event  # twice
            yield event
            if held is not None:
                yield held
                held = None
        if held is not None:  # it was the last one, which cannot be late
            self.changer.count -= 1
            yield held

    def query(self, call: str, query: bytes) -> bytes:
        """Record the query of a request, or change what is read of it."""
        pairs = parse_qsl(query.decode(), keep_blank_values=True)
        value = {"query": {name: [each for key, each in pairs if key == name] for name, _ in pairs}}
        value["query"] = {name: given[0] if len(given) == 1 else given for name, given in value["query"].items()}
        if not self.value(Place("rest", "request", call), value, 1):
            return query
        return urlencode(value["query"], doseq=True).encode()

    def body(self, body: bytes) -> bytes:
        """Record the JSON body of the request that is read, or change what is read of it."""
        call, _ = _request.get(("", None))
        try:
            value = {"body": json.loads(body)}
        except ValueError:
            return body
        place = Place("rest", "request", call)
        if len(body) > MESSAGE_BYTES_MAX or not self.is_active(place) or not self.value(place, value, 1):
            return body
        return _encoded(value["body"])

    # --- gRPC

    def message(self, place: Place, message: Message) -> Message:
        """Record a message, or return a changed one."""
        if place.part == "answer":
            self.answered(place.call, message)
        if not self.is_active(place) or message.ByteSize() > MESSAGE_BYTES_MAX:
            return message
        every = place.part == "answer"  # in a request, what is not set and what is 0 are the same
        pool = load().pool
        value = MessageToDict(
            message,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=every,
            descriptor_pool=pool,
        )
        if not self.value(place, value):
            return message
        try:
            return ParseDict(value, type(message)(), descriptor_pool=pool)
        except ParseError:  # no message can be so
            self.changer.count = 0
            return message

    def refusal(self, operation: str, refusal: rpc.Refusal) -> None:
        """Record an error of gRPC, or make it wrong."""
        error = refusal.error
        self.answered(operation, error)
        if not self.note(Place("grpc", "error", operation, (error.kind.name, str(error.rule)))):
            return
        wrong = refusal.error = copy.copy(error)
        if self.mutant and self.mutant.change == "status":
            wrong.kind = Kind.INVALID_ARGUMENT if error.kind is Kind.NOT_FOUND else Kind.NOT_FOUND
        else:
            wrong.message = "Bad request"


def _encoded(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _changes(place: Place, seen: Seen, beside: dict[Place, dict[str, Seen]]) -> list[str]:
    is_grpc = place.transport == "grpc"
    match place.part:
        case "error":
            return ["status", "message"] if is_grpc else ["status", "message", "code", "accepted"]
        case "header":
            return ["drop", "longer"]
        case "status":
            return ["other"]
        case "event":
            return ["drop", "late", "twice"]
    siblings = {**beside[place._replace(path=place.path[:-1])]}
    siblings.pop(place.path[-1])
    return list(names_of(seen, place.path, siblings, is_grpc=is_grpc, is_request=place.part == "request"))


def install(wire: Wire) -> None:
    """Let the emulators that this process starts from here on do with their answers what a wire says."""
    call, read_body = rest.Rest._call, Request.read_body

    async def _call(self: rest.Rest, route: Route, request: Request) -> Response:
        name = f"{route.method} {route.path}"
        place = Place("rest", "request", name)
        if wire.is_active(place) and request.scope["query_string"]:
            request.scope["query_string"] = wire.query(name, request.scope["query_string"])
        _request.set((name if isinstance(route.read, FromJson) else "", request))
        return wire.response(name, await call(self, route, request))

    async def _read_body(self: Request, most: int | None, rule: str | None = None) -> bytes:
        body = await read_body(self, most, rule)
        if _request.get(("", None))[1] is self:
            self.received = body = wire.body(body)
        return body

    perform = rpc.RpcServer._perform

    async def _perform(self: rpc.RpcServer, asked: Any) -> Any:
        try:
            return await perform(self, asked)
        except rpc.Refusal as refusal:
            wire.refusal(asked.operation.name, refusal)
            raise

    rest.Rest._call, Request.read_body = _call, _read_body
    rpc.RpcServer._perform = _perform
    rpc.METHODS = tuple(_wrapped(wire, method) for method in rpc.METHODS)


def _wrapped(wire: Wire, method: Method) -> Method:
    call = f"{method.service.partition('.')[2]}/{method.name}"
    request, answer = Place("grpc", "request", call), Place("grpc", "answer", call)
    is_stream = load().service(method.service).methods_by_name[method.name].client_streaming
    return msgspec.structs.replace(
        method,
        read=method.read if is_stream else lambda message: method.read(wire.message(request, message)),
        write=lambda result: wire.message(answer, method.write(result)),
    )
