"""The composition root: builds one emulator from its settings, and runs it on an event loop of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.applications import Starlette

from emulator.core import ids
from emulator.core.clock import MICROSECONDS
from emulator.core.forks import on_fork, replace_by_null
from emulator.domain.keys import DEFAULT_TEAM, INFERENCE_KEY, MANAGEMENT_KEY, AuthMode, Key, Plane
from emulator.http.application import Application
from emulator.http.routing import Alias, Prefix
from emulator.jobs.runner import Runner
from emulator.pipeline.faults.plan import Faults
from emulator.pipeline.journal.journal import Entry, Journal
from emulator.pipeline.origin_check import is_loopback
from emulator.port import Port, Tls
from emulator.responders import make_responder
from emulator.responders.planned import PlannedAnswers
from emulator.rest.routes import ROUTES
from emulator.rest.server import Rest
from emulator.runtime.event_loop import LoopThread
from emulator.search.embedding.embedders import check_embedder
from emulator.state.address import ListenAddress
from emulator.state.clock_waits import ClockWaits
from emulator.state.identifiers import Identifiers
from emulator.state.jobs import JobQueue
from emulator.state.responders import Responders
from emulator.state.services import Services
from emulator.state.settings import BadSetting, Settings, flag, from_keywords
from emulator.state.teams import Teams
from emulator.store import Store

if TYPE_CHECKING:
    from emulator.control.routes import Control

DEFAULT_KEYS = (Key(INFERENCE_KEY, Plane.INFERENCE), Key(MANAGEMENT_KEY, Plane.MANAGEMENT))


def build_services(settings: Settings, log: Callable[[str], None] = lambda line: None) -> Services:
    """Return the services of a new emulator; `log` writes to the terminal. Raises BadSetting, or as `Store` does."""
    answers = PlannedAnswers()
    responders = Responders(make_responder, answers)
    _checked("responder", responders.named, settings.responder)
    _checked("embedder", check_embedder, settings.embedder)
    for allowed in settings.allow:
        check = make_responder if allowed.setting == "responder" else check_embedder
        _checked(f"allow {allowed.setting}", check, allowed.value)
    store = Store(settings.data_dir, settings.random_seed)
    journal, faults = Journal(on_completed=_request_logger(settings, log)), Faults()
    teams = Teams(settings, store, journal, faults, responders)
    return Services(
        settings=settings,
        store=store,
        journal=journal,
        faults=faults,
        answers=answers,
        responders=responders,
        teams=teams,
        ids=Identifiers(store.seed, teams),
        jobs=JobQueue(store, teams),
        waits=ClockWaits(teams),
        auth_mode=AuthMode(settings.auth),
        keys={key.secret: key for key in settings.keys or DEFAULT_KEYS},
        address=ListenAddress(settings.host),
        log=log,
        control_token=_control_token(settings),
    )


def _checked(name: str, check: Callable[[Any], Any], value: Any) -> Any:
    """Return `check(value)`. Raises BadSetting if it raises ValueError."""
    try:
        return check(value)
    except ValueError as error:
        raise BadSetting(f"{name}: {error}") from None


def _request_logger(settings: Settings, log: Callable[[str], None]) -> Callable[[str, Entry], None] | None:
    if settings.log != "requests":
        return None
    from emulator.pipeline.journal.request_log import request_logger

    return request_logger(log)


def _control_token(settings: Settings) -> str | None:
    """Return the given token, or a new one if other machines can connect."""
    if settings.control_token is not None or is_loopback(settings.host):
        return settings.control_token
    return ids.fresh_name()


class Server:
    """One emulator on the running event loop."""

    def __init__(self, settings: Settings, log: Callable[[str], None]) -> None:
        """Open the state. Raises LockTaken, DatabaseUnusable or OSError with one clear sentence."""
        self._host = settings.host
        self.services = build_services(settings, log)
        self.runner = Runner(self.services)
        self._rest = Rest(self.services)
        self.app = self._application()
        self.port = Port(
            self.app.respond_on_port,
            self._load_grpc,
            host=settings.host,
            number=settings.port,
            tls=self._tls(settings),
            log=log,
        )
        self._jobs: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises emulator.port.CannotListen, and BadSeed for a seed file that cannot be used."""
        self._loop = asyncio.get_running_loop()
        on_fork(self)
        try:
            if self.services.settings.seed is not None:
                from emulator.runtime.seed import Seed

                await Seed(self.services, self.app, self.services.settings.seed).prepare()
            await self.port.start()
        except BaseException:
            self.services.readers.close()
            self.services.store.close()
            raise
        self.services.address.listening(self.port.number, self.port.tls_number)
        if self.services.control_token != self.services.settings.control_token:
            self.services.log(
                f"control token: {self.services.control_token} (made for this start; the control API and the console "
                f"need it, since {self._host} lets other machines call; choose one with {flag('control_token')})"
            )
        self._jobs = asyncio.create_task(self.runner.run())

    async def stop(self) -> None:
        """Stop listening, end what runs, close the state."""
        if self._jobs is not None:
            self._jobs.cancel()
        await self.port.stop()
        if self._jobs is not None:
            await asyncio.wait([self._jobs])
        self.services.readers.close()  # after the jobs: a closed reader would fail their documents
        self.services.store.close()

    def leave_to_parent(self) -> None:
        """Detach the loop's objects in a forked child, so that they do not change what the parent's loop waits for."""
        replace_by_null([_waiting_descriptor(self._loop)])

    def _tls(self, settings: Settings) -> Tls | None:
        """Return the TLS context if the settings have one; publish the certificate that clients have to trust."""
        if (settings.tls or settings.tls_cert or settings.tls_key or settings.client_ca) is None:
            return None
        from emulator.runtime.tls import server_identity

        try:
            identity = server_identity(settings)
        except BaseException:
            self.services.store.close()
            raise
        self.services.address.authority = identity.authority
        return Tls(identity.context, settings.tls_port)

    def _application(self) -> Application:
        """The whole HTTP surface."""
        prefix, control = "/_emulator", self._control
        return Application(
            routes=[
                Prefix(prefix, control),
                Alias("/_emulator", prefix, "", control),
                Alias("/api-docs/openapi.json", prefix, "/openapi.json", control),  # the path at the live service
                Alias("/llms.txt", prefix, "/llms.txt", control),
                Alias("/", prefix, "", control, _wants_page),
            ],
            not_found=self._rest.route.not_found,
            exception_handlers=self._rest.exception_handlers,
            table=self._rest.route,
        )

    async def _control(self, scope: Any, receive: Any, send: Any) -> None:
        await self._loaded_control.app(scope, receive, send)

    @cached_property
    def _loaded_control(self) -> Control:
        """The control API, imported at its first request."""
        from emulator.control.route import Api, Exports
        from emulator.control.routes import Control
        from emulator.rest.openapi.document import document
        from emulator.runtime import exports

        return Control(self.services, self.runner, Api(ROUTES, document), Exports(exports.har, exports.snippets))

    def _load_grpc(self, socket_path: str) -> Any:
        from emulator.rpc.server import RpcServer

        return RpcServer(self.services, self._loop, socket_path, self.port.abort_peer)


def _wants_page(scope: Any) -> bool:
    from emulator.control.page import wants_page

    return wants_page(scope)


def _waiting_descriptor(loop: Any) -> int:
    """Return the descriptor (epoll, kqueue) of an event loop, which a forked child shares; -1 if there is none."""
    if hasattr(loop, "_get_backend_id"):  # uvloop
        return int(loop._get_backend_id())
    selector = getattr(loop, "_selector", None)
    return int(selector.fileno()) if selector is not None and hasattr(selector, "fileno") else -1


NOT_RUNNING = "this emulator does not run: use `with Emulator() as emulator:`"
RUNS_IN_PARENT = (
    "this emulator runs in the process that started it, of which this one is a fork: call it here at its url, or start "
    "another Emulator"
)


class _Addresses(NamedTuple):
    """The addresses and keys of an emulator, for clients."""

    port: int
    url: str
    tls_url: str | None
    authority: str | None
    api_key: str
    management_key: str
    control_token: str | None


class Emulator:
    """An emulator in this process, on its own thread, for synchronous and asynchronous tests.

    with Emulator(port=0, limits={"file_bytes_max": 1024}) as emulator: ...

    Keywords are the settings of `xai-emulator serve`; the port defaults to a free one. Any thread may call any method.

    In a process that is forked while it runs, the emulator stays in the parent: its addresses can still be
    read, `stop()` does nothing, and everything else raises RuntimeError.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = from_keywords({"port": 0, "tls_port": 0, **settings})
        self._lifecycle = threading.RLock()  # held while it starts or stops
        self._server: Server | None = None
        self._addresses: _Addresses | None = None
        self._of_parent: tuple[Any, ...] = ()  # in a forked child: objects of the parent, which must stay alive
        on_fork(self)

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and return when REST and gRPC accept connections. Raises RuntimeError if it runs already."""
        with self._lifecycle:
            if self._server is not None or self._of_parent:
                raise RuntimeError(RUNS_IN_PARENT if self._of_parent else "this emulator runs already")
            self._loop = LoopThread("loop")
            try:
                self._server = self._run(self._start())
            except BaseException:
                self._loop.close()
                raise
            self._addresses = _addresses(self._server)

    def stop(self) -> None:
        """Stop the emulator. Does nothing if it is stopped, or in a forked child."""
        with self._lifecycle:
            server, self._server = self._server, None
            if server is not None:
                self._addresses = None
                try:
                    self._run(server.stop())
                finally:
                    self._loop.close()

    def leave_to_parent(self) -> None:
        """Mark the emulator, in a forked child, as one that runs in the parent."""
        self._lifecycle = threading.RLock()  # a thread that does not exist in the child may have held it
        if self._server is not None:
            self._of_parent, self._server = (self._server, self._loop), None

    async def _start(self) -> Server:
        server = Server(self._settings, log=lambda line: print(line, file=sys.stderr))
        await server.start()
        return server

    def _run(self, work: Any) -> Any:
        return self._loop.run(work)

    def _running(self) -> Server:
        if self._server is None:
            raise RuntimeError(RUNS_IN_PARENT if self._of_parent else NOT_RUNNING)
        return self._server

    def _known(self) -> _Addresses:
        if self._addresses is None:
            raise RuntimeError(NOT_RUNNING)
        return self._addresses

    @property
    def port(self) -> int:
        """The port number."""
        return self._known().port

    @property
    def url(self) -> str:
        """`http://localhost:PORT`."""
        return self._known().url

    @property
    def base_url(self) -> str:
        """`http://localhost:PORT/v1`, for OpenAI's clients."""
        return f"{self.url}/v1"

    @property
    def grpc_target(self) -> str:
        """`localhost:PORT`, for xai-sdk: both its `api_host` and its `management_api_host`."""
        return self.url.removeprefix("http://")

    @property
    def tls_url(self) -> str | None:
        """`https://localhost:PORT` of the TLS port; None without TLS."""
        return self._known().tls_url

    @property
    def authority(self) -> str | None:
        """The certificate, in PEM, that clients of `tls_url` have to trust; None unless the emulator made it."""
        return self._known().authority

    @property
    def api_key(self) -> str:
        """An inference key of the default team."""
        return self._known().api_key

    @property
    def management_key(self) -> str:
        """A management key of the default team."""
        return self._known().management_key

    @property
    def control_token(self) -> str | None:
        """The bearer token for calls below `/_emulator/`; None if they need none."""
        return self._known().control_token

    @property
    def app(self) -> Starlette:
        """The HTTP surface as a Starlette application, usable from any event loop.

        Mount it in another application (`Mount("/xai", emulator.app)`), or call it with `httpx.ASGITransport`.
        """
        return self._running().app

    def advance(self, seconds: float, team: str = DEFAULT_TEAM) -> None:
        """Move a team's clock forward and run everything that becomes due on the way."""
        self._run(
            self._running().runner.advance(self._running().services.teams.get(team), round(seconds * MICROSECONDS))
        )

    def run_jobs(self, team: str = DEFAULT_TEAM) -> None:
        """Run the jobs that wait for this call: with `indexing="manual"` nothing is indexed before."""
        self._run(self._running().runner.release(self._running().services.teams.get(team)))

    def configure(self, team: str = DEFAULT_TEAM, **settings: Any) -> None:
        """Override settings for a team, such as `limits` or `profile`; None removes an override. Raises BadSetting."""
        services = self._running().services

        async def configure() -> None:
            texts = {name: value for name, value in settings.items() if not callable(value)}
            functions = sorted(settings.keys() - texts.keys() - {"responder"})
            if functions:
                raise BadSetting(f"{functions[0]}: a function serves all teams: give it to Emulator(…)")
            responder = settings.get("responder")
            if callable(responder):  # a function, which no setting can name
                services.teams.set_responder(services.teams.get(team), responder)
            services.teams.configure(services.teams.get(team), texts, trusted=True)

        self._run(configure())

    def answer(self, regex: str | None = None, response: Any = None, *, team: str = DEFAULT_TEAM, **rule: Any) -> str:
        """Plan an answer to the model requests of a team whose last user text matches a pattern. Returns its id.

        Further keywords are those of a canned rule, such as `times`, `responses` or `error`. Raises ValueError.
        """
        from emulator.responders.rules import rule_of

        given = {"regex": regex, "response": response}
        wanted = rule_of({name: value for name, value in given.items() if value is not None} | rule)
        planned = self._running().services.answers

        async def plan() -> Any:
            return planned.add(team, wanted)

        return str(self._run(plan()).id)

    def unused_answers(self, team: str = DEFAULT_TEAM) -> list[str]:
        """Return one sentence for each planned answer that was not used."""
        planned = self._running().services.answers

        async def unused() -> list[str]:
            return [sentence for each in planned.of(team) if (sentence := each.left) is not None]

        found: list[str] = self._run(unused())
        return found

    def reset(self, team: str = DEFAULT_TEAM) -> None:
        """Remove all objects of a team, and reset its clock."""
        services = self._running().services

        async def reset() -> None:
            services.teams.reset(services.teams.get(team))

        self._run(reset())


def _addresses(server: Server) -> _Addresses:
    def key(plane: Plane, default: str) -> str:
        return next((key.secret for key in server.services.keys.values() if key.plane is plane), default)

    return _Addresses(
        server.port.number,
        server.services.address.origin,
        server.services.address.tls_origin,
        server.services.address.authority,
        key(Plane.INFERENCE, INFERENCE_KEY),
        key(Plane.MANAGEMENT, MANAGEMENT_KEY),
        server.services.control_token,
    )
