"""Write the generated tables of the pages in docs/ that have some. `python -m tools.pages`.

The rest of these pages is written by hand. A line `<!-- fields: NAME -->` begins the table of a struct's fields,
`<!-- members: NAME -->` that of a class's public members, `<!-- tools: mcp -->` that of the tools of
`xai-emulator mcp`, and `<!-- / -->` ends each of them.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from emulator import Emulator
from emulator.cli.mcp_tools import Tool, tools
from emulator.pipeline.faults.effects import Effect
from emulator.pipeline.faults.plan import Rule, Script
from emulator.responders.rules import CannedError, CannedRule, Message
from emulator.runtime.seed import SeedClock, SeedDocument, SeedFile, SeedRoot, SeedTeam
from fixtures.team import EmulatedTeam
from tools.reference import table

DOCS = Path(__file__).parent.parent / "docs"
PAGES = tuple(DOCS / f"{name}.md" for name in ("agents", "answers", "faults", "seed-file", "python"))
SUBJECTS: dict[str, Any] = {"mcp": tools()} | {
    each.__name__: each
    for each in (
        Effect,
        Rule,
        Script,
        SeedRoot,
        SeedTeam,
        SeedClock,
        SeedFile,
        SeedDocument,
        Emulator,
        EmulatedTeam,
        CannedRule,
        Message,
        CannedError,
    )
}
_TABLE = re.compile(r"(<!-- (fields|members|tools): (\w+) -->\n).*?(<!-- / -->)", re.DOTALL)


def render(text: str) -> str:
    """A page with its tables filled."""

    def fill(found: re.Match[str]) -> str:
        lines = _KINDS[found[2]](SUBJECTS[found[3]])
        return f"{found[1]}{chr(10).join(lines).strip()}\n{found[4]}"

    return _TABLE.sub(fill, text)


def _fields(struct: type[msgspec.Struct]) -> Iterator[str]:
    """A row for each field that the struct itself declares."""
    hints = get_type_hints(struct, include_extras=True)
    inherited = {field.name for base in struct.__bases__ if base is not msgspec.Struct for field in _declared(base)}
    yield from table(
        ("Field", "Type", "Default", "Meaning"),
        (
            (
                f"`{field.name}`",
                _type(hints[field.name]),
                "required" if field.required else _default(field),
                _description(hints[field.name]),
            )
            for field in _declared(struct)
            if field.name not in inherited
        ),
    )


def _declared(struct: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct)


def _default(field: msgspec.structs.FieldInfo) -> str | None:
    if field.default in (None, msgspec.NODEFAULT, msgspec.UNSET):
        return None
    return f"`{msgspec.json.encode(field.default).decode()}`"


def _parts(hint: Any) -> list[Any]:
    """The alternatives of a type, without null and what is not given."""
    if get_origin(hint) in (Union, types.UnionType):
        nothing = (type(None), msgspec.UnsetType)
        return [part for each in get_args(hint) if each not in nothing for part in _parts(each)]
    return [hint]


def _meta(hint: Any) -> list[msgspec.Meta]:
    return [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, msgspec.Meta)]


def _description(hint: Any) -> str:
    found = [meta.description for part in _parts(hint) for meta in _meta(part) if meta.description]
    return " ".join(found)


def _type(hint: Any) -> str:
    return " or ".join(_named(part) for part in _parts(hint))


def _named(part: Any) -> str:
    bounds = [
        f"{word} {bound:,}"
        for meta in _meta(part)
        for word, bound in (("from", meta.ge), ("above", meta.gt), ("to", meta.le))
        if bound is not None
    ]
    kind = get_args(part)[0] if _meta(part) else part
    if get_origin(kind) is Literal:
        return ", ".join(f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return _type(kind)
    if get_origin(kind) is list:
        return f"list of {_type(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return "mapping"
    return " ".join([getattr(kind, "__name__", str(kind)), *bounds])


def _members(kind: type) -> Iterator[str]:
    """A row for each public property and method, in the order of the source."""
    rows = []
    for name, member in vars(kind).items():
        target = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if name.startswith("_") or isinstance(member, classmethod) or not inspect.isfunction(target):
            continue
        call = "" if isinstance(member, property) else _signature(target)
        rows.append((f"`{name}{call}`", " ".join((inspect.getdoc(member) or "").split())))
    yield from table(("Member", "What it does"), rows)


def _signature(function: Callable[..., Any]) -> str:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    shown = [str(each.replace(annotation=inspect.Parameter.empty)) for each in parameters]
    star = next((place for place, each in enumerate(parameters) if each.kind is each.KEYWORD_ONLY), None)
    if star is not None:
        shown.insert(star, "*")
    return f"({', '.join(shown)})"


def _tools(described: dict[str, Tool]) -> Iterator[str]:
    """A row for each tool, with the control call that it makes."""
    rows = ((f"`{tool.name}`", f"`{tool.method} {tool.path}`", tool.description) for tool in described.values())
    yield from table(("Tool", "Control call", "What it does"), rows)


_KINDS: dict[str, Callable[[Any], Iterator[str]]] = {"fields": _fields, "members": _members, "tools": _tools}

if __name__ == "__main__":
    for page in PAGES:
        page.write_text(render(page.read_text("utf-8")), "utf-8")
        print(f"wrote {page.name}")
