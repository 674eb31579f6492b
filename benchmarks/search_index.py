"""How fast the index of a collection is by itself, in this process, beside plain FTS5 and tantivy on the same chunks.

Processor time, so that a busy machine disturbs least. Tantivy is measured in the environment of the peers that `make
bench` makes, and left out where that is missing. FTS5 looks for every word of a query in an OR; so does tantivy.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.servers import MOTO
from benchmarks.table import Figure, percentile

if TYPE_CHECKING:
    from emulator.store import Store
    from emulator.store.index.collection_index import IndexQuery

QUICK_CHUNKS = 5_000
PER_DOCUMENT, AT_ONCE = 1_000, 128
PLACE = ("team", "collection")
_TANTIVY = """
import json, sys, time, tantivy
chunks, asked = json.load(sys.stdin)
builder = tantivy.SchemaBuilder()
builder.add_text_field("text", stored=False)
index = tantivy.Index(builder.build())
writer = index.writer(50_000_000, 1)
for chunk in chunks:
    writer.add_document(tantivy.Document(text=chunk))
writer.commit()
index.reload()
searcher, times = index.searcher(), []
for words in asked:
    started = time.process_time()
    terms = [(tantivy.Occur.Should, tantivy.Query.term_query(index.schema, "text", word.lower())) for word in words]
    searcher.search(tantivy.Query.boolean_query(terms), 10)
    times.append((time.process_time() - started) * 1000)
print(json.dumps(times))
"""


def fts5_times(chunks: Sequence[str], asked: Sequence[str], clock: Callable[[], float]) -> list[float]:
    """Milliseconds by a clock of each query on a plain FTS5 table with every word in an OR, without any emulator."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
    database.executemany("INSERT INTO words VALUES (?)", ((chunk,) for chunk in chunks))
    times = []
    for query in asked:
        expression = " OR ".join(f'"{word}"' for word in query.split())
        started = clock()
        database.execute("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT 10", (expression,)).fetchall()
        times.append((clock() - started) * 1000)
    database.close()
    return times


def tantivy_times(chunks: Sequence[str], asked: Sequence[str]) -> list[float]:
    """Milliseconds of each query in tantivy; none where it is not installed."""
    if not MOTO.exists():
        return []
    given = json.dumps([list(chunks), [query.split() for query in asked]])
    run = subprocess.run([str(MOTO), "-c", _TANTIVY], input=given, capture_output=True, text=True, check=False)
    return list(json.loads(run.stdout)) if run.returncode == 0 else []


async def fill(store: Store, chunks: Sequence[str]) -> None:
    """Index chunks as jobs do."""
    from emulator.domain.documents import IndexedChunk, chunk_id
    from emulator.store.chunks import index_rows

    for start in range(0, len(chunks), PER_DOCUMENT):
        for at in range(start, min(start + PER_DOCUMENT, len(chunks)), AT_ONCE):
            piece = [
                IndexedChunk(chunk_id(*PLACE, number, ""), number - start, chunks[number], chunks[number], None)
                for number in range(at, min(at + AT_ONCE, start + PER_DOCUMENT, len(chunks)))
            ]
            with store.transaction():
                store.chunks.add(*PLACE, str(start), piece, None)
            await store.indexes.stage(*PLACE, str(start), index_rows(piece, None))
        store.chunks.publish(*PLACE, str(start))


def beside_text(store: Store, chunks: Sequence[str]) -> float:
    """The bytes of the database for each chunk, without those of its text."""
    row = store.database.row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    assert row is not None
    return float(row[0] - sum(map(len, chunks))) / len(chunks)


def query(text: str, mode: str) -> IndexQuery:
    """What a search asks the index."""
    from emulator.domain.collections import MetricSpace
    from emulator.domain.search import keyword_query
    from emulator.store.index.collection_index import IndexQuery

    keywords = None if mode == "semantic" else keyword_query(text)
    return IndexQuery(keywords, None, MetricSpace.COSINE, 10, None, None if mode == "keyword" else text)


async def spent(work: Callable[[], Awaitable[object]]) -> float:
    """The milliseconds of processor time of this process that work takes."""
    started = time.process_time()
    await work()
    return (time.process_time() - started) * 1000


async def figures(chunks: Sequence[str], asked: Sequence[str], directory: Path) -> list[Figure]:
    """Every figure of an index of these chunks."""
    from emulator.store import Store
    from emulator.store.index import index_cache

    count = f"{len(chunks):,} chunks"
    is_large = len(chunks) > QUICK_CHUNKS
    store = Store(directory)
    indexing = await spent(lambda: fill(store, chunks))
    first = await spent(lambda: store.indexes.search(*PLACE, query(asked[0], "hybrid")))
    store.close()
    store = Store(directory)
    again = await spent(lambda: store.indexes.search(*PLACE, query(asked[0], "hybrid")))
    await asyncio.sleep(index_cache.PAUSE_SECONDS * 3)  # in which it is tidied
    plain, other = fts5_times(chunks, asked, time.process_time), tantivy_times(chunks, asked)
    found = [
        Figure(f"index: {count} indexed", len(chunks) / indexing * 1000, "chunks/s", 2000, "higher"),
        Figure(f"index: first search in {count}", first, "ms", 300 if is_large else 50),
        Figure(f"index: first search in {count} after a restart", again, "ms", 300 if is_large else 50),
        Figure(f"index: memory of each of {count}", store.indexes.loaded_bytes(*PLACE) / len(chunks), "bytes", 1000),
        Figure(f"store: each of {count}, beside its text", beside_text(store, chunks), "bytes", 160),
    ]
    for mode, median, most in (("keyword", 2, 20), ("semantic", None, None), ("hybrid", 5, 30)):
        times = [
            await spent(lambda text=text, mode=mode: store.indexes.search(*PLACE, query(text, mode)))  # type: ignore[misc]
            for text in asked
        ]
        beside = ""
        if mode == "keyword":
            beside = f"plain FTS5 {statistics.median(plain):.2f} ms, p99 {percentile(plain, 0.99):.2f}"
            if other:
                beside += f"; tantivy {statistics.median(other):.2f} ms, p99 {percentile(other, 0.99):.2f}"
        found.append(
            Figure(f"index: {mode} search in {count}, p50", statistics.median(times), "ms", median, note=beside)
        )
        found.append(Figure(f"index: {mode} search in {count}, p99", percentile(times, 0.99), "ms", most))
    store.close()
    return found


def measure(count: int = QUICK_CHUNKS) -> list[Figure]:
    """Every figure of an index of so many chunks."""
    from benchmarks.search import queries, texts

    chunks = texts(count)
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(figures(chunks, queries(chunks), Path(directory) / "data"))
