"""Embedders of one's own: a function, or a server that speaks OpenAI's API; and what happens when they fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy
import pytest

from emulator import Emulator
from emulator.search.embedding.embedders import check_embedder, embed
from emulator.search.embedding.error import EmbedderError
from emulator.state.settings import BadSetting

COLOURS = ["red", "green", "blue"]
SYNONYMS = {"crimson": "red", "scarlet": "red", "emerald": "green", "azure": "blue"}


def colours(texts: list[str]) -> list[list[float]]:
    """An embedder that knows the meaning of a few words."""
    meant = [[SYNONYMS.get(word, word) for word in text.split()] for text in texts]
    return [[float(words.count(colour)) for colour in COLOURS] for words in meant]


@contextmanager
def server(answer: Callable[[Any], tuple[int, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """A server with an /embeddings path, its authority, and what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append((self.path, self.headers["authorization"], body))
            status, said = answer(body)
            raw = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{running.server_address[1]}", asked
        running.shutdown()
        thread.join()


def as_openai(body: Any) -> tuple[int, Any]:
    """The answer of a server that works, in any order."""
    data = [{"index": number, "embedding": row} for number, row in enumerate(colours(body["input"]))]
    return 200, {"object": "list", "data": data[::-1]}


def collection_of(emulator: Emulator, *texts: str) -> tuple[str, list[str]]:
    """A collection of documents, and their statuses."""
    url, headers = emulator.base_url, {"authorization": f"Bearer {emulator.management_key}"}
    id = httpx.post(f"{url}/collections", headers=headers, json={"collection_name": "c"}).json()["collection_id"]
    statuses = []
    for text in texts:
        files = {"name": (None, "a.txt"), "data": ("a.txt", text.encode()), "content_type": (None, "text/plain")}
        reply = httpx.post(f"{url}/collections/{id}/documents", headers=headers, files=files)
        statuses.append(reply.raise_for_status().json()["status"].removeprefix("DOCUMENT_STATUS_"))
    return id, statuses


def search(emulator: Emulator, collection: str, query: str) -> httpx.Response:
    """A semantic search."""
    body = {
        "query": query,
        "source": {"collection_ids": [collection]},
        "retrieval_mode": {"type": "semantic"},
        "limit": 1,
    }
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    return httpx.post(f"{emulator.base_url}/documents/search", headers=headers, json=body)


def best(emulator: Emulator, collection: str, query: str) -> str:
    """The text of the best match."""
    return str(search(emulator, collection, query).json()["matches"][0]["chunk_content"])


def test_custom_embedder_function_is_used_for_search() -> None:
    """With one that knows synonyms, semantic search does."""
    with Emulator(embedder=colours) as emulator:
        collection, statuses = collection_of(emulator, "blue sky", "red rose", "green leaf")
        assert statuses == ["PROCESSED"] * 3
        assert best(emulator, collection, "scarlet") == "red rose"
        assert best(emulator, collection, "emerald") == "green leaf"


def test_embedder_function_is_imported_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MODULE:FUNCTION, where the module may lie in the working directory."""
    (tmp_path / "my_embedder.py").write_text("def embed(texts):\n    return [[len(text), 1] for text in texts]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert embed("my_embedder:embed", ["a", "bcd"]).tolist() == [[1, 1], [3, 1]]


def test_embedding_server_receives_openai_requests() -> None:
    """In pieces, with the key and the model of the URL; the answer may come in any order."""
    with server(as_openai) as (authority, asked):
        url = f"http://s3cret@{authority}/v1/embeddings?model=nomic"
        vectors = embed(url, ["red", "azure"] * 100)
        assert vectors.tolist() == [[1, 0, 0], [0, 0, 1]] * 100
        assert [(path, key) for path, key, _ in asked] == [("/v1/embeddings", "Bearer s3cret")] * 2
        assert {(body["model"], body["encoding_format"]) for _, _, body in asked} == {("nomic", "float")}
        with Emulator(embedder=url) as emulator:
            collection, _ = collection_of(emulator, "blue sky", "red rose")
            assert best(emulator, collection, "crimson") == "red rose"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((500, {"error": "overloaded"}), 'answered 500: {"error": "overloaded"}'),
        ((200, {"data": [{"index": 0}]}), "did not answer as OpenAI's /embeddings does"),
        ((200, []), "did not answer as OpenAI's /embeddings does"),
        ((200, {"data": []}), "an array of shape (0,) for 1 texts"),
    ],
)
def test_embedding_server_error_is_quoted_without_key(answer: tuple[int, Any], sentence: str) -> None:
    """One sentence, without the key."""
    with server(lambda body: answer) as (authority, _):
        with pytest.raises(EmbedderError) as failure:
            embed(f"http://s3cret@{authority}/embeddings", ["red"])
        assert sentence in str(failure.value)
        assert "s3cret" not in str(failure.value)


def test_unreachable_embedding_server_is_named_in_error() -> None:
    """Says so."""
    with pytest.raises(EmbedderError, match=r"^http://127\.0\.0\.1:9/embeddings: "):
        embed("http://127.0.0.1:9/embeddings", ["red"])


@pytest.mark.parametrize(
    ("vectors", "sentence"),
    [
        (lambda texts: [[1.0]], "shape \\(1, 1\\) for 2 texts"),
        (lambda texts: [[1.0], [float("nan")]], "not finite"),
        (lambda texts: [[], []], "shape"),
        (lambda texts: [1.0, 2.0], "shape"),
        (lambda texts: [[1.0], [1.0, 2.0]], "ValueError"),
        (lambda texts: None, "The embedder"),
        (lambda texts: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_vectors_are_checked(vectors: Callable[[list[str]], Any], sentence: str) -> None:
    """One vector for each text, all of one length and finite; an exception of the function is reported."""
    with pytest.raises(EmbedderError, match=sentence):
        embed(vectors, ["a", "b"])


def test_vectors_of_different_calls_have_one_length() -> None:
    """An embedder may not change its mind within a document."""
    lengths = iter([2, 3])
    with pytest.raises(EmbedderError, match="different lengths"):
        embed(lambda texts: numpy.ones((len(texts), next(lengths))), ["a"] * 200)


def test_embedding_no_texts_calls_no_embedder() -> None:
    """No request is sent."""
    assert embed(lambda texts: 1 / 0, []).shape == (0, 0)


def test_embedder_error_fails_document_and_returns_503_for_search() -> None:
    """The document says why; the search is UNAVAILABLE, for the next one may succeed. Keyword search needs none."""
    broken = False

    def embedder(texts: list[str]) -> Any:
        return 1 / 0 if broken else colours(texts)

    with Emulator(embedder=embedder) as emulator:
        collection, _ = collection_of(emulator, "red rose")
        broken = True
        reply = search(emulator, collection, "red")
        assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")
        assert "ZeroDivisionError" in reply.json()["error"]
        _, statuses = collection_of(emulator, "blue sky")
        assert statuses == ["FAILED"]
        broken = False
        assert best(emulator, collection, "crimson") == "red rose"


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "word",
        "no_such_module:f",
        "json:nope",
        "json:__name__",
        "http://host/v1/chat",
        "http:///embeddings",
        ":f",
        "m:",
    ],
)
def test_invalid_embedder_setting_refuses_to_start(spec: str) -> None:
    """One clear sentence."""
    if spec:
        with pytest.raises(ValueError, match=r"."):
            check_embedder(spec)
    with pytest.raises(BadSetting, match="embedder"):
        Emulator(embedder=spec).start()
