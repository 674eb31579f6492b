"""The Files API under the unmodified clients, all on one running emulator."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import openai
import pytest
import xai_sdk

from emulator import Emulator

TARGETS = {"local": {}, "insecure": {"use_insecure_channel": True}}


@pytest.fixture(params=TARGETS)
def xai_client(emulator: Emulator, request: pytest.FixtureRequest) -> Iterator[xai_sdk.Client]:
    client = xai_sdk.Client(
        api_key=emulator.api_key,
        management_api_key=emulator.management_key,
        api_host=emulator.grpc_target,
        management_api_host=emulator.grpc_target,
        **TARGETS[request.param],
    )
    yield client
    client.close()


def test_clients_share_files_across_transports(
    rest: httpx.Client, openai_client: openai.OpenAI, xai_client: xai_sdk.Client
) -> None:
    """One store serves both transports."""
    by_openai = openai_client.files.create(file=("o.txt", b"from openai"), purpose="assistants")
    by_xai = xai_client.files.upload(b"from xai", filename="x.txt")
    by_curl = rest.post("/v1/files", files={"file": ("c.txt", b"from curl")}).json()

    ids = {by_openai.id, by_xai.id, by_curl["id"]}
    assert {file.id for file in openai_client.files.list()} == ids
    assert {file.id for file in xai_client.files.list().data} == ids
    assert openai_client.files.content(by_xai.id).read() == b"from xai"
    assert xai_client.files.content(by_openai.id) == b"from openai"
    assert xai_client.files.get(by_curl["id"]).filename == "c.txt"
    assert openai_client.files.delete(by_xai.id).deleted
    assert xai_client.files.delete(by_openai.id).deleted
    assert [file["id"] for file in rest.get("/v1/files").json()["data"]] == [by_curl["id"]]


def test_openai_pages_through_250_files(rest: httpx.Client, openai_client: openai.OpenAI) -> None:
    """Auto-pagination follows `after=ID` to the end, newest first, each file once."""
    made = [rest.post("/v1/files", files={"file": (f"{n}.txt", b"x")}).json()["id"] for n in range(250)]
    assert [file.id for file in openai_client.files.list()] == made[::-1]


def test_openai_deletes_while_it_lists(rest: httpx.Client, openai_client: openai.OpenAI) -> None:
    """The usual clean-up loop deletes the very file the next page starts after."""
    for n in range(7):
        rest.post("/v1/files", files={"file": (f"{n}.txt", b"x")})
    for file in openai_client.files.list(limit=2):
        openai_client.files.delete(file.id)
    assert rest.get("/v1/files").json()["data"] == []


def test_openai_gives_a_file_an_expiry(rest: httpx.Client, openai_client: openai.OpenAI) -> None:
    """The pair expires_after[anchor] and expires_after[seconds] is understood."""
    file = openai_client.files.create(
        file=("a.txt", b"x"), purpose="assistants", expires_after={"anchor": "created_at", "seconds": 7200}
    )
    assert file.expires_at == file.created_at + 7200


def test_openai_reads_a_refusal(rest: httpx.Client, openai_client: openai.OpenAI) -> None:
    """A refusal arrives as the exception of its status, with the API's words."""
    with pytest.raises(openai.NotFoundError) as missing:
        openai_client.files.retrieve("file_00000000-0000-4000-8000-000000000000")
    assert missing.value.body == "File not found"


def test_xai_sdk_lists_in_every_order(rest: httpx.Client, xai_client: xai_sdk.Client) -> None:
    """Order, sort and page token work; the token is absent on the final page."""
    for name, size in (("b", 3), ("a", 1), ("c", 2)):
        xai_client.files.upload(b"x" * size, filename=name)
    assert [f.filename for f in xai_client.files.list().data] == ["b", "a", "c"]
    assert [f.filename for f in xai_client.files.list(order="desc", sort_by="filename").data] == ["c", "b", "a"]
    first = xai_client.files.list(limit=2, sort_by="size")
    assert [f.filename for f in first.data] == ["a", "c"]
    last = xai_client.files.list(limit=2, sort_by="size", pagination_token=first.pagination_token)
    assert [f.filename for f in last.data] == ["b"]
    assert not last.HasField("pagination_token")


def test_xai_sdk_uploads_in_chunks(rest: httpx.Client, xai_client: xai_sdk.Client, tmp_path: Path) -> None:
    """A file of several 3 MiB chunks is uploaded byte for byte, and the progress callback is called."""
    content = bytes(range(256)) * 4 * 1024 * 7
    path = tmp_path / "large.bin"
    path.write_bytes(content)
    seen: list[int] = []
    file = xai_client.files.upload(str(path), on_progress=lambda done, total: seen.append(done))
    assert file.size == len(content)
    assert seen[-1] == len(content)
    assert xai_client.files.content(file.id) == content


def test_xai_sdk_reads_refusals(rest: httpx.Client, xai_client: xai_sdk.Client) -> None:
    """Codes and words are those of the API."""
    with pytest.raises(grpc.RpcError) as missing:
        xai_client.files.get("file_nope")
    assert (missing.value.code(), missing.value.details()) == (grpc.StatusCode.NOT_FOUND, "File not found")
    with pytest.raises(grpc.RpcError) as bad_name:
        xai_client.files.upload(b"x", filename='a"b')
    assert bad_name.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as bad_ttl:
        xai_client.files.upload(b"x", filename="a", expires_after=59)
    assert bad_ttl.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_xai_sdk_makes_and_revokes_a_public_url(rest: httpx.Client, xai_client: xai_sdk.Client) -> None:
    """The URL is served by the emulator without a key, and dies with its revocation."""
    file = xai_client.files.upload(b"\x89PNG", filename="a.png")
    made = xai_client.files.create_public_url(file.id)
    assert httpx.get(made.public_url).content == b"\x89PNG"
    assert httpx.get(made.public_url).headers["content-type"] == "image/png"
    assert xai_client.files.revoke_public_url(file.id).revoked
    assert httpx.get(made.public_url).status_code == 404


@pytest.mark.parametrize("target", TARGETS)
def test_files_calls_of_async_xai_client(emulator: Emulator, rest: httpx.Client, target: str) -> None:
    """xai_sdk.AsyncClient uploads, lists, reads and deletes."""

    async def run() -> None:
        client = xai_sdk.AsyncClient(api_key=emulator.api_key, api_host=emulator.grpc_target, **TARGETS[target])
        file = await client.files.upload(b"hello", filename="a.txt")
        assert [each.id for each in (await client.files.list()).data] == [file.id]
        assert await client.files.content(file.id) == b"hello"
        assert (await client.files.delete(file.id)).deleted
        await client.close()

    asyncio.run(run())


def test_keyless_upload_goes_to_team_of_connection(emulator: Emulator) -> None:
    """On an insecure channel xai-sdk sends UploadFile without a key: earlier calls on the connection give the team."""
    client = xai_sdk.Client(
        api_key=f"{emulator.api_key}@keyless", api_host=emulator.grpc_target, use_insecure_channel=True
    )
    assert list(client.files.list().data) == []
    file = client.files.upload(b"x", filename="a.txt")
    assert [each.id for each in client.files.list().data] == [file.id]
    client.close()


def test_keyless_upload_after_management_call_goes_to_its_team(emulator: Emulator) -> None:
    """Both channels share a connection: the management key that it sent last gives the team, and no permissions."""
    client = xai_sdk.Client(
        api_key=f"{emulator.api_key}@planes",
        management_api_key=f"{emulator.management_key}@planes",
        api_host=emulator.grpc_target,
        management_api_host=emulator.grpc_target,
        use_insecure_channel=True,
    )
    collection = client.collections.create("papers").collection_id
    document = client.collections.upload_document(collection, "a.txt", b"hello")
    assert [each.id for each in client.files.list().data] == [document.file_metadata.file_id]
    client.close()


def test_strict_auth_refuses_a_keyless_upload() -> None:
    """Where only given keys count, an upload without one is refused."""
    with Emulator(auth="strict") as emulator:
        client = xai_sdk.Client(api_key=emulator.api_key, api_host=emulator.grpc_target, use_insecure_channel=True)
        client.files.list()
        with pytest.raises(grpc.RpcError) as refused:
            client.files.upload(b"x", filename="a.txt")
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        client.close()


CURL = shutil.which("curl")


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (["expires_after=3600", "file=@{path}"], 200),
        (
            ["purpose=assistants", "expires_after[anchor]=created_at", "expires_after[seconds]=3600", "file=@{path}"],
            200,
        ),
        (["file=@{path}", "purpose=assistants"], 200),
        (["file=@{path}", "expires_after=3600"], 400),
    ],
)
def test_curl_forms_in_both_orders(
    emulator: Emulator, rest: httpx.Client, tmp_path: Path, fields: list[str], status: int
) -> None:
    """expires_after before file is taken, after it refused, and then nothing is stored."""
    path = tmp_path / "a.txt"
    path.write_text("from curl")
    command = [str(CURL), "-s", "-w", "\n%{http_code}", f"{emulator.base_url}/files"]
    command += ["-H", f"Authorization: Bearer {emulator.api_key}"]
    for field in fields:
        command += ["-F", field.format(path=path)]
    body, _, code = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rpartition("\n")
    assert int(code) == status, body
    if status == 200:
        assert json.loads(body)["bytes"] == 9
    else:
        assert "before file" in json.loads(body)["error"]
    assert len(rest.get("/v1/files").json()["data"]) == (status == 200)
