"""The Batch API over REST: shapes, refusals, lists, expiry, rates, media, and what one team sees of another."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.domain.batches.batch import UNSUPPORTED_MODELS
from emulator.rest import batches as rest_batches
from tests.rest.batch_helpers import Batches, chat_body, line, request

SHAPE = "Failed to deserialize the JSON body into the target type: "


@pytest.fixture
def batches(emulator: Emulator) -> Iterator[Batches]:
    """The default team, as new."""
    emulator.reset()
    client = Batches(emulator)
    with client.http:
        yield client


# --- shapes


def test_batch_has_recorded_members(batches: Batches) -> None:
    """Dates without a time, five counters, nulls that are there, no word for the status, no file that is not there."""
    reply = batches.http.post("/v1/batches", json={"name": "n", "endpoint": "ignored"})
    batch = reply.raise_for_status().json()
    assert list(batch) == [
        *("batch_id", "name", "create_time", "expire_time", "create_api_key_id", "cancel_time"),
        *("cancel_by_xai_message", "state"),
    ]
    assert batch["batch_id"].startswith("batch_")
    assert len(batch["create_time"]) == len("2026-01-01") == len(batch["expire_time"])
    assert (batch["cancel_time"], batch["cancel_by_xai_message"]) == (None, None)
    counters = ["num_requests", "num_pending", "num_success", "num_error", "num_cancelled"]
    assert batch["state"] == dict.fromkeys(counters, 0)
    assert batch["create_api_key_id"] == batches.http.get("/v1/api-key").json()["api_key_id"]
    assert batches.get(batch["batch_id"]) == batch
    assert (reply.headers["x-data-retention"], reply.headers["x-zero-data-retention"]) == ("general", "false")


def test_batch_dates_are_utc_and_thirty_days_apart(batches: Batches) -> None:
    """They follow the team's clock."""
    batches.http.post("/_emulator/clock/freeze", json={"at": "2026-03-01T23:59:59Z"}).raise_for_status()
    batch = batches.get(batches.create())
    assert (batch["create_time"], batch["expire_time"]) == ("2026-03-01", "2026-03-31")
    batches.advance(1)
    assert batches.cancel(batch["batch_id"])["cancel_time"] == "2026-03-02"


def test_requests_and_results_have_recorded_members(batches: Batches) -> None:
    """The body of an add is the word null; states are lower case; errors are bare strings."""
    id = batches.create()
    reply = batches.add(id, request("ok"), request("bad", body=chat_body(max_tokens=-5)))
    assert (reply.status_code, reply.content) == (200, b"null")
    batches.advance(1)
    bad, ok = batches.requests(id)
    assert list(ok) == ["batch_request_id", "endpoint", "model", "state", "create_time", "finish_time"]
    assert (ok["endpoint"], ok["model"], ok["state"]) == ("xai_api.Chat/GetCompletion", "grok-4", "succeeded")
    assert (bad["state"], bad["finish_time"]) == ("failed", ok["create_time"])
    results = batches.results(id)
    error = "Maximum number of tokens max_tokens must be positive but max_tokens = -5"
    assert results["bad"] == {"error": error}
    completion = results["ok"]["response"]["chat_get_completion"]
    assert (completion["object"], completion["service_tier"]) == ("chat.completion", "default")
    assert completion["choices"][0]["message"] == {"role": "assistant", "content": "hi", "refusal": None}
    assert isinstance(completion["usage"]["cost_in_usd_ticks"], int)
    assert batches.counters(id) == (2, 0, 1, 1, 0)


@pytest.mark.parametrize(
    ("kind", "body", "result", "endpoint"),
    [
        ("chat_get_completion", chat_body(), "chat_get_completion", "xai_api.Chat/GetCompletion"),
        ("responses", {"input": "hi"}, "chat_get_completion", "xai_api.Chat/GetCompletion"),
        ("image_generation", {"prompt": "a"}, "image_generation", "xai_api.Image/GenerateImage"),
        ("image_edit", {"prompt": "a", "image": {"url": "u"}}, "image_generation", "xai_api.Image/GenerateImage"),
        ("video_generation", {"prompt": "a"}, "video_generation", "xai_api.Video/GenerateVideo"),
        ("video_generation", {"video": {"url": "u"}}, "video_generation", "xai_api.Video/GenerateVideo"),
        ("video_extension", {"prompt": "a", "video": {"url": "u"}}, "video_generation", "xai_api.Video/ExtendVideo"),
    ],
)
def test_result_of_each_kind_has_its_own_envelope(
    batches: Batches, kind: str, body: dict[str, Any], result: str, endpoint: str
) -> None:
    """A `responses` request comes back as a chat completion (observed live)."""
    id = batches.filled(request("a", kind, body))
    batches.advance(1)
    assert list(batches.results(id)["a"]["response"]) == [result]
    assert batches.requests(id)[0]["endpoint"] == endpoint


def test_request_without_id_gets_generated_id(batches: Batches) -> None:
    """An absent, a null and an empty id are none."""
    id = batches.filled(request(None), request(""), {"batch_request": {"responses": {"input": "x"}}})
    ids = [item["batch_request_id"] for item in batches.requests(id)]
    assert len(set(ids)) == 3
    assert all(each.startswith("batch_request_") for each in ids)


# --- refusals


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "missing field `name` at line 1 column 2"),
        ({"name": 5}, "name: invalid type: integer `5`, expected a string at line 1 column 9"),
    ],
)
def test_misshapen_batch_returns_422(batches: Batches, body: dict[str, Any], sentence: str) -> None:
    """The words of the live service."""
    content = json.dumps(body, separators=(",", ":"))
    reply = batches.http.post("/v1/batches", content=content, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.text) == (422, SHAPE + sentence)
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ({}, "batch_requests[0]: missing field `batch_request`"),
        ({"batch_request": {}}, "batch_requests[0].batch_request: invalid length 0, expected a map with a single key"),
        ({"batch_request": {"chat": {}}}, "batch_requests[0].batch_request: unknown variant `chat`, expected one of"),
        (
            {"batch_request": {"responses": {"input": ""}, "image_edit": {"prompt": ""}}},
            "batch_requests[0].batch_request: invalid length 2, expected a map with a single key",
        ),
        (
            request("a", body={"messages": [{"role": "robot", "content": "x"}]}),
            "batch_requests[0].batch_request.chat_get_completion.messages[0].role: unknown variant `robot`",
        ),
        (request("a", "responses", {}), "batch_requests[0].batch_request.responses: missing field `input`"),
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_misshapen_request_refuses_whole_call(
    batches: Batches, item: dict[str, Any], sentence: str, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the call is admitted, and the place is named, also where the body is too large to decode at once."""
    if large:
        monkeypatch.setattr(rest_batches, "WHOLE_BYTES_MAX", 0)
    id = batches.create()
    reply = batches.add(id, item, request("good"))
    assert reply.status_code == 422
    assert reply.text.startswith(SHAPE + sentence)
    assert batches.counters(id) == (0, 0, 0, 0, 0)


def refused(reply: httpx.Response) -> tuple[int, str, str]:
    """Status, code and words of a refusal."""
    return reply.status_code, reply.json()["code"], reply.json()["error"]


def test_batch_refusals_have_recorded_messages(batches: Batches) -> None:
    """An unsupported model, other content under an id, a batch from a file, a cancelled batch."""
    id = batches.filled(request("text-1"))
    for model in sorted(UNSUPPORTED_MODELS):
        sentence = f"Model {model} is not supported for batch processing."
        assert refused(batches.add(id, request("x", body=chat_body(model=model)))) == (
            400,
            "invalid-argument",
            sentence,
        )
    differs = "batch_request_id 'text-1' content differs from originally submitted"
    other = request("text-1", body=chat_body("other"))
    assert refused(batches.add(id, other)) == (412, "failed-precondition", differs)
    assert refused(batches.add(id, request("y"), request("y", body=chat_body("other"))))[0] == 412
    sealed = batches.from_lines(line("a"))
    file_based = "Cannot add inline requests to a file-based batch"
    assert refused(batches.add(sealed, request("b"))) == (412, "failed-precondition", file_based)
    batches.cancel(id)
    cancelled = "Cannot add requests to a cancelled batch"
    assert refused(batches.add(id, request("z"))) == (403, "permission-denied", cancelled)
    assert [item["batch_request_id"] for item in batches.requests(id)] == ["text-1"]


def test_unknown_batch_and_file_return_404(batches: Batches) -> None:
    """Unknown batches and files are 404."""
    id = batches.create()
    replies = [
        batches.http.get("/v1/batches/batch_nope"),
        batches.http.post("/v1/batches/batch_nope:cancel"),
        batches.http.get("/v1/batches/batch_nope/requests"),
        batches.http.get("/v1/batches/batch_nope/results"),
        batches.add("batch_nope", request("a")),
    ]
    assert {refused(reply) for reply in replies} == {(404, "not-found", "Batch not found")}
    unknown = batches.http.post("/v1/batches", json={"name": "x", "input_file_id": "file_nope"})
    assert refused(unknown) == (404, "not-found", "File not found")
    assert batches.http.get(f"/v1/batches/{id}%3Acancel").status_code == 404, "an encoded colon belongs to the id"


def test_bad_item_refuses_whole_call(batches: Batches) -> None:
    """What comes before it is not admitted either."""
    id = batches.create()
    good = [request(f"r{n}") for n in range(300)]
    assert batches.add(id, *good, request("bad", body=chat_body(model="grok-3-mini"))).status_code == 400
    assert batches.counters(id) == (0, 0, 0, 0, 0)
    assert batches.requests(id) == []


def test_adding_same_request_again_changes_nothing(batches: Batches) -> None:
    """Not within a call, not with members in another order, not after it is finished."""
    id = batches.filled(request("a"), request("a"))
    batches.advance(1)
    turned = dict(reversed(chat_body().items())) | {"temperature": None}
    assert batches.add(id, request("a", body=turned), request("b")).status_code == 200
    assert batches.counters(id)[0] == 2


@pytest.mark.parametrize("second", ["the same", "another"])
def test_concurrent_adds_of_same_request_store_it_once(batches: Batches, second: str) -> None:
    """Each request is there once; where their content differs, one call is refused and leaves nothing behind."""
    batches.configure(batches="manual")
    id = batches.filled(request("there"))
    same = [request(f"r{n}") for n in range(1000)]
    calls = [
        [request("own-1"), *same, request("last", body=chat_body("the same"))],
        [request("own-2"), *same, request("last", body=chat_body(second))],
    ]
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda requests: batches.add(id, *requests).status_code, calls))
    assert sorted(replies) == ([200, 200] if second == "the same" else [200, 412])
    kept = {row["batch_request_id"] for row in batches.requests(id, limit=1000)}
    owned = {own for own, status in zip(("own-1", "own-2"), replies, strict=True) if status == 200}
    assert kept == {"there", "last", *owned, *(f"r{n}" for n in range(1000))}
    assert batches.counters(id)[0] == len(kept)


@pytest.mark.parametrize("large", [False, True])
def test_request_nested_too_deeply_is_refused(batches: Batches, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is refused at the depth at which any body would be, counted from the outside."""
    if large:
        monkeypatch.setattr(rest_batches, "WHOLE_BYTES_MAX", 0)
    batches.configure(limits={"json_depth_max": 12})
    id = batches.create()

    def nested(depth: int) -> dict[str, Any]:
        value: Any = 0
        for _ in range(depth):
            value = [value]
        return request("a", body=chat_body(response_format={"x": value}))

    assert batches.add(id, nested(12 - 6)).status_code == 200
    reply = batches.add(id, nested(12 - 5))
    assert (reply.status_code, reply.headers["x-emulator-rule"]) == (400, "json_depth_max")


@pytest.mark.parametrize(("count", "refused"), [(2, False), (3, False), (4, True)])
def test_call_with_too_many_requests_is_refused(batches: Batches, count: int, refused: bool) -> None:
    """None of them is added."""
    batches.configure(limits={"batch_requests_per_call_max": 3})
    id = batches.create()
    reply = batches.add(id, *(request(f"{number}") for number in range(count)))
    assert reply.headers.get("x-emulator-rule") == ("batch_requests_per_call_max" if refused else None)
    assert (reply.status_code, batches.counters(id)[0]) == ((400, 0) if refused else (200, count))


def test_json_items_are_limited_per_request(batches: Batches) -> None:
    """A call may hold more items than one body elsewhere: its requests are decoded one by one."""
    batches.configure(limits={"json_items_max": 40})
    id = batches.create()
    stop = [f"{number}" for number in range(10)]
    many = [request(f"{number}", body=chat_body(stop=stop)) for number in range(10)]
    assert batches.add(id, *many).status_code == 200
    reply = batches.add(id, request("a"), request("b", body=chat_body(stop=stop * 4)))
    assert (reply.status_code, reply.headers["x-emulator-rule"]) == (413, "json_items_max")
    assert batches.counters(id)[0] == 10


def test_other_members_of_large_body_are_limited(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are ignored, unless they hold too much or are nested too deeply."""
    monkeypatch.setattr(rest_batches, "WHOLE_BYTES_MAX", 0)
    batches.configure(limits={"json_items_max": 40, "json_depth_max": 20})
    id = batches.create()
    for other, rule in (
        ([0] * 40, None),
        ([0] * 41, "json_items_max"),
        (json.loads("[" * 21 + "]" * 21), "json_depth_max"),
    ):
        body = {"other": other, "batch_requests": [request("a")]}
        reply = batches.http.post(f"/v1/batches/{id}/requests", json=body)
        assert reply.headers.get("x-emulator-rule") == rule
    assert batches.counters(id)[0] == 1


def test_finished_batch_accepts_more_requests(batches: Batches) -> None:
    """Nothing seals a batch whose requests are added by call."""
    id = batches.filled(request("a"))
    batches.advance(1)
    assert batches.counters(id) == (1, 0, 1, 0, 0)
    batches.add(id, request("b")).raise_for_status()
    batches.advance(1)
    assert batches.counters(id) == (2, 0, 2, 0, 0)


def test_request_over_size_limit_is_refused(batches: Batches) -> None:
    """Up to the limit inclusive; of the request, not of the call."""
    size = len(json.dumps(chat_body("x" * 50), separators=(",", ":")))
    batches.configure(limits={"batch_request_bytes_max": size})
    id = batches.create()
    assert batches.add(id, *(request(f"r{n}", body=chat_body("x" * 50)) for n in range(3))).status_code == 200
    assert batches.add(id, request("s", body=chat_body("x" * 49))).status_code == 200
    reply = batches.add(id, request("t"), request("u", body=chat_body("x" * 51)))
    assert reply.status_code == 413
    assert reply.headers["x-emulator-rule"] == "batch_request_bytes_max"
    assert batches.counters(id)[0] == 4


# --- lists


def test_batches_are_listed_newest_first(batches: Batches) -> None:
    """A full page has a token, even where nothing follows (observed live); `page_size` is another name for `limit`."""
    made = [batches.create() for _ in range(4)]
    pages = [[batch["batch_id"] for batch in page] for page in batches.pages("", "batches", limit=2)]
    assert pages == [made[:1:-1], made[1::-1], []]
    assert [len(page) for page in batches.pages("", "batches", page_size=3)] == [3, 1]
    assert [len(page) for page in batches.pages("", "batches", page_size=3, limit=4)] == [4, 0]
    assert [len(page) for page in batches.pages("", "batches", limit=0)] == [4]


@pytest.mark.parametrize(("path", "name"), [("requests", "batch_request_metadata"), ("results", "results")])
def test_requests_and_results_are_paged_in_id_order(batches: Batches, path: str, name: str) -> None:
    """In pages of up to a thousand; there is a token only where something follows."""
    ids = [f"r{n}" for n in range(1003)]
    id = batches.filled(*map(request, ids))
    batches.advance(5)
    for query, sizes in (
        ({}, [100] * 10 + [3]),
        ({"limit": 1000}, [1000, 3]),
        ({"page_size": 1000}, [1000, 3]),
        ({"limit": 5000}, [1000, 3]),
        ({"limit": 501}, [501, 501, 1]),
    ):
        pages = list(batches.pages(f"/{id}/{path}", name, **query))
        assert [len(page) for page in pages] == sizes
        assert [item["batch_request_id"] for page in pages for item in page] == sorted(ids)
    exact = batches.filled(request("a"), request("b"))
    batches.advance(1)
    assert [len(page) for page in batches.pages(f"/{exact}/{path}", name, limit=2)] == [2]


def test_page_token_of_another_list_is_refused(batches: Batches) -> None:
    """It is refused elsewhere, and so is what never was one."""
    one, other = (batches.filled(request("a"), request("b")) for _ in range(2))
    token = batches.http.get(f"/v1/batches/{one}/requests?limit=1").json()["pagination_token"]
    for path, wrong in (
        (f"/{other}/requests", token),
        (f"/{one}/results", token),
        ("", token),
        (f"/{one}/requests", "x"),
    ):
        reply = batches.http.get(f"/v1/batches{path}", params={"pagination_token": wrong})
        assert (reply.status_code, reply.headers["x-emulator-rule"]) == (400, "pagination_token")
    assert batches.http.get(f"/v1/batches/{one}/requests?limit=x").status_code == 400


# --- time


def test_expired_batch_cancels_pending_requests(batches: Batches) -> None:
    """Thirty days on, what is pending is cancelled; results stay; nothing can be added."""
    batches.configure(batches="manual")
    batches.freeze()
    id = batches.filled(request("a"))
    batches.emulator.run_jobs()
    batches.add(id, request("b")).raise_for_status()
    batches.advance(30 * 86_400 - 1)
    assert batches.counters(id) == (2, 1, 1, 0, 0)
    batches.advance(1)
    assert batches.counters(id) == (2, 0, 1, 0, 1)
    assert batches.get(id)["cancel_time"] is None
    assert batches.contents(id) == {"a": "hi", "b": "error: Batch expired"}
    assert refused(batches.add(id, request("c")))[:2] == (403, "permission-denied")
    assert batches.cancel(id)["cancel_time"] is None, "what has expired cannot be cancelled any more"


def test_second_cancel_changes_nothing(batches: Batches) -> None:
    """What is finished stays, the rest is cancelled and counted at once; a second time changes nothing."""
    batches.configure(batches="realistic")
    batches.freeze()
    id = batches.filled(*(request(f"r{n}") for n in range(8)))
    batches.advance(0.5)
    assert batches.counters(id) == (8, 4, 4, 0, 0)
    first = batches.cancel(id)
    assert tuple(first["state"].values()) == (8, 0, 4, 0, 4)
    assert first["cancel_by_xai_message"] is None
    batches.advance(86_400)
    assert batches.cancel(id) == first
    states = [item["state"] for item in batches.requests(id)]
    assert sorted(states) == ["cancelled"] * 4 + ["succeeded"] * 4
    assert sorted(batches.contents(id).values()) == ["error: Batch cancelled"] * 4 + ["hi"] * 4


def test_empty_batch_can_be_cancelled(batches: Batches) -> None:
    """As observed; with a body or without."""
    id = batches.create()
    reply = batches.http.post(f"/v1/batches/{id}:cancel", json={})
    assert reply.json()["cancel_time"] == reply.json()["create_time"]


# --- rates


@pytest.mark.parametrize("profile", ["documented", "relaxed"])
def test_default_profile_does_not_limit_rates(batches: Batches, profile: str) -> None:
    """Elsewhere a test may create as fast as it likes."""
    batches.configure(profile=profile)
    assert len({batches.create() for _ in range(20)}) == 20


def test_strict_profile_limits_batch_creations_per_second(batches: Batches) -> None:
    """Two per second and team, and the window rolls with the team's clock."""
    batches.configure(profile="strict")
    batches.freeze()
    batches.create()
    batches.advance(0.6)
    batches.create()
    reply = batches.http.post("/v1/batches", json={"name": "x"})
    assert refused(reply)[:2] == (429, "resource-exhausted")
    assert "Batch Creations per Second (actual/limit): 2/2" in reply.json()["error"]
    assert reply.headers["x-emulator-rule"] == "batch_creates_per_second"
    batches.advance(0.4)
    batches.create()
    assert batches.http.post("/v1/batches", json={"name": "x"}).status_code == 429
    other = Batches(batches.emulator, "rates")
    with other.http:
        other.configure(profile="strict")
        assert len({other.create() for _ in range(2)}) == 2


def test_strict_profile_limits_add_calls_per_30_seconds(batches: Batches) -> None:
    """Over all batches of the team, in a rolling window of thirty seconds."""
    batches.configure(profile="strict", limits={"add_calls_per_30s": 3})
    batches.freeze()
    ids = [batches.create(), batches.create()]
    for n in range(3):
        batches.add(ids[n % 2], request(f"r{n}")).raise_for_status()
        batches.advance(10)
    batches.add(ids[0], request("r3")).raise_for_status()  # the first call is thirty seconds ago
    assert batches.add(ids[1], request("r4")).status_code == 429
    batches.advance(10)
    assert batches.add(ids[1], request("r4")).status_code == 200


# --- media and files


def media(batches: Batches, kind: str, **body: Any) -> dict[str, Any]:
    """The result of one request for media, and its first picture or its film."""
    id = batches.filled(request("m", kind, {"prompt": "a", **body}))
    batches.advance(1)
    result = batches.results(id)["m"]["response"]
    if "video_generation" in result:
        found: dict[str, Any] = result["video_generation"]["video"]
    else:
        found = result["image_generation"]["data"][0]
    return found


@pytest.mark.parametrize(
    ("kind", "content_type", "start"),
    [("image_generation", "image/png", b"\x89PNG"), ("video_generation", "video/mp4", b"\0\0\0\x1cftyp")],
)
def test_media_url_expires_after_an_hour(batches: Batches, kind: str, content_type: str, start: bytes) -> None:
    """By the emulator itself, to anybody who has the address; the clock of the team decides."""
    batches.freeze()
    url = media(batches, kind)["url"]
    assert url.startswith(f"{batches.emulator.url}/_media/")
    batches.advance(3598)
    reply = httpx.get(url)
    assert (reply.status_code, reply.headers["content-type"]) == (200, content_type)
    assert reply.content.startswith(start)
    assert httpx.get(url, headers={"range": "bytes=1-3"}).content == reply.content[1:4]
    assert httpx.get(f"{url}x").status_code == 404
    batches.advance(1)  # an hour after the request was answered, which was a second before it was read
    assert httpx.get(url).status_code == 404


def test_media_url_has_host_of_caller(batches: Batches) -> None:
    """Results are stored without a host, so each caller gets URLs with the host that it called."""
    id = batches.filled(request("m", "image_generation", {"prompt": "a", "n": 2}))
    batches.advance(1)
    reply = batches.http.get(f"/v1/batches/{id}/results", headers={"host": "emulator.internal:99"})
    data = reply.json()["results"][0]["batch_result"]["response"]["image_generation"]["data"]
    assert len({image["url"] for image in data}) == 2
    assert all(image["url"].startswith("http://emulator.internal:99/_media/") for image in data)


def test_text_like_a_media_url_is_not_rewritten(batches: Batches) -> None:
    """Only the emulator's own members are completed."""
    text = '{"url":"/_media/x","public_url":"/_files-cdn/x"}'
    id = batches.filled(request("a", body=chat_body(text)))
    batches.advance(1)
    assert batches.contents(id) == {"a": text}


def test_image_is_returned_in_base64_on_request(batches: Batches) -> None:
    """Without a head, as REST has it."""
    image = media(batches, "image_edit", response_format="b64_json", image={"url": "u"}, aspect_ratio="16:9")
    assert base64.b64decode(image["b64_json"]).startswith(b"\x89PNG")
    assert image["mime_type"] == "image/png"
    assert "url" not in image


def test_media_with_storage_options_are_stored_as_files(batches: Batches) -> None:
    """With a life and a public URL of their own, by the rules of the Files API."""
    options = {"filename": "cat.png", "expires_after": 7200, "public_url": {"expires_after": 3600}}
    image = media(batches, "image_generation", storage_options=options)
    stored = image["file_output"]
    file = batches.http.get(f"/v1/files/{stored['file_id']}").json()
    assert (file["filename"], file["expires_at"] - file["created_at"]) == ("cat.png", 7200)
    assert stored["expires_at"] == file["expires_at"]
    assert stored["public_url"] == file["public_url"]
    assert httpx.get(stored["public_url"]).content == httpx.get(image["url"]).content
    assert media(batches, "video_generation", storage_options={"filename": "a.mp4", "public_url": False})[
        "file_output"
    ].keys() == {"file_id", "filename"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"filename": "a;b.png"}, "Invalid filename"),
        ({"filename": "x" * 256}, "at most 255 characters"),
        ({"filename": "a.png", "expires_after": 5}, "expires_after must be at least 3600"),
        ({}, "missing required field"),
        ({"filename": "a.png", "public_url": 5}, "Invalid storage_options"),
    ],
)
def test_failed_storage_is_reported_beside_image(batches: Batches, options: dict[str, Any], words: str) -> None:
    """The picture itself is there all the same."""
    image = media(batches, "image_generation", storage_options=options)
    assert words in image["storage_error"]
    assert httpx.get(image["url"]).status_code == 200
    assert batches.http.get("/v1/files").json()["data"] == []


def test_failed_public_url_is_reported_beside_file(batches: Batches) -> None:
    """The file is there all the same."""
    options = {"filename": "a.png", "expires_after": 3600, "public_url": {"expires_after": 7200}}
    stored = media(batches, "image_generation", storage_options=options)["file_output"]
    assert "the file itself expires in 3600 seconds" in stored["public_url_error"]
    assert batches.http.get(f"/v1/files/{stored['file_id']}").status_code == 200


def test_request_with_unknown_file_fails_alone(batches: Batches) -> None:
    """Else that row fails, and no other."""
    file = batches.http.post("/v1/files", files={"file": ("a.png", b"x")}).json()["id"]
    id = batches.filled(
        request("yes", "image_edit", {"prompt": "a", "images": [{"file_id": file}]}),
        request("no", "image_edit", {"prompt": "a", "images": [{"file_id": file}, {"file_id": "file_nope"}]}),
        request("film", "video_extension", {"prompt": "a", "video": {"file_id": "file_nope"}}),
    )
    batches.advance(1)
    results = batches.results(id)
    assert results["no"] == results["film"] == {"error": "File file_nope not found"}
    assert "response" in results["yes"]


# --- other ways to be


def test_batch_under_chaos_completes(batches: Batches) -> None:
    """Chaos leaves a batch as it is: pages are small, fields unknown, and the first read finds nothing."""
    batches.configure(chaos="17:small_pages,unknown_fields,shuffled,lag")
    id = batches.create()
    assert batches.http.get(f"/v1/batches/{id}").status_code == 404, "lag"
    batches.add(id, *(request(f"r{n}") for n in range(7))).raise_for_status()
    batches.advance(1)
    pages = list(batches.pages(f"/{id}/results", "results"))
    assert [len(page) for page in pages] == [3, 3, 1]
    assert batches.contents(id) == {f"r{n}": "hi" for n in range(7)}


def test_snapshot_restores_batch_from_file(batches: Batches) -> None:
    """Its requests, their results, and the bytes of a file that is gone."""
    batches.configure(batches="manual")
    id = batches.from_lines(*(line(f"r{n}") for n in range(5)))
    batches.emulator.run_jobs()
    batches.http.delete(f"/v1/files/{batches.get(id)['input_file_id']}").raise_for_status()
    batches.http.post("/_emulator/snapshots", json={"name": "half"}).raise_for_status()
    batches.emulator.reset()
    assert batches.http.get(f"/v1/batches/{id}").status_code == 404
    batches.http.post("/_emulator/snapshots/half/restore").raise_for_status()
    assert batches.counters(id) == (5, 5, 0, 0, 0)
    batches.emulator.run_jobs()
    assert batches.contents(id) == {f"r{n}": "hi" for n in range(5)}


# --- other teams


def test_batches_of_another_team_are_not_found(batches: Batches) -> None:
    """They cannot be read, listed, filled or cancelled, and their files cannot be used."""
    id = batches.filled(request("a"))
    file = batches.http.post("/v1/files", files={"file": ("a.jsonl", line("a"))}).json()["id"]
    other = Batches(batches.emulator, "others")
    with other.http:
        paths = [f"/v1/batches/{id}", f"/v1/batches/{id}/requests", f"/v1/batches/{id}/results"]
        assert {other.http.get(path).status_code for path in paths} == {404}
        assert other.http.post(f"/v1/batches/{id}:cancel").status_code == 404
        assert other.add(id, request("b")).status_code == 404
        assert other.http.get("/v1/batches").json()["batches"] == []
        assert other.http.post("/v1/batches", json={"name": "x", "input_file_id": file}).status_code == 404
    assert batches.counters(id)[0] == 1


def test_reset_removes_batches_and_media(batches: Batches) -> None:
    """Batches, requests, results and media."""
    id = batches.filled(request("m", "image_generation", {"prompt": "a"}))
    batches.advance(1)
    [image] = batches.results(id)["m"]["response"]["image_generation"]["data"]
    batches.emulator.reset()
    assert batches.http.get("/v1/batches").json()["batches"] == []
    assert httpx.get(image["url"]).status_code == 404
