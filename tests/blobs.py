"""What an emulator keeps on disk."""

from __future__ import annotations

from pathlib import Path

from emulator import Emulator


def blobs_on_disk(emulator: Emulator) -> list[Path]:
    """The contents of its files, without those that its thread has yet to remove: those of a reset, for example."""
    blobs = emulator._running().services.store.blobs  # the disk is what this is about
    if blobs._remover is not None:
        blobs._remover.submit(lambda: None).result()
    return list((blobs.directory / "blobs").iterdir())
