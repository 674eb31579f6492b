"""What all lists have in common: a filter by name, totals, ticked rows, and keys; and that each pane says it all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.console.harness import Console, expect
from tests.console.test_panels import row

PAGE = 50  # rows that a list loads at a time


def counter(page: Any) -> Any:
    """What says how many rows there are."""
    return page.locator(".counter")


@pytest.mark.parametrize("panel", ["files", "collections", "collections/{collection}", "batches"])
def test_plain_word_in_a_filter_is_looked_for_in_names(console: Console, panel: str) -> None:
    """Whatever its case, without the syntax of filters; the total says how many there are besides."""
    collection = console.collection("Annual Reports")
    console.collection("papers")
    for name in ("Annual Report.txt", "other.txt"):
        console.document(collection, name, "Some text.")
    for name in ("annual report", "nightly"):
        console.rest.post("/batches", json={"name": name})
    page = console.open(panel.format(collection=collection))
    expect(counter(page)).to_contain_text("2 of 2")
    page.get_by_role("searchbox").fill("aNNual rep")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("nnual")
    expect(counter(page)).to_contain_text("1 of 2")
    expect(counter(page)).to_contain_text("matches")
    page.get_by_role("searchbox").fill("nothing of this name")
    expect(page.locator(".emptiness")).to_contain_text("matches")


def test_name_with_a_backslash_can_be_looked_for(console: Console) -> None:
    """What a plain word holds is no syntax."""
    console.rest.post("/batches", json={"name": "unused"})
    console.collection("back\\slash")
    console.collection("other")
    page = console.open("collections")
    page.get_by_role("searchbox").fill("k\\s")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("back\\slash")


def test_list_with_more_than_a_page_says_how_many_there_are(console: Console) -> None:
    """Also before all of them are loaded."""
    for number in range(PAGE + 5):
        console.upload(f"file-{number:02}.txt")
    page = console.open("files")
    expect(counter(page)).to_have_text("50 of 55 files")
    page.get_by_role("button", name="Show more").click()
    expect(counter(page)).to_have_text("55 of 55 files")


@pytest.mark.parametrize("panel", ["files", "collections", "collections/{collection}"])
def test_ticked_rows_are_deleted_together_after_a_question(console: Console, panel: str) -> None:
    """And no other; until the question is answered nothing is deleted."""
    collection = console.collection("alpha")
    for name in ("beta", "gamma"):
        console.collection(name)
    for name in ("alpha.txt", "beta.txt", "gamma.txt"):
        console.document(collection, name, "Some text.")
    verb = "Remove" if "/" in panel else "Delete"
    page = console.open(panel.format(collection=collection))
    for name in ("beta", "gamma"):
        row(page, name).get_by_role("checkbox").check()
    expect(page.locator(".selection")).to_contain_text("2 ")
    page.get_by_role("button", name=f"{verb} them").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("dialog").get_by_role("button", name=verb).click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("alpha")
    expect(page.locator(".selection")).to_be_hidden()
    assert len(console.rest.get("/files").json()["data"]) == (1 if panel == "files" else 3)


def test_refusal_amid_a_bulk_delete_is_shown_and_the_rest_stays_ticked(console: Console) -> None:
    """The files before the refusal are deleted; the same button deletes the rest."""
    for name in ("a.txt", "b.txt", "c.txt"):
        console.upload(name)
    console.control("POST", "/faults", json={"operation": "files.delete", "error": "unavailable", "nth": 2, "times": 1})
    page = console.open("files")
    page.get_by_label("Select all shown").check()
    page.get_by_role("button", name="Delete them").click()
    confirm = page.get_by_role("dialog").get_by_role("button", name="Delete")
    confirm.click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("rule-1")
    assert len(console.rest.get("/files").json()["data"]) == 2
    confirm.click()
    expect(page.get_by_text("This team has no files yet.")).to_be_visible()


def test_keys_focus_the_filter_move_in_the_table_and_close_the_pane(console: Console) -> None:
    """/ focuses the filter, the arrows move from row to row, Enter opens, and Escape closes the pane."""
    for name in ("c.txt", "b.txt", "a.txt"):
        console.upload(name)
    page = console.open("files")
    link = {name: page.get_by_role("link", name=f"{name}.txt") for name in "abc"}
    expect(link["c"]).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("/")
    expect(page.get_by_role("searchbox")).to_have_value("/")
    page.get_by_role("searchbox").fill("")
    expect(link["a"]).to_be_visible()
    link["a"].focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(link["c"]).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(link["b"]).to_be_focused()
    page.keyboard.press("Enter")
    pane = page.get_by_role("complementary", name="File")
    expect(pane).to_contain_text("b.txt")
    page.keyboard.press("Escape")
    expect(pane).to_have_count(0)
    expect(link["b"]).to_be_focused()


def test_dialog_closes_when_the_page_goes_elsewhere(console: Console) -> None:
    """The button of the browser that goes back leaves no dialog over another panel."""
    page = console.open("files")
    page.get_by_role("navigation").get_by_role("link", name="Batches").click()
    page.get_by_role("button", name="New batch").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Files")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="The team's clock").click()
    expect(page.locator("#box-clock")).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("heading", name="Batches")).to_be_visible()
    expect(page.locator("#box-clock")).to_be_hidden()


def test_file_shows_its_content_type_and_links_to_its_collections(console: Console) -> None:
    """From a file one click leads to the document that it is in a collection."""
    collection = console.collection("papers")
    file_id = console.document(collection, "notes.md", "# Notes")
    page = console.open(f"files/{file_id}")
    pane = page.get_by_role("complementary", name="File")
    expect(pane).to_contain_text("text/markdown")
    pane.get_by_role("link", name="papers").click()
    expect(page.get_by_role("complementary", name="Document")).to_contain_text("notes.md")


def test_planned_job_links_to_what_it_is_about(console: Console) -> None:
    """A file that expires, a batch that expires, a document that waits for its indexing."""
    console.configure(indexing="manual")
    collection = console.collection("papers")
    console.document(collection, "notes.md", "# Notes")
    expiring = console.upload("short.txt", expires_after="3600")
    batch = console.rest.post("/batches", json={"name": "nightly"}).json()["batch_id"]
    page = console.open("clock")
    for kind, pane, text in (
        ("expire_file", "File", "short.txt"),
        ("expire_batch", "Batch", "nightly"),
        ("index_document", "Document", "notes.md"),
    ):
        row(page, kind).get_by_role("link").click()
        expect(page.get_by_role("complementary", name=pane)).to_contain_text(text)
        page.go_back()
    assert expiring
    assert batch


def test_settings_show_what_is_in_force_and_the_limits_that_differ(console: Console) -> None:
    """The profile, the speeds, where the state is, who set what, and only those limits that were changed."""
    console.configure(profile="strict", batches="manual")
    console.control("PUT", "/limits", json={"file_bytes_max": "3MiB"})
    page = console.open("settings")
    expect(row(page, "--profile")).to_contain_text("strict")
    expect(row(page, "--profile")).to_contain_text("this team")
    expect(row(page, "--batches")).to_contain_text("manual")
    expect(row(page, "--indexing")).to_contain_text("default")
    expect(page.locator(".card")).to_contain_text("in memory")
    changed = page.get_by_role("table", name="Limits that are not at their default")
    expect(changed.locator("tbody tr")).to_have_count(1)
    expect(changed).to_contain_text("3.0 MiB")
