"""What is remembered of gRPC connections."""

from __future__ import annotations

from emulator.core.threads import start_thread
from emulator.rpc.connections import CONNECTIONS_MAX, LastSeen


def test_last_text_of_a_connection_is_remembered() -> None:
    seen = LastSeen()
    assert seen.get("a") is None
    seen.note("a", "one")
    seen.note("a", "two")
    assert (seen.get("a"), seen.get("b")) == ("two", None)


def test_connection_that_was_unused_longest_is_forgotten() -> None:
    seen = LastSeen()
    for number in range(CONNECTIONS_MAX):
        seen.note(str(number), "team")
    seen.note("0", "team")
    seen.note("new", "team")
    assert (seen.get("0"), seen.get("1"), seen.get("new")) == ("team", None, "team")


def test_threads_that_note_at_once_raise_nothing() -> None:
    """Beyond the number that is remembered, threads drop entries beside each other."""
    seen, errors = LastSeen(), list[BaseException]()

    def note(name: str) -> None:
        try:
            for number in range(CONNECTIONS_MAX):
                seen.note(f"{name}{number}", name)
                seen.get(f"{name}{number}")
        except BaseException as error:
            errors.append(error)

    threads = [start_thread(lambda name=name: note(name), name) for name in "abcd"]
    for thread in threads:
        thread.join()
    assert errors == []
