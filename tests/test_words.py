"""Words that the code and the documentation do not use, because a standard term says the same more clearly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
READ = (
    *("emulator", "filter_grammar", "fixtures", "contract_tests", "clients", "tools", "tests"),
    *("benchmarks", "examples", "docs", "README.md", "CONTRIBUTING.md"),
)
SUFFIXES = {".py", ".md", ".js", ".mjs", ".html", ".css", ".sql", ".proto", ".toml"}

# Each word with what to write instead.
WORDS = {
    "told": "reported, recorded, returned",
    "tells?": "reports, returns, shows, says",
    "telling": "reporting, showing",
    "nobody": "no client, no caller",
    "somebody": "a client, a caller",
    "whoever": "a client, a caller, the one that",
    "mischief": "chaos",
    "what there is": "the existing ones, the available ones",
    "takes in": "accepts, stores",
    "snaps": "fires, triggers",
    "goes out": "is sent",
    "hurts?": "damages",
    "hung up": "closed the connection",
    "came of": "the result of, the outcome of",
    "held against": "compared with, checked against, validated against",
    "anew": "again",
    "goes on": "continues",
    "go on": "continue",
    "doors?": "transport",
    "trapped": "caught",
}
# Files in which a word stands for another reason than as a metaphor.
EXCEPTIONS = {
    ("contract_tests/cases/chat.toml", "nobody"): "data: a role that does not exist, and the service's own sentence",
}


def texts() -> Iterator[Path]:
    """Yield the files that people read, without installed packages and this list."""
    for name in READ:
        for path in (ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name]:
            if path.suffix in SUFFIXES and "node_modules" not in path.parts and path != Path(__file__):
                yield path


def test_code_and_documentation_avoid_unclear_words() -> None:
    """Identifiers may contain a word of the list; the failure has the place and the word."""
    pattern = re.compile(rf"(?<![\w-])({'|'.join(WORDS)})(?![\w-])", re.IGNORECASE)
    found, used = [], set()
    for path in texts():
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            for word in pattern.findall(line):
                key = (name, word.lower())
                if key in EXCEPTIONS:
                    used.add(key)
                else:
                    found.append(f"{name}:{number}: {word!r}")
    assert found == []
    assert used == EXCEPTIONS.keys(), "an exception that is not needed any more"
