"""Translate a filter to a SQL condition. Every value becomes a parameter; names come from the caller's columns only.

SQL has three truth values, filters have two: without a value every comparison is false, and its negation true. So
negations are pushed down to the comparisons, each of which is written so that it is true exactly where it should be.
Below AND and OR, NULL then means the same as false, and simple comparisons stay simple enough for an index.

The text keeps inside SQLite's default limits for every filter of the default `Limits`: long chains are grouped, which
bounds the depth of the expression, and the deepest operand comes first, which bounds the stack of the SQL parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from filter_grammar.ast import And, Comparison, Expr, Not, Null, Number, Or, Present, Text
from filter_grammar.check import ORDER, Field, Fields, Type, check
from filter_grammar.errors import FilterError, quoted
from filter_grammar.lexis import Operator
from filter_grammar.render import render

Dialect: TypeAlias = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class Column:
    """Where a query has the value of a field.

    `sql` is a column, such as `d.author`, or any other expression, such as `d.fields ->> 'author'`. It is inserted as
    it is, so it must not come from a filter or a request. `type` is TEXT or NUMBER: what the expression gives.
    """

    sql: str
    type: Type = Type.TEXT

    def __post_init__(self) -> None:
        if self.type not in (Type.TEXT, Type.NUMBER):
            raise ValueError(f"a column is TEXT or NUMBER, not {self.type.name}: write timestamps and enums as texts")


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition and the values of its placeholders, in their order. All values are texts."""

    text: str
    parameters: tuple[str, ...]


def to_sql(expr: Expr, columns: Mapping[str, Column], dialect: Dialect = "sqlite") -> Sql:
    """Return the condition that is true for the rows which the filter matches.

    `columns` has a `Column` for each name that the filter may use. A TEXT column is compared as `matches` compares
    metadata, a NUMBER column as `check` compares a number; NULL is a missing field. Where the filter does not match,
    the condition is false or NULL: use it in WHERE, and negate the filter instead of the condition.

    Placeholders are `?` for SQLite, and `%s` for PostgreSQL, as psycopg takes them. SQLite compares numbers as 64-bit
    integers or doubles, PostgreSQL as `numeric`, where stored texts of more than 1,000 characters or with an exponent
    of more than 4 digits count as no numbers. Texts are ordered by code point, which in SQLite needs the default
    collation of a column, BINARY.

    Raises FilterError for a name without a column, for a value that is not a number but compared with a NUMBER column,
    and for a value that the database cannot hold; ValueError for another dialect.
    """
    if dialect not in _DIALECTS:
        raise ValueError(f"the dialect is one of {', '.join(_DIALECTS)}, not {dialect!r}")
    check(expr, Fields(*(Field(name, column.type) for name, column in columns.items())))
    writer = _Writer(columns, _DIALECTS[dialect], render(expr) if expr.source is None else expr.source)
    condition = _assemble(expr, writer.comparison)
    return Sql(condition.text, tuple(condition.parameters))


# --- one comparison


@dataclass(frozen=True, slots=True)
class _Dialect:
    """What differs from database to database."""

    placeholder: str
    differs: str  # the operator that is true for two values that differ, NULL being one
    by_code_point: str  # follows a text whose order counts
    number: str  # the number that the text {x} spells; NULL where it spells none
    unfit: re.Pattern[str]  # characters that no text of the database can hold
    number_fits: re.Pattern[str]  # the numerals that the database can compare


_DIALECTS: dict[str, _Dialect] = {
    # SQLite has no regular expressions: the digits are trimmed away, and what must be left is looked at.
    "sqlite": _Dialect(
        placeholder="?",
        differs="IS NOT",
        by_code_point="",
        number="CASE WHEN (SELECT r = '' OR (r GLOB '[eE][0-9]*' AND ltrim(substr(r, 2), '0123456789') = '')"
        " OR (r GLOB '[eE][+-][0-9]*' AND ltrim(substr(r, 3), '0123456789') = '')"
        " FROM (SELECT CASE WHEN r GLOB '.[0-9]*' THEN ltrim(substr(r, 2), '0123456789') ELSE r END AS r"
        " FROM (SELECT ltrim(s, '0123456789') AS r FROM (SELECT substr({x}, 1 + ({x} GLOB '-*')) AS s)"
        " WHERE s GLOB '[0-9]*'))) THEN CAST({x} AS NUMERIC) END",
        unfit=re.compile("[\ud800-\udfff]"),
        number_fits=re.compile(r".*"),
    ),
    "postgresql": _Dialect(
        placeholder="%s",
        differs="IS DISTINCT FROM",
        by_code_point=' COLLATE "C"',
        number="CASE WHEN length({x}) <= 1000 AND {x} ~ '^-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]{{1,4}})?$'"
        " THEN CAST({x} AS NUMERIC) END",
        unfit=re.compile("[\x00\ud800-\udfff]"),
        number_fits=re.compile(r"-?[0-9.]{1,990}(?:[eE][+-]?[0-9]{1,4})?"),
    ),
}

_NEGATED: dict[Operator, Operator] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
# A word that binds tighter than every operator; all other expressions get parentheses.
_PLAIN = re.compile(r'(?:\w+|"[^"]*")(?:\.(?:\w+|"[^"]*"))*')


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the condition, joined by `word` unless it is a single comparison."""

    text: str
    parameters: list[str]
    word: str | None = None
    height: int = 0


class _Writer:
    """Writes comparisons for one dialect."""

    def __init__(self, columns: Mapping[str, Column], dialect: _Dialect, source: str) -> None:
        self._columns = columns
        self._dialect = dialect
        self._source = source

    def comparison(self, node: Comparison, negated: bool) -> _Piece:
        """The condition of a comparison, or of its opposite."""
        column = self._columns[node.key]
        value = column.sql if _PLAIN.fullmatch(column.sql) else f"({column.sql})"
        argument = node.argument
        if isinstance(argument, Null | Present):
            return _of_null(node.operator, argument, value, negated)
        text = argument.value if isinstance(argument, Text) else argument.lexeme
        is_number = column.type is Type.NUMBER or isinstance(argument, Number)
        self._require_fit(text, argument.position, is_number)
        placeholder, subject, spells_number = self._dialect.placeholder, value, False
        if is_number:
            placeholder = f"CAST({placeholder} AS NUMERIC)"
            spells_number = column.type is Type.TEXT
            subject = self._dialect.number.format(x=value) if spells_number else value
        elif node.operator in ORDER:
            subject = value + self._dialect.by_code_point
        return _Piece(self._relation(node.operator, value, subject, placeholder, spells_number, negated), [text])

    def _relation(
        self, sign: Operator, value: str, subject: str, placeholder: str, spells_number: bool, negated: bool
    ) -> str:
        """`subject` is what is compared: the value, or the number that it spells, which may be none."""
        if sign in ORDER:
            if negated:
                return f"({subject} {_NEGATED[sign]} {placeholder} OR {subject} IS NULL)"
            return f"{subject} {sign} {placeholder}"
        if sign != "!=":
            return f"{subject} {self._dialect.differs if negated else '='} {placeholder}"
        if negated:
            return f"({subject} = {placeholder} OR {value} IS NULL)"
        if spells_number:  # a text that spells none is not equal to a number
            return f"({value} IS NOT NULL AND {subject} {self._dialect.differs} {placeholder})"
        return f"{subject} <> {placeholder}"

    def _require_fit(self, text: str, position: int, is_number: bool) -> None:
        if self._dialect.unfit.search(text):
            expected, hint = "a text that the database can hold", "leave out the NUL character or the lone surrogate"
        elif is_number and not self._dialect.number_fits.fullmatch(text):
            expected, hint = "a number that the database can hold", "use fewer digits or a smaller exponent"
        else:
            return
        raise FilterError(f"expected {expected}, found {quoted(text)}", text=self._source, position=position, hint=hint)


def _of_null(sign: Operator, marker: Null | Present, value: str, negated: bool) -> _Piece:
    if sign in ORDER:  # nothing comes before or after null
        return _Piece(_constant(negated), [])
    is_set = (isinstance(marker, Present) or sign == "!=") != negated
    return _Piece(f"{value} IS NOT NULL" if is_set else f"{value} IS NULL", [])


def _constant(verdict: bool) -> str:
    return "1 = 1" if verdict else "1 = 0"


# --- the tree

_WIDTH = 8  # operands in a row: as deep is the expression that SQL makes of them


def _assemble(expr: Expr, write: Callable[[Comparison, bool], _Piece]) -> _Piece:
    """Put the comparisons together, from the leaves up. Nothing recurses, at any depth."""
    done: list[_Piece] = []
    todo: list[tuple[Expr, bool] | tuple[str, int]] = [(expr, False)]  # a node, or the word that joins the last pieces
    while todo:
        item, detail = todo.pop()
        if isinstance(item, str):
            done[-detail:] = [_joined(done[-detail:], item)]
        elif isinstance(item, Comparison):
            done.append(write(item, bool(detail)))
        elif isinstance(item, Not):
            todo.append((item.operand, not detail))
        elif item.operands:
            word = "AND" if isinstance(item, And) is not bool(detail) else "OR"
            todo.append((word, len(item.operands)))
            todo.extend((operand, bool(detail)) for operand in reversed(item.operands))
        else:
            done.append(_Piece(_constant(isinstance(item, Or) is bool(detail)), []))
    return done[0]


def _joined(pieces: Iterable[_Piece], word: str) -> _Piece:
    ordered = sorted(pieces, key=lambda piece: -piece.height)
    while len(ordered) > _WIDTH:
        first, rest = ordered[0], ordered[1:]
        ordered = [first, *(_chain(rest[at : at + _WIDTH], word) for at in range(0, len(rest), _WIDTH))]
    return _chain(ordered, word)


def _chain(pieces: list[_Piece], word: str) -> _Piece:
    if len(pieces) == 1:
        return pieces[0]
    # Parentheses only where SQL needs them, AND being the tighter word, or where they keep a chain from being deep.
    texts = [
        f"({piece.text})" if (piece.word == "OR" and word == "AND") or (piece.word == word and at > 0) else piece.text
        for at, piece in enumerate(pieces)
    ]
    parameters = [value for piece in pieces for value in piece.parameters]
    return _Piece(f" {word} ".join(texts), parameters, word, 1 + max(piece.height for piece in pieces))
