"""`xai-emulator serve`: one emulator in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from emulator.core import memory
from emulator.core.clock import rfc3339, wall
from emulator.domain.keys import INFERENCE_KEY, MANAGEMENT_KEY
from emulator.runtime.app import Server
from emulator.runtime.event_loop import new_event_loop
from emulator.runtime.start_errors import START_ERRORS, explain_start_error
from emulator.runtime.terminal import printable_json, printable_lines
from emulator.state.address import ListenAddress
from emulator.state.settings import Settings

DESCRIPTORS_WANTED = 10_240  # what macOS gives at most
# The interpreter's switch interval: how long a thread that extracts, embeds or ranks may keep the event loop waiting.
# With Python's default of 5 ms a small call during indexing took 22 ms (p99). With 1 ms it takes 10, but gRPC calls,
# which pass through three threads, take 5 % longer; with this value they do not.
THREAD_TURN_SECONDS = 0.002
# How long a stop may take. Connections have half a second, and everything else is cancelled. Some threads cannot be
# cancelled, such as a ranking or one that a responder's library started, and would keep the process running.
STOP_SECONDS = 5.0
OWN_MEMORY_SECONDS = 1.0  # from the start to the one-time memory setup, so that it does not delay the first responses


def serve(settings: Settings) -> int:
    """Run until a signal. Return the exit code."""
    _allow_many_connections()
    sys.setswitchinterval(THREAD_TURN_SECONDS)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_serve(settings))


def _allow_many_connections() -> None:
    """Raise the limit of open files and connections to the most that the system allows."""
    try:
        import resource
    except ImportError:  # on Windows there is no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # macOS has a second, lower bound
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(settings: Settings) -> int:
    log, stop = _logger(settings.log_format), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        server = Server(settings, log)
        await server.start()
    except START_ERRORS as error:
        code, line = explain_start_error(error, settings)
        log(line)
        return code
    gc.freeze()  # loaded modules stay: without this each full collection takes 10 ms more
    gc.enable()  # the command disables it for the start
    url = server.services.address.origin
    if settings.log != "quiet":
        log(_hints(settings, server.services.address))
    tls = server.services.address.tls_origin
    # The only line on stdout; programs wait for it.
    print(
        f"xai-emulator ready {url} grpc={url.removeprefix('http://')} pid={os.getpid()}"
        + ("" if tls is None else f" tls={tls}"),
        flush=True,
    )
    asyncio.get_running_loop().call_later(OWN_MEMORY_SECONDS, memory.own_process)
    await stop.wait()
    stopped = _exit_after(STOP_SECONDS, log)
    await server.stop()
    stopped.set()
    return 0


def _exit_after(seconds: float, log: Callable[[str], None]) -> threading.Event:
    """End the process after `seconds`, whatever still runs in it, with exit code 0 if the returned event is set.

    No state is lost: each call commits its changes, and the recovery after a crash covers the rest.
    """
    stopped = threading.Event()

    def end() -> None:
        log(f"xai-emulator: a thread is still running {seconds:g} s after the signal; ending the process without it")
        os._exit(0 if stopped.is_set() else 1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return stopped


def _hints(settings: Settings, address: ListenAddress) -> str:
    url, trusted = address.origin, " (`xai-emulator trust` says how clients trust it)" if address.authority else ""
    tls = "" if address.tls_origin is None else f"\ntls:     {address.tls_origin}{trusted}"
    where, target = settings.data_dir or "in memory", url.removeprefix("http://")
    return (
        f"keys: {INFERENCE_KEY} (inference), {MANAGEMENT_KEY} (management); state: {where}\n"
        f"openai:  OpenAI(base_url='{url}/v1', api_key='{INFERENCE_KEY}')\n"
        f"xai-sdk: Client(api_host='{target}', management_api_host='{target}', "
        f"api_key='{INFERENCE_KEY}', management_api_key='{MANAGEMENT_KEY}')\n"
        f"console: {url}/_emulator/{tls}"
    )


def _logger(log_format: str) -> Callable[[str], None]:
    """Return a function that writes log entries to stderr, as plain lines or as one JSON object each."""

    def text(line: str) -> None:
        print(printable_lines(line), file=sys.stderr, flush=True)

    def json(line: str) -> None:
        print(printable_json({"time": rfc3339(wall()), "message": line}, indent=None), file=sys.stderr, flush=True)

    return json if log_format == "json" else text
