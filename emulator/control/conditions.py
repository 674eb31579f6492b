"""Conditions for advancing a clock: a file has expired, a document is indexed, a batch is done."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from emulator.control.route import ControlError
from emulator.core.clock import rfc3339
from emulator.domain.documents import DocumentStatus
from emulator.state.services import Services
from emulator.state.teams import Team


class DocumentName(Struct, forbid_unknown_fields=True):
    """One document."""

    collection_id: str
    file_id: str


class Until(Struct, forbid_unknown_fields=True):
    """The condition: exactly one of these."""

    file_expired: str | None = None
    document_indexed: DocumentName | None = None
    batch_done: str | None = None


class Transition(Struct):
    """A change of the observed state, and its time."""

    at: str
    subject: str
    before: str
    after: str


class Condition:
    """A condition, and the state changes that were observed on the way."""

    def __init__(self, team: Team, subject: str, state: Callable[[], str], final: frozenset[str]) -> None:
        self.subject, self.transitions = subject, list[Transition]()
        self._team, self._read, self._final = team, state, final
        self._state = state()

    @property
    def met(self) -> bool:
        """Return whether the condition is met."""
        return self._state in self._final

    def look(self) -> None:
        """Read the state, and record a change."""
        state = self._read()
        if state != self._state:
            at = rfc3339(self._team.clock.now())
            self.transitions.append(Transition(at, self.subject, self._state, state))
            self._state = state

    def __str__(self) -> str:
        return f"{self.subject} is {self._state}"


def condition_of(services: Services, team: Team, until: Until) -> Condition:
    """Return the condition of a request. Raises ControlError for none, several, or an object that does not exist."""
    given = [name for name in until.__struct_fields__ if getattr(until, name) is not None]
    if len(given) != 1:
        raise ControlError(422, f"until names exactly one of {', '.join(until.__struct_fields__)}")
    if until.document_indexed is not None:
        return _document(services, team, until.document_indexed)
    if until.batch_done is not None:
        return _batch(services, team, until.batch_done)
    return _file(services, team, until.file_expired or "")


def _file(services: Services, team: Team, id: str) -> Condition:
    """Observe a file until it has expired. Refuses a file that does not exist."""

    def state() -> str:
        return "expired" if services.store.files.get(team.name, id, team.clock.now()) is None else "present"

    if state() == "expired":
        raise ControlError(404, f"there is no file {id[:200]!r}")
    return Condition(team, id, state, frozenset({"expired"}))


def _document(services: Services, team: Team, name: DocumentName) -> Condition:
    def state() -> str:
        document = services.store.documents.get(team.name, name.collection_id, name.file_id, team.clock.now())
        if document is None:
            raise ControlError(404, f"there is no document {name.file_id[:200]!r} in {name.collection_id[:200]!r}")
        return document.status.name

    final = frozenset({DocumentStatus.PROCESSED.name, DocumentStatus.FAILED.name})
    return Condition(team, f"{name.collection_id}/{name.file_id}", state, final)


def _batch(services: Services, team: Team, id: str) -> Condition:
    """Observe a batch until no request is pending; its state is the number of pending ones."""

    def state() -> str:
        batch = services.store.batches.get(team.name, id)
        if batch is None:
            raise ControlError(404, f"there is no batch {id[:200]!r}")
        pending = batch.num_pending
        if batch.phase.value == "validating" or pending:
            return f"{batch.phase.value}, {pending} pending"
        return "done"

    return Condition(team, id, state, frozenset({"done"}))
