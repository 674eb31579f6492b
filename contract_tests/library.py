"""A collection to search in, for the cases about searches."""

from __future__ import annotations

from typing import Any

from . import matchers
from .clients.rest import RestClient
from .target import Target


class Library:
    """A collection of short texts, by name, and the names of what a search of them finds."""

    def __init__(self, rest: RestClient, target: Target, name: str, texts: dict[str, str], **fields: Any) -> None:
        self.rest = rest
        keys = {key for values in fields.values() for key in values}
        self.collection = rest.create_collection(f"{name}library", fields=[{"key": key} for key in sorted(keys)]).id
        self.names: dict[str, str] = {}
        for word, text in texts.items():
            file = rest.upload_file(text.encode(), f"{name}{word}.txt").id
            rest.add_document(self.collection, file, fields.get(word))
            self.names[file] = word

        def indexed() -> int:
            return sum(each.status == "PROCESSED" for each in rest.list_documents(self.collection).items)

        matchers.wait_until(indexed, len(texts), within_seconds=target.wait_seconds_max)

    def matches(self, query: str, mode: str = "keyword", **body: Any) -> list[Any]:
        """The matches of a search, as JSON."""
        request = {"query": query, "source": {"collection_ids": [self.collection]}}
        request |= {"retrieval_mode": {"type": mode}, **body}
        found: list[Any] = self.rest.json("POST", "/v1/documents/search", json_body=request)["matches"]
        return found

    def found(self, query: str, mode: str = "keyword", **body: Any) -> list[str]:
        """The names of the texts that are found, best first."""
        return [self.names[each["file_id"]] for each in self.matches(query, mode, **body)]
