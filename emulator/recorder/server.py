"""The recorder: one port for REST and gRPC, in front of the real hosts."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import msgspec

from emulator.core import clock
from emulator.domain.keys import Plane
from emulator.port import Port
from emulator.recorder.access import Access, Keys
from emulator.recorder.budget import Budget
from emulator.recorder.grpc_calls import GrpcCalls
from emulator.recorder.journal import ContentFolder, RecordingJournal
from emulator.recorder.rest import RestForwarder
from emulator.recordings.entries import About
from emulator.recordings.har import HarWriter
from emulator.recordings.sanitize import Sanitizer
from emulator.runtime.event_loop import LoopThread
from emulator.state.address import origin_of

API = "https://api.x.ai"
MANAGEMENT_API = "https://management-api.x.ai"
CONTENTS = ("lengths", "keep")


class BadUpstream(ValueError):
    """An address that cannot be forwarded to; the message is one clear line."""


class RecorderOptions(msgspec.Struct, frozen=True):
    """The options of a recorder. URLs have no path; the gRPC ones default to those of REST."""

    out: Path
    keys: dict[Plane, str] = {}
    to: str = API
    management_to: str | None = None
    grpc_to: str | None = None
    management_grpc_to: str | None = None
    host: str = "localhost"
    port: int = 7878
    own_keys: bool = False
    keep_contents: bool = False
    strike: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    budget: int | None = None
    ca: Path | None = None
    overwrite: bool = False

    @property
    def hosts(self) -> dict[Plane, str]:
        """The URLs for REST, by plane: a given one replaces both hosts."""
        management = self.management_to or (MANAGEMENT_API if self.to == API else self.to)
        return {Plane.INFERENCE: _url(self.to), Plane.MANAGEMENT: _url(management)}

    @property
    def targets(self) -> dict[Plane, tuple[str, str | None]]:
        """HOST:PORT for gRPC and the TLS roots (None for no TLS), by plane."""
        hosts = self.hosts
        inference = self.grpc_to or hosts[Plane.INFERENCE]
        management = self.management_grpc_to or (
            self.grpc_to if self.management_to is None and self.to != API else None
        )
        roots = "" if self.ca is None else str(self.ca)
        return {
            Plane.INFERENCE: _target(inference, roots),
            Plane.MANAGEMENT: _target(management or hosts[Plane.MANAGEMENT], roots),
        }


class Recorder:
    """A recorder on the running event loop."""

    def __init__(self, options: RecorderOptions, log: Callable[[str], None]) -> None:
        """Begin the file. Raises BadUpstream, FileExistsError and OSError."""
        self._options = options
        hosts, targets = options.hosts, options.targets
        tls = ssl.create_default_context(cafile=options.ca) if _needs_tls(hosts) else None
        self.keys = Keys(options.keys, own=options.own_keys)
        sanitizer = Sanitizer(self.keys.labels, options.strike, options.keep)
        about = About(
            to=sorted({sanitizer.line(host) for host in hosts.values()}),
            recorded=clock.date(clock.wall()),
            contents=CONTENTS[options.keep_contents],
            rules=sanitizer.rules,
        )
        writer = HarWriter(options.out, about, overwrite=options.overwrite)
        folder = ContentFolder(options.out.with_suffix(".files")) if options.keep_contents else None
        self.journal = RecordingJournal(writer, sanitizer, log)
        budget = Budget(options.budget)
        rest = RestForwarder(self.journal, hosts, self.keys, Access.of(options.host), budget, tls, folder)
        self._calls = GrpcCalls(self.journal, hosts, targets, self.keys, budget)
        self.port = Port(rest.app, self._load_grpc, host=options.host, number=options.port, log=log)

    @property
    def url(self) -> str:
        """`http://localhost:PORT`."""
        return origin_of(self._options.host, self.port.number)

    async def start(self) -> None:
        """Listen. Raises emulator.port.CannotListen."""
        await self.port.start()

    async def stop(self) -> None:
        """Stop listening, end running calls, and write the remaining exchanges."""
        await self.port.stop()
        self.journal.close()

    def summary(self) -> Iterator[str]:
        """Return lines that say what was recorded and what was not."""
        journal, out = self.journal, self._options.out
        counts, struck, replaced = journal.counts, journal.sanitizer.struck, journal.sanitizer.replaced
        yield (
            f"{out}: {counts['exchanges']} exchanges ({counts['REST']} REST, {counts['gRPC']} gRPC) "
            f"with {len(journal.operations)} operations, {out.stat().st_size // 1024} KB"
        )
        yield f"struck out: {_listed(struck) or 'nothing'}; replaced: {_listed(replaced) or 'nothing'}"
        if counts["contents"]:
            kept = "kept" if self._options.keep_contents else "left out (--contents keep keeps them)"
            yield f"the contents of {counts['contents']} bodies ({journal.left_out_bytes} bytes): {kept}"
        yield f"the service refused {counts['refused']}; xai-emulator itself answered {counts['unanswered']}"
        if journal.lost:
            yield f"{journal.lost} exchanges could not be written, or not wholly"
        yield "Read the file before you share it."

    def _load_grpc(self, socket_path: str) -> Any:
        from emulator.rpc.forward import ForwardServer

        return ForwardServer(socket_path, self._calls, keep_bytes=self._options.keep_contents)


class RecorderThread:
    """A recorder on its own event loop, in a thread, for synchronous callers."""

    def __init__(self, options: RecorderOptions, log: Callable[[str], None]) -> None:
        self._options, self._log = options, log

    def __enter__(self) -> Recorder:
        """Start. Raises what `Recorder` and its `start` raise."""
        self._loop = LoopThread("recorder")
        try:
            recorder: Recorder = self._loop.run(self._start())
        except BaseException:
            self._loop.close()
            raise
        self._recorder = recorder
        return recorder

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._loop.run(self._recorder.stop())
        finally:
            self._loop.close()

    async def _start(self) -> Recorder:
        recorder = Recorder(self._options, self._log)
        try:
            await recorder.start()
        except BaseException:
            recorder.journal.close()
            raise
        return recorder


def _listed(counts: Any) -> str:
    return ", ".join(f"{count} {name.rstrip('_') or 'bare ids'}" for name, count in sorted(counts.items()) if count)


def _needs_tls(hosts: dict[Plane, str]) -> bool:
    return any(url.startswith("https:") for url in hosts.values())


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or "@" in parts.netloc:
        raise BadUpstream(f"{text!r} is not a URL such as {API}, without a path")
    return f"{parts.scheme}://{parts.netloc}"


def _target(text: str, roots: str) -> tuple[str, str | None]:
    """Return HOST:PORT of a URL, or of HOST:PORT, and the TLS roots; without TLS if the URL begins with http:."""
    parts = urlsplit(text if "://" in text else f"https://{text}")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    if not parts.hostname or not port or parts.scheme not in ("http", "https"):
        raise BadUpstream(f"{text!r} is not HOST:PORT, nor a URL such as {API}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}", None if parts.scheme == "http" else roots
