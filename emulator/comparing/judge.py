"""Compare a recorded response with the new one: keys and their order, types, formats and values."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from emulator.comparing.binding import Binding
from emulator.comparing.differences import Difference, masked
from emulator.comparing.rules import (
    DEPENDS_ON_PROGRESS,
    FIXED_MEMBERS,
    FORM,
    KIND,
    LISTS_OF_THE_TEAM,
    MAP,
    PAGE_TOKENS,
    PROGRESS,
    SKIP,
    TIME_NAMES,
    treatment,
)
from emulator.recordings.chains import ID

DAY_SECONDS = 86_400.0
TIME_SECONDS = 5.0  # of difference between clocks, and of latency
UNIX_TIMES = range(1_000_000_000, 4_000_000_000)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_HASH = re.compile(r"[0-9a-f]{32,}")
_OWN_IDS = frozenset(
    {"id", "file_id", "fileId", "batch_id", "batchId", "collection_id", "collectionId", "chunk_id", "document_id"}
)
_URL = re.compile(r"https?://\S+")


class Judge:
    """Compares the bodies of one exchange."""

    def __init__(
        self,
        operation: str,
        binding: Binding,
        number: int = 0,
        *,
        over_grpc: bool,
        left_out: bool,
        lists_others: bool = False,
        shifts: tuple[float, float] | None = None,
        times_known: bool = True,
    ) -> None:
        """Compare exchange `number` of an operation.

        `left_out` says that the recording lacks contents and free texts, `lists_others` that the operation lists
        objects of other clients, so that its pages begin and end at other items. `shifts` are the least and the
        greatest number of seconds by which another recording is later than this one; either may have progressed
        further. Without `times_known` only the format of times is compared.
        """
        self._operation, self._binding, self._number = operation, binding, number
        self._over_grpc, self._left_out, self.lists_others = over_grpc, left_out, lists_others
        self._shifts, self._times_known = shifts, times_known
        self.in_progress = False

    def compare(self, there: Any, here: Any, path: str = "$") -> list[Difference]:
        """Return the differences of JSON values; bind new ids."""
        if isinstance(there, dict):
            self.in_progress = self.in_progress or self._has_progressed(there, here)
        found = list(self._value(there, here, path))
        if self.lists_others:
            found = [each for each in found if each.path.rpartition(".")[2] not in PAGE_TOKENS]
        return found

    def words(self, there: str, here: str, path: str) -> list[Difference]:
        """Return the difference of two messages, such as of refusals."""
        bound = self._binding.text(there)
        if bound == here or masked(bound) == masked(here):
            return []
        return [Difference("words", path, there, here)]

    # --- values

    def _value(self, there: Any, here: Any, path: str) -> Iterator[Difference]:
        difference = Difference("value", path, there, here)
        treat = treatment(self._operation, difference.place, left_out=self._left_out)
        if treat == SKIP or (self.in_progress and path.rpartition(".")[2] in DEPENDS_ON_PROGRESS):
            self._bind_new(there, here)
            return
        if _kind(there) != _kind(here):
            yield Difference("kind", path, there, here)
        elif isinstance(there, dict):
            yield from self._object(there, here, path, ordered=treat != MAP and not self._over_grpc)
        elif isinstance(there, list):
            yield from self._list(there, here, path)
        elif treat == KIND:
            return
        elif isinstance(there, str):
            yield from self._text(there, here, path, treat)
        elif there != here and not (_are_unix_times(path, there, here) and self._are_near(there, here)):
            if self.in_progress and _is_progress_path(path):
                return
            yield difference

    def _bind_new(self, there: Any, here: Any) -> None:
        """Bind ids in values that are not compared, as far as both have the same keys: later requests may need them."""
        if isinstance(there, dict) and isinstance(here, dict):
            for name in there.keys() & here.keys():
                self._bind_new(there[name], here[name])
        elif isinstance(there, list) and isinstance(here, list):
            for one, other in zip(there, here, strict=False):
                self._bind_new(one, other)
        elif isinstance(there, str) and isinstance(here, str) and ID.fullmatch(there) and ID.fullmatch(here):
            self._binding.bind(there, here)

    def _object(self, there: dict[str, Any], here: dict[str, Any], path: str, *, ordered: bool) -> Iterator[Difference]:
        for name in there:
            if name not in here and not self._excuses(name, path):
                yield Difference("extra there", f"{path}.{name}", there[name], None)
        for name in here:
            if name not in there and not self._excuses(name, path):
                yield Difference("missing there", f"{path}.{name}", None, here[name])
        common = [name for name in there if name in here]
        if ordered and common != [name for name in here if name in there]:
            yield Difference("order", path, list(there), list(here))
        for name in common:
            yield from self._value(there[name], here[name], f"{path}.{name}")

    def _excuses(self, name: str, path: str) -> bool:
        """Return whether a key may be missing on one side."""
        if self.in_progress and (name in DEPENDS_ON_PROGRESS or name in ("state", "status")):
            return True
        place = Difference("value", f"{path}.{name}").place
        return treatment(self._operation, place, left_out=self._left_out) == SKIP

    def _list(self, there: list[Any], here: list[Any], path: str) -> Iterator[Difference]:
        pairs, rest_there, rest_here = self._paired(there, here)
        others, lacking = rest_there, len(rest_there)
        rest_there = [item for item in rest_there if not self._lacks_maker(item)]
        if self._operation in LISTS_OF_THE_TEAM and path.count(".") == 1:
            self.lists_others = (
                self.lists_others or len(rest_there) < lacking or any(map(self._is_of_others, rest_there))
            )
        places = [place for _, _, place in pairs]
        if places != sorted(places):
            yield Difference("order", f"{path}[*]", "its order", "another order")
        if self.lists_others and path.count(".") == 1:
            yield from self._shapes(others, here, path)
            rest_there = rest_here = []
        new_there = [item for item in rest_there if not self._is_bound(item)]
        pairs += [(one, other, place) for one, (place, other) in zip(new_there, rest_here, strict=False)]
        for one, other, place in pairs:
            yield from self._value(one, other, f"{path}[{place}]")
        if len(rest_there) != len(rest_here):
            if self.in_progress or (self._is_result_list() and len(rest_there) < len(rest_here)):
                self.in_progress = True
                return
            yield Difference("items", path, len(there), len(here))

    def _shapes(self, others: list[Any], here: list[Any], path: str) -> Iterator[Difference]:
        """Compare the keys, and their order, of other clients' items with those of an item of the emulator."""
        sample = next((item for item in here if isinstance(item, dict)), None)
        if sample is None or self._over_grpc or self._operation not in FIXED_MEMBERS:
            return
        for item in others:
            if isinstance(item, dict) and list(item) != list(sample):
                yield from self._object(dict.fromkeys(item), dict.fromkeys(sample), f"{path}[0]", ordered=True)
                return

    def _is_result_list(self) -> bool:
        """Return whether the list grows while the service works."""
        return self._operation == "batches.list_results"

    def _paired(
        self, there: list[Any], here: list[Any]
    ) -> tuple[list[tuple[Any, Any, int]], list[Any], list[tuple[int, Any]]]:
        """Pair items with the same bound id, then those with the same name; return the pairs and the other items."""
        taken: dict[int, int] = {}  # the place here of a place there
        for by_id in (True, False):
            where: dict[str, list[int]] = defaultdict(list)
            for place, item in enumerate(here):
                # Names are not unique: skip items that are bound to others by id.
                if by_id or not any(map(self._binding.is_taken, _own_ids(item))):
                    for key in _own_ids(item) if by_id else _names(item):
                        where[key].append(place)
            for number, item in enumerate(there):
                if number not in taken:
                    keys = self._bound_ids(item) if by_id else _names(item)
                    free = (place for key in keys for place in where[key] if place not in taken.values())
                    found = next(free, None)
                    if found is not None:
                        taken[number] = found
        pairs = [(there[number], here[place], place) for number, place in sorted(taken.items())]
        rest = [item for number, item in enumerate(there) if number not in taken]
        return pairs, rest, [(place, item) for place, item in enumerate(here) if place not in taken.values()]

    def _bound_ids(self, item: Any) -> list[str]:
        """Return the ids that are bound to those of a recorded item."""
        return [self._binding.here(each) for each in _own_ids(item) if self._binding.is_bound(each)]

    def _is_bound(self, item: Any) -> bool:
        """Return whether an item has a bound id."""
        return any(self._binding.is_bound(name) for name in _own_ids(item))

    def _is_of_others(self, item: Any) -> bool:
        """Return whether an item was created outside the recording, or by an exchange that was not compared."""
        return bool(_own_ids(item)) and not self._is_bound(item)

    def _lacks_maker(self, item: Any) -> bool:
        """Return whether an exchange that was not compared created an item."""
        return any(self._binding.waits_for(name) not in (None, self._number) for name in _own_ids(item))

    # --- texts

    def _text(self, there: str, here: str, path: str, treat: str | None) -> Iterator[Difference]:
        name = path.rpartition(".")[2].partition("[")[0]
        form_there, form_here = _form(there), _form(here)
        if name in PAGE_TOKENS and there and here:
            self._binding.bind(there, here)  # a page may be asked for twice, with a new token each time
            return
        if _is_same_form(form_there, form_here, over_grpc=self._over_grpc):
            if treat == FORM:
                return
            yield from self._of_one_form(form_there, there, here, path)
        elif "text" in (form_there, form_here) and not (form_there.startswith("id") or form_here.startswith("id")):
            yield from self._plain(there, here, path)
        else:
            yield Difference("format", path, there, here)

    def _of_one_form(self, form: str, there: str, here: str, path: str) -> Iterator[Difference]:
        if form.startswith("id"):
            why = self._binding.bind(there, here)
            if why is not None:
                yield Difference("identity", path, why, here)
        elif form.startswith("time"):
            if not self._are_near(_seconds(there), _seconds(here)):
                yield Difference("value", path, there, here)
        elif form == "date":
            days = _seconds(f"{there}T00:00:00Z"), _seconds(f"{here}T00:00:00Z")
            if not self._are_near(*days, DAY_SECONDS):
                yield Difference("value", path, there, here)
        elif form == "url":
            if self._binding.bind(there, here) is not None:
                yield from self._plain(there, here, path)
        elif not form.startswith("hash"):
            yield from self._plain(there, here, path)

    def _are_near(self, there: float, here: float, tolerance: float = TIME_SECONDS) -> bool:
        """Return whether two times are equal, or differ as much as the two recordings."""
        if not self._times_known:
            return True
        later = here - there
        if self._shifts is not None and self._shifts[0] - tolerance <= later <= self._shifts[1] + tolerance:
            return True
        return abs(later) <= tolerance

    def _has_progressed(self, there: Any, here: Any) -> bool:
        """Return whether one side was still working on what the other has finished: an emulator always has."""
        return _has_progressed(there, here) or (self._shifts is not None and _has_progressed(here, there))

    def _plain(self, there: str, here: str, path: str) -> Iterator[Difference]:
        bound = self._binding.text(there)
        if bound == here or masked(bound) == masked(here):
            return
        if self.in_progress and _is_progress_path(path):
            return
        yield Difference("words" if " " in there and _is_sentence(path) else "value", path, there, here)


def _is_sentence(path: str) -> bool:
    return path.rpartition(".")[2] in ("error", "message", "detail", "details", "error_message")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "null" if value is None else type(value).__name__


def _form(text: str) -> str:
    """Return the format of a text: an id with its prefix, a time with its digits, a date, a hash, a URL, or other."""
    if ID.fullmatch(text):
        return f"id {text[: text.rfind('_') + 1]}"
    if moment := _MOMENT.fullmatch(text):
        return f"time {len(moment[1] or '')} {moment[2]}"
    if _DATE.fullmatch(text):
        return "date"
    if _HASH.fullmatch(text):
        return f"hash {len(text)}"
    return "url" if _URL.fullmatch(text) else "text"


def _is_same_form(there: str, here: str, *, over_grpc: bool) -> bool:
    # The digits of a moment are protojson's habit there: as few as are needed.
    return there == here or (over_grpc and there.startswith("time") and here.startswith("time"))


def _seconds(moment: str) -> float:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _are_unix_times(path: str, there: Any, here: Any) -> bool:
    name = path.rpartition(".")[2]
    if not name.endswith(TIME_NAMES):
        return False
    return all(isinstance(each, int | float) and UNIX_TIMES[0] <= each <= UNIX_TIMES[-1] for each in (there, here))


def _own_ids(item: Any) -> list[str]:
    """Return the ids of an item itself, without those of its parents."""
    if not isinstance(item, dict):
        return []
    found = [value for name, value in item.items() if name in _OWN_IDS and isinstance(value, str)]
    return found + [each for value in item.values() if isinstance(value, dict) for each in _own_ids(value)]


def _names(item: Any) -> list[str]:
    """Return the names that a client chose."""
    if not isinstance(item, dict):
        return []
    found = (item.get(name) for name in ("filename", "name", "collection_name", "collectionName", "batch_request_id"))
    return [f"name:{each}" for each in found if isinstance(each, str) and each]


# --- progress


def _has_progressed(there: dict[str, Any], here: Any) -> bool:
    """Return whether the service was still working on what the emulator has finished."""
    if not isinstance(here, dict):
        return False
    return any(_is_behind(one, other) for one, other in _common_objects(there, here))


def _common_objects(there: Any, here: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    if isinstance(there, dict) and isinstance(here, dict):
        yield there, here
        for name in there.keys() & here.keys():
            yield from _common_objects(there[name], here[name])
    elif isinstance(there, list) and isinstance(here, list):
        for one, other in zip(there, here, strict=False):
            yield from _common_objects(one, other)


def _is_behind(there: dict[str, Any], here: dict[str, Any]) -> bool:
    for name in ("status", "state"):
        status, now = there.get(name), here.get(name)
        if not isinstance(status, str) or not isinstance(now, str):
            continue
        if any(status in steps and now in steps and steps.index(status) < steps.index(now) for steps in PROGRESS):
            return True
        if any(status.lower().endswith(word) and not now.lower().endswith(word) for word in ("pending", "cancelled")):
            return True
    if "num_requests" not in there and "num_requests" not in here:
        return False
    # What was pending when the batch was cancelled is done here.
    return any(_count(there, name) > _count(here, name) for name in ("num_pending", "num_cancelled"))


def _count(state: dict[str, Any], name: str) -> int:
    value = state.get(name, 0)
    return value if isinstance(value, int) else 0


def _is_progress_path(path: str) -> bool:
    return path.rpartition(".")[2] in (
        "status",
        "state",
        "num_pending",
        "num_success",
        "num_error",
        "num_cancelled",
    ) or (".state" in path)
