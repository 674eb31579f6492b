"""Every RPC of the five services: bound to an operation, or listed with the reason why not."""

from __future__ import annotations

from emulator.rpc import batches, collections, files, search
from emulator.rpc.reading import Method

METHODS: tuple[Method, ...] = (*files.METHODS, *batches.METHODS, *collections.METHODS, *search.METHODS)

NOT_EMULATED: dict[str, str] = {}
