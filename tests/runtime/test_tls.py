"""TLS of an emulator: its certificate authority, the files that may be given instead, and every client over it."""

from __future__ import annotations

import shutil
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import trustme

from emulator import Emulator
from emulator.runtime import tls
from emulator.state.settings import BadSetting, Settings
from tests.serving import KEY, PATIENCE_SECONDS, READY, Served, environment

NODE = """
const response = await fetch(process.argv[1]);
console.log(response.status);
"""
XAI_SDK = """
import sys, urllib.parse, xai_sdk
target = f"127.0.0.1:{urllib.parse.urlsplit(sys.argv[1]).port}"  # which xai-sdk does not take for local
keys = {"api_key": "xai-emulator", "management_api_key": "xai-token-emulator"}
with xai_sdk.Client(**keys, api_host=target, management_api_host=target) as client:
    file = client.files.upload(b"over TLS", filename="secret.png")
    url = client.files.create_public_url(file.id).public_url
    print(client.files.content(file.id).decode(), url.startswith(f"https://{target}/"))
"""


def trusting(pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    return context


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator with an authority of its own."""
    with Emulator(tls="self-signed", data_dir=tmp_path_factory.mktemp("data")) as emulator:
        yield emulator


def authority_of(emulator: Emulator) -> str:
    assert emulator.authority is not None
    return emulator.authority


def tls_url(emulator: Emulator) -> str:
    assert emulator.tls_url is not None
    return emulator.tls_url


def test_openai_over_tls_has_urls_of_tls(secure: Emulator) -> None:
    """The URLs that are handed out have the scheme and the port that the client called."""
    with httpx.Client(verify=trusting(authority_of(secure))) as http:
        client = openai.OpenAI(base_url=f"{tls_url(secure)}/v1", api_key=secure.api_key, http_client=http)
        file = client.files.create(file=("a.png", b"over TLS", "image/png"), purpose="assistants")
        assert client.files.content(file.id).text == "over TLS"
        shared = client.post(f"/files/{file.id}/public-url", body={}, cast_to=object)
        assert isinstance(shared, dict)
        assert shared["public_url"].startswith(f"{tls_url(secure)}/")
        assert http.get(shared["public_url"]).text == "over TLS"


def test_client_without_authority_refuses_certificate(secure: Emulator) -> None:
    """A client that does not trust the authority gets a certificate error, and the emulator keeps running."""
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{tls_url(secure)}/v1/files", headers=KEY, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    assert httpx.get(f"{secure.url}/v1/files", headers=KEY).status_code == 200


CLIENTS = {
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": ([sys.executable, "-c", XAI_SDK], "over TLS True"),
    "NODE_EXTRA_CA_CERTS": (["node", "--input-type=module", "-e", NODE], "200"),
    "CURL_CA_BUNDLE": (["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}"], "200"),
}


@pytest.mark.parametrize("variable", CLIENTS)
def test_client_trusts_authority_by_variable(secure: Emulator, tmp_path: Path, variable: str) -> None:
    """Each client reads the variable that `xai-emulator trust` names for it; xai-sdk at another name than localhost."""
    command, printed = CLIENTS[variable]
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    file = tmp_path / "ca.pem"
    file.write_text(authority_of(secure))
    done = subprocess.run(
        [*command, f"{tls_url(secure)}/_emulator/ready"],
        env=environment(**{variable: str(file)}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout.strip()) == (0, printed), done


def test_restart_keeps_authority_and_its_key_is_private(tmp_path: Path) -> None:
    """Clients that trust the authority of a data directory trust the next start with that directory."""
    authorities = []
    for _ in range(2):
        with Emulator(tls="self-signed", data_dir=tmp_path) as emulator:
            authorities.append(emulator.authority)
            assert httpx.get(f"{tls_url(emulator)}/_emulator/ready", verify=trusting(authority_of(emulator))).is_success
    assert authorities[0] == authorities[1]
    key = tmp_path / tls.DIRECTORY / tls.KEY
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    with Emulator(tls="self-signed") as other:
        assert other.authority not in (None, authorities[0])


def test_ready_line_and_health_name_tls_port(tmp_path: Path) -> None:
    """A program that started `serve` reads the port for TLS from its line, or from the health check."""
    with Served("--tls", "self-signed", "--tls-port", "0") as served:
        found = READY.fullmatch(served.line)
        assert found is not None
        health = httpx.get(f"{served.url}/_emulator/health").json()
        assert health["tls"] == found[5] != served.url


def test_certificate_of_user_and_certificates_of_clients(tmp_path: Path) -> None:
    """With files of one's own, and only for clients that have a certificate of the authority given."""
    authority, clients = trustme.CA(), trustme.CA()
    certificate, key, client_ca = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "clients.pem"
    issued = authority.issue_cert("localhost")
    certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    client_ca.write_bytes(clients.cert_pem.bytes())
    with Emulator(tls_cert=certificate, tls_key=key, client_ca=client_ca) as emulator:
        assert emulator.authority is None
        context = trusting(authority.cert_pem.bytes().decode())
        with httpx.Client(verify=context) as unknown, pytest.raises(httpx.ReadError, match="CERTIFICATE_REQUIRED"):
            unknown.get(f"{tls_url(emulator)}/v1/files", headers=KEY)
        clients.issue_cert("ada@example.com").configure_cert(context)
        with httpx.Client(verify=context) as known:
            assert known.get(f"{tls_url(emulator)}/v1/files", headers=KEY).status_code == 200


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"client_ca": "good"}, "--client-ca: TLS needs --tls-cert or --tls"),
        ({"tls_key": "good"}, "--tls-key: TLS needs --tls-cert or --tls"),
        (
            {"tls": "self-signed", "tls_cert": "good"},
            "--tls self-signed creates a certificate, so it cannot be used with --tls-cert",
        ),
        ({"tls_cert": "missing"}, "--tls-cert: PATH/missing: No such file or directory"),
        ({"tls_cert": "good", "tls_key": "missing"}, "--tls-key: PATH/missing: No such file or directory"),
        ({"tls_cert": "good"}, "--tls-cert: PATH/good: it holds no certificate with its key, in PEM"),
        ({"tls_cert": "garbage"}, "--tls-cert: PATH/garbage: it holds no certificate with its key, in PEM"),
        ({"tls_cert": "both", "client_ca": "garbage"}, "--client-ca: PATH/garbage: NO CERTIFICATE OR CRL FOUND"),
        ({"tls_cert": "encrypted"}, "--tls-key: PATH/encrypted: the key is encrypted, which is not supported"),
    ],
)
def test_unusable_tls_setting_is_refused_in_one_line(tmp_path: Path, settings: dict[str, Any], sentence: str) -> None:
    """The sentence names the flag and the file; nothing has been started or locked."""
    issued = trustme.CA().issue_cert("localhost")
    chain = issued.cert_chain_pems[0].bytes()
    (tmp_path / "good").write_bytes(chain)
    (tmp_path / "garbage").write_bytes(bytes(100))
    (tmp_path / "both").write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    (tmp_path / "encrypted").write_bytes(encrypted(issued) + chain)
    given = {name: value if name == "tls" else tmp_path / value for name, value in settings.items()}
    with pytest.raises(BadSetting) as refused:
        Emulator(**given, data_dir=tmp_path / "data").start()
    assert str(refused.value) == sentence.replace("PATH", str(tmp_path))
    with Emulator(data_dir=tmp_path / "data"):  # which is free again
        pass


def encrypted(certificate: trustme.LeafCert) -> bytes:
    """The key of a certificate, with a password."""
    from cryptography.hazmat.primitives import serialization as forms

    key = forms.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    how = forms.BestAvailableEncryption(b"password")
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, how)


def test_damaged_authority_is_named(tmp_path: Path) -> None:
    """An authority that cannot be read is not replaced behind the back of those who trust it."""
    (tmp_path / tls.DIRECTORY).mkdir()
    for name in (tls.AUTHORITY, tls.KEY):
        (tmp_path / tls.DIRECTORY / name).write_bytes(b"no PEM")
    with pytest.raises(
        BadSetting, match=f"{tmp_path / tls.DIRECTORY} contains no valid certificate authority: remove it"
    ):
        tls.server_identity(Settings(tls="self-signed", data_dir=tmp_path))


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without trustme the sentence says what to install."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(BadSetting, match=r"pip install 'trustme>=1.2'"):
        tls.server_identity(Settings(tls="self-signed"))


def test_certificate_is_for_every_name_of_the_emulator(tmp_path: Path) -> None:
    """The names of `--host` and `--allow-host` are in it, a name with a dot in front as a wildcard."""
    from cryptography import x509

    settings = Settings(tls="self-signed", host="devbox", allow_hosts=("xai", ".devbox.lan"))
    identity = tls.server_identity(settings)
    certificate = x509.load_pem_x509_certificate(served_certificate(identity.context))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "devbox", "xai", "*.devbox.lan"} <= set(names.get_values_for_type(x509.DNSName))
    assert {str(each) for each in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1"}


def served_certificate(context: ssl.SSLContext) -> bytes:
    """The certificate that a server with this context shows, from a handshake in memory."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for end in (client, server):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    der = client.getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der).encode()
