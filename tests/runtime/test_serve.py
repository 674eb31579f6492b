"""`xai-emulator serve` as a process: its one line, its end, what it loads, and what it keeps."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.core.version import VERSION
from tests.rpc.client import Rpc, data, init, message
from tests.serving import KEY, PATIENCE_SECONDS, READY, Served, run_serve, until

HALF_AN_UPLOAD = (
    b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer xai-emulator\r\nContent-Length: 100000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + bytes(50_000)
)


def refused(*flags: str | Path, **variables: str) -> tuple[int, str]:
    """A start that fails: its code and what it says, in one line on stderr."""
    code, out, err = run_serve(*flags, **variables)
    assert out == ""
    assert re.fullmatch(r"xai-emulator: [^\n]+\n", err), err
    return code, err


def within(limit: float, measure: Callable[[], float]) -> bool:
    """Whether something can be done in so many seconds: tried some times, for other programs may be busy meanwhile."""
    return any(measure() < limit for _ in range(6))


# --- the line, and the end


def test_stdout_is_one_line() -> None:
    """It says where both transports are, when they are open; what people may want to know is on stderr."""
    with Served(python=()) as served:
        assert served.pid == served.process.pid
        assert READY.fullmatch(served.line)[3] == str(served.port)  # type: ignore[index]
        assert httpx.get(f"{served.url}/_emulator/health").json()["version"] == VERSION
        with Rpc(f"localhost:{served.port}", "xai-emulator") as rpc:
            assert list(rpc.call("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest")).data) == []
        served.stop()
        assert served.stdout.read() == ""
    assert f"OpenAI(base_url='{served.url}/v1', api_key='xai-emulator')" in "".join(served.said)


def test_console_script_and_module_run_same_function() -> None:
    """`xai-emulator` and `python -m emulator` run the same function."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["xai-emulator"].partition(":")
    assert getattr(import_module(module), name) is import_module("emulator.__main__").main


def seconds_to_stop(number: signal.Signals) -> float:
    """Return how long a stop takes with an idle client, half a request, half an upload and a running gRPC call."""
    with Served(python=()) as served, Rpc(f"localhost:{served.port}", "xai-emulator") as rpc, httpx.Client() as idle:
        idle.get(f"{served.url}/_emulator/health")
        halves = [socket.create_connection(("localhost", served.port)) for _ in range(3)]
        for client, sent in zip(halves, (b"GET /v1/fi", HALF_AN_UPLOAD, b"PRI * HTTP/2.0"), strict=True):
            client.sendall(sent)
        arrived, go_on = threading.Event(), threading.Event()

        def stuck() -> Iterator[Any]:
            yield init()
            yield data(b"x")
            arrived.set()
            go_on.wait(PATIENCE_SECONDS)

        rpc.call("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest"))
        call = rpc.start("xai_api.Files/UploadFile", stuck())
        assert arrived.wait(PATIENCE_SECONDS)
        seconds = served.stop(number)
        go_on.set()
        assert call.exception() is not None
        for client in halves:
            client.close()
    assert not any("Traceback" in line for line in served.said), served.said
    return seconds


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_server_with_connected_clients(number: signal.Signals) -> None:
    """Exit code 0 and no traceback with an idle client, half a request, half an upload and a running gRPC call."""
    seconds_to_stop(number)


@pytest.mark.measure
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_server_within_a_second(number: signal.Signals) -> None:
    """With any client connected and any call running."""
    assert within(1, lambda: seconds_to_stop(number))


def test_taken_port_exits_with_one_line() -> None:
    """Code 1, and it says which."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        code, line = refused("--port", str(number))
    assert code == 1
    assert f"Port {number} is taken" in line


@pytest.mark.parametrize(
    ("flags", "variables", "words"),
    [
        (["--port", "x"], {}, "--port: 'x' is not a port number"),
        (["--port", "65536"], {}, "--port"),
        (["--port", "1" * 5000], {}, "is not a port number"),
        (["--data-dir", ""], {}, "--data-dir: it is empty"),
        ([], {"XAI_EMULATOR_SEED": ""}, "XAI_EMULATOR_SEED: it is empty"),
        (["--limit", f"file_bytes_max={'1' * 5000}"], {}, "is too large"),
        (["--public-url", "http://["], {}, "is not a URL"),
        (["--public-url", "http://a b"], {}, "is not a URL"),
        (["--random-seed", "\udcff"], {}, "--random-seed: '\\udcff' is not valid UTF-8"),
        (["--responder", "call:..:x"], {}, "responder: ..:x: TypeError"),
        (["--limit", "nope=1"], {}, "there is no limit named 'nope'"),
        (["--limit", "file_bytes_max"], {}, "NAME=VALUE"),
        (["--limit", "file_bytes_max=lots"], {}, "file_bytes_max"),
        (["--profile", "lax"], {}, "documented, strict, relaxed"),
        (["--auth", "none"], {}, "shape, strict, open"),
        (["--key", "abc"], {}, "KEY=inference"),
        (["--public-url", "localhost:1"], {}, "--public-url"),
        (["--host", ""], {}, "--host"),
        (["--nope"], {}, "--nope"),
        (["--por", "1"], {}, "--por"),
        (["here"], {}, "here"),
        ([], {"XAI_EMULATOR_PORT": "x"}, "XAI_EMULATOR_PORT: 'x' is not a port number"),
        ([], {"XAI_EMULATOR_LIMIT": "file_bytes_max=1 nope=2"}, "XAI_EMULATOR_LIMIT: there is no limit named 'nope'"),
        ([], {"XAI_EMULATOR_PROT": "1"}, "XAI_EMULATOR_PROT: there is no such setting"),
    ],
)
def test_invalid_setting_exits_with_one_line(flags: list[str], variables: dict[str, str], words: str) -> None:
    """Code 2, and it names the flag or the variable and what it may be."""
    code, line = refused(*flags, **variables)
    assert code == 2
    assert words in line


def test_flag_overrides_environment() -> None:
    """And the environment beats the default."""
    variables = {"XAI_EMULATOR_PORT": "99999999", "XAI_EMULATOR_LIMIT": "file_bytes_max=1 page_items_max=7"}
    with pytest.raises(AssertionError):
        Served("--port", "1", **{**variables, "XAI_EMULATOR_PORT": "y"})
    with Served("--limit", "file_bytes_max=5", XAI_EMULATOR_LIMIT=variables["XAI_EMULATOR_LIMIT"]) as served:
        limits = httpx.get(f"{served.url}/_emulator/limits").json()["limits"]
    assert limits["file_bytes_max"]["value"] == 5


# --- what it loads, and how fast


@pytest.mark.measure
def test_first_response_comes_within_half_a_second() -> None:
    """From the start of the process to the first answer over REST."""

    def seconds() -> float:
        before = time.perf_counter()
        with Served(python=()) as served:
            assert httpx.get(f"{served.url}/v1/files", headers=KEY).status_code == 200
            return time.perf_counter() - before

    assert within(0.5, seconds)


HEAVY = (
    *("grpc", "google.protobuf", "numpy", "lark", "filter_grammar", "difflib"),
    *("xai_sdk", "openai", "httpx", "pypdf", "pydantic"),
)
JOBS = ("emulator.jobs.indexing", "emulator.jobs.batches.process", "emulator.jobs.videos")


def loaded(served: Served) -> set[str]:
    """The modules that a process with `-X importtime` has loaded."""
    return {line.rpartition("|")[2].strip() for line in served.said if line.startswith("import time:")}


def test_heavy_modules_are_imported_lazily() -> None:
    """Files over REST need none of it; gRPC comes with the first gRPC client, and xai-sdk never."""
    with Served(python=("-X", "importtime")) as served:
        id = served.upload("a.txt", b"x")["id"]
        assert served.files()
        assert httpx.get(f"{served.url}/v1/files/{id}/content", headers=KEY).content == b"x"
        assert "emulator.runtime.app" in loaded(served)
        assert loaded(served).isdisjoint({*HEAVY, *JOBS})
        with Rpc(f"localhost:{served.port}", "xai-emulator") as rpc:
            rpc.call("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest"))
        until(lambda: "grpc" in loaded(served))
        assert loaded(served) & set(HEAVY) == {"grpc", "google.protobuf"}


def test_batches_and_searches_load_nothing_heavy_before_it_is_needed() -> None:
    """A batch needs none of it, nor does a search by words where nothing is indexed; numpy comes with a document."""
    management = {"authorization": "Bearer xai-token-emulator"}
    with Served(python=("-X", "importtime")) as served, httpx.Client(base_url=served.url, headers=KEY) as http:
        body = {"messages": [{"role": "user", "content": "x"}]}
        added = {"batch_request_id": "a", "batch_request": {"chat_get_completion": body}}
        line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
        file = served.upload("a.jsonl", json.dumps(line).encode())["id"]
        sources: tuple[dict[str, str], ...] = ({}, {"input_file_id": file})
        batches = [http.post("/v1/batches", json={"name": "a", **source}).json()["batch_id"] for source in sources]
        http.post(f"/v1/batches/{batches[0]}/requests", json={"batch_requests": [added]}).raise_for_status()
        until(lambda: all(http.get(f"/v1/batches/{id}/results").json()["results"] for id in batches))
        name = {"collection_name": "a"}
        collection = http.post("/v1/collections", json=name, headers=management).json()["collection_id"]
        search = {"query": "x", "source": {"collection_ids": [collection]}, "retrieval_mode": {"type": "keyword"}}
        assert http.post("/v1/documents/search", json=search).json()["matches"] == []
        assert "emulator.store.index.collection_index" in loaded(served)
        assert loaded(served).isdisjoint(HEAVY)
        file = served.upload("a.txt", b"x")["id"]
        http.post(f"/v1/collections/{collection}/documents/{file}", headers=management).raise_for_status()
        assert len(http.post("/v1/documents/search", json=search).json()["matches"]) == 1
        assert loaded(served) & set(HEAVY) == {"numpy"}


def test_garbage_is_collected_once_the_server_is_ready() -> None:
    """The command disables that for the start alone."""
    code = (
        "import gc, os, signal; from emulator.cli import main; import emulator.runtime.serve as serve\n"
        "def ready(line, flush): print(gc.isenabled(), flush=flush); os.kill(os.getpid(), signal.SIGTERM)\n"
        "serve.print = ready; main(['serve', '--port', '0', '--quiet'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_importing_the_package_loads_next_to_nothing() -> None:
    """Three small modules; the rest comes with the first use of a name."""
    code = "import sys; before = set(sys.modules); import emulator; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["emulator", "emulator.core", "emulator.core.version"]


@pytest.mark.measure
def test_importing_the_package_takes_milliseconds() -> None:
    """Five at most."""

    def seconds() -> float:
        command = [sys.executable, "-X", "importtime", "-c", "import emulator"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
        (line,) = (line for line in lines if line.endswith(" emulator"))
        return int(line.split("|")[1]) / 1e6

    assert within(0.005, seconds)


# --- what it keeps


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_data_directory_survives_restart(tmp_path: Path, end: signal.Signals) -> None:
    """Files byte for byte, their public URLs, what is deleted, the clock and the id of the team: also after a kill."""
    content = os.urandom(300_000)
    with Served("--data-dir", tmp_path / "state") as served:
        png = served.upload("a.png", content)
        served.upload("b.txt", b"", expires_after="7200")
        gone = served.upload("c.txt", b"x")["id"]
        httpx.delete(f"{served.url}/v1/files/{gone}", headers=KEY)
        public = httpx.post(f"{served.url}/v1/files/{png['id']}/public-url", headers=KEY).json()["public_url"]
        httpx.post(f"{served.url}/_emulator/clock/advance", json={"seconds": 3600})
        httpx.post(f"{served.url}/_emulator/clock/freeze")
        clock = httpx.get(f"{served.url}/_emulator/clock").json()
        key = httpx.get(f"{served.url}/v1/api-key", headers=KEY).json()
        files = served.files()
        if end == signal.SIGTERM:
            served.stop()
    with Served("--data-dir", tmp_path / "state") as again:

        def moved(value: Any) -> Any:
            return eval(repr(value).replace(served.url, again.url))

        assert again.files() == moved(files)
        assert len(files) == 2
        assert httpx.get(f"{again.url}/v1/files/{png['id']}/content", headers=KEY).content == content
        assert httpx.get(moved(public)).content == content
        assert httpx.get(f"{again.url}/_emulator/clock").json() == clock
        assert httpx.get(f"{again.url}/v1/api-key", headers=KEY).json() == key
        httpx.post(f"{again.url}/_emulator/clock/advance", json={"seconds": 3601})
        assert [file["filename"] for file in again.files()] == ["a.png"], "the planned expiry has survived as well"


def test_data_directory_in_use_exits_with_one_line(tmp_path: Path) -> None:
    """The second one says why, in one line; after the first has died, even by a kill, another one may."""
    with Served("--data-dir", tmp_path):
        code, line = refused("--port", "0", "--data-dir", tmp_path)
        assert code == 1
        assert f"{tmp_path} is in use by another xai-emulator" in line
    with Served("--data-dir", tmp_path):
        pass


def test_killed_upload_leaves_nothing(tmp_path: Path) -> None:
    """What was on disk without a row is swept at the next start."""
    with Served("--data-dir", tmp_path) as served, socket.create_connection(("localhost", served.port)) as client:
        kept = served.upload("kept.txt", b"kept")
        client.sendall(HALF_AN_UPLOAD)
        until(lambda: any(blob.stat().st_size > 10_000 for blob in (tmp_path / "blobs").iterdir()))
        served.kill()  # before the client closes, which would end the upload in order
    assert len(list((tmp_path / "blobs").iterdir())) == 2
    with Served("--data-dir", tmp_path) as again:
        assert len(list((tmp_path / "blobs").iterdir())) == 1
        assert again.files() == [kept]


def unusable(path: Path, kind: str) -> Path:
    """A data directory that cannot be one."""
    if kind == "a file":
        path.write_text("x")
    elif kind == "below a file":
        path.write_text("x")
        return path / "state"
    elif kind == "no database":
        path.mkdir()
        (path / "emulator.sqlite").write_text("not a database, but long enough to be looked at as one" * 100)
    elif kind == "of another version":
        with Served("--data-dir", path):
            pass
        import sqlite3

        with sqlite3.connect(path / "emulator.sqlite") as database:
            database.execute("PRAGMA user_version = 999")
        database.close()
    elif kind == "read-only":
        path.mkdir(mode=0o500)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "a file",
        "below a file",
        "no database",
        "of another version",
        pytest.param("read-only", marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")),
    ],
)
def test_unusable_data_directory_exits_with_one_line(tmp_path: Path, kind: str) -> None:
    """Code 1, and it names the path."""
    path = unusable(tmp_path / "state", kind)
    code, line = refused("--port", "0", "--data-dir", path)
    assert code == 1
    assert str(tmp_path / "state") in line


# --- temporary directories


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where temporary files live, under a name that leaves room for a socket's."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def test_state_in_memory_leaves_nothing_behind(temporary: Path) -> None:
    """Its blobs, and the socket of its gRPC server, lie in directories that only this user can enter, until the end."""
    with Served(TMPDIR=str(temporary)) as served, Rpc(f"localhost:{served.port}", "xai-emulator") as rpc:
        rpc.call("xai_api.Files/UploadFile", [init(), data(b"x")])
        assert [path.stat().st_mode & 0o777 for path in temporary.iterdir()] == [0o700, 0o700]
        served.stop()
        assert list(temporary.iterdir()) == []


def test_leftovers_of_killed_process_are_removed(temporary: Path) -> None:
    """At the next start of any other, while those that live keep theirs."""
    with Served(TMPDIR=str(temporary)) as living:
        of_the_living = set(temporary.iterdir())
        with Served(TMPDIR=str(temporary)) as killed, Rpc(f"localhost:{killed.port}", "xai-emulator") as rpc:
            rpc.call("xai_api.Files/UploadFile", [init(), data(b"x")])
        assert len(list(temporary.iterdir())) == 3
        with Served("--data-dir", temporary / "state", TMPDIR=str(temporary)):
            assert set(temporary.iterdir()) == {*of_the_living, temporary / "state"}
        assert living.upload("a.txt", b"x")["bytes"] == 1
