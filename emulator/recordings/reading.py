"""Read a recording of any program. Any file gives a recording or a BadRecording error."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import msgspec

from emulator.recordings import cassettes
from emulator.recordings.bounded_json import BAD_JSON
from emulator.recordings.bounded_yaml import BadYaml
from emulator.recordings.entries import Log
from emulator.recordings.foreign import ForeignExchange, convert
from emulator.recordings.har import ENTRIES_MAX, FILE_BYTES_MAX, BadRecording, Recording, parse

CASSETTE_BYTES_MAX = 64 * 1024 * 1024  # of YAML, which is slow to read
_BOM = b"\xef\xbb\xbf"
_FLOWS = re.compile(rb"\d{1,12}:\d{1,12}:[a-z]")  # a dictionary of netstrings
_YAML_CASSETTE = re.compile(rb"^(?:http_)?interactions:", re.MULTILINE)
_JSON_CASSETTE = re.compile(rb'\{\s*"(?:http_interactions|interactions|version|recorded_with)"')
_EVENTS = b'{"Initialize"'
_PACKED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")  # gzip, and zlib at its four levels


def read(path: Path) -> Recording:
    """Read a HAR file, a cassette or a report of schemathesis. Raises BadRecording and OSError."""
    if not path.is_file() and path.exists():
        raise BadRecording(f"{path}: this is no file")
    if path.stat().st_size > FILE_BYTES_MAX:
        raise BadRecording(f"{path}: the file has more than {FILE_BYTES_MAX} bytes")
    return decode(path.read_bytes(), path)


def decode(data: bytes, path: Path) -> Recording:
    """Read the bytes of a file; `path` names it in errors. Raises BadRecording."""
    data = _unpacked(data, path).removeprefix(_BOM).lstrip()
    if _FLOWS.match(data):
        raise BadRecording(
            f"{path}: these are flows of mitmproxy; export them: mitmdump -nr {path.name} --set hardump={path.stem}.har"
        )
    if data.startswith(_EVENTS):
        return _converted(path, cassettes.exchanges_of_ndjson(data))
    if _JSON_CASSETTE.match(data):
        found = _json_cassette(data)
        if found is not None:
            return _converted(path, found)
    if not data.startswith(b"{") and _YAML_CASSETTE.search(data):
        return _converted(path, _yaml_cassette(data, path))
    return parse(data, path)


def _converted(path: Path, exchanges: list[ForeignExchange | None]) -> Recording:
    if len(exchanges) > ENTRIES_MAX:
        raise BadRecording(f"{path}: the file has more than {ENTRIES_MAX} exchanges")
    found = convert(exchanges)
    return Recording(path, Log(), found.entries, found.unreadable, found.elsewhere, found.lacks_contents)


def _json_cassette(data: bytes) -> list[ForeignExchange | None] | None:
    try:
        value: Any = msgspec.json.decode(data)
    except BAD_JSON:
        return None
    return cassettes.exchanges_of(value)


def _yaml_cassette(data: bytes, path: Path) -> list[ForeignExchange | None]:
    if len(data) > CASSETTE_BYTES_MAX:
        raise BadRecording(f"{path}: the cassette has more than {CASSETTE_BYTES_MAX} bytes")
    try:
        found = cassettes.exchanges_of_yaml(data)
    except BadYaml as error:
        raise BadRecording(f"{path}: this is no cassette: {error}") from None
    if found is None:
        raise BadRecording(f"{path}: this is no cassette: it has no list of interactions")
    return found


def _unpacked(data: bytes, path: Path) -> bytes:
    """Decompress a file: mitmproxy writes .zhar, and large files may be .har.gz."""
    if not data.startswith(_PACKED):
        return data
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        plain = decoder.decompress(data, FILE_BYTES_MAX)
    except zlib.error as error:
        raise BadRecording(f"{path}: this is no HAR file: {error}") from None
    if not decoder.eof:
        raise BadRecording(f"{path}: the compressed file is cut off, or has more than {FILE_BYTES_MAX} bytes")
    return plain
