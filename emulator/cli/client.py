"""Talk to a running emulator: what the verbs that do so have in common."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

DEFAULT_URL = "http://localhost:7878"
URL_NAME = "XAI_EMULATOR_URL"  # in the environment, as `xai-emulator env` writes it
TIMEOUT_SECONDS = 120  # a snapshot may be large


class ControlFailed(Exception):
    """A call that was refused, or that nobody answered; the message is one clear line."""


def add_target(parser: Any, *, team: bool = True) -> None:
    """Give a verb the flags that say which emulator, and which team of it, is meant."""
    parser.add_argument("--url", help=f"where the emulator listens [{URL_NAME}]; default {DEFAULT_URL}")
    if team:
        parser.add_argument("--team", default="default", metavar="NAME", help="whose state; default: default")


def target_url(options: argparse.Namespace) -> str:
    """Which emulator is meant."""
    url: str = options.url or os.environ.get(URL_NAME) or DEFAULT_URL
    return (url if "://" in url else f"http://{url}").rstrip("/")


def call(options: argparse.Namespace, method: str, path: str, body: Any = None, data: bytes | None = None) -> Any:
    """The JSON reply of a control path. Raises ControlFailed."""
    return json.loads(fetch(options, method, path, body, data))


def fetch(options: argparse.Namespace, method: str, path: str, body: Any = None, data: bytes | None = None) -> bytes:
    """The bytes that a control path answers with. Raises ControlFailed."""
    from urllib.error import HTTPError, URLError
    from urllib.parse import quote
    from urllib.request import ProxyHandler, Request, build_opener

    url = target_url(options)
    team = f"?team={quote(options.team, safe='')}" if hasattr(options, "team") else ""
    data = json.dumps(body).encode() if body is not None else data
    try:
        request = Request(f"{url}/_emulator{path}{team}", data, method=method)
        # This machine is called, whatever proxy the environment names.
        with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT_SECONDS) as reply:
            content: bytes = reply.read()
            return content
    except HTTPError as error:
        raise ControlFailed(_reason(error.read()) or f"{url} answered {error.code}") from None
    except (URLError, OSError, ValueError) as error:
        cause = getattr(error, "reason", error)
        why = getattr(cause, "strerror", None) or cause
        raise ControlFailed(f"no emulator answers at {url} ({why}); start one with `xai-emulator serve`") from None


def _reason(content: bytes) -> str | None:
    """The sentence of a refusal."""
    try:
        reply = json.loads(content)
    except ValueError:
        return None
    sentence = reply.get("error") if isinstance(reply, dict) else None
    return sentence if isinstance(sentence, str) else None
