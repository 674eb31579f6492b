"""Where other machines can reach the control API, it answers callers with its token alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import httpx
import pytest

from contract_tests.target import InvalidTarget, find_target
from emulator import Emulator
from emulator.control.openapi import PREFIX
from emulator.control.route import ControlRoute
from emulator.control.routes import ROUTES
from emulator.state.settings import BadSetting, from_keywords
from fixtures.team import EmulatedTeam
from tests.serving import Served, run_command

TOKEN = "s3cret-token;with,odd=characters"
BEARER = {"authorization": f"Bearer {TOKEN}"}
PUBLIC = {"/health": 200, "/ready": 200, "/openapi.json": 200, "/llms.txt": 200, "/ca.pem": 404}  # with their statuses


@pytest.fixture(scope="module")
def guarded() -> Iterator[Emulator]:
    """An emulator with a token."""
    with Emulator(control_token=TOKEN) as emulator:
        yield emulator


@pytest.fixture
def browser(guarded: Emulator) -> Iterator[httpx.Client]:
    """Something that keeps cookies."""
    with httpx.Client(base_url=guarded.url, headers={"accept": "text/html"}) as client:
        yield client


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer xai-emulator"}, {"authorization": f"Basic {TOKEN}"}, {"cookie": f"token={TOKEN}"}],
    ids=["none", "key", "basic", "cookie"],
)
def test_call_without_the_token_returns_401(guarded: Emulator, route: ControlRoute, headers: dict[str, str]) -> None:
    """With a sentence that says what to send, on every path but those that are about no team."""
    path = route.path.replace("{name}", "default").replace("{id}", "x")
    reply = httpx.request(route.method, f"{guarded.url}{PREFIX}{path}", headers=headers)
    assert route.public == (route.path in PUBLIC)
    if route.public:
        assert reply.status_code == PUBLIC[route.path]
        return
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert "Authorization: Bearer TOKEN" in reply.json()["error"]
    assert "--control-token" in reply.json()["error"]
    assert TOKEN not in reply.text


def test_call_with_the_token_is_served(guarded: Emulator) -> None:
    """As a bearer; a wrong one is refused, whatever it is made of."""
    assert httpx.get(f"{guarded.url}{PREFIX}/clock", headers=BEARER).status_code == 200
    for wrong in (TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "é"):
        headers = {"authorization": f"Bearer {wrong}".encode()}
        assert httpx.get(f"{guarded.url}{PREFIX}/clock", headers=headers).status_code == 401


def test_unknown_path_without_the_token_returns_401(guarded: Emulator) -> None:
    """Nothing is revealed about existing objects."""
    assert httpx.get(f"{guarded.url}{PREFIX}/nope").status_code == 401
    assert httpx.get(f"{guarded.url}{PREFIX}/nope", headers=BEARER).status_code == 404


def test_health_reveals_no_secret(guarded: Emulator) -> None:
    """It says that the emulator answers, and where."""
    reply = httpx.get(f"{guarded.url}{PREFIX}/health")
    assert reply.json().keys() == {"schema_version", "status", "version", "url", "grpc", "tls"}
    assert TOKEN not in reply.text


def test_v1_needs_no_control_token(guarded: Emulator) -> None:
    """It has keys of its own."""
    headers = {"authorization": f"Bearer {guarded.api_key}"}
    assert httpx.get(f"{guarded.base_url}/files", headers=headers).status_code == 200


def test_loopback_needs_no_token(emulator: Emulator) -> None:
    """No other machine can call; a token that is sent all the same does no harm."""
    assert emulator.control_token is None
    assert httpx.get(f"{emulator.url}{PREFIX}/clock", headers=BEARER).status_code == 200
    assert httpx.get(f"{emulator.url}{PREFIX}/?token=x").status_code == 200


# --- the console


def test_console_asks_a_browser_for_the_token(browser: httpx.Client) -> None:
    """401 with a form that needs no script."""
    reply = browser.get(f"{PREFIX}/")
    assert (reply.status_code, reply.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert '<input name="token"' in reply.text
    assert "script" not in reply.text
    assert "form-action 'self'" in reply.headers["content-security-policy"]


def test_token_in_the_query_becomes_a_cookie(browser: httpx.Client) -> None:
    """It is taken out of the address at once; the cookie serves the page, its calls and its event stream."""
    reply = browser.get(f"{PREFIX}/", params={"team": "a b", "token": TOKEN})
    assert (reply.status_code, reply.headers["location"]) == (303, f"{PREFIX}/?team=a+b")
    cookie = reply.headers["set-cookie"]
    assert cookie.endswith("; Path=/_emulator; HttpOnly; SameSite=Strict")
    assert TOKEN not in cookie
    page = browser.get(f"{PREFIX}/")
    assert page.status_code == 200
    assert "console/main.js" in page.text
    assert browser.get(f"{PREFIX}/clock").status_code == 200
    assert browser.post(f"{PREFIX}/reset").status_code == 200
    assert browser.head(f"{PREFIX}/requests/stream").status_code == 200


def test_wrong_token_in_the_query_is_refused(browser: httpx.Client) -> None:
    """And sets no cookie."""
    reply = browser.get(f"{PREFIX}/?token=wrong")
    assert reply.status_code == 401
    assert "This is not the token." in reply.text
    assert "set-cookie" not in reply.headers


def test_cookie_of_another_emulator_is_refused(browser: httpx.Client) -> None:
    """Cookies go to every port of a host: each emulator has a name of its own for its cookie, and both stay valid."""
    with Emulator(control_token="other") as other:
        browser.get(f"{other.url}{PREFIX}/?token=other")
        assert browser.get(f"{PREFIX}/clock").status_code == 401
        browser.get(f"{PREFIX}/", params={"token": TOKEN})
        assert browser.get(f"{PREFIX}/clock").status_code == 200
        assert browser.get(f"{other.url}{PREFIX}/clock").status_code == 200


def test_foreign_page_is_refused_even_with_the_cookie(browser: httpx.Client) -> None:
    """The browser would not send it; the Origin is checked all the same."""
    browser.get(f"{PREFIX}/", params={"token": TOKEN})
    assert browser.post(f"{PREFIX}/reset", headers={"origin": "https://evil.example"}).status_code == 403


# --- where it comes from


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_listening_beyond_loopback_makes_a_token(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A new one for each start, even with a fixed seed; it is printed once, on stderr. Python has it as a property."""
    tokens = []
    for _ in range(2):
        with Emulator(host=host, random_seed="1") as emulator:
            url = f"http://localhost:{emulator.port}" if host == "0.0.0.0" else f"http://[::1]:{emulator.port}"
            assert httpx.get(f"{url}{PREFIX}/clock").status_code == 401
            bearer = {"authorization": f"Bearer {emulator.control_token}"}
            assert httpx.get(f"{url}{PREFIX}/clock", headers=bearer).status_code == 200
            tokens.append(emulator.control_token)
    said = capsys.readouterr()
    assert len(set(tokens)) == 2
    assert [f"{said.err}{said.out}".count(str(token)) for token in tokens] == [1, 1]


def test_given_token_is_never_printed() -> None:
    """Not at the start either, nor in what is logged as JSON."""
    with Served("--host", "0.0.0.0", "--log-format", "json", XAI_EMULATOR_CONTROL_TOKEN=TOKEN) as served:
        assert httpx.get(f"{served.url}{PREFIX}/clock", headers=BEARER).status_code == 200
        assert httpx.get(f"{served.url}{PREFIX}/clock").status_code == 401
        served.stop()
    assert TOKEN not in "".join(served.said)
    assert TOKEN not in repr(from_keywords({"control_token": TOKEN}))


@pytest.mark.parametrize("token", ["", "two words", "é", "a\n"])
def test_token_that_no_header_carries_refuses_to_start(token: str) -> None:
    """And is not quoted."""
    with pytest.raises(BadSetting, match="control_token: a token is one word") as refusal:
        from_keywords({"control_token": token})
    assert repr(token) not in str(refusal.value)


# --- who sends it


def test_command_line_sends_the_token(guarded: Emulator) -> None:
    """From its flag or the environment; without it the sentence of the emulator is shown. `wait` needs none."""
    code, _, said = run_command("faults", "list", "--url", guarded.url)
    assert (code, "Authorization: Bearer TOKEN" in said) == (1, True)
    assert run_command("faults", "list", "--url", guarded.url, "--control-token", TOKEN)[0] == 0
    assert run_command("snapshot", "list", "--url", guarded.url, XAI_EMULATOR_CONTROL_TOKEN=TOKEN)[0] == 0
    assert run_command("wait", "--url", guarded.url)[0] == 0
    assert run_command("env", "--url", guarded.url, "--control-token", "a b")[0] == 2


def test_env_prints_the_token_it_was_given(guarded: Emulator) -> None:
    """So that the command line finds it in a shell that evaluates this."""
    _, printed, said = run_command("env", "--url", guarded.url, "--control-token", TOKEN)
    assert f"export XAI_EMULATOR_CONTROL_TOKEN='{TOKEN}'" in printed
    assert said == ""
    assert "CONTROL_TOKEN" not in run_command("env", "--url", guarded.url)[1]


def test_exec_gives_its_command_the_token() -> None:
    """The one that was made for this emulator."""
    program = "import os; print(os.environ['XAI_EMULATOR_CONTROL_TOKEN'])"
    code, printed, said = run_command("exec", "--host", "0.0.0.0", "--", sys.executable, "-IS", "-c", program)
    assert code == 0
    assert re.search(r"control token: (\w+) ", said)[1] == printed.strip()  # type: ignore[index]


def test_pytest_fixtures_send_the_token(guarded: Emulator) -> None:
    """A team of a test steers such an emulator as any other."""
    with EmulatedTeam.fresh(guarded, "tests::a") as team:
        team.advance(1)
        assert team.requests() == []


def test_contract_kit_sends_the_token(guarded: Emulator) -> None:
    """From the environment; without it the run is refused with a sentence."""
    target = find_target(guarded.url, {"XAI_EMULATOR_CONTROL_TOKEN": TOKEN})
    assert target.control("GET", "/requests")["requests"] == []
    with pytest.raises(InvalidTarget, match="asks for its control token: set XAI_EMULATOR_CONTROL_TOKEN"):
        find_target(guarded.url, {})
