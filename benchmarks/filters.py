"""How fast filters are: parsing, parsing again, evaluating many documents, and whether cost grows with length alone.

Each figure is processor time and the best of several rounds, so that a busy machine disturbs least.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from benchmarks.table import Figure
from filter_grammar import FilterError, Limits, numeral, parse, predicate

TYPICAL = 'author = "Sandra Kim" AND (year >= 2020 OR status != "draft")'
UNLIMITED = Limits(None, None, None)
DOCUMENTS = 100_000
ROUNDS = 7


def seconds(call: Callable[[int], object], count: int = 1) -> float:
    """The time of one call, which is given a number that no other call has had."""
    times = []
    for turn in range(ROUNDS):
        started = time.thread_time()
        for number in range(turn * count, turn * count + count):
            call(number)
        times.append(time.thread_time() - started)
    return min(times) / count


def first_parse() -> float:
    """Importing lark, building the parser and one parse, which happens once in a process."""
    started = time.thread_time()
    parse("a = 1")
    return time.thread_time() - started


def parse_uncached() -> float:
    """A typical filter, different each time."""
    return seconds(lambda number: parse(TYPICAL.replace("2020", str(number))), 500)


def parse_cached() -> float:
    """A typical filter that was parsed before."""
    return seconds(lambda number: parse(TYPICAL), 20_000)


def refuse() -> float:
    """A filter with a mistake at its end, and its error text."""

    def refused(number: int) -> None:
        try:
            parse(TYPICAL.replace("2020", str(number)) + " and so on")
        except FilterError as error:
            str(error)

    return seconds(refused, 200)


def evaluate(text: str) -> float:
    """A filter on 100,000 documents."""
    documents = [
        {
            "author": "Sandra Kim" if n % 2 else "John Doe",
            "year": str(1990 + n % 40),
            "status": "draft",
            "price": str(n / 8),
        }
        for n in range(DOCUMENTS)
    ]
    accepts = predicate(parse(text))
    return seconds(lambda number: [accepts(document) for document in documents])


def select(text: str) -> float:
    """The same on columns, from the second filter on, with the ids of the documents as its result."""
    from emulator.operations.field_filters import mask_of
    from emulator.store.field_columns import Columns

    columns, expr = Columns(numeral), parse(text)
    for n in range(DOCUMENTS):
        author = "Sandra Kim" if n % 2 else "John Doe"
        columns.put(f"file_{n}", {"author": author, "year": str(1990 + n % 40), "status": "draft", "price": str(n / 8)})
    columns.chosen(mask_of(expr, columns))
    return seconds(lambda number: columns.chosen(mask_of(expr, columns)))


def growth(one: str, glue: str) -> float:
    """How much longer each part of a filter takes when there are eight times as many."""
    small, large = (glue.join([one] * count) for count in (200, 1600))
    gc.disable()  # it runs when it likes, and longer for more
    try:
        return seconds(lambda number: parse(large, UNLIMITED)) / seconds(lambda number: parse(small, UNLIMITED)) / 8
    finally:
        gc.enable()


def measure() -> list[Figure]:
    """Every figure."""
    ms, us = 1e3, 1e6
    texts = {"a typical filter": TYPICAL, "one text": "status = active", "one range": "price:100..9000"}
    return [
        Figure("filter: the first parse of a process, which builds the parser", first_parse() * ms, "ms"),
        Figure("filter: parse a typical one", parse_uncached() * us, "µs", 100),
        Figure("filter: parse it again", parse_cached() * us, "µs", 2),
        Figure("filter: refuse one", refuse() * us, "µs"),
        *(
            Figure(f"filter: {name} over {DOCUMENTS:,} documents", evaluate(text) * ms, "ms", 150)
            for name, text in texts.items()
        ),
        *(
            Figure(f"filter: {name} over {DOCUMENTS:,} documents of a collection", select(text) * ms, "ms", 20)
            for name, text in texts.items()
        ),
        Figure("filter: each term of 1,600 with AND, to each of 200", growth(TYPICAL, " AND "), "x", 1.1),
        Figure("filter: each term of 1,600 with OR, to each of 200", growth("a = 1", " OR "), "x", 1.1),
    ]
