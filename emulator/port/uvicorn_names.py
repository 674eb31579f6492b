"""The names of uvicorn that this package uses although they are not public.

A newer uvicorn may rename or drop any of them. The port compares this list with the installed version before it
listens, so that such a change is one message at the start and not an error during a request.
"""

from __future__ import annotations

from types import FunctionType

from uvicorn import __version__
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from emulator.port.listen import CannotListen

NAMES: dict[type, str] = {
    HttpToolsProtocol: "_unset_keepalive_if_required connection_lost connection_made cycle data_received "
    "expect_100_continue flow headers logger loop on_body on_header on_headers_complete on_message_begin "
    "on_message_complete on_url parser scope shutdown timeout_keep_alive_handler timeout_keep_alive_task transport url",
    RequestResponseCycle: "chunked_encoding disconnected keep_alive message_event more_body on_response "
    "response_complete response_started waiting_for_100_continue",
    FlowControl: "pause_reading write_paused",
    ServerState: "tasks",
}


class UnsupportedUvicorn(CannotListen):
    """The installed uvicorn is not supported by this package."""

    def __init__(self, sentence: str) -> None:
        OSError.__init__(self, sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def check_uvicorn() -> None:
    """Raise UnsupportedUvicorn if the installed uvicorn lacks a name."""
    for owner, names in NAMES.items():
        # An attribute of instances counts as present if a method of the class names it.
        methods = [each for each in vars(owner).values() if isinstance(each, FunctionType)]
        present = {*dir(owner), *(name for method in methods for name in method.__code__.co_names)}
        missing = [name for name in names.split() if name not in present]
        if missing:
            raise UnsupportedUvicorn(
                f"uvicorn {__version__} is too new for this version: its {owner.__name__} has no {', '.join(missing)}; "
                "install an older one, or a newer xai-emulator"
            )
