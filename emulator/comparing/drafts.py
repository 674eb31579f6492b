"""Draft cases of the contract kit from a recording: one for each kind of exchange, starting with differences."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from emulator.comparing import cases, grpc_cases
from emulator.comparing.case_values import CannotDraft, check
from emulator.comparing.cases import RestDraft
from emulator.comparing.differences import masked
from emulator.comparing.grpc_cases import GrpcDraft
from emulator.comparing.run import DIFFERS, IN_PROGRESS, NOT_COMPARED, Comparison, Outcome
from emulator.recordings.chains import Chains, answer_of, succeeded
from emulator.recordings.entries import Entry, Grpc
from emulator.recordings.order import in_order


class Drafts(msgspec.Struct):
    """Cases as TOML, and as Python for gRPC, with their counts; and the counts of excluded exchanges, by reason."""

    text: str
    count: int
    code: str
    code_count: int
    left_out: Counter[str]


def draft_cases(comparison: Comparison) -> Drafts:
    """Draft one case for each kind of exchange, those that differ first."""
    entries = in_order(comparison.recording.entries)
    chains, by_number = Chains(entries), {entry.number: entry for entry in entries}
    about = comparison.recording.log.about
    recorded = getattr(about, "recorded", "") or "on an unknown day"
    lacking = {outcome.number for outcome in comparison.outcomes if outcome.why.startswith("lacks")}
    unfinished = {outcome.number for outcome in comparison.outcomes if outcome.outcome == IN_PROGRESS}
    rest, over_grpc, seen, left_out = list[str](), list[str](), set(), Counter[str]()
    for outcome in sorted(comparison.outcomes, key=lambda each: each.outcome != DIFFERS):
        entry = by_number[outcome.number]
        try:
            if (kind := _kind(outcome, entry)) in seen:
                continue
            source = f"recorded {recorded}, {comparison.recording.path.name} #{outcome.number}"
            chain = chains.of(entry)
            if any(link.entry.number in lacking for link in chain.links):
                raise CannotDraft("after a call that lacks its content")
            kind_of_draft, pieces = (GrpcDraft, over_grpc) if isinstance(entry.grpc, Grpc) else (RestDraft, rest)
            draft = kind_of_draft(chain, unfinished, comparison.recording.contents_left_out)
            pieces.append("\n".join(draft.lines(outcome, source, len(pieces) + 1)))
            seen.add(kind)
        except CannotDraft as error:
            left_out[str(error)] += 1
    name = comparison.recording.path.name
    text = "\n\n".join([cases.HEAD.format(file=name), *rest]) + "\n"
    code = "\n\n\n".join([grpc_cases.HEAD.format(file=name), *over_grpc]) + "\n"
    return Drafts(text, len(rest), code if over_grpc else "", len(over_grpc), left_out)


def _kind(outcome: Outcome, entry: Entry) -> tuple[Any, ...]:
    """Return the kind of an exchange, of which one draft is enough."""
    if outcome.outcome == NOT_COMPARED and not outcome.why.startswith("needs"):
        raise CannotDraft(outcome.why)
    if outcome.outcome == IN_PROGRESS:
        raise CannotDraft("in progress when recorded, which a case cannot wait for")
    check(entry)
    answer = answer_of(entry)
    shape = masked(json.dumps(answer)) if not succeeded(entry) else list(answer) if isinstance(answer, dict) else ""
    names = sorted(name for name, _ in parse_qsl(urlsplit(entry.request.url).query))
    differences = tuple((each.what, each.place) for each in outcome.differences)
    return (outcome.operation, outcome.title, entry.response.status, str(shape), *names, *differences)
