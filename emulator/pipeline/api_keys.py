"""Authenticate calls with API keys that the management API created, and enforce the permissions of each key."""

from __future__ import annotations

import msgspec

from emulator.domain import keys
from emulator.domain.api_keys import MADE_PREFIX, ApiKey, check_endpoint, check_usable, hash_of
from emulator.domain.chaos import ChaosFlag
from emulator.domain.keys import AuthMode, Plane, incorrect_key
from emulator.operations.base import Call
from emulator.pipeline.chaos import report
from emulator.state.services import Services


def check_key(services: Services, call: Call, plane: Plane) -> None:
    """Check the key of a call on a plane; add a key that the management API created to the principal.

    Raises ApiError for a missing, wrong or unusable key, and beyond the rates of a key.
    """
    key = None if plane is Plane.PUBLIC else _made(services, call)
    if key is None:
        keys.authenticate(call.credentials, plane, services.auth_mode, services.keys)
        return
    secret = call.credentials or ""
    if plane is not Plane.INFERENCE or _is_not_known_yet(call, key):
        raise incorrect_key(secret, plane)
    check_usable(key, secret, call.at)
    check_endpoint(key, call.operation.name)
    call.team.key_rates.count_call(key, call.at)
    call.principal = msgspec.structs.replace(call.principal, api_key=key)


def _made(services: Services, call: Call) -> ApiKey | None:
    if services.auth_mode is AuthMode.OPEN or not (call.credentials or "").startswith(MADE_PREFIX):
        return None
    return services.store.api_keys.by_hash(call.team.name, hash_of(call.credentials or ""))


def _is_not_known_yet(call: Call, key: ApiKey) -> bool:
    """Return whether chaos delays the propagation of a new key, once for each key."""
    state = call.chaos
    if state is None or key.id not in state.new_keys:
        return False
    state.new_keys.discard(key.id)
    report(call, ChaosFlag.KEY_LAG)
    return True
