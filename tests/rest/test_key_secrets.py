"""Secrets of API keys: known by their hashes alone, on disk, in snapshots, the journal and every answer but one."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from emulator import Emulator
from tests.rest.key_helpers import Team, client
from tests.rpc.client import Rpc, message


def core_of(secret: str) -> str:
    """The secret part of a key, without prefix and team."""
    return secret.removeprefix("xai-emulator-").partition("@")[0]


def test_secret_is_in_no_file_and_no_answer_but_the_first(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Emulator(data_dir=tmp_path / "data", log="requests") as emulator, client(emulator) as http:
        team = Team(http, "secrets")
        made = team.create()
        secrets = [made["apiKey"]]
        secrets.append(team.call("POST", f"/auth/api-keys/{made['apiKeyId']}/rotate", {}).json()["apiKey"])
        for secret in secrets:
            team.with_key(secret)
            team.with_key(secret, path=f"/v1/files/{secret}")
            team.with_key("xai-emulator", path=f"/v1/files?filter={secret}")
        http.post("/_emulator/snapshots", params={"team": "secrets"}, json={"name": "one"})
        shown = [
            http.get(f"/_emulator/{path}", params={"team": "secrets"}).text
            for path in ("requests", "teams", "teams/secrets", "overview")
        ]
        shown += [
            team.call("GET", path).text
            for path in (f"/auth/teams/{team.id}/api-keys", f"/audit/teams/{team.id}/events")
        ]
        output = "".join(capfd.readouterr())
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"api_keys" in written
    for secret in secrets:
        assert core_of(secret).encode() not in written
        assert core_of(secret) not in "".join(shown) + output
    assert made["apiKeyId"] in "".join(shown)


def test_keys_hold_after_a_restart_and_a_restore(tmp_path: Path) -> None:
    with Emulator(data_dir=tmp_path) as emulator, client(emulator) as http:
        team = Team(http)
        kept, deleted = team.create(), team.create()
        team.call("DELETE", f"/auth/api-keys/{deleted['apiKeyId']}")
        http.post("/_emulator/snapshots", json={"name": "one"})
    with Emulator(data_dir=tmp_path, auth="strict") as emulator, client(emulator) as http:
        team = Team(http)

        def statuses() -> list[int]:
            return [team.with_key(each["apiKey"]).status_code for each in (kept, deleted)]

        assert statuses() == [200, 400]
        http.post("/_emulator/reset")
        assert statuses() == [400, 400]
        http.post("/_emulator/snapshots/one/restore")
        assert statuses() == [200, 400]


def test_old_secrets_are_refused_after_a_restart_and_a_restore(tmp_path: Path) -> None:
    with Emulator(data_dir=tmp_path) as emulator, client(emulator) as http:
        team = Team(http)
        made = team.create()
        path = f"/auth/api-keys/{made['apiKeyId']}/rotate"
        secrets = [made["apiKey"], *(team.call("POST", path, {}).json()["apiKey"] for _ in range(3))]
        http.post("/_emulator/snapshots", json={"name": "one"})
    with Emulator(data_dir=tmp_path) as emulator, client(emulator) as http:
        team = Team(http)
        assert [team.with_key(each).status_code for each in secrets] == [400, 400, 400, 200]
        assert http.post("/_emulator/reset").json()["cleared"]["retired_secrets"] == 2
        http.post("/_emulator/snapshots/one/restore")
        assert [team.with_key(each).status_code for each in secrets] == [400, 400, 400, 200]


def test_counted_calls_end_with_a_reset() -> None:
    with Emulator(random_seed="same") as emulator, client(emulator) as http:
        team = Team(http)
        for _ in range(2):
            made = team.create(qpm=1)
            assert [team.with_key(made["apiKey"]).status_code for _ in range(2)] == [200, 429]
            http.post("/_emulator/reset")


def test_open_mode_takes_any_key(tmp_path: Path) -> None:
    with Emulator(auth="open") as emulator, client(emulator) as http:
        team = Team(http)
        made = team.create(acls=[])
        team.call("DELETE", f"/auth/api-keys/{made['apiKeyId']}")
        assert team.with_key(made["apiKey"]).status_code == 200


def test_grpc_sees_the_same_keys() -> None:
    with Emulator(auth="strict") as emulator, client(emulator) as http:
        team = Team(http)
        made = team.create(acls=["api-key:endpoint:files"], qpm=3)
        with Rpc(emulator.grpc_target, made["apiKey"]) as rpc:
            info = rpc.call("xai_api.Auth/get_api_key_info", message("google.protobuf.Empty"))
            assert (info.api_key_id, info.name, list(info.acls)) == (
                *(made["apiKeyId"], "ci"),
                ["api-key:endpoint:files"],
            )
            rpc.call("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest"))
            refused = rpc.refusal("xai_api.BatchMgmt/ListBatches", message("xai_api.ListBatchesRequest"))
            assert refused.code().name == "PERMISSION_DENIED"
            assert team.with_key(made["apiKey"]).status_code == 200
            refused = rpc.refusal("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest"))
            assert refused.code().name == "RESOURCE_EXHAUSTED"
        team.call("DELETE", f"/auth/api-keys/{made['apiKeyId']}")
        with Rpc(emulator.grpc_target, made["apiKey"]) as rpc:
            refused = rpc.refusal("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest"))
            assert refused.code().name == "UNAUTHENTICATED"


def test_made_key_is_no_real_one(capfd: pytest.CaptureFixture[str]) -> None:
    """The warning for real keys is for real keys."""
    with Emulator(log="requests") as emulator, client(emulator) as http:
        team = Team(http)
        assert isinstance(team.with_key(team.create()["apiKey"]), httpx.Response)
    assert "looks real" not in "".join(capfd.readouterr())
