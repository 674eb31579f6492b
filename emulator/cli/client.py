"""Call a running emulator: shared code of the verbs that do so."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from emulator.domain.keys import MANAGEMENT_KEY, check_team_name
from emulator.state.settings import BadSetting, environment_name, parse

if TYPE_CHECKING:
    from http.client import HTTPResponse

DEFAULT_URL = "http://localhost:7878"
URL_NAME = "XAI_EMULATOR_URL"  # environment variable, which `xai-emulator env` prints
TOKEN_NAME = environment_name("control_token")
TIMEOUT_SECONDS = 120  # a snapshot may be large


class ControlFailed(Exception):
    """A call was refused or not answered; the message is one line."""


def add_target(parser: Any, *, of_team: bool = True) -> None:
    """Add the flags that select the emulator and the team."""
    parser.add_argument("--url", help=f"URL of the emulator [{URL_NAME}]; default {DEFAULT_URL}")
    parser.add_argument(
        "--control-token", metavar="TOKEN", help=f"token of its control API, if it has one [{TOKEN_NAME}]"
    )
    if of_team:
        parser.add_argument(
            "--team", type=team, default="default", metavar="NAME", help="name of the team; default: default"
        )


def team(text: str) -> str:
    """Parse the name of a team, for argparse."""
    try:
        return check_team_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def target_url(options: argparse.Namespace) -> str:
    """Return the URL of the selected emulator. Raises BadSetting."""
    url: str = options.url or os.environ.get(URL_NAME) or DEFAULT_URL
    if not url.isprintable():
        raise BadSetting(f"--url: {url!r} is not a URL")
    return (url if "://" in url else f"http://{url}").rstrip("/")


def control_token(options: argparse.Namespace) -> str | None:
    """Return the control token of the selected emulator. Raises BadSetting."""
    text: str | None = options.control_token or os.environ.get(TOKEN_NAME)
    return None if text is None else parse("control_token", text, "--control-token")


def call(options: argparse.Namespace, method: str, path: str, body: Any = None) -> Any:
    """Return the JSON response of a control path. Raises ControlFailed."""
    data = None if body is None else json.dumps(body).encode()
    with opened(options, method, path, data) as reply:
        return json.load(reply)


def manage(options: argparse.Namespace, method: str, path: str, body: Any = None) -> Any:
    """Call a path of the management API with a key of the team; return the JSON response. Raises ControlFailed."""
    key = options.management_key or f"{MANAGEMENT_KEY}@{options.team}"
    data = None if body is None else json.dumps(body).encode()
    with _opened(options, method, path, data, {"authorization": f"Bearer {key}"}) as reply:
        return json.load(reply)


@contextmanager
def opened(
    options: argparse.Namespace,
    method: str,
    path: str,
    data: bytes | Iterable[bytes] | None = None,
    size: int = 0,
    query: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[HTTPResponse]:
    """Call a control path and return the open response; `size` is that of data in pieces. Raises ControlFailed."""
    from urllib.parse import urlencode

    team_query = {"team": options.team} if hasattr(options, "team") else {}
    query_text = urlencode({**team_query, **query})
    whose = f"?{query_text}" if query_text else ""
    headers = {"content-length": str(size)} if size else {}
    token = control_token(options)
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    with _opened(options, method, f"/_emulator{path}{whose}", data, headers) as reply:
        yield reply


@contextmanager
def _opened(
    options: argparse.Namespace,
    method: str,
    path: str,
    data: bytes | Iterable[bytes] | None,
    headers: dict[str, str],
) -> Iterator[HTTPResponse]:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    from emulator.core.upstream import direct_opener, redirect_refusal

    url = target_url(options)
    try:
        request = Request(f"{url}{path}", data, headers, method=method)
        # Ignore the proxies of the environment: the emulator is usually on this machine.
        with direct_opener().open(request, timeout=TIMEOUT_SECONDS) as reply:
            yield reply
    except HTTPError as error:
        said = _reason(error.read()) or redirect_refusal(url, error)
        raise ControlFailed(said or f"{url} answered {error.code}") from None
    except HTTPException as error:
        raise ControlFailed(f"{url} closed the connection ({error})") from None
    except (URLError, OSError, ValueError) as error:
        cause = getattr(error, "reason", error)
        why = getattr(cause, "strerror", None) or cause
        raise ControlFailed(f"no emulator answers at {url} ({why}); start one with `xai-emulator serve`") from None


def _reason(content: bytes) -> str | None:
    """Return the message of a refusal."""
    try:
        reply = json.loads(content)
    except ValueError:
        return None
    sentence = reply.get("error", reply.get("message")) if isinstance(reply, dict) else None
    return sentence if isinstance(sentence, str) else None
