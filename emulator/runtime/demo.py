"""`xai-emulator demo`: a tour of the features with both SDKs and the sample documents of the package."""

from __future__ import annotations

import json
import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import msgspec

from emulator.port import CannotListen
from emulator.runtime.app import Emulator

NEEDED = {"openai": "openai", "xai_sdk": "xai-sdk"}  # module -> the package to install
DOCUMENTS = 12  # of the sample documents
TOPICS = frozenset({"policy", "travel", "recipes", "operations"})
FIRST = "night-train.txt"
MODEL = "grok-4.3"
HOUR = 3_600
BOLD, FAINT, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def missing() -> list[str]:
    """Return the packages that the demo needs and that are not installed."""
    return [package for module, package in NEEDED.items() if find_spec(module) is None]


class Tour(msgspec.Struct, frozen=True):
    """The emulator, a client of each SDK, and the output."""

    emulator: Emulator
    openai: Any
    xai: Any
    out: TextIO

    def step(self, title: str) -> None:
        """Begin a new step."""
        self._write(f"\n{title}", BOLD)

    def code(self, line: str) -> None:
        """Print the next call."""
        self._write(f"  >>> {line}", FAINT)

    def show(self, line: str) -> None:
        """Print the result."""
        self._write(f"  {line}", "")

    def _write(self, line: str, look: str) -> None:
        print(f"{look}{line}{PLAIN}" if look and self.out.isatty() else line, file=self.out, flush=True)


def demo(port: int, *, once: bool, out: TextIO = sys.stdout) -> int:
    """Start an emulator, demonstrate it, and keep it running until Ctrl-C unless `once`. Return the exit code."""
    openai, xai_sdk = import_module("openai"), import_module("xai_sdk")
    emulator = Emulator(port=port)
    try:
        emulator.start()
    except CannotListen as error:
        print(f"xai-emulator: {error} Choose another with --port: 0 picks a free one.", file=sys.stderr)
        return 1
    try:
        target, management_key = emulator.grpc_target, emulator.management_key
        keys = {"api_key": emulator.api_key, "management_api_key": management_key}
        with openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key) as client:
            sdk = xai_sdk.Client(api_host=target, management_api_host=target, **keys)
            _walk(Tour(emulator, client, sdk, out))
            sdk.close()
        if not once:
            print("\nThe emulator stays for you to explore. Ctrl-C ends it.", file=out, flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print(file=out)
    finally:
        emulator.stop()
    return 0


def _walk(tour: Tour) -> None:
    emulator = tour.emulator
    tour.step("1. An emulator is running")
    tour.show(f"{emulator.url} speaks REST and gRPC on this one port.")
    tour.show(f"Keys: {emulator.api_key} (inference), {emulator.management_key} (management).")
    file_id = _upload(tour)
    collection_id = _collect(tour, file_id)
    _search(tour, collection_id)
    _run_batch(tour)
    _let_expire(tour, file_id)
    _let_fail(tour)
    tour.step("8. Look at it")
    tour.show(f"{emulator.url}/_emulator/ shows all of this: files, documents, why a match ranks, every call.")


def _upload(tour: Tour) -> str:
    tour.step("2. Upload a file that expires, with the OpenAI SDK")
    document = next(each for each in documents() if each["name"] == FIRST)
    tour.code(f'client.files.create(file=("{FIRST}", …), purpose="assistants", expires_after={{… {HOUR}}})')
    file = tour.openai.files.create(
        file=(FIRST, document["text"].encode()),
        purpose="assistants",
        expires_after={"anchor": "created_at", "seconds": HOUR},
    )
    tour.show(f"{file.id}: {file.bytes} bytes, expires {file.expires_at - file.created_at} seconds after its creation")
    return str(file.id)


def _collect(tour: Tour, file_id: str) -> str:
    tour.step("3. Make a collection with fields, and put documents into it, with xai-sdk over gRPC")
    tour.code('client.collections.create("library", field_definitions=[category (required), year])')
    flags = {"unique": False, "inject_into_chunk": False}
    definitions = [{"key": "category", "required": True, **flags}, {"key": "year", "required": False, **flags}]
    collections = tour.xai.collections
    id = collections.create("library", field_definitions=definitions).collection_id
    tour.code(f'client.collections.add_existing_document(…, fields={{"category": "travel"}})  # {FIRST}')
    collections.add_existing_document(id, file_id, {"category": "travel", "year": "2024"})
    others = [each for each in documents() if each["name"] != FIRST][: DOCUMENTS - 1]
    tour.code(f"client.collections.upload_document(…)  # {len(others)} more")
    for each in others:
        collections.upload_document(id, each["name"], each["text"].encode(), each["fields"])
    listed = collections.list_documents(id).documents
    tour.show(f"{len(listed)} documents, {sum(each.chunk_count for each in listed)} chunks, all indexed already")
    return str(id)


def _search(tour: Tour, collection_id: str) -> None:
    tour.step("4. Search")
    query = "which train goes to Venice at night?"
    tour.code(f'client.collections.search("{query}", [collection_id])')
    names = {each.file_metadata.file_id: each.file_metadata.name for each in _documents(tour, collection_id)}
    for match in tour.xai.collections.search(query, [collection_id], limit=3).matches:
        tour.show(f"{match.score:.4f}  {names[match.file_id]:24}  {match.chunk_content[:60]}…")
    filter = 'category = "policy" AND year >= 2024'
    tour.code(f"POST /v1/documents/search  filter: {filter}")
    body = {"query": "days with full pay", "source": {"collection_ids": [collection_id]}, "filter": filter}
    for match in tour.openai.post("/documents/search", body=body, cast_to=object)["matches"][:2]:
        tour.show(f"{match['score']:.4f}  {names[match['file_id']]:24}  {match['chunk_content'][:60]}…")


def _documents(tour: Tour, collection_id: str) -> Any:
    return tour.xai.collections.list_documents(collection_id).documents


def _run_batch(tour: Tour) -> None:
    tour.step("5. Run a batch")
    user = import_module("xai_sdk.chat").user
    tour.code('client.batch.create("capitals"); client.batch.add(…)  # three chats')
    batch_id = tour.xai.batch.create("capitals").batch_id
    requests = []
    for place in ("Kenya", "Norway", "Peru"):
        chat = tour.xai.chat.create(model=MODEL, batch_request_id=place)
        requests.append(chat.append(user(f"What is the capital of {place}?")))
    tour.xai.batch.add(batch_id, requests)
    tour.code("POST /_emulator/clock/advance  until: the batch is done")
    _control(tour, "POST", "/clock/advance", {"until": {"batch_done": batch_id}})
    state = tour.xai.batch.get(batch_id).state
    tour.show(f"{state.num_success} of {state.num_requests} requests are done. The answers are echoes:")
    for result in tour.xai.batch.list_batch_results(batch_id).succeeded:
        tour.show(f"{result.batch_request_id:8} {result.response.content[:70]}")


def _let_expire(tour: Tour, file_id: str) -> None:
    tour.step("6. Let an hour pass in a millisecond")
    tour.code(f"emulator.advance({HOUR})")
    tour.emulator.advance(HOUR)
    tour.code(f'client.files.retrieve("{file_id}")')
    try:
        tour.openai.files.retrieve(file_id)
    except import_module("openai").NotFoundError as error:
        tour.show(f"{error.status_code} {error.body}: it has expired, and left the collection")


def _let_fail(tour: Tour) -> None:
    tour.step("7. Let the next call fail, and watch the SDK retry")
    tour.code('POST /_emulator/faults  {"operation": "files.list", "error": "unavailable"}')
    _control(tour, "POST", "/faults", {"operation": "files.list", "error": "unavailable"})
    tour.code("client.files.list()")
    listed = tour.openai.files.list().data
    calls = _control(tour, "GET", "/requests")["requests"]
    statuses = [str(call["status"]) for call in calls if call["operation"] == "files.list"]
    tour.show(f"{len(listed)} files; the journal has {len(statuses)} attempts: {', then '.join(statuses)}")


def _control(tour: Tour, method: str, path: str, body: Any = None) -> Any:
    from urllib.request import Request

    from emulator.core.upstream import direct_opener

    data = None if body is None else json.dumps(body).encode()
    with direct_opener().open(Request(f"{tour.emulator.url}/_emulator{path}", data, method=method)) as reply:
        return json.load(reply)


def documents() -> list[dict[str, Any]]:
    """Yield the sample documents: name, fields, text."""
    lines = (_data() / "search" / "documents.jsonl").read_text("utf-8").splitlines()
    return [each for line in lines if (each := json.loads(line))["fields"]["category"] in TOPICS]


def _data() -> Path:
    """Return the folder of the samples: inside this package if installed, beside it in the repository."""
    package = Path(__file__).parents[1]
    return next(path for path in (package / "fixtures" / "data", package.parent / "fixtures" / "data") if path.is_dir())
