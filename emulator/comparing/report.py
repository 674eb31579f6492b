"""Report differences: equal ones as one line, most severe first, each with the entry that would accept it."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from emulator.comparing.differences import FAIL_ON, MARKS, Difference, Noise, masked
from emulator.comparing.evidence import evidence_of
from emulator.comparing.ignore import Ignore, entry_for, is_ignored
from emulator.comparing.run import ALIKE, DIFFERS, IN_PROGRESS, NOT_COMPARED, Comparison, Outcome
from emulator.core.clock import Instant
from emulator.recordings.har import Recording
from emulator.recordings.order import moment

SCHEMA_VERSION = 1
SHOWN_MAX = 20
VALUE_CHARS_MAX = 160
DAYS_FRESH = 90
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DAY = 86_400 * 1_000_000


class Group(msgspec.Struct):
    """Equal differences: same operation, path and values, apart from ids and numbers."""

    operation: str
    title: str
    difference: Difference
    exchanges: list[int]
    pages: list[str]


class Report(msgspec.Struct):
    """A comparison without ignored differences."""

    comparison: Comparison
    groups: list[Group]
    counts: Counter[str]  # of exchanges, by outcome
    ignored: int
    unused: list[Ignore]
    fail_on: tuple[str, ...]
    age_days: int | None
    noise: int = 0  # differences where the service's own responses vary

    @property
    def failing(self) -> list[Group]:
        """The differences for which the comparison fails."""
        return [group for group in self.groups if group.difference.kind in self.fail_on]

    @property
    def exit_code(self) -> int:
        """Return 0 without differences; 1 for a difference, an unused entry, or if nothing could be compared."""
        return 1 if self.failing or self.unused or not self.compared else 0

    @property
    def compared(self) -> int:
        """Return how many exchanges were compared."""
        return self.counts[ALIKE] + self.counts[DIFFERS]


def report_of(
    comparison: Comparison,
    ignores: Sequence[Ignore] = (),
    fail_on: Iterable[str] = FAIL_ON,
    now: Instant | None = None,
    noise: Collection[Noise] = (),
) -> Report:
    """Group the differences of a comparison, without ignored ones and noise."""
    groups: dict[Any, Group] = {}
    counts: Counter[str] = Counter()
    ignored = noisy = 0
    for outcome in comparison.outcomes:
        steady = [each for each in outcome.differences if Noise(outcome.operation, each.what, each.place) not in noise]
        kept = [each for each in steady if not is_ignored(ignores, outcome.operation, each)]
        noisy += len(outcome.differences) - len(steady)
        ignored += len(steady) - len(kept)
        counts[ALIKE if outcome.outcome == DIFFERS and not kept else outcome.outcome] += 1
        for difference in kept:
            group = groups.setdefault(_key(outcome, difference), _group(outcome, difference))
            if outcome.number not in group.exchanges:
                group.exchanges.append(outcome.number)
            if outcome.page is not None and outcome.page not in group.pages:
                group.pages.append(outcome.page)
    ordered = sorted(groups.values(), key=lambda group: (group.difference.weight, group.exchanges[0]))
    unused = [each for each in ignores if not each.matches]
    return Report(comparison, ordered, counts, ignored, unused, tuple(fail_on), _age_days(comparison, now), noisy)


def _key(outcome: Outcome, difference: Difference) -> tuple[Any, ...]:
    sides = (masked(_shown(difference.there)), masked(_shown(difference.here)))
    if difference.what in ("extra there", "missing there"):  # whatever the value is
        sides = ("", "")
    return (outcome.operation, difference.what, difference.place, *sides)


def _group(outcome: Outcome, difference: Difference) -> Group:
    return Group(outcome.operation, outcome.title, difference, [], [])


def _age_days(comparison: Comparison, now: Instant | None) -> int | None:
    recorded = getattr(comparison.recording.log.about, "recorded", "")
    began = moment(f"{recorded}T00:00:00Z")
    return None if now is None or began is None else (now - began) // _DAY


# --- text


def lines_of(report: Report, most: int = SHOWN_MAX) -> Iterator[str]:
    """Return the lines of the report."""
    last = ""
    for group in report.groups[:most]:
        head = f"{group.operation}    {group.title}"
        if head != last:
            yield head
        last = head
        yield from _group_lines(group)
    if len(report.groups) > most:
        yield f"and {len(report.groups) - most} further ways to differ (--max)"
    if report.groups:
        yield ""
    yield from _summary(report)
    if shown := report.failing[:most]:
        yield "to let one pass, with the reason, in compare.toml:"
        yield from (f"  {line}" for line in entry_for(shown[0].operation, shown[0].difference))


def _group_lines(group: Group) -> Iterator[str]:
    difference = group.difference
    others = f" and {len(group.exchanges) - 1} more" if len(group.exchanges) > 1 else ""
    where = f"#{group.exchanges[0]}{others}"
    case = f" (case {group.pages[0]})" if group.pages else ""
    mark = MARKS.get(difference.what, "~")
    yield f"  {mark} {difference.what:14} {difference.place or '':34} {where}{case}"
    if difference.what == "extra there":
        yield f"      there: {_shown(difference.there)}"
    elif difference.what == "missing there":
        yield f"      here:  {_shown(difference.here)}"
    else:
        yield f"      there: {_shown(difference.there)}"
        yield f"      here:  {_shown(difference.here)}"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}…"


def _summary(report: Report) -> Iterator[str]:
    counts, comparison = report.counts, report.comparison
    kinds = Counter(group.difference.kind for group in report.groups)
    ways = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    differ = f"{counts[DIFFERS]} differ in {len(report.groups)} ways ({ways})" if report.groups else "none differs"
    yield f"compared {report.compared} of {len(comparison.outcomes)}: {counts[ALIKE]} alike; {differ}"
    if skipped := _not_compared(comparison):
        yield "not compared: " + ", ".join(f"{count} {why}" for why, count in skipped.items())
    if comparison.other is not None:
        there, here = (_dated(each) for each in (comparison.recording, comparison.other))
        yield f"there is {there}, here is {here}"
        if comparison.unpaired:
            yield f"{comparison.unpaired} exchanges of {here} have no counterpart"
    if counts[IN_PROGRESS]:
        yield f"in progress when recorded, so not judged: {counts[IN_PROGRESS]}"
    if report.noise:
        yield f"noise, at places where two recordings differ as well: {report.noise} differences"
    if report.ignored:
        yield f"ignored: {report.ignored} differences"
    for each in report.unused:
        yield f"ignores nothing any more: {each.operation} {each.path} ({each.difference}): remove it"
    if comparison.recording.elsewhere:
        yield f"{comparison.recording.elsewhere} calls to other hosts are left out"
    if comparison.recording.unreadable:
        yield f"{comparison.recording.unreadable} entries of the file are no exchanges"
    if comparison.headers_there:
        never = "the emulator never does" if comparison.other is None else "did not send at the other time"
        yield f"headers that the service sends and {never}: {', '.join(comparison.headers_there)}"
    verdicts = Counter(row["verdict"] for row in evidence_of(comparison))
    if verdicts and comparison.other is None:
        yield "cases: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    if report.age_days is not None and report.age_days > DAYS_FRESH:
        yield f"the recording is {report.age_days} days old: the service may have changed since"
    if not report.compared:
        yield "nothing could be compared, which is a failure"


def _dated(recording: Recording) -> str:
    recorded = getattr(recording.log.about, "recorded", "")
    return f"{recording.path.name} ({recorded})" if recorded else recording.path.name


def _not_compared(comparison: Comparison) -> dict[str, int]:
    found = Counter(outcome.why for outcome in comparison.outcomes if outcome.outcome == NOT_COMPARED)
    return dict(found.most_common())


# --- for programs


def json_of(report: Report) -> dict[str, Any]:
    """Return the report as JSON values."""
    comparison = report.comparison
    makers: dict[int, list[int]] = defaultdict(list)
    for outcome in comparison.outcomes:
        if outcome.waits_for is not None:
            makers[outcome.waits_for].append(outcome.number)
    about = comparison.recording.log.about
    return {
        "schema_version": SCHEMA_VERSION,
        "file": comparison.recording.path.name,
        "service": getattr(about, "to", []),
        "recorded": getattr(about, "recorded", ""),
        "with": None if comparison.other is None else comparison.other.path.name,
        "unpaired": comparison.unpaired,
        "exchanges": len(comparison.outcomes),
        "compared": report.compared,
        "alike": report.counts[ALIKE],
        "in_progress": report.counts[IN_PROGRESS],
        "ignored": report.ignored,
        "noise": report.noise,
        "unused_ignores": [msgspec.structs.asdict(each) for each in report.unused],
        "differences": [
            {
                "operation": group.operation,
                "title": group.title,
                "difference": group.difference.what,
                "kind": group.difference.kind,
                "path": group.difference.place,
                "there": group.difference.there,
                "here": group.difference.here,
                "exchanges": group.exchanges,
                "cases": group.pages,
            }
            for group in report.groups
        ],
        "not_compared": [{"why": why, "count": count} for why, count in _not_compared(comparison).items()],
        "waiting": [{"for": maker, "exchanges": numbers} for maker, numbers in sorted(makers.items())],
        "headers_there": comparison.headers_there,
        "evidence": evidence_of(comparison) if comparison.other is None else [],
    }


def junit_of(report: Report) -> bytes:
    """Return the report as JUnit XML: a test case for each exchange, with a failure if it differs."""
    from xml.etree import ElementTree

    failing = {(number, id(group)): group for group in report.failing for number in group.exchanges}
    by_number: dict[int, list[Group]] = defaultdict(list)
    for (number, _), group in failing.items():
        by_number[number].append(group)
    outcomes = report.comparison.outcomes
    suite = ElementTree.Element(
        "testsuite",
        name=f"xai-emulator compare {report.comparison.recording.path.name}",
        tests=str(len(outcomes)),
        failures=str(len(by_number)),
        skipped=str(sum(each.outcome in (NOT_COMPARED, IN_PROGRESS) for each in outcomes)),
        errors="0",
    )
    for outcome in outcomes:
        name = f"#{outcome.number} {outcome.title}"
        case = ElementTree.SubElement(suite, "testcase", classname=outcome.operation or "unknown", name=_xml(name))
        if outcome.outcome in (NOT_COMPARED, IN_PROGRESS):
            ElementTree.SubElement(case, "skipped", message=_xml(outcome.why or outcome.outcome))
        if groups := by_number.get(outcome.number):
            text = "\n".join(line for group in groups for line in _group_lines(group))
            first = groups[0].difference
            failure = ElementTree.SubElement(case, "failure", message=_xml(f"{first.what} {first.place}".strip()))
            failure.text = _xml(text)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    return bytes(ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True))


def _xml(text: str) -> str:
    """Return a text without the characters that XML 1.0 cannot represent."""
    return _NOT_XML.sub("\ufffd", text)
