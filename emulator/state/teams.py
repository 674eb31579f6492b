"""Teams: their state, and how they are created, changed, reset and deleted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
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

VISITORS_MAX = 256  # teams without objects that are kept in memory
DELETED = "The team was deleted while the call was under way."


class NotAllowed(BadSetting):
    """An untrusted caller may not set this value of a setting that names code, files or servers."""


class Team:
    """The state of one team: clock, limits, profile, speeds. Rows of the store have its name as key."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        defaults: Settings,
        overrides: dict[str, Any],
        *,
        kept: bool = False,
        gone: bool = False,
        unreadable: OSError | None = None,
    ) -> None:
        """A team with the server's settings, but for its overrides. Raises BadSetting."""
        self.name = name
        self.clock = clock
        self.kept = kept  # it has a row, which is created before the first object of the team
        self.gone = gone  # it was deleted: calls that were running then cannot write any more
        self.unreadable = unreadable  # the error because of which it is unknown whether there is a row
        self.function: Callable[..., Any] | None = None  # answers batch requests instead of the responder
        # The time after the clock was last moved: jobs that are due before it are overdue and catching up.
        self.moved_at: Instant = 0
        self.answer_epoch: int | None = None  # the ids of its answers are derived from this number and their count
        self.answers = 0
        # A race of the real service: requests of a cancelled batch complete as if it were not cancelled.
        self.cancel_reverts = False
        self.key_rates = KeyRates()
        self.configure(defaults, overrides)

    def configure(self, defaults: Settings, overrides: dict[str, Any]) -> None:
        """Apply the server's settings and the team's overrides. Raises BadSetting without changing anything."""
        settings = of_team(defaults, overrides)
        self.overrides = overrides  # the settings that differ from the server's
        self.profile: Profile = PROFILES[settings.profile]
        self.limits: Limits = override(self.profile.limits, settings.limits)
        self.indexing = settings.indexing  # a name in settings.SPEEDS
        self.batches = settings.batches  # a name in settings.SPEEDS
        self.responder = settings.responder
        self.models = settings.models  # `known` or `any`
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
        self.known: dict[str, Team] = {}  # teams with a row that were used since the start
        self.visitors: OrderedDict[str, Team] = OrderedDict()  # the most recent teams without a row
        self.choices = {name: list(ROWS[name].built_in) for name in GUARDED}  # values that any caller may choose
        given = [(name, getattr(settings, name)) for name in GUARDED]
        for name, value in (*given, *((allowed.setting, allowed.value) for allowed in settings.allow)):
            self._remember({name: value})

    def subscribe(self, listener: Callable[[str], None]) -> None:
        """Call a listener with the name of each team whose clock or jobs change."""
        self._listeners.append(listener)

    def begin_with(self, fill: Callable[[Team], None]) -> None:
        """Call `fill` for every new team, which adds the objects of the seed file."""
        self._begin = fill

    def _changed(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)

    def get(self, name: str) -> Team:
        """Return the team of a name. A new one has the server's defaults, and is not stored before `keep`.

        New teams with a seed file, and the default team, are stored at once.
        """
        team = self.known.get(name) or self.visitors.get(name)
        if team is None:
            try:
                row = self._store.teams.get(name)
            except OSError as error:  # it can neither be read nor written
                return Team(name, Clock(0, None), self._settings, {}, unreadable=error)
            team = self._stored(name, row) if row is not None else self._visitor(name)
        return team

    def with_jobs(self, name: str) -> Team | None:
        """Return a team that may have jobs. One that was deleted has some while its chunks are being removed."""
        team = self.known.get(name)
        if team is None and self._store.jobs.earliest(name) is not None:
            row = self._store.teams.get(name)
            if row is not None:
                return self._stored(name, row)
            team = Team(name, Clock(0, None), self._settings, {}, gone=True)
        return team

    def _stored(self, name: str, row: TeamRow) -> Team:
        clock = Clock(row.clock_offset, row.frozen_at)
        team = self.known[name] = Team(name, clock, self._settings, row.overrides, kept=True)
        return team

    def _visitor(self, name: str) -> Team:
        team = self.visitors[name] = Team(name, Clock(0, None), self._settings, {})
        if self._begin is not None or name == DEFAULT_TEAM:
            with suppress(OSError):  # on a full disk it has no objects, but can be read
                self.keep(team)
        if len(self.visitors) > VISITORS_MAX:
            left, _ = self.visitors.popitem(last=False)
            self._journal.drop(left)
        return team

    def keep(self, team: Team) -> None:
        """Store a team. Called before an object is written for it. Raises OSError if it cannot be stored.

        A rollback removes the row as well; the next call creates it again.
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
        """Override settings of a team; None removes an override. Raises BadSetting or NotAllowed.

        A trusted caller, which is the seed file or Python, may set any value. An untrusted one, such as the control
        API, may set those that name code, files or servers only to built-in values and values that a trusted caller has
        set.
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
        """Allow untrusted callers to choose the values that a trusted caller has set."""
        for name in GUARDED:
            value = changes.get(name)
            if isinstance(value, str) and value not in self.choices[name]:
                self.choices[name].append(value)

    def _known(self, team: Team, name: str, value: Any) -> Any:
        """Return the allowed value that an untrusted caller names, also in its redacted form. Raises NotAllowed."""
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
        """Set the responder of a team's batch requests. Raises BadSetting without changing anything.

        A function is used until the process ends; a setting as text also after a restart. The setting `batches` is the
        speed. `team.cancel_reverts = True` imitates a race of the real service: the requests of a batch that is
        cancelled afterwards complete as if it were not.
        """
        if isinstance(responder, str):
            self.configure(team, {"responder": responder}, trusted=True)
        team.function = None if isinstance(responder, str) else responder

    def set_limits(self, team: Team, changes: Mapping[str, int | None]) -> None:
        """Override limits of one team. Raises ValueError for an unknown name or a bad value."""
        override(team.limits, changes)
        self.configure(team, {"limits": {**team.overrides.get("limits", {}), **changes}})

    def change_clock(self, team: Team, change: Callable[[Clock], None]) -> None:
        """Change a team's clock, store it, and notify the job runner."""
        self.keep(team)
        clock = Clock(team.clock.offset, team.clock.frozen_at)
        change(clock)
        self._store.teams.set_clock(team.name, clock.offset, clock.frozen_at)
        team.clock, team.moved_at = clock, clock.now()
        self._changed(team.name)

    def reset(self, team: Team) -> dict[str, int]:
        """Reset the team to its initial state; return the number of removed objects by kind."""
        counts = self._forget_calls(team, self._store.clear(team.name, in_steps=True))
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
        """Restore a team from a snapshot: its objects, its clock and its overrides.

        Planned faults and answers, the journal, and settings that name code or files of this machine stay. With
        `own_urls` the team gets new public URLs in place of those in the snapshot. Raises BadSnapshot without changing
        anything.
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
            counts = self._store.clear(team.name, in_steps=True)
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
        """Return the next unused number of the team; ids are derived from these numbers."""
        number = self._store.teams.next_id(team.name) if team.kept and not team.gone else None
        if number is None:
            self.keep(team)
            number = self._store.teams.next_id(team.name)
        assert number is not None
        return number

    def _new_token(self, team: Team) -> str:
        return ids.url_token(self._store.seed, team.name, self.next_number(team))
