"""How fast search is at 100,000 chunks, how fast documents are indexed, and how often the answer is found.

Run as `python -m benchmarks.search`: it prints the figures and the table of recall. The text is the source of Python's
own library, cut into chunks of 600 bytes; queries are four to eight words as they follow each other somewhere in it.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sysconfig
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import search_index
from benchmarks.interference import Waits
from benchmarks.servers import AUTH, ROOT, running, upload, use_load_cpu
from benchmarks.table import Figure, percentile, ratio

CHUNK_BYTES = 600
CHUNKS = 100_000
COLLECTIONS = (10, 30)  # of the same size; the last time they have all chunks between them
QUERIES = 200
MODES = ("keyword", "semantic", "hybrid")
MANAGEMENT = {"Authorization": "Bearer xai-token-emulator"}
CONFIGURATION = {"bytes_configuration": {"max_chunk_size_bytes": CHUNK_BYTES, "chunk_overlap_bytes": 0}}


def post(url: str, body: Any, headers: dict[str, str] = AUTH) -> Any:
    """Send JSON and return what is answered."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {**headers, "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as reply:
        return json.load(reply)


# --- speed


def texts(count: int) -> list[str]:
    """Chunks of text, shuffled, always in the same order."""
    chunks: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        source = path.read_bytes().decode("ascii", "ignore")
        chunks += (source[start : start + CHUNK_BYTES] for start in range(0, len(source), CHUNK_BYTES // 4))
        if len(chunks) > 4 * count:
            break
    random.Random(1).shuffle(chunks)
    return chunks[:count]


def queries(chunks: Sequence[str]) -> list[str]:
    """Words that follow each other somewhere in the text."""
    chance, found = random.Random(2), list[str]()
    while len(found) < QUERIES:
        words = re.findall(r"\w+", chance.choice(chunks))
        if len(words) >= 12:
            start = chance.randrange(len(words) - 8)
            found.append(" ".join(words[start : start + chance.randint(4, 8)]))
    return found


def new_collection(url: str) -> str:
    """A collection that cuts texts as they are cut here."""
    body = {"collection_name": "benchmark", "chunk_configuration": CONFIGURATION}
    id: str = post(f"{url}/v1/collections", body, MANAGEMENT)["collection_id"]
    return id


def store(url: str, chunks: Sequence[str], per_file: int = 10_000) -> list[str]:
    """Upload chunks as files that hold many each, and return the ids."""
    pieces = [chunks[start : start + per_file] for start in range(0, len(chunks), per_file)]
    return [upload(url, f"{n}.txt", "".join(piece).encode()) for n, piece in enumerate(pieces)]


def index(url: str, collection: str, ids: Sequence[str]) -> float:
    """Add files as documents and return the seconds from the first add to the last answer."""
    started = time.perf_counter()
    for id in ids:
        post(f"{url}/v1/collections/{collection}/documents/{id}", {}, MANAGEMENT)
    return time.perf_counter() - started


def search_times(url: str, collection: str, asked: Sequence[str], mode: str) -> list[float]:
    """Milliseconds of each search; the first one is not counted."""
    times = []
    for query in (asked[0], *asked):
        body = {"query": query, "source": {"collection_ids": [collection]}, "retrieval_mode": {"type": mode}}
        started = time.perf_counter()
        post(f"{url}/v1/documents/search", body)
        times.append((time.perf_counter() - started) * 1000)
    return times[1:]


def one_large_collection(chunks: Sequence[str], asked: Sequence[str]) -> Iterator[Figure]:
    """All chunks in one collection."""
    with running("emulator") as emulator:
        collection, waits = new_collection(emulator.url), Waits(emulator)
        ids = store(emulator.url, chunks)
        seconds = sum(waits.during(partial(index, emulator.url, collection, [id])) for id in ids)
        yield Figure("indexing", len(chunks) / seconds, "chunks/s", 2000, "higher")
        yield waits.figure("indexing")
        started = time.perf_counter()
        search_times(emulator.url, collection, asked[:1], "hybrid")
        yield Figure(f"first search in {len(chunks):,} chunks", (time.perf_counter() - started) * 1000, "ms", 300)
        for start in range(0, len(asked), 20):
            waits.during(partial(search_times, emulator.url, collection, asked[start : start + 20], "hybrid"))
        yield waits.figure("searches")
        plain = statistics.median(search_index.fts5_times(chunks, asked, time.perf_counter))
        for mode, goal, worst in (("keyword", 2, 20), ("semantic", None, None), ("hybrid", 5, 30)):
            times = search_times(emulator.url, collection, asked, mode)
            median = statistics.median(times)
            note = f"{plain / median:.1f}x as fast as plain FTS5"
            yield Figure(f"{mode} search in {len(chunks):,} chunks, p50", median, "ms", goal, note=note)
            yield Figure(f"{mode} search in {len(chunks):,} chunks, p99", percentile(times, 0.99), "ms", worst)
        yield Figure(f"memory held with {len(chunks):,} chunks", emulator.resident_bytes() / 2**20, "MiB", 250)


def one_of_many_collections(chunks: Sequence[str], asked: Sequence[str]) -> Iterator[Figure]:
    """A search in a collection that has an emulator for itself, and in the same beside others that are searched too."""
    share = len(chunks) // COLLECTIONS[-1]
    pieces = [chunks[start : start + share] for start in range(0, len(chunks) - share + 1, share)]

    def filled(url: str, piece: Sequence[str]) -> str:
        collection = new_collection(url)
        index(url, collection, store(url, piece))
        search_times(url, collection, asked[:1], "hybrid")
        return collection

    def median(url: str, collection: str, mode: str) -> float:
        return statistics.median(search_times(url, collection, asked[:40], mode))

    with running("emulator") as alone, running("emulator") as shared:
        single, collections = filled(alone.url, pieces[0]), list[str]()
        for count in COLLECTIONS:
            collections += [filled(shared.url, piece) for piece in pieces[len(collections) : count]]
            for mode in ("keyword", "hybrid"):
                value, ours, theirs = ratio(
                    partial(median, shared.url, collections[0], mode), partial(median, alone.url, single, mode)
                )
                job = f"{mode} search in one of {count} collections of {share:,} chunks, to the same alone"
                yield Figure(job, value, "x", 2, note=f"{ours:.1f} against {theirs:.1f} ms")


def measure() -> list[Figure]:
    """Every figure."""
    use_load_cpu()
    chunks = texts(CHUNKS)
    asked = queries(chunks)
    index = search_index.measure(CHUNKS)
    return [*index, *one_large_collection(chunks, asked), *one_of_many_collections(chunks, asked)]


# --- recall


def recall() -> list[str]:
    """Of sixty questions about a small corpus, the share whose answer is among the first three: a Markdown table."""
    data = ROOT / "fixtures" / "data" / "search"
    documents, asked = (
        [json.loads(line) for line in (data / name).read_text().splitlines()]
        for name in ("documents.jsonl", "queries.jsonl")
    )
    hits: Counter[tuple[str, str]] = Counter()
    with running("emulator") as emulator:
        collection = post(f"{emulator.url}/v1/collections", {"collection_name": "corpus"}, MANAGEMENT)["collection_id"]
        names: dict[str, str] = {}
        for document in documents:
            id = upload(emulator.url, document["name"], document["text"].encode())
            names[id] = document["name"]
            post(f"{emulator.url}/v1/collections/{collection}/documents/{id}", {}, MANAGEMENT)
        for each in asked:
            for mode in MODES:
                body = {
                    "query": each["query"],
                    "source": {"collection_ids": [collection]},
                    "retrieval_mode": {"type": mode},
                    "limit": 3,
                }
                found = post(f"{emulator.url}/v1/documents/search", body)["matches"]
                hits[each["kind"], mode] += each["answer"] in [names[match["file_id"]] for match in found]
    kinds = Counter(each["kind"] for each in asked)
    lines = [f"| recall@3 | queries | {' | '.join(MODES)} |", "|---|---|---|---|---|"]
    for kind, count in kinds.items():
        shares = " | ".join(f"{hits[kind, mode] / count:.2f}" for mode in MODES)
        lines.append(f"| {kind} | {count} | {shares} |")
    return lines


def main() -> None:
    """Print what was measured."""
    from benchmarks.table import rows

    print("\n".join(recall()), end="\n\n")
    print("\n".join(rows(measure(), slack=1)))


if __name__ == "__main__":
    main()
