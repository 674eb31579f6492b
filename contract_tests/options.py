"""What a run can be told, and the server that follows from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from .clients import OPENERS
from .target import CALLS_MAX, EVIDENCE, FEATURES, BadTarget, Budget, Target, find_target


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("contract", "the server, and what may be done to it")
    group.addoption("--base-url", metavar="URL", help="where the REST API is, for example http://localhost:7878")
    group.addoption("--grpc", metavar="HOST:PORT", help="where the gRPC services are; without it they are left out")
    group.addoption("--management-url", metavar="URL", help="where the management plane is, if elsewhere")
    group.addoption("--management-grpc", metavar="HOST:PORT", help="where its gRPC service is, if elsewhere")
    group.addoption("--features", type=_words(FEATURES), help=f"only these: {', '.join(FEATURES)}")
    group.addoption("--clients", type=_words(OPENERS), help=f"only these: {', '.join(OPENERS)}")
    group.addoption("--evidence", type=_words(EVIDENCE), help=f"only what is known so: {', '.join(EVIDENCE)}")
    group.addoption("--slow", action="store_true", help="with the cases that take long")
    group.addoption("--destructive", action="store_true", help="with the cases that leave traces or cost money")
    group.addoption("--budget", metavar="CALLS", type=int, default=CALLS_MAX, help="how many calls may be made")
    group.addoption("--run-prefix", metavar="TEXT", help="how the names of everything the run makes begin")
    group.addoption("--known-failing", metavar="FILE", type=Path, help="a TOML list of the cases that fail")
    group.addoption("--node-packages", metavar="DIR", type=Path, default=Path(), help="where node_modules is")
    group.addoption("--record", metavar="FILE", type=Path, help="write what the run has shown there, as JSON")


def _words(known: Iterable[str]) -> Callable[[str], frozenset[str]]:
    """A parser of words that are separated by commas."""

    def words(text: str) -> frozenset[str]:
        found = frozenset(word.strip() for word in text.split(",") if word.strip())
        if unknown := found - set(known):
            raise ValueError(f"{', '.join(sorted(unknown))} is not among {', '.join(known)}")
        return found

    return words


def target_of(config: pytest.Config) -> Target:
    """The server that the options name. Raises UsageError."""
    option = config.getoption
    if option("--base-url") is None:
        raise pytest.UsageError("say which server to judge: --base-url URL")
    try:
        target = find_target(
            option("--base-url"),
            os.environ,
            grpc=option("--grpc"),
            management_url=option("--management-url"),
            management_grpc=option("--management-grpc"),
            run=option("--run-prefix"),
        )
    except BadTarget as error:
        raise pytest.UsageError(str(error)) from None
    return replace(
        target,
        features=option("--features") or target.features,
        evidence=option("--evidence") or target.evidence,
        slow=option("--slow"),
        destructive=option("--destructive"),
        budget=Budget(option("--budget")),
    )
