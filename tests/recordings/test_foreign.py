"""Files of other programs, each in the form in which that program writes it."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from emulator.recordings.entries import Grpc, PostData, header
from emulator.recordings.har import BadRecording, Recording
from emulator.recordings.reading import decode, read

FOLDER = Path(__file__).parent / "foreign"
FILES = sorted(path.name for path in FOLDER.iterdir())
WITH_GRPC = ["http-toolkit.har", "mitmproxy.har", "proxyman.har"]
REST = ["files.upload", "files.content", "batches.create", "batches.get", "files.get"]


def decoded(value: Any) -> Recording:
    return decode(json.dumps(value).encode(), Path("x.har"))


def har(request: dict[str, Any], response: dict[str, Any], **more: Any) -> Recording:
    """A HAR file with one entry."""
    asked = {"method": "POST", "url": "https://api.x.ai/v1/batches", **request}
    return decoded({"log": {"entries": [{"request": asked, "response": {"status": 200, **response}, **more}]}})


@pytest.mark.parametrize("name", FILES)
def test_file_of_each_program_is_read_with_its_bodies(name: str) -> None:
    recording = read(FOLDER / name)
    entries = [entry for entry in recording.entries if entry.response.status and entry.operation]
    assert [entry.operation for entry in entries] == REST + ["files.get"] * 2 * (name in WITH_GRPC)
    upload, download, created = entries[:3]
    assert upload.started == "2026-11-21T12:00:00.000000Z"
    params = {param.name: param for param in upload.request.body.params}
    assert (params["purpose"].value, params["file"].filename) == ("assistants", "notes.txt")
    if name == "chrome.har":
        assert (params["file"].size, params["file"].value, recording.lacks_contents) == (19, UNSET, True)
    else:
        assert (params["file"].value, recording.lacks_contents) == ("The notes of today.", False)
    assert (download.response.body.size, download.response.body.text) == (19, UNSET)
    assert created.request.body.text == '{"name":"evals"}'
    assert json.loads(str(created.response.body.text))["name"] == "evals"
    assert recording.unreadable == 0


@pytest.mark.parametrize("name", WITH_GRPC)
def test_grpc_frames_are_read_as_messages(name: str) -> None:
    found, missing = [entry.grpc for entry in read(FOLDER / name).entries[-2:]]
    assert isinstance(found, Grpc)
    assert (found.status, list(found.request[0]), found.response[0]["filename"]) == ("OK", ["file_id"], "notes.txt")
    assert (missing.status, missing.response, missing.message) == ("NOT_FOUND", [], "File not found")
    assert (found.messages, missing.messages) == (UNSET, UNSET)


def test_calls_to_other_hosts_are_left_out_where_there_are_calls_to_the_service() -> None:
    recording = read(FOLDER / "chrome.har")
    assert recording.elsewhere == 1
    assert {entry.request.url.split("/")[2] for entry in recording.entries} == {"api.x.ai"}


def test_calls_through_a_gateway_are_kept_where_none_is_to_the_service() -> None:
    recording = har({"url": "https://gateway.example/v1/batches"}, {})
    assert (recording.elsewhere, recording.entries[0].operation) == (0, "batches.create")


def test_operation_and_plane_are_told_from_the_url_and_not_believed() -> None:
    entry = {
        "request": {"method": "POST", "url": "https://api.x.ai/_emulator/reset"},
        "_operation": "files.list",
        "_plane": "inference",
    }
    log = {"_xai_emulator": {"to": ["https://api.x.ai"]}, "entries": [entry]}
    assert decoded({"log": log}).entries[0].operation is None


def test_grpc_of_the_management_plane_is_known_as_such() -> None:
    request = {"url": "https://management-api.x.ai/collections.Collections/ListCollections"}
    entry = har(request, {"content": {"mimeType": "application/grpc", "text": ""}}).entries[0]
    assert (entry.operation, entry.plane) == ("collections.list", "management")


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ([["x-a", "1"]], ["x-a"]),
        ({"x-a": "1"}, ["x-a"]),
        ([{"name": "x-a", "value": 1}, {"name": "x-b"}, {"value": "lost"}, None], ["x-a", "x-b"]),
        (None, []),
        ("x-a: 1", []),
    ],
)
def test_headers_are_read_in_every_form(headers: Any, names: list[str]) -> None:
    """Slack writes lists of two."""
    assert [pair.name for pair in har({"headers": headers}, {}).entries[0].request.headers] == names


@pytest.mark.parametrize(
    "content",
    [
        {"text": '{"a":1}'},
        {"text": base64.b64encode(b'{"a":1}').decode(), "encoding": "base64"},
        {"text": base64.b64encode(gzip.compress(b'{"a":1}')).decode(), "encoding": "base64"},
        {"text": json.dumps([gzip.compress(b'{"a":1}').hex()]), "_isBinary": True},
    ],
)
def test_answer_is_read_in_every_encoding(content: dict[str, Any]) -> None:
    recording = har(
        {}, {"content": {"mimeType": "application/json", **content}, "headers": {"content-encoding": "gzip"}}
    )
    assert recording.entries[0].response.body.text == '{"a":1}'


@pytest.mark.parametrize("text", [None, "not base64 at all!", '["zz"]', "["])
def test_answer_that_cannot_be_decoded_is_as_one_that_is_missing(text: str | None) -> None:
    entry = har(
        {}, {"content": {"mimeType": "application/json", "text": text, "encoding": "base64", "size": 7}}
    ).entries[0]
    assert (entry.response.body.text, entry.response.body.digest, entry.response.body.size) == (UNSET, UNSET, 7)


@pytest.mark.parametrize(
    ("started", "date", "found"),
    [
        ("2026-11-21T13:00:00.5+01:00", None, "2026-11-21T12:00:00.500000Z"),
        ("2026-11-21T12:00:00", "Sat, 21 Nov 2026 09:00:00 GMT", "2026-11-21T09:00:00.000000Z"),
        ("2026-11-21T12:00:00", None, "2026-11-21T12:00:00.000000Z"),
        ("yesterday", "Sat, 21 Nov 2026 09:00:00 GMT", "2026-11-21T09:00:00.000000Z"),
        ("yesterday", "today", ""),
        ("9999-12-31T23:59:59Z", None, ""),
        ("0001-01-01T00:00:00+14:00", None, ""),
    ],
)
def test_time_is_that_of_the_file_or_of_the_date_header(started: str, date: str | None, found: str) -> None:
    headers = {} if date is None else {"Date": date}
    assert har({}, {"headers": headers}, startedDateTime=started).entries[0].started == found


def test_frames_that_are_compressed_are_read() -> None:
    def frame(message: bytes, flag: int) -> str:
        return base64.b64encode(bytes([flag]) + len(message).to_bytes(4, "big") + message).decode()

    request = {
        "url": "https://api.x.ai/xai_api.Files/RetrieveFile",
        "headers": {"content-type": "application/grpc", "grpc-encoding": "gzip"},
        "postData": {"text": frame(gzip.compress(b"\x0a\x03abc"), 1), "encoding": "base64"},
    }
    response = {"headers": {"grpc-status": "5"}, "content": {"text": "", "mimeType": "application/grpc"}}
    call = har(request, response).entries[0].grpc
    assert isinstance(call, Grpc)
    assert (call.request, call.status) == ([{"file_id": "abc"}], "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\0\0\0\0\5abc", "0"),  # cut off
        (b"\2\0\0\0\0", "0"),  # no flag
        (b"\1\0\0\0\1x", "0"),  # compressed with nothing that is named
        (b"\0\0\0\0\1\xff", "0"),  # no message
        (b"\0\0\0\0\0", "99"),
        (b"\0\0\0\0\0", ""),
    ],
)
def test_frames_that_cannot_be_read_are_only_counted(body: bytes, status: str) -> None:
    request = {
        "url": "https://api.x.ai/xai_api.Files/RetrieveFile",
        "postData": {"mimeType": "application/grpc", "text": base64.b64encode(body).decode(), "encoding": "base64"},
    }
    call = har(request, {"headers": {"grpc-status": status}, "content": {}}).entries[0].grpc
    assert isinstance(call, Grpc)
    assert call.messages is not UNSET


def test_frames_that_decompress_to_more_than_a_call_may_have_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from emulator.rpc import frames

    monkeypatch.setattr(frames, "BYTES_MAX", 1000)
    packed = gzip.compress(bytes(2000))
    with pytest.raises(ValueError, match="too long"):
        frames.split_frames(b"\1" + len(packed).to_bytes(4, "big") + packed, "gzip")


@pytest.mark.parametrize("length", ["bodySize", "content-length"])
@pytest.mark.parametrize("name", ["notes ü.txt", "notes ☃.txt", "notes.txt"])
def test_form_with_a_character_for_each_byte_is_read_by_its_length(name: str, length: str) -> None:
    """As mitmproxy 11 writes it: the name is in UTF-8, and the file has every byte."""
    content = bytes(range(256)) if "ü" in name else "Some words. ☃".encode()
    raw = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n%b\r\n--b--\r\n'
    raw %= (name.encode(), content)
    request: dict[str, Any] = {
        "method": "POST",
        "url": "https://api.x.ai/v1/files",
        "headers": [{"name": "content-type", "value": "multipart/form-data; boundary=b"}],
        "postData": {"mimeType": "multipart/form-data; boundary=b", "text": raw.decode("latin-1")},
    }
    if length == "bodySize":
        request["bodySize"] = len(raw)
    else:
        request["headers"].append({"name": "content-length", "value": str(len(raw))})
    body = har(request, {"status": 200}).entries[0].request.body
    assert isinstance(body, PostData)
    assert isinstance(body.params, list)
    assert (body.params[0].filename, body.params[0].size) == (name, len(content))


def test_text_in_utf8_is_not_taken_for_bytes() -> None:
    text = json.dumps({"name": "ü"}, ensure_ascii=False)
    post = {"mimeType": "application/json", "text": text}
    for size in (len(text.encode()), 0, 1):
        request = {"method": "POST", "url": "https://api.x.ai/v1/batches", "headers": [], "postData": post}
        body = har({**request, "bodySize": size}, {"status": 200}).entries[0].request.body
        assert isinstance(body, PostData)
        assert body.text == text


@pytest.mark.parametrize(
    ("mime_type", "text", "size", "length"),
    [
        ("application/octet-stream", bytes(range(256)).decode("latin-1"), 256, 256),
        ("application/octet-stream", "Öl", 3, 3),
        ("text/plain", "Öl", 2, 3),  # of a program that counts characters
        ("text/plain", "Öl".encode().decode("latin-1"), 3, 3),
    ],
)
def test_answer_with_a_character_for_each_byte_has_the_length_of_its_bytes(
    mime_type: str, text: str, size: int, length: int
) -> None:
    content = {"mimeType": mime_type, "text": text, "size": size}
    request = {"method": "GET", "url": "https://api.x.ai/v1/files/file_1/content"}
    assert har(request, {"content": content}).entries[0].response.body.size == length


def test_form_without_its_bytes_is_read_from_its_params() -> None:
    params = [{"name": "purpose", "value": "assistants"}, {"name": "file", "fileName": "a.txt", "value": None}]
    request = {"url": "https://api.x.ai/v1/files", "postData": {"mimeType": "multipart/form-data", "params": params}}
    body = har(request, {"content": {"text": '{"bytes": 7}', "mimeType": "application/json"}}).entries[0].request.body
    assert isinstance(body, PostData)
    assert [(param.name, param.value, param.size) for param in body.params] == [
        ("purpose", "assistants", UNSET),
        ("file", UNSET, 7),
    ]


def test_file_beside_the_har_of_another_program_is_not_named() -> None:
    params = [{"name": "file", "fileName": "a.txt", "_file": "x.files/1.bin", "value": "v"}]
    request = {"url": "https://api.x.ai/v1/files", "postData": {"mimeType": "multipart/form-data", "params": params}}
    body = har(request, {}).entries[0].request.body
    assert isinstance(body, PostData)
    assert [param.file for param in body.params] == [UNSET]


def test_flows_of_mitmproxy_are_refused_with_the_command_that_exports_them() -> None:
    with pytest.raises(BadRecording, match=r"mitmdump -nr live --set hardump=live.har"):
        decode(b"2313:9:websocket;0:~8:response;1990:6:reason;2:OK;", Path("live"))


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_compressed_file_is_read(pack: Any) -> None:
    packed = pack((FOLDER / "mitmproxy.har").read_bytes())
    assert len(decode(packed, Path("live.zhar")).entries) == 7


def test_compressed_file_that_is_too_large_or_cut_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.recordings.reading.FILE_BYTES_MAX", 1000)
    for packed in (gzip.compress(bytes(5000)), gzip.compress(b"{}")[:-2], b"\x1f\x8bnone"):
        with pytest.raises(BadRecording):
            decode(packed, Path("x.har.gz"))


def test_file_with_too_many_exchanges_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.recordings.reading.ENTRIES_MAX", 3)
    monkeypatch.setattr("emulator.recordings.har.ENTRIES_MAX", 3)
    for name in ("vcrpy.yaml", "schemathesis.ndjson", "chrome.har"):
        with pytest.raises(BadRecording, match="more than 3"):
            read(FOLDER / name)


def test_newer_file_of_this_program_is_refused() -> None:
    with pytest.raises(BadRecording, match="newer"):
        decoded({"log": {"_xai_emulator": {"format": 2}, "entries": []}})


def test_authorization_that_a_program_has_struck_out_is_kept_as_it_is() -> None:
    entry = read(FOLDER / "schemathesis.yaml").entries[0]
    assert header(entry.request.headers, "authorization") == "[Filtered]"
