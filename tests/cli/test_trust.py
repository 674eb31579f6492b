"""`xai-emulator trust`: how clients come to trust an emulator that made its own certificate authority."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx

from emulator import Emulator

Run = Callable[..., tuple[int, str, str]]


def test_certificate_is_downloaded_and_written_by_trust(run: Run, tmp_path: Path) -> None:
    """`xai-emulator trust` writes what the control API serves, and prints the variables that clients read."""
    with Emulator(tls="self-signed") as secure:
        served = httpx.get(f"{secure.url}/_emulator/ca.pem")
        assert served.text == secure.authority
        file = tmp_path / "ca of mine.pem"
        code, said, _ = run("trust", "--url", secure.url, "--out", str(file))
        assert code == 0
        assert file.read_text() == secure.authority
        assert f"export GRPC_DEFAULT_SSL_ROOTS_FILE_PATH='{file}'" in said
        code, said, _ = run("trust", "--url", secure.url, "--out", str(file), "--json")
        assert json.loads(said)["url"] == secure.tls_url
        assert json.loads(said)["variables"]["NODE_EXTRA_CA_CERTS"] == str(file)


def test_emulator_without_tls_says_how_to_have_it(run: Run, emulator: Emulator, tmp_path: Path) -> None:
    """There is no authority to trust where the emulator made none."""
    assert (emulator.tls_url, emulator.authority) == (None, None)
    code, _, said = run("trust", "--url", emulator.url, "--out", str(tmp_path / "ca.pem"))
    assert code == 1
    assert "start it with --tls self-signed" in said
    assert not (tmp_path / "ca.pem").exists()
