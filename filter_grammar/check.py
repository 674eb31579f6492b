"""Check a filter against declared fields: a filter that passes cannot fail when it is evaluated."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from filter_grammar.ast import Comparison, Expr, Null, Number, Present, Text, comparisons
from filter_grammar.errors import FilterError, quoted
from filter_grammar.evaluate import COMPARE, assemble, folded, metadata_test, null_test, numeral
from filter_grammar.lexis import Operator
from filter_grammar.render import render

# What a declared field may hold; a mapping is the free metadata of `Fields.free`. Timestamps are aware.
Value: TypeAlias = str | int | Decimal | datetime | Mapping[str, str] | None
ValueTest: TypeAlias = Callable[[Any], bool]
Test: TypeAlias = Callable[[Mapping[str, Value]], bool]


class Type(enum.Enum):
    """What a field holds, and so which arguments it can be compared with; the value names one for messages."""

    TEXT = "a text"
    NUMBER = "a number"
    TIMESTAMP = "an RFC 3339 timestamp"
    ENUM = "one of its values"


class Matching(enum.Enum):
    """What `=`, `:` and `!=` mean on a text. xAI documents the words, not the rules: those are assumed."""

    EXACT = "the same text"
    PARTIAL = "holds the text, in any letter case"
    FUZZY = "holds every word of the text, in any order and letter case"


EQUALITY: tuple[Operator, ...] = ("=", "!=", ":")
ORDER: tuple[Operator, ...] = ("<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Field:
    """One field that filters may name."""

    name: str
    type: Type = Type.TEXT
    matching: Matching = Matching.EXACT  # of a text
    aliases: tuple[str, ...] = ()
    values: tuple[str, ...] = ()  # of an enum
    operators: tuple[Operator, ...] | None = None  # None: all, but no order on an enum
    nullable: bool = True  # false: comparing the field with null is refused

    @property
    def allowed(self) -> tuple[Operator, ...]:
        """The operators that filters may use on this field."""
        if self.operators is not None:
            return self.operators
        return EQUALITY if self.type is Type.ENUM else EQUALITY + ORDER


class Fields:
    """All fields of one list, and the name under which free metadata is found, if it is: `fields` for `fields.isbn`."""

    def __init__(self, *declared: Field, free: str | None = None) -> None:
        self.declared = declared
        self.free = free
        self._by_name = {name: field for field in declared for name in (field.name, *field.aliases)}

    def find(self, name: str) -> Field | None:
        """The field of that name or alias."""
        return self._by_name.get(name)

    def free_key(self, name: str) -> str | None:
        """The metadata key that a name stands for, if it has the prefix."""
        prefix = f"{self.free}."
        return name[len(prefix) :] if self.free is not None and name.startswith(prefix) else None

    @property
    def names(self) -> list[str]:
        """What a filter may name, for messages."""
        return [field.name for field in self.declared] + ([f"{self.free}.KEY"] if self.free is not None else [])


@dataclass(frozen=True, slots=True)
class Checked:
    """A filter that fits its fields. `matches` takes a value for each field, by its name; what is missing is null."""

    expr: Expr
    matches: Test


def check(expr: Expr, fields: Fields) -> Checked:
    """Bind a filter to its fields. Raises FilterError at the first name, operator or argument that does not fit."""
    source = render(expr) if expr.source is None else expr.source
    tests = {id(node): _bind(node, fields, source) for node in comparisons(expr)}
    return Checked(expr, assemble(expr, lambda node: tests[id(node)]))


def check_all(expr: Expr, fields: Fields) -> list[FilterError]:
    """Return an error for each comparison that does not fit the fields; the first is the one that `check` raises."""
    source = render(expr) if expr.source is None else expr.source
    errors: list[FilterError] = []
    for node in comparisons(expr):
        try:
            _bind(node, fields, source)
        except FilterError as error:
            errors.append(error)
    return errors


def _bind(node: Comparison, fields: Fields, source: str) -> Test:
    field = fields.find(node.key)
    if field is None:
        key = fields.free_key(node.key)
        if key is None:
            raise _unknown(node, fields, source)
        return _of_metadata(fields.free or "", metadata_test(node, key))
    if node.operator not in field.allowed:
        raise FilterError(
            f"expected {_listed(field.allowed)}, found {node.operator}",
            text=source,
            position=node.operator_position,
            hint=f"{field.name} cannot be compared with {node.operator}",
        )
    return _of_field(field.name, *_value_test(field, node, source))


def _of_metadata(name: str, test: Callable[[Mapping[str, str]], bool]) -> Test:
    def of_values(values: Mapping[str, Value]) -> bool:
        metadata = values.get(name)
        return test(metadata if isinstance(metadata, Mapping) else {})

    return of_values


def _of_field(name: str, test: ValueTest, of_null: bool) -> Test:
    """The test on the value of one field. Without a value every comparison fails, except those about null."""

    def of_values(values: Mapping[str, Value]) -> bool:
        value = values.get(name)
        return of_null if value is None else test(value)

    return of_values


def _value_test(field: Field, node: Comparison, source: str) -> tuple[ValueTest, bool]:
    """What the comparison says of a value, and what of none."""
    match node.argument:
        case Null() if not field.nullable:
            raise _misfit(f"{field.name} is never null", field, node, source, "null")
        case Null() | Present() as marker:
            test = null_test(node.operator, marker)
            return test, test(None)
        case Text(text) | Number(text):
            bound = _BINDERS[field.type](field, node.operator, text)
            if bound is None:
                raise _misfit(_EXPLAIN[field.type](field), field, node, source, text)
            return bound, False


# --- one binder for each type: the test of a value against the argument, or None where the argument does not fit


def _bind_text(field: Field, sign: Operator, text: str) -> ValueTest | None:
    compare = COMPARE[sign]
    if field.matching is Matching.EXACT or sign in ORDER:
        return lambda value: compare(value, text)
    wanted = text.casefold().split() if field.matching is Matching.FUZZY else [text.casefold()]
    if len(wanted) == 1:
        [only] = wanted

        def holds(value: str) -> bool:
            return only in folded(value)
    else:

        def holds(value: str) -> bool:
            text = folded(value)
            return all(part in text for part in wanted)

    return (lambda value: not holds(value)) if sign == "!=" else holds


def _bind_number(field: Field, sign: Operator, text: str) -> ValueTest | None:
    number, compare = numeral(text), COMPARE[sign]
    return None if number is None else lambda value: compare(value, number)


def _bind_timestamp(field: Field, sign: Operator, text: str) -> ValueTest | None:
    instant = _instant(text)
    if instant is None:
        return None
    moment, finer = instant
    if finer and sign in EQUALITY:
        return lambda value: sign == "!="
    compare = COMPARE[_BETWEEN_MICROSECONDS.get(sign, sign) if finer else sign]
    return lambda value: compare(value, moment)


def _bind_enum(field: Field, sign: Operator, text: str) -> ValueTest | None:
    compare = COMPARE[sign]
    return (lambda value: compare(value, text)) if text in field.values else None


_BINDERS: dict[Type, Callable[[Field, Operator, str], ValueTest | None]] = {
    Type.TEXT: _bind_text,
    Type.NUMBER: _bind_number,
    Type.TIMESTAMP: _bind_timestamp,
    Type.ENUM: _bind_enum,
}

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:)([0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})"
)
# An argument between two microseconds, cut to the earlier one: which comparison with that one says the same.
_BETWEEN_MICROSECONDS: dict[Operator, Operator] = {">=": ">", "<": "<="}


def _instant(text: str) -> tuple[datetime, bool] | None:
    """The instant of a timestamp in whole microseconds, and whether the text is finer than that."""
    match = _RFC3339.fullmatch(text.upper())
    if match is None:
        return None
    minute, second, fraction, zone = match.groups(default="")
    leap = second == "60"  # RFC 3339 has leap seconds, datetime has not
    try:
        moment = datetime.fromisoformat(f"{minute}{'59' if leap else second}{zone}")
        moment += timedelta(seconds=leap, microseconds=int(fraction[:6].ljust(6, "0")))
    except (ValueError, OverflowError):
        return None
    return moment, fraction[6:].strip("0") != ""


# --- refusals


# Every argument fits a text.
_EXPLAIN: dict[Type, Callable[[Field], str]] = {
    Type.NUMBER: lambda field: f"{field.name} is a number, as in {field.name} > 1000",
    Type.TIMESTAMP: lambda field: (
        f'{field.name} is a timestamp with its offset, as in {field.name} > "2026-01-31T00:00:00Z"'
    ),
    Type.ENUM: lambda field: f"{field.name} is one of {_listed(field.values)}",
}


def _misfit(hint: str, field: Field, node: Comparison, source: str, found: str) -> FilterError:
    message = f"expected {field.type.value}, found {quoted(found)}"
    return FilterError(message, text=source, position=node.argument.position, hint=hint)


def _unknown(node: Comparison, fields: Fields, source: str) -> FilterError:
    return FilterError(
        f"there is no field {quoted(node.key)}",
        text=source,
        position=node.position,
        hint=f"the fields are {_listed(fields.names)}",
    )


def _listed(words: Iterable[str], longest: int = 300) -> str:
    """The words with commas between, cut so that a message stays small."""
    listed = ", ".join(words)
    return listed if len(listed) <= longest else listed[:longest].rpartition(", ")[0] + ", ..."
