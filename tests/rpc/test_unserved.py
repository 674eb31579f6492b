"""Methods that are not served, called by the real client and by hand: UNIMPLEMENTED with the reason."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import httpx
import pytest

from emulator import Emulator
from tests.rpc.client import PATIENCE_SECONDS, trailers

EMBEDDINGS = "embeddings are not emulated"


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("/xai_api.Embedder/Embed", f"xai_api.Embedder/Embed: {EMBEDDINGS}."),
        ("/xai_api.Sample/SampleText", "xai_api.Sample/SampleText: text completion is not emulated."),
    ],
)
def test_method_not_emulated_is_unimplemented_with_reason(
    emulator: Emulator, control: httpx.Client, method: str, words: str
) -> None:
    """UNIMPLEMENTED with the sentence of REST, for a whole service or one method; the journal says NOT_EMULATED."""
    metadata = [("authorization", f"Bearer {emulator.api_key}")]
    with grpc.insecure_channel(emulator.grpc_target) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(method)(b"", metadata=metadata, timeout=PATIENCE_SECONDS)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert words in refused.value.details()
    assert trailers(refused.value)["x-emulator-rule"] == "not_emulated"
    (entry,) = control.get("/requests").json()["requests"]
    assert (entry["outcome"], entry["status"], entry["transport"]) == ("NOT_EMULATED", "UNIMPLEMENTED", "grpc")
    assert entry["response_headers"]["grpc-message"] == refused.value.details()
    assert entry["target"].removeprefix("/").startswith("xai_api.")


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream", "stream_unary", "stream_stream"])
@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("/xai_api.Files/Nothing", "There is no method Nothing in service xai_api.Files."),
        ("/grpc.health.v1.Health/Nothing", "There is no method Nothing in service grpc.health.v1.Health."),
        ("/xai_api.Chat/Nothing", "There is no method Nothing in service xai_api.Chat."),
        ("/xai_api.Embedder/Nothing", f"xai_api.Embedder/Nothing: {EMBEDDINGS}."),
        ("/nope.Nope/Nothing", "There is no service nope.Nope in this API."),
        ("/nothing", "There is no service nothing in this API."),
        (f"/nope.{'n' * 5000}/Nothing", f"There is no service nope.{'n' * 195} in this API."),
        ("/nope.Ä%ö\x7f/Nothing", "There is no service nope.Ä%ö\x7f in this API."),
    ],
)
def test_unknown_method_of_any_streaming_kind_is_unimplemented(
    emulator: Emulator, kind: str, method: str, words: str
) -> None:
    """However the client streams; the name is cut where it is very long."""
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        stub = getattr(channel, kind)(method)
        sent = iter([b"x"] * 3) if kind.startswith("stream") else b"x"
        with pytest.raises(grpc.RpcError) as refused:
            list(stub(sent, timeout=PATIENCE_SECONDS))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.details() == words


def test_unknown_method_is_refused_before_first_message(emulator: Emulator) -> None:
    """A client that streams messages is refused before it ends the stream."""

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1000)

    with grpc.insecure_channel(emulator.grpc_target) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.stream_unary("/xai_api.Files/Nothing")(endless(), timeout=PATIENCE_SECONDS)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
