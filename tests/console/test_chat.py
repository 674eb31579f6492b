"""The page Chat in a browser: what is asked, what is shown of the answer, and which rules answer."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from tests.console.harness import Console, expect
from tests.serving import until

QUESTION = "what does the stove burn"
TEXT = "The stove burns birch wood."


@pytest.fixture
def library(console: Console) -> Console:
    """A team with a collection of two documents."""
    console.ids["collection"] = console.collection("notes")
    for name, text in (("stove.md", TEXT), ("ferns.md", "Ferns like shade and rain.")):
        console.ids[name] = console.document(console.ids["collection"], name, text)
    return console


def answer(page: Any) -> Any:
    """The card of the answer."""
    return page.locator('.card[data-key="answer"]')


def test_question_about_a_file_shows_the_answer_and_the_passages_with_their_ranks(library: Console) -> None:
    page = library.open("chat")
    page.get_by_label("API", exact=True).select_option("chat")
    page.get_by_label("stove.md", exact=True).check()
    page.get_by_label("Question", exact=True).fill(QUESTION)
    page.get_by_role("button", name="Ask").click()
    expect(answer(page)).to_contain_text(f'From stove.md: "{TEXT}"')
    expect(answer(page).locator(".badge")).to_have_text("stop")
    match = page.get_by_role("article")
    expect(match.locator(".rank")).to_have_text("1")
    expect(match.get_by_role("link", name="stove.md")).to_have_attribute("href", f"#/files/{library.ids['stove.md']}")
    expect(match.locator("mark")).to_have_text(["The", "stove"])
    calls = library.control("GET", "/requests")["requests"]
    assert [call["operation"] for call in calls if call["operation"].startswith("chat")] == ["chat.create"]


def test_question_about_a_collection_shows_citations_as_links(library: Console) -> None:
    page = library.open(f"chat?q={QUESTION}&collection={library.ids['collection']}")
    link = f"#/collections/{library.ids['collection']}/{library.ids['stove.md']}"
    expect(answer(page).locator(".answer")).to_have_text(f'From stove.md: "{TEXT}" [1]')
    expect(answer(page).get_by_role("link", name="[1]")).to_have_attribute("href", link)
    expect(answer(page).get_by_role("listitem").get_by_role("link")).to_have_attribute("href", link)
    expect(answer(page)).to_contain_text(re.compile(r"Cost\s*\$0\.00"))
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_role("link", name="Why these ranks")).to_have_attribute("href", re.compile(r"#/search\?q="))
    answer(page).get_by_role("link", name="[1]").click()
    expect(page.get_by_role("complementary", name="Document")).to_contain_text("stove.md")


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
@pytest.mark.parametrize("client", ["curl", "xai-sdk (Python)", "openai (Python)"])
def test_code_of_a_question_gives_the_answer_that_the_page_shows(library: Console, client: str, endpoint: str) -> None:
    """As it is printed: a quote, a backslash and a character beyond ASCII in the question change nothing."""
    question = 'the stove\'s \\ "burn" – what?'
    target = f"api={endpoint}&collection={library.ids['collection']}&file={library.ids['ferns.md']}"
    page = library.open(f"chat?{target}")
    page.get_by_label("Question", exact=True).fill(question)
    page.get_by_role("button", name="Ask").click()
    expect(answer(page).locator(".badge")).to_have_text(re.compile("stop|completed"))
    page.get_by_label("Client", exact=True).select_option(client)
    code = page.locator(".snippet pre").inner_text()
    printed = text_of_events(run_shell(code)) if client == "curl" else run_python(code)
    text = answer(page).locator(".answer").inner_text()
    assert re.sub(r"\[\[(\d+)\]\]\([^)]+\)", r"[\1]", printed).startswith(text)


def run_shell(code: str) -> str:
    """What commands print."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout


def run_python(code: str) -> str:
    """What a program prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "page", "exec"), {})
    return printed.getvalue()


def text_of_events(stream: str) -> str:
    """The text of a stream of either endpoint."""
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"].get("content") for event in events for choice in event.get("choices", ())]
    deltas += [event["delta"] for event in events if event.get("type") == "response.output_text.delta"]
    return "".join(filter(None, deltas))


def test_rule_that_is_planned_answers_and_is_counted(console: Console) -> None:
    page = console.open("chat?api=chat")
    expect(page.get_by_text("No rule answers.")).to_be_visible()
    page.get_by_label("Question matches").fill("capital")
    page.get_by_label("Answer with").fill("Bern, as {prompt} says.")
    page.get_by_label("How many times").fill("2")
    page.get_by_role("button", name="Plan the answer").click()
    rule = page.get_by_role("row").filter(has_text="answer-1")
    expect(rule).to_contain_text("regex capital")
    expect(rule).to_contain_text("waiting 0 of 2")
    page.get_by_label("Question", exact=True).fill("the capital")
    page.get_by_role("button", name="Ask").click()
    expect(answer(page)).to_contain_text("Bern, as the capital says.")
    expect(rule).to_contain_text("used 1 of 2")
    page.get_by_role("button", name="Remove answer-1").click()
    expect(page.get_by_text("No rule answers.")).to_be_visible()


def test_rule_that_is_none_is_refused_beside_its_form(console: Console) -> None:
    page = console.open("chat?api=chat")
    page.get_by_label("Question matches").fill("(")
    page.get_by_label("Answer with").fill("x")
    page.get_by_role("button", name="Plan the answer").click()
    expect(page.get_by_role("alert")).to_contain_text("regex: missing )")


def test_refusal_is_shown_in_place_of_the_answer(console: Console) -> None:
    console.control("POST", "/faults", json={"operation": "chat.create", "error": "rate_limited"})
    page = console.open("chat?api=chat&q=first")
    expect(answer(page).get_by_role("alert")).to_contain_text("planned fault")


def test_answer_that_is_cut_keeps_what_has_come(console: Console) -> None:
    """A word comes for each second of the team's clock, so that the page has shown two before the cut."""
    console.control("POST", "/clock/freeze", json={})
    rule = {"response": "one two six ten", "tokens_per_second": 1, "cut_after": 3}
    console.control("POST", "/answers", json=rule)
    page = console.open("chat?api=chat&q=cut")
    waits = console.emulator._running().services.waits
    until(lambda: waits._changes.get(console.team))  # the call has begun
    console.control("POST", "/clock/advance", json={"seconds": 2})
    expect(answer(page).locator(".answer")).to_have_text("one two")
    console.control("POST", "/clock/advance", json={"seconds": 2})
    expect(answer(page).get_by_role("alert")).to_contain_text("The connection ended before the answer did.")
    expect(answer(page).locator(".answer")).to_contain_text("one two")


def test_text_of_an_answer_never_becomes_markup(console: Console) -> None:
    hostile = "<img src=x onerror=alert(1)> [[1]](javascript:alert(1)) [[2]](collections://c/files/f?x#y)"
    citations = ["javascript:alert(1)", "https://example.com/a"]
    console.control("POST", "/answers", json={"response": {"content": hostile, "citations": citations}})
    page = console.open("chat?api=chat&q=x")
    shown = answer(page).locator(".answer")
    expect(shown).to_have_text("<img src=x onerror=alert(1)> [[1]](javascript:alert(1)) [2]")
    assert shown.locator("img").count() == 0
    assert [link.get_attribute("href") for link in answer(page).get_by_role("link").all()] == [
        "#/collections/c/f%3Fx%23y"
    ]


def test_chat_completions_offer_no_collections(library: Console) -> None:
    page = library.open("chat")
    expect(page.get_by_label("notes")).to_be_visible()
    page.get_by_label("API", exact=True).select_option("chat")
    expect(page.get_by_label("notes")).to_be_hidden()
    expect(page.get_by_text("choose Responses")).to_be_visible()
