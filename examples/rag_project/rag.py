"""Answers questions from a folder of notes: they go into a collection, and a batch is asked about what fits."""

from __future__ import annotations

from pathlib import Path

import xai_sdk
from xai_sdk.chat import system, user


class Notebook:
    """Notes in a collection, each with its topic: the first word of its file name."""

    def __init__(self, client: xai_sdk.Client, name: str) -> None:
        topic = {"key": "topic", "required": True, "unique": False, "inject_into_chunk": True}
        self.client = client
        self.id = client.collections.create(name, field_definitions=[topic]).collection_id

    def add(self, folder: Path) -> None:
        """Add every note of a folder, and wait until they can be found."""
        for path in sorted(folder.glob("*.md")):
            fields = {"topic": path.stem.partition("-")[0]}
            self.client.collections.upload_document(
                self.id, path.name, path.read_bytes(), fields, wait_for_indexing=True
            )

    def passages(self, question: str) -> list[str]:
        """What the notes say about a question, the best first."""
        return [match.chunk_content for match in self.client.collections.search(question, [self.id], limit=3).matches]

    def ask(self, questions: dict[str, str]) -> str:
        """Ask each question, with the passages that fit, and answer the id of the batch that is working on it."""
        batch, create = self.client.batch.create("questions"), self.client.chat.create
        chats = [
            create("grok-4.3", batch_request_id=id, messages=[system("\n".join(self.passages(text))), user(text)])
            for id, text in questions.items()
        ]
        self.client.batch.add(batch.batch_id, chats)
        return batch.batch_id

    def answers(self, batch_id: str) -> dict[str, str]:
        """The answers that have come so far."""
        results = self.client.batch.list_batch_results(batch_id)
        return {result.batch_request_id: result.response.content for result in results.succeeded}
