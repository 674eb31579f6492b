"""The two dialects of refusals."""

from __future__ import annotations

from emulator.core.errors import WIRE, ApiError, Kind
from emulator.domain.keys import BAD_MANAGEMENT_KEY, Plane
from emulator.http.responses import TEXT, Headers, JsonResponse, Response


def refusal(error: ApiError, plane: Plane) -> Response:
    """A refusal in the dialect of the plane it comes from."""
    wire = WIRE[error.kind]
    headers = encoded(error.labels)
    if plane is Plane.MANAGEMENT:
        if error.message == BAD_MANAGEMENT_KEY:
            headers.append((b"www-authenticate", BAD_MANAGEMENT_KEY.encode()))  # observed live: the message again
        body = {"code": wire.number, "message": error.message, "details": []}
        status = error.status or wire.management_http or wire.http
        return JsonResponse(body, status, headers)
    status = error.status or wire.http
    if error.kind is Kind.METHOD_NOT_ALLOWED:
        return Response(b"", status, None, headers)
    if wire.plain:
        return Response(error.message.encode("utf-8", "replace"), status, TEXT, headers)
    body = {"code": error.code or wire.code, "error": error.message}
    return JsonResponse(body, status, headers)


def encoded(labels: list[tuple[str, str]]) -> Headers:
    """Names and values as headers."""
    return [(name.encode(), value.encode()) for name, value in labels]
