"""Programs in other languages: over REST each uploads, lists, reads and searches, over gRPC it uploads and reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from emulator import Emulator
from tests.serving import PATIENCE_SECONDS

PROGRAMS = Path(__file__).parent
TEXT = "Solar panels turn light into power."
# A process for each language; the options of java make it start faster.
JAVA = ("java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
REST = {"java": (*JAVA, "Client.java"), "ruby": ("ruby", "client.rb"), "go": ("go", "run", "client.go")}

# gRPC for Java and Go, as Debian packages it.
JARS = Path("/usr/share/java")
JAVA_LIBRARIES = (
    *(f"grpc-{part}" for part in ("api", "context", "core", "netty", "protobuf", "protobuf-lite", "stub")),
    *(f"netty-{part}" for part in ("buffer", "codec", "codec-http", "codec-http2", "common", "handler")),
    *("netty-resolver", "netty-transport", "protobuf", "guava", "perfmark-api", "perfmark-impl", "opencensus-api"),
)
GO_LIBRARIES = Path("/usr/share/gocode")
PROTO = Path(__file__).parents[2] / "emulator" / "rpc" / "proto"
NOT_FOUND = 5


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(tls="self-signed") as running:
        yield running


@pytest.fixture(scope="module")
def authority(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the certificate to trust, as `xai-emulator trust` writes it."""
    file = tmp_path_factory.mktemp("trust") / "authority.pem"
    file.write_text(str(emulator.authority))
    return file


def run(
    command: tuple[str, ...], emulator: Emulator, team: str, authority: Path, *arguments: str, **variables: str
) -> Any:
    """The JSON that a program prints, which finds its keys and the authority to trust in the environment."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    given = {
        "XAI_API_KEY": f"{emulator.api_key}@{team}",
        "XAI_MANAGEMENT_KEY": f"{emulator.management_key}@{team}",
        "SSL_CERT_FILE": str(authority),
        **variables,
    }
    done = subprocess.run(
        [*command, *arguments],
        cwd=PROGRAMS,
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_complete(answers: Mapping[str, Any]) -> None:
    """Check what a program was answered from the upload of a file to a search that finds it."""
    file = answers["file"]
    assert (file["filename"], file["bytes"], file["expires_at"]) == ("solar.txt", len(TEXT), file["created_at"] + 3600)
    assert file["id"] in [each["id"] for each in answers["listed"]["data"]]
    assert answers["content"] == TEXT
    assert [(match["file_id"], match["chunk_content"]) for match in answers["found"]["matches"]] == [(file["id"], TEXT)]
    assert answers["missing"] == 404


@pytest.mark.parametrize("language", REST)
def test_program_uploads_lists_and_searches_in_plain_text_and_over_tls(
    emulator: Emulator, authority: Path, language: str
) -> None:
    tls_url = str(emulator.tls_url)
    plain, secure = run(REST[language], emulator, language, authority, emulator.url, tls_url)
    assert_complete(plain)
    assert_complete(secure)
    if language == "java":  # it offers h2 on both ports, and both answer HTTP/1.1
        assert plain["versions"] == secure["versions"] == ["HTTP_1_1", "HTTP_1_1"]
        assert plain["chunked"]["bytes"] == secure["chunked"]["bytes"] == len(TEXT)


def assert_read_over_grpc(answers: Mapping[str, Any]) -> None:
    """Check what a program was answered that uploads a file over gRPC, lists and reads it."""
    assert answers["id"] in answers["listed"]
    assert (answers["content"], answers["size"], answers["missing"]) == (TEXT, len(TEXT), NOT_FOUND)


def test_grpc_java_uploads_lists_and_reads(emulator: Emulator, authority: Path) -> None:
    """In plain text alone: Debian's netty lacks ALPN on this JDK."""
    jars = [JARS / f"{name}.jar" for name in JAVA_LIBRARIES]
    if not all(jar.exists() for jar in jars):
        pytest.skip("Debian's libgrpc-java, libnetty-java, libperfmark-java and libprotobuf-java are not all here")
    command = (*JAVA, "-cp", os.pathsep.join(map(str, jars)), "GrpcClient.java", str(PROTO / "descriptors.binpb"))
    (answers,) = run(command, emulator, "grpc-java", authority, emulator.grpc_target)
    assert_read_over_grpc(answers)


@pytest.mark.slow
def test_grpc_go_reflects_and_calls_a_generated_stub(emulator: Emulator, authority: Path, tmp_path: Path) -> None:
    """In plain text and over TLS. The first run compiles grpc-go, which takes ten seconds."""
    generator = shutil.which("protoc-gen-go")
    # Other versions of the two packages do not fit each other.
    if generator is None or not (GO_LIBRARIES / "src/github.com/golang/protobuf/protoc-gen-go/grpc").is_dir():
        pytest.skip("Debian's golang-google-grpc-dev and protoc-gen-go-1-3 are not both here")
    # That generator knows no `optional` of proto3, which is no matter of the wire.
    text = (PROTO / "files.proto").read_text()
    (tmp_path / "files.proto").write_text(text.replace("\n  optional ", "\n  "))
    package = tmp_path / "src" / "xai_api"
    package.mkdir(parents=True)
    timestamp = "Mgoogle/protobuf/timestamp.proto=github.com/golang/protobuf/ptypes/timestamp"
    stub = [f"--plugin=protoc-gen-go={generator}", f"--go_out=plugins=grpc,{timestamp}:{package}"]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{tmp_path}", *stub, "files.proto"]
    subprocess.run(protoc, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    libraries = {"GO111MODULE": "off", "GOPATH": os.pathsep.join([str(tmp_path), str(GO_LIBRARIES)])}
    targets = (emulator.grpc_target, str(emulator.tls_url))
    for answers in run(("go", "run", "grpc_client.go"), emulator, "grpc-go", authority, *targets, **libraries):
        assert_read_over_grpc(answers)
        assert {"xai_api.Files", "collections.Collections", "grpc.health.v1.Health"} <= set(answers["services"])
