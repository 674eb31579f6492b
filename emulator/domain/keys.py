"""Identify callers: from a bearer key to a principal, by the auth mode of the emulator."""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from emulator.core.errors import ApiError, Kind
from emulator.core.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from emulator.domain.api_keys import ApiKey

DEFAULT_TEAM = "default"
INFERENCE_KEY = "xai-emulator"
MANAGEMENT_KEY = "xai-token-emulator"
MANAGEMENT_PREFIX = "xai-token-"
INFERENCE_PREFIX = "xai-"
KEYS_KNOWN = 1024  # size of the cache: every call needs the result, and few keys make many calls
TEAM_NAME = lazy_pattern(r"[A-Za-z0-9._-]{1,64}")


class Plane(enum.Enum):
    """The two halves of the API, each with its own kind of key and its own dialect of errors."""

    INFERENCE = "inference"
    MANAGEMENT = "management"
    PUBLIC = "public"  # needs no key: public URLs


class AuthMode(enum.Enum):
    """How keys are checked."""

    SHAPE = "shape"  # any key, except one with the form of the other plane
    STRICT = "strict"  # only configured keys
    OPEN = "open"  # any key, or none


class Key(msgspec.Struct, frozen=True):
    """A key configured with `--key KEY=plane[:PERMISSION,…]`; permissions of None mean all of them."""

    secret: str
    plane: Plane
    permissions: frozenset[str] | None = None

    def __repr__(self) -> str:
        return f"Key({redact(self.secret)!r}, {self.plane.value})"


class Principal(msgspec.Struct, frozen=True):
    """The caller: the team, and the permissions of the key."""

    team: str
    secret: str
    permissions: frozenset[str] | None = None
    api_key: ApiKey | None = None  # if the management API created the key

    def __repr__(self) -> str:
        return f"Principal({self.team!r})"  # without the key, which must not be logged

    def require(self, permission: str) -> None:
        """Refuse a key that was configured without a permission."""
        if self.permissions is not None and permission not in self.permissions:
            raise ApiError(
                Kind.PERMISSION_DENIED,
                f"The key does not have the permission {permission}.",
                rule="permission",
            )


@lru_cache(KEYS_KNOWN)
def bearer(authorization: str | None) -> str | None:
    """Return the key of an `Authorization: Bearer …` header or metadata value."""
    scheme, _, secret = (authorization or "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


@lru_cache(KEYS_KNOWN)
def team_of(secret: str | None) -> str:
    """Return the team that a key selects with its suffix `@team`; the default team if it has none."""
    _, at, name = (secret or "").rpartition("@")
    return name if at and TEAM_NAME.fullmatch(name) else DEFAULT_TEAM


def check_team_name(name: str) -> str:
    """Return the name. Raises ValueError for a name that no key could select."""
    if not TEAM_NAME.fullmatch(name):
        raise ValueError("a team name has 1 to 64 characters of A-Z a-z 0-9 . _ -")
    return name


def redact(secret: str) -> str:
    """Return a key in the form of error messages: its first two and last two characters."""
    return f"{secret[:2]}***{secret[-2:]}" if len(secret) > 4 else "***"


def identify(secret: str | None, plane: Plane, mode: AuthMode, given: dict[str, Key]) -> Principal:
    """Return the principal of a key, valid or not: `authenticate` checks it."""
    if plane is Plane.PUBLIC:
        return Principal(team_of(secret), "")
    known = None if mode is AuthMode.OPEN else _known(secret, given)
    return Principal(team_of(secret), secret or "", None if known is None else known.permissions)


def authenticate(secret: str | None, plane: Plane, mode: AuthMode, given: dict[str, Key]) -> None:
    """Check a key. Raises ApiError, with the message of the plane, if it is missing or not valid there."""
    if plane is Plane.PUBLIC or mode is AuthMode.OPEN:
        return
    if not secret:
        raise no_credentials(plane)
    known = _known(secret, given)
    if known is not None:
        if known.plane is not plane:
            raise incorrect_key(secret, plane)
    elif mode is AuthMode.STRICT or _belongs_elsewhere(secret, plane):
        raise incorrect_key(secret, plane)


def _known(secret: str | None, given: dict[str, Key]) -> Key | None:
    """Return the configured key, given with or without its suffix `@team`, or None."""
    if not secret or not given:
        return None
    return given.get(secret) or given.get(secret.removesuffix(f"@{team_of(secret)}"))


def _belongs_elsewhere(secret: str, plane: Plane) -> bool:
    is_management = secret.startswith(MANAGEMENT_PREFIX)
    if plane is Plane.INFERENCE:
        return is_management
    return is_inference_key(secret)


def is_inference_key(secret: str) -> bool:
    """Return whether a key has the form of an inference key."""
    return secret.startswith(INFERENCE_PREFIX) and not secret.startswith(MANAGEMENT_PREFIX)


BAD_MANAGEMENT_KEY = "Invalid bearer token. Please ensure you use a valid management key."


def no_credentials(plane: Plane) -> ApiError:
    """Return the refusal of a call without a key."""
    message = BAD_MANAGEMENT_KEY if plane is Plane.MANAGEMENT else "No credentials provided"
    return ApiError(Kind.NO_CREDENTIALS, message, rule="key")


def incorrect_key(secret: str, plane: Plane) -> ApiError:
    """Return the refusal of a wrong key, with the recorded message of the plane."""
    if plane is Plane.MANAGEMENT:
        return ApiError(Kind.INCORRECT_KEY, BAD_MANAGEMENT_KEY, rule="key")
    return ApiError(
        Kind.INCORRECT_KEY,
        f"Incorrect API key provided: {redact(secret)}. You can obtain an API key from https://console.x.ai.",
        rule="key",
    )
