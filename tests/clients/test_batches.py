"""The Batch API under the unmodified clients: the examples of the Batch guide, but for the client's address."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import grpc
import httpx
import openai
import pytest
import xai_sdk
from xai_sdk.chat import file, image, required_tool, system, tool, tool_result, user
from xai_sdk.proto import batch_pb2
from xai_sdk.tools import mcp, web_search, x_search

from emulator import Emulator

SAMPLES = Path(__file__).parents[2] / "fixtures" / "data" / "batches"
TARGETS = {"local": {}, "insecure": {"use_insecure_channel": True}}


@pytest.fixture(autouse=True)
def time(emulator: Emulator) -> SimpleNamespace:
    """Where an example sleeps, the emulator's clock moves."""
    emulator.reset()
    return SimpleNamespace(sleep=emulator.advance)


@pytest.fixture(params=TARGETS)
def client(emulator: Emulator, request: pytest.FixtureRequest) -> Iterator[xai_sdk.Client]:
    target = emulator.grpc_target
    client = xai_sdk.Client(api_key=emulator.api_key, api_host=target, **TARGETS[request.param])
    yield client
    client.close()


@pytest.fixture
async def async_client(emulator: Emulator) -> AsyncIterator[xai_sdk.AsyncClient]:
    client = xai_sdk.AsyncClient(api_key=emulator.api_key, api_host=emulator.grpc_target)
    yield client
    await client.close()


FEEDBACK = [
    {"id": "fb_001", "text": "Absolutely love this product! Best purchase ever."},
    {"id": "fb_002", "text": "Delivery was late and the packaging was damaged."},
    {"id": "fb_003", "text": "Works fine, nothing special to report."},
    {"id": "fb_004", "text": "Customer support was incredibly helpful!"},
    {"id": "fb_005", "text": "The app keeps crashing on my phone."},
]
INSTRUCTION = (
    "Analyze the sentiment of the customer feedback. Respond with exactly one word: positive, negative, or neutral."
)


def test_complete_batch_example_of_guide(client: xai_sdk.Client, emulator: Emulator, time: SimpleNamespace) -> None:
    """Create, add, wait, read results and cost; here with answers that were written down before."""
    services = emulator._running().services
    services.teams.set_responder(services.teams.get("default"), f"canned:{SAMPLES / 'canned.jsonl'}")
    batch = client.batch.create(batch_name="feedback_sentiment_analysis")

    batch_requests = []
    for item in FEEDBACK:
        chat = client.chat.create(model="grok-4.20-reasoning", batch_request_id=item["id"])
        chat.append(system(INSTRUCTION))
        chat.append(user(item["text"]))
        batch_requests.append(chat)
    client.batch.add(batch_id=batch.batch_id, batch_requests=batch_requests)

    while True:
        batch = client.batch.get(batch_id=batch.batch_id)
        pending = batch.state.num_pending
        completed = batch.state.num_success + batch.state.num_error
        assert completed + pending == batch.state.num_requests
        if pending == 0:
            break
        time.sleep(2)

    results = client.batch.list_batch_results(batch_id=batch.batch_id)
    sentiments = {result.batch_request_id: result.response.content.strip().lower() for result in results.succeeded}
    assert list(sentiments.values()) == ["positive", "negative", "neutral", "neutral", "neutral"]
    assert list(sentiments) == [item["id"] for item in FEEDBACK]
    assert results.failed == []
    assert batch.cost_breakdown.total_cost_usd_ticks / 1e10 == pytest.approx(
        sum(result.response.cost_usd or 0 for result in results.succeeded)
    )


async def test_complete_batch_example_with_async_client(
    async_client: xai_sdk.AsyncClient, time: SimpleNamespace
) -> None:
    """The same with the other client, answered by an echo."""
    client = async_client
    batch = await client.batch.create(batch_name="feedback_sentiment_analysis")
    batch_requests = []
    for item in FEEDBACK:
        chat = client.chat.create(model="grok-4.20-reasoning", batch_request_id=item["id"])
        chat.append(system(INSTRUCTION))
        chat.append(user(item["text"]))
        batch_requests.append(chat)
    await client.batch.add(batch_id=batch.batch_id, batch_requests=batch_requests)
    while (batch := await client.batch.get(batch_id=batch.batch_id)).state.num_pending:
        time.sleep(5)
    results = await client.batch.list_batch_results(batch_id=batch.batch_id)
    contents = {result.batch_request_id: result.response.content for result in results.succeeded}
    assert contents == {item["id"]: item["text"] for item in FEEDBACK}
    cancelled = await client.batch.cancel(batch_id=batch.batch_id)
    assert cancelled.HasField("cancel_time")
    assert [each.batch_id for each in (await client.batch.list(limit=20)).batches] == [batch.batch_id]
    listed = await client.batch.list_batch_requests(batch_id=batch.batch_id)
    assert {request.state for request in listed.batch_request_metadata} == {2}


def test_batch_example_with_every_kind_of_request(client: xai_sdk.Client, time: SimpleNamespace) -> None:
    """Step 2 of the guide, and step 4 with its pagination: chats with tools, pictures, films, edits and MCP."""
    batch = client.batch.create(batch_name="customer_feedback_analysis")
    batch_requests = []

    chat = client.chat.create(
        model="grok-4.20-reasoning", batch_request_id="chat_001", tools=[web_search(), x_search()]
    )
    chat.append(system("Analyze market sentiment from recent news and posts."))
    chat.append(user("What is the current sentiment around TSLA stock?"))
    batch_requests.append(chat)
    image_model, video_model = "grok-imagine-image", "grok-imagine-video"
    batch_requests.append(
        client.image.prepare(
            prompt="A sleek modern laptop on a minimalist desk", model=image_model, batch_request_id="img_001"
        )
    )
    batch_requests.append(
        client.image.prepare(
            prompt="Add a rainbow in the background",
            model=image_model,
            image_url="https://picsum.photos/800",
            batch_request_id="img_edit_001",
        )
    )
    batch_requests.append(
        client.video.prepare(
            prompt="A product rotating on a turntable with dramatic lighting",
            model=video_model,
            batch_request_id="vid_001",
        )
    )
    batch_requests.append(
        client.video.prepare(
            prompt="Make it slow motion",
            model=video_model,
            video_url="https://lorem.video/cat_360p_3s",
            batch_request_id="vid_edit_001",
        )
    )
    mcp_chat = client.chat.create(
        model="grok-4.20-reasoning", batch_request_id="mcp_001", tools=[mcp(server_url="https://mcp.deepwiki.com/mcp")]
    )
    mcp_chat.append(user("What does the xai-sdk-python repo do?"))
    batch_requests.append(mcp_chat)
    client.batch.add(batch_id=batch.batch_id, batch_requests=batch_requests)
    time.sleep(5)

    all_succeeded, all_failed, pagination_token, pages = [], [], None, 0
    while True:
        page = client.batch.list_batch_results(batch_id=batch.batch_id, limit=2, pagination_token=pagination_token)
        pages += 1
        all_succeeded.extend(page.succeeded)
        all_failed.extend(page.failed)
        if page.pagination_token is None:
            break
        pagination_token = page.pagination_token
    assert (pages, all_failed) == (3, [])

    seen = {}
    for result in all_succeeded:
        response = result.proto.response
        if response.HasField("completion_response"):
            seen[result.batch_request_id] = result.response.content
            assert result.response.usage.total_tokens > 0
        elif response.HasField("image_response"):
            assert httpx.get(result.image_response.url).content.startswith(b"\x89PNG")
            seen[result.batch_request_id] = result.image_response.model
        elif response.HasField("video_response"):
            assert httpx.get(result.video_response.url).headers["content-type"] == "video/mp4"
            seen[result.batch_request_id] = result.video_response.model
    assert seen == {
        "chat_001": "What is the current sentiment around TSLA stock?\n\n"
        "[xai-emulator: accepted, but not run: web_search, x_search]",
        "img_001": image_model,
        "img_edit_001": image_model,
        "mcp_001": "What does the xai-sdk-python repo do?\n\n[xai-emulator: accepted, but not run: mcp]",
        "vid_001": video_model,
        "vid_edit_001": video_model,
    }


def test_pictures_and_films_with_every_option(client: xai_sdk.Client, time: SimpleNamespace) -> None:
    """Base64, ratios, stored files with public URLs, files as input."""
    uploaded = client.files.upload(b"\x89PNG", filename="input.png")
    batch = client.batch.create(batch_name="media")
    storage = {"filename": "out.png", "expires_after": 7200, "public_url": {"expires_after": 3600}}
    requests = [
        client.image.prepare(
            prompt="a",
            model="grok-imagine-image",
            batch_request_id="base64",
            image_file_ids=[uploaded.id],
            image_urls=["https://example.com/a.png"],
            image_format="base64",
            aspect_ratio="9:19.5",
            resolution="2k",
            quality="low",
            user="u",
        ),
        client.image.prepare(
            prompt="a", model="grok-imagine-image", batch_request_id="stored", storage_options=storage
        ),
        client.video.prepare(
            prompt="a",
            model="grok-imagine-video",
            batch_request_id="film",
            image_file_id=uploaded.id,
            duration=3,
            aspect_ratio="16:9",
            resolution="720p",
            storage_options={"filename": "out.mp4", "public_url": True},
        ),
        client.image.prepare(
            prompt="a", model="grok-imagine-image", batch_request_id="missing", image_file_id="file_nope"
        ),
    ]
    client.batch.add(batch_id=batch.batch_id, batch_requests=requests)
    time.sleep(5)
    page = client.batch.list_batch_results(batch_id=batch.batch_id)
    results = {result.batch_request_id: result for result in page.succeeded}
    assert base64.b64decode(results["base64"].image_response.base64.split(",")[1]).startswith(b"\x89PNG")
    stored = results["stored"].image_response
    assert (
        httpx.get(stored.public_url).content
        == httpx.get(stored.url).content
        == client.files.content(stored.file_output.file_id)
    )
    assert stored.file_output.HasField("public_url_expires_at")
    film = results["film"].video_response
    assert (film.duration, film.respect_moderation, film.storage_error) == (3, True, None)
    assert client.files.get(film.file_output.file_id).filename == "out.mp4"
    [failed] = page.failed
    assert (failed.batch_request_id, failed.error_message) == ("missing", "File file_nope not found")
    assert {each.filename for each in client.files.list().data} == {"input.png", "out.png", "out.mp4"}
    for request in requests:  # and each comes back as it was sent
        wanted = batch_pb2.GetBatchRequestResultRequest(
            batch_id=batch.batch_id, batch_request_id=request.batch_request_id
        )
        assert client.batch._stub.GetBatchRequestResult(wanted).request == request


def test_client_side_tools_over_two_batches(client: xai_sdk.Client, time: SimpleNamespace) -> None:
    """The model's call comes back to be carried out, its outcome goes into another request."""
    weather = tool("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
    chat = client.chat.create(
        model="grok-4.20-reasoning", batch_request_id="a", tools=[weather], tool_choice=required_tool("get_weather")
    )
    chat.append(user("Rain in Bern?", image("https://example.com/sky.png"), file("file_nope")))
    first = client.batch.create(batch_name="first")
    client.batch.add(batch_id=first.batch_id, batch_requests=[chat])
    time.sleep(1)
    [failed] = client.batch.list_batch_results(batch_id=first.batch_id).failed
    assert failed.error_message == "File file_nope not found"

    chat = client.chat.create(
        model="grok-4.20-reasoning", batch_request_id="b", tools=[weather], tool_choice=required_tool("get_weather")
    )
    chat.append(user("Rain in Bern?", image("https://example.com/sky.png")))
    client.batch.add(batch_id=first.batch_id, batch_requests=[chat])
    time.sleep(1)
    [result] = client.batch.list_batch_results(batch_id=first.batch_id).succeeded
    assert result.response.finish_reason == "REASON_TOOL_CALLS"
    [call] = result.response.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": ""})

    chat.append(result.response)
    chat.append(tool_result("rain", tool_call_id=call.id))
    chat.append(user("Thanks!"))
    chat.proto.ClearField("tool_choice")
    second = client.batch.create(batch_name="second")
    client.batch.add(batch_id=second.batch_id, batch_requests=[chat])
    time.sleep(1)
    [result] = client.batch.list_batch_results(batch_id=second.batch_id).succeeded
    assert result.response.content == "Thanks!"


def test_batch_file_example_of_guide(client: xai_sdk.Client, emulator: Emulator, time: SimpleNamespace) -> None:
    """The example of the guide: upload, create, monitor; and what a bad line leads to."""
    with open(SAMPLES / "all_urls.jsonl", "rb") as lines:
        uploaded = client.files.upload(lines)
    batch = client.batch.create(batch_name="sentiment_analysis", input_file_id=uploaded.id)
    assert (batch.state.num_requests, batch.input_file_id) == (0, uploaded.id)
    time.sleep(5)
    batch = client.batch.get(batch_id=batch.batch_id)
    assert (batch.state.num_requests, batch.state.num_success) == (8, 8)
    page = client.batch.list_batch_results(batch_id=batch.batch_id)
    kinds = {result.batch_request_id: result.proto.response.WhichOneof("response") for result in page.succeeded}
    assert kinds["chat"] == kinds["response"] == "completion_response"
    assert kinds["film-edit"] == "video_response"
    with pytest.raises(grpc.RpcError, match="Cannot add inline requests to a file-based batch"):
        client.batch.add(batch_id=batch.batch_id, batch_requests=[client.chat.create(model="m", messages=[user("x")])])

    bad = client.files.upload((SAMPLES / "bad_line.jsonl").read_bytes(), filename="bad.jsonl")
    batch = client.batch.create(batch_name="bad", input_file_id=bad.id)
    time.sleep(5)
    batch = client.batch.get(batch_id=batch.batch_id)
    assert batch.cancel_by_xai_message == "JSONL file validation failed: line 2: missing field `body`"
    assert batch.HasField("cancel_time")


def test_lists_of_batches_and_requests(client: xai_sdk.Client, time: SimpleNamespace) -> None:
    """In pages, to the end, with xai-sdk's own loop condition."""
    made = [client.batch.create(batch_name=f"b{n}").batch_id for n in range(5)]
    seen, token = [], None
    while True:
        page = client.batch.list(limit=2, pagination_token=token)
        seen += [batch.batch_id for batch in page.batches]
        if not page.pagination_token:
            break
        token = page.pagination_token
    assert seen == made[::-1]
    chats = [client.chat.create(model="m", messages=[user("x")]) for _ in range(5)]
    client.batch.add(batch_id=made[0], batch_requests=chats)
    time.sleep(1)
    metadata = client.batch.list_batch_requests(batch_id=made[0]).batch_request_metadata
    assert len({each.batch_request_id for each in metadata}) == 5
    assert {each.state for each in metadata} == {batch_pb2.BatchRequestMetadata.STATE_SUCCEEDED}


def test_large_add_requests_call_succeeds(client: xai_sdk.Client, time: SimpleNamespace) -> None:
    """xai-sdk sends everything in one message of up to 20 MiB."""
    batch = client.batch.create(batch_name="large")
    chats = [
        client.chat.create(model="m", messages=[user(f"{n} {'x' * 9000}")], batch_request_id=f"r{n:04}")
        for n in range(2000)
    ]
    client.batch.add(batch_id=batch.batch_id, batch_requests=chats)
    time.sleep(30)
    assert client.batch.get(batch_id=batch.batch_id).state.num_success == 2000
    page = client.batch.list_batch_results(batch_id=batch.batch_id, limit=1000)
    assert [result.response.content.split()[0] for result in page.succeeded] == [str(n) for n in range(1000)]


def test_openai_as_a_transport(emulator: Emulator, time: SimpleNamespace) -> None:
    """Its client knows the Files API and can call what it does not know; the loop is the guide's, written for fetch."""
    with openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=0) as client:
        lines = client.files.create(file=SAMPLES / "all_urls.jsonl", purpose="batch")
        batch = client.post("/batches", cast_to=dict, body={"name": "by openai", "input_file_id": lines.id})
        time.sleep(5)
        found, token = [], None
        while True:
            query = {"page_size": 3, **({"pagination_token": token} if token else {})}
            page = client.get(f"/batches/{batch['batch_id']}/results", cast_to=dict, options={"params": query})
            found += page["results"]
            if not page["pagination_token"]:
                break
            token = page["pagination_token"]
        responses = {each["batch_request_id"]: each["batch_result"]["response"] for each in found}
        assert len(responses) == len(found) == 8
        assert responses["picture"]["image_generation"]["data"][0]["url"].startswith(emulator.url)
        assert responses["film"]["video_generation"]["video"]["duration"] == 6
        total = sum(next(iter(each.values()))["usage"]["cost_in_usd_ticks"] for each in responses.values())
        assert total > 0
        with pytest.raises(openai.UnprocessableEntityError):  # its own batches have no name, and this API wants one
            client.batches.create(input_file_id=lines.id, endpoint="/v1/chat/completions", completion_window="24h")
