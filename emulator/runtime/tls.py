"""TLS certificates of the port: the given one, or one that a certificate authority of our own issues.

The authority is for tests only. It is stored in the data directory (`tls/`), so that clients have to trust it only
once; without a data directory each start creates a new one. Its key never leaves that directory.
"""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from emulator.core.locks import PRIVATE_DIRECTORY, PRIVATE_FILE
from emulator.state.settings import BadSetting, Settings, flag

if TYPE_CHECKING:
    from trustme import CA

DIRECTORY, AUTHORITY, KEY = "tls", "ca.pem", "ca-key.pem"
WILDCARDS = ("0.0.0.0", "::")  # listened on, but not called by a client
NO_PEM = "it holds no certificate with its key, in PEM"
NEEDS_TRUSTME = f"{flag('tls')} self-signed needs a package: pip install 'trustme>=1.2', or give {flag('tls_cert')}"


class Identity(NamedTuple):
    """A server's TLS context; `authority` is the certificate (PEM) that clients have to trust if it is our own."""

    context: ssl.SSLContext
    authority: str | None


def server_identity(settings: Settings) -> Identity:
    """Return the TLS context for the settings. Raises BadSetting, and OSError if the authority cannot be stored."""
    if settings.tls is None and settings.tls_cert is None:
        name = "tls_key" if settings.client_ca is None else "client_ca"
        raise BadSetting(f"{flag(name)}: TLS needs {flag('tls_cert')} or {flag('tls')}")
    if settings.tls is not None and (settings.tls_cert or settings.tls_key) is not None:
        raise BadSetting(
            f"{flag('tls')} {settings.tls} creates a certificate, so it cannot be used with {flag('tls_cert')}"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = None
    if settings.tls_cert is not None:
        _load(context, settings.tls_cert, settings.tls_key)
    else:
        authority = _issue(context, settings)
    if settings.client_ca is not None:
        try:
            context.load_verify_locations(settings.client_ca)
        except OSError as error:  # ssl.SSLError is one
            raise BadSetting(f"{flag('client_ca')}: {settings.client_ca}: {_reason(error)}") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return Identity(context, authority)


def _load(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    def no_password() -> str:
        raise BadSetting(f"{flag('tls_key')}: {key or certificate}: the key is encrypted, which is not supported")

    for name, path in ((flag("tls_cert"), certificate), (flag("tls_key"), key)):
        try:
            if path is not None:
                path.open("rb").close()  # the ssl error does not say which of the two files it means
        except OSError as error:
            raise BadSetting(f"{name}: {path}: {_reason(error)}") from None
    try:
        context.load_cert_chain(certificate, key, no_password)
    except OSError as error:
        raise BadSetting(f"{flag('tls_cert')}: {certificate}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or NO_PEM).replace("_", " ")
    return error.strerror or str(error)


def _issue(context: ssl.SSLContext, settings: Settings) -> str:
    """Put a certificate for every name of this emulator into a context; the authority's own certificate."""
    try:
        from trustme import CA
    except ImportError:
        raise BadSetting(NEEDS_TRUSTME) from None
    directory = None if settings.data_dir is None else settings.data_dir / DIRECTORY
    authority = _kept(directory) if directory is not None and (directory / AUTHORITY).exists() else None
    if authority is None:
        authority = CA(organization_name="xai-emulator", organization_unit_name="for tests alone")
        if directory is not None:
            _keep(authority, directory)
    authority.issue_cert(*_names(settings), common_name="xai-emulator").configure_cert(context)
    return authority.cert_pem.bytes().decode()


def _kept(directory: Path) -> CA:
    from trustme import CA

    try:
        return CA.from_pem((directory / AUTHORITY).read_bytes(), (directory / KEY).read_bytes())
    except ValueError:
        raise BadSetting(f"{flag('tls')}: {directory} contains no valid certificate authority: remove it") from None


def _keep(authority: CA, directory: Path) -> None:
    directory.mkdir(PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    _write(directory / KEY, authority.private_key_pem.bytes())  # first: there is no certificate without its key
    _write(directory / AUTHORITY, authority.cert_pem.bytes())


def _write(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "wb") as file:
        file.write(content)
    part.rename(path)


def _names(settings: Settings) -> list[str]:
    """The names and addresses that clients may call this emulator by, without repetition."""
    allowed = [f"*{name}" if name.startswith(".") else name for name in settings.allow_hosts]
    own = [] if settings.host in WILDCARDS else [settings.host]
    return list(dict.fromkeys(["localhost", "127.0.0.1", "::1", *own, *allowed, socket.gethostname()]))
