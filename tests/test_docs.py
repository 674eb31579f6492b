"""The documentation: what it shows is run, what it lists is complete, and where it points there is something."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from emulator import Emulator
from emulator.cli import build_parser
from emulator.state.settings import ROWS, environment_name, flag
from tests.fixtures.inner_run import load_plugins_of_options_only, run
from tools.pages import PAGES as GENERATED
from tools.pages import render as render_page
from tools.reference import CONTRIBUTING, FILE, README, render, render_contributing, render_readme

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
NODE_PACKAGES = ROOT / "tests" / "node" / "node_modules"
ADDRESS = "localhost:7878"
NAMED_ADDRESS = "xai:7878"  # as in a compose file: a name that is not localhost
BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^>]*?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#([^)\s]+))?\)")


@dataclass(frozen=True)
class Block:
    """A piece of code on a page; its note says what it needs, or how it is run."""

    page: str
    line: int
    language: str
    note: str
    code: str

    @property
    def place(self) -> str:
        """Where it is, as tracebacks show it."""
        return f"{self.page}:{self.line}"

    @property
    def needs(self) -> str | None:
        """The library without which it cannot be run."""
        return self.note.removeprefix("needs: ") if self.note.startswith("needs: ") else None


def blocks(page: Path, language: str) -> list[Block]:
    """The pieces of code of a page in one language."""
    text = page.read_text("utf-8")
    return [
        Block(page.name, text.count("\n", 0, found.start("code")), language, found["note"] or "", found["code"])
        for found in BLOCK.finditer(text)
        if found["language"] == language
    ]


def pages_with(wanted: Callable[[Block], bool], language: str) -> list[Any]:
    """A parameter for each page that has such pieces of code: those pieces."""
    found = {page.stem: [block for block in blocks(page, language) if wanted(block)] for page in PAGES}
    return [pytest.param(pieces, id=name) for name, pieces in found.items() if pieces]


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the file that the examples upload."""
    (tmp_path / "solar.txt").write_text("Solar panels turn light into power.")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("pieces", pages_with(lambda block: block.note != "pytest", "python"))
def test_python_blocks_run_as_printed(emulator: Emulator, workshop: Path, pieces: list[Block]) -> None:
    """Each block of Python on a page runs in a new namespace, but for what needs a library that is not installed."""
    namespace: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a block may use a client without a name, and not close it
        for block in pieces:
            if block.needs is not None and find_spec(block.needs) is None:
                continue
            emulator.reset()
            namespace = {"__name__": "docs"}
            code = block.code.replace(ADDRESS, emulator.grpc_target)
            exec(compile(code.replace(NAMED_ADDRESS, f"127.0.0.1:{emulator.port}"), block.place, "exec"), namespace)
            for thing in namespace.values():
                if hasattr(thing, "close") and not isinstance(thing, type):
                    thing.close()
        namespace.clear()
        gc.collect()


def test_pytest_blocks_of_pages_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests that pages show pass under the plugin, each in a file of its own."""
    load_plugins_of_options_only(monkeypatch)
    pieces = [block for page in PAGES for block in blocks(page, "python") if block.note == "pytest"]
    for block in pieces:
        path = pytester.path / f"test_{block.page.removesuffix('.md')}_{block.line}.py"
        path.write_text(block.code, "utf-8")
    run(pytester, "-W", "error").assert_outcomes(passed=sum(block.code.count("def test_") for block in pieces))


@pytest.mark.parametrize("pieces", pages_with(lambda block: True, "js"))
def test_node_runs(emulator: Emulator, tmp_path: Path, pieces: list[Block]) -> None:
    """The JavaScript of a page runs under Node, but for what needs a package that is not here."""
    if not NODE_PACKAGES.is_dir():
        pytest.skip("there are no Node packages here: `make test` installs them where there is npm")
    (tmp_path / "node_modules").symlink_to(NODE_PACKAGES)
    modules = []
    for block in pieces:
        if block.needs is None or (NODE_PACKAGES / block.needs).is_dir():
            modules.append(tmp_path / f"{block.page}-{block.line}.mjs")
            modules[-1].write_text(block.code.replace(ADDRESS, emulator.grpc_target), "utf-8")
    # One process for all of them, which loads the packages once.
    code = f"for (const module of {json.dumps([str(module) for module in modules])}) await import(module)"
    command = ["node", "--input-type=module", "--eval", code]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("pieces", pages_with(lambda block: True, "sh"))
def test_commands_run(emulator: Emulator, workshop: Path, pieces: list[Block]) -> None:
    """The commands of a page run in a shell, all of them with the exit code 0."""
    emulator.reset()
    commands = workshop / "bin"
    commands.mkdir()
    _write_command(commands / "xai-emulator", f'PYTHONPATH={ROOT} exec {sys.executable} -m emulator "$@"')
    _write_command(commands / "my-tests", 'test -n "$XAI_API_KEY"')
    (workshop / "my-tests").symlink_to(commands / "my-tests")
    environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "XAI_EMULATOR_URL": emulator.url}
    for block in pieces:
        if block.needs is not None and shutil.which(block.needs) is None:
            continue
        code = block.code.replace(ADDRESS, emulator.grpc_target)
        ran = subprocess.run(["bash", "-euo", "pipefail", "-c", code], capture_output=True, text=True, env=environment)
        assert ran.returncode == 0, f"{block.place}\n{ran.stdout}\n{ran.stderr}"


@pytest.mark.parametrize(
    ("language", "file", "command"),
    [
        ("java", "Upload.java", ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]),  # it starts faster so
        ("go", "main.go", ["go", "run"]),
        ("ruby", "upload.rb", ["ruby"]),
    ],
)
def test_programs_of_other_languages_run(
    emulator: Emulator, tmp_path: Path, language: str, file: str, command: list[str]
) -> None:
    """The programs of the recipes run as they are printed, where their toolchain is installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    for block in blocks(ROOT / "docs" / "recipes.md", language):
        (tmp_path / file).write_text(block.code.replace(ADDRESS, emulator.grpc_target))
        ran = subprocess.run([*command, file], capture_output=True, text=True, cwd=tmp_path)
        assert ran.returncode == 0, f"{block.place}\n{ran.stderr}"


def _write_command(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.stem)
def test_generated_tables_of_a_page_are_up_to_date(page: Path) -> None:
    """The tables of fields and members say what the code declares; `make docs` writes them."""
    text = page.read_text("utf-8")
    assert text == render_page(text), "run `make docs`"


def test_faults_that_the_page_names_can_be_planned(emulator: Emulator) -> None:
    """Each plan of the table is taken as it is printed."""
    table = (ROOT / "docs" / "faults.md").read_text().split("## Seen on the live service")[1].split("\n## ")[0]
    plans = re.findall(r"^\| [^|]+ \| `(\{[^`]+\})` \|", table, re.MULTILINE)
    assert len(plans) == table.count("\n| ") - 1
    for plan in plans:
        httpx.post(f"{emulator.url}/_emulator/faults", content=plan).raise_for_status()
    httpx.delete(f"{emulator.url}/_emulator/faults").raise_for_status()


def test_fault_and_seed_fields_are_described() -> None:
    """A field without a description would be an empty cell of the table."""
    cells = [line.split(" | ") for page in GENERATED for line in page.read_text("utf-8").splitlines()]
    assert not [row for row in cells if row[0].startswith("| `") and row[-1].strip(" |") == ""]


@pytest.mark.parametrize("block", blocks(ROOT / "docs" / "seed-file.md", "yaml"), ids=lambda block: block.place)
def test_seed_file_of_the_page_is_loaded(block: Block, tmp_path: Path) -> None:
    """The example gives a new team what it says."""
    seed = tmp_path / "seed.yaml"
    seed.write_text(block.code)
    (tmp_path / "logo.png").write_bytes(b"PNG")
    with Emulator(seed=seed) as emulator, httpx.Client(base_url=emulator.base_url) as client:
        key = {"authorization": f"Bearer {emulator.api_key}"}
        files = client.get("/files", headers=key).json()["data"]
        assert sorted(file["filename"] for file in files) == ["logo.png", "notes.md"]
        batch = client.get("/batches", headers=key).json()["batches"][0]
        assert batch["name"] == "nightly"
        empty = client.get("/files", headers={"authorization": f"Bearer {emulator.api_key}@empty"})
        assert empty.json()["data"] == []


@pytest.mark.parametrize("pieces", pages_with(lambda block: block.page != "seed-file.md", "yaml"))
def test_files_that_are_shown_are_there(pieces: list[Block]) -> None:
    """A file that a page shows lies in examples/, and can be read; no container and no CI is run here."""
    for block in pieces:
        assert (ROOT / block.note).read_text("utf-8") == block.code, block.place
        assert {"jobs", "services"} & set(yaml.safe_load(block.code)), block.place


def test_docker_image_is_as_documented() -> None:
    """The container listens on the default port for others, does not run as root, and its commands exist."""
    instructions = re.findall(r"^([A-Z]+) ((?:.*\\\n)*.*)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    last = dict(instructions)  # the later one counts
    assert last["USER"] not in ("root", "0")
    assert last["EXPOSE"] == f"{ROWS['port'].default} {ROWS['tls_port'].default}"
    assert last["ENV"] == f"{environment_name('host')}=0.0.0.0"
    for command in (last["ENTRYPOINT"], last["HEALTHCHECK"].partition("CMD ")[2]):
        program, *arguments = json.loads(command)
        assert program == "xai-emulator"
        assert build_parser().parse_args(arguments).verb == arguments[0]


def test_docker_image_has_all_package_files() -> None:
    """What the Dockerfile copies has every folder and file that the package is built from."""
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert {"emulator", "filter_grammar", "fixtures", "contract_tests", "pyproject.toml", "setup.py", "LICENSE"} <= kept
    assert "python:3.12" in (ROOT / "Dockerfile").read_text("utf-8")


def test_reference_is_up_to_date() -> None:
    """docs/reference.md matches the tables of the code; `make docs` regenerates it."""
    assert FILE.read_text("utf-8") == render(), "run `make docs`"


def test_readme_tables_are_up_to_date() -> None:
    """README.md matches the limits and profiles of the code, and has at most 200 lines; `make docs` regenerates it."""
    text = README.read_text("utf-8")
    assert text == render_readme(text), "run `make docs`"
    assert text.count("\n") <= 200


def test_command_table_is_up_to_date() -> None:
    """CONTRIBUTING.md lists the targets of `make help`; `make docs` regenerates it."""
    text = CONTRIBUTING.read_text("utf-8")
    assert text == render_contributing(text), "run `make docs`"
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [line.split()[1] for line in listed.splitlines() if line.startswith("make ")]
    assert re.findall(r"^\| `make (.+)` \|", text, re.MULTILINE) == names


def test_reference_has_every_setting() -> None:
    """Each setting stands there with its flag and its twin in the environment."""
    text = FILE.read_text("utf-8")
    for name in ROWS:
        assert f"`{flag(name)} " in text
        assert f"`{environment_name(name)}`" in text


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file that is there, and a heading that it has."""
    for target, heading in LINK.findall(page.read_text("utf-8")):
        file = page.parent / target
        assert file.exists(), target
        if heading:
            assert heading in headings(file), f"{target}#{heading}"


def headings(page: Path) -> set[str]:
    """The anchors of a page, as they are made from its headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}
