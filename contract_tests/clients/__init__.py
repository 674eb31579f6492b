"""Every client library the cases are run with, and how each is opened."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..target import Target
from .client import Client
from .http import FetchTransport, HeaderTransport, HttpxTransport, RetryingTransport, Transport
from .node import Node, NodeUnavailable


class ClientUnavailable(Exception):
    """A client that cannot be opened here; the message says why."""


class Clients:
    """The clients of one run, opened when first asked for and kept until the end."""

    def __init__(self, target: Target, node_packages: Path) -> None:
        self.target = target
        self._node_packages = node_packages
        self._node: Node | NodeUnavailable | None = None
        self._transports: dict[str, Transport] = {}
        self._open: dict[str, Client] = {}
        self._missing: dict[str, str] = {}

    def open(self, name: str) -> None:
        """Open a client, if that can be done here."""
        try:
            self._open[name] = FACTORIES[name](self)
        except (ClientUnavailable, NodeUnavailable) as reason:
            self._missing[name] = str(reason)

    def get(self, name: str) -> Client:
        """A client that was opened."""
        return self._open[name]

    def transport(self, name: str) -> Transport:
        """The way in which one of the REST clients sends its requests."""
        if name not in self._transports:
            transport: Transport = HttpxTransport() if name == "httpx" else FetchTransport(self.node())
            if self.target.team is None:
                transport = RetryingTransport(transport)
            self._transports[name] = HeaderTransport(transport)
        return self._transports[name]

    def node(self) -> Node:
        """The Node process that all its libraries share. Raises NodeUnavailable."""
        if self._node is None:
            try:
                self._node = Node(self._node_packages)
            except NodeUnavailable as reason:
                self._node = reason
        if isinstance(self._node, NodeUnavailable):
            raise self._node
        return self._node

    def versions(self) -> dict[str, str]:
        """The versions of the clients that were opened."""
        return {name: each.version for name, each in self._open.items()}

    def missing(self) -> dict[str, str]:
        """Why some clients could not be opened."""
        return self._missing

    def close(self) -> None:
        """Close whatever was opened."""
        for each in self._open.values():
            each.close()
        if isinstance(self._node, Node):
            self._node.close()


def _rest(transport: str) -> Callable[[Clients], Client]:
    def open(clients: Clients) -> Client:
        from .rest import RestClient

        return RestClient(clients.target, clients.transport(transport))

    return open


def _openai(clients: Clients) -> Client:
    _require_module("openai")
    from .openai_python import OpenAIPython

    return OpenAIPython(clients.target)


def _xai(adapter: str) -> Callable[[Clients], Client]:
    def open(clients: Clients) -> Client:
        _require_module("xai_sdk")
        if clients.target.grpc is None:
            raise ClientUnavailable("it speaks gRPC: say where with --grpc HOST:PORT")
        from . import xai_python

        made: Client = getattr(xai_python, adapter)(clients.target)
        return made

    return open


def _litellm(clients: Clients) -> Client:
    _require_module("litellm")
    from .litellm import LiteLLM

    return LiteLLM(clients.target)


def _node_sdk(adapter: str) -> Callable[[Clients], Client]:
    def open(clients: Clients) -> Client:
        from . import node_sdks

        made: Any = getattr(node_sdks, adapter)(clients.target, clients.node())
        return made  # type: ignore[no-any-return]

    return open


def _require_module(module: str) -> None:
    if find_spec(module) is None:
        raise ClientUnavailable(f"the Python package {module} is not installed")


FACTORIES: dict[str, Callable[[Clients], Client]] = {
    "httpx": _rest("httpx"),
    "fetch": _rest("fetch"),
    "openai": _openai,
    "xai-sdk": _xai("XaiPython"),
    "xai-sdk-async": _xai("XaiPythonAsync"),
    "litellm": _litellm,
    "openai-node": _node_sdk("OpenAINode"),
    "ai-sdk": _node_sdk("AiSdk"),
}
TRANSPORTS = ("httpx", "fetch")
