"""The verb that has clients trust the certificate authority of an emulator with `--tls self-signed`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from emulator.cli.client import ControlFailed, add_target, call, opened
from emulator.cli.output import add_json, say_result

FILE = "xai-emulator-ca.pem"
# Where the clients look for authorities. Those that read none of these take the file as an argument.
VARIABLES = {
    "SSL_CERT_FILE": "openai and httpx, Go, Ruby",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "xai-sdk and grpcio",
    "NODE_EXTRA_CA_CERTS": "Node",
    "REQUESTS_CA_BUNDLE": "requests",
    "CURL_CA_BUNDLE": "curl",
}
WIDTH = 62  # of an assignment, before what reads it


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this module."""
    parser = verbs.add_parser(
        "trust",
        help="write the certificate that clients of --tls self-signed have to trust, and print how to configure them",
        examples=("trust", "trust --out ca.pem --url http://localhost:7878"),
    )
    parser.add_argument(
        "--out", type=Path, default=Path(FILE), metavar="FILE", help=f"where to write it; default {FILE}"
    )
    add_target(parser, of_team=False)
    add_json(parser)
    parser.set_defaults(run=_trust)


def _trust(options: argparse.Namespace) -> int:
    with opened(options, "GET", "/ca.pem") as reply:
        certificate = reply.read()
    try:
        options.out.write_bytes(certificate)
    except OSError as error:
        raise ControlFailed(f"{options.out}: {error.strerror}") from None
    path, url = str(options.out.resolve()), call(options, "GET", "/health")["tls"]
    variables = dict.fromkeys(VARIABLES, path)
    lines = [
        f"# {path}: the certificate authority of {url}, for tests alone",
        *(f"{f'export {name}={shlex.quote(path)}':{WIDTH}}  # {reads}" for name, reads in VARIABLES.items()),
        f"# Java: keytool -importcert -noprompt -alias xai-emulator -file {shlex.quote(path)} "
        "-keystore xai-emulator.p12 -storepass changeit",
        "# SSL_CERT_FILE replaces the authorities of the system: set it for tests that call nothing else.",
    ]
    say_result(options, {"url": url, "file": path, "variables": variables}, lines)
    return 0
