"""The reference programs: as little as can do the same job. `python -m benchmarks.peers NAME PORT`."""

from __future__ import annotations

import sys
from typing import Any


def hello(port: int) -> None:
    """A bare Starlette application on uvicorn that answers a small JSON object."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def answer(request: Request) -> JSONResponse:
        return JSONResponse({"hello": "world"})

    app = Starlette(routes=[Route("/hello", answer)])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False, ws="none")


WORDS = 1000


def thousand_words(request: Any) -> str:
    """A responder whose answer is streamed in 1,000 deltas."""
    return " ".join(f"word{number}" for number in range(WORDS))


def events(port: int) -> None:
    """A bare Starlette application that streams what the emulator does for these words, made beforehand."""
    import json
    from collections.abc import AsyncIterator

    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    frame = {"id": "0" * 36, "object": "chat.completion.chunk", "created": 1_785_000_000, "model": "grok-4.3"}

    def chunk(delta: dict[str, str], **more: str) -> bytes:
        choices = [{"index": 0, "delta": delta, **more}]
        whole = {**frame, "choices": choices, "system_fingerprint": "fp_0000000000000000"}
        return b"data: " + json.dumps(whole, separators=(",", ":")).encode() + b"\n\n"

    sent = [chunk({"content": f" {word}"}) for word in thousand_words(None).split()]
    sent += [chunk({}, finish_reason="stop"), b"data: [DONE]\n\n"]

    async def read() -> AsyncIterator[bytes]:
        for event in sent:
            yield event

    async def answer(request: Request) -> StreamingResponse:
        await request.body()
        return StreamingResponse(read(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False, ws="none")


def sink(port: int) -> None:
    """A raw socket that hashes what it is sent, writes it to a file, and answers one line."""
    import socket
    import tempfile

    from blake3 import blake3

    listener = socket.create_server(("127.0.0.1", port))
    while True:
        connection, _ = listener.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := connection.recv(65536)):
                break
            head += piece
        else:
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = head.split(b"\r\n\r\n", 1)[1]
            left, digest = length - len(body), blake3(body)
            with tempfile.TemporaryFile(buffering=0) as file:
                file.write(body)
                buffer = bytearray(262_144)
                view = memoryview(buffer)
                while left and (count := connection.recv_into(buffer)):
                    digest.update(view[:count])
                    file.write(view[:count])
                    left -= count
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        connection.close()


def source(port: int) -> None:
    """A raw socket that sends 48 MiB with one call."""
    import socket

    content = b"x" * (48 << 20)
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        connection, _ = listener.accept()
        head = b""
        while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
            head += piece
        if head:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(content))
            connection.sendall(content)
        connection.close()


def rpc(port: int) -> None:
    """A bare grpcio server with the same messages: a unary call, and a client stream that is hashed and written."""
    import tempfile
    from collections.abc import Iterator
    from concurrent.futures import ThreadPoolExecutor

    import grpc
    from blake3 import blake3

    from emulator.rpc.messages import load

    file, chunk = load().message("xai_api.File"), load().message("xai_api.UploadFileChunk")
    get = load().message("xai_api.RetrieveFileRequest")

    def retrieve(request: Any, context: Any) -> Any:
        return file(id=request.file_id, filename="a.txt", size=5)

    def upload(messages: Iterator[Any], context: Any) -> Any:
        digest = blake3()
        with tempfile.TemporaryFile(buffering=0) as out:
            for message in messages:
                digest.update(message.data)
                out.write(message.data)
        return file(id=digest.hexdigest())

    options = [("grpc.max_receive_message_length", 32 << 20), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(16), options=options)
    handlers = {
        "RetrieveFile": grpc.unary_unary_rpc_method_handler(retrieve, get.FromString, file.SerializeToString),
        "UploadFile": grpc.stream_unary_rpc_method_handler(upload, chunk.FromString, file.SerializeToString),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("xai_api.Files", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    {peer.__name__: peer for peer in (hello, events, sink, source, rpc)}[sys.argv[1]](int(sys.argv[2]))
