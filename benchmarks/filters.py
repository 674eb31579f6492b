"""How fast filters are: parsing, parsing again, evaluating many documents, and whether cost grows with length alone.

Run as `python benchmarks/filters.py`. Each figure is the best of several rounds, so that a busy machine disturbs least.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run from a checkout, installed or not

from filter_grammar import FilterError, Limits, parse, predicate

TYPICAL = 'author = "Sandra Kim" AND (year >= 2020 OR status != "draft")'
UNLIMITED = Limits(None, None, None)
DOCUMENTS = 100_000
ROUNDS = 7


def seconds(call: Callable[[int], object], count: int = 1) -> float:
    """The time of one call, which is given a number that no other call has had."""
    times = []
    for turn in range(ROUNDS):
        started = time.perf_counter()
        for number in range(turn * count, turn * count + count):
            call(number)
        times.append(time.perf_counter() - started)
    return min(times) / count


def first_parse() -> float:
    """Importing lark, building the parser and one parse, which happens once in a process."""
    started = time.perf_counter()
    parse("a = 1")
    return time.perf_counter() - started


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


def growth(one: str, glue: str) -> float:
    """How many times as long eight times the filter takes."""
    small, large = (glue.join([one] * count) for count in (200, 1600))
    gc.disable()  # it runs when it likes, and longer for more
    try:
        return seconds(lambda number: parse(large, UNLIMITED)) / seconds(lambda number: parse(small, UNLIMITED))
    finally:
        gc.enable()


def report() -> list[tuple[str, str, str]]:
    """What is measured, the figure, and the aim."""
    ms, us = 1e3, 1e6
    return [
        ("first parse of the process", f"{first_parse() * ms:.1f} ms", ""),
        ("parse a typical filter", f"{parse_uncached() * us:.1f} us", "100 us"),
        ("parse it again", f"{parse_cached() * us:.2f} us", "2 us"),
        ("refuse one", f"{refuse() * us:.1f} us", ""),
        ("100,000 documents, typical filter", f"{evaluate(TYPICAL) * ms:.1f} ms", "150 ms"),
        ("100,000 documents, one text", f"{evaluate('status = active') * ms:.1f} ms", "150 ms"),
        ("100,000 documents, one range", f"{evaluate('price:100..9000') * ms:.1f} ms", "150 ms"),
        ("8 times the filter, AND", f"{growth(TYPICAL, ' AND '):.1f} times", "8 times"),
        ("8 times the filter, OR", f"{growth('a = 1', ' OR '):.1f} times", "8 times"),
    ]


if __name__ == "__main__":
    print(f"{'':36}{'measured':>12}{'aim':>12}")
    for name, figure, aim in report():
        print(f"{name:36}{figure:>12}{aim:>12}")
