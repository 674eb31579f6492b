"""Images over REST: results, edits, stored copies, URLs that expire, and refusals in the recorded words."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.domain.media import colour_of, png
from fixtures.team import EmulatedTeam

PATH, EDITS = "/v1/images/generations", "/v1/images/edits"
PIXEL = png(1, 1, (0, 0, 0))
IMAGE = {"url": "https://example.com/a.png", "type": "image_url"}


def generate(rest: httpx.Client, path: str = PATH, **body: Any) -> httpx.Response:
    """The response to a request for images."""
    return rest.post(path, json={"prompt": "a kettle", **body})


def upload(rest: httpx.Client, name: str, content: bytes) -> str:
    """The id of a new file."""
    id: str = rest.post("/v1/files", files={"file": (name, content)}).json()["id"]
    return id


def test_image_is_generated_behind_url(rest: httpx.Client, emulator: Emulator) -> None:
    body = generate(rest).json()
    assert list(body) == ["data", "usage"]
    [image] = body["data"]
    assert list(image) == ["url", "mime_type", "revised_prompt"]
    assert image["url"].startswith(f"{emulator.url}/_media/")
    assert (image["mime_type"], image["revised_prompt"]) == ("image/png", "")
    assert body["usage"] == {"cost_in_usd_ticks": 200_000_000}
    fetched = httpx.get(image["url"])
    assert (fetched.headers["content-type"], fetched.content[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")


def test_image_in_base64_is_the_same_as_behind_url(rest: httpx.Client) -> None:
    [encoded] = generate(rest, response_format="b64_json").json()["data"]
    [linked] = generate(rest).json()["data"]
    assert list(encoded) == ["b64_json", "mime_type", "revised_prompt"]
    assert base64.b64decode(encoded["b64_json"]) == httpx.get(linked["url"]).content


def test_images_of_a_request_differ(rest: httpx.Client) -> None:
    images = generate(rest, n=10, response_format="b64_json").json()["data"]
    assert len({image["b64_json"] for image in images}) == 10


def test_aspect_ratio_shapes_image(rest: httpx.Client) -> None:
    [image] = generate(rest, aspect_ratio="2:1", response_format="b64_json").json()["data"]
    assert base64.b64decode(image["b64_json"]) == png(32, 16, colour_of("a kettle  0"))


@pytest.mark.parametrize(
    ("body", "ticks"),
    [
        ({"n": 3}, 600_000_000),
        ({"model": "grok-imagine-image-2.0"}, 600_000_000),
        ({"model": "grok-imagine-image-2.0", "quality": "low"}, 400_000_000),
        ({"model": "grok-imagine-image-pro"}, 700_000_000),
        ({"quality": "low"}, 200_000_000),
    ],
)
def test_images_cost_what_their_model_does(rest: httpx.Client, body: dict[str, Any], ticks: int) -> None:
    assert generate(rest, **body).json()["usage"] == {"cost_in_usd_ticks": ticks}


@pytest.mark.parametrize(
    ("body", "ticks"),
    [({"image": IMAGE}, 220_000_000), ({"images": [IMAGE, IMAGE], "n": 2}, 440_000_000)],
)
def test_edit_costs_given_images_too(rest: httpx.Client, body: dict[str, Any], ticks: int) -> None:
    assert generate(rest, EDITS, **body).json()["usage"] == {"cost_in_usd_ticks": ticks}


def test_edit_takes_image_file(rest: httpx.Client) -> None:
    id = upload(rest, "a.png", PIXEL)
    assert generate(rest, EDITS, image={"file_id": id}).status_code == 200


def test_image_is_stored_as_file(rest: httpx.Client) -> None:
    options = {"filename": "kettle.png", "public_url": True, "expires_after": 3600}
    [image] = generate(rest, storage_options=options).json()["data"]
    output = image["file_output"]
    assert rest.get(f"/v1/files/{output['file_id']}").json()["filename"] == "kettle.png"
    assert httpx.get(output["public_url"]).content == httpx.get(image["url"]).content


def test_image_url_expires_after_an_hour(emulator: Emulator, rest: httpx.Client) -> None:
    team = EmulatedTeam(emulator, "default")
    team.freeze()
    url = generate(rest).json()["data"][0]["url"]
    team.advance(3599)
    assert httpx.get(url).status_code == 200
    team.advance(1)
    assert httpx.get(url).status_code == 404


def test_images_of_a_snapshot_are_restored(emulator: Emulator, rest: httpx.Client) -> None:
    url = generate(rest).json()["data"][0]["url"]
    team = EmulatedTeam(emulator, "default")
    team.call("POST", "/_emulator/snapshots", {"name": "images"})
    team.call("POST", "/_emulator/reset")
    assert httpx.get(url).status_code == 404
    team.call("POST", "/_emulator/snapshots/images/restore")
    assert httpx.get(url).status_code == 200


TEAM_SENTENCE = (
    " does not have access to it. Please ensure you're using the correct API key. If you believe this is a mistake, "
    "please contact support and quote your team ID and the model name."
)


@pytest.mark.parametrize("model", ["no-such-model", "grok-4.3", "grok-imagine-video"])
def test_model_that_makes_no_images_is_404(rest: httpx.Client, model: str) -> None:
    refused = generate(rest, model=model)
    team = rest.get("/v1/api-key").json()["team_id"]
    assert refused.status_code == 404
    sentence = f"The model {model} does not exist or your team {team}{TEAM_SENTENCE}"
    assert refused.json() == {"code": "not-found", "error": sentence}


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        (PATH, {"size": "1024x1024"}, "Argument not supported: size"),
        (PATH, {"n": 11}, "n must be between 1 and 10, got 11"),
        (PATH, {"n": 0}, "n must be between 1 and 10, got 0"),
        (EDITS, {"image": IMAGE, "images": [IMAGE]}, "Only one of image or images can be set."),
        (EDITS, {"image": {**IMAGE, "file_id": "file_x"}}, "Only one of image.url or image.file_id can be set."),
    ],
)
def test_argument_that_cannot_be_is_400(rest: httpx.Client, path: str, body: dict[str, Any], sentence: str) -> None:
    refused = generate(rest, path, **body)
    assert (refused.status_code, refused.json()) == (400, {"code": "invalid-argument", "error": sentence})


def test_file_that_is_no_image_is_400(rest: httpx.Client) -> None:
    id = upload(rest, "a.txt", b"text")
    refused = generate(rest, EDITS, image={"file_id": id})
    assert refused.status_code == 400
    assert refused.json()["error"] == f"File {id} is not an image (JPEG, PNG or WebP)."


def test_file_of_another_team_is_404(emulator: Emulator, rest: httpx.Client) -> None:
    id = upload(rest, "a.png", PIXEL)
    body = {"prompt": "x", "image": {"file_id": id}}
    refused = rest.post(EDITS, json=body, headers={"authorization": f"Bearer {emulator.api_key}@other"})
    assert (refused.status_code, refused.json()["error"]) == (404, f"File {id} not found")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"prompt":"a hat","image":{"type":"x"}}', "image: missing field `url` at line 1 column 38"),
        (b'{"prompt":"a","images":[{"url":"u"},{}]}', "images[1]: missing field `url` at line 1 column 38"),
        (b'{"image":{"url":"u"}}', "missing field `prompt` at line 1 column 21"),
        (
            b'{"prompt":"a","image":"u"}',
            'image: invalid type: string "u", expected struct ImageUrl at line 1 column 25',
        ),
    ],
)
def test_misshapen_edit_is_422_in_words_of_serde(rest: httpx.Client, body: bytes, sentence: str) -> None:
    refused = rest.post(EDITS, content=body, headers={"content-type": "application/json"})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "text/plain; charset=utf-8")
    assert refused.text == f"Failed to deserialize the JSON body into the target type: {sentence}"


def test_body_is_read_before_key(rest: httpx.Client) -> None:
    refused = rest.post(PATH, json={"n": "two"}, headers={"authorization": ""})
    assert refused.status_code == 422


def test_fault_refuses_images(emulator: Emulator, rest: httpx.Client) -> None:
    fault = {"operation": "images.generate", "error": "rate_limited", "times": 1}
    httpx.post(f"{emulator.url}/_emulator/faults", json=fault).raise_for_status()
    assert generate(rest).status_code == 429
    assert generate(rest).status_code == 200


def test_responder_chooses_images() -> None:
    with Emulator(responder=lambda request: {"data": [{"url": f"https://example.com/{request.prompt}.png"}]}) as own:
        headers = {"authorization": f"Bearer {own.api_key}"}
        body = httpx.post(f"{own.url}{PATH}", json={"prompt": "hat"}, headers=headers).json()
    assert body["data"] == [{"url": "https://example.com/hat.png"}]
    assert body["usage"] == {"cost_in_usd_ticks": 200_000_000}


@pytest.mark.parametrize("said", [5, {"data": ["x"]}, {"usage": {"cost_in_usd_ticks": -1}}])
def test_responder_that_answers_no_images_is_500(said: Any) -> None:
    with Emulator(responder=lambda request: said, log="quiet") as own:
        headers = {"authorization": f"Bearer {own.api_key}"}
        refused = httpx.post(f"{own.url}{PATH}", json={"prompt": "hat"}, headers=headers)
    if said == 5:
        assert refused.status_code == 200  # nothing of it is an image: the emulator makes its own
    else:
        assert (refused.status_code, refused.headers["x-emulator-rule"]) == (500, "responder")
