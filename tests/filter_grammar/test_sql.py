"""SQL conditions select the rows that the filter matches. SQLite runs them; of PostgreSQL's text all but its casts."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from filter_grammar import (
    And,
    Column,
    Comparison,
    Expr,
    Field,
    Fields,
    FilterError,
    Not,
    Null,
    Number,
    Or,
    Present,
    Text,
    Type,
    check,
    matches,
    parse,
    to_sql,
)
from filter_grammar.ast import comparisons as leaves
from filter_grammar.ast import conjunction, disjunction

# `r` and `s` are names inside of the conditions too.
NAMES = ["a", "s", "r", "a.b", 'odd "name"']
COLUMNS = {name: Column('"' + name.replace('"', '""') + '"') for name in NAMES}
# Numerals that a double holds exactly enough, texts that are almost numerals, and texts that SQL might trip over.
NUMERALS = ["0", "-0", "7", "007", "10", "9", "9.0", "-1", "1e1", "1E+1", "0.90e1", "100e-1", "2.5", "-2.5", "1e300"]
TEXTS = [
    *("", "x", "X", "x y", 'q"\\', "é", "５", "日本", "😀", "null", "*", "' OR 1 = 1 --", "%s", "?", "\x00", "1\x00"),
    *(
        "-",
        "--1",
        "+5",
        "1.",
        ".5",
        "1.e5",
        "e5",
        "1e",
        "1e+",
        "1e+-5",
        "1e5x",
        "1.2.3",
        " 1",
        "1 ",
        "0x1F",
        "inf",
        "1_0",
    ),
]
values = st.sampled_from(NUMERALS + TEXTS) | st.text(st.sampled_from("0129.eE+-"), max_size=6)
rows = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, values))
operators = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", ":"])
comparisons = st.builds(
    Comparison,
    st.sampled_from(NAMES).map(lambda name: (name,)),
    operators,
    st.builds(Text, values) | st.builds(Number, st.sampled_from(NUMERALS)) | st.builds(Null),
) | st.builds(Comparison, st.sampled_from(NAMES).map(lambda name: (name,)), st.just(":"), st.builds(Present))


def trees(single: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    """Trees over these comparisons, with wide nodes too."""
    return st.recursive(
        single,
        lambda below: (
            st.builds(Not, below)
            | st.lists(below, min_size=1, max_size=10).map(lambda operands: conjunction(*operands))
            | st.lists(below, min_size=1, max_size=10).map(lambda operands: disjunction(*operands))
        ),
        max_leaves=20,
    )


filters = trees(comparisons) | st.just(And(())) | st.just(Or(()))


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    """One table with a text column for each name, and what PostgreSQL has and SQLite lacks."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t ({', '.join(f'{column.sql} TEXT' for column in COLUMNS.values())}, n)")
        connection.create_collation("C", lambda one, other: (one > other) - (one < other))
        connection.create_function(
            "REGEXP", 2, lambda pattern, text: text is not None and bool(re.search(pattern, text))
        )
        yield connection


def selected(database: sqlite3.Connection, condition: str, parameters: tuple[str, ...], row: dict[str, str]) -> bool:
    """Whether a condition is true for a row."""
    database.execute("DELETE FROM t")
    marks = ", ".join("?" * len(NAMES))
    names = ", ".join(COLUMNS[name].sql for name in NAMES)
    database.execute(f"INSERT INTO t ({names}) VALUES ({marks})", [row.get(name) for name in NAMES])
    return database.execute(f"SELECT count(*) FROM t WHERE {condition}", parameters).fetchone() == (1,)


@given(expr=filters, row=rows)
@example(expr=Not(Comparison(("a",), "=", Number("7"))), row={})
@example(expr=Not(Comparison(("a",), "!=", Number("7"))), row={"a": "seven"})
def test_sqlite_condition_selects_what_the_filter_matches(
    database: sqlite3.Connection, expr: Expr, row: dict[str, str]
) -> None:
    condition = to_sql(expr, COLUMNS)
    assert condition.text.count("?") == len(condition.parameters)
    assert selected(database, condition.text, condition.parameters, row) is matches(expr, row)


@given(expr=filters, row=rows)
def test_postgresql_condition_selects_what_the_filter_matches(
    database: sqlite3.Connection, expr: Expr, row: dict[str, str]
) -> None:
    """SQLite runs the same text, once two operators and the placeholders have its spelling."""
    texts = [node.argument.value for node in leaves(expr) if isinstance(node.argument, Text)]
    assume("\x00" not in "".join(texts))
    condition = to_sql(expr, COLUMNS, "postgresql")
    assert condition.text.count("%s") == len(condition.parameters)
    text = condition.text.replace("%s", "?")
    for theirs, ours in ((" ~ ", " REGEXP "), ("IS DISTINCT FROM", "IS NOT")):  # SQLite has the latter since 3.39 only
        text = text.replace(theirs, ours)
    assert selected(database, text, condition.parameters, row) is matches(expr, row)


@given(expr=filters, row=rows)
def test_conditions_hold_values_as_parameters_only(expr: Expr, row: dict[str, str]) -> None:
    """The same tree with other texts has the same condition."""

    def emptied(node: Expr) -> Expr:
        if isinstance(node, Comparison):
            same = not isinstance(node.argument, Text)
            return Comparison(node.path, node.operator, node.argument if same else Text(""))
        if isinstance(node, Not):
            return Not(emptied(node.operand))
        return type(node)(tuple(map(emptied, node.operands)))

    assert to_sql(expr, COLUMNS).text == to_sql(emptied(expr), COLUMNS).text


numbers = st.sampled_from([None, 0, 7, -3, 2.5, 10**15])


@given(
    expr=trees(
        st.builds(
            Comparison,
            st.just(("n",)),
            operators,
            st.builds(Number, st.sampled_from(["7", "2.50", "-3", "1e15", "0"]))
            | st.builds(Text, st.just("7"))
            | st.builds(Null),
        )
    ),
    number=numbers,
)
def test_number_column_is_compared_as_a_declared_number(
    database: sqlite3.Connection, expr: Expr, number: float | None
) -> None:
    condition = to_sql(expr, {"n": Column("n", Type.NUMBER)})
    database.execute("DELETE FROM t")
    database.execute("INSERT INTO t (n) VALUES (?)", [number])
    found = database.execute(f"SELECT count(*) FROM t WHERE {condition.text}", condition.parameters).fetchone() == (1,)
    assert found is check(expr, Fields(Field("n", Type.NUMBER))).matches({"n": number})


@pytest.mark.parametrize(
    ("text", "sqlite", "postgresql"),
    [
        ('a = "x"', "a = ?", "a = %s"),
        ('a != "x"', "a <> ?", "a <> %s"),
        ('NOT a = "x"', "a IS NOT ?", "a IS DISTINCT FROM %s"),
        ('a < "x"', "a < ?", 'a COLLATE "C" < %s'),
        ("n >= 5", "n >= CAST(? AS NUMERIC)", "n >= CAST(%s AS NUMERIC)"),
        ("NOT n >= 5", "(n < CAST(? AS NUMERIC) OR n IS NULL)", "(n < CAST(%s AS NUMERIC) OR n IS NULL)"),
        ("a = null OR n:*", "a IS NULL OR n IS NOT NULL", "a IS NULL OR n IS NOT NULL"),
        ("a < null", "1 = 0", "1 = 0"),
        ("", "1 = 1", "1 = 1"),
        (
            'NOT (a = "x" OR n = 1) AND f.y = "z"',
            "a IS NOT ? AND n IS NOT CAST(? AS NUMERIC) AND (f ->> 'y') = ?",
            "a IS DISTINCT FROM %s AND n IS DISTINCT FROM CAST(%s AS NUMERIC) AND (f ->> 'y') = %s",
        ),
        ("a = x AND (a = y OR a = z)", "(a = ? OR a = ?) AND a = ?", "(a = %s OR a = %s) AND a = %s"),
        ("(a = x AND a != y) OR a = z", "a = ? AND a <> ? OR a = ?", "a = %s AND a <> %s OR a = %s"),
    ],
)
def test_condition_of_a_filter_is_plain(text: str, sqlite: str, postgresql: str) -> None:
    columns = {"a": Column("a"), "n": Column("n", Type.NUMBER), "f.y": Column("f ->> 'y'")}
    assert to_sql(parse(text), columns).text == sqlite
    assert to_sql(parse(text), columns, "postgresql").text == postgresql


@pytest.mark.parametrize(
    "text",
    [
        " AND ".join(["a > 1"] * 1000),
        " OR ".join(["NOT s = x"] * 1000),
        "(" * 64 + "a=1" + ")" * 64,
        "(a=1 AND (s=x OR " * 32 + "a=2" + "))" * 32,
        "(" * 64 + "a=1" + "".join(f"{' AND a=2' * 8} OR a=3{' OR s=x' * 6})" for _ in range(64)),
        "NOT (a=1 AND " * 64 + "a=2" + ")" * 64,
    ],
    ids=["and", "or", "nested", "right", "left", "not"],
)
def test_largest_filters_stay_inside_the_limits_of_sqlite(database: sqlite3.Connection, text: str) -> None:
    expr = parse(text)
    condition = to_sql(expr, COLUMNS)
    row = {"a": "2", "s": "y"}
    assert selected(database, condition.text, condition.parameters, row) is matches(expr, row)


@pytest.mark.parametrize(
    ("text", "dialect", "message", "position"),
    [
        ("a = 1 AND b = 2", "sqlite", 'there is no field "b"', 10),
        ("n > big", "sqlite", 'expected a number, found "big"', 4),
        ('a = "\x00"', "postgresql", 'expected a text that the database can hold, found "?"', 4),
        ('a = "\ud800"', "sqlite", 'expected a text that the database can hold, found "?"', 4),
        ("n > 1e99999", "postgresql", 'expected a number that the database can hold, found "1e99999"', 4),
    ],
)
def test_filter_that_has_no_sql_is_refused_at_its_place(text: str, dialect: str, message: str, position: int) -> None:
    columns = {"a": Column("a"), "n": Column("n", Type.NUMBER)}
    with pytest.raises(FilterError) as caught:
        to_sql(parse(text), columns, dialect)
    assert (caught.value.message, caught.value.position) == (message, position)


def test_unknown_dialect_and_other_types_are_refused() -> None:
    with pytest.raises(ValueError, match="sqlite, postgresql"):
        to_sql(parse("a = 1"), {"a": Column("a")}, "mysql")
    with pytest.raises(ValueError, match="TEXT or NUMBER"):
        Column("a", Type.TIMESTAMP)
