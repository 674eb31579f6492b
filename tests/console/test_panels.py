"""The panels in a browser: what they show, and what a click does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.console.harness import Console, expect

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63f8cfc0f01f00050001ff5d0c0b570000000049454e44ae426082"
)


def row(page: Any, text: str) -> Any:
    """The row of a table that holds a text."""
    return page.get_by_role("row").filter(has_text=text)


def test_choose_files_and_see_them_listed(console: Console, tmp_path: Path) -> None:
    """Chosen files are uploaded with the lifetime that was set, and appear."""
    page = console.open("files")
    expect(page.get_by_text("This team has no files yet.")).to_be_visible()
    page.get_by_label("Lifetime of what is uploaded").select_option("3600")
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("Hello")
    page.locator("input[type=file]").set_input_files([tmp_path / "a.txt", tmp_path / "b.txt"])
    expect(row(page, "b.txt")).to_contain_text(re.compile("in (1 hour|59 minutes)"))
    files = console.rest.get("/files").json()["data"]
    assert sorted(file["filename"] for file in files) == ["a.txt", "b.txt"]
    assert all(file["expires_at"] - file["created_at"] == 3600 for file in files)


def test_drop_a_file_and_watch_it_go_up(console: Console) -> None:
    """A dropped file has a progress bar, and a refused one shows which rule refused it."""
    console.control("PUT", "/limits", json={"file_bytes_max": 1_000})
    page = console.open("files")
    expect(page.get_by_text("This team has no files yet.")).to_be_visible()
    held: list[Any] = []
    page.route("**/files", lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
    drop(page, "small.txt", 900)
    expect(page.get_by_role("progressbar", name="Upload of small.txt")).to_be_visible()
    held[0].continue_()
    page.unroute("**/files")
    expect(row(page, "small.txt")).to_contain_text("900 B")
    expect(page.get_by_role("progressbar")).to_have_count(0)
    drop(page, "large.txt", 1_001)
    expect(page.get_by_role("alert")).to_contain_text("file_bytes_max")


def drop(page: Any, name: str, size: int) -> None:
    """Drop a file onto the page, as a browser does."""
    transfer = page.evaluate_handle(
        """([name, size]) => {
          const data = new DataTransfer();
          data.items.add(new File(["x".repeat(size)], name));
          return data;
        }""",
        [name, size],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.locator(".panel").dispatch_event(event, {"dataTransfer": transfer})


def test_look_into_a_file_make_it_public_and_delete_it(console: Console) -> None:
    """The detail of a file has its address, its content, its public URL, and what undoes them."""
    text, picture = console.upload("note.json", b'{"answer": 42}'), console.upload("dot.png", PNG)
    page = console.open(f"files/{text}")
    expect(page.locator("pre")).to_contain_text('"answer": 42')
    page.get_by_role("link", name="dot.png").click()
    assert page.url.endswith(f"#/files/{picture}")
    expect(page.get_by_role("img", name="dot.png")).to_be_visible()
    page.get_by_role("button", name="Make public").click()
    page.get_by_role("dialog").get_by_label("For how long").select_option("3600")
    page.get_by_role("dialog").get_by_role("button", name="Make public").click()
    link = page.get_by_role("link", name=re.compile("_files-cdn"))
    expect(link).to_be_visible()
    assert console.rest.get(link.get_attribute("href")).content == PNG
    page.get_by_role("button", name="Revoke the URL").click()
    expect(page.get_by_role("button", name="Make public")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="dot.png")).to_have_count(0)
    assert [file["id"] for file in console.rest.get("/files").json()["data"]] == [text]


def test_sizes_of_chunks_are_asked_where_they_count(console: Console) -> None:
    """Under the default they have no effect, so they are not shown."""
    page = console.open("collections")
    page.get_by_role("button", name="New collection").click()
    size = page.get_by_label("Size of a chunk")
    expect(size).to_be_hidden()
    page.get_by_label("Chunks").select_option(index=1)
    expect(size).to_be_visible()


def test_empty_panel_has_one_hint(console: Console) -> None:
    """A panel without rows shows one box that says how to create some."""
    for panel in ("files", "collections", "batches", "snapshots", "journal", "clock"):
        expect(console.open(panel).locator(".emptiness")).to_have_count(1)


def test_filter_files_and_learn_from_a_bad_filter(console: Console) -> None:
    """A filter of the API filters the list and stays in the address; a bad one leaves both as they are."""
    console.upload("report.txt"), console.upload("other.txt")
    page = console.open("files")
    page.get_by_role("searchbox").fill('name:"report"')
    expect(row(page, "other.txt")).to_have_count(0)
    expect(row(page, "report.txt")).to_be_visible()
    assert "filter=name" in page.url
    page.get_by_role("searchbox").fill("name == x AND (size_bytes >> 5 OR nme = 1)")
    errors = page.get_by_role("group", name="Errors of the filter")
    expect(errors.locator("li")).to_have_count(2)
    expect(errors.locator("li").nth(0)).to_contain_text("Column 7: expected a value")
    expect(errors.locator("li").nth(0)).to_contain_text("equality is a single =")
    expect(errors.locator("li").nth(1)).to_contain_text("Column 28:")
    expect(errors.locator("mark")).to_have_text(["=", ">"])
    drawn = errors.locator(".drawn").evaluate(
        "each => getComputedStyle(each).whiteSpace + getComputedStyle(each).fontFamily"
    )
    assert drawn.startswith("pre-wrap")
    assert "mono" in drawn
    expect(row(page, "report.txt")).to_be_visible()
    assert "filter=name%3A" in page.url
    page.get_by_role("searchbox").fill("name = x AND size_bytes > big AND nme = 1")
    expect(errors.locator("li")).to_have_count(2)
    expect(errors.locator("li").nth(1)).to_contain_text('there is no field "nme"')
    page.get_by_role("searchbox").fill('name:"other"')
    expect(errors).to_have_count(0)
    expect(row(page, "other.txt")).to_be_visible()


@pytest.mark.parametrize(
    ("panel", "label"),
    [("collections", "Filter"), ("collections/{collection}", "Filter the documents"), ("search", "Filter by fields")],
)
def test_bad_filter_shows_all_errors_while_it_is_typed(console: Console, panel: str, label: str) -> None:
    page = console.open(panel.format(collection=console.collection("papers")))
    page.get_by_label(label, exact=True).press_sequentially('a == "😀" AND b =! 2 AND c')
    errors = page.get_by_role("group", name="Errors of the filter")
    expect(errors.locator("li")).to_have_count(3)
    expect(errors.locator("mark")).to_have_text(["=", "!", "c"])
    page.get_by_label(label, exact=True).fill("")
    expect(errors).to_have_count(0)


def test_bad_filter_in_the_address_is_shown_with_its_place(console: Console) -> None:
    page = console.open("files?filter=name%20%3D%20(")
    expect(page.get_by_role("alert")).to_contain_text("Invalid filter")
    assert (
        page.get_by_role("alert").locator("strong").evaluate("each => getComputedStyle(each).whiteSpace") == "pre-wrap"
    )


def test_make_a_collection_and_put_documents_in(console: Console, tmp_path: Path) -> None:
    """A collection is made with its fields; a document asks for them, is indexed, and shows how far it is."""
    page = console.open("collections")
    page.get_by_role("button", name="New collection").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("papers")
    dialog.get_by_role("button", name="Add a field").click()
    dialog.get_by_label("Key of the field").fill("author")
    dialog.get_by_label("required").check()
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="papers")).to_be_visible()
    (tmp_path / "solar.md").write_text("Solar panels turn light into electricity.")
    page.locator("input[type=file]").set_input_files(tmp_path / "solar.md")
    page.get_by_role("dialog").get_by_label("author").fill("Ada")
    page.get_by_role("dialog").get_by_role("button", name="Upload").click()
    expect(row(page, "solar.md")).to_contain_text("processed")
    expect(row(page, "solar.md")).to_contain_text("author Ada")
    page.get_by_role("link", name="solar.md").click()
    detail = page.get_by_role("complementary", name="Document")
    expect(detail).to_contain_text("1 chunk")
    expect(detail).to_contain_text("text/markdown")
    expect(detail.locator(".chunk")).to_have_text("Solar panels turn light into electricity.")
    detail.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("This collection is empty.")).to_be_visible()
    assert len(console.rest.get("/files").json()["data"]) == 1, "the file itself stays"


def test_search_panel_explains_each_match(console: Console) -> None:
    """Each match shows its rank by words and by vectors, and their parts add up to the score that the API answers."""
    collection = console.collection()
    console.document(collection, "solar.md", "Solar panels turn sunlight into power.")
    console.document(collection, "wind.md", "Wind turbines turn wind into power.")
    page = console.open(f"search?q=solar+panels&collection={collection}")
    matches = page.get_by_role("article")
    expect(matches).to_have_count(2)
    expect(matches.first).to_contain_text("solar.md")
    expect(matches.first.locator("mark")).to_have_text(["Solar", "panels"])
    why = matches.first.get_by_role("table").inner_text()
    parts = [float(part) for part in re.findall(r"= ([\d.]+)", why)]
    asked = {"query": "solar panels", "source": {"collection_ids": [collection]}}
    answered = console.rest.post("/documents/search", json=asked).json()["matches"]
    assert len(parts) == 2
    assert sum(parts) == pytest.approx(answered[0]["score"], rel=1e-3)
    page.get_by_label("Mode", exact=True).select_option("keyword")
    page.get_by_role("button", name="Search").click()
    expect(matches).to_have_count(1)
    expect(matches.first).to_contain_text("not part of this mode")
    assert "mode=keyword" in page.url


def test_search_ticks_the_only_collection_or_those_used_last(console: Console) -> None:
    """Who comes to the panel can ask at once, unless there are several collections and none was used yet."""
    ticked = "[...document.querySelectorAll('.places input:checked')].map((each) => each.parentElement.textContent)"
    first = console.collection("first")
    page = console.open("search")
    expect(page.locator(".places input")).to_be_checked()
    console.collection("second")
    expect(page.locator(".places input")).to_have_count(2)
    console.open(f"collections/{first}")
    expect(page.get_by_role("heading", name="first")).to_be_visible()
    console.open("search")
    expect(page.locator(".places input")).to_have_count(2)
    assert page.evaluate(ticked) == ["first0"]
    page.get_by_label("first").uncheck()
    page.get_by_label("second").check()
    page.get_by_label("Query").fill("anything")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    console.open("files")
    console.open("search")
    expect(page.locator(".places input")).to_have_count(2)
    assert page.evaluate(ticked) == ["second0"]


def test_batches_panel_shows_progress_and_filters_by_state(console: Console) -> None:
    """Finished requests of all requests as numbers, and a state that the list is narrowed to."""
    request = {"chat_get_completion": {"model": "grok-4.3", "messages": [{"role": "user", "content": "Say it"}]}}
    made = {name: console.rest.post("/batches", json={"name": name}).json()["batch_id"] for name in ("full", "empty")}
    requests = [{"batch_request_id": str(number), "batch_request": request} for number in range(3)]
    console.rest.post(f"/batches/{made['full']}/requests", json={"batch_requests": requests})
    page = console.open("batches")
    expect(row(page, "full")).to_contain_text("3 / 3")
    expect(row(page, "empty")).to_contain_text("0 / 0")
    page.get_by_label("State").select_option("open")
    expect(row(page, "full")).to_have_count(0)
    expect(row(page, "empty")).to_be_visible()
    expect(page.locator(".counter")).to_have_text("1 of 2 batches matches")
    page.reload()
    expect(page.get_by_label("State")).to_have_value("open")
    expect(row(page, "full")).to_have_count(0)


def test_send_a_batch_and_watch_it(console: Console) -> None:
    """A batch of a few prompts runs to its end on the page, and each request opens to its result."""
    page = console.open("batches")
    page.get_by_role("button", name="New batch").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("nightly")
    dialog.get_by_label("Prompts").fill("Say one\nSay two")
    dialog.get_by_role("button", name="Send").click()
    expect(row(page, "nightly")).to_contain_text("done")
    page.locator("summary", has_text="request-002").click()
    expect(page.locator(".answer:visible")).to_contain_text("Say two")


def test_journal_panel_shows_new_call_with_its_rule(console: Console) -> None:
    """A call from outside appears by itself with the rule that refused it; the page's own looking does not."""
    page = console.open("journal")
    expect(page.get_by_text("No call yet.")).to_be_visible()
    console.open("files")
    console.open("journal")
    console.rest.get("/files/file_unknown")
    expect(row(page, "files.get")).to_contain_text("not_found")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_role("complementary", name="Call 1")).to_contain_text("File not found")
    expect(page.get_by_role("complementary", name="Call 1")).to_contain_text("The team's clock decides")
    console.rest.get("/fils")
    page.get_by_role("link", name="2", exact=True).click()
    expect(page.get_by_role("complementary", name="Call 2")).to_contain_text("GET /v1/files")
    page.get_by_label("Outcome").select_option("ok")
    expect(page.get_by_text("No call matches.")).to_be_visible()


def test_journal_is_exported_and_a_call_is_copied(console: Console) -> None:
    """What is copied is the command and the test that the command line prints."""
    console.rest.get("/files")
    page = console.open("journal/1")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=console.emulator.url)
    code = console.control("GET", "/requests/1/code")
    for label, form in (("Copy as curl", "curl"), ("Copy as a pytest test", "pytest")):
        page.get_by_role("button", name=label).click()
        expect(page.get_by_text("Copied.").last).to_be_visible()
        page.wait_for_function(
            "(text) => navigator.clipboard.readText().then((found) => found === text)", arg=code[form]
        )
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Export HAR").click()
    assert waiting.value.suggested_filename == f"{console.team}.har"
    entries = json.loads(Path(waiting.value.path()).read_text())["log"]["entries"]
    assert [entry["_operation"] for entry in entries] == ["files.list"]


def test_journal_tells_real_time_when_the_clock_was_moved(console: Console) -> None:
    """A call of just now is not a day old; the time of the team stands beside it, and both in full on hover."""
    console.rest.get("/files")
    console.control("POST", "/clock/advance", json={"seconds": 86_400})
    call = console.control("GET", "/requests")["requests"][0]
    real, team = (call[name][:19].replace("T", " ") + " UTC" for name in ("real_at", "at"))
    page = console.open("journal/1")
    when = row(page, "files.list").locator("time")
    expect(when).to_have_text(re.compile("now|seconds? ago|minutes? ago"))
    expect(when).to_have_attribute("title", f"{real}; the team's clock showed {team}")
    pane = page.get_by_role("complementary", name="Call 1")
    expect(pane.get_by_text(real, exact=True).first).to_be_visible()
    expect(pane).to_contain_text("Time of the team")


def test_journal_shows_response_headers_and_what_a_501_is(console: Console) -> None:
    """A path that is documented and not emulated is called so, and no other path is suggested for it."""
    reply = console.rest.post("/embeddings", json={"model": "grok-4.3"})
    assert reply.status_code == 501
    page = console.open("journal/1")
    pane = page.get_by_role("complementary", name="Call 1")
    expect(row(page, "501")).to_contain_text("not emulated")
    expect(pane).to_contain_text("not emulated")
    expect(pane).to_contain_text("embeddings are not emulated")
    expect(pane).not_to_contain_text("Similar paths")
    expect(pane).to_contain_text("Response headers")
    expect(pane).to_contain_text(reply.headers["x-request-id"])


def test_fault_is_planned_from_bar_in_two_clicks(console: Console) -> None:
    """A fault is set from the bar in two clicks, meets the next call of a client, and is used up then."""
    page = console.open("files")
    expect(page.get_by_text("This team has no files yet.")).to_be_visible()
    page.get_by_role("button", name="Planned faults").click()
    page.get_by_role("button", name="fails: unavailable (503)").click()
    expect(page.get_by_role("button", name="Planned faults: 1")).to_be_visible()
    page.reload()
    expect(page.get_by_text("This team has no files yet.")).to_be_visible()
    assert [console.rest.get("/files").status_code for _ in range(2)] == [503, 200]
    expect(page.get_by_role("button", name="Planned faults: 0")).to_be_visible()


def test_plan_a_rule_and_see_what_it_met(console: Console) -> None:
    """The form creates any rule, a rule that can never match is refused with a reason, the table counts matches."""
    page = console.open("faults")
    form = page.locator("form")
    form.get_by_label("A call of").select_option("files.list")
    form.get_by_label("What happens: it").select_option("cut_upload_after_bytes")
    form.get_by_role("button", name="Add the rule").click()
    expect(page.get_by_role("alert")).to_contain_text("files.list")
    form.get_by_label("What happens: it").select_option("error")
    form.get_by_label("With").select_option("out_of_credits")
    form.get_by_label("How many times").fill("")
    form.get_by_role("button", name="Add the rule").click()
    expect(row(page, "rule-1")).to_contain_text("error out_of_credits")
    assert [console.rest.get("/files").status_code for _ in range(2)] == [429, 429]
    expect(row(page, "rule-1")).to_contain_text("2 of 2 calls")
    expect(row(page, "rule-1")).to_contain_text("every call")
    form.get_by_label("From call number").fill("2")
    form.get_by_label("How many times").fill("3")
    form.get_by_label("Transport").select_option("grpc")
    form.get_by_role("button", name="Add the rule").click()
    expect(row(page, "rule-2")).to_contain_text("calls 2 to 4 over gRPC")
    page.get_by_role("button", name="Remove rule-2").click()
    page.get_by_role("button", name="Remove rule-1").click()
    expect(page.get_by_text("No fault is planned.")).to_be_visible()


def test_clock_is_moved_from_bar_in_two_clicks(console: Console) -> None:
    """The clock is moved from the bar in two clicks, and what expires by it leaves the page."""
    console.upload("short.txt", expires_after="3600")
    console.upload("long.txt")
    page = console.open("files")
    expect(row(page, "short.txt")).to_be_visible()
    page.get_by_role("button", name="The team's clock").click()
    page.get_by_role("button", name="+1 day").click()
    expect(row(page, "short.txt")).to_have_count(0)
    expect(row(page, "long.txt")).to_contain_text("1 day ago")


def test_freeze_the_clock_and_move_on_to_a_planned_job(console: Console) -> None:
    """The clock panel freezes the clock and advances it to the due time of a job."""
    file_id = console.upload("short.txt", expires_after="7200")
    page = console.open("clock")
    page.get_by_role("button", name="Freeze").click()
    expect(page.locator(".card").get_by_text("frozen")).to_be_visible()
    page.get_by_role("button", name=f"Advance to expire_file of {file_id}").click()
    expect(page.get_by_text("No job is planned.")).to_be_visible()
    assert console.rest.get(f"/files/{file_id}").status_code == 404
    assert console.control("GET", "/clock")["frozen"]


def test_limits_show_their_sources_and_can_be_changed(console: Console) -> None:
    """Each limit has its source and how sure it is; a change holds at once, and shows that it is one."""
    page = console.open("limits")
    expect(row(page, "file_bytes_max").first).to_contain_text("Files guide")
    page.get_by_role("searchbox").fill("files_per_team")
    page.get_by_role("button", name="Change files_per_team_max").click()
    page.get_by_label("Value").fill("some")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_role("alert")).to_contain_text("whole number")
    page.get_by_label("Value").fill("0")
    page.get_by_role("button", name="Set").click()
    expect(row(page, "files_per_team_max")).to_contain_text("default 100,000")
    refused = console.rest.post("/files", files={"file": ("a.txt", b"a")})
    assert refused.headers["x-emulator-rule"] == "files_per_team_max"
    page.get_by_role("searchbox").fill("total_bytes")
    page.get_by_role("button", name="Change total_bytes_per_team_max").click()
    expect(page.get_by_label("Value")).to_have_value("100GiB")
    page.get_by_label("Value").fill("512MiB")
    page.get_by_role("button", name="Set").click()
    expect(row(page, "total_bytes_per_team_max")).to_contain_text("512 MiB")
    assert console.control("GET", "/limits")["limits"]["total_bytes_per_team_max"]["value"] == 512 * 1024**2
    page.get_by_role("searchbox").fill("")
    page.get_by_label("Changed only").check()
    expect(page.locator(".counter")).to_contain_text("2 of ")


def test_save_a_state_and_come_back(console: Console) -> None:
    """A snapshot brings back what was deleted."""
    file_id = console.upload("kept.txt")
    page = console.open("snapshots")
    page.get_by_label("Save as").fill("before")
    page.get_by_role("button", name="Save").click()
    expect(row(page, "before")).to_be_visible()
    console.rest.delete(f"/files/{file_id}")
    page.get_by_role("button", name="Restore before").click()
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    expect(page.get_by_text("was restored from")).to_be_visible()
    assert console.rest.get(f"/files/{file_id}").status_code == 200


def test_snapshot_of_another_emulator_can_be_imported(console: Console, tmp_path: Path) -> None:
    """Its file is chosen, named, listed, and can be restored; what is no snapshot is refused in the dialog."""
    file_id = console.upload("kept.txt")
    console.control("POST", "/snapshots", json={"name": "before"})
    saved = console.rest.get(f"{console.url}/_emulator/snapshots/before", params={"team": console.team})
    (tmp_path / "from elsewhere.snapshot").write_bytes(saved.content)
    (tmp_path / "no.snapshot").write_bytes(b"no database")
    console.rest.delete(f"/files/{file_id}")
    page = console.open("snapshots")
    dialog = page.get_by_role("dialog")
    page.locator("input[type=file]").set_input_files(tmp_path / "no.snapshot")
    dialog.get_by_role("button", name="Import").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "from elsewhere.snapshot")
    expect(dialog.get_by_label("Name")).to_have_value("from-elsewhere")
    dialog.get_by_role("button", name="Import").click()
    page.get_by_role("button", name="Restore from-elsewhere").click()
    dialog.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("was restored from")).to_be_visible()
    assert console.rest.get(f"/files/{file_id}").status_code == 200


def test_first_lines_are_for_this_emulator_and_team(console: Console) -> None:
    """The start panel has the address and the keys of the team, ready to be pasted."""
    page = console.open("start")
    code = page.locator("pre")
    for client in ("openai (Python)", "xai-sdk (Python)", "openai (Node)", "curl", "environment"):
        page.get_by_label("Client").select_option(client)
        expect(code).to_contain_text(f"xai-emulator@{console.team}")
        expect(code).to_contain_text(console.emulator.grpc_target)


def test_key_is_created_disabled_rotated_and_deleted(console: Console) -> None:
    page = console.open("keys")
    page.get_by_role("button", name="Create a key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("ci")
    dialog.get_by_label("Endpoint").select_option("api-key:endpoint:files")
    dialog.get_by_label("Calls a minute").fill("100")
    dialog.get_by_role("button", name="Create").click()
    secret = dialog.locator(".secret code").inner_text()
    with httpx.Client(base_url=console.url, headers={"authorization": f"Bearer {secret}"}) as http:
        assert [http.get(path).status_code for path in ("/v1/files", "/v1/batches")] == [200, 403]
        dialog.get_by_role("button", name="Done").click()
        for text in ("ci", "api-key:endpoint:files", "qpm 100", "enabled"):
            expect(row(page, "Disable")).to_contain_text(text)
        assert secret not in page.content()
        page.get_by_role("button", name="Disable ci").click()
        expect(page.get_by_role("button", name="Enable ci")).to_be_visible()
        assert http.get("/v1/files").status_code == 403
        page.get_by_role("button", name="Rotate ci").click()
        dialog.get_by_role("button", name="Rotate").click()
        expect(dialog.locator(".secret code")).not_to_have_text(secret)
        dialog.get_by_role("button", name="Done").click()
        assert http.get("/v1/files").status_code == 400
    page.get_by_role("button", name="Delete ci").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This team has made no API keys yet.")).to_be_visible()
    expect(row(page, "keys.delete")).to_contain_text("Deleted an API key")
