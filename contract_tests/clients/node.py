"""A Node process that calls JavaScript libraries on request: one JSON line in, one JSON line out."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..deadline import DeadlineExceeded
from .models import Unsupported, api_error_from_http

BRIDGE = Path(__file__).with_name("bridge.mjs")


class NodeUnavailable(Exception):
    """There is no Node here, or not the package that is asked for."""


class Node:
    """The process. Packages are found from the folder it runs in, as if the bridge lay there."""

    def __init__(self, packages: Path) -> None:
        node = shutil.which("node")
        if node is None:
            raise NodeUnavailable("node is not installed")
        self._command = [node, "--input-type=module", "--eval", BRIDGE.read_text("utf-8")]
        self._packages = packages
        self._process = self._start()
        self.version: str = self.call("version")

    def _start(self) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(self._command, cwd=self._packages, stdin=pipe, stdout=pipe, text=True)

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Call a function of the bridge. Raises ApiError, Unsupported, or RuntimeError for all else."""
        line = self._exchange(json.dumps({"call": name, "with": arguments}) + "\n")
        if not line:
            raise RuntimeError(f"Node ended while it was asked for {name}")
        found = json.loads(line)
        assert "endless" not in found, f"{found.get('endless')}, so the list never ends"
        if "refused" in found:
            raise api_error_from_http(found["refused"]["status"], found["refused"]["message"])
        if "unsent" in found:
            raise Unsupported(f"{name} is refused by the library, before anything is sent: {found['unsent']}")
        if "failed" in found:
            raise RuntimeError(found["failed"])
        return found["result"]

    def _exchange(self, line: str) -> str:
        """Write a line, read the answer. A process that is still busy when this is interrupted is replaced."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
            return self._process.stdout.readline()
        except DeadlineExceeded:
            self._end()
            self._process = self._start()
            raise

    def package(self, name: str) -> str:
        """The version of a package. Raises NodeUnavailable."""
        version: str | None = self.call("package", name=name)
        if version is None:
            raise NodeUnavailable(f"the npm package {name} is not installed (see --node-packages)")
        return version

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _end(self) -> None:
        """End a process that is busy."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
