"""The queue of jobs, and the runner that runs them."""

from __future__ import annotations

from typing import Protocol

from emulator.core.clock import Instant
from emulator.state.teams import Team, Teams
from emulator.store import Store
from emulator.store.jobs import HELD


class JobRunner(Protocol):
    """Runs the jobs of the queue."""

    def on_change(self, team: str) -> None:
        """Handle a change of the jobs or the clock of a team."""

    async def run_lane(self, team: Team, lane: str, until: Instant) -> object:
        """Run the jobs of one lane of a team that are due at `until`."""


class JobQueue:
    """Plans jobs, and notifies the runner that is attached."""

    def __init__(self, store: Store, teams: Teams) -> None:
        self._store, self._teams = store, teams
        self._runner: JobRunner | None = None
        teams.subscribe(self.changed)
        store.chunks.on_rest(self._remove_chunks)

    def attach(self, runner: JobRunner) -> None:
        """Attach the runner that runs the jobs from now on."""
        self._runner = runner

    def add(self, team: Team, kind: str, subject: str, due_at: Instant | None, *, careful: int = 0) -> None:
        """Add a job. With `due_at` None it waits until it is released."""
        if not team.kept:
            self._teams.keep(team)
        self._store.jobs.add(team.name, kind, subject, HELD if due_at is None else due_at, careful=careful)
        self.changed(team.name)

    def _remove_chunks(self, team: str, collection_id: str | None, file_id: str | None) -> None:
        """Add a job, due now, that deletes the remaining chunks of what was removed.

        The job of a whole team is due at any time, since its clock is about to be set back, and creates no team.
        """
        due_at = 0 if collection_id is None else self._teams.get(team).clock.now()
        self._store.jobs.add(team, "remove_chunks", removed_place(collection_id, file_id), due_at)
        self.changed(team)

    def changed(self, team: str) -> None:
        """Notify the runner that the jobs or the clock of a team changed."""
        if self._runner is not None:
            self._runner.on_change(team)

    async def run_due(self, team: Team, lane: str, until: Instant) -> None:
        """Run the jobs of a lane (files, documents or batches) of a team that are due at `until`."""
        assert self._runner is not None, "no runner is attached"
        await self._runner.run_lane(team, lane, until)


def removed_place(collection_id: str | None, file_id: str | None) -> str:
    """Return the subject of a job that deletes chunks: those of a document, of a collection, or (empty) of a team."""
    return "/".join(part for part in (collection_id, file_id) if part is not None)
