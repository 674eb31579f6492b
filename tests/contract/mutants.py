"""Wrong emulators: copies of this one each wrong in one way, as the files of mutants say."""

from __future__ import annotations

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
        """Put a changed emulator into a folder: copies of the changed files, and links to everything else."""
        folder.mkdir()
        for package in (*PACKAGES, "contract_tests"):  # the command line reads the options of the kit
            (folder / package).symlink_to(ROOT / package)
        for file, text in self.changed().items():
            path = Path(file)
            for parent in reversed(path.parents):
                if (folder / parent).is_symlink():
                    (folder / parent).unlink()
                    _link_content(ROOT / parent, folder / parent)
            for changed in (path, *(folder / path.parent).glob(f"__pycache__/{path.stem}.*")):
                (folder / changed).unlink()
            (folder / path).write_text(text, "utf-8")
        return folder


def _link_content(source: Path, folder: Path) -> None:
    """Make a folder of links to what is in another, with the bytecode, or each mutant would compile much of it."""
    folder.mkdir()
    for path in source.iterdir():
        if path.name == "__pycache__":
            _link_content(path, folder / path.name)
        else:
            (folder / path.name).symlink_to(path)


def read_mutants() -> list[Mutant]:
    """All mutants."""
    texts = [Path(__file__).with_name(name).read_text("utf-8") for name in FILES]
    entries = [entry for text in texts for entry in tomllib.loads(text)["mutant"]]
    for entry in entries:
        entry["changes"] = tuple((change["file"], change["old"], change["new"]) for change in entry.pop("change"))
    return [Mutant(**entry) for entry in entries]
