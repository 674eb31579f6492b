"""Accept an inference key for collections if the body satisfies the stricter contract of the real service.

Observed live on api.x.ai by three clients, 2026-03 to 2026-10, and not documented: collections take a plain inference
key, but under a stricter contract. The management host refuses the same key. Here one port replaces both hosts, so only
a body that satisfies the stricter contract shows that the client means the inference host. Calls without such a body
need the management key.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec

from emulator.core.profiles import Reaction
from emulator.domain import keys
from emulator.domain.keys import AuthMode, Plane
from emulator.operations.base import Call
from emulator.pipeline.api_keys import check_key
from emulator.pipeline.middleware import NextDecoded
from emulator.state.services import Services

# Operation -> the members that the body must have.
CONTRACTS: dict[str, tuple[frozenset[str], ...]] = {
    "collections.create": (
        frozenset({"collection_name", "field_definitions"}),
        frozenset({"collectionName", "fieldDefinitions"}),
    ),
    "documents.add": (
        frozenset({"file_id", "collection_id", "fields"}),
        frozenset({"fileId", "collectionId", "fields"}),
    ),
}
WARNING = "an inference key for collections is undocumented: the real service was seen to accept it, with this body"


def may_satisfy_contract(services: Services, call: Call) -> bool:
    """Return whether a key that is refused for its plane may be accepted once the body is decoded."""
    secret = call.credentials or ""
    return (
        call.operation.name in CONTRACTS
        and call.transport == "rest"
        and services.auth_mode is AuthMode.SHAPE
        and call.team.profile.inference_key_for_collections is not Reaction.REFUSE
        and keys.is_inference_key(secret)
    )


def accept_for_now(services: Services, call: Call) -> None:
    """Check the key as an inference key; `check_contract` follows when the body is decoded."""
    check_key(services, call, Plane.INFERENCE)
    call.has_undocumented_key = True


def check_contract(call_next: NextDecoded, services: Services, call: Call, request: Any) -> Awaitable[Any]:
    """Refuse an inference key whose body does not satisfy the stricter contract. Raises ApiError."""
    if call.has_undocumented_key:
        if not _satisfies(call):
            raise keys.incorrect_key(call.credentials or "", call.operation.plane)
        if call.team.profile.inference_key_for_collections is Reaction.WARN:
            call.warn(WARNING)
    return call_next(services, call, request)


def _satisfies(call: Call) -> bool:
    try:
        body = msgspec.json.decode(call.envelope.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(body, dict) and any(contract <= body.keys() for contract in CONTRACTS[call.operation.name])
