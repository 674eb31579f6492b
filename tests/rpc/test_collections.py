"""The Collections service at the level of its messages: what clients can send that xai-sdk does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.rpc.messages import load

SERVICE = "collections.Collections"


class Stub:
    """Calls any RPC of the service with our own messages."""

    def __init__(self, channel: grpc.Channel, key: str) -> None:
        self._channel, self._metadata = channel, [("authorization", f"Bearer {key}")]

    def __call__(self, name: str, /, **fields: Any) -> Any:
        method = load().service(SERVICE).methods_by_name[name]
        request, reply = (load().message(each.full_name) for each in (method.input_type, method.output_type))
        call = self._channel.unary_unary(
            f"/{SERVICE}/{name}", lambda message: message.SerializeToString(), reply.FromString
        )
        return call(request(**fields), metadata=self._metadata)


@pytest.fixture
def call(emulator: Emulator) -> Iterator[Stub]:
    emulator.reset()
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        yield Stub(channel, emulator.management_key)


def refused(work: Callable[[], Any]) -> tuple[str, str]:
    """The code and the details of the refusal of a call."""
    with pytest.raises(grpc.RpcError) as caught:
        work()
    return caught.value.code().name, caught.value.details()


def upload(emulator: Emulator, name: str = "a.txt", content: bytes = b"text") -> str:
    """Upload a file over REST and return its id."""
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    id: str = httpx.post(f"{emulator.url}/v1/files", headers=headers, files={"file": (name, content)}).json()["id"]
    return id


def test_collections_methods_are_all_served(call: Stub) -> None:
    """All RPCs of the service answer, none of them with UNIMPLEMENTED."""
    for method in load().service(SERVICE).methods:
        if method.name == "ListCollections":
            assert call(method.name).collections == []
        else:
            assert refused(lambda name=method.name: call(name))[0] in ("NOT_FOUND", "INVALID_ARGUMENT")


def test_messages_of_rest_are_the_messages_of_grpc(emulator: Emulator, call: Stub) -> None:
    """A refusal has the same words over both transports, the line break of the recorded form included."""
    words = "collection_name: Field is empty but must not be empty. [WKE=form-invalid:not-empty:collection_name]\n"
    assert refused(lambda: call("CreateCollection")) == ("INVALID_ARGUMENT", words)
    assert refused(lambda: call("GetCollectionMetadata", collection_id="x")) == ("NOT_FOUND", "Collection not found")


@pytest.mark.parametrize("key", ["xai-inference", ""])
def test_other_keys_are_unauthenticated_for_collections(emulator: Emulator, key: str) -> None:
    """A key of the other plane, and none, are UNAUTHENTICATED."""
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        assert refused(lambda: Stub(channel, key)("ListCollections"))[0] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"metric_space": 9}, "Invalid metric_space: 9"),
        ({"chunk_configuration": {}}, "Exactly one strategy must be given"),
        ({"chunk_configuration": {"bytes_configuration": {}}}, "max_chunk_size_bytes must be at least 1"),
        ({"chunk_configuration": {"tokens_configuration": {"encoding_name": "x"}}}, "max_chunk_size_tokens must be"),
        ({"field_definitions": [{"key": ""}]}, "field_definitions.key: Field is empty"),
        ({"team_id": "another"}, "team_id"),
    ],
)
def test_invalid_collection_is_refused(call: Stub, fields: dict[str, Any], words: str) -> None:
    """Unknown enum numbers, a chunk configuration without a strategy and a foreign team are refused."""
    code, details = refused(lambda: call("CreateCollection", collection_name="a", **fields))
    assert code == ("PERMISSION_DENIED" if "team_id" in fields else "INVALID_ARGUMENT")
    assert words in details


@pytest.mark.parametrize("letter", ["x", "é", "\u20ac", "😀", "%"])
def test_long_refusal_is_cut_to_fit_a_header(call: Stub, letter: str) -> None:
    """A message travels as a header, and a client drops an answer with long ones: it is cut, wherever that falls."""
    key = letter * 10_000
    request = {"collection_name": "c", "field_definitions": [{"key": key}, {"key": key}]}
    code, details = refused(lambda: call("CreateCollection", **request))
    assert (code, letter * 300 in details) == ("INVALID_ARGUMENT", True)
    assert details.endswith(f"{letter}…")


@pytest.mark.parametrize("field", ["order", "sort_by"])
def test_unknown_sort_order_is_refused_by_name(call: Stub, field: str) -> None:
    """Enums are open on the wire: an unknown number is refused by the name of its field."""
    id = call("CreateCollection", collection_name="a").collection_id
    for name, more in (("ListCollections", {}), ("ListDocuments", {"collection_id": id})):
        assert refused(lambda name=name, more=more: call(name, **more, **{field: 9}))[1].startswith(f"Invalid {field}")


def test_lists_are_descending_unless_asked_otherwise(emulator: Emulator, call: Stub) -> None:
    """No order and ORDERING_UNKNOWN are descending by name; the token is absent on the last page."""
    ids = [call("CreateCollection", collection_name=name).collection_id for name in ("a", "b")]
    for name in ("1.txt", "2.txt"):
        call("AddDocumentToCollection", collection_id=ids[0], file_id=upload(emulator, name))
    for order in ({}, {"order": 0}, {"order": 2}):
        assert [each.collection_name for each in call("ListCollections", **order).collections] == ["b", "a"]
        documents = call("ListDocuments", collection_id=ids[0], **order).documents
        assert [each.file_metadata.name for each in documents] == ["2.txt", "1.txt"]
    first = call("ListDocuments", collection_id=ids[0], limit=1)
    last = call("ListDocuments", collection_id=ids[0], limit=1, pagination_token=first.pagination_token)
    assert (first.HasField("pagination_token"), last.HasField("pagination_token")) == (True, False)


def test_chunk_strategy_of_rest_only_is_left_out(emulator: Emulator, call: Stub) -> None:
    """The messages have three strategies: of another one they show the flags alone."""
    headers = {"authorization": f"Bearer {emulator.management_key}"}
    configuration = {"markdown_chars_configuration": {"max_chunk_size_chars": 9}, "strip_whitespace": True}
    body = {"collection_name": "a", "chunk_configuration": configuration}
    id = httpx.post(f"{emulator.url}/v1/collections", headers=headers, json=body).json()["collection_id"]
    shown = call("GetCollectionMetadata", collection_id=id).chunk_configuration
    assert (shown.WhichOneof("config"), shown.strip_whitespace) == (None, True)
    renamed = call("UpdateCollection", collection_id=id, collection_name="b")
    assert renamed.chunk_configuration == shown


def test_uploaded_document_is_a_file_and_a_document_at_once(emulator: Emulator, call: Stub) -> None:
    """xai-sdk 1.4.0 uploads documents so."""
    id = call("CreateCollection", collection_name="a").collection_id
    one = {"collection_id": id, "name": "a.txt", "data": b"text", "content_type": "text/csv", "fields": {"a": "1"}}
    document = call("UploadDocument", **one)
    assert call("GetDocumentMetadata", collection_id=id, file_id=document.file_metadata.file_id) == document
    assert (document.file_metadata.content_type, dict(document.fields)) == ("text/csv", {"a": "1"})
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    content = httpx.get(f"{emulator.url}/v1/files/{document.file_metadata.file_id}/content", headers=headers).content
    assert content == b"text"
    assert call("UploadDocument", **{**one, "content_type": ""}).file_metadata.content_type == "text/plain"


def test_refused_upload_of_a_document_leaves_no_file(emulator: Emulator, call: Stub) -> None:
    id = call("CreateCollection", collection_name="a").collection_id
    assert refused(lambda: call("UploadDocument", collection_id="collection_1", name="a.txt"))[0] == "NOT_FOUND"
    assert "Invalid filename" in refused(lambda: call("UploadDocument", collection_id=id, name="a;b", data=b"x"))[1]
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    assert httpx.get(f"{emulator.url}/v1/files", headers=headers).json()["data"] == []


def test_document_update_changes_named_members_only(emulator: Emulator, call: Stub) -> None:
    """Name, data and type of an update belong to the file, fields to the document; empty data is data."""
    id = call("CreateCollection", collection_name="a").collection_id
    one = {"collection_id": id, "file_id": upload(emulator)}
    call("AddDocumentToCollection", **one, fields={"a": "1", "b": "2"})

    def update(**changes: Any) -> tuple[str, str, int, dict[str, str]]:
        document = call("UpdateDocument", **one, **changes)
        file = document.file_metadata
        return file.name, file.content_type, file.size_bytes, dict(document.fields)

    assert update() == ("a.txt", "text/plain", 4, {"a": "1", "b": "2"})
    assert update(fields={"b": "3", "c": "4"}) == ("a.txt", "text/plain", 4, {"a": "1", "b": "3", "c": "4"})
    assert update(content_type="text/csv")[:3] == ("a.txt", "text/csv", 4)
    assert update(name="b.md")[:3] == ("b.md", "text/markdown", 4)
    assert update(data=b"")[:3] == ("b.md", "text/markdown", 0)
    assert "Invalid filename" in refused(lambda: call("UpdateDocument", **one, name="a;b"))[1]
    assert "at most 255" in refused(lambda: call("UpdateDocument", **one, name="x" * 256))[1]


def test_refused_document_update_changes_nothing(emulator: Emulator, call: Stub) -> None:
    """New data and fields that break a rule: the file keeps its bytes, the document its fields."""
    definitions = [{"key": "isbn", "unique": True}]
    id = call("CreateCollection", collection_name="a", field_definitions=definitions).collection_id
    files = [upload(emulator, f"{number}.txt") for number in range(2)]
    for number, file in enumerate(files):
        call("AddDocumentToCollection", collection_id=id, file_id=file, fields={"isbn": str(number)})
    one = {"collection_id": id, "file_id": files[0]}
    before = call("GetDocumentMetadata", **one)
    code, _ = refused(lambda: call("UpdateDocument", **one, data=b"new", name="new.txt", fields={"isbn": "1"}))
    assert code == "INVALID_ARGUMENT"
    assert call("GetDocumentMetadata", **one) == before
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    assert httpx.get(f"{emulator.url}/v1/files/{files[0]}/content", headers=headers).content == b"text"


def test_description_is_made_of_indexed_documents(emulator: Emulator, call: Stub) -> None:
    """Nothing that can be found gives the empty text; else names and frequent words, always the same ones."""
    id = call("CreateCollection", collection_name="a").collection_id

    def describe() -> str:
        description: str = call("GenerateCollectionDescription", collection_id=id).collection_description
        return description

    assert describe() == ""
    call("AddDocumentToCollection", collection_id=id, file_id=upload(emulator, "broken.txt", b"\xff\xfe\xfd"))
    assert describe() == ""
    for name, text in (("b.txt", b"Whales sing. Whales dive."), ("a.txt", b"Some whales sing deeply.")):
        call("AddDocumentToCollection", collection_id=id, file_id=upload(emulator, name, text))
    assert describe() == "3 documents (a.txt, b.txt) about whales, sing, deeply and dive."
    assert describe() == describe()
    assert not call("GetCollectionMetadata", collection_id=id).HasField("collection_description")
