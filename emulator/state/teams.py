"""Teams: what belongs to each, and how they are made, changed, reset and deleted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from emulator.core import ids
from emulator.core.clock import Clock, Instant
from emulator.core.errors import ApiError, Kind
from emulator.core.limits import Limits, override
from emulator.core.profiles import PROFILES, Profile
from emulator.domain.chaos import ChaosState
from emulator.domain.keys import DEFAULT_TEAM
from emulator.search.embedding.embedders import check_embedder
from emulator.state.key_rates import KeyRates
from emulator.state.protocols import Faults, Journal, ResponderTable
from emulator.state.settings import GUARDED, ROWS, BadSetting, Settings, flag, of_team, shown
from emulator.store import Store
from emulator.store.snapshots.files import BadSnapshot
from emulator.store.snapshots.snapshots import LoadedSnapshot
from emulator.store.teams import TeamRow

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
    models: str = field(init=False)  # `known` or `any`
    function: Callable[..., Any] | None = None  # answers batch requests instead
    moved_at: Instant = 0  # what the clock showed after it was last moved: what is due earlier is being caught up with
    answer_epoch: int | None = None  # the number from which the ids of its answers are derived, with their count
    answers: int = 0
    cancel_reverts: bool = False  # a race of the real service: requests of a cancelled batch end as if it were not
    chaos: ChaosState | None = field(init=False)
    kept: bool = False  # it has a row; before the first thing is written for it there is none
    gone: bool = False  # it was deleted: a call that was under way then finds nothing to write to
    unreadable: OSError | None = None  # why it is not known whether there is a row
    embedder: str | Callable[..., Any] = field(init=False)
    key_rates: KeyRates = field(default_factory=KeyRates)

    def configure(self, defaults: Settings, overrides: dict[str, Any]) -> None:
        """Take the server's settings, but for the team's own. Raises BadSetting, and changes nothing then."""
        settings = of_team(defaults, overrides)
        self.overrides = overrides
        self.profile = PROFILES[settings.profile]
        self.limits = override(self.profile.limits, settings.limits)
        self.indexing = settings.indexing
        self.batches = settings.batches
        self.responder = settings.responder
        self.models = settings.models
        self.chaos = None if settings.chaos is None else ChaosState(settings.chaos, self.name)
        self.embedder = settings.embedder


class Teams:
    """The teams of one emulator."""

    def __init__(
        self, settings: Settings, store: Store, journal: Journal, faults: Faults, responders: ResponderTable
    ) -> None:
        self._settings, self._store, self._journal, self._faults = settings, store, journal, faults
        self._responders = responders
        self._begin: Callable[[Team], None] | None = None
        self._listeners: list[Callable[[str], None]] = []
        self.known: dict[str, Team] = {}  # those that have a row, as far as they were asked for
        self.visitors: OrderedDict[str, Team] = OrderedDict()  # those that were only read from, the last ones
        self.choices = {name: list(ROWS[name].built_in) for name in GUARDED}  # values that any caller may choose
        given = [(name, getattr(settings, name)) for name in GUARDED]
        for name, value in (*given, *((allowed.setting, allowed.value) for allowed in settings.allow)):
            self._remember({name: value})

    def subscribe(self, listener: Callable[[str], None]) -> None:
        """Call a listener with the name of each team whose clock or jobs change."""
        self._listeners.append(listener)

    def begin_with(self, fill: Callable[[Team], None]) -> None:
        """Let every new team begin with what `fill` gives it: the contents of the seed file."""
        self._begin = fill

    def _changed(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)

    def get(self, name: str) -> Team:
        """Return the team of a name. A new one has the server's defaults, and nothing of it lasts before `keep`.

        With a seed file a new team has things at once, and the default team is always there: those are kept.
        """
        team = self.known.get(name) or self.visitors.get(name)
        if team is None:
            try:
                row = self._store.teams.get(name)
            except OSError as error:  # it has nothing that could be read, and nothing can be written for it
                team = Team(name, Clock(0, None), {}, unreadable=error)
                team.configure(self._settings, {})
                return team
            team = self._stored(name, row) if row is not None else self._visitor(name)
        return team

    def _stored(self, name: str, row: TeamRow) -> Team:
        team = self.known[name] = Team(name, Clock(row.clock_offset, row.frozen_at), row.overrides, kept=True)
        team.configure(self._settings, row.overrides)
        return team

    def _visitor(self, name: str) -> Team:
        team = self.visitors[name] = Team(name, Clock(0, None), {})
        team.configure(self._settings, {})
        if self._begin is not None or name == DEFAULT_TEAM:
            with suppress(OSError):  # on a full disk it is one that has nothing, and can be read
                self.keep(team)
        if len(self.visitors) > VISITORS_MAX:
            left, _ = self.visitors.popitem(last=False)
            self._journal.drop(left)
        return team

    def keep(self, team: Team) -> None:
        """Let a team last. Called before anything is written for it; raises OSError where that cannot be.

        A transaction that is rolled back takes the row with it; the next call of this creates it again.
        """
        if team.unreadable is not None:
            raise team.unreadable
        if team.gone:
            raise ApiError(Kind.ABORTED, DELETED, rule="team_deleted")
        self._store.teams.insert(team.name)
        if not team.kept:
            team.kept = True
            self.visitors.pop(team.name, None)
            self.known.setdefault(team.name, team)
            if self._begin is not None:
                self._begin(team)

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
        settings = of_team(self._settings, overrides)
        for name, check in (("responder", self._responders.named), ("embedder", check_embedder)):
            try:
                if changes.get(name) is not None:
                    check(getattr(settings, name))
            except ValueError as error:
                raise BadSetting(f"{name}: {error}") from None
        self.keep(team)
        self._store.teams.set_overrides(team.name, overrides)
        team.configure(self._settings, overrides)

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

    def set_responder(self, team: Team, responder: str | Callable[..., Any]) -> None:
        """Let another responder answer a team's batch requests. Raises BadSetting, and changes nothing then.

        A function serves until the process ends, what a text names also after that. Beside it, the setting `batches`
        is the speed, and `team.cancel_reverts = True` lets the requests of a batch that is cancelled from then on end
        as if it were not, a race of the real service.
        """
        if isinstance(responder, str):
            self.configure(team, {"responder": responder}, trusted=True)
        team.function = None if isinstance(responder, str) else responder

    def set_limits(self, team: Team, changes: Mapping[str, int | None]) -> None:
        """Override limits of one team. Raises ValueError for an unknown name or a bad value."""
        override(team.limits, changes)
        self.configure(team, {"limits": {**team.overrides.get("limits", {}), **changes}})

    def change_clock(self, team: Team, change: Callable[[Clock], None]) -> None:
        """Change a team's clock, keep that for a restart, and let the job loop know."""
        self.keep(team)
        clock = Clock(team.clock.offset, team.clock.frozen_at)
        change(clock)
        self._store.teams.set_clock(team.name, clock.offset, clock.frozen_at)
        team.clock, team.moved_at = clock, clock.now()
        self._changed(team.name)

    def reset(self, team: Team) -> dict[str, int]:
        """Back to how the team was at first; how many things of each kind went."""
        counts = self._forget_calls(team, self._store.clear(team.name))
        team.clock.reset()
        team.moved_at, team.function, team.cancel_reverts = 0, None, False
        team.answer_epoch, team.answers = None, 0
        team.key_rates = KeyRates()
        team.configure(self._settings, {})
        if self._begin is not None:
            self._begin(team)
        self._changed(team.name)
        return counts

    def restore(self, team: Team, snapshot: LoadedSnapshot, *, own_urls: bool = False) -> None:
        """Let a team be as it was when a snapshot was made: what it has, its clock, its own settings.

        What is planned for it and what is remembered of its calls stays, and so do settings that name code or files of
        this machine. With `own_urls` its public URLs are its own, not those of whom the snapshot is from. Raises
        BadSnapshot, and changes nothing then.
        """
        self.keep(team)
        overrides = {name: value for name, value in snapshot.team.overrides.items() if name not in GUARDED}
        overrides |= {name: value for name, value in team.overrides.items() if name in GUARDED}
        try:
            of_team(self._settings, overrides)
        except BadSetting as error:
            self._store.blobs.remove(snapshot.blobs.values())
            raise BadSnapshot(f"the snapshot does not fit: {error}") from None
        new_token = partial(self._new_token, team) if own_urls else None
        self._store.restore(team.name, snapshot, overrides, new_token)
        team.clock = Clock(snapshot.team.clock_offset, snapshot.team.frozen_at)
        team.moved_at = team.clock.now()
        team.answer_epoch, team.answers = None, 0
        team.configure(self._settings, overrides)
        self._changed(team.name)

    def delete(self, team: Team) -> dict[str, int]:
        """Delete a team; return the number of removed objects by kind. A call with its key creates it again."""
        with self._store.transaction():
            counts = self._store.clear(team.name)
            self._store.teams.delete(team.name)
        counts = self._forget_calls(team, counts)
        self._journal.drop(team.name)
        self._store.snapshots.kept.remove_all(team.name)
        self.known.pop(team.name, None)
        self.visitors.pop(team.name, None)
        team.gone = True
        self._changed(team.name)
        return counts

    def _forget_calls(self, team: Team, counts: dict[str, int]) -> dict[str, int]:
        return {
            **counts,
            "faults": self._faults.clear(team.name),
            "answers": self._responders.clear(team.name),
            "requests": self._journal.clear(team.name),
        }

    def next_number(self, team: Team) -> int:
        """Return a number that the team was not given before; ids are derived from them."""
        number = self._store.teams.next_id(team.name) if team.kept and not team.gone else None
        if number is None:
            self.keep(team)
            number = self._store.teams.next_id(team.name)
        assert number is not None
        return number

    def _new_token(self, team: Team) -> str:
        return ids.url_token(self._store.seed, team.name, self.next_number(team))
