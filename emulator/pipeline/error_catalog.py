"""The errors that a planned fault can name: every kind, every status, and recorded errors of the real service."""

from __future__ import annotations

import msgspec

from emulator.core import ids
from emulator.core.errors import ApiError, Kind
from emulator.core.limits import Confidence
from emulator.domain.chat.media import MODEL_UNAVAILABLE
from emulator.domain.keys import Plane, incorrect_key, no_credentials
from emulator.operations.base import Call
from emulator.state.services import Services

MODEL = "grok-4"  # in messages that name a model: a fault applies before the request is decoded


class Recorded(msgspec.Struct, frozen=True):
    """An error with the message of the real service. `{team}` and `{model}` are placeholders."""

    kind: Kind
    sentence: str
    source: str
    confidence: Confidence = Confidence.RECORDED
    code: str | None = None  # of the inference plane, if it differs from the kind's


RECORDED: dict[str, Recorded] = {
    "out_of_credits": Recorded(
        Kind.RESOURCE_EXHAUSTED,
        "Your team {team} has either used all available credits or reached its monthly spending limit.",
        "observed live on both planes, 2026-04",
    ),
    "rate_limited": Recorded(
        Kind.RESOURCE_EXHAUSTED,
        "Too many requests for team {team} and model {model}. Your team's rate limit is - Requests per Second "
        "(actual/limit): 2/2, Requests per Minute (actual/limit): 73/60.",
        "observed live",
    ),
    "team_blocked": Recorded(
        Kind.PERMISSION_DENIED,
        "Your API key or team {team} is blocked.",
        "xAI debugging guide: 403 where the key or team is blocked; the sentence is not recorded",
        Confidence.ASSUMED,
    ),
    "model_not_found": Recorded(
        Kind.NOT_FOUND,
        MODEL_UNAVAILABLE,
        "observed live",
    ),
    "bad_oauth_token": Recorded(
        Kind.PERMISSION_DENIED,
        "The OAuth2 access token could not be validated.",
        "observed live",
        code="unauthenticated:bad-credentials",
    ),
    "internal_error": Recorded(
        Kind.INTERNAL,
        "Internal error",
        "observed live: GET /v1/files/{file_id} of an unknown file, 2026-03; DELETE answers 500 at times, 2026",
    ),
}
KINDS: dict[str, Kind] = {kind.name.lower(): kind for kind in Kind}
ERRORS: tuple[str, ...] = (*RECORDED, *KINDS)
STATUSES: dict[int, Kind] = {  # the kind for a status; gRPC has kinds only
    400: Kind.INVALID_ARGUMENT,
    401: Kind.NO_CREDENTIALS,
    403: Kind.PERMISSION_DENIED,
    404: Kind.NOT_FOUND,
    405: Kind.METHOD_NOT_ALLOWED,
    408: Kind.DEADLINE_EXCEEDED,
    409: Kind.ABORTED,
    410: Kind.WITHDRAWN,
    412: Kind.FAILED_PRECONDITION,
    413: Kind.PAYLOAD_TOO_LARGE,
    415: Kind.UNSUPPORTED_MEDIA_TYPE,
    416: Kind.RANGE_NOT_SATISFIABLE,
    422: Kind.MISSHAPEN_BODY,
    429: Kind.RESOURCE_EXHAUSTED,
    500: Kind.INTERNAL,
    501: Kind.NOT_EMULATED,
    502: Kind.UNAVAILABLE,
    503: Kind.UNAVAILABLE,
    504: Kind.DEADLINE_EXCEEDED,
    529: Kind.UNAVAILABLE,
}


def by_name(name: str, services: Services, call: Call) -> ApiError:
    """Return the refusal for a name in ERRORS, with the message of the call's plane."""
    if name not in RECORDED:
        return by_kind(KINDS[name], call)
    recorded = RECORDED[name]
    team = ids.fixed_uuid(services.ids.seed, call.team.name, "team")
    return ApiError(recorded.kind, recorded.sentence.format(team=team, model=MODEL), code=recorded.code)


def by_status(status: int, call: Call) -> ApiError:
    """Return the refusal for a status in STATUSES."""
    error = by_kind(STATUSES[status], call)
    error.status = status
    return error


def by_kind(kind: Kind, call: Call) -> ApiError:
    """Return the refusal for a kind: with the recorded message for a bad key, with our own otherwise."""
    plane = call.operation.plane
    if kind is Kind.INCORRECT_KEY:
        return incorrect_key(call.credentials or "", plane)
    if kind is Kind.NO_CREDENTIALS:
        return no_credentials(plane)
    if kind is Kind.METHOD_NOT_ALLOWED and plane is not Plane.MANAGEMENT:
        return ApiError(kind, "")  # an empty body, as the framework of that plane sends
    return ApiError(kind, kind.value)
