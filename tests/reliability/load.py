"""Load over both transports: as fast as the server answers (closed loop), or at a fixed rate (open loop).

The clients of each transport run in their own process, so that they do not share an interpreter. What they do is
drawn from a table. What is uploaded is deleted, and what is added removed, so after a while the server has as much to
keep as before; only batches stay, for the API has no way to delete one.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from types import TracebackType
from typing import Any, Protocol

from emulator.rpc.messages import load
from tests.rest.batch_helpers import request

KEYS = {False: "xai-emulator", True: "xai-token-emulator"}  # by whether the call is of the management plane
SMALL, LARGE = b"a small file. " * 150, bytes(256 * 1024)
TEXT = b"Every document says something about foxes, hedges and the weather of the day. " * 20
FILES_KEPT = 100
DOCUMENTS = 20
CONNECTIONS = 32  # of a client that keeps them alive, or calls on one channel: what is beyond that waits for its turn
BEHIND_MAX = 20_000  # calls that wait: a server that falls so far behind has failed
REQUESTS_AT_ONCE = 5  # that are added to a batch
ADDS_TO_A_BATCH = 1_000


@dataclass
class Measured:
    """What became of the calls of some seconds."""

    seconds: float = 0.0
    calls: int = 0
    milliseconds: dict[str, list[float]] = field(default_factory=dict)  # by kind of call
    errors: Counter[str] = field(default_factory=Counter)

    def of(self, kinds: Callable[[str], bool]) -> list[float]:
        """The times of some kinds, shortest first."""
        return sorted(time for kind, times in self.milliseconds.items() if kinds(kind) for time in times)


class Failed(Exception):
    """A call that was not answered as it should be."""


class Transport(Protocol):
    """A way to call the server."""

    async def call(self, name: str, **what: Any) -> Any:
        """The answer of a call. Raises Failed."""
        ...

    async def close(self) -> None: ...


# --- REST


@dataclass
class Connection:
    """HTTP/1.1 and no more of it than this server speaks."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """The status and body of the answer."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        at = lower.find(b"content-length: ")
        if at < 0:
            raise Failed(f"an answer without a length: {head!r}")
        body = await self.reader.readexactly(int(lower[at + 16 : lower.index(b"\r\n", at)]))
        return int(head[9:12]), body


FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n%b\r\n--b--\r\n'


class Rest:
    """A pool of connections that are kept alive."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []

    async def call(self, name: str, **what: Any) -> Any:
        """The answer of `METHOD /path`, decoded where it is JSON."""
        body, content_type = what.get("body", b""), b"application/json"
        if "json" in what:
            body = json.dumps(what["json"]).encode()
        elif "file" in what:
            body, content_type = FORM % what["file"], b"multipart/form-data; boundary=b"
        key = KEYS[what.get("management", False)]
        method, path = name.split(" ")
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n"
        connection = await self._connection()
        status, answer = await connection.exchange(
            head.encode() + (b"Content-Type: %b\r\n" % content_type if body else b"") + b"\r\n" + body
        )
        self._idle.append(connection)
        if status != 200:
            raise Failed(f"{name}: {status} {answer[:200]!r}")
        return answer if path.endswith("/content") else json.loads(answer)

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.reader.at_eof():
                return connection
            connection.writer.close()  # the server has ended what was idle for long, as HTTP lets it
        return Connection(*await asyncio.open_connection("127.0.0.1", self._port))

    async def close(self) -> None:
        for connection in self._idle:
            connection.writer.close()


class RestTraffic:
    """What a client does over REST."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call
        self._files: deque[str] = deque()
        self._in: deque[str] = deque()  # files that are documents
        self._out: deque[str] = deque()  # and those that could be
        self._collection = self._batch = ""
        self._added = 0

    async def prepare(self) -> None:
        """Make what the calls are about."""
        for _ in range(FILES_KEPT):
            await self.upload()
        made = await self._call("POST /v1/collections", json={"collection_name": "load"}, management=True)
        self._collection = f"/v1/collections/{made['collection_id']}"
        for n in range(2 * DOCUMENTS):
            file = await self._call("POST /v1/files", file=(b"%d.txt" % n, TEXT + b"%d" % n))
            self._out.append(file["id"])
        for _ in range(DOCUMENTS):
            await self.add_document()
        await self.add_requests()

    @property
    def kept(self) -> int:
        """How many files there are."""
        return len(self._files) + len(self._in) + len(self._out)

    async def get(self) -> None:
        await self._call(f"GET /v1/files/{self._files[-1]}")

    async def list(self) -> None:
        assert len((await self._call("GET /v1/files?limit=20"))["data"]) == 20

    async def list_filtered(self) -> None:
        await self._call("GET /v1/files?limit=20&filter=name%3D%22small.txt%22")

    async def upload(self) -> None:
        await self._upload(b"small.txt", SMALL)

    async def upload_large(self) -> None:
        await self._upload(b"large.bin", LARGE)

    async def _upload(self, name: bytes, content: bytes) -> None:
        file = await self._call("POST /v1/files", file=(name, content))
        assert file["bytes"] == len(content)
        self._files.append(file["id"])

    async def delete(self) -> str | None:
        if len(self._files) <= FILES_KEPT:
            await self.upload()
            return "upload"
        await self._call(f"DELETE /v1/files/{self._files.popleft()}")
        return None

    async def download(self) -> None:
        assert await self._call(f"GET /v1/files/{self._files[-1]}/content") in (SMALL, LARGE)

    async def add_document(self) -> str | None:
        if not self._out:
            return await self.remove_document()
        id = self._out.popleft()
        await self._call(f"POST {self._collection}/documents/{id}", json={}, management=True)
        self._in.append(id)
        return "add_document"

    async def remove_document(self) -> str | None:
        if len(self._in) <= DOCUMENTS // 2:
            return await self.add_document()
        id = self._in.popleft()
        await self._call(f"DELETE {self._collection}/documents/{id}", management=True)
        self._out.append(id)
        return "remove_document"

    async def get_collection(self) -> None:
        await self._call(f"GET {self._collection}", management=True)

    async def search(self) -> None:
        wanted = {"query": "foxes weather", "source": {"collection_ids": [self._collection.rsplit("/", 1)[1]]}}
        assert (await self._call("POST /v1/documents/search", json=wanted))["matches"]

    async def add_requests(self) -> None:
        number, self._added = self._added, self._added + 1
        if number % ADDS_TO_A_BATCH == 0:
            self._batch = f"/v1/batches/{(await self._call('POST /v1/batches', json={'name': 'load'}))['batch_id']}"
        items = [request(f"{number}-{n}") for n in range(REQUESTS_AT_ONCE)]
        await self._call(f"POST {self._batch}/requests", json={"batch_requests": items})

    async def get_batch(self) -> None:
        await self._call(f"GET {self._batch}")

    async def results(self) -> None:
        await self._call(f"GET {self._batch}/results?limit=20")


# Calls by how many of hundred they are. Small ones are answered from a row or two.
REST_MIX = {"get": 34, "list": 9, "list_filtered": 4, "upload": 11, "upload_large": 1, "delete": 12, "download": 12}
REST_MIX |= {"add_document": 1, "remove_document": 1, "get_collection": 5, "search": 2}
REST_MIX |= {"add_requests": 1, "get_batch": 5, "results": 2}
RPC_MIX = {"get": 40, "list": 10, "upload": 14, "upload_large": 1, "delete": 15, "download": 15, "list_batches": 5}
SMALL_CALLS = ("get", "get_collection", "get_batch", "delete")


# --- gRPC


class Grpc:
    """One channel, as a client has it."""

    def __init__(self, port: int) -> None:
        import grpc.aio

        unshared = [("grpc.use_local_subchannel_pool", 1)]
        self._error: type[Exception] = grpc.RpcError
        self._channel = grpc.aio.insecure_channel(f"localhost:{port}", unshared)
        self._callables: dict[str, Any] = {}

    async def call(self, name: str, **what: Any) -> Any:
        """The answer of `Service/Method` to a message, or to several; of a stream all messages."""
        try:
            call = self._callable(name)(what["message"], metadata=(("authorization", f"Bearer {KEYS[False]}"),))
            return [each async for each in call] if hasattr(call, "__aiter__") else await call
        except self._error as error:
            raise Failed(f"{name}: {error}") from None

    def _callable(self, name: str) -> Any:
        if name not in self._callables:
            service, method = name.split("/")
            described = load().service(service).methods_by_name[method]
            kind = "stream_unary" if described.client_streaming else "unary_unary"
            kind = "unary_stream" if described.server_streaming else kind
            self._callables[name] = getattr(self._channel, kind)(
                f"/{name}",
                request_serializer=lambda sent: sent.SerializeToString(),
                response_deserializer=load().message(described.output_type.full_name).FromString,
            )
        return self._callables[name]

    async def close(self) -> None:
        await self._channel.close()


class RpcTraffic:
    """What a client does over gRPC."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call
        self._files: deque[str] = deque()

    async def prepare(self) -> None:
        """Make what the calls are about."""
        for _ in range(FILES_KEPT):
            await self.upload()

    @property
    def kept(self) -> int:
        """How many files there are."""
        return len(self._files)

    async def _ask(self, method: str, request: str, **fields: Any) -> Any:
        return await self._call(f"xai_api.{method}", message=load().message(f"xai_api.{request}")(**fields))

    async def get(self) -> None:
        await self._ask("Files/RetrieveFile", "RetrieveFileRequest", file_id=self._files[-1])

    async def list(self) -> None:
        assert len((await self._ask("Files/ListFiles", "ListFilesRequest", limit=20)).data) == 20

    async def upload(self) -> None:
        await self._upload("small.txt", SMALL)

    async def upload_large(self) -> None:
        await self._upload("large.bin", LARGE)

    async def _upload(self, name: str, content: bytes) -> None:
        chunk = load().message("xai_api.UploadFileChunk")
        messages = [chunk(init={"name": name}), chunk(data=content)]
        file = await self._call("xai_api.Files/UploadFile", message=messages)
        assert file.size == len(content)
        self._files.append(file.id)

    async def delete(self) -> str | None:
        if len(self._files) <= FILES_KEPT:
            await self.upload()
            return "upload"
        await self._ask("Files/DeleteFile", "DeleteFileRequest", file_id=self._files.popleft())
        return None

    async def download(self) -> None:
        pieces = await self._ask("Files/RetrieveFileContent", "RetrieveFileContentRequest", file_id=self._files[-1])
        assert b"".join(piece.data for piece in pieces) in (SMALL, LARGE)

    async def list_batches(self) -> None:
        await self._ask("BatchMgmt/ListBatches", "ListBatchesRequest", limit=5)


# --- the calls of some seconds


class Clients:
    """The clients of one transport, in this process; connections and created objects are kept between runs."""

    def __init__(self, name: str, port: int) -> None:
        self._transport: Transport = Rest(port) if name == "rest" else Grpc(port)
        self._traffic: Any = RestTraffic(self._transport) if name == "rest" else RpcTraffic(self._transport)
        self._mix = REST_MIX if name == "rest" else RPC_MIX
        self._chance = random.Random(name)
        self._turns = asyncio.Semaphore(CONNECTIONS)

    async def prepare(self) -> None:
        """Make what the calls are about."""
        await self._traffic.prepare()

    async def kept(self) -> int:
        """How many files there are now."""
        return int(self._traffic.kept)

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.close()

    def _draw(self) -> str:
        return self._chance.choices(list(self._mix), list(self._mix.values()))[0]

    async def _one(self, measured: Measured, times: defaultdict[str, list[float]]) -> None:
        kind = self._draw()
        started = time.perf_counter()
        try:
            async with self._turns:
                kind = await getattr(self._traffic, kind)() or kind  # some have to do something else instead
        except (Failed, AssertionError, OSError, EOFError) as error:
            measured.errors[f"{kind}: {type(error).__name__}: {error}"[:300]] += 1
        times[kind].append((time.perf_counter() - started) * 1000)
        measured.calls += 1

    async def flat_out(self, seconds: float, clients: int) -> Measured:
        """So many clients, each of which calls again as soon as it is answered."""
        measured, times, started = Measured(), defaultdict[str, list[float]](list), time.perf_counter()

        async def client() -> None:
            while time.perf_counter() - started < seconds:
                await self._one(measured, times)

        await asyncio.gather(*(client() for _ in range(clients)))
        measured.seconds, measured.milliseconds = time.perf_counter() - started, dict(times)
        return measured

    async def paced(self, seconds: float, rate: float) -> Measured:
        """So many calls in a second, at random moments, whether or not the earlier ones are answered."""
        measured, times, started = Measured(), defaultdict[str, list[float]](list), time.perf_counter()
        under_way: set[asyncio.Task[None]] = set()
        due = started
        while (now := time.perf_counter()) - started < seconds:
            while due <= now:
                due += self._chance.expovariate(rate)
                if len(under_way) >= BEHIND_MAX:
                    measured.errors["the server fell behind"] += 1
                    continue
                task = asyncio.create_task(self._one(measured, times))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.sleep(max(0, due - time.perf_counter()))
        measured.seconds = time.perf_counter() - started
        await asyncio.gather(*under_way)
        measured.milliseconds = dict(times)
        return measured


def _obey(orders: Pipe, transport: str, port: int) -> None:
    """Be the clients of one transport, in a process of their own, until there are no more orders."""

    async def obey() -> None:
        clients = Clients(transport, port)
        while (order := await asyncio.to_thread(orders.recv)) is not None:
            name, arguments = order
            orders.send(await getattr(clients, name)(*arguments))
        await clients.close()

    asyncio.run(obey())


class Traffic:
    """The clients of both transports, until the end of the `with`."""

    def __init__(self, port: int) -> None:
        context = get_context("spawn")  # a copy of this process would have its threads' locks, but not the threads
        self._pipes: dict[str, Pipe] = {}
        self._processes = []
        for transport in ("rest", "grpc"):
            self._pipes[transport], orders = context.Pipe()
            process = context.Process(target=_obey, args=(orders, transport, port), daemon=True)
            process.start()
            self._processes.append(process)
            orders.close()

    def __enter__(self) -> Traffic:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for pipe, process in zip(self._pipes.values(), self._processes, strict=True):
            if error is None:
                pipe.send(None)
                process.join()
            else:
                process.kill()
            pipe.close()

    @property
    def pids(self) -> list[int]:
        """The processes of the clients."""
        return [process.pid for process in self._processes if process.pid is not None]

    def each(self, name: str, *arguments: dict[str, Any] | float) -> dict[str, Any]:
        """Run a command in the clients of each transport at the same time; return the results by transport."""
        for transport, pipe in self._pipes.items():
            pipe.send((name, [each[transport] if isinstance(each, dict) else each for each in arguments]))
        return {transport: pipe.recv() for transport, pipe in self._pipes.items()}
