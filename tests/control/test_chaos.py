"""Chaos: each flag by itself, all flags with real clients, and the same behaviours from the same seed."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import openai
import pytest
import xai_sdk

from emulator import Emulator
from emulator.domain.chaos import CHAOS_FLAGS, DEFAULT_FLAGS, ChaosConfig, ChaosFlag, parse


def turn_on(control: httpx.Client, *flags: ChaosFlag, seed: str = "7") -> None:
    """Turn these flags on, and the others off."""
    reply = control.put("/chaos", json={"seed": seed, "flags": [flag.word for flag in flags]})
    assert reply.status_code == 200, reply.text


def names(rest: httpx.Client, count: int) -> None:
    """Upload so many files."""
    for number in range(count):
        assert rest.post("/v1/files", files={"file": (f"{number}.txt", b"x" * 5000)}).status_code == 200


@pytest.mark.parametrize("text", ["7", "seed", "7:lag", "7:drips,lag"])
def test_config_text_round_trips(text: str) -> None:
    """The command line and the control API use the same words."""
    config = parse(text)
    assert config is not None
    assert str(config) == text
    assert parse("off") is None


@pytest.mark.parametrize("text", ["", ":lag", "7:", "7:nope", "7:lag,", "x" * 65, "a\nb"])
def test_bad_config_text_is_rejected(text: str) -> None:
    """A misspelt flag must not be ignored silently."""
    with pytest.raises(ValueError, match=r"seed|flag"):
        parse(text)


def test_small_pages_has_three_items_per_page(rest: httpx.Client, control: httpx.Client) -> None:
    """A page has three items, whatever limit is asked for, and all pages together have every item."""
    names(rest, 7)
    turn_on(control, ChaosFlag.SMALL_PAGES)
    seen, token = [], None
    while True:
        page = rest.get("/v1/files", params={"limit": 100} | ({"pagination_token": token} if token else {})).json()
        assert len(page["data"]) <= 3
        seen += [file["filename"] for file in page["data"]]
        token = page["pagination_token"]
        if token is None:
            break
    assert seen == [f"{number}.txt" for number in reversed(range(7))]
    assert len(rest.get("/v1/files").json()["data"]) == 3


def test_shuffled_changes_key_order_only(rest: httpx.Client, control: httpx.Client) -> None:
    """Keys come in more than one order; values and ordered lists stay the same."""
    names(rest, 3)
    plain = rest.get("/v1/files").json()
    turn_on(control, ChaosFlag.SHUFFLED)
    pages = [rest.get("/v1/files").json() for _ in range(5)]
    assert pages == [plain] * 5
    assert len({tuple(page["data"][0]) for page in pages}) > 1


def test_unknown_fields_adds_one_to_every_object(rest: httpx.Client, control: httpx.Client) -> None:
    """Every object has an undocumented field, and is otherwise unchanged."""
    names(rest, 1)
    plain = rest.get("/v1/files").json()
    turn_on(control, ChaosFlag.UNKNOWN_FIELDS)
    reply = rest.get("/v1/files")
    assert reply.headers["x-emulator-fault"] == "chaos:unknown_fields"
    page = reply.json()
    assert page.pop("x_unheard_of")
    assert page["data"][0].pop("x_unheard_of")
    assert page == plain


def test_unknown_values_affects_some_responses(rest: httpx.Client, control: httpx.Client) -> None:
    """Some responses, not all, have an undocumented status value."""
    turn_on(control, ChaosFlag.UNKNOWN_VALUES)
    words = [rest.get("/v1/me").json()["zdr_status"] for _ in range(30)]
    assert set(words) == {"no_zdr", "UNHEARD_OF"}
    assert words.count("UNHEARD_OF") < 20


def test_lag_hides_new_file_from_first_read(rest: httpx.Client, control: httpx.Client) -> None:
    """The first read of a new file returns 404, the second the file."""
    turn_on(control, ChaosFlag.LAG)
    id = rest.post("/v1/files", files={"file": ("a.txt", b"x")}).json()["id"]
    first, second = rest.get(f"/v1/files/{id}"), rest.get(f"/v1/files/{id}")
    assert (first.status_code, second.status_code) == (404, 200)
    assert first.json() == {"code": "not-found", "error": "File not found"}
    assert first.headers["x-emulator-fault"] == "chaos:lag"


async def test_drips_downloads_in_many_pieces(emulator: Emulator, rest: httpx.Client, control: httpx.Client) -> None:
    """A download is sent in many pieces, and complete. How many a client receives depends on how busy it is."""
    names(rest, 1)
    id = rest.get("/v1/files").json()["data"][0]["id"]
    turn_on(control, ChaosFlag.DRIPS)
    pieces: list[bytes] = []

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        async def note(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body":
                pieces.append(message["body"])
            await send(message)

        await emulator.app(scope, receive, note)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(counted), headers=rest.headers) as client:
        reply = await client.get(f"{emulator.url}/v1/files/{id}/content")
    assert b"".join(pieces) == reply.content == b"x" * 5000
    assert len([piece for piece in pieces if piece]) > 5


def test_rate_limits_rejects_some_calls_never_two_in_a_row(rest: httpx.Client, control: httpx.Client) -> None:
    """Some calls return 429 with Retry-After."""
    turn_on(control, ChaosFlag.RATE_LIMITS)
    replies = [rest.get("/v1/me") for _ in range(60)]
    refused = [reply.status_code == 429 for reply in replies]
    assert 2 <= sum(refused) <= 20
    assert not any(one and other for one, other in itertools.pairwise(refused))
    for reply in replies:
        assert reply.headers.get("retry-after") == ("1" if reply.status_code == 429 else None)


def conversation(seed: str) -> list[Any]:
    """The responses of a new emulator to a fixed sequence of calls."""
    with Emulator(chaos=seed, random_seed="1") as emulator:
        with httpx.Client(base_url=emulator.url + "/_emulator") as control:
            control.post("/clock/freeze", json={"at": "2026-01-01T00:00:00Z"})
        headers = {"authorization": f"Bearer {emulator.api_key}"}
        with httpx.Client(base_url=emulator.url, headers=headers) as rest:
            answers = []
            for number in range(12):
                upload = rest.post("/v1/files", files={"file": (f"{number}.txt", b"x")})
                answers += [upload.content, rest.get("/v1/files").content, rest.get("/v1/me").content]
            return answers


def test_same_seed_gives_same_responses() -> None:
    """A failing run can be reproduced from its seed; another seed gives other responses."""
    assert conversation("7") == conversation("7")
    assert conversation("7") != conversation("8")


def test_chaos_is_set_and_listed_per_team(control: httpx.Client, rest: httpx.Client) -> None:
    """Other teams are not affected; the list has every flag; a null seed turns all off."""
    all_on = control.put("/chaos?team=wild", json={"seed": "x"}).json()
    assert {flag["name"] for flag in all_on["flags"] if flag["enabled"]} == {flag.word for flag in DEFAULT_FLAGS}
    assert {flag["name"] for flag in all_on["flags"]} == set(CHAOS_FLAGS)
    assert all(flag["description"].endswith(".") for flag in all_on["flags"])
    assert not any(flag["enabled"] for flag in control.get("/chaos").json()["flags"])
    assert "x-emulator-fault" not in rest.get("/v1/me").headers
    assert control.put("/chaos?team=wild", json={}).json()["seed"] is None
    assert control.put("/chaos", json={"seed": "7", "flags": ["nope"]}).status_code == 422


def test_real_clients_work_under_chaos() -> None:
    """openai and xai-sdk handle every behaviour by default: they page, retry and ignore unknown fields."""
    with (
        Emulator(chaos="3") as emulator,
        openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=2) as client,
    ):
        ids = {client.files.create(file=(f"{n}.txt", b"x" * 3000), purpose="assistants").id for n in range(5)}
        assert {file.id for file in client.files.list()} == ids
        assert client.files.content(min(ids)).read() == b"x" * 3000
    final = {ChaosFlag.RATE_LIMITS, ChaosFlag.LAG}  # xai-sdk does not retry after these
    config = ChaosConfig("3", DEFAULT_FLAGS - final)
    with Emulator(chaos=str(config)) as emulator:
        sdk = xai_sdk.Client(
            api_key=emulator.api_key,
            management_api_key=emulator.management_key,
            api_host=emulator.grpc_target,
            management_api_host=emulator.grpc_target,
        )
        file = sdk.files.upload(b"x" * 3000, filename="a.txt")
        assert sdk.files.get(file.id).filename == "a.txt"
        assert sdk.files.content(file.id) == b"x" * 3000
        sdk.close()
