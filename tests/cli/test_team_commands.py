"""The commands `clock`, `teams`, `keys`, `reset`, `requests`, `help` and `completion`, and the flag --json."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _target(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point commands to the module's emulator, which is reset."""
    emulator.reset()
    monkeypatch.setenv("XAI_EMULATOR_URL", emulator.url)


def parsed(result: tuple[int, str, str]) -> Any:
    """The JSON that a command printed."""
    code, out, err = result
    assert (code, err) == (0, "")
    return json.loads(out)


def test_clock_is_frozen_advanced_and_reset(run: Run) -> None:
    assert run("clock", "freeze", "2026-03-01T09:00:00Z") == (0, "2026-03-01T09:00:00.000000Z  frozen\n", "")
    assert run("clock", "advance", "60")[1] == "2026-03-01T09:01:00.000000Z  frozen\n"
    assert run("clock", "show")[1] == "2026-03-01T09:01:00.000000Z  frozen\n"
    assert parsed(run("clock", "resume", "--json"))["frozen"] is False
    assert parsed(run("clock", "reset", "--json"))["offset_seconds"] == 0


def test_clock_advance_prints_the_jobs_that_ran(run: Run, rest: httpx.Client) -> None:
    file = rest.post("/v1/files", data={"expires_after": "3600"}, files={"file": ("a.txt", b"x")}).json()["id"]
    code, out, _ = run("clock", "advance", "--until-file-expired", file)
    assert code == 0
    assert f"  ran expire_file of {file}\n" in out


def test_clock_advance_without_amount_is_refused_in_words(run: Run) -> None:
    assert run("clock", "advance") == (1, "", "xai-emulator: give either seconds or until\n")


def test_teams_are_created_changed_listed_and_deleted(run: Run) -> None:
    assert run("teams", "create", "ada", "--set", "indexing=manual")[0] == 0
    changed = parsed(run("teams", "set", "ada", "profile=strict", "limits=file_bytes_max=1MiB", "--json"))
    assert changed["team"]["overrides"] == {
        "indexing": "manual",
        "profile": "strict",
        "limits": {"file_bytes_max": 1024**2},
    }
    assert parsed(run("teams", "set", "ada", "indexing=", "--json"))["team"]["overrides"].keys() == {
        "profile",
        "limits",
    }
    code, out, _ = run("teams", "list")
    assert code == 0
    assert any(line.split()[:2] == ["ada", "xai-emulator@ada"] for line in out.splitlines())
    assert run("teams", "delete", "ada") == (0, "ada deleted\n", "")


def test_unknown_team_setting_is_refused_with_the_known_ones(run: Run) -> None:
    code, _, err = run("teams", "create", "ada", "--set", "colour=red")
    assert code == 2
    assert "'colour=red' is not NAME=VALUE with a name of limits, profile," in err


def test_reset_removes_all_and_says_what(run: Run, rest: httpx.Client) -> None:
    rest.post("/v1/files", files={"file": ("a.txt", b"x")})
    code, out, _ = run("reset")
    assert code == 0
    assert out.startswith("default reset; removed: 1 files")
    assert rest.get("/v1/files").json()["data"] == []


def test_requests_lists_and_clears_the_journal(run: Run, rest: httpx.Client) -> None:
    rest.get("/v1/files")
    rest.get("/v1/files/file_1")
    rest.get("/v1/nothing")
    listed = parsed(run("requests", "--json"))["requests"]
    assert [request["operation"] for request in listed] == ["files.list", "files.get", None]
    _, out, _ = run("requests")
    first, second, third = out.splitlines()
    assert first.split()[2:4] == ["rest", "200"]
    assert second.endswith("rule=not_found")
    assert "GET /v1/nothing" in third
    assert "files.get" in run("requests", "--operation", "files.get", "--clear")[1]
    assert run("requests") == (0, "no requests\n", "")


def last_number(run: Run) -> str:
    """The number of the last call."""
    return str(parsed(run("requests", "--json"))["requests"][-1]["number"])


def test_requests_are_written_as_har(run: Run, rest: httpx.Client, tmp_path: Path) -> None:
    rest.get("/v1/files")
    rest.get("/v1/files/file_1")
    har = tmp_path / "requests.har"
    assert run("requests", "--operation", "files.get", "--har", str(har)) == (0, "", f"{har}: 1 requests\n")
    (entry,) = json.loads(har.read_text())["log"]["entries"]
    assert (entry["_operation"], entry["response"]["status"]) == ("files.get", 404)


def test_request_is_printed_as_curl_and_as_a_test(run: Run, rest: httpx.Client, emulator: Emulator) -> None:
    rest.get("/v1/files")
    number = last_number(run)
    code, out, _ = run("requests", "--curl", number)
    assert (code, out.split()[:2]) == (0, ["curl", f"{emulator.url}/v1/files"])
    code, out, _ = run("requests", "--pytest", number)
    assert (code, out.startswith("import httpx\n\n\ndef test_files_list(xai_emulator):\n")) == (0, True)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--curl", "77777"), 1, "no call 77777"),
        (("--pytest", "LAST"), 1, "LAST cannot be copied: the journal does not keep the 20011 bytes of its body"),
        (("--curl", "1", "--pytest", "1"), 2, "choose one"),
        (("--har", "missing/x.har"), 2, "No such file"),
    ],
)
def test_request_that_cannot_be_copied_says_why(
    run: Run, rest: httpx.Client, words: tuple[str, ...], code: int, message: str
) -> None:
    rest.post("/v1/batches", json={"name": "x" * 20_000})
    number = last_number(run)
    found = run("requests", *(word.replace("LAST", number) for word in words))
    message = message.replace("LAST", number)
    assert (found[0], message in found[2]) == (code, True), found


@pytest.mark.parametrize(
    "arguments",
    [
        ("faults", "list"),
        ("faults", "words"),
        ("faults", "add", "files.list", "--status", "503"),
        ("faults", "script", "files.list", "ok"),
        ("faults", "clear"),
        ("snapshot", "save", "one"),
        ("snapshot", "list"),
        ("snapshot", "restore", "one"),
        ("snapshot", "remove", "one"),
        ("filter", "a = 1"),
        ("doctor",),
        ("limits",),
        ("evidence",),
        ("clock", "show"),
        ("teams", "list"),
        ("requests",),
        ("reset",),
    ],
    ids=" ".join,
)
def test_json_is_printed_where_it_is_asked_for(run: Run, arguments: tuple[str, ...]) -> None:
    run("snapshot", "save", "one")
    code, out, _ = run(*arguments, "--json")
    assert code in (0, 1)  # the doctor may find a problem
    json.loads(out)


def test_invalid_filter_has_its_position_in_json(run: Run) -> None:
    code, out, _ = run("filter", "a = ", "--json")
    assert code == 1
    assert json.loads(out)["position"] == 3


def test_values_out_of_bounds_are_refused_in_plain_words(run: Run) -> None:
    code, _, err = run("faults", "add", "files.list", "--status", "200")
    assert code == 1
    assert err == "xai-emulator: the body: status must be an integer of at least 400\n"


def test_help_prints_the_help_of_a_command(run: Run) -> None:
    code, out, _ = run("help", "faults", "add")
    assert code == 0
    assert out.startswith("usage: xai-emulator faults add")
    assert run("help", "teams")[1].rstrip().endswith("xai-emulator teams set ada profile=strict")
    assert run("help")[1].startswith("usage: xai-emulator [-h] [-V]")
    assert run("help", "fly") == (2, "", "xai-emulator: there is no command 'fly' (see `xai-emulator help`)\n")


def test_help_of_serve_shows_defaults_and_examples(run: Run) -> None:
    out = " ".join(run("serve", "--help")[1].split())
    assert "default 7878 [XAI_EMULATOR_PORT]" in out
    assert "examples: xai-emulator serve --port 0 --log requests" in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_script_names_every_command(run: Run, shell: str) -> None:
    code, out, _ = run("completion", shell)
    assert code == 0
    assert all(verb in out for verb in ("serve", "faults", "snapshot"))
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=out, text=True, check=True, env=dict(os.environ))


def test_keys_are_created_listed_and_deleted(run: Run, emulator: Emulator) -> None:
    made = parsed(
        run("keys", "create", "ci", "--acl", "api-key:endpoint:files", "--qpm", "100", "--team", "grace", "--json")
    )
    with httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {made['apiKey']}"}) as http:
        assert http.get("/v1/files").status_code == 200
        assert http.get("/v1/batches").status_code == 403
        code, out, _ = run("keys", "list", "--team", "grace")
        assert (code, out.split()) == (
            0,
            [made["apiKeyId"], made["redactedApiKey"], "ci", "api-key:endpoint:files", "qpm=100"],
        )
        assert run("keys", "delete", made["apiKeyId"], "--team", "grace") == (0, f"{made['apiKeyId']} deleted\n", "")
        assert http.get("/v1/files").status_code == 400
    assert run("keys", "list", "--team", "grace") == (0, "there are no API keys yet\n", "")
    assert run("keys", "delete", "some") == (1, "", "xai-emulator: Cannot find API key\n")


def test_key_is_printed_once_when_it_is_created(run: Run) -> None:
    code, out, _ = run("keys", "create", "ci", "--expires", "2030-01-01T00:00:00Z")
    assert code == 0
    assert out.splitlines()[0].endswith("expires 2030-01-01T00:00:00.000000Z")
    assert out.splitlines()[1].startswith("key: xai-emulator-")
    assert "xai-emulator-" not in run("keys", "list")[1]
