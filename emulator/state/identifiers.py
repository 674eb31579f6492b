"""Identifiers: derived from the seed, the team and a counter, so that the same requests give the same ids."""

from __future__ import annotations

from emulator.core import ids
from emulator.state.teams import Team, Teams


class Identifiers:
    """Creates the ids of one emulator."""

    def __init__(self, seed: str, teams: Teams) -> None:
        self.seed, self._teams = seed, teams

    def new(self, team: Team, prefix: str) -> str:
        """Return a new identifier such as `file_<uuid4>`."""
        return f"{prefix}_{self.uuid(team)}"

    def uuid(self, team: Team) -> str:
        """Return a new UUID."""
        return ids.uuid4(self.seed, team.name, self._teams.next_number(team))

    def answer(self, team: Team) -> str:
        """Return a new UUID for an answer.

        The store is written once for all answers of a process: one write for each answer took longer than anything else
        in a short answer.
        """
        if team.answer_epoch is None:
            team.answer_epoch = self._teams.next_number(team)
        team.answers += 1
        return ids.answer_uuid(self.seed, team.name, team.answer_epoch, team.answers)

    def url_token(self, team: Team) -> str:
        """Return a new unguessable token for a public URL."""
        return ids.url_token(self.seed, team.name, self._teams.next_number(team))

    def key_token(self, team: Team) -> str:
        """Return the secret part of a new API key."""
        return ids.key_token(self.seed, team.name, self._teams.next_number(team))

    def of_user(self, team: Team) -> str:
        """Return the id of the only user of a team: a UUID that is the same for the same name."""
        return ids.fixed_uuid(self.seed, team.name, "user")

    def of_team(self, team: Team) -> str:
        """Return the id of a team: a UUID that is the same for the same name."""
        return ids.fixed_uuid(self.seed, team.name, "team")

    def of_key(self, team: Team, secret: str) -> str:
        """Return the id of a key of a team: a UUID that is the same for the same key."""
        return ids.fixed_uuid(self.seed, team.name, f"key {secret}")

    def of_event(self, team: Team, seq: int) -> str:
        """Return the id of an audit event of a team by its insertion number."""
        return ids.fixed_uuid(self.seed, team.name, f"event {seq}")
