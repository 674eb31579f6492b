"""Nothing that the command line prints from data acts on the terminal."""

from __future__ import annotations

import ast
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import emulator.cli
from emulator import Emulator
from emulator.runtime.terminal import printable, printable_json, printable_lines
from fixtures.team import EmulatedTeam
from tests.serving import run_command

ATTACK = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\r\u202egpj\u2028"
ACTS = {"Cc", "Cs", "Zl", "Zp"}  # categories of Unicode that no printed text may have
FOLDER = Path(emulator.cli.__file__).parent


def acting(text: str, kept: str = "") -> set[str]:
    """The characters of a text that a terminal acts on."""
    bidirectional = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return {
        each
        for each in text
        if each not in kept and (unicodedata.category(each) in ACTS or unicodedata.bidirectional(each) in bidirectional)
    }


@given(st.text())
def test_printable_has_no_character_that_acts(text: str) -> None:
    """What is printable stays, and the rest can be encoded."""
    assert acting(printable(text)) == set()
    assert acting(printable_lines(text), "\n\t") == set()
    printable(text).encode()
    if text.isprintable():
        assert printable(text) == printable_lines(text) == text


@given(st.recursive(st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_printable_json_is_the_same_json(value: Any) -> None:
    """Programs read what was printed for people."""
    assert acting(printable_json(value), "\n") == set()
    assert json.loads(printable_json(value)) == value


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\x1b[31mb", "a\\x1b[31mb"), ("a\nb\tc", "a\\nb\\tc"), ("\x9b", "\\x9b"), ("é 日本 \u202e", "é 日本 \\u202e")],
)
def test_printable_shows_controls_as_escapes(text: str, line: str) -> None:
    """As Python writes them; letters of all scripts stay."""
    assert printable(text) == line


def test_command_line_prints_through_one_module_alone() -> None:
    """A new verb cannot forget it."""
    for path in sorted(FOLDER.glob("*.py")):
        names = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text()))
            if (isinstance(node, ast.Name) and node.id == "print")
            or (isinstance(node, ast.Attribute) and ast.unparse(node).endswith(("stdout.write", "stderr.write")))
        ]
        assert names == [] or path.name == "output.py", f"{path.name}:{names}"


@pytest.fixture(scope="module")
def attacked() -> Iterator[Emulator]:
    """An emulator that holds escape sequences wherever a caller can put them."""
    with Emulator() as running:
        team = EmulatedTeam(running, "default")
        headers = {"authorization": f"Bearer {running.management_key}"}
        made = httpx.post(f"{running.base_url}/collections", headers=headers, json={"collection_name": "c"}).json()
        form = {"name": (None, "a.txt"), "data": ("a.txt", f"hello {ATTACK}".encode())}
        reply = httpx.post(
            f"{running.base_url}/collections/{made['collection_id']}/documents", headers=headers, files=form
        )
        assert reply.status_code == 200, reply.text
        team.plan("files.list", error="internal", message=ATTACK)
        team.services = {"collection": made["collection_id"]}
        running.collection = made["collection_id"]  # type: ignore[attr-defined]
        yield running


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["search", "hello", "--collection", "ID"], "hello \\x1b"),
        (["search", "hello", "--collection", "ID", "--json"], "hello \\u001b"),
        (["search", f"hello{ATTACK}", "--collection", f"no{ATTACK}"], "no"),
        (["faults", "list"], "message=\\x1b"),
        (["faults", "add", f"nope{ATTACK}", "--error", "internal"], "nope"),
        (["faults", "clear", f"nope{ATTACK}"], ""),
        (["snapshot", "save", f"nope{ATTACK}"], ""),
        (["snapshot", "fetch", "nope", f"nope{ATTACK}"], ""),
        (["snapshot", "send", "a", f"nope{ATTACK}"], "nope\\x1b"),
        (["filter", f'a = "{ATTACK}"'], ""),
        (["filter", f"a = {ATTACK}"], ""),
        (["env", "--url", f"http://x{ATTACK}"], "\\x1b"),
        (["doctor", "--data-dir", f"nope{ATTACK}"], "nope\\x1b"),
        (["serve", "--seed", f"nope{ATTACK}", "--port", "0"], "nope\\x1b"),
        (["serve", f"--nope{ATTACK}"], "nope\\x1b"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, list) else None,
)
def test_verb_prints_no_escape_sequence_of_data(attacked: Emulator, words: list[str], kept: str) -> None:
    """Neither on stdout nor on stderr: it shows them as text."""
    collection: str = attacked.collection  # type: ignore[attr-defined]
    _, out, err = run_command(*(collection if word == "ID" else word for word in words), XAI_EMULATOR_URL=attacked.url)
    printed = out + err
    assert printed
    assert acting(printed, "\n\t") == set()
    assert kept in printed
    assert "Traceback" not in printed


def test_report_of_a_failed_test_shows_no_escape_sequence(attacked: Emulator) -> None:
    """The pytest plugin prints the last calls."""
    httpx.get(f"{attacked.base_url}/nope%1b[2J", headers={"authorization": f"Bearer {attacked.api_key}"})
    assert acting(EmulatedTeam(attacked, "default").tail(), "\n") == set()
