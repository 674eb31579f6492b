"""Hostile mode: each trap by itself, all of them under real clients, and the same traps again from the same seed."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import openai
import pytest
import xai_sdk

from emulator import Emulator
from emulator.domain.hostility import SWITCHES, Hostility, Switch, parse


def set_traps(control: httpx.Client, *switches: Switch, seed: str = "7") -> None:
    """Turn hostile mode on, with these traps only."""
    reply = control.put("/hostile", json={"seed": seed, "switches": [switch.word for switch in switches]})
    assert reply.status_code == 200, reply.text


def names(rest: httpx.Client, count: int) -> None:
    """Upload so many files."""
    for number in range(count):
        assert rest.post("/v1/files", files={"file": (f"{number}.txt", b"x" * 5000)}).status_code == 200


@pytest.mark.parametrize("text", ["7", "seed", "7:lag", "7:drips,lag"])
def test_a_seed_and_its_switches_read_as_they_are_written(text: str) -> None:
    """The words of the command line and of the control plane are the same."""
    hostility = parse(text)
    assert hostility is not None
    assert str(hostility) == text
    assert parse("off") is None


@pytest.mark.parametrize("text", ["", ":lag", "7:", "7:nope", "7:lag,", "x" * 65, "a\nb"])
def test_a_bad_seed_is_refused(text: str) -> None:
    """A word that is no switch would be a trap that is silently not set."""
    with pytest.raises(ValueError, match=r"seed|switch"):
        parse(text)


def test_small_pages(rest: httpx.Client, control: httpx.Client) -> None:
    """A page has three items, whatever was asked for, and the walk still finds all."""
    names(rest, 7)
    set_traps(control, Switch.SMALL_PAGES)
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


def test_shuffled(rest: httpx.Client, control: httpx.Client) -> None:
    """Keys come in more than one order, and say the same; a list that has an order keeps it."""
    names(rest, 3)
    plain = rest.get("/v1/files").json()
    set_traps(control, Switch.SHUFFLED)
    pages = [rest.get("/v1/files").json() for _ in range(5)]
    assert pages == [plain] * 5
    assert len({tuple(page["data"][0]) for page in pages}) > 1


def test_unknown_fields(rest: httpx.Client, control: httpx.Client) -> None:
    """Every object has a field that nobody knows, and is otherwise as it was."""
    names(rest, 1)
    plain = rest.get("/v1/files").json()
    set_traps(control, Switch.UNKNOWN_FIELDS)
    reply = rest.get("/v1/files")
    assert reply.headers["x-emulator-fault"] == "hostile:unknown_fields"
    page = reply.json()
    assert page.pop("x_unheard_of")
    assert page["data"][0].pop("x_unheard_of")
    assert page == plain


def test_unknown_values(rest: httpx.Client, control: httpx.Client) -> None:
    """Some answers, not all, have a word that nobody knows."""
    set_traps(control, Switch.UNKNOWN_VALUES)
    words = [rest.get("/v1/me").json()["zdr_status"] for _ in range(30)]
    assert set(words) == {"no_zdr", "UNHEARD_OF"}
    assert words.count("UNHEARD_OF") < 20


def test_lag(rest: httpx.Client, control: httpx.Client) -> None:
    """A new file is not found by the first call that asks for it, and by the second it is."""
    set_traps(control, Switch.LAG)
    id = rest.post("/v1/files", files={"file": ("a.txt", b"x")}).json()["id"]
    first, second = rest.get(f"/v1/files/{id}"), rest.get(f"/v1/files/{id}")
    assert (first.status_code, second.status_code) == (404, 200)
    assert first.json() == {"code": "not-found", "error": "File not found"}
    assert first.headers["x-emulator-fault"] == "hostile:lag"


def test_drips(rest: httpx.Client, control: httpx.Client) -> None:
    """A download comes in many pieces, and whole."""
    names(rest, 1)
    id = rest.get("/v1/files").json()["data"][0]["id"]
    set_traps(control, Switch.DRIPS)
    with rest.stream("GET", f"/v1/files/{id}/content") as reply:
        pieces = list(reply.iter_raw())
    assert b"".join(pieces) == b"x" * 5000
    assert len(pieces) > 5


def test_rate_limits(rest: httpx.Client, control: httpx.Client) -> None:
    """Some calls are refused with 429 and Retry-After, but never two in a row."""
    set_traps(control, Switch.RATE_LIMITS)
    replies = [rest.get("/v1/me") for _ in range(60)]
    refused = [reply.status_code == 429 for reply in replies]
    assert 2 <= sum(refused) <= 20
    assert not any(one and other for one, other in itertools.pairwise(refused))
    for reply in replies:
        assert reply.headers.get("retry-after") == ("1" if reply.status_code == 429 else None)


def conversation(seed: str) -> list[Any]:
    """What a fresh emulator answers to some calls."""
    with Emulator(hostile=seed, random_seed="1") as emulator:
        with httpx.Client(base_url=emulator.url + "/_emulator") as control:
            control.post("/clock/freeze", json={"at": "2026-01-01T00:00:00Z"})
        headers = {"authorization": f"Bearer {emulator.api_key}"}
        with httpx.Client(base_url=emulator.url, headers=headers) as rest:
            answers = []
            for number in range(12):
                upload = rest.post("/v1/files", files={"file": (f"{number}.txt", b"x")})
                answers += [upload.content, rest.get("/v1/files").content, rest.get("/v1/me").content]
            return answers


def test_the_same_seed_gives_the_same_bytes() -> None:
    """A run that failed can be had again; another seed is another run."""
    assert conversation("7") == conversation("7")
    assert conversation("7") != conversation("8")


def test_traps_belong_to_a_team_and_are_listed(control: httpx.Client, rest: httpx.Client) -> None:
    """Another team meets nothing; the list names every trap; null takes them away."""
    all_on = control.put("/hostile?team=wild", json={"seed": "x"}).json()
    assert {switch["name"] for switch in all_on["switches"] if switch["on"]} == set(SWITCHES)
    assert all(switch["sentence"].endswith(".") for switch in all_on["switches"])
    assert not any(switch["on"] for switch in control.get("/hostile").json()["switches"])
    assert "x-emulator-fault" not in rest.get("/v1/me").headers
    assert control.put("/hostile?team=wild", json={}).json()["seed"] is None
    assert control.put("/hostile", json={"seed": "7", "switches": ["nope"]}).status_code == 422


def test_real_clients_survive() -> None:
    """openai and xai-sdk get through every trap with what they do anyway: pages, retries, unknown fields ignored."""
    with (
        Emulator(hostile="3") as emulator,
        openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=2) as client,
    ):
        ids = {client.files.create(file=(f"{n}.txt", b"x" * 3000), purpose="assistants").id for n in range(5)}
        assert {file.id for file in client.files.list()} == ids
        assert client.files.content(min(ids)).read() == b"x" * 3000
    traps = Hostility("3", frozenset(Switch) - {Switch.RATE_LIMITS, Switch.LAG})  # refusals that are final for xai-sdk
    with Emulator(hostile=str(traps)) as emulator:
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
