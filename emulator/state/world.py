"""The world: everything an operation needs that is not in its request. A team's part of it comes first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from emulator.core import ids
from emulator.core.clock import Clock, Instant
from emulator.core.errors import ApiError, Kind
from emulator.core.limits import Limits, override
from emulator.core.profiles import PROFILES, Profile
from emulator.core.threads import each_in_threads
from emulator.domain.chaos import ChaosState
from emulator.domain.chat.requests import ModelRequest
from emulator.domain.keys import DEFAULT_TEAM, AuthMode, Key
from emulator.search.embedding.embedders import STAND_IN, check_embedder, embed
from emulator.search.extraction.readers import Readers
from emulator.state.settings import GUARDED, ROWS, BadSetting, Settings, flag, of_team, shown
from emulator.store import Store
from emulator.store.jobs import HELD
from emulator.store.snapshots.files import BadSnapshot
from emulator.store.snapshots.snapshots import Opened
from emulator.store.teams import TeamRow

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

VISITORS_MAX = 256  # teams that have nothing, remembered for a while
DELETED = "The team was deleted while the call was under way."


class NotAllowed(BadSetting):
    """A setting that names code, files or servers, from a caller that may only choose among known ones."""


@dataclass(slots=True)
class Team:
    """What belongs to one team: time, limits, profile, speeds. Rows of the store are keyed by its name."""

    name: str
    clock: Clock
    overrides: dict[str, Any]  # its own settings, where they are not the server's
    profile: Profile = field(init=False)
    limits: Limits = field(init=False)
    indexing: str = field(init=False)  # one of settings.SPEEDS
    batches: str = field(init=False)  # another one
    responder: str | Callable[..., Any] = field(init=False)
    function: Callable[..., Any] | None = None  # answers batch requests instead
    moved_at: Instant = 0  # what the clock showed after it was last moved: what is due earlier is being caught up with
    cancel_reverts: bool = False  # a race of the real service: requests of a cancelled batch end as if it were not
    chaos: ChaosState | None = field(init=False)
    kept: bool = False  # it has a row; before the first thing is written for it there is none
    gone: bool = False  # it was deleted: a call that was under way then finds nothing to write to
    unreadable: OSError | None = None  # why it is not known whether there is a row
    embedder: str | Callable[..., Any] = field(init=False)

    def configure(self, defaults: Settings, overrides: dict[str, Any]) -> None:
        """Take the server's settings, but for the team's own. Raises BadSetting, and changes nothing then."""
        settings = of_team(defaults, overrides)
        self.overrides = overrides
        self.profile = PROFILES[settings.profile]
        self.limits = override(self.profile.limits, settings.limits)
        self.indexing = settings.indexing
        self.batches = settings.batches
        self.responder = settings.responder
        self.chaos = None if settings.chaos is None else ChaosState(settings.chaos, self.name)
        self.embedder = settings.embedder


class Journal(Protocol):
    """Remembers calls."""

    def begin(self, call: Any) -> Any: ...

    def replied(
        self,
        call: Any,
        status: int | str | None,
        reply: bytes | None,
        size: int | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None: ...

    def unmatched(
        self,
        team: str,
        at: Instant,
        door: Any,
        envelope: Any,
        credentials: str | None,
        error: ApiError,
        status: int | str,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None: ...

    def clear(self, team: str) -> int: ...

    def forget(self, team: str) -> None: ...


class Faults(Protocol):
    """Knows which calls are to fail."""

    def take(self, call: Any) -> Any: ...

    def clear(self, team: str) -> int: ...


class Responder(Protocol):
    """Answers batch requests; `requests_max` is how many at once."""

    requests_max: int

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """What to say to each request, in order. An exception in its place lets that request fail."""
        ...


@dataclass
class World:
    """The state of one emulator. `app` fills it; nothing here is global to the process."""

    settings: Settings
    store: Store
    journal: Journal
    faults: Faults
    seed: str
    auth_mode: AuthMode
    keys: dict[str, Key]
    make_responder: Callable[[str | Callable[..., Any]], Responder]  # raises ValueError
    choices: dict[str, list[str]] = field(init=False)  # by GUARDED setting: values that any caller may choose
    control_token: str | None = None  # what calls of the control plane must carry, if anything
    origin: str = "http://localhost"  # where the emulator listens, for callers whose own view is not known
    teams: dict[str, Team] = field(default_factory=dict)
    responders: dict[str | Callable[..., Any], Responder] = field(default_factory=dict)  # those in use
    readers: Readers = field(default_factory=Readers)
    log: Callable[[str], None] = lambda line: None
    real_key_seen: bool = False  # a key that looks like one of xAI's was sent, and its sender was told
    wake: Callable[[str], None] = lambda name: None  # tells the job loop that jobs or the clock of a team changed
    plant: Callable[[Team], None] | None = None  # gives a new team what the seed file says
    # runs what is due by then of a team's files, documents or batches
    run_due: Callable[[Team, str, Instant], Awaitable[object]] = field(init=False)

    visitors: OrderedDict[str, Team] = field(default_factory=OrderedDict)  # teams that were only read from, the last

    def __post_init__(self) -> None:
        given = [(name, getattr(self.settings, name)) for name in GUARDED]
        given += [(allowed.setting, allowed.value) for allowed in self.settings.allow]
        self.choices = {name: list(ROWS[name].built_in) for name in GUARDED}
        for name, value in given:
            self._remember({name: value})

    def team(self, name: str) -> Team:
        """Return the team of a name. A new one has the server's defaults, and nothing of it lasts before `keep`.

        With a seed file a new team has things at once, and the default team is always there: those are kept.
        """
        team = self.teams.get(name) or self.visitors.get(name)
        if team is None:
            try:
                row = self.store.teams.get(name)
            except OSError as error:  # it has nothing that could be read, and nothing can be written for it
                team = Team(name, Clock(0, None), {}, unreadable=error)
                team.configure(self.settings, {})
                return team
            team = self._stored(name, row) if row is not None else self._visitor(name)
        return team

    def _stored(self, name: str, row: TeamRow) -> Team:
        team = self.teams[name] = Team(name, Clock(row.clock_offset, row.frozen_at), row.overrides, kept=True)
        team.configure(self.settings, row.overrides)
        return team

    def _visitor(self, name: str) -> Team:
        team = self.visitors[name] = Team(name, Clock(0, None), {})
        team.configure(self.settings, {})
        if self.plant is not None or name == DEFAULT_TEAM:
            with suppress(OSError):  # on a full disk it is one that has nothing, and can be read
                self.keep(team)
        if len(self.visitors) > VISITORS_MAX:
            left, _ = self.visitors.popitem(last=False)
            self.journal.forget(left)
        return team

    def keep(self, team: Team) -> None:
        """Let a team last. Called before anything is written for it; raises OSError where that cannot be.

        A transaction that is rolled back takes the row with it; the next call of this makes it anew.
        """
        if team.unreadable is not None:
            raise team.unreadable
        if team.gone:
            raise ApiError(Kind.ABORTED, DELETED, rule="team_deleted")
        self.store.teams.insert(team.name)
        if not team.kept:
            team.kept = True
            self.visitors.pop(team.name, None)
            self.teams.setdefault(team.name, team)
            if self.plant is not None:
                self.plant(team)

    def configure(self, team: Team, changes: Mapping[str, Any], *, trusted: bool = False) -> None:
        """Give a team settings of its own; None takes one back. Raises BadSetting, or NotAllowed.

        Settings that name code, files or servers take any value from a trusted caller: the seed file and Python. Any
        other caller, such as the control plane, chooses among what was given and what is built in.
        """
        if trusted:
            self._remember(changes)
        else:
            changes = {name: self._known(team, name, value) for name, value in changes.items()}
        overrides = {name: value for name, value in {**team.overrides, **changes}.items() if value is not None}
        settings = of_team(self.settings, overrides)
        for name, check in (("responder", self._responder), ("embedder", check_embedder)):
            try:
                if changes.get(name) is not None:
                    check(getattr(settings, name))
            except ValueError as error:
                raise BadSetting(f"{name}: {error}") from None
        self.keep(team)
        self.store.teams.set_overrides(team.name, overrides)
        team.configure(self.settings, overrides)

    def _remember(self, changes: Mapping[str, Any]) -> None:
        """Let any caller choose from now on what a trusted one has given."""
        for name in GUARDED:
            value = changes.get(name)
            if isinstance(value, str) and value not in self.choices[name]:
                self.choices[name].append(value)

    def _known(self, team: Team, name: str, value: Any) -> Any:
        """The value that an untrusted caller means, which may name it as it is shown: redacted. Raises NotAllowed."""
        if name not in GUARDED or value is None:
            return value
        known = [*self.choices[name], *(each for each in (team.overrides.get(name),) if each is not None)]
        for choice in known:
            if value in (choice, shown(name, choice)):
                return choice
        raise NotAllowed(
            f"{name}: {shown(name, value)!r} is not among the values this emulator was started with: "
            f"{', '.join(shown(name, choice) for choice in self.choices[name])}. "
            f"To add it, start the emulator with {flag('allow')} {name}=VALUE."
        )

    def responder(self, team: Team) -> Responder:
        """What answers the batch requests of a team. Raises ValueError where there is no such thing any more."""
        return self._responder(team.function or team.responder)

    def _responder(self, wanted: str | Callable[..., Any]) -> Responder:
        if wanted not in self.responders:
            self.responders[wanted] = self.make_responder(wanted)
        return self.responders[wanted]

    def set_responder(self, team: Team, responder: str | Callable[..., Any]) -> None:
        """Let another responder answer a team's batch requests. Raises BadSetting, and changes nothing then.

        A function serves until the process ends, what a text names also after that. Beside it, the setting `batches`
        is the speed, and `team.cancel_reverts = True` lets the requests of a batch that is cancelled from then on end
        as if it were not, a race of the real service.
        """
        if isinstance(responder, str):
            self.configure(team, {"responder": responder}, trusted=True)
        team.function = None if isinstance(responder, str) else responder

    def new_id(self, team: Team, prefix: str) -> str:
        """A new identifier such as `file_<uuid4>`."""
        return f"{prefix}_{ids.uuid4(self.seed, team.name, self.next_number(team))}"

    def team_id(self, team: Team) -> str:
        """The id of a team: a UUID that stays the same for a name."""
        return ids.fixed_uuid(self.seed, team.name, "team")

    def key_id(self, team: Team, secret: str) -> str:
        """The id of a key of a team: a UUID that stays the same for a key."""
        return ids.fixed_uuid(self.seed, team.name, f"key {secret}")

    def new_url_token(self, team: Team) -> str:
        """A new unguessable token for a public URL."""
        return ids.url_token(self.seed, team.name, self.next_number(team))

    def next_number(self, team: Team) -> int:
        """A number that the team was not given before; ids are derived from them."""
        number = self.store.teams.next_id(team.name) if team.kept and not team.gone else None
        if number is None:
            self.keep(team)
            number = self.store.teams.next_id(team.name)
        assert number is not None
        return number

    async def embed(self, team: Team, texts: Sequence[str]) -> NDArray[float32]:
        """A vector for each text by the team's embedder, which works off the loop. Raises EmbedderError."""
        if team.embedder == STAND_IN:
            return await asyncio.to_thread(embed, STAND_IN, texts)
        # Any other may be slow. A thread of its own, for those of the pool are few, and all teams work in them.
        vectors: NDArray[float32] | Exception
        [vectors] = await each_in_threads(lambda texts: embed(team.embedder, texts), [texts])
        if isinstance(vectors, Exception):
            raise vectors
        return vectors

    def add_job(self, team: Team, kind: str, subject: str, due_at: Instant | None, *, careful: int = 0) -> None:
        """Plan something for later and let the job loop know; None waits until somebody releases it."""
        if not team.kept:
            self.keep(team)
        self.store.jobs.add(team.name, kind, subject, HELD if due_at is None else due_at, careful=careful)
        self.wake(team.name)

    def change_clock(self, team: Team, change: Callable[[Clock], None]) -> None:
        """Change a team's clock, keep that for a restart, and let the job loop know."""
        self.keep(team)
        clock = Clock(team.clock.offset, team.clock.frozen_at)
        change(clock)
        self.store.teams.set_clock(team.name, clock.offset, clock.frozen_at)
        team.clock, team.moved_at = clock, clock.now()
        self.wake(team.name)

    def reset(self, team: Team) -> dict[str, int]:
        """Back to how the team was at first; how many things of each kind went."""
        counts = self._forget_calls(team, self.store.clear(team.name))
        team.clock.reset()
        team.moved_at, team.function, team.cancel_reverts = 0, None, False
        team.configure(self.settings, {})
        if self.plant is not None:
            self.plant(team)
        self.wake(team.name)
        return counts

    def restore(self, team: Team, snapshot: Opened, *, own_urls: bool = False) -> None:
        """Let a team be as it was when a snapshot was made: what it has, its clock, its own settings.

        What is planned for it and what is remembered of its calls stays, and so do settings that name code or files of
        this machine. With `own_urls` its public URLs are its own, not those of whom the snapshot is from. Raises
        BadSnapshot, and changes nothing then.
        """
        self.keep(team)
        overrides = {name: value for name, value in snapshot.team.overrides.items() if name not in GUARDED}
        overrides |= {name: value for name, value in team.overrides.items() if name in GUARDED}
        try:
            of_team(self.settings, overrides)
        except BadSetting as error:
            self.store.blobs.remove(snapshot.blobs.values())
            raise BadSnapshot(f"the snapshot does not fit: {error}") from None
        new_token = partial(self.new_url_token, team) if own_urls else None
        self.store.restore(team.name, snapshot, overrides, new_token)
        team.clock = Clock(snapshot.team.clock_offset, snapshot.team.frozen_at)
        team.moved_at = team.clock.now()
        team.configure(self.settings, overrides)
        self.wake(team.name)

    def delete(self, team: Team) -> dict[str, int]:
        """Forget a team; how many things of each kind went. A call with its key makes it anew."""
        with self.store.transaction():
            counts = self.store.clear(team.name)
            self.store.teams.delete(team.name)
        counts = self._forget_calls(team, counts)
        self.journal.forget(team.name)
        self.store.snapshots.kept.remove_all(team.name)
        self.teams.pop(team.name, None)
        self.visitors.pop(team.name, None)
        team.gone = True
        return counts

    def _forget_calls(self, team: Team, counts: dict[str, int]) -> dict[str, int]:
        return {**counts, "faults": self.faults.clear(team.name), "requests": self.journal.clear(team.name)}

    def set_limits(self, team: Team, changes: Mapping[str, int | None]) -> None:
        """Override limits of one team. Raises ValueError for an unknown name or a bad value."""
        override(team.limits, changes)
        self.configure(team, {"limits": {**team.overrides.get("limits", {}), **changes}})
