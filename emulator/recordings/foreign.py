"""Convert exchanges that other programs recorded to our own format.

Such files are not trusted: nothing is evaluated, decompression is bounded, and exchanges that cannot be converted are
excluded from the comparison, with the reason.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import UNSET

from emulator.core.clock import rfc3339
from emulator.recordings.bounded_json import BAD_JSON
from emulator.recordings.capture import TEXT_BYTES_MAX, BodyCapture, Sink
from emulator.recordings.entries import (
    GRPC_TYPE,
    Content,
    Entry,
    Grpc,
    Pair,
    Param,
    PostData,
    Request,
    Response,
)
from emulator.recordings.entries import header as value_of
from emulator.recordings.order import YEARS
from emulator.recordings.planes import complete, keeps_response

SERVICE_DOMAIN = "x.ai"
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_GZIP = b"\x1f\x8b"
# Headers of the connection or of each call, which are no metadata.
_NO_METADATA = frozenset(
    {"content-type", "content-length", "accept-encoding", "te", "host", "connection", "user-agent"}
)


class ForeignExchange(msgspec.Struct):
    """One exchange as another program recorded it. A body is None if the file lacks it."""

    method: str
    url: str
    headers: list[Pair] = []
    body: bytes | None = None
    params: list[Param] = []  # of a form, where the file has that instead of its bytes
    mime_type: str = ""
    status: int = 0
    status_text: str = ""
    response_headers: list[Pair] = []
    trailers: list[Pair] = []
    content: bytes | None = None
    content_type: str = ""
    size: int = 0  # of the content, as the file says
    started: str = ""
    time: float = 0


class Converted(msgspec.Struct):
    """The entries of a file.

    `lacks_contents` says that the bytes of uploaded files are missing. `elsewhere` counts the calls to other hosts,
    which are excluded.
    """

    entries: list[Entry] = []
    unreadable: int = 0
    elsewhere: int = 0
    lacks_contents: bool = False


def convert(exchanges: Sequence[ForeignExchange | None]) -> Converted:
    """Return the entries of the exchanges; None is an exchange that could not be read."""
    found = Converted()
    for number, each in enumerate(exchanges, 1):
        entry = None if each is None else _entry(each, number)
        if entry is None:
            found.unreadable += 1
            continue
        found.entries.append(entry)
    found.elsewhere = _leave_out_other_hosts(found.entries)
    for entry in found.entries:
        found.lacks_contents |= _fill_upload(entry)
    _fill_times(found.entries)
    return found


def decompressed(data: bytes, headers: Sequence[Pair]) -> bytes:
    """Decompress a body if it is still compressed: many programs decode it but keep the header."""
    if "gzip" not in (value_of(headers, "content-encoding") or "") or not data.startswith(_GZIP):
        return data
    try:
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
        plain = decoder.decompress(data, TEXT_BYTES_MAX)
    except zlib.error:
        return data
    return plain if decoder.eof else data


def _entry(exchange: ForeignExchange, number: int) -> Entry | None:
    try:
        target = urlsplit(exchange.url)
    except ValueError:  # such as a host that is no IPv6 address
        return None
    if target.scheme not in ("http", "https") or not target.netloc:
        return None
    content_type = exchange.mime_type or value_of(exchange.headers, "content-type") or ""
    response_type = exchange.content_type or value_of(exchange.response_headers, "content-type") or ""
    entry = Entry(
        Request(exchange.method.upper(), exchange.url, headers=exchange.headers),
        Response(exchange.status, exchange.status_text, headers=exchange.response_headers),
        started=_time(exchange),
        time=max(0.0, exchange.time),
        number=number,
    )
    entry.response.body.mime_type = response_type
    if _is_grpc(content_type) or _is_grpc(response_type):
        entry.grpc = _grpc(exchange, target.path)
        entry.request.body = PostData(GRPC_TYPE)
        entry.request.headers = [pair for pair in exchange.headers if not _is_of_transport(pair.name)]
        complete(entry)
        return entry
    complete(entry)
    if exchange.body is not None or exchange.params:
        entry.request.body = _request_body(exchange, content_type)
    if exchange.content is not None:
        kept = keeps_response(entry.operation or None, exchange.status, response_type)
        body = BodyCapture(response_type, is_text=kept)
        body.write(decompressed(exchange.content, exchange.response_headers))
        entry.response.body = body.content()
    else:
        entry.response.body = Content(exchange.size, response_type)
    return entry


# --- bodies


class _Memory:
    """The files of a form, in memory."""

    def __init__(self) -> None:
        self.contents: list[bytearray] = []

    def new(self) -> Sink:
        self.contents.append(bytearray())
        return _MemorySink(self.contents[-1], str(len(self.contents) - 1))


class _MemorySink:
    def __init__(self, content: bytearray, name: str) -> None:
        self._content, self._name = content, name

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._content += data

    def finish(self) -> str:
        return self._name


def _request_body(exchange: ForeignExchange, content_type: str) -> PostData:
    own_type = value_of(exchange.headers, "content-type") or ""
    if "boundary=" in own_type and "boundary=" not in content_type:
        content_type = own_type
    memory = _Memory()
    body = BodyCapture(content_type, is_text=True, folder=memory)
    body.write(decompressed(exchange.body or b"", exchange.headers))
    found = body.post_data()
    params = [] if found.params is UNSET else found.params
    for param in params:
        if isinstance(param.file, str):
            param.value = _text(bytes(memory.contents[int(param.file)]))
            param.file = UNSET
    if not params and exchange.params and not exchange.body:
        return PostData(content_type, params=exchange.params)
    return found


def _text(data: bytes) -> str | msgspec.UnsetType:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return UNSET


def _fill_upload(entry: Entry) -> bool:
    """Set the length of an upload without bytes from the response; return whether the bytes are missing.

    Browsers do not record the contents of files.
    """
    body = entry.request.body
    if entry.operation != "files.upload" or body is UNSET or body.params is UNSET:
        return False
    lacks = False
    for param in body.params:
        if param.filename is UNSET or param.value:
            continue
        size = _response_length(entry.response.body.text)
        if param.size is UNSET or not param.size:
            param.size = size
        param.value = UNSET
        lacks = lacks or param.size > 0
    return lacks


def _response_length(text: Any) -> int:
    try:
        size = msgspec.json.decode(text).get("bytes", 0)
    except (*BAD_JSON, TypeError, AttributeError):
        return 0
    return size if isinstance(size, int) and size > 0 else 0


# --- gRPC


def _is_grpc(content_type: str) -> bool:
    return content_type.lower().startswith(GRPC_TYPE) and not content_type.lower().startswith("application/grpc-web")


def _is_of_transport(name: str) -> bool:
    return name.lower() in _NO_METADATA or name.startswith(":") or name.lower().startswith("grpc-")


def _grpc(exchange: ForeignExchange, method: str) -> Grpc:
    from emulator.rpc.frames import code_name

    ends = [*exchange.trailers, *exchange.response_headers]  # a refusal without messages has them in the headers
    encodings = [value_of(headers, "grpc-encoding") or "" for headers in (exchange.headers, exchange.response_headers)]
    asked, answered = (
        _frames(data, encoding) for data, encoding in zip((exchange.body, exchange.content), encodings, strict=True)
    )
    status = code_name(value_of(ends, "grpc-status") or "")
    if status is None and answered:
        status = "OK"  # few programs write trailers down; a refusal rarely has messages before it
    grpc = Grpc(
        status=status or "",
        message=unquote(value_of(ends, "grpc-message") or ""),
        trailers=[pair for pair in exchange.trailers if not _is_of_transport(pair.name)],
        messages={"request": len(asked or []), "response": len(answered or [])},
    )
    if asked is None or status is None or (status == "OK" and answered is None):
        return grpc
    return _understood(grpc, method, asked, answered or [])


def _understood(grpc: Grpc, method: str, asked: list[bytes], answered: list[bytes]) -> Grpc:
    """Return the exchange with its messages, if the method is known and they can be decoded."""
    from emulator.rpc.plain import message_types, to_plain

    types = message_types(method)
    if types is None:
        return grpc
    found: tuple[list[Any], list[Any]] = [], []
    unknown: list[str] = []
    for direction, raws in enumerate((asked, answered)):
        for raw in raws:
            try:
                plain, more = to_plain(types[direction], raw, keep_bytes=direction == 0)
            except (ValueError, RecursionError):
                return grpc
            found[direction].append(plain)
            unknown += [f"{('request', 'response')[direction]}.{name}" for name in more]
    grpc.request, grpc.response = found
    grpc.unknown, grpc.messages = list(dict.fromkeys(unknown)), UNSET
    return grpc


def _frames(data: bytes | None, encoding: str) -> list[bytes] | None:
    """Return the messages of a body, for every way in which programs write bytes as text."""
    from emulator.rpc.frames import split_frames

    for candidate in _spellings(data):
        try:
            return split_frames(candidate, encoding)
        except ValueError:
            continue
    return None


def _spellings(data: bytes | None) -> list[bytes]:
    if data is None:
        return []
    found = [data]
    with suppress(UnicodeError):
        found.append(data.decode().encode("latin-1"))  # one character for each byte
    return found


# --- hosts and times


def _leave_out_other_hosts(entries: list[Entry]) -> int:
    """Exclude calls to other hosts, if there are calls to the service: a browser records all its calls.

    Otherwise it may be a recording of a gateway, and every known path is included.
    """
    hosts = [urlsplit(entry.request.url).hostname or "" for entry in entries]
    if not any(map(_is_of_service, hosts)):
        return 0
    of_service = [entry for entry, host in zip(entries, hosts, strict=True) if _is_of_service(host) or host in _LOCAL]
    entries[:] = of_service
    return len(hosts) - len(of_service)


def _is_of_service(host: str) -> bool:
    return host == SERVICE_DOMAIN or host.endswith(f".{SERVICE_DOMAIN}")


def _time(exchange: ForeignExchange) -> str:
    """Return when a request began, in RFC 3339: from the file, else from the Date of the response, else empty."""
    moment = _date(exchange.started)  # as Ruby writes it
    with suppress(ValueError):
        moment = datetime.fromisoformat(exchange.started)
    if moment is None or moment.tzinfo is None:
        date = _date(value_of(exchange.response_headers, "date"))
        moment = date or (None if moment is None else moment.replace(tzinfo=UTC))
    return _shown(moment)


def _date(text: str | None) -> datetime | None:
    try:
        return None if text is None else parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _shown(moment: datetime | None) -> str:
    if moment is None or moment.year not in YEARS:
        return ""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return rfc3339(since // timedelta(microseconds=1))


def _fill_times(entries: list[Entry]) -> None:
    """Give an entry without a time that of the previous one, to keep the order of the file."""
    last = next((entry.started for entry in entries if entry.started), "")
    for entry in entries:
        entry.started = last = entry.started or last
