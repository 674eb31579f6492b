"""HTTP through the recorder: what passes, what is noted, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

import httpx
import pytest
from msgspec import UNSET

from emulator import Emulator
from emulator.domain.keys import Plane
from emulator.recorder import upstream
from emulator.recorder.server import Recorder
from emulator.recordings.entries import Entry, PostData, header
from emulator.recordings.reading import read
from tests.recorder.conftest import REAL_KEYS
from tests.recorder.raw import RawConnection, RawServer, connect
from tests.serving import PATIENCE_SECONDS, until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def client(recorder: Recorder, plane: Plane = Plane.INFERENCE) -> httpx.Client:
    return httpx.Client(
        base_url=recorder.url,
        headers={"authorization": f"Bearer {recorder.keys.of_run[plane]}"},
        timeout=PATIENCE_SECONDS,
        trust_env=False,
    )


def entries(recorder: Recorder, count: int) -> list[Entry]:
    """The entries of the file, in the order of arrival, once there are so many."""
    until(lambda: recorder.journal.counts["exchanges"] + recorder.journal.lost >= count)
    return sorted(read(recorder._options.out).entries, key=lambda entry: entry.number or 0)


@pytest.fixture
def recorder(service: Emulator, record: Callable[..., Recorder]) -> Recorder:
    service.reset()
    return record(service.url)


def test_upload_and_download_pass_and_are_recorded(recorder: Recorder) -> None:
    with client(recorder) as http:
        file = http.post("/v1/files", files={"file": ("a.txt", b"the content")}, data={"purpose": "assistants"}).json()
        content = http.get(f"/v1/files/{file['id']}/content").content
    assert content == b"the content"
    upload, download = entries(recorder, 2)
    assert (upload.operation, download.operation) == ("files.upload", "files.content")
    assert upload.response.status == 200
    params = {param.name: param for param in upload.request.body.params}
    assert params["purpose"].value == "assistants"
    assert (params["file"].filename, params["file"].size) == ("a.txt", 11)
    assert download.response.body.size == 11
    assert "the content" not in recorder._options.out.read_text()


def test_real_key_is_sent_to_the_service_for_a_key_of_the_run(record: Callable[..., Recorder]) -> None:
    seen: list[bytes] = []

    def script(connection: RawConnection) -> None:
        seen.append(connection.until(b"\r\n\r\n"))
        connection.send(OK)

    with RawServer(script) as server:
        recorder = record(server.url)
        for plane in (Plane.INFERENCE, Plane.MANAGEMENT):
            with client(recorder, plane) as http:
                assert http.get("/v1/files").text == "ok"
    assert [REAL_KEYS[plane].encode() in head for plane, head in zip(REAL_KEYS, seen, strict=True)] == [True, True]


@pytest.mark.parametrize("key", ["xai-another-key", None])
def test_real_key_is_not_sent_for_another_key(record: Callable[..., Recorder], key: str | None) -> None:
    seen: list[bytes] = []

    def script(connection: RawConnection) -> None:
        seen.append(connection.until(b"\r\n\r\n"))
        connection.send(OK)

    with RawServer(script) as server:
        recorder = record(server.url)
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        httpx.get(f"{recorder.url}/v1/files", headers=headers, trust_env=False)
    assert all(real.encode() not in seen[0] for real in REAL_KEYS.values())
    assert (b"authorization" in seen[0].lower()) == (key is not None)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"host": "evil.example"},
        {"host": "rebound.evil.example:7878"},
    ],
)
def test_call_of_a_web_page_or_rebound_name_is_refused_and_not_forwarded(
    record: Callable[..., Recorder], headers: dict[str, str]
) -> None:
    def script(connection: RawConnection) -> None:
        raise AssertionError("the call was forwarded")

    with RawServer(script) as server:
        recorder = record(server.url)
        with client(recorder) as http:
            assert http.get("/v1/files", headers=headers).status_code == 403
        (entry,) = entries(recorder, 1)
        assert entry.by == "recorder"


def test_plane_without_a_key_is_refused_here(service: Emulator, record: Callable[..., Recorder]) -> None:
    recorder = record(service.url, keys={Plane.INFERENCE: REAL_KEYS[Plane.INFERENCE]})
    with client(recorder, Plane.MANAGEMENT) as http:
        reply = http.get("/v1/collections")
    assert (reply.status_code, "XAI_MANAGEMENT_KEY was not set" in reply.text) == (401, True)


def test_own_keys_of_clients_pass_and_no_key_is_put_in(service: Emulator, record: Callable[..., Recorder]) -> None:
    recorder = record(service.url, own_keys=True)
    with client(recorder) as http:
        assert http.get("/v1/files").status_code == 401
        assert http.get("/v1/files", headers={"authorization": "Bearer xai-mine"}).status_code == 200


def test_budget_spent_is_refused_here(service: Emulator, record: Callable[..., Recorder]) -> None:
    recorder = record(service.url, budget=2)
    with client(recorder) as http:
        assert [http.get("/v1/files").status_code for _ in range(3)] == [200, 200, 429]
    assert entries(recorder, 3)[-1].by == "recorder"


def test_control_paths_are_never_forwarded(service: Emulator, record: Callable[..., Recorder]) -> None:
    recorder = record(service.url)
    with client(recorder) as http:
        assert http.get("/_emulator/health").status_code == 404
        assert http.post("/_emulator/reset").status_code == 404
        assert http.get("/_emulator/recorder").json()["recorder"] is True
    assert recorder.journal.counts["exchanges"] == 0


def test_case_becomes_a_page(recorder: Recorder) -> None:
    with client(recorder) as http:
        named = {"x-emulator-case": "files.list", "x-emulator-sentence": "Files are listed"}
        http.put("/_emulator/recorder", headers=named)
        http.get("/v1/files")
        http.put("/_emulator/recorder")
        http.get("/v1/files")
    inside, outside = entries(recorder, 2)
    assert inside.page == "files.list"
    assert not isinstance(outside.page, str)
    (page,) = read(recorder._options.out).log.pages
    assert (page.id, page.title) == ("files.list", "Files are listed")


def test_case_of_a_caller_without_a_key_of_the_run_is_refused(recorder: Recorder) -> None:
    assert httpx.put(f"{recorder.url}/_emulator/recorder", trust_env=False).status_code == 401


def test_unreachable_service_is_502_and_marked(record: Callable[..., Recorder]) -> None:
    recorder = record("http://127.0.0.1:1")
    with client(recorder) as http:
        reply = http.get("/v1/files")
    assert (reply.status_code, "Connect" in reply.text) == (502, True)
    assert entries(recorder, 1)[0].by == "recorder"


def test_early_refusal_of_an_upload_reaches_the_client(record: Callable[..., Recorder]) -> None:
    """The service answers and closes with most of the body unread; httpx and others lose such an answer."""
    answered = threading.Event()

    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 5\r\nconnection: close\r\n\r\nlarge")
        answered.wait(PATIENCE_SECONDS)

    with RawServer(script) as server:
        recorder = record(server.url)
        with closing(connect(recorder.port.number)) as raw:
            raw.send(b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 1000)
            assert raw.until(b"large").startswith(b"HTTP/1.1 413")
            answered.set()
    (entry,) = entries(recorder, 1)
    assert (entry.response.status, entry.response.body.size) == (413, 5)


@pytest.mark.parametrize("framing", [b"content-length: 2", b"transfer-encoding: chunked"])
def test_body_that_follows_an_early_answer_is_recorded_and_passed_on(
    record: Callable[..., Recorder], framing: bytes
) -> None:
    """A cancel is answered by its path alone: its body may come later than the answer."""
    body = b"{}" if b"length" in framing else b"2\r\n{}\r\n0\r\n\r\n"
    got: list[bytes] = []

    def script(connection: RawConnection) -> None:
        for _ in range(2):
            connection.until(b"\r\n\r\n")
            connection.send(OK)
            got.append(connection.until(body))

    with RawServer(script) as server:
        recorder = record(server.url)
        with closing(connect(recorder.port.number)) as raw:
            for _ in range(2):
                head = b"POST /v1/batches/batch_1:cancel HTTP/1.1\r\nhost: localhost\r\n%b\r\n" % framing
                raw.send(head + b"content-type: application/json\r\n\r\n")
                raw.until(b"\r\n\r\nok")
                raw.send(body)
    assert got == [body, body]
    for entry in entries(recorder, 2):
        assert isinstance(entry.request.body, PostData)
        assert (entry.request.body.text, entry.request.body_size, entry.error) == ("{}", 2, UNSET)


def test_body_that_a_closing_service_does_not_read_is_recorded(record: Callable[..., Recorder]) -> None:
    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")

    with RawServer(script) as server:
        recorder = record(server.url)
        with closing(connect(recorder.port.number)) as raw:
            body = b'{"name": "%b"}' % (b"n" * 300_000)
            head = b"POST /v1/batches HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body)
            raw.send(head)
            raw.until(b"\r\n\r\nno")
            raw.send(body)
            (entry,) = entries(recorder, 1)
    assert isinstance(entry.request.body, PostData)
    assert (entry.response.status, entry.request.body.text) == (401, body.decode())


def test_client_that_sends_no_more_after_an_early_answer_is_not_waited_for(
    record: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "REST_SECONDS", 0.01)

    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 413 Payload Too Large\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
        connection.rest()

    with RawServer(script) as server:
        recorder = record(server.url)
        with closing(connect(recorder.port.number)) as raw:
            raw.send(b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n")
            assert raw.until(b"0\r\n\r\n").startswith(b"HTTP/1.1 413")


def test_answer_that_cannot_be_passed_on_fails_the_run(record: Callable[..., Recorder]) -> None:
    """Such as one with a status that HTTP does not know: the exchange is noted and counted."""

    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 799 Odd\r\ncontent-length: 2\r\n\r\nok")

    with RawServer(script) as server:
        recorder = record(server.url)
        with closing(connect(recorder.port.number)) as raw:
            raw.send(b"GET /v1/files HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert raw.rest() == b""
    until(lambda: recorder.journal.counts["exchanges"])
    (entry,) = entries(recorder, 1)
    assert (entry.response.status, recorder.journal.lost) == (799, 1)


@pytest.mark.parametrize("half", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf"])
def test_service_that_hangs_up_is_a_dropped_connection(record: Callable[..., Recorder], half: bytes) -> None:
    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(half)

    with RawServer(script) as server:
        recorder = record(server.url)
        with closing(connect(recorder.port.number)) as raw:
            raw.send(b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
            assert raw.rest().endswith(half.partition(b"\r\n\r\n")[2])
    (entry,) = entries(recorder, 1)
    assert "closed the connection" in str(entry.error)
    assert entry.response.status == (200 if half else 0)


def test_client_that_leaves_an_upload_ends_it_at_the_service(record: Callable[..., Recorder]) -> None:
    began, ended = threading.Event(), threading.Event()

    def script(connection: RawConnection) -> None:
        connection.until(b"half")
        began.set()
        assert connection.rest() == b""
        ended.set()

    with RawServer(script) as server:
        recorder = record(server.url)
        raw = connect(recorder.port.number)
        raw.send(b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nhalf")
        assert began.wait(PATIENCE_SECONDS)
        raw.close()
        assert ended.wait(PATIENCE_SECONDS)
    assert entries(recorder, 1)[0].error == "the client left"


def test_client_that_leaves_an_answer_ends_it_at_the_service(record: Callable[..., Recorder]) -> None:
    ended = threading.Event()

    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
        assert connection.rest() == b""
        ended.set()

    with RawServer(script) as server:
        recorder = record(server.url)
        raw = connect(recorder.port.number)
        raw.send(b"GET /v1/files HTTP/1.1\r\nhost: localhost\r\n\r\n")
        raw.until(b"half")
        raw.close()
        assert ended.wait(PATIENCE_SECONDS)
    assert entries(recorder, 1)[0].error == "the client left"


def test_pieces_of_an_answer_pass_as_they_come(record: Callable[..., Recorder]) -> None:
    """The service sends the next piece only when the client has the last one."""
    got = threading.Semaphore(0)

    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(3):
            connection.send(b"9\r\ndata: %d\n\n\r\n" % number)
            assert got.acquire(timeout=PATIENCE_SECONDS)
        connection.send(b"0\r\n\r\n")

    with RawServer(script) as server:
        recorder = record(server.url)
        with closing(connect(recorder.port.number)) as raw:
            raw.send(b"GET /v1/files HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            for number in range(3):
                raw.until(b"data: %d" % number)
                got.release()
            raw.until(b"0\r\n\r\n")
    assert entries(recorder, 1)[0].response.body.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


@pytest.mark.parametrize(
    "target",
    [b"/v1/batches/batch_1%3Acancel%2Fx", b"/v1/files?filter=a%20=%22b%22&x={y}|z", b"/v1/a+b/../c", b"/v1/files?"],
)
def test_target_passes_as_it_is(record: Callable[..., Recorder], target: bytes) -> None:
    seen: list[bytes] = []

    def script(connection: RawConnection) -> None:
        seen.append(connection.until(b"\r\n\r\n"))
        connection.send(OK)

    with RawServer(script) as server, closing(connect(record(server.url).port.number)) as raw:
        raw.send(b"GET %b HTTP/1.1\r\nhost: localhost\r\n\r\n" % target)
        raw.until(b"\r\n\r\nok")
    assert seen[0].split(b" ")[1] == target.removesuffix(b"?")


def test_headers_pass_but_for_those_of_the_connection(record: Callable[..., Recorder]) -> None:
    seen: list[bytes] = []

    def script(connection: RawConnection) -> None:
        seen.append(connection.until(b"\r\n\r\n").lower())
        connection.send(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nKeep-Alive: timeout=5\r\nX-Case: Kept\r\n"
            b"content-length: 2\r\n\r\nok"
        )

    with RawServer(script) as server, closing(connect(record(server.url).port.number)) as raw:
        raw.send(b"GET /v1/files HTTP/1.1\r\nhost: localhost\r\nX-Two: 1\r\nX-Two: 2\r\nKeep-Alive: 5\r\n\r\n")
        answer = raw.until(b"\r\n\r\nok").lower()
    assert seen[0].count(b"x-two") == 2
    assert b"keep-alive" not in seen[0]
    assert answer.count(b"set-cookie") == 2
    assert b"keep-alive: timeout" not in answer
    assert b"host: localhost\r\n" not in seen[0]


def test_chunked_and_empty_requests_keep_their_framing(record: Callable[..., Recorder]) -> None:
    seen: list[bytes] = []

    def script(connection: RawConnection) -> None:
        for end in (b"0\r\n\r\n", b"\r\n\r\n", b"\r\n\r\n"):
            seen.append(connection.until(end).lower())
            connection.send(OK)

    with RawServer(script) as server, closing(connect(record(server.url).port.number)) as raw:
        for request in (
            b"POST /v1/a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"POST /v1/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n",
            b"DELETE /v1/a HTTP/1.1\r\nhost: localhost\r\n\r\n",
        ):
            raw.send(request)
            raw.until(b"\r\n\r\nok")
    chunked, empty, bare = seen
    assert b"transfer-encoding: chunked" in chunked
    assert b"5\r\nhello\r\n" in chunked
    assert b"content-length: 0" in empty
    assert b"content-length" not in bare
    assert b"transfer-encoding" not in bare


def test_redirect_is_passed_on_with_the_reason_phrase_and_not_followed(record: Callable[..., Recorder]) -> None:
    asked: list[bytes] = []

    def script(connection: RawConnection) -> None:
        asked.append(connection.until(b"\r\n\r\n"))
        connection.send(b"HTTP/1.1 307 Go There\r\nlocation: /v1/elsewhere\r\ncontent-length: 0\r\n\r\n")

    with RawServer(script) as server:
        recorder = record(server.url)
        with client(recorder) as http:
            reply = http.get("/v1/files", follow_redirects=False)
    assert (reply.status_code, reply.headers["location"], len(asked)) == (307, "/v1/elsewhere", 1)
    response = entries(recorder, 1)[0].response
    assert (response.status_text, response.redirect_url) == ("Go There", "/v1/elsewhere")


def test_expectation_is_answered_here_and_not_passed_on(record: Callable[..., Recorder]) -> None:
    seen: list[bytes] = []

    def script(connection: RawConnection) -> None:
        seen.append(connection.until(b"\r\n\r\n").lower() + connection.exactly(2))
        connection.send(OK)

    with RawServer(script) as server, closing(connect(record(server.url).port.number)) as raw:
        raw.send(b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert raw.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        raw.send(b"{}")
        raw.until(b"\r\n\r\nok")
    assert b"expect" not in seen[0]
    assert seen[0].endswith(b"{}")


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n"),
    ],
)
def test_answer_without_a_body_ends_with_its_head(
    record: Callable[..., Recorder], method: bytes, answer: bytes
) -> None:
    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(answer)
        connection.rest()

    with RawServer(script) as server:
        recorder = record(server.url)
        with closing(connect(recorder.port.number)) as raw:
            raw.send(b"%b /v1/files HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n" % method)
            assert raw.rest().split(b"\r\n")[0].split(b" ")[1] == answer.split(b" ")[1]


def test_interim_answers_are_passed_over(record: Callable[..., Recorder]) -> None:
    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK)

    with RawServer(script) as server:
        recorder = record(server.url)
        with client(recorder) as http:
            reply = http.get("/v1/files")
    assert (reply.status_code, reply.text, "link" in reply.headers) == (200, "ok", False)


def test_kept_connection_that_has_ended_is_opened_again(record: Callable[..., Recorder]) -> None:
    closed = threading.Event()

    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(OK)
        connection.close()
        closed.set()

    with RawServer(script) as server:
        recorder = record(server.url)
        with client(recorder) as http:
            for _ in range(3):
                assert http.get("/v1/files").text == "ok"
                assert closed.wait(PATIENCE_SECONDS)
                closed.clear()


def test_compressed_answer_passes_compressed_and_is_recorded_readable(record: Callable[..., Recorder]) -> None:
    import gzip

    packed = gzip.compress(b'{"data":[]}')

    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
        )
        connection.send(head % len(packed) + packed)

    with RawServer(script) as server:
        recorder = record(server.url)
        with client(recorder) as http:
            reply = http.get("/v1/files")
    assert (reply.headers["content-encoding"], reply.json()) == ("gzip", {"data": []})
    assert entries(recorder, 1)[0].response.body.text == '{"data":[]}'


def test_failing_capture_does_not_fail_the_call_but_the_run(
    service: Emulator, record: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    from emulator.recordings.capture import BodyCapture

    def fail(self: BodyCapture, data: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(BodyCapture, "write", fail)
    recorder = record(service.url)
    with client(recorder) as http:
        assert http.get("/v1/files").status_code == 200
    until(lambda: recorder.journal.counts["exchanges"])
    assert recorder.journal.lost == 1


def test_failing_writer_does_not_fail_the_call_but_the_run(
    service: Emulator, record: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    from emulator.recordings.sanitize import Sanitizer

    monkeypatch.setattr(Sanitizer, "encode", lambda self, entry: 1 / 0)
    recorder = record(service.url)
    with client(recorder) as http:
        assert http.get("/v1/files").status_code == 200
    until(lambda: recorder.journal.lost)
    assert recorder.journal.counts["exchanges"] == 0


def test_unknown_path_passes_and_only_its_lengths_are_kept(record: Callable[..., Recorder]) -> None:
    def script(connection: RawConnection) -> None:
        connection.until(b"prompt")
        connection.send(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{"a": "b"}')

    with RawServer(script) as server:
        recorder = record(server.url)
        with client(recorder) as http:
            assert http.post("/v1/not/known", json={"x": "prompt"}).json() == {"a": "b"}
    (entry,) = entries(recorder, 1)
    assert entry.operation is None
    assert (entry.response.body.size, isinstance(entry.response.body.text, str)) == (10, False)
    assert "prompt" not in recorder._options.out.read_text()
    assert header(entry.request.headers, "authorization") == "Bearer [inference key]"


def test_connection_to_the_service_is_kept_while_the_client_keeps_its_own(record: Callable[..., Recorder]) -> None:
    connections: list[RawConnection] = []

    def script(connection: RawConnection) -> None:
        connections.append(connection)
        for _ in range(3):
            connection.until(b"}")
            connection.send(OK)

    with RawServer(script) as server:
        recorder = record(server.url)
        with client(recorder) as http:
            for _ in range(3):
                assert http.post("/v1/batches", json={"name": "n"}).text == "ok"
    assert len(connections) == 1
