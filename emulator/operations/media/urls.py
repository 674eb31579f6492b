"""URLs that the emulator serves itself. They are stored without scheme and host, which depend on the caller."""

from __future__ import annotations

import msgspec

from emulator.domain.chat.bodies import Json
from emulator.operations.base import Call
from emulator.state.services import Services

_OWN_URLS = (b'"url":"/_media/', b'"public_url":"/_files-cdn/')


def base_url(services: Services, call: Call) -> bytes:
    """Return the origin under which the caller reaches the emulator, escaped for a JSON string."""
    return msgspec.json.encode(services.settings.public_url or call.origin)[1:-1]


def absolute(result: bytes, base: bytes) -> bytes:
    """Return a result in JSON with absolute URLs.

    Text inside of JSON strings is not affected, because its quotes are escaped.
    """
    for member in _OWN_URLS:
        name, quote, path = member.rpartition(b'"')
        result = result.replace(member, name + quote + base + path)
    return result


def absolute_members(services: Services, call: Call, result: bytes) -> Json:
    """Return the members of a result in JSON, with absolute URLs."""
    members: Json = msgspec.json.decode(absolute(result, base_url(services, call)))
    return members
