"""Requests of up to 4 KB for every operation that are made to cost much, as strategies of Hypothesis.

Their shapes come from the OpenAPI document and the descriptors of the messages. Most values come from a table by the
name of their field: ids that exist, filters of many terms, tiny chunks that overlap, schemas that multiply, numbers at
every edge.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import assume
from hypothesis import strategies as st

from emulator.rest.route import Route
from emulator.rest.routes import ROUTES
from emulator.rpc.messages import load
from emulator.rpc.methods import METHODS
from emulator.rpc.request_metadata import is_repeated
from emulator.rpc.requests import Method
from tests.reliability.cost_meter import Ids
from tests.rest.batch_helpers import line

REQUEST_BYTES_MAX = 4096
DEPTH_MAX = 8  # of what is drawn by shape; what nests deeper comes from the table
BOUNDARY = "b"
CHEAP = ("team_id", "pagination_token")  # left out: a random one is refused before anything is done

Draw = Callable[[st.SearchStrategy[Any]], Any]
Json = Any


@dataclass(frozen=True)
class RestRequest:
    """A request over REST."""

    method: str
    target: str
    body: bytes = b""
    content_type: str | None = None

    @property
    def size(self) -> int:
        """Its length in bytes, without headers."""
        return len(self.target) + len(self.body)


@dataclass(frozen=True)
class RpcRequest:
    """A call over gRPC, with its messages as they are sent."""

    name: str
    messages: list[bytes] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return sum(map(len, self.messages))


# --- values by the name of their field. Each strategy is made once: that takes longer than to draw from it.

NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 3, 100, 101, 1000, 10_000, 50_000, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**64 - 1, -1]),
    st.integers(-(2**31), 2**31 - 1),
)
FLOATS = st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-308, 1e308, -1e308])
LENGTHS = st.sampled_from([1, 2, 10, 100, 400, 1500, 3000, 3500])
COUNTS = st.sampled_from([1, 1, 1, 2, 3, 10, 40, 90, 200, 600])
SIZES = st.sampled_from([1, 2, 3, 4, 10, 100, 1000, 1_000_000])
TEXTS = st.one_of(
    st.text(max_size=30),
    st.builds(
        lambda text, length: (text * length)[:length], st.sampled_from(["x", "fox ", "ä", "\U0001f600", "a\n"]), LENGTHS
    ),
)
QUERIES = st.one_of(TEXTS, st.just(" ".join(f"w{n}" for n in range(600))), st.just("fox hedge weather " * 150))
TERMS = (
    *('name = "a"', "size > 1", 'fields.topic = "topic 3"', "-size:1..9", 'a:"b"', "x:*", "fields.isbn != 1"),
    *('name = "*document*7*"', 'filename = "d*o*c*u*m*e*n*t*"', "created_at > 2020-01-01T00:00:00Z", "size_bytes < 7"),
    *('file_name = "x"', 'name:"document"', "fox", "NOT size = 3", '"isbn" : 5', 'topic = "topic 3"', "isbn:1..900"),
)
EXPIRIES = st.sampled_from([3600, 2_592_000, 2_592_000, 10**12])


@cache
def filters() -> st.SearchStrategy[str]:
    """Filters with as much as 4 KB can hold of something."""
    joined = st.builds(
        lambda terms, by, count: by.join((terms * count)[:count]),
        st.lists(st.sampled_from(TERMS), min_size=1, max_size=4),
        st.sampled_from([" AND ", " OR ", " ", " AND NOT "]),
        COUNTS,
    )
    nested = st.builds(lambda term, depth: "(" * depth + term + ")" * depth, st.sampled_from(TERMS), COUNTS)
    negated = st.builds(lambda term, depth: "NOT (" * depth + term + ")" * depth, st.sampled_from(TERMS), COUNTS)
    wild = st.builds(lambda part, count: f'name = "{part * count}"', st.sampled_from(["*a", "a*", "*", "\\\\"]), COUNTS)
    dots = st.builds(lambda count: "a" + ".a" * count + " = 1", COUNTS)
    return st.one_of(joined, nested, negated, wild, dots, TEXTS).map(lambda text: text[:3500])


@cache
def schemas() -> st.SearchStrategy[Json]:
    """JSON Schemas whose smallest instance is large."""
    leaves = st.sampled_from(
        [
            *({"type": "string", "minLength": 10**9}, {"type": "string", "enum": ["x" * 500]}, {"type": "integer"}),
            *({"const": "x" * 800}, {"type": "number", "minimum": 1e300}, {"type": "array", "minItems": 10**9}),
            {"type": "string", "pattern": "(a{1000}){1000}"},
        ]
    )

    def wrap(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
        arrays = st.builds(lambda each, n: {"type": "array", "minItems": n, "items": each}, inner, NUMBERS)
        tuples = st.builds(lambda each, n: {"type": "array", "prefixItems": [each] * n}, inner, st.integers(1, 9))
        objects = st.builds(
            lambda each, n: {
                "type": "object",
                "properties": {f"p{k}": each for k in range(n)},
                "required": [f"p{k}" for k in range(n)],
            },
            inner,
            st.integers(1, 9),
        )
        every = st.builds(lambda each, word: {word: [each, each]}, inner, st.sampled_from(["anyOf", "allOf", "oneOf"]))
        return st.one_of(arrays, tuples, objects, every)

    return st.one_of(st.recursive(leaves, wrap, max_leaves=4), st.builds(doubling, st.integers(1, 40)), nested_arrays())


def doubling(steps: int) -> Json:
    """A schema of which each definition refers twice to the one before."""
    definitions: dict[str, Json] = {"d0": {"type": "string", "minLength": 100}}
    for n in range(1, steps + 1):
        before = {"$ref": f"#/$defs/d{n - 1}"}
        definitions[f"d{n}"] = {"type": "object", "properties": {"a": before, "b": before}, "required": ["a", "b"]}
    return {"$defs": definitions, "$ref": f"#/$defs/d{steps}"}


@cache
def nested_arrays() -> st.SearchStrategy[Json]:
    """Arrays of arrays, with a least number of items each."""

    def build(depth: int, items: int) -> Json:
        schema: Json = {"type": "string", "minLength": items}
        for _ in range(depth):
            schema = {"type": "array", "minItems": items, "items": schema}
        return schema

    return st.builds(build, st.integers(1, 60), st.sampled_from([1, 2, 10, 100, 10_000]))


@cache
def formats() -> st.SearchStrategy[Json]:
    """Values of `response_format`."""
    return schemas().map(
        lambda schema: {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    )


@cache
def tools() -> st.SearchStrategy[Json]:
    """Values of `tools`."""
    return st.builds(
        lambda schema, count: [{"type": "function", "function": {"name": "f", "parameters": schema}}] * count,
        schemas(),
        st.integers(1, 9),
    )


@cache
def chat_requests() -> st.SearchStrategy[Json]:
    """Bodies of chat requests that ask for long answers."""
    return st.builds(
        lambda text, more: {"model": "grok-4", "messages": [{"role": "user", "content": text}], **more},
        TEXTS,
        st.fixed_dictionaries(
            {},
            optional={
                "response_format": formats(),
                "tools": tools(),
                "tool_choice": st.sampled_from(["required", "auto"]),
                "n": NUMBERS,
                "max_tokens": NUMBERS,
                "top_logprobs": NUMBERS,
                "logprobs": st.booleans(),
                "stop": st.lists(TEXTS, max_size=4),
            },
        ),
    )


@cache
def media_requests() -> st.SearchStrategy[Json]:
    """Bodies of requests for images and videos."""
    return st.fixed_dictionaries(
        {"prompt": TEXTS, "model": st.sampled_from(["grok-imagine-image", "grok-imagine-video"])},
        optional={
            "n": NUMBERS,
            "response_format": st.sampled_from(["b64_json", "url"]),
            "resolution": st.sampled_from(["1k", "2k", "720p", "480p"]),
            "duration": NUMBERS,
            "storage_options": st.just({"filename": "a.png", "expires_after": 3600}),
        },
    )


@cache
def batch_requests() -> st.SearchStrategy[Json]:
    """Lists of requests for a batch."""
    kinds = st.one_of(
        chat_requests().map(lambda body: {"chat_get_completion": body}),
        media_requests().map(lambda body: {"image_generation": body}),
        media_requests().map(lambda body: {"video_generation": body}),
    )
    return st.builds(lambda request, count: repeated({"batch_request": request}, count), kinds, COUNTS)


def repeated(item: Json, count: int) -> Json:
    """A list that repeats an item, as often as a request has room for it."""
    return [item] * max(1, min(count, 3000 // len(json.dumps(item))))


@cache
def archives() -> st.SearchStrategy[bytes]:
    """Office documents and archives of which a few KB hold megabytes."""

    def build(name: str, piece: str, mib: int) -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.writestr("[Content_Types].xml", "<Types/>")
            archive.writestr(
                name, "<w:document><w:body>" + piece * (mib * 2**20 // len(piece)) + "</w:body></w:document>"
            )
        return target.getvalue()

    names = st.sampled_from(["word/document.xml", "xl/worksheets/sheet1.xml", "ppt/slides/slide1.xml", "content.xml"])
    pieces = st.sampled_from(["<w:p><w:r><w:t>x</w:t></w:r></w:p>", "x", "<a>", "<row><c><v>1</v></c></row>"])
    return st.builds(build, names, pieces, st.sampled_from([1, 2, 3]))


@cache
def contents() -> st.SearchStrategy[bytes]:
    """Contents of files."""
    lines = st.builds(lambda n: "\n".join(line(str(k)) for k in range(n)).encode(), st.integers(1, 20))
    chat = st.builds(lambda body: line("a", body=body).encode(), chat_requests())
    markup = st.builds(
        lambda part, n: (part * n).encode()[:3500],
        st.sampled_from(["<div>", "[", '{"a":', "# a\n", "|a", "a,"]),
        COUNTS,
    )
    return st.one_of(
        TEXTS.map(lambda text: text.encode("utf-8", "replace")),
        lines,
        chat,
        markup,
        archives(),
        st.binary(max_size=100),
    )


FILENAMES = st.one_of(
    st.builds(
        lambda kind: f"a.{kind}",
        st.sampled_from(
            ["txt", "jsonl", "docx", "xlsx", "pptx", "odt", "epub", "html", "pdf", "json", "csv", "md", "py"]
        ),
    ),
    st.builds(lambda letter, length: letter * length, st.sampled_from("xä"), st.sampled_from([1, 100, 255, 256])),
)
KEYS = st.sampled_from(["topic", "isbn", "title", "a", "k" * 300, "file_id", "name"])
FIELDS = st.one_of(
    st.dictionaries(KEYS, TEXTS, max_size=5),
    st.builds(lambda count: {f"k{n}": "v" for n in range(count)}, COUNTS),
)
DEFINITIONS = st.builds(
    lambda count, more: [{"key": f"k{n}", **more} for n in range(count)],
    COUNTS,
    st.fixed_dictionaries({}, optional={name: st.booleans() for name in ("required", "unique", "inject_into_chunk")}),
)


def by_name(ids: Ids) -> Mapping[str, st.SearchStrategy[Any]]:
    """The values of fields by their name, whichever transport has them."""
    file, collection = st.sampled_from([*ids.files[:3], *ids.files[-2:], "file_none"]), st.sampled_from(ids.collections)
    batch = st.sampled_from([ids.batches[0], *ids.batches])
    some = st.builds(lambda count: ids.files[:count], COUNTS)
    same = st.builds(lambda id, count: [id] * count, file, COUNTS)
    named: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("file_id", "input_file_id", "after"), file),
        **dict.fromkeys(("collection_id",), collection),
        **dict.fromkeys(("batch_id",), batch),
        **dict.fromkeys(("file_ids",), st.one_of(some, same)),
        "collection_ids": st.builds(lambda id, count: [id] * count, collection, COUNTS),
        "batch_job_id": st.sampled_from(ids.batch_uploads),
        "batch_request_id": st.sampled_from(["r1", "r2", "x"]),
        "filter": filters(),
        "query": QUERIES,
        "keys": st.builds(lambda keys, count: (keys * count)[:count], st.lists(KEYS, min_size=1, max_size=5), COUNTS),
        "limit": st.sampled_from([1, 10_000, 100, 1000, 10_000, 2**31 - 1]),
        "search_multiplier": st.sampled_from([1, 100, 100, 101]),
        "k": NUMBERS,
        "response_format": formats(),
        "tools": tools(),
        "schema": schemas().map(json.dumps),
        "parameters": schemas().map(json.dumps),
        "batch_requests": batch_requests(),
        "field_definitions": DEFINITIONS,
        "fields": FIELDS,
        "key": KEYS,
        "collection_name": st.just("c"),
        "chunk": contents().map(lambda content: base64.b64encode(content).decode()),
        "name": FILENAMES,
        "filename": FILENAMES,
        "expires_after": EXPIRIES,
        "content": contents().map(lambda content: content.decode("latin-1")),
    }
    for unit in ("chars", "tokens", "bytes"):
        named |= {f"max_chunk_size_{unit}": SIZES, f"chunk_overlap_{unit}": SIZES}
    return named


# --- REST


def rest_requests(route: Route, document: Json, ids: Ids) -> st.SearchStrategy[RestRequest]:
    """Requests of a route."""
    named, described = by_name(ids), document["paths"][route.path][route.method.lower()]

    @st.composite
    def requests(draw: Draw) -> RestRequest:
        drawing = _Json(draw, document, named)
        path, query = route.path, []
        for parameter in described.get("parameters", []):
            if parameter["name"] in CHEAP:
                continue
            if path in ids.paths and draw(st.integers(0, 7)):
                path = ids.paths[path]
            value = drawing.value(parameter["schema"], parameter["name"])
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", quote(str(value)[:200] or "x", safe=""))
            elif draw(st.booleans()):
                query += [(parameter["name"], each) for each in (value if isinstance(value, list) else [value])]
        body, content_type = _body(draw, drawing, described.get("requestBody", {}).get("content", {}))
        target = path + ("?" + urlencode(query, errors="replace") if query else "")
        request = RestRequest(route.method, target, body, content_type)
        assume(request.size <= REQUEST_BYTES_MAX)
        return request

    return requests()


def _body(draw: Draw, drawing: _Json, contents_: Json) -> tuple[bytes, str | None]:
    if not contents_:
        return b"", None
    kind = draw(st.sampled_from(sorted(contents_)))
    if kind == "multipart/form-data":
        return _form(draw, contents_[kind]["schema"], drawing), f"multipart/form-data; boundary={BOUNDARY}"
    return json.dumps(drawing.value(contents_[kind]["schema"], "")).encode(), kind


def _form(draw: Draw, schema: Json, drawing: _Json) -> bytes:
    parts = []
    for name, each in sorted(schema["properties"].items()):
        if name in ("file", "data"):
            filename = quote(draw(FILENAMES)[:200] or "x", safe=" ")
            disposition = f'form-data; name="{name}"; filename="{filename}"'
            parts.append((disposition, draw(contents())))
        elif name not in (*CHEAP, "expires_after[anchor]", "expires_after[seconds]") and draw(st.booleans()):
            value = drawing.value(each, name)
            text = value if isinstance(value, str) else json.dumps(value)
            parts.append((f'form-data; name="{name}"', text.encode("utf-8", "replace")))
    parts.sort(key=lambda part: "filename=" in part[0])
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
        for disposition, content in parts
    )
    return body + f"--{BOUNDARY}--\r\n".encode()


class _Json:
    """Draws values of the schemas of a document."""

    def __init__(self, draw: Draw, document: Json, named: Mapping[str, st.SearchStrategy[Any]]) -> None:
        self._draw, self._document, self._named = draw, document, named

    def value(self, schema: Json, name: str, depth: int = 0) -> Json:
        """A value of a schema, for a field of a name."""
        if name in self._named and self._draw(st.integers(0, 7)):
            return self._draw(self._named[name])
        if "$ref" in schema:
            return self.value(self._document["components"]["schemas"][schema["$ref"].split("/")[-1]], name, depth)
        if "enum" in schema:
            return self._draw(st.sampled_from(schema["enum"]))
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema:
                return self.value(self._draw(st.sampled_from(schema[word])), "", depth)
        return self._of_type(schema, depth)

    def _of_type(self, schema: Json, depth: int) -> Json:
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array" if depth < DEPTH_MAX:
                item = self.value(schema.get("items", {}), "", depth + 1)
                return repeated(item, self._draw(COUNTS))
            case "array" | "null":
                return None
            case "integer":
                return self._draw(NUMBERS)
            case "number":
                return self._draw(FLOATS)
            case "boolean":
                return self._draw(st.booleans())
            case _:
                return self._draw(TEXTS)

    def _object(self, schema: Json, depth: int) -> Json:
        if depth >= DEPTH_MAX:
            return {}
        if not schema.get("properties"):
            return self._draw(FIELDS)
        required = schema.get("required", [])
        return {
            name: self.value(each, name, depth + 1)
            for name, each in schema["properties"].items()
            if name not in CHEAP and (name in required or self._draw(st.booleans()))
        }


# --- gRPC


def rpc_requests(method: Method, ids: Ids) -> st.SearchStrategy[RpcRequest]:
    """Calls of a method."""
    described = load().service(method.service).methods_by_name[method.name]
    named, name = by_name(ids), f"{method.service}/{method.name}"

    @st.composite
    def calls(draw: Draw) -> RpcRequest:
        drawing = _Message(draw, named)
        if described.client_streaming:
            upload = load().message("xai_api.UploadFileInit")(name=draw(FILENAMES)[:200].encode("utf-8", "replace"))
            chunk = load().message(described.input_type.full_name)
            pieces = [chunk(init=upload), *(chunk(data=draw(contents())) for _ in range(draw(st.integers(0, 2))))]
        else:
            pieces = [drawing.message(described.input_type)]
        call = RpcRequest(name, [piece.SerializeToString() for piece in pieces])
        assume(call.size <= REQUEST_BYTES_MAX)
        return call

    return calls()


_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


class _Message:
    """Draws messages."""

    def __init__(self, draw: Draw, named: Mapping[str, st.SearchStrategy[Any]]) -> None:
        self._draw, self._named = draw, named

    def message(self, descriptor: Descriptor, depth: int = 0) -> Any:
        """A message of a type."""
        message = load().message(descriptor.full_name)()
        if depth < DEPTH_MAX:
            for field_ in descriptor.fields:
                if field_.name not in CHEAP and self._draw(st.integers(0, 7 if field_.name in self._named else 2)):
                    self._fill(message, field_, depth)
        return message

    def _fill(self, message: Any, field_: FieldDescriptor, depth: int) -> None:
        kind = field_.message_type
        if kind is not None and kind.GetOptions().map_entry:
            getattr(message, field_.name).update(
                {_text(key)[:300]: _text(value) for key, value in self._draw(FIELDS).items()}
            )
        elif is_repeated(field_):
            self._fill_list(message, field_, depth)
        elif kind is not None:
            getattr(message, field_.name).CopyFrom(self.message(kind, depth + 1))
        else:
            setattr(message, field_.name, self._scalar(field_))

    def _fill_list(self, message: Any, field_: FieldDescriptor, depth: int) -> None:
        target = getattr(message, field_.name)
        drawn = self._draw(self._named[field_.name]) if field_.name in self._named else None
        if field_.message_type is not None:
            item = self.message(field_.message_type, depth + 1)
            target.extend([item] * max(1, min(self._draw(COUNTS), 3000 // max(1, item.ByteSize()))))
        elif isinstance(drawn, list) and all(isinstance(each, str) for each in drawn):
            target.extend(drawn)
        else:
            target.extend([self._scalar(field_)] * self._draw(COUNTS))

    def _scalar(self, field_: FieldDescriptor) -> Any:
        match field_.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                drawn = self._draw(self._named.get(field_.name, TEXTS))
                text = drawn if isinstance(drawn, str) else self._draw(TEXTS)
                return text.encode("utf-8", "replace") if field_.type == FieldDescriptor.TYPE_BYTES else _text(text)
            case FieldDescriptor.CPPTYPE_BOOL:
                return self._draw(st.booleans())
            case FieldDescriptor.CPPTYPE_ENUM:
                return self._draw(st.sampled_from([value.number for value in field_.enum_type.values[::-1]]))
            case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
                return self._draw(FLOATS) if field_.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE else 0.5
            case kind:
                low, high = _INTEGERS[kind]
                drawn = self._draw(self._named.get(field_.name, NUMBERS))
                return min(max(drawn if isinstance(drawn, int) else self._draw(NUMBERS), low), high)


def _text(text: str) -> str:
    """A text that protobuf takes: without lone surrogates."""
    return text.encode("utf-8", "replace").decode()


# --- all of them

TARGETS: dict[str, Route | Method] = {
    **{f"{route.method} {route.path}": route for route in ROUTES},
    **{f"{method.service}/{method.name}": method for method in METHODS},
}


def requests_of(name: str, document: Json, ids: Ids) -> st.SearchStrategy[RestRequest | RpcRequest]:
    """Requests of a route or a method."""
    target = TARGETS[name]
    return rest_requests(target, document, ids) if isinstance(target, Route) else rpc_requests(target, ids)
