"""The verbs of the command line: what they print where, and the codes they end with."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.cli import NOT_WINDOWS, VERBS, build_parser
from emulator.cli.doctor import EXTRACTORS
from emulator.cli.environment import environment
from emulator.core.limits import ROWS
from emulator.core.version import VERSION
from emulator.operations import OPERATIONS
from emulator.pipeline.faults.effects import BEHAVIOURS
from emulator.state.settings import CLIENT_NAMES, from_environment
from tests.serving import PATIENCE_SECONDS, run_command

NO_EMULATOR = "http://localhost:1"  # nothing listens there


@pytest.fixture(autouse=True)
def _no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("XAI_EMULATOR_"):
            monkeypatch.delenv(name)


def test_verbs_are_in_modules_of_the_table() -> None:
    """The table spares the import of what is not wanted, so it must not be wrong; the help lists all, in its order."""
    for verb, room in VERBS.items():
        module = importlib.import_module(f"emulator.cli.{room}")
        assert verb in verbs_of(build_parser(verb)), module
    assert list(verbs_of(build_parser())) == list(VERBS)


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """The verbs of a parser."""
    return next(dict(each.choices) for each in parser._actions if isinstance(each, argparse._SubParsersAction))


def test_help_of_verb_describes_it(run: Any) -> None:
    """In the words of the list of verbs; so does the help of each action of a verb."""
    for verb, parser in verbs_of(build_parser()).items():
        code, out, _ = run(verb, "--help")
        assert code == 0
        assert "".join(parser.description.split()) in "".join(out.split())  # it wraps where the terminal ends
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                assert all(each.description for each in action.choices.values())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("serv",), "; did you mean serve? (see `xai-emulator --help`)"),
        (("faults", "lst"), "; did you mean list? (see `xai-emulator faults --help`)"),
        (
            ("faults", "add", "x", "--stats", "5"),
            "--stats 5; did you mean --status? (see `xai-emulator faults add --help`)",
        ),
        (("env", "--format", "jsn"), "; did you mean json? (see `xai-emulator env --help`)"),
        (("limits", "--hosts"), "--hosts (see `xai-emulator limits --help`)"),  # --host belongs to other verbs
    ],
)
def test_misspelt_argument_gets_suggestion(run: Any, wrong: tuple[str, ...], says: str) -> None:
    """From what would have been right in its place, and the help of that place is named."""
    code, _, err = run(*wrong)
    assert code == 2
    assert err.endswith(f"{says}\n")


def test_faults_add_accepts_every_behaviour(run: Any) -> None:
    """A fault can be planned with each behaviour there is."""
    (behaviour,) = (
        each for each in verbs_of(verbs_of(build_parser())["faults"])["add"]._actions if each.dest == "behaviour"
    )
    assert set(behaviour.choices) == set(BEHAVIOURS)


def test_version_is_printed(run: Any) -> None:
    """By the verb and by the flag."""
    assert run("version") == (0, f"{VERSION}\n", "")
    assert run("--version") == (0, f"xai-emulator {VERSION}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("serv",),
        ("serve", "--por", "1"),
        ("serve", "--port", "x"),
        ("serve", "--chaos", "7:nope"),
        ("serve", "--limit", "nope=1"),
        ("env", "--format", "xml"),
        ("env", "--team", "a b"),
        ("snapshot", "restore", "x", "--from-team", "a/b"),
        ("faults", "add", "files.list", "--drop", "sideways"),
        ("faults",),
        ("faults", "add"),
        ("faults", "add", "x", "--times", "often"),
        ("filter", "a = 1", "--fields", "[]"),
        ("filter", "a = 1", "--fields", '{"a": 1}'),
        ("exec",),
    ],
)
def test_wrong_use_is_one_line(run: Any, arguments: tuple[str, ...]) -> None:
    """Code 2 and a sentence on stderr; nothing on stdout, for programs read that."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("xai-emulator: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("verb", [("faults", "list"), ("snapshot", "list"), ("wait", "--timeout", "0")])
def test_unreachable_emulator_error_says_what_to_do(run: Any, verb: tuple[str, ...]) -> None:
    """Code 1, the address, and the command that would help."""
    code, out, err = run(*verb, "--url", NO_EMULATOR)
    assert (code, out) == (1, "")
    assert f"no emulator answers at {NO_EMULATOR} (Connection refused); start one with `xai-emulator serve`" in err


def test_env_in_three_formats(run: Any, emulator: Emulator) -> None:
    """Only assignments on stdout: for a shell, for a .env file, for programs."""
    wanted = environment(emulator.url, "xai-emulator@ci", "xai-token-emulator@ci")
    flags = ("--url", emulator.url, "--team", "ci")
    code, shell, err = run("env", *flags)
    assert (code, err) == (0, "")
    printed = subprocess.run(["sh", "-c", f"{shell}\nenv"], capture_output=True, text=True, check=True).stdout
    assert {line for line in printed.splitlines() if line.partition("=")[0] in wanted} == {
        f"{name}={value}" for name, value in wanted.items()
    }
    assert dict(line.split("=", 1) for line in run("env", *flags, "--format", "dotenv")[1].splitlines()) == wanted
    assert json.loads(run("env", *flags, "--format", "json")[1]) == wanted


def test_env_tells_on_stderr_when_nobody_listens(run: Any) -> None:
    """The assignments are good all the same."""
    code, out, err = run("env", "--url", NO_EMULATOR)
    assert code == 0
    assert f"export XAI_EMULATOR_URL={NO_EMULATOR}" in out
    assert err.startswith("# no emulator answers")


def test_env_variables_do_not_configure_the_server() -> None:
    """`eval "$(xai-emulator env)"` and `xai-emulator serve` work in one shell."""
    variables = environment(NO_EMULATOR, "k", "m")
    assert {name for name in variables if name.startswith("XAI_EMULATOR_")} == set(CLIENT_NAMES)
    assert from_environment(variables) == {}


def test_url_is_read_from_environment(run: Any, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb finds the emulator that `env` named, also where a proxy is set."""
    monkeypatch.setenv("XAI_EMULATOR_URL", emulator.url)
    monkeypatch.setenv("HTTP_PROXY", NO_EMULATOR)
    assert run("wait") == (0, "", "")
    assert run("faults", "list", "--team", "fresh")[:2] == (0, "no faults are planned\n")


def test_faults_are_planned_listed_and_forgotten(run: Any, emulator: Emulator) -> None:
    """What is added from the command line meets calls, and the list says how often."""
    flags = ("--url", emulator.url, "--team", "cli")
    assert run("faults", "add", "files.list", "--status", "503", "--times", "always", *flags)[0] == 0
    code, _, err = run("faults", "add", "files.gte", "--error", "internal", *flags)
    assert code == 1
    assert "no operation is called 'files.gte'" in err
    headers = {"authorization": f"Bearer {emulator.api_key}@cli"}
    assert httpx.get(f"{emulator.base_url}/files", headers=headers).status_code == 503
    assert "files.list status=503" in run("faults", "list", *flags)[1]
    assert "met 1 of 1 calls, waiting" in run("faults", "list", *flags)[1]
    assert run("faults", "clear", "rule-1", *flags)[1] == "1 removed\n"
    assert run("faults", "clear", "rule-1", *flags)[0] == 1
    words = run("faults", "words", *flags)[1]
    assert all(name in words for name in ("files.upload", "out_of_credits", "uploads", "downloads"))


def test_faults_script_plans_steps(run: Any, emulator: Emulator) -> None:
    """Statuses, errors and ok, one for each call; the list says how far it has come."""
    flags = ("--url", emulator.url, "--team", "script")
    assert run("faults", "script", "files.list", "503", "internal", "ok", *flags)[:2] == (0, "script-1: 3 steps\n")
    headers = {"authorization": f"Bearer {emulator.api_key}@script"}
    replies = [httpx.get(f"{emulator.base_url}/files", headers=headers).status_code for _ in range(2)]
    assert replies == [503, 500]
    assert "2 of 3 steps, 2 calls" in run("faults", "list", *flags)[1]
    assert run("faults", "script", "files.list", "nope", *flags)[0] == 1


def test_snapshot_is_saved_fetched_sent_and_restored(run: Any, emulator: Emulator, tmp_path: Path) -> None:
    """Saved, fetched into a file, sent to another team under another name, restored there."""
    headers = {"authorization": f"Bearer {emulator.api_key}@from"}
    httpx.post(f"{emulator.base_url}/files", headers=headers, files={"file": ("a.txt", b"a")})
    path = str(tmp_path / "one.xai-snapshot")
    here, there = ("--url", emulator.url, "--team", "from"), ("--url", emulator.url, "--team", "to")
    for step, did in (
        (("save", "one", *here), "saved"),
        (("fetch", "one", path, *here), "fetched"),
        (("send", "two", path, *there), "sent"),
        (("restore", "two", *there), "restored"),
    ):
        code, out, err = run("snapshot", *step)
        assert (code, err) == (0, ""), step
        assert re.search(rf" \d[\d,]+ bytes\b.*, {did} in \d+\.\d seconds\n$", out), out
    assert run("snapshot", "list", *there)[1].startswith("two ")
    headers = {"authorization": f"Bearer {emulator.api_key}@to"}
    files = httpx.get(f"{emulator.base_url}/files", headers=headers).json()["data"]
    assert [file["filename"] for file in files] == ["a.txt"]
    assert run("snapshot", "restore", "one", "--from-team", "from", *there)[0] == 0
    assert run("snapshot", "remove", "two", *there) == (0, "two removed\n", "")
    code, _, err = run("snapshot", "restore", "two", *there)
    assert (code, err) == (1, "xai-emulator: team to has no snapshot 'two'\n")
    assert run("snapshot", "send", "x", str(tmp_path / "none"), *there)[0] == 1


def test_fetched_snapshot_leaves_files_beside_it_alone(run: Any, emulator: Emulator, tmp_path: Path) -> None:
    """Also one called as a file that is being written might be."""
    flags = ("--url", emulator.url)
    (tmp_path / "one.part").write_bytes(b"mine")
    assert run("snapshot", "save", "one", *flags)[0] == 0
    assert run("snapshot", "fetch", "one", str(tmp_path / "one"), *flags)[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"one", "one.part"}
    assert (tmp_path / "one.part").read_bytes() == b"mine"
    assert run("snapshot", "remove", "one", *flags)[0] == 0


def test_interrupted_snapshot_fetch_leaves_no_file(run: Any, tmp_path: Path) -> None:
    """What was fetched is whole, or not there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nSQLite")

        server = threading.Thread(target=answer)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        code, _, err = run("snapshot", "fetch", "one", str(tmp_path / "one"), "--url", url)
        server.join()
    assert (code, err) == (1, "xai-emulator: the download of the snapshot ended before its 10 bytes were received\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "out"),
    [
        (("a = 1 OR b = 2 AND c = 3",), 0, "(and (or (= a 1) (= b 2)) (= c 3))\n"),
        (("a = 1", "--fields", '{"a": "1"}'), 0, "(= a 1)\ntrue\n"),
        (("a = 1", "--fields", '{"a": "2"}'), 0, "(= a 1)\nfalse\n"),
        (
            ("a = Ada AND NOT b.c < x", "--sql", "sqlite"),
            0,
            '(and (= a "Ada") (not (< b.c "x")))\n"a" = ? AND ("b.c" >= ? OR "b.c" IS NULL)\n["Ada", "x"]\n',
        ),
        (('a = "Ada"', "--sql", "postgresql"), 0, '(= a "Ada")\n"a" = %s\n["Ada"]\n'),
        (("a == 1",), 1, ""),
        (('a = "\x00"', "--sql", "postgresql"), 1, ""),
    ],
)
def test_filter_prints_the_tree_and_the_verdict(run: Any, arguments: tuple[str, ...], code: int, out: str) -> None:
    """A filter that is none goes to stderr with a caret under the spot."""
    found = run("filter", *arguments)
    assert found[:2] == (code, out)
    assert ("^" in found[2]) == (code == 1)


def test_filter_prints_all_errors(run: Any) -> None:
    code, out, err = run("filter", "a == 1 AND b =! 2")
    assert (code, out) == (1, "")
    assert [line for line in err.splitlines() if line.startswith("hint")] == [
        "hint: equality is a single =",
        "hint: write !=",
    ]
    errors = json.loads(run("filter", "a == 1 AND b =! 2", "--json")[1])["errors"]
    assert [error["position"] for error in errors] == [3, 14]


def test_limits_and_evidence_name_every_row(run: Any) -> None:
    """Each row of the tables is printed, for people and for programs."""
    assert set(json.loads(run("limits", "--json")[1])) == set(ROWS)
    assert all(name in run("limits")[1] for name in ROWS)
    rows = json.loads(run("evidence", "--json")[1])
    assert (set(rows["operations"]), set(rows["limits"])) == (set(OPERATIONS), set(ROWS))
    assert all(row["rest"] or row["grpc"] for row in rows["operations"].values())
    text = run("evidence")[1]
    assert f"{len(OPERATIONS)} operations: " in text
    assert f"{len(ROWS)} limits: " in text


def test_doctor_reports_problems_and_exits_with_code_1(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An unknown setting, a proxy in the way, a directory in use: each is bad, and makes the code 1."""
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XAI_API_KEY", "xai-" + "a" * 80)
    healthy, out, _ = run("doctor", "--data-dir", str(tmp_path))
    assert healthy == 0, out
    assert "note  XAI_API_KEY: holds a key that looks real" in out
    assert "a" * 80 not in out
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("XAI_EMULATOR_PROT", "1")
    with Emulator(data_dir=tmp_path):
        code, out, _ = run("doctor", "--data-dir", str(tmp_path))
    assert code == 1
    bad = [line for line in out.splitlines() if line.startswith("bad")]
    assert [line.split()[1] for line in bad] == ["settings:", "proxy:", "lock:"], out


def test_doctor_creates_no_files(run: Any, tmp_path: Path) -> None:
    """A directory that is not there is not made by the question, nor a lock in one that is."""
    _, out, _ = run("doctor", "--data-dir", str(tmp_path / "new" / "er"))
    assert f"ok    data directory: {tmp_path / 'new' / 'er'} is not there, can be made," in out
    run("doctor", "--data-dir", str(tmp_path))
    (tmp_path / "file").touch()
    assert run("doctor", "--data-dir", str(tmp_path / "file" / "new"))[0] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_doctor_checks_extraction_libraries_of_the_default_install() -> None:
    """Each library it checks is a dependency: a plain install reads PDF, Office and RTF documents."""
    listed = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    names = {re.split(r"\W", each)[0] for each in listed["project"]["dependencies"]}
    assert set(EXTRACTORS) <= names


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (("--port", "{taken}"), 1, "Port {taken} is taken"),
        (("--seed", "nowhere.yaml"), 2, "--seed: nowhere.yaml: No such file or directory"),
        (("--host", "192.0.2.1"), 1, "Give --host an address of this machine"),
        (("--data-dir", "/dev/null/x"), 1, "--data-dir: /dev/null/x: Not a directory"),
    ],
)
def test_exec_that_cannot_start_is_one_line(run: Any, flags: tuple[str, ...], code: int, sentence: str) -> None:
    """As of `serve`, without a traceback, and the command does not run."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        given = [flag.format(taken=number) for flag in flags]
        ended, out, err = run("exec", *given, "--", sys.executable, "-c", "print('ran')")
    assert (ended, out) == (code, "")
    assert sentence.format(taken=number) in err
    assert err.count("\n") == 1


def test_windows_is_refused_in_one_sentence(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no support for it, and a traceback would not say so."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert run("version") == (2, "", f"{NOT_WINDOWS}\n")


def test_exec_runs_a_command_against_an_emulator_of_its_own() -> None:
    """The command finds it by its environment; its code is handed on; afterwards the port is free."""
    script = (
        "import os, urllib.request as r; url = os.environ['OPENAI_BASE_URL']; "
        "q = r.Request(url + '/files', headers={'authorization': 'Bearer ' + os.environ['OPENAI_API_KEY']}); "
        "print(url, r.urlopen(q).status); raise SystemExit(7)"
    )
    code, out, err = run_command("exec", "--profile", "strict", "--", sys.executable, "-IS", "-c", script)
    assert code == 7, err
    url, status = out.split()
    assert status == "200"
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


@pytest.mark.parametrize(("words", "code"), [(("nope-no-such-command",), 127), (("/",), 126)])
def test_exec_of_what_cannot_be_run(run: Any, words: tuple[str, ...], code: int) -> None:
    """As a shell says it."""
    found = run("exec", "--", *words)
    assert found[0] == code
    assert found[2].splitlines()[-1].startswith(f"xai-emulator: {words[0]}: ")


def test_exec_hands_a_signal_on() -> None:
    """SIGTERM ends the command, and the code says so."""
    command = [sys.executable, "-m", "emulator", "exec", "--", "sh", "-c", "echo ready; exec cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM
