"""The workflows of examples/github-actions: their commands exist, and the nightly comparison does what it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator import Emulator
from emulator.cli import build_parser
from tests.serving import environment

FOLDER = Path(__file__).parents[2] / "examples" / "github-actions"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
KEYS = {
    "XAI_API_KEY": "xai-" + "Real0Inference1Key2" * 4,
    "XAI_MANAGEMENT_KEY": "xai-token-" + "Real3Management4Key5" * 4,
}


def commands(workflow: Path) -> list[list[str]]:
    """The calls of xai-emulator in a workflow, as words; those of a command that it runs, too."""
    jobs: dict[str, Any] = yaml.safe_load(workflow.read_text("utf-8"))["jobs"]
    lines = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    return [words for line in lines if (words := shlex.split(line))[0] == "xai-emulator"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_commands_of_a_workflow_have_flags_that_exist(workflow: Path) -> None:
    found = commands(workflow)
    assert found
    for words in found:
        while words:
            options = build_parser().parse_args(words[1:])
            inner = getattr(options, "command", [])
            words = inner if inner[:1] == ["xai-emulator"] else []


def test_release_publishes_wheel_and_image_without_a_stored_token() -> None:
    """Trusted publishing needs the permission `id-token` and no secret but the one that each run is given."""
    text = (FOLDER / "release.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert {name: job.get("needs") for name, job in jobs.items()} == {"build": None, "pypi": "build", "image": "build"}
    assert jobs["pypi"]["permissions"] == {"id-token": "write"}
    assert set(re.findall(r"secrets\.(\w+)", text)) == {"GITHUB_TOKEN"}
    image = jobs["image"]["steps"][-1]["with"]
    assert (image["push"], image["sbom"], image["provenance"]) == (True, True, True)


def test_nightly_comparison_records_compares_and_reports(tmp_path: Path) -> None:
    """As printed, but for the host: an emulator stands for the service, and one feature for all of them."""
    record, compare = commands(FOLDER / "drift.yml")
    bin = str(Path(sys.executable).parent)
    variables = {**environment(**KEYS), "PATH": os.pathsep.join((bin, os.environ["PATH"]))}

    def run(words: list[str]) -> None:
        ran = subprocess.run(words, cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    with Emulator() as service:
        to = ["--to", service.url, "--management-to", service.url]
        run([*record[:2], *to, *record[2:], "--features", "auth", "--clients", "httpx"])
    run(compare)
    assert all(key not in (tmp_path / "live.har").read_text() for key in KEYS.values())
    verdicts = {row["case"]: row["verdict"] for row in json.loads((tmp_path / "evidence.json").read_text())}
    assert verdicts
    assert set(verdicts.values()) == {"confirmed"}
    assert "testsuite" in (tmp_path / "compare.xml").read_text()
