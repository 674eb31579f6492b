"""The mutants that no test can notice, and those that are not tried, with the reasons: survivors.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

TABLE: dict[str, list[dict[str, Any]]] = tomllib.loads(Path(__file__).with_name("survivors.toml").read_text("utf-8"))

# Module and name of a mutant, and why it survives.
EXPLAINED: dict[tuple[str, str], str] = {
    (group["file"], name): group["why"] for group in TABLE["explained"] for name in group["mutants"]
}
# Module and table, and why its mutants are not tried.
UNTRIED: dict[tuple[str, str], str] = {
    (group["file"], where): group["why"] for group in TABLE["untried"] for where in group["where"]
}
