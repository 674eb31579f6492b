"""The package as users get it: built, installed in an environment of its own far from the tree, and used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from emulator.cli import build_parser
from emulator.cli.environment import environment
from emulator.domain.keys import INFERENCE_KEY, MANAGEMENT_KEY
from tests.packages import ROOT, built_wheel, installed_programs, outside, run
from tests.serving import PATIENCE_SECONDS, READY

FEATURE = ROOT / "examples" / "devcontainer" / "xai-emulator"
UNPRIVILEGED = 10_001  # the user of the image
# A first program by someone who has read three lines of the documentation.
FIRST_TEST = """
import pytest


@pytest.mark.xai_emulator(world="files")
def test_team_starts_with_a_world_and_has_a_clock(xai_emulator):
    assert len(xai_emulator.call("GET", "/v1/files")["data"]) == 3
    file = xai_emulator.upload("a.png", b"PNG", "image/png")
    xai_emulator.call("POST", f"/v1/files/{file}/public-url", {"expires_after": 3600})
    xai_emulator.advance(3600)
    assert xai_emulator.call("GET", f"/v1/files/{file}")["filename"] == "a.png"


def test_nothing_is_left_of_another_test(xai_emulator):
    assert xai_emulator.call("GET", "/v1/files")["data"] == []
"""
# The page and the gRPC contract are files beside the code: both have to be there.
LOOK = """
import sys, urllib.request
import emulator
from emulator import Emulator
assert "site-packages" in emulator.__file__, emulator.__file__
with Emulator() as running:
    for path in ("", "console/main.js", "console/panels/search.js", "console/console.css"):
        with urllib.request.urlopen(f"{running.url}/_emulator/{path}") as reply:
            assert reply.status == 200, path
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment that has the wheel, which was built from the sdist."""
    return installed_programs(tmp_path_factory)


def test_wheel_and_sdist_have_one_version(tmp_path_factory: pytest.TempPathFactory) -> None:
    wheel = built_wheel(tmp_path_factory)
    (sdist,) = wheel.parent.glob("*.tar.gz")
    assert sdist.name.removesuffix(".tar.gz") == wheel.name.partition("-py3")[0]


def test_installed_demo_runs(installed: Path, tmp_path: Path) -> None:
    """The first hour works from the wheel alone: the documents it shows are in it."""
    said = run([installed / "xai-emulator", "demo", "--once"], tmp_path)
    assert "12 documents, 12 chunks" in said
    assert "3 of 3 requests are done" in said


def test_installed_plugin_is_found(installed: Path, tmp_path: Path) -> None:
    """pytest finds the plugin by itself, with its marker, and each test has a team of its own."""
    (tmp_path / "test_first.py").write_text(FIRST_TEST)
    # Installed as well, and slow to import.
    others = [f"-pno:{name}" for name in ("schemathesis", "hypothesispytest", "xdist", "asyncio", "anyio", "randomly")]
    command = [installed / "python", "-m", "pytest", "-q", "--strict-markers", *others, tmp_path]
    assert "2 passed" in run(command, tmp_path)


def test_installed_console_is_served(installed: Path, tmp_path: Path) -> None:
    """The console is served out of the installed package."""
    run([installed / "python", "-I", "-c", LOOK], tmp_path)


def test_installed_command_prints_version(installed: Path, tmp_path: Path) -> None:
    """The command and `python -m emulator` are the same program."""
    from emulator.core.version import VERSION

    assert run([installed / "xai-emulator", "version"], tmp_path).strip() == VERSION
    assert VERSION in run([installed / "python", "-m", "emulator", "--version"], tmp_path)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A directory of the unprivileged user, in one of root."""
    place = tmp_path / "data"
    place.mkdir(mode=0o700)
    os.chown(place, UNPRIVILEGED, UNPRIVILEGED)
    return place


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="another user needs root and setpriv")
def test_installed_server_runs_as_in_the_container(installed: Path, tmp_path: Path, volume: Path) -> None:
    """Without an engine: as the user of the image, in a directory it cannot write to, with the state in its volume.

    It is allowed to read everything, because the interpreter of a test may lie in the home of root.
    """
    user = ["--reuid", str(UNPRIVILEGED), "--regid", str(UNPRIVILEGED), "--clear-groups", "--no-new-privs"]
    reading = ["--bounding-set=-all,+dac_read_search", "--inh-caps=-all,+dac_read_search"]
    as_user = ["setpriv", *user, *reading, "--ambient-caps=-all,+dac_read_search"]
    if subprocess.run([*as_user, "true"], capture_output=True).returncode != 0:
        pytest.skip("root cannot hand on the capability to read every file here")
    instructions = (ROOT / "Dockerfile").read_text()
    program, *serve = json.loads(instructions.partition("ENTRYPOINT ")[2])
    variables = dict([instructions.partition("\nENV ")[2].partition("\n")[0].split("=")])
    server = subprocess.Popen(
        [*as_user, installed / program, *serve, "--port", "0", "--data-dir", volume],
        cwd=tmp_path,
        env=outside(**variables, HOME="/nonexistent"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        ready = READY.fullmatch(server.stdout.readline())
        assert ready is not None
        check = json.loads(instructions.partition("HEALTHCHECK ")[2].partition("CMD ")[2].partition("\n")[0])
        check[0], check[-1] = installed / check[0], str(PATIENCE_SECONDS)  # its 2 s would judge the load of the machine
        run([*as_user, *check], tmp_path, XAI_EMULATOR_URL=ready[1])
        status = Path(f"/proc/{ready[4]}/status").read_text()
        assert re.search(rf"^Uid:\t{UNPRIVILEGED}\t{UNPRIVILEGED}\t", status, re.MULTILINE)
        with pytest.raises(HTTPError, match="401"):  # others can reach it, so its control API asks for a token
            urlopen(f"{ready[1]}/_emulator/teams", timeout=PATIENCE_SECONDS)
    finally:
        server.terminate()
        assert server.wait(PATIENCE_SECONDS) == 0
        server.stdout.close()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert {path.stat().st_uid for path in volume.iterdir()} == {UNPRIVILEGED}


@pytest.mark.skipif(os.name != "posix", reason="it is a shell script")
def test_devcontainer_feature_installs_the_command(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    wheel = built_wheel(tmp_path_factory)
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_COMPILE": "0"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run(["sh", FEATURE / "install.sh"], tmp_path, PREFIX=str(tmp_path), PACKAGE=str(wheel), PATH=path, **pip)
    command = tmp_path / "bin" / "xai-emulator"
    assert command.is_symlink()
    assert os.access(command, os.X_OK)


def test_devcontainer_feature_is_as_its_parts_need_it() -> None:
    """Its option is the variable of the script, its variables are those of `env`, and its commands exist."""
    feature = json.loads((FEATURE / "devcontainer-feature.json").read_text())
    assert [name.upper() for name in feature["options"]] == re.findall(r"\$\{([A-Z]+):-xai-emulator\}", _script())
    known = environment("http://localhost:7878", INFERENCE_KEY, MANAGEMENT_KEY)
    assert feature["containerEnv"].items() <= known.items()
    for words in re.findall(r"xai-emulator (serve|wait(?: --timeout \d+)?)", feature["postStartCommand"]):
        build_parser().parse_args(words.split())
    text = (FEATURE.parent / "devcontainer.json").read_text()
    assert text in (ROOT / "docs" / "containers.md").read_text()
    config = json.loads(text)
    assert config["features"].keys() == {f"./{feature['id']}"}
    assert config["features"][f"./{feature['id']}"].keys() <= feature["options"].keys()


def _script() -> str:
    return (FEATURE / "install.sh").read_text()
