"""API keys that the management API created: their permissions, and their refusals.

The source is the Management API guide. It shows no complete response of these paths; names of members are those of the
gRPC message `ApiKey` and of clients of the live service.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from emulator.core.clock import Instant
from emulator.core.errors import ApiError, Kind, invalid
from emulator.domain.chat.models import find_language
from emulator.domain.keys import DEFAULT_TEAM, Plane, incorrect_key, team_of

# Created keys have their own prefix, so that calls with other keys need no lookup.
MADE_PREFIX = "xai-emulator-"
ENDPOINT_ACL = "api-key:endpoint:"
MODEL_ACL = "api-key:model:"
ALL = "*"
ALL_ACLS = f"{MODEL_ACL}{ALL}", f"{ENDPOINT_ACL}{ALL}"  # of a key without restrictions
MODEL_CHARS_MAX = 100
ENDING_CHARS = 4

# The endpoint of each family of operations; other families need no permission. The guide names
# `chat` and `image` as examples; the other names are assumed.
ENDPOINTS: dict[str, str] = {
    "chat": "chat",
    "responses": "chat",
    "images": "image",
    "videos": "video",
    "files": "files",
    "collections": "collections",
    "documents": "documents",
    "batches": "batches",
}


class OldSecret(msgspec.Struct, frozen=True):
    """The secret before the last rotation."""

    hash: str
    expires_at: Instant


class ApiKey(msgspec.Struct, frozen=True):
    """An API key. Only hashes of its secrets are stored."""

    id: str
    name: str
    acls: tuple[str, ...]
    qps: int | None  # calls in a second; None means no limit, as below
    qpm: int | None  # calls in a minute
    tpm: int | None  # tokens of models in a minute
    created_at: Instant
    modified_at: Instant
    expires_at: Instant | None
    disabled: bool
    deleted: bool  # a deleted key stays as a row, so that its secret is refused in every auth mode
    hash: str  # of the secret
    ending: str  # the last characters of the secret, which are not confidential
    old: OldSecret | None = None
    seq: int = 0

    def allows_endpoint(self, operation: str) -> bool:
        """Return whether the access list has the endpoint of an operation. An empty list has none."""
        endpoint = ENDPOINTS.get(operation.partition(".")[0])
        return endpoint is None or bool({f"{ENDPOINT_ACL}{ALL}", f"{ENDPOINT_ACL}{endpoint}"} & set(self.acls))

    def allows_model(self, model: str) -> bool:
        """Return whether the access list has a model, by any of its names."""
        listed = {acl.removeprefix(MODEL_ACL) for acl in self.acls if acl.startswith(MODEL_ACL)}
        return ALL in listed or _canonical(model) in {_canonical(name) for name in listed}


def _canonical(model: str) -> str:
    known = find_language(model)
    return model if known is None else known.id


def new_secret(team: str, token: str) -> str:
    """Return the secret of a new key, with its team as a suffix unless that is the default one."""
    return f"{MADE_PREFIX}{token}" + ("" if team == DEFAULT_TEAM else f"@{team}")


def hash_of(secret: str) -> str:
    """Return the hash of a secret without its team, so that keys can be restored into another team."""
    return hashlib.sha256(without_team(secret).encode("utf-8", "surrogatepass")).hexdigest()


def ending_of(secret: str) -> str:
    """Return the last characters of a secret, which are not confidential."""
    return without_team(secret)[-ENDING_CHARS:]


def without_team(secret: str) -> str:
    """Return a secret without its suffix `@team`."""
    return secret.removesuffix(f"@{team_of(secret)}")


def check_acls(acls: Iterable[str]) -> None:
    """Refuse an entry that is not of the two documented kinds. Raises ApiError."""
    endpoints = {ALL, *ENDPOINTS.values()}
    for acl in acls:
        endpoint, model = acl.removeprefix(ENDPOINT_ACL), acl.removeprefix(MODEL_ACL)
        is_endpoint = acl != endpoint and endpoint in endpoints
        if not is_endpoint and not (acl != model and 0 < len(model) <= MODEL_CHARS_MAX):
            known = ", ".join(f"{ENDPOINT_ACL}{name}" for name in sorted(endpoints))
            sentence = f"acls: {acl[:MODEL_CHARS_MAX]!r} is none of {known}, {MODEL_ACL}{ALL} or {MODEL_ACL}<model>."
            raise invalid(sentence, rule="acls", param="acls")


def check_rate(name: str, value: int | None) -> None:
    """Refuse a rate that no call could satisfy. Raises ApiError."""
    if value is not None and value < 1:
        raise invalid(f"{name} must be at least 1, got {value}.", rule="key_rates", param=name)


def check_usable(key: ApiKey, secret: str, at: Instant) -> None:
    """Refuse a key that is deleted, expired, rotated away or disabled. Raises ApiError."""
    expires = {key.hash: key.expires_at}
    if key.old is not None:
        expires[key.old.hash] = key.old.expires_at
    end = expires.get(hash_of(secret), at)  # at once for those before the last two
    if key.deleted or (end is not None and end <= at):
        raise incorrect_key(secret, Plane.INFERENCE)
    if key.disabled:
        raise ApiError(Kind.PERMISSION_DENIED, "The API key is disabled.", rule="key_disabled")


def check_endpoint(key: ApiKey, operation: str) -> None:
    """Refuse an operation whose endpoint is not in the access list. Raises ApiError."""
    if not key.allows_endpoint(operation):
        acl = f"{ENDPOINT_ACL}{ENDPOINTS[operation.partition('.')[0]]}"
        sentence = f"The API key does not have access to this endpoint: its ACLs lack {acl}."
        raise ApiError(Kind.PERMISSION_DENIED, sentence, rule="acls")


def check_model(key: ApiKey, model: str) -> None:
    """Refuse a model that is not in the access list. Raises ApiError."""
    if not key.allows_model(model):
        sentence = f"The API key does not have access to the model {model[:MODEL_CHARS_MAX]}."
        raise ApiError(Kind.PERMISSION_DENIED, sentence, rule="acls", param="model")


def cannot_find() -> ApiError:
    """Return the refusal of an id that no key of the team has, with the observed message."""
    return ApiError(Kind.NOT_FOUND, "Cannot find API key", rule="not_found")
