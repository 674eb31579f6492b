"""Draft cases over gRPC: tests of the contract kit in Python, because TOML cases only have HTTP requests.

A draft is a function with the calls that an exchange depends on, and the response of the service. Its docstring is
empty, and the kit refuses a case without one: a person reviews the draft, corrects it, and describes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from msgspec import UNSET

from emulator.comparing.case_values import CannotDraft, Draft, feature_of
from emulator.comparing.run import Outcome
from emulator.recordings.bounded_json import loads
from emulator.recordings.chains import Link, answer_of, is_wait, succeeded
from emulator.recordings.entries import Entry, Grpc, PostData
from emulator.rpc.plain import fill

HEAD = '''\
"""Drafts of cases over gRPC from {file}: read each, shorten what it expects, and give it a name and a sentence."""

from __future__ import annotations

import pytest

from . import matchers
from .case import case
from .clients.client import Client
from .clients.http import FilePart
from .clients.models import ApiError
from .clients.rest import RestClient

pytestmark = [pytest.mark.over_grpc, pytest.mark.one_client_per_protocol]
'''
UPLOAD, DOWNLOAD = "/xai_api.Files/UploadFile", "/xai_api.Files/RetrieveFileContent"
WAIT_SECONDS = 60
# Conditions to wait for, by the polling operation: a path in the response, and its value.
WAITS = {"documents.get": ("status", "DOCUMENT_STATUS_PROCESSED"), "batches.get": ("state.num_pending", 0)}


class GrpcDraft(Draft):
    """One case over gRPC."""

    def lines(self, outcome: Outcome, source: str, number: int) -> Iterator[str]:
        """Yield the lines of the function."""
        *before, last = self._chain.links
        work = [line for link in before for line in self._before(link)]
        work += self._last(last.entry)  # which may raise CannotDraft, so all of it comes first
        feature = feature_of(outcome.operation)
        yield from self._notes(outcome)
        yield f'@case("{feature}.draft-grpc-{number}", {outcome.operation!r}, evidence="recorded", source={source!r})'
        yield f"def test_{feature}_draft_grpc_{number}(client: Client, rest: RestClient, name: str) -> None:"
        yield '    """"""'
        yield "    run = name"
        yield from (f"    {line}" for line in work)

    def _before(self, link: Link) -> Iterator[str]:
        entry = link.entry
        if not succeeded(entry):
            raise CannotDraft("after a call that the service refused")
        ask = self._call(entry)
        if is_wait(entry):
            path, value = WAITS[entry.operation or ""]
            yield f"matchers.wait_until(lambda: {ask}{subscripts(path)}, {value!r}, within_seconds={WAIT_SECONDS})"
            return
        yield f"answer = {ask}"
        for variable, path in link.saves.items():
            yield f"{variable} = answer{subscripts(path)}"

    def _last(self, entry: Entry) -> Iterator[str]:
        ask = self._call(entry)
        assert isinstance(entry.grpc, Grpc)
        if not succeeded(entry):
            yield "with pytest.raises(ApiError) as refusal:"
            yield f"    {ask}"
            expected = self._code({"status": entry.grpc.status, "message": self._exactly(entry.grpc.message)})
            yield "found = {'status': refusal.value.status, 'message': refusal.value.message}"
        else:
            yield f"found = {ask}"
            expected = self._code(self._expected(answer_of(entry) or {}, "$", entry.operation or ""))
        yield f"assert matchers.mismatch(found, {expected}) is None"

    # --- calls

    def _call(self, entry: Entry) -> str:
        """Return the expression of a call, whose value is the response."""
        return self._grpc_call(entry, entry.grpc) if isinstance(entry.grpc, Grpc) else self._rest_call(entry)

    def _grpc_call(self, entry: Entry, call: Grpc) -> str:
        method = urlsplit(entry.request.url).path
        requests = [self._named(without_hashes(message)) for message in call.request]
        if method == UPLOAD:
            return f"client.upload_rpc({self._code(requests)})"
        if method == DOWNLOAD or len(requests) != 1 or len(call.response) > 1:
            raise CannotDraft("a stream over gRPC")
        fields = ", ".join(f"{name}={self._code(value)}" for name, value in requests[0].items())
        return f"client.call_rpc({method.rpartition('/')[2]!r}{fields and ', '}{fields})"

    def _rest_call(self, entry: Entry) -> str:
        parts, body = urlsplit(entry.request.url), entry.request.body
        arguments = [repr(entry.request.method), self._code(self._words(parts.path))]
        if parts.query:
            pairs = [[name, self._words(value)] for name, value in parse_qsl(parts.query, keep_blank_values=True)]
            arguments.append(f"query={self._code(pairs)}")
        if isinstance(body, PostData) and body.params is not UNSET:
            arguments.append(f"form=[{', '.join(map(self._form_part, body.params))}]")
        elif isinstance(body, PostData) and body.text:
            arguments.append(f"json_body={self._code(self._named(loads(body.text)))}")
        return f"rest.json({', '.join(arguments)})"

    def _form_part(self, param: Any) -> str:
        if isinstance(param.value, str):
            return f"({self._code(param.name)}, {self._code(self._words(param.value))})"
        name = self._code(self._name(param.filename)) if isinstance(param.filename, str) else "None"
        return f"({self._code(param.name)}, FilePart({name}, {fill(param.size or 0)!r}))"

    # --- values

    def _expected_text(self, value: str, treat: str | None) -> Any:
        found = super()._expected_text(value, treat)
        return "$text" if found == "$timestamp" else found  # the kit spells a protobuf Timestamp in its own way

    def _code(self, value: Any) -> str:
        """Return a value as Python source; a text with variables in braces as an f-string."""
        match value:
            case {"_bytes": int(size)}:
                return repr(fill(size))
            case str():
                return f"f{value!r}" if self.has_variables(value) else repr(value)
            case list():
                return f"[{', '.join(map(self._code, value))}]"
            case dict():
                return "{" + ", ".join(f"{name!r}: {self._code(item)}" for name, item in value.items()) + "}"
            case _:
                return repr(value)


def without_hashes(value: Any) -> Any:
    """Return messages with only the lengths of their bytes."""
    match value:
        case {"_bytes": int(size)}:
            return {"_bytes": size}
        case dict():
            return {name: without_hashes(item) for name, item in value.items()}
        case list():
            return [without_hashes(item) for item in value]
        case _:
            return value


def subscripts(path: str) -> str:
    """Return the subscripts of a value in JSON, such as `["data"][0]`."""
    return "".join(f"[{part}]" if part.isdigit() else f"[{part!r}]" for part in path.split("."))
