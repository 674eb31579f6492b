"""The contract kit through the recorder, and its recording against a fresh emulator."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from emulator import Emulator
from emulator.cli.verify import kit as kit_folder
from tests.serving import PATIENCE_SECONDS, run_command

KEYS = {
    "XAI_API_KEY": "xai-" + "Real0Inference1Key2" * 4,
    "XAI_MANAGEMENT_KEY": "xai-token-" + "Real3Management4Key5" * 4,
}


def test_kit_passes_through_the_recorder_and_its_recording_settles_the_assumed_cases(tmp_path: Path) -> None:
    """Each case is a page of the file; the one that calls as a web page does is skipped, since that is refused."""
    out, evidence = tmp_path / "kit.har", tmp_path / "evidence.json"
    kit = [sys.executable, "-m", "emulator", "verify", "--clients", "httpx,xai-sdk", "--evidence", "assumed"]
    kit += ["--cases", "auth,collections.documents,collections.c,files.c,files.upload"]
    kit += ["--case-seconds", str(PATIENCE_SECONDS)]
    with Emulator() as service:
        code, printed, said = run_command("record", "--out", out, "--to", service.url, "--", *kit, **KEYS)
    assert code == 0, printed + said
    assert re.search(r"^=+ \d+ passed, .* =+$", printed, re.MULTILINE)
    assert not any(key in out.read_text() for key in KEYS.values())
    code, printed, said = run_command("compare", "--evidence", evidence, out, **KEYS)
    assert code == 0, printed + said
    verdicts = {row["case"]: row["verdict"] for row in json.loads(evidence.read_text())}
    assert "contradicted" not in verdicts.values()
    assert list(verdicts.values()).count("confirmed") > len(verdicts) / 2
    published = json.loads((kit_folder() / "evidence.json").read_text())["cases"]
    assert {published[id]["evidence"] for id in verdicts} == {"assumed"}
    assert published["files.cors"]["evidence"] == "assumed"
    assert "files.cors" not in verdicts
