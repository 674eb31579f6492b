"""Which server is judged, with which keys, and what the run may do to it."""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from .case import EVIDENCE, FEATURES, Case
from .observed_objects import ObservedObjects

API_KEY = "XAI_API_KEY"
MANAGEMENT_KEY = "XAI_MANAGEMENT_KEY"
CONTROL_TOKEN = "XAI_EMULATOR_CONTROL_TOKEN"
MANAGEMENT_PATHS = ("/v1/collections", "/auth/", "/audit/")  # how the paths of the management host begin
CALLS_MAX = 30_000
FOREIGN_TEAM_SUFFIX = "-foreign"  # at the end of the name of a second team of the run, on an emulator
RESERVED_PART = 10  # one in so many calls of the budget is kept for the clean-up
CASE_SECONDS = 60  # on an emulator; other servers take their time, and the waits of the cases are longer
CASE_SECONDS_ELSEWHERE = 900
RUN_SECONDS = 3600
RUN_SECONDS_ELSEWHERE = 6 * 3600


class InvalidTarget(ValueError):
    """A server that cannot be judged; the message is one clear line."""


class BudgetExhausted(Exception):
    """The run has made all the calls it may make, or has taken all the time it may take."""


@dataclass
class Budget:
    """How many calls a run may make, and until when. The retries that a client makes by itself are not counted.

    A part of the calls is kept for the clean-up, which has `seconds` of its own.
    """

    calls_max: int = CALLS_MAX
    seconds: float = RUN_SECONDS
    calls: int = 0
    reserve: int = field(init=False)
    shortage: str = field(init=False, default="")  # why a call was not made
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self.reserve = self.calls_max // RESERVED_PART
        self._end = time.monotonic() + self.seconds

    def spend(self) -> None:
        """Count one call. Raises BudgetExhausted."""
        if self.calls >= self.calls_max - self.reserve:
            kept = f" ({self.reserve} of them are kept for the clean-up)" if self.reserve else ""
            self.shortage = f"the budget of {self.calls_max} calls is spent{kept}"
            raise BudgetExhausted(self.shortage)
        if time.monotonic() >= self._end:
            self.shortage = f"the {self.seconds:g} seconds of the run are over"
            raise BudgetExhausted(self.shortage)
        self.calls += 1

    def release_reserve(self) -> None:
        """Allow the clean-up its calls, whatever time it is."""
        self.reserve, self._end = 0, math.inf


@dataclass(frozen=True)
class Target:
    """A server, and what belongs to this run of the suite."""

    base_url: str  # without /v1
    management_url: str
    grpc: str | None  # host:port of the inference services
    management_grpc: str | None
    api_key: str
    management_key: str | None
    run_prefix: str  # begins every name this run gives to something
    features: frozenset[str] = frozenset(FEATURES)
    evidence: frozenset[str] = frozenset(EVIDENCE)
    cases: tuple[str, ...] = ()  # the ids, or how they begin; none means all
    slow: bool = False
    destructive: bool = False
    paid: bool = False
    team: str | None = None  # of an emulator, which has a control plane; None for any other server
    case_seconds: float = CASE_SECONDS
    control_token: str | None = None  # what that control plane asks for, where it asks for one
    budget: Budget = field(default_factory=Budget)
    observed: ObservedObjects = field(default_factory=lambda: ObservedObjects(is_active=False))  # by one case

    @property
    def wait_seconds_max(self) -> float:
        """How long to wait at most for what takes its time: an emulator takes none, its machine may."""
        return min(600, self.case_seconds) if self.team is None else self.case_seconds / 6

    def includes(self, case: Case) -> bool:
        """Whether a case is among those that the run is about."""
        is_named = not self.cases or case.id.startswith(self.cases)
        return is_named and case.feature in self.features and case.evidence in self.evidence

    def skip_reason(self, case: Case) -> str | None:
        """Why a case cannot be a part of this run, or None."""
        if case.feature in ("collections", "search", "keys") and self.management_key is None:
            return f"there is no management key: set {MANAGEMENT_KEY}"
        if case.slow and not self.slow:
            return "slow: run it with --slow"
        if case.destructive and not self.destructive:
            return "leaves traces or costs money: run it with --destructive"
        if case.paid and not self.paid:
            return "a model answers, which costs money on a real service: ask for it with --paid"
        if case.control and self.team is None:
            return "needs the control plane of an emulator (clock, faults)"
        return None

    def control(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call the control plane of an emulator, about the run's team unless `team` is None."""
        if method != "GET":
            self.observed.write()
        query = {name: value for name, value in {"team": self.team, **query}.items() if value is not None}
        data = None if body is None else json.dumps(body).encode()
        request = _request(method, f"{self.base_url}/_emulator{path}?{urlencode(query)}", data)
        if self.control_token is not None:
            request.add_header("authorization", f"Bearer {self.control_token}")
        with _NO_PROXY.open(request) as answer:
            return json.load(answer)


_NO_PROXY = build_opener(ProxyHandler({}))  # an emulator is never behind a proxy


def _request(method: str, url: str, data: bytes | None = None) -> Request:
    return Request(url, data, {"content-type": "application/json"}, method=method)


def find_target(
    base_url: str,
    environment: Mapping[str, str],
    *,
    grpc: str | None = None,
    management_url: str | None = None,
    management_grpc: str | None = None,
    run_prefix: str | None = None,
) -> Target:
    """The server behind a URL. Raises InvalidTarget where it does not answer, or there is no key for it."""
    base_url = base_url.rstrip("/").removesuffix("/v1")
    if urlsplit(base_url).scheme not in ("http", "https"):
        raise InvalidTarget(f"{base_url!r} is not a URL such as http://localhost:7878")
    target = Target(
        base_url=base_url,
        management_url=(management_url or base_url).rstrip("/").removesuffix("/v1"),
        grpc=grpc,
        management_grpc=management_grpc or grpc,
        api_key=environment.get(API_KEY, ""),
        management_key=environment.get(MANAGEMENT_KEY) or None,
        run_prefix=run_prefix or f"contract-{secrets.token_hex(4)}-",
    )
    if _is_emulator(base_url):
        # Its own keys, for a team of this run's own: those of the environment may be real.
        emulator = as_team(target, target.run_prefix.rstrip("-"))
        emulator = replace(emulator, control_token=environment.get(CONTROL_TOKEN) or None)
        _check_control(emulator)
        return emulator
    if not target.api_key:
        raise InvalidTarget(f"{base_url} is not an emulator, so it needs a key: set {API_KEY}")
    return target


def _check_control(emulator: Target) -> None:
    """Raise InvalidTarget where the control plane asks for another token."""
    try:
        emulator.control("GET", "/clock")
    except HTTPError as refusal:
        with refusal:
            if refusal.code == 401:
                raise InvalidTarget(f"{emulator.base_url} asks for its control token: set {CONTROL_TOKEN}") from None
            raise


def as_team(target: Target, team: str) -> Target:
    """An emulator, seen as one of its teams."""
    return replace(target, team=team, api_key=f"xai-emulator@{team}", management_key=f"xai-token-emulator@{team}")


def _is_emulator(base_url: str) -> bool:
    opener = _NO_PROXY if urlsplit(base_url).hostname in ("localhost", "127.0.0.1", "::1") else build_opener()
    try:
        with opener.open(_request("GET", f"{base_url}/_emulator/health"), timeout=20) as answer:
            return "schema_version" in json.load(answer)
    except HTTPError as answer:  # it is there, but has no such path
        answer.close()
        return False
    except (URLError, OSError) as error:
        raise InvalidTarget(f"{base_url} does not answer: {getattr(error, 'reason', error)}") from None
    except (ValueError, TypeError):
        return False
