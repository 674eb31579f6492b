"""The mutants of a module: copies of its tree that are wrong in one place each.

What is left alone: annotations, decorators, docstrings, assertions (they inform the type checker only),
names for types, and sentences. A text counts as a sentence when it holds a blank: people read those, and the ones that
are part of the contract are held by the recorded refusals of tests/rest and contract_tests.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).parent.parent.parent

LEFT_ALONE = {"annotation", "bases", "returns", "decorator_list", "ctx", "op", "ops", "type_params"}
CONDITIONS = {"test", "ifs", "guard"}
SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    old: new
    for pair in ((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Add, ast.Sub), (ast.Mult, ast.FloorDiv))
    for old, new in (pair, reversed(pair))
}
INVERTED: dict[type[ast.AST], type[ast.AST]] = {
    old: new
    for pair in ((ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn), (ast.Lt, ast.GtE), (ast.Gt, ast.LtE))
    for old, new in (pair, reversed(pair))
}
PAIRS = (
    "any all, min max, lstrip rstrip, lower upper, startswith endswith, find rfind, partition rpartition, ljust rjust"
)
RENAMED = {old: new for pair in PAIRS.split(", ") for old, new in (pair.split(), reversed(pair.split()))}
RENAMED |= {"sorted": "list", "reversed": "list", "casefold": "strip", "removeprefix": "strip", "fullmatch": "search"}


@dataclass(frozen=True)
class Mutant:
    """One wrong place: where it is, what it says, and what it should not say."""

    file: str
    where: str  # the function, class, table or field; "module" for what is none of these
    was: str
    now: str
    lines: range
    at_import: bool  # no call leads here: the place is read when the module is
    place: tuple[ast.AST, str, int | None, Any]
    tree: ast.Module

    def __str__(self) -> str:
        return f"{self.where}: {self.was} -> {self.now}"

    @property
    def module(self) -> str:
        """The name under which it is imported."""
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def code(self) -> CodeType:
        """The module with the mistake."""
        old = _put(*self.place)
        try:
            return compile(ast.fix_missing_locations(self.tree), str(ROOT / self.file), "exec")
        finally:
            _put(*self.place[:3], old)


def mutants(file: str) -> list[Mutant]:
    """Every mutant of a module, none of which has the name of another."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    seen: Counter[str] = Counter()
    found: list[Mutant] = []
    for where, at_import, way, field, index, new in _places(tree, "module", True, ()):
        parent, old = way[-1], _put(way[-1], field, index, new)
        _put(parent, field, index, old)
        was, now = _shortened(*_texts((*way, old), field, index, new))
        seen[key := f"{where}{was}{now}"] += 1
        if seen[key] > 1:
            now += f" ({seen[key]})"
        found.append(Mutant(file, where, was, now, _lines(way, old), at_import, (parent, field, index, new), tree))
    return found


def _lines(way: tuple[ast.AST, ...], old: Any) -> range:
    """Those of which one is run before the place matters."""
    if isinstance(old, ast.stmt):
        return range(old.lineno, old.lineno + 1)
    whole = next(node for node in reversed(way) if isinstance(node, ast.stmt))
    end = whole if isinstance(whole, ast.FunctionDef | ast.AsyncFunctionDef) else old  # a default matters in any line
    return range(whole.lineno, (end.end_lineno or 0) + 1)


def _put(parent: ast.AST, field: str, index: int | None, new: Any) -> Any:
    """Put a node, or for a list without index the whole list, and hand back what was there."""
    if index is None:
        old = getattr(parent, field)
        setattr(parent, field, new)
    else:
        old = getattr(parent, field)[index]
        getattr(parent, field)[index] = new
    return old


def _texts(way: tuple[ast.AST, ...], field: str, index: int | None, new: Any) -> tuple[str, str]:
    """Return the code before and after, with enough context to be unique."""
    around = way[-1]
    for node in reversed(way):
        if not isinstance(node, ast.expr | ast.keyword | ast.comprehension | ast.pattern):
            break
        around = node
        if len(ast.unparse(around)) >= 24:
            break
    if around is way[-1]:
        return _line(around), _line(new)
    before = _line(around)
    old = _put(way[-2], field, index, new)
    after = _line(around)
    _put(way[-2], field, index, old)
    return before, after


def _shortened(was: str, now: str) -> tuple[str, str]:
    """Two long lines without what they begin and end with alike, but for a few characters."""
    same = [
        next((n for n, (a, b) in enumerate(zip(x, y, strict=False)) if a != b), min(len(x), len(y)))
        for x, y in ((was, now), (was[::-1], now[::-1]))
    ]
    start = max(0, same[0] - 24) if max(len(was), len(now)) > 80 else 0
    stop = max(0, min(same[1], len(was) - same[0], len(now) - same[0]) - 24) if max(len(was), len(now)) > 80 else 0
    return tuple(f"{'…' if start else ''}{text[start : len(text) - stop]}{'…' if stop else ''}" for text in (was, now))


def _line(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


Place = tuple[str, bool, tuple[ast.AST, ...], str, "int | None", Any]


def _places(node: ast.AST, where: str, at_import: bool, way: tuple[ast.AST, ...]) -> Iterator[Place]:
    """Every place below a node, and what may wrongly stand there."""
    way = (*way, node)
    for field, value in ast.iter_fields(node):
        if field in LEFT_ALONE or (field == "keywords" and isinstance(node, ast.ClassDef)):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _is_no_code(child):
                continue
            inside, later = where, at_import
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inside = child.name if where == "module" else f"{where}.{child.name}"
                later = at_import and isinstance(child, ast.ClassDef)
            if at_import and (name := _target(child)):
                inside = name if where == "module" else f"{where}.{name}"
            for new in _wrong(child, node, field, at_import):
                yield inside, later, way, field, index, new
            if not isinstance(child, ast.JoinedStr):
                yield from _places(child, inside, later, way)


def _target(node: ast.AST) -> str | None:
    """The name of the table, constant or field that a statement defines."""
    match node:
        case ast.Assign([ast.Name(name)]) | ast.AnnAssign(ast.Name(name)):
            return name
    return None


def _is_no_code(node: ast.AST) -> bool:
    match node:
        case ast.Expr(ast.Constant()) | ast.Assert() | ast.Import() | ast.ImportFrom():
            return True
        case (
            ast.Assign(value=ast.Call(ast.Name("TypeVar")))
            | ast.AnnAssign(annotation=ast.Name("TypeAlias"))
            | ast.Assign([ast.Name("__all__")])
        ):
            return True
        case (
            ast.ClassDef(bases=[ast.Name("Protocol")])
            | ast.If(ast.Name("TYPE_CHECKING"))
            | ast.Subscript(ast.Name("dict" | "list" | "tuple" | "Generic"))
        ):
            return True
    return False


def _wrong(node: Any, parent: ast.AST, field: str, at_import: bool) -> Iterable[ast.AST]:
    """What may wrongly stand in the place of a node."""
    condition = field in CONDITIONS
    if condition:
        yield from (ast.Constant(value) for value in (True, False) if not (value and isinstance(parent, ast.While)))
    match node:
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1 if value + 1 != value else value * 2)  # one more is nothing to a large float
        case ast.Constant(str()) if _is_tried_already(parent, field, at_import):
            pass
        case ast.Constant(str(value)) if " " not in value.strip():
            yield ast.Constant(value + "~")
        case ast.Constant(bytes(value)):
            yield ast.Constant(value + b"~")
        case ast.JoinedStr(parts) if " " not in "".join(p.value for p in parts if isinstance(p, ast.Constant)).strip():
            yield ast.JoinedStr([*parts, ast.Constant("~")])
        case ast.Compare(ops=ops):
            # A condition is made true and false already, and the part of one is left out.
            for table in (SWAPPED,) if condition or field == "values" else (SWAPPED, INVERTED):
                for at, op in enumerate(ops):
                    if type(op) in table:
                        yield _with(node, ops=[*ops[:at], table[type(op)](), *ops[at + 1 :]])
        case ast.BoolOp(values=values):
            for rest in _without_one(values):
                yield rest[0] if len(rest) == 1 else _with(node, values=rest)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.BinOp(left, ast.BitOr(), right):
            yield from (left, right)
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in SWAPPED:
            yield _with(node, op=SWAPPED[type(op)]())
        case ast.Name(name, ast.Load()) if name in RENAMED:
            yield ast.Name(RENAMED[name], ast.Load())
        case ast.Attribute(value, name, ast.Load()) if name in RENAMED:
            yield ast.Attribute(value, RENAMED[name], ast.Load())
        case ast.Call(keywords=keywords):
            yield from (_with(node, keywords=rest) for rest in _without_one(keywords))
        case ast.Dict(keys, values):
            for at in range(len(keys)):
                yield _with(node, keys=keys[:at] + keys[at + 1 :], values=values[:at] + values[at + 1 :])
        case ast.Set(elts) | ast.Tuple(elts, ast.Load()) | ast.List(elts, ast.Load()) if at_import or field == "type":
            yield from (_with(node, elts=rest) for rest in _without_one(elts) if rest)
        case ast.Lambda(body=body) if ast.unparse(body) != "None":
            yield _with(node, body=ast.Constant(None))
        case ast.Match(cases=cases) if len(cases) > 1:
            yield from (_with(node, cases=rest) for rest in _without_one(cases))
        case ast.Return(ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Break() | ast.Continue():
            yield ast.Break() if isinstance(node, ast.Continue) else ast.Continue()
        case ast.Return(None) | ast.Raise() | ast.Expr() | ast.AugAssign() | ast.Delete():
            yield ast.Pass()
        case ast.Assign([ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.With(items=[ast.withitem(optional_vars=None)], body=body):
            yield ast.If(ast.Constant(True), body, [])
    if field == "iter" and not isinstance(parent, ast.AsyncFor) and not getattr(parent, "is_async", 0):
        yield ast.List([], ast.Load())


def _is_tried_already(parent: ast.AST, field: str, at_import: bool) -> bool:
    """Whether another text is like a condition that always fails, an entry or an argument that is missing."""
    match parent:
        case ast.Compare(ops=[ast.Eq() | ast.NotEq()]) | ast.keyword():
            return True
        case ast.Set() | ast.Tuple() | ast.List():
            return at_import
    return isinstance(parent, ast.Dict) and field == "keys"


def _without_one(items: list[Any]) -> Iterator[list[Any]]:
    return (items[:at] + items[at + 1 :] for at in range(len(items)))


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    new = type(node)(**{**dict(ast.iter_fields(node)), **fields})
    return ast.copy_location(new, node)
