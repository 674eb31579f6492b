"""Where things are on the page, measured: what a click opens is in view, on a wide screen and on a telephone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from emulator import Emulator
from tests.console.harness import PANELS, WIDE, Console, expect, new_console

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
ROWS = 45  # several screens, on one page of the list
PANES = {"files": "File", "collections/{collection}": "Document", "journal": "Call", "batches": "Batch"}


@pytest.fixture(scope="module")
def crowded_team(emulator: Emulator, page: Any) -> Iterator[Console]:
    """The console of a team whose lists are all longer than a screen."""
    console = new_console(page, emulator, f"crowded-{uuid4().hex}")
    collection = console.collection("papers", field_definitions=[{"key": "author"}])
    for number in range(ROWS):
        console.document(collection, f"report-{number:02}.txt", "Some text.")
        console.rest.post("/batches", json={"name": f"batch {number:02}"})
        console.collection(f"shelf {number:02}")
    console.ids = {"collection": collection}
    yield console
    console.close()


@pytest.fixture
def crowded(crowded_team: Console) -> Iterator[Console]:
    """That console, for one test, which says how large the window is."""
    with crowded_team.attached(size=None):
        yield crowded_team


def box(locator: Any) -> dict[str, float]:
    """Where an element is in the viewport: its edges in CSS pixels."""
    edges: dict[str, float] = locator.evaluate("each => each.getBoundingClientRect().toJSON()")
    return edges


def opened(crowded: Console, panel: str) -> Any:
    """The page of a panel, with its rows, each of which has a link."""
    page = crowded.open("start")
    page = crowded.open(panel.format(**crowded.ids))
    expect(page.locator("tbody tr").nth(ROWS - 1)).to_be_visible()
    page.evaluate("document.fonts.ready.then(() => null)")
    return page


@pytest.mark.parametrize("panel", PANES)
def test_row_below_the_first_screen_when_clicked_opens_its_pane_in_view(crowded: Console, panel: str) -> None:
    """The pane of the last row of a long list is as high on the screen as that of the first, and the list stays."""
    crowded.page.set_viewport_size(DESK)
    page = opened(crowded, panel)
    last = page.locator("tbody tr").last
    last.scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > DESK["height"]
    last.locator("td").nth(-1).click()
    pane = page.get_by_role("complementary")
    expect(pane).to_be_visible()
    edges = box(pane)
    assert box(page.locator("#bar"))["bottom"] <= edges["top"] < DESK["height"] / 2
    assert edges["bottom"] <= DESK["height"]
    assert box(last)["bottom"] <= DESK["height"], "the row that was clicked is still on the screen"


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_collection_below_the_first_screen_when_clicked_is_shown_from_its_top(
    crowded: Console, size: dict[str, int]
) -> None:
    """The collection takes the place of the list: its name is in view, and going back returns to the row."""
    crowded.page.set_viewport_size(size)
    page = opened(crowded, "collections")
    last = page.locator("tbody tr").nth(ROWS - 1)
    last.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > size["height"]
    name = last.locator("a").first.inner_text()
    last.locator("a").first.click()
    title = page.get_by_role("heading", name=name)
    expect(title).to_be_visible()
    assert 0 <= box(title)["top"] < size["height"] / 2
    page.go_back()
    expect(last).to_be_visible()
    page.wait_for_function("before => Math.abs(scrollY - before) <= 2", arg=before)


@pytest.mark.parametrize("panel", PANES)
def test_pane_on_a_phone_is_in_view_and_closing_it_returns_to_the_row(crowded: Console, panel: str) -> None:
    """Where the pane takes the place of the list, the page moves to it, and back to where the list was."""
    crowded.page.set_viewport_size(PHONE)
    page = opened(crowded, panel)
    row = page.locator("tbody tr").nth(ROWS - 3)
    row.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    row.locator("a").first.click()
    back = page.get_by_role("link", name="Back to the list")
    expect(back).to_be_visible()
    assert 0 <= box(back)["top"] < PHONE["height"] / 2
    back.click()
    expect(row).to_be_visible()
    assert page.evaluate("scrollY") == pytest.approx(before, abs=2)


IN_VIEW = """([panel, width]) => {
  const edges = document.querySelector(`#panels a[aria-current=page][data-panel=${panel}]`).getBoundingClientRect();
  return edges.left >= 0 && edges.right <= width;
}"""


def test_tab_of_the_panel_on_a_phone_is_in_view(crowded: Console) -> None:
    """The row of panels scrolls to the one that is open."""
    crowded.page.set_viewport_size(PHONE)
    for panel in PANELS:
        crowded.open(panel)
        tab = crowded.page.locator("#panels a[aria-current=page]")
        expect(tab).to_have_attribute("data-panel", panel)
        crowded.page.wait_for_function(IN_VIEW, arg=[panel, PHONE["width"]])


def test_tab_is_in_view_when_the_window_gets_narrow_again(crowded: Console) -> None:
    """A browser restores where the row was scrolled to, though another panel was opened meanwhile."""
    for size, panel in ((PHONE, PANELS[-1]), (DESK, PANELS[0]), (PHONE, PANELS[0])):
        crowded.page.set_viewport_size(size)
        crowded.open(panel)
        crowded.page.wait_for_function(IN_VIEW, arg=[panel, size["width"]])


def test_window_without_a_panel_can_be_resized(crowded: Console) -> None:
    """An address without a panel shows the list of panels, and the browser reports no error."""
    crowded.page.goto("about:blank")
    crowded.page.goto(f"{crowded.url}/_emulator/?team={crowded.team}#main")
    expect(crowded.page.locator("#panels a").first).to_be_visible()
    for size in (PHONE, DESK):
        crowded.page.set_viewport_size(size)
        crowded.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.mark.parametrize(
    "panel", ["files", "collections", "collections/{collection}", "batches", "snapshots", "limits"]
)
def test_actions_are_on_screen_of_a_phone(crowded: Console, panel: str) -> None:
    """No button or link of a panel is cut off at the edge, nor hidden in a table that has to be moved sideways."""
    crowded.control("POST", "/snapshots", json={"name": "before-the-import"})
    crowded.page.set_viewport_size(PHONE)
    page = crowded.open(panel.format(**crowded.ids))
    expect(page.locator("tbody tr").first).to_be_visible()
    outside = page.locator("main").evaluate(
        """(main, width) => [...main.querySelectorAll("a, button, input, select")]
          .filter((each) => each.checkVisibility() && !each.closest("[aria-hidden=true]"))
          .filter((each) => each.getBoundingClientRect().left < 0 || each.getBoundingClientRect().right > width)
          .map((each) => each.outerHTML)""",
        PHONE["width"],
    )
    assert outside == []


def test_page_brings_its_own_fonts(crowded: Console) -> None:
    """Texts and code are drawn in fonts that came from the emulator, so that they are as wide on every machine."""
    crowded.page.set_viewport_size(WIDE)
    page = crowded.open("start")
    expect(page.locator("pre")).to_be_visible()
    loaded = page.evaluate("document.fonts.ready.then((all) => [...all].map((each) => [each.family, each.status]))")
    assert sorted(map(tuple, loaded)) == [("Inter", "loaded"), ("JetBrains Mono", "loaded")]
