"""Identifiers derived from (seed, team, counter): the same seed and requests give the same ids.

The seed is random unless one is given. The counter is stored with the team, so ids are never reused.
"""

from __future__ import annotations

import base64
import hashlib
import secrets


def random_seed() -> str:
    """Return a random seed, for an emulator without a given one."""
    return secrets.token_hex(16)


def _digest(seed: str, team: str, counter: int, purpose: str) -> bytes:
    text = f"{purpose}\0{team}\0{counter}\0{seed}".encode()
    return hashlib.blake2b(text, digest_size=16).digest()


def _uuid4_of(digest: bytes) -> str:
    """Return 16 bytes as a version 4 UUID (RFC 9562). The standard library's `uuid.UUID` costs more than the digest."""
    digits = digest.hex()
    variant = "89ab"[digest[8] >> 4 & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def uuid4(seed: str, team: str, counter: int) -> str:
    """Return a well-formed version 4 UUID."""
    return _uuid4_of(_digest(seed, team, counter, "uuid"))


def answer_uuid(seed: str, team: str, epoch: int, number: int) -> str:
    """Return a UUID for the n-th answer of an epoch, which is an unused counter."""
    return _uuid4_of(_digest(seed, f"{team}\0{epoch}", number, "answer"))


def url_token(seed: str, team: str, counter: int) -> str:
    """Return the token of a public URL: 22 URL-safe characters (128 bits)."""
    return base64.urlsafe_b64encode(_digest(seed, team, counter, "url")).rstrip(b"=").decode()


def key_token(seed: str, team: str, counter: int) -> str:
    """Return the secret part of an API key: 32 hexadecimal digits (128 bits)."""
    return _digest(seed, team, counter, "key").hex()


def fixed_uuid(seed: str, team: str, name: str) -> str:
    """Return a UUID that is always the same for a name: for team ids, key ids, user ids."""
    return uuid4(seed, f"{team}\0{name}", 0)


def deterministic_random(seed: str, team: str, counter: int, purpose: str, sides: int) -> int:
    """Return a deterministic pseudo-random integer in `[0, sides)`."""
    return int.from_bytes(_digest(seed, team, counter, purpose)[:8], "big") % sides


def fresh_name() -> str:
    """Return a unique name for internal objects that clients never see."""
    return secrets.token_hex(16)
