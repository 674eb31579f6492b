"""Which addresses are listened on, and the sentence for why one cannot be."""

import errno
import socket

import pytest

from emulator.port import Port, listen
from emulator.port.listen import CannotListen, PortTaken, listening_sockets
from tests.port.harness import (
    LOCALHOST6,
    App,
    needs_ipv6,
    no_grpc,
    on_each_loop,
    running,
)
from tests.serving import free_port


@needs_ipv6
@on_each_loop
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_ipv4_and_ipv6_loopback_share_port(host: str) -> None:
    """Whether a client resolves localhost to IPv4 or to IPv6, it finds the same port."""
    async with running(App(), host=host) as port:
        for address in ("127.0.0.1", LOCALHOST6, "localhost"):
            assert (await port.get("/here", address)).endswith(b"/here")


@needs_ipv6
@on_each_loop
async def test_another_host_is_bound_alone() -> None:
    """A host that is no name of the IPv4 loopback is bound as given, and nothing beside it."""
    async with running(App(), host=LOCALHOST6) as port:
        assert (await port.get("/six", LOCALHOST6)).endswith(b"/six")
        with pytest.raises(ConnectionRefusedError):
            await port.get("/four", "127.0.0.1")


@on_each_loop
async def test_taken_port_refuses_to_start() -> None:
    """A second port of the same number does not start, says so in one sentence, and leaves the first one alone."""
    async with running(App()) as port:
        second = Port(App(), no_grpc, number=port.number)
        with pytest.raises(PortTaken) as refused:
            await second.start()
        taken = f"Port {port.number} is taken: something else already listens on 127.0.0.1:{port.number}."
        assert str(refused.value) == taken
        assert refused.value.errno == errno.EADDRINUSE
        await second.stop()
        assert (await port.get("/alive")).endswith(b"/alive")


@needs_ipv6
@on_each_loop
async def test_port_taken_on_ipv6_loopback_refuses_to_start() -> None:
    """A number that only ::1 has taken is refused as well, for some clients of localhost would reach the other one."""
    async with running(App(), host=LOCALHOST6, number=free_port()) as port:
        with pytest.raises(PortTaken, match=rf"something else already listens on \[::1\]:{port.number}\.$"):
            await Port(App(), no_grpc, number=port.number).start()
        with socket.socket() as free:
            free.bind(("127.0.0.1", port.number))  # nothing was left behind


@needs_ipv6
def test_any_number_is_one_that_both_loopbacks_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number picked for IPv4 that IPv6 has taken is given back, and another one is picked."""
    with socket.socket(socket.AF_INET6) as blocker:
        blocker.bind((LOCALHOST6, free_port()))
        blocker.listen()
        taken = blocker.getsockname()[1]
        bind = listen._listening_socket
        asked: list[tuple[str, int]] = []

        def unlucky(family: int, address: str, number: int) -> socket.socket:
            asked.append((address, number))
            return bind(family, address, taken if len(asked) == 1 else number)

        monkeypatch.setattr(listen, "_listening_socket", unlucky)
        sockets = listening_sockets("localhost", 0)
        numbers = {listener.getsockname()[1] for listener in sockets}
        for listener in sockets:
            listener.close()
    assert len(sockets) == 2
    assert len(numbers) == 1
    assert numbers != {taken}
    assert asked[1] == (LOCALHOST6, taken)


def test_machine_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ::1 cannot be bound, 127.0.0.1 alone is good enough."""
    bind = listen._listening_socket

    def without_ipv6(family: int, address: str, number: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise CannotListen(address, number, OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"))
        return bind(family, address, number)

    monkeypatch.setattr(listen, "_listening_socket", without_ipv6)
    (listener,) = listening_sockets("localhost", 0)
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"


@on_each_loop
@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("no.such.host.invalid", "no.such.host"),
        ("no..name", "no..name"),
        ("a" * 64, "a" * 64),
    ],
)
async def test_listening_on_foreign_address_is_refused(host: str, named: str) -> None:
    """A host that is not of this machine, or has no address, is refused in a sentence that names it."""
    with pytest.raises(CannotListen, match=f"^Cannot listen on {named}.*:80: .*\\.$") as refused:
        await Port(App(), no_grpc, host=host, number=80).start()
    assert not isinstance(refused.value, PortTaken)
