"""Writes docs/reference.md, and the tables of README.md and CONTRIBUTING.md: `python -m tools.reference`.

They are taken from the tables of the running code, and from the targets of the Makefile.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from emulator.cli import build_parser
from emulator.control.openapi import PREFIX, document
from emulator.control.routes import ROUTES as CONTROL_ROUTES
from emulator.core.error_hints import RULES
from emulator.core.errors import WIRE
from emulator.core.limits import DEFAULTS, GIB, KIB, MIB, RELAXED, ROWS
from emulator.core.profiles import PROFILES, Profile
from emulator.domain.chaos import CHAOS_FLAGS, OBSERVED
from emulator.operations import OPERATIONS
from emulator.pipeline.error_catalog import RECORDED
from emulator.rest.routes import NOT_EMULATED as NO_PATHS
from emulator.rest.routes import ROUTES as REST_ROUTES
from emulator.rpc.methods import METHODS
from emulator.rpc.methods import NOT_EMULATED as NO_METHODS
from emulator.state.settings import ROWS as SETTINGS
from emulator.state.settings import Row, environment_name, flag

ROOT = Path(__file__).parent.parent
FILE = ROOT / "docs" / "reference.md"
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
MAKEFILE = ROOT / "Makefile"
HEAD = """\
# Reference

Every flag, control path, limit, operation, refusal and header. This page is written by `make docs` from the tables
that the emulator itself runs on, and a test fails when it is not up to date.
"""
HEADERS = (
    ("answer", "`x-request-id`", "the id of the call"),
    ("answer", "`x-emulator`", "the version of the emulator: this answer is not from xAI"),
    ("answer", "`x-emulator-rule`", "on a refusal: the limit or rule that refused"),
    ("answer", "`x-emulator-param`", "on a refusal: the field of the request that it is about, where it is about one"),
    ("answer", "`x-emulator-fault`", "the planned faults and the chaos flags that affected the call"),
    ("answer", "`x-emulator-warning`", "what was accepted, and what the real service may not accept"),
    (
        "request",
        "`x-emulator-internal`",
        "internal calls, such as the console's: not in the journal, exempt from planned faults and chaos",
    ),
)


def render() -> str:
    """The page."""
    parts = [
        HEAD,
        *_settings(),
        *_verbs(),
        *_headers(),
        *_control(),
        *_limits(),
        *_rules(),
        *_profiles(),
        *_operations(),
    ]
    return "\n".join([*parts, *_not_emulated(), *_refusals(), *_chaos()])


def render_readme(text: str) -> str:
    """README.md with its two tables generated again, each between its markers."""
    return _filled(_filled(text, "limits", _limits_table(safety=False)), "profiles", _profiles_table())


def render_contributing(text: str) -> str:
    """CONTRIBUTING.md with its table of commands generated again: the targets of the Makefile that say what they do."""
    targets = re.findall(r"^([a-z-]+):.*?## (.+)$", MAKEFILE.read_text("utf-8"), re.MULTILINE)
    return _filled(
        text, "make", table(("Command", "What it does"), ((f"`make {name}`", does) for name, does in targets))
    )


def _filled(text: str, name: str, lines: Iterable[str]) -> str:
    """A page with other lines between two markers."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = text.split(start)
    body = "\n".join(lines).strip()
    return f"{before}{start}\n{body}\n{end}{rest.split(end)[1]}"


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A table in Markdown; None is an empty cell."""
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join("" if cell is None else str(cell).replace("|", r"\|") for cell in row) + " |"
    yield ""


def _settings() -> Iterator[str]:
    yield "## Settings\n"
    yield "Flags of `xai-emulator serve`; in Python they are keywords of `Emulator(…)`. A flag beats the environment."
    yield "Settings marked *team* can differ from team to team: `PATCH /_emulator/teams/{name}`. Those marked"
    yield "*team, known values* name code, files or servers: such a call sets them to a built-in value, or to one that"
    yield "was given at the start (`--allow`).\n"
    yield from table(
        ("Flag", "Environment", "Python", "Default", "", "What it does"),
        (
            (
                f"`{flag(name)} {row.metavar}`",
                f"`{environment_name(name)}`",
                f"`{name}`",
                _default(row),
                ("team, known values" if row.built_in else "team") if row.per_team else None,
                row.help,
            )
            for name, row in SETTINGS.items()
        ),
    )


def _default(row: Row) -> str | None:
    return f"`{row.default}`" if isinstance(row.default, (str, int)) else None


def _verbs() -> Iterator[str]:
    yield "## Command line\n"
    parser = build_parser()
    verbs = next(each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    helps = {each.dest: each.help for each in verbs._choices_actions}
    for name, verb in verbs.choices.items():
        yield f"### `xai-emulator {name}`\n"
        yield f"{_sentence(helps[name] or '')}\n"
        yield from _flags(name, verb)


def _flags(name: str, verb: argparse.ArgumentParser) -> Iterator[str]:
    for action in (each for each in verb._actions if isinstance(each, argparse._SubParsersAction)):
        helps = {each.dest: each.help for each in action._choices_actions}
        rows = ((f"`{word}`", helps.get(word), _listed(parser)) for word, parser in action.choices.items())
        yield from table(("Then", "What it does", "Arguments"), rows)
    own = _arguments(verb)
    settings = {flag(setting) for setting in SETTINGS}
    if settings <= {word for each in own for word in each.option_strings}:  # as of serve
        own = [each for each in own if not settings & set(each.option_strings)]
        yield "It takes every setting above.\n"
    if own:
        yield from table(("Argument", "What it does"), ((f"`{_usage(each)}`", each.help) for each in own))


def _arguments(verb: argparse.ArgumentParser) -> list[argparse.Action]:
    no_arguments = (argparse._HelpAction, argparse._SubParsersAction)
    return [each for each in verb._actions if not isinstance(each, no_arguments)]


def _listed(verb: argparse.ArgumentParser) -> str:
    return "<br>".join(f"`{_usage(each)}`" + (f" {each.help}" if each.help else "") for each in _arguments(verb))


def _usage(action: argparse.Action) -> str:
    word = action.option_strings[-1] if action.option_strings else ""
    choices = "|".join(map(str, action.choices)) if action.choices else None
    value = "" if action.nargs == 0 else str(action.metavar or choices or action.dest.upper())
    return f"{word} {value}".strip()


def _headers() -> Iterator[str]:
    yield "## Headers of its own\n"
    yield from table(("On the", "Header", "Says"), HEADERS)


def _control() -> Iterator[str]:
    yield "## Control API\n"
    yield f"Below `{PREFIX}`, JSON, for local callers; where the emulator has a control token, all calls but those that"
    yield "cannot answer 401 carry it as `Authorization: Bearer TOKEN`, and a browser opens"
    yield f"`{PREFIX}/?token=TOKEN` once. A call about a team takes `?team=NAME`; else the team is"
    yield f"`default`. The same in OpenAPI: `{PREFIX}/control/openapi.json`.\n"
    schemas = document(CONTROL_ROUTES, "http://localhost:7878")["components"]["schemas"]
    yield from table(
        ("Call", "What it does", "Body", "Refuses with"),
        (
            (
                f"`{route.method} {PREFIX}{route.path}`",
                _first_line(route.run),
                "a file" if route.uploads else _body(route, schemas),
                ", ".join(map(str, sorted({400, *(() if route.public else (401,)), 403, *route.refusals}))),
            )
            for route in CONTROL_ROUTES
        ),
    )


def _body(route: Any, schemas: dict[str, Any]) -> str | None:
    if route.body is None:
        return None
    shape = schemas[route.body.__name__]
    required = set(shape.get("required", ()))
    names = [f"`{name}`" + ("" if name in required else "?") for name in shape["properties"]]
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:3])}, … ({len(names)} in all)"


def _first_line(run: Any) -> str:
    return " ".join((inspect.getdoc(run) or "").split("\n\n")[0].split())


def _limits() -> Iterator[str]:
    yield "## Limits\n"
    yield "Override one with `--limit NAME=VALUE`, or for a team with `PUT /_emulator/limits`; `none` switches it off."
    yield "The profile *relaxed* keeps those marked *always*.\n"
    yield from _limits_table()


def _limits_table(*, safety: bool = True) -> Iterator[str]:
    """All rows, or those without the bounds that protect the emulator itself."""
    return table(
        ("Name", "Value", "Source", "Confidence", ""),
        (
            (
                f"`{name}`",
                _value(name, DEFAULTS[name]),
                row.source,
                row.confidence.value,
                "always" if getattr(RELAXED, name) is not None else None,
            )
            for name, row in ROWS.items()
            if safety or not row.safety
        ),
    )


def _value(name: str, value: int) -> str:
    for unit, word in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if "_bytes" in name and value % unit == 0:
            return f"{value // unit:,} {word}"
    return f"{value:,}"


def _rules() -> Iterator[str]:
    yield "## Rules\n"
    yield "A refusal names a limit in `x-emulator-rule`, or one of these. `GET /_emulator/rules` has them all.\n"
    yield from table(("Rule", "What to do"), ((f"`{name}`", text) for name, text in RULES.items()))


def _profiles() -> Iterator[str]:
    yield "## Profiles\n"
    yield from _profiles_table()


def _profiles_table() -> Iterator[str]:
    names = [name for name in Profile.__struct_fields__ if name not in ("name", "limits")]
    rows: list[Sequence[Any]] = [
        ("limits", *("as the table" if p.limits != RELAXED else "safety only" for p in PROFILES.values()))
    ]
    for name in names:
        values = [getattr(profile, name) for profile in PROFILES.values()]
        rows.append(
            (
                name.replace("_", " "),
                *(getattr(value, "value", {True: "on", False: "off"}.get(value)) for value in values),
            )
        )
    return table(("Behaviour", *(f"`{name}`" for name in PROFILES)), rows)


def _operations() -> Iterator[str]:
    yield "## Operations\n"
    yield "The names that faults, scripts, the journal and the evidence use.\n"
    paths: dict[str, list[str]] = {}
    rpcs: dict[str, list[str]] = {}
    for route in REST_ROUTES:
        paths.setdefault(route.operation, []).append(f"`{route.method} {route.path}`")
    for method in METHODS:
        rpcs.setdefault(method.operation, []).append(f"`{method.service}/{method.name}`")
    yield from table(
        ("Operation", "REST", "gRPC", "Key", "Source", "Confidence"),
        (
            (
                f"`{name}`",
                "<br>".join(paths.get(name, ())),
                "<br>".join(rpcs.get(name, ())),
                operation.plane.value,
                operation.source,
                operation.confidence.value,
            )
            for name, operation in OPERATIONS.items()
        ),
    )


def _not_emulated() -> Iterator[str]:
    yield "## Not emulated\n"
    yield "These answer 501 (`UNIMPLEMENTED`) and say so; everything else that is unknown is a 404.\n"
    yield from table(
        ("Path or method", "Why"), ((f"`{name}`", why) for name, why in {**NO_PATHS, **NO_METHODS}.items())
    )


def _refusals() -> Iterator[str]:
    yield "## Refusals\n"
    yield "A planned fault names a refusal in lower case, or one of the recorded sentences below.\n"
    yield from table(
        ("Kind", "Inference", "Management", "gRPC", "Means"),
        (
            (
                f"`{kind.name}`",
                f"{wire.http} `{wire.code}`",
                f"{wire.management_http or wire.http} `{wire.number}`",
                f"`{wire.grpc}`",
                kind.value,
            )
            for kind, wire in WIRE.items()
        ),
    )
    yield from table(
        ("Recorded", "Sentence", "Source"),
        ((f"`{name}`", each.sentence, each.source) for name, each in RECORDED.items()),
    )


def _chaos() -> Iterator[str]:
    yield "## Chaos\n"
    yield "`--chaos SEED` turns on flags that stay within the documented contract, `--chaos SEED:lag,drips` only those"
    yield "named. Flags marked *named only* were seen on the live service and contradict its documentation.\n"
    rows = ((f"`{word}`", flag.value, "named only" if flag in OBSERVED else "") for word, flag in CHAOS_FLAGS.items())
    yield from table(("Flag", "What it does", ""), rows)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(render(), "utf-8")
    for page, write in ((README, render_readme), (CONTRIBUTING, render_contributing)):
        page.write_text(write(page.read_text("utf-8")), "utf-8")
    print(f"wrote {FILE}")
