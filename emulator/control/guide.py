"""`/llms.txt`: an overview of this emulator for agents, as one page of Markdown.

The format is that of llmstxt.org: a title, a summary in a quotation, then lists of links. It is generated from tables.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

from emulator.control.route import ControlRequest, ControlRoute
from emulator.control.server import NoQuery
from emulator.core.version import VERSION
from emulator.domain.keys import INFERENCE_KEY, MANAGEMENT_KEY
from emulator.http.near_misses import ApiRoute
from emulator.http.responses import TextResponse
from emulator.operations import OPERATIONS

SUMMARY = (
    "xai-emulator answers the calls of xAI's Files, Collections, Documents search, Batch, chat, responses and key APIs "
    "on this machine, over REST and gRPC on one port. Nothing leaves the machine, and no language model is behind it: "
    "answers are deterministic and quote what its own search finds."
)


async def guide(request: ControlRequest) -> TextResponse:
    """Describe this emulator for agents: addresses, keys, calls and the control API, as llms.txt does."""
    from emulator.control.routes import ROUTES as control_routes

    url = request.services.address.origin
    own_keys = request.services.settings.keys
    keys = (
        "Keys: those that it was started with (`--key`)."
        if own_keys
        else f"Keys: `{INFERENCE_KEY}` (inference) and `{MANAGEMENT_KEY}` (management: collections, keys)."
    )
    text = "\n".join(
        [
            f"# xai-emulator {VERSION}",
            "",
            f"> {SUMMARY}",
            "",
            f"- Base URL of REST: {url}/v1",
            f"- Target of gRPC, for both hosts of xai-sdk: {url.partition('://')[2]} (plaintext)",
            f"- {keys} A suffix `@NAME` on every key is another team, with its own state.",
            "- Every response has `x-request-id`. A refusal of the emulator explains itself in `x-emulator-hint`.",
            f"- Machine-readable: [{url}/api-docs/openapi.json]({url}/api-docs/openapi.json) for `/v1`, "
            f"[{url}/_emulator/control/openapi.json]({url}/_emulator/control/openapi.json) for the control API, "
            "gRPC reflection for the rest.",
            "",
            "## Calls",
            "",
            *_calls(request.parts.api.routes),
            "",
            "## Control API",
            "",
            "Time, faults, answers and memory of a team (`?team=NAME`), below `/_emulator`. Useful first: "
            "`GET /_emulator/requests` (what was called and how it ended), `POST /_emulator/clock/advance`, "
            "`POST /_emulator/faults`, `POST /_emulator/answers`, `POST /_emulator/reset`.",
            "",
            *_controls(control_routes),
            "",
        ]
    )
    return TextResponse(text.encode())


def _calls(routes: Iterable[ApiRoute]) -> Iterator[str]:
    for route in routes:
        operation = OPERATIONS[route.operation]
        yield f"- `{route.method} {route.path}` ({operation.plane.value}): {_first_line(operation.run)}"


def _controls(routes: Iterable[ControlRoute]) -> Iterator[str]:
    for route in routes:
        yield f"- `{route.method} /_emulator{route.path}`: {_first_line(route.run)}"


def _first_line(run: object) -> str:
    return (inspect.getdoc(run) or "").split("\n", 1)[0]


ROUTES = (ControlRoute("GET", "/llms.txt", guide, TextResponse, query=NoQuery, public=True),)
