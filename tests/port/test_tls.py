"""The port for TLS: HTTP/1.1 and gRPC as on the plain one, and certificates of clients where they are needed."""

import asyncio
import socket
import ssl

import grpc
import pytest
import trustme

from emulator.port import H2_PREFACE, CannotListen, Port, Tls
from tests.port.harness import MIB, PATIENCE_SECONDS, SETTINGS, App, Backend, TestedPort, no_grpc, on_each_loop, running

AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("localhost", "127.0.0.1")


def server_tls(*, client_authority: trustme.CA | None = None) -> Tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)
    if client_authority is not None:
        client_authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return Tls(context, 0)


def client_tls(*protocols: str, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(context)
    if protocols:
        context.set_alpn_protocols(protocols)
    if certificate is not None:
        certificate.configure_cert(context)
    return context


async def connected(port: TestedPort, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    assert port.tls_number is not None
    return await asyncio.open_connection("localhost", port.tls_number, ssl=context)


async def answer_to(port: TestedPort, context: ssl.SSLContext, sent: bytes) -> bytes:
    """Everything that comes back on a connection of its own."""
    reader, writer = await connected(port, context)
    try:
        writer.write(sent)
        return await reader.read()
    finally:
        writer.transport.abort()


def secure_channel(port: Port, certificate: trustme.LeafCert | None = None) -> grpc.Channel:
    """A gRPC channel with a connection of its own."""
    chain = b"".join(each.bytes() for each in certificate.cert_chain_pems) if certificate is not None else None
    key = certificate.private_key_pem.bytes() if certificate is not None else None
    credentials = grpc.ssl_channel_credentials(AUTHORITY.cert_pem.bytes(), key, chain)
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    return grpc.secure_channel(f"localhost:{port.tls_number}", credentials, options)


@on_each_loop
async def test_rest_and_grpc_share_tls_port_and_plain_port_stays() -> None:
    """HTTP/1.1 and gRPC are answered over TLS, and the plain port is there as before."""
    async with running(App(), Backend().load, tls=server_tls()) as port:
        request = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"
        assert (await answer_to(port, client_tls(), request)).endswith(b"\r\n\r\nbody")
        assert (await port.get("/plain")).endswith(b"/plain")

        def work() -> bytes:
            with secure_channel(port) as opened:
                return bytes(opened.unary_unary("/test/echo")(b"over TLS", timeout=PATIENCE_SECONDS))

        assert await asyncio.to_thread(work) == b"over TLS"
        assert port.tls_number not in (None, 0, port.number)


@on_each_loop
async def test_alpn_prefers_http_1_and_gives_h2_to_clients_of_h2_alone() -> None:
    """A client that offers both gets HTTP/1.1, for REST is served over nothing else."""
    async with running(App(), Backend().load, tls=server_tls()) as port:
        for offered, chosen in ((("h2", "http/1.1"), "http/1.1"), (("h2",), "h2"), ((), None), (("h3",), None)):
            reader, writer = await connected(port, client_tls(*offered))
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen, offered
            if chosen == "h2":
                writer.write(H2_PREFACE + SETTINGS)
                assert (await reader.readexactly(len(SETTINGS)))[3] == SETTINGS[3]
            writer.transport.abort()


@on_each_loop
async def test_large_bodies_over_tls_arrive_whole() -> None:
    """16 MiB of HTTP both ways, and as much of gRPC."""
    async with running(App(), Backend().load, tls=server_tls()) as port:
        body = bytes(range(256)) * (16 * MIB // 256)
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        answered = await answer_to(port, client_tls(), head + body)
        assert answered.partition(b"\r\n\r\n")[2] == body

        def work() -> None:
            with secure_channel(port) as opened:
                sent = (bytes(MIB) for _ in range(16))
                assert opened.stream_unary("/test/count")(sent, timeout=PATIENCE_SECONDS) == b"%d" % (16 * MIB)
                received = opened.unary_stream("/test/repeat")(b"16", timeout=PATIENCE_SECONDS)
                assert sum(map(len, received)) == 16 * MIB

        await asyncio.to_thread(work)


@on_each_loop
async def test_client_without_certificate_is_refused_where_one_is_needed() -> None:
    """Neither none nor one of another authority is accepted, over HTTP and over gRPC; the right one is."""
    authority = trustme.CA()
    right, foreign = authority.issue_cert("client@example.com"), trustme.CA().issue_cert("client@example.com")
    request = b"GET /secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with running(App(), Backend().load, tls=server_tls(client_authority=authority)) as port:
        assert (await answer_to(port, client_tls(certificate=right), request)).endswith(b"/secret")
        for certificate, alert in ((None, "CERTIFICATE_REQUIRED"), (foreign, "UNKNOWN_CA")):
            with pytest.raises(ssl.SSLError) as refused:
                await answer_to(port, client_tls(certificate=certificate), request)
            assert alert in str(refused.value)

        def work(certificate: trustme.LeafCert | None) -> bytes:
            with secure_channel(port, certificate) as opened:
                return bytes(opened.unary_unary("/test/echo")(b"known", timeout=PATIENCE_SECONDS))

        assert await asyncio.to_thread(work, right) == b"known"
        with pytest.raises(grpc.RpcError) as unknown:
            await asyncio.to_thread(work, None)
        assert unknown.value.code() is grpc.StatusCode.UNAVAILABLE


@on_each_loop
async def test_what_is_no_handshake_is_disconnected_and_others_are_served() -> None:
    """Plain HTTP, or garbage, on the port for TLS ends in a closed connection; it neither logs nor stops anything."""
    async with running(App(), tls=server_tls()) as port:
        for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff", bytes(512)):
            reader, writer = await asyncio.open_connection("localhost", port.tls_number)
            writer.write(sent)
            writer.write_eof()
            await reader.read()
            writer.close()
        request = b"GET /after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert (await answer_to(port, client_tls(), request)).endswith(b"/after")


@on_each_loop
async def test_refusal_over_tls_arrives_before_connection_ends() -> None:
    """What is no HTTP request is answered, although TLS has no half of a close."""
    async with running(App(), tls=server_tls()) as port:
        answered = await answer_to(port, client_tls(), b"NONSENSE\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 400 ")
        assert answered.endswith(b"This is not an HTTP request.")


@on_each_loop
async def test_stop_ends_tls_connections_in_every_state() -> None:
    """Connections in their handshake, idle, and with a running gRPC call do not outlive the port."""
    backend = Backend(grace_seconds=0.1)
    async with running(App(), backend.load, tls=server_tls()) as port:
        reader, writer = await connected(port, client_tls())
        with socket.create_connection(("localhost", port.tls_number or 0)), secure_channel(port) as opened:
            held = opened.unary_unary("/test/hold").future(b"")
            await asyncio.to_thread(backend.calls.held.wait, PATIENCE_SECONDS)
            await port.stop()
            assert port.connections == 0
            assert await asyncio.to_thread(held.exception, PATIENCE_SECONDS) is not None
        assert await reader.read() == b""
        writer.transport.abort()


@on_each_loop
async def test_taken_tls_port_frees_plain_one() -> None:
    """A port that cannot have both numbers has none."""
    async with running(App(), tls=server_tls()) as port:
        assert port.tls_number is not None
        other = Port(App(), no_grpc, tls=Tls(server_tls().context, port.tls_number))
        with pytest.raises(CannotListen) as taken:
            await other.start()
        assert taken.value.number == port.tls_number
        assert other._listeners == []
