"""A Node process that calls JavaScript libraries on request: one JSON line in, one JSON line out."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from .seen import Unsupported, refused_over_http

BRIDGE = Path(__file__).with_name("bridge.mjs")


class NodeMissing(Exception):
    """There is no Node here, or not the package that is asked for."""


class Node:
    """The process. Packages are found from the folder it runs in, as if the bridge lay there."""

    def __init__(self, packages: Path) -> None:
        node = shutil.which("node")
        if node is None:
            raise NodeMissing("node is not installed")
        self._process = subprocess.Popen(
            [node, "--input-type=module", "--eval", BRIDGE.read_text("utf-8")],
            cwd=packages,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version: str = self.call("version")

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Call a function of the bridge. Raises Refused, Unsupported, or RuntimeError for all else."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": name, "with": arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"Node ended while it was asked for {name}")
        found = json.loads(line)
        if "refused" in found:
            raise refused_over_http(found["refused"]["status"], found["refused"]["message"])
        if "unsent" in found:
            raise Unsupported(f"{name} is refused by the library, before anything is sent: {found['unsent']}")
        if "failed" in found:
            raise RuntimeError(found["failed"])
        return found["result"]

    def package(self, name: str) -> str:
        """The version of a package. Raises NodeMissing."""
        version: str | None = self.call("package", name=name)
        if version is None:
            raise NodeMissing(f"the npm package {name} is not installed (see --node-packages)")
        return version

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        assert self._process.stdout is not None
        self._process.stdout.close()
