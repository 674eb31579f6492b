"""The recent use of each API key, in the time of its team."""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import takewhile
from math import ceil

from emulator.core.clock import MICROSECONDS, Instant
from emulator.core.errors import ApiError, Kind
from emulator.domain.api_keys import ApiKey

SECOND, MINUTE = MICROSECONDS, 60 * MICROSECONDS


class _Usage:
    """The calls and the tokens of the last minute, oldest first."""

    def __init__(self) -> None:
        self.calls: deque[tuple[Instant, int]] = deque()
        self.tokens: deque[tuple[Instant, int]] = deque()


class KeyRates:
    """Counts calls and tokens of a team's keys in sliding windows. The counts are lost at a restart."""

    def __init__(self) -> None:
        self._usage: defaultdict[str, _Usage] = defaultdict(_Usage)

    def count_call(self, key: ApiKey, at: Instant) -> None:
        """Count a call. Raises ApiError, without counting, if it exceeds one of the key's rates."""
        if key.qps is None and key.qpm is None and key.tpm is None:
            return
        usage = self._usage[key.id]
        _check("Requests per Second", "qps", key.qps, usage.calls, at, SECOND)
        _check("Requests per Minute", "qpm", key.qpm, usage.calls, at, MINUTE)
        _check("Tokens per Minute", "tpm", key.tpm, usage.tokens, at, MINUTE)
        usage.calls.append((at, 1))

    def count_tokens(self, key: ApiKey, at: Instant, tokens: int) -> None:
        """Count the tokens that a model used. Running calls continue whatever they use (Management API guide)."""
        if key.tpm is not None:
            self._usage[key.id].tokens.append((at, tokens))


def _check(
    label: str, name: str, most: int | None, counted: deque[tuple[Instant, int]], at: Instant, window: int
) -> None:
    while (
        counted and not at - MINUTE < counted[0][0] <= at
    ):  # after a reset of the clock there are entries in the future
        counted.popleft()
    if most is None:
        return
    recent = list(takewhile(lambda call: call[0] > at - window, reversed(counted)))
    used = sum(count for _, count in recent)
    if used >= most:
        raise ApiError(
            Kind.RESOURCE_EXHAUSTED,
            f"Too many requests for the API key. Its rate limit is - {label} (actual/limit): {used}/{most}.",
            rule=name,
            retry_after=ceil((recent[-1][0] + window - at) / SECOND),
        )
