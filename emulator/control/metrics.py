"""Metrics of an emulator for Prometheus: its calls since the start, and the current number of objects."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from emulator.control.route import ControlRequest, ControlRoute
from emulator.control.server import NoQuery
from emulator.core.version import VERSION
from emulator.http.responses import TextResponse
from emulator.pipeline.journal.call_totals import SECONDS, Calls, CallTotals

PREFIX = "xai_emulator_"


async def metrics(request: ControlRequest) -> TextResponse:
    """Show counters and gauges in the text format of Prometheus.

    Calls of all teams since the start, by operation, transport, status and outcome, with their durations in seconds;
    the faults that affected calls; the current objects of all teams; memory and processor time of the process.
    """
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

    registry = CollectorRegistry()
    registry.register(_State(request.parts.journal.totals, request.services.store.totals()))
    ProcessCollector(registry=registry)
    return TextResponse(generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4.encode())


class _State:
    """A collector for prometheus_client."""

    def __init__(self, calls: CallTotals, held: dict[str, int]) -> None:
        self._calls, self._held = calls, held

    def collect(self) -> Iterator[Any]:
        """Every metric, with its samples."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
            InfoMetricFamily,
        )

        yield InfoMetricFamily(f"{PREFIX}build", "The version of the emulator.", {"version": VERSION})
        calls = HistogramMetricFamily(f"{PREFIX}call_seconds", "Durations of calls.", labels=Calls._fields)
        bounds = [*map(str, SECONDS), "+Inf"]
        counted = [([str(each or "") for each in kind], durations) for kind, durations in self._calls.calls.items()]
        for labels, durations in sorted(counted, key=lambda each: each[0]):
            buckets = list(zip(bounds, accumulate(durations.buckets), strict=True))
            calls.add_metric(labels, buckets, durations.ms / 1000)
        yield calls
        faults = CounterMetricFamily(f"{PREFIX}faults", "Planned faults that calls met.", labels=["kind"])
        for kind, count in sorted(self._calls.faults.items()):
            faults.add_metric([kind], count)
        yield faults
        for name, count in self._held.items():
            yield GaugeMetricFamily(PREFIX + name, f"{name.replace('_', ' ')} of all teams.".capitalize(), count)


ROUTES = (ControlRoute("GET", "/metrics", metrics, TextResponse, query=NoQuery),)
