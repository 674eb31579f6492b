"""Route gRPC calls, and record them when they end."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from emulator.core import clock
from emulator.domain.keys import Plane
from emulator.recorder.access import Keys, Refused
from emulator.recorder.budget import Budget
from emulator.recorder.journal import RecordingJournal
from emulator.recordings.entries import GRPC_TYPE, RECORDER, Content, Entry, Grpc, Pair, PostData, Request, Response
from emulator.recordings.planes import grpc_operation, grpc_plane, keeps_request

if TYPE_CHECKING:
    from emulator.rpc.forward import Metadata, Passed, Refusal, Route

KEYLESS = "/xai_api.Files/UploadFile"  # which xai-sdk sends without a key on insecure channels


class GrpcCalls:
    """Routes calls of the forwarding gRPC server, and records them."""

    def __init__(
        self,
        journal: RecordingJournal,
        hosts: Mapping[Plane, str],
        targets: Mapping[Plane, tuple[str, str | None]],
        keys: Keys,
        budget: Budget,
    ) -> None:
        """`targets` are HOST:PORT and the TLS roots (None for no TLS), by plane; `hosts` are the URLs to be shown."""
        self._journal, self._hosts, self._targets = journal, hosts, targets
        self._keys, self._budget = keys, budget

    def route(self, call: Passed) -> Route | Refusal:
        """Return the target of a call, with the metadata to send."""
        from emulator.rpc.forward import Refusal, Route

        call.tag = (self._journal.number(), self._journal.page)
        try:
            own = _authorization(call.metadata)
            last = self._keys.on_connection(call.peer, own)
            authorization = last if call.method == KEYLESS else own
            sent = self._keys.put_in(authorization)
            self._budget.spend()
        except Refused as refused:
            return Refusal(refused.code, refused.message)
        target, tls = self._targets[grpc_plane(call.method)]
        kept = [
            (name, value)
            for name, value in call.metadata
            if not name.startswith(("grpc-", ":", "x-emulator-")) and name not in ("user-agent", "authorization")
        ]
        return Route(target, tls, (*kept, *([] if sent is None else [("authorization", sent)])))

    def passed(self, call: Passed) -> None:
        """Record a call that has ended. An error here must not fail the call."""
        try:
            self._journal.add(self._entry(call))
            self._journal.lost += call.error is not None
        except Exception:
            self._journal.lost += 1

    def _entry(self, call: Passed) -> Entry:
        operation, plane = grpc_operation(call.method), grpc_plane(call.method)
        understood = call.understood and keeps_request(operation)
        grpc = Grpc(
            status=call.code,
            message=call.message,
            initial=_pairs(call.initial),
            trailers=_pairs(call.trailers),
            unknown=call.unknown,
            messages=UNSET,
        )
        if understood:
            grpc.request, grpc.response, grpc.at_ms = call.requests, call.responses, call.at_ms
        else:
            grpc.messages = {"request": call.counts[0], "response": call.counts[1]}
        entry = Entry(
            Request(
                "POST",
                self._hosts[plane] + call.method,
                "HTTP/2",
                headers=[pair for pair in _pairs(call.metadata) if not pair.name.startswith(":")],
                body_size=call.sizes[0],
                body=PostData(GRPC_TYPE),
            ),
            Response(200, "OK", "HTTP/2", headers=[Pair("content-type", GRPC_TYPE)], body_size=call.sizes[1]),
            started=clock.rfc3339(call.started),
            time=round(call.milliseconds, 1),
            number=call.tag[0],
            operation=operation,
            plane=plane.value,
            page=call.tag[1],
            grpc=grpc,
        )
        entry.timings.wait = entry.time
        entry.response.body = Content(call.sizes[1], GRPC_TYPE)
        if call.refused or call.unreachable:
            entry.by = RECORDER
        if call.error is not None:
            entry.error = f"not wholly recorded: {call.error}"
        return entry


def _authorization(metadata: Metadata) -> str | None:
    return next((str(value) for name, value in metadata if name == "authorization"), None)


def _pairs(metadata: Iterable[tuple[str, Any]]) -> list[Pair]:
    """Metadata as text; binary values in base64."""
    return [
        Pair(name, base64.b64encode(value).decode() if isinstance(value, bytes) else value) for name, value in metadata
    ]
