"""The page for everybody: keyboard, screen reader, dark and light, narrow and wide; and against hostile names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from emulator import Emulator
from tests.console.harness import NARROW, PANELS, WIDE, Console, expect, new_console
from tests.serving import free_port

HOSTILE = "<img src=x onerror=hit()><script>hit()</script>"
SHOWN = "<img src=x onerror=hit()>"  # the part of it that every panel shows
# Each control a person can reach, that a screen reader could not name.
NAMELESS = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary, progress")]
  .filter((each) => each.checkVisibility() && !each.closest("[aria-hidden=true]"))
  .filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length))
  .map((each) => each.outerHTML)"""
# The contrast of every pair of colours that texts are shown in (WCAG 2: relative luminance).
CONTRAST = """(pairs) => {
  const probe = document.body.appendChild(document.createElement("i"));
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (token) => {
    probe.style.color = `var(--${token})`;
    context.fillStyle = getComputedStyle(probe).color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (token) => {
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb(token).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrasts = pairs.map(([front, back]) => {
    const [low, high] = [luminance(front), luminance(back)].sort((a, b) => a - b);
    return [`${front} on ${back}`, (high + 0.05) / (low + 0.05)];
  });
  probe.remove();
  return Object.fromEntries(contrasts);
}"""
# Each word that stands on two lines. Long ones may, and so may what is not made of words: a hash, an id, JSON.
BROKEN_WORDS = """() => [...document.querySelectorAll("h1, h2, h3, p, a, label, button, legend, th, td, dt, dd")]
  .flatMap((place) => {
    const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT), broken = [];
    for (let text; (text = walker.nextNode());) {
      if (text.parentElement.closest("pre, .target, .identifier, code:not(.key)")) continue;
      for (const word of text.data.matchAll(/[\\p{L}\\p{N}]{2,20}(?![\\p{L}\\p{N}])/gu)) {
        const range = document.createRange();
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        const tops = [...range.getClientRects()].map((each) => Math.round(each.top));
        if (new Set(tops).size > 1) broken.push(word[0]);
      }
    }
    return broken;
  })"""
PAIRS = [
    *((front, back) for front in ("text", "faint", "accent", "bad") for back in ("ground", "surface", "raised")),
    *((tone, f"{tone}-ground") for tone in ("accent", "ok", "busy", "warn", "bad")),
    ("on-accent", "accent"),
    ("text", "line"),
]


@pytest.fixture(scope="module")
def furnished_team(emulator: Emulator, page: Any) -> Iterator[Console]:
    """The console of a team that has one of everything, all of it with hostile names."""
    console = new_console(page, emulator, f"furnished-{uuid4().hex}")
    page.add_init_script("window.hits = 0; window.hit = () => { window.hits += 1; };")
    collection = console.collection(HOSTILE, collection_description=HOSTILE, field_definitions=[{"key": HOSTILE}])
    name = HOSTILE.replace('"', "").replace(";", "")
    file_id = console.document(collection, name, f"Text {HOSTILE}", **{HOSTILE: HOSTILE})
    console.upload(f"{name}.html", HOSTILE.encode())
    console.upload(f"{name}.json", json.dumps({HOSTILE: HOSTILE}).encode())
    batch = console.rest.post("/batches", json={"name": HOSTILE}).json()["batch_id"]
    message = {"role": "user", "content": HOSTILE}
    request = {"chat_get_completion": {"model": HOSTILE, "messages": [message]}}
    console.rest.post(
        f"/batches/{batch}/requests", json={"batch_requests": [{"batch_request_id": HOSTILE, "batch_request": request}]}
    )
    console.rest.get(f"/files/{HOSTILE}", params={"x": HOSTILE}, headers={"user-agent": HOSTILE})
    console.control("POST", "/faults", json={"operation": "files.update", "error": "unavailable", "message": HOSTILE})
    console.ids = {"collection": collection, "file": file_id, "batch": batch}
    yield console
    console.close()


@pytest.fixture
def furnished(furnished_team: Console) -> Iterator[Console]:
    """That console, for one test."""
    with furnished_team.attached():
        yield furnished_team


def addresses(console: Console) -> list[str]:
    """Every panel, and one thing in each that has details."""
    ids = console.ids
    return [
        *PANELS,
        f"files/{ids['file']}",
        f"collections/{ids['collection']}",
        f"collections/{ids['collection']}/{ids['file']}",
        f"search?q=text&collection={ids['collection']}",
        f"batches/{ids['batch']}",
        "journal/1",
    ]


def visit(console: Console, address: str) -> Any:
    """Open an address and wait until everything there is loaded; the page."""
    page = console.open(address)
    page.wait_for_load_state("load")
    expect(page.locator("main h1")).to_have_count(1)
    expect(page.get_by_text("Loading…")).to_have_count(0)
    page.evaluate("document.fonts.ready.then(() => null)")
    return page


@dataclass
class View:
    """What was found at an address: on a wide screen, and on a narrow one."""

    address: str
    text: str
    elements_from_names: int
    hits: int
    nameless: list[str]
    headings: int
    current_panels: int
    widths: list[int] = field(default_factory=list)  # of the page and of the window
    broken_words: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def views(furnished_team: Console) -> list[View]:
    """Each address visited once on a wide screen and once on a narrow one, for all tests that look at every panel."""
    furnished_team.rest.get("/files/file_nobody")  # refused by the rule not_found
    wrong = {"batch_request_id": "1", "batch_request": {"chat_get_completion": {"model": "grok-4.3", "messages": []}}}
    for name in ("nightly summaries", "before-the-import"):
        batch = furnished_team.rest.post("/batches", json={"name": name}).json()["batch_id"]
        furnished_team.rest.post(f"/batches/{batch}/requests", json={"batch_requests": [wrong]})
        furnished_team.collection(name)
        furnished_team.upload(f"{name}.txt")
        furnished_team.control("POST", "/snapshots", json={"name": name.replace(" ", "-")})
    found = []
    with furnished_team.attached(WIDE):
        for address in addresses(furnished_team):
            page = visit(furnished_team, address)
            if shows_names(address):
                expect(page.locator("main")).to_contain_text(SHOWN)
            found.append(
                View(
                    address,
                    text=page.locator("main").inner_text(),
                    elements_from_names=page.locator("img[src=x], main script").count(),
                    hits=page.evaluate("window.hits"),
                    nameless=page.evaluate(NAMELESS),
                    headings=page.locator("h1").count(),
                    current_panels=page.locator("nav [aria-current=page]").count(),
                )
            )
    with furnished_team.attached(NARROW):
        for view in found:
            page = visit(furnished_team, view.address)
            view.widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            view.broken_words = page.evaluate(BROKEN_WORDS)
    return found


def shows_names(address: str) -> bool:
    """Whether a panel shows names of things, or the calls about them."""
    return address.startswith(("files", "collections", "search?", "batches", "journal/"))


def test_markup_in_names_is_shown_as_text(views: list[View]) -> None:
    """Whatever a name, a field, a prompt or a body holds, it is shown, and nothing in it runs."""
    for view in views:
        assert SHOWN in view.text or not shows_names(view.address), view.address
        assert (view.elements_from_names, view.hits) == (0, 0), view.address


def test_controls_have_accessible_names(views: list[View]) -> None:
    """A screen reader can say what each control is, and each panel has one heading of the first order at most."""
    for view in views:
        assert view.nameless == [], view.address
        assert (view.headings, view.current_panels) == (1, 1), view.address


def test_narrow_page_cuts_nothing_off(views: list[View]) -> None:
    """On a narrow screen a page never has to be moved sideways."""
    for view in views:
        page_width, window_width = view.widths
        assert page_width <= window_width, view.address


def test_narrow_page_does_not_break_words(views: list[View]) -> None:
    """On a narrow screen a line ends between words: none of at most 20 letters is broken in two."""
    assert {view.address: view.broken_words for view in views if view.broken_words} == {}


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_text_colours_have_enough_contrast(furnished: Console, colours: str) -> None:
    """Every pair of colours that texts are shown in has a contrast of 4.5 or more (WCAG 2.2, AA)."""
    furnished.page.emulate_media(color_scheme=colours)
    page = visit(furnished, "files")
    contrasts = page.evaluate(CONTRAST, PAIRS)
    assert {pair: round(value, 2) for pair, value in contrasts.items() if value < 4.5} == {}


def test_colour_scheme_choice_is_kept(furnished: Console) -> None:
    """Light and dark follow the system until the user chooses, and the choice is kept."""
    page = visit(furnished, "files")
    page.emulate_media(color_scheme="dark")
    for wanted, scheme in (("light", "light"), ("dark", "dark"), ("system", "light dark")):
        page.get_by_role("button", name="Colours").click()
        page.reload()
        expect(page.get_by_role("button", name=f"Colours: {wanted}")).to_be_visible()
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == scheme


def test_console_works_with_keyboard_alone(console: Console) -> None:
    """Skip to the content, open a row, close a dialog: nothing needs a mouse, and the focus stays where it was."""
    file_id = console.upload("one.txt")
    page = console.open("files")
    expect(page.get_by_role("link", name="one.txt")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    link = page.get_by_role("link", name="one.txt")
    for _ in range(12):
        page.keyboard.press("Tab")
        if link.evaluate("each => each === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="File")).to_be_visible()
    console.upload("two.txt")  # renders the list again
    expect(page.get_by_role("link", name="two.txt")).to_be_visible()
    expect(link).to_be_focused()
    remove = page.get_by_role("button", name="Delete")
    remove.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(remove).to_be_focused()
    assert console.rest.get(f"/files/{file_id}").status_code == 200


def test_back_and_forward_restore_views(console: Console) -> None:
    """Each thing has an address of its own that can be shared, and the buttons of the browser work."""
    file_id = console.upload("one.txt")
    page = console.open("files")
    page.get_by_role("link", name="one.txt").click()
    detail = page.get_by_role("complementary", name="File")
    expect(detail).to_contain_text(file_id)
    page.get_by_role("navigation").get_by_role("link", name="Limits").click()
    expect(page.get_by_role("heading", name="Limits")).to_be_visible()
    page.go_back()
    expect(detail).to_contain_text(file_id)
    assert console.team in page.url
    page.go_back()
    expect(detail).to_have_count(0)


def test_console_shows_selected_team_only(console: Console) -> None:
    """A team made on the page has an address of its own, and sees nothing of another."""
    console.upload("mine.txt")
    page = console.open("files")
    expect(page.get_by_role("link", name="mine.txt")).to_be_visible()
    page.get_by_label("Team", exact=True).select_option(label="New team…")
    page.get_by_role("dialog").get_by_label("Name").fill(f"{console.team}-two")
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    page.wait_for_url(f"**/?team={console.team}-two")
    page.get_by_role("navigation").get_by_role("link", name="Files").click()
    expect(page.get_by_text("This team has no files yet.")).to_be_visible()
    page.get_by_label("Team", exact=True).select_option(label=console.team)
    expect(page.get_by_role("link", name="mine.txt")).to_be_visible()
    assert page.url.endswith(f"?team={console.team}#/files")


def test_console_with_strict_keys_asks_for_them(page: Any) -> None:
    """With strict authentication the page asks for keys once, and keeps them in the tab alone."""
    with Emulator(auth="strict", keys=("inference-1=inference", "management-1=management")) as emulator:
        console = new_console(page, emulator, "default")
        with console.attached():
            console.open("files")
            dialog = page.get_by_role("dialog")
            expect(dialog).to_contain_text("Incorrect API key provided")
            dialog.get_by_label("Inference key").fill("inference-1")
            dialog.get_by_label("Management key").fill("management-1")
            dialog.get_by_role("button", name="Use these keys").click()
            expect(page.get_by_text("This team has no files yet.")).to_be_visible()
            console.open("collections")
            expect(page.get_by_text("This team has no collections yet.")).to_be_visible()
            assert page.evaluate("JSON.stringify({ ...localStorage })") == "{}"
        page.goto("about:blank")
        console.close()


def test_console_reports_lost_connection(page: Any) -> None:
    """When the emulator stops the page says so; when there is one again it shows what that one has."""
    port = free_port()
    emulator = Emulator(port=port)
    emulator.start()
    console = new_console(page, emulator, "default")
    console.upload("before.txt")
    with console.attached():
        console.open("files")
        expect(page.get_by_role("link", name="before.txt")).to_be_visible()
        emulator.stop()
        expect(page.get_by_text("No connection")).to_be_visible()
        with Emulator(port=port):
            expect(page.get_by_text("Live", exact=True)).to_be_visible()
            expect(page.get_by_text("This team has no files yet.")).to_be_visible()
            page.goto("about:blank")
    console.close()
