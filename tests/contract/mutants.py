"""Wrong emulators: copies of this one each wrong in one way, as the files of mutants say."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("emulator", "filter_grammar")
FILES = ("mutants.toml", "model_mutants.toml")


@dataclass(frozen=True)
class Mutant:
    """What is changed where, and the case that has to find it."""

    sentence: str
    changes: tuple[tuple[str, str, str], ...]  # file, old text, new text
    found_by: str
    client: str = "httpx"

    @property
    def feature(self) -> str:
        """The feature that the case belongs to."""
        return self.found_by.partition(".")[0]

    def changed(self) -> dict[str, str]:
        """The changed files. Raises ValueError where the mutant does not fit the code any more."""
        texts: dict[str, str] = {}
        for file, old, new in self.changes:
            text = texts.get(file) or (ROOT / file).read_text("utf-8")
            if text.count(old) != 1:
                raise ValueError(f"{file} has {old!r} {text.count(old)} times: the mutant is stale")
            texts[file] = text.replace(old, new)
        return texts

    def grow(self, folder: Path) -> Path:
        """Put a changed copy of the emulator into a folder."""
        for package in PACKAGES:
            # With the bytecode, or each mutant would compile all that it imports.
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns(".*"))
        for file, text in self.changed().items():
            path = folder / file
            path.write_text(text, "utf-8")
            for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
                compiled.unlink()
        # The command line reads the options of the kit from beside the package.
        (folder / "contract_tests").symlink_to(ROOT / "contract_tests")
        return folder


def read_mutants() -> list[Mutant]:
    """All mutants."""
    texts = [Path(__file__).with_name(name).read_text("utf-8") for name in FILES]
    entries = [entry for text in texts for entry in tomllib.loads(text)["mutant"]]
    for entry in entries:
        entry["changes"] = tuple((change["file"], change["old"], change["new"]) for change in entry.pop("change"))
    return [Mutant(**entry) for entry in entries]
