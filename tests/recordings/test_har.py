"""HAR files: whole at any moment, readable by others, read from others."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from emulator.recorder.journal import ContentFolder
from emulator.recordings.entries import About, Entry, Page, Pair, Request
from emulator.recordings.har import BadRecording, HarWriter, parse
from emulator.recordings.reading import read


def entry(number: int) -> Entry:
    return Entry(Request("GET", f"https://api.x.ai/v1/files/{number}", headers=[Pair("a", 'ü\n"')]), number=number)


def test_file_is_whole_after_every_entry(tmp_path: Path) -> None:
    path = tmp_path / "live.har"
    writer = HarWriter(path, About(to=["https://api.x.ai"]))
    for number in range(5):
        assert len(json.loads(path.read_text())["log"]["entries"]) == number
        writer.pages.append(Page(f"case-{number}"))
        writer.add(entry(number))
    writer.close()
    recording = read(path)
    assert [each.number for each in recording.entries] == [0, 1, 2, 3, 4]
    assert [page.id for page in recording.log.pages] == [f"case-{number}" for number in range(5)]
    assert recording.contents_left_out


def test_file_cut_in_its_last_write_keeps_every_entry_before(tmp_path: Path) -> None:
    """A kill may leave any beginning of what one write would have written."""
    path = tmp_path / "live.har"
    writer = HarWriter(path, About())
    writer.add(entry(1))
    before = path.read_bytes()
    writer.add(entry(2))
    after = path.read_bytes()
    start = next(place for place, byte in enumerate(before) if after[place] != byte)
    for end in range(start, len(after) + 1):
        cut = after[:end] + before[end:]
        numbers = [each.number for each in parse(cut, path).entries]
        assert numbers[:1] == [1]
        assert numbers[1:] in ([], [2])


def test_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "live.har"
    writer = HarWriter(path, About())
    writer.add(entry(1))
    before, write, room = path.read_bytes(), os.pwrite, [10]

    def full(file: int, data: bytes, position: int) -> int:
        if position + len(data) <= len(before):
            return write(file, data, position)
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[: room.pop()], position)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        writer.add(entry(2))
    assert path.read_bytes() == before


def test_existing_file_is_kept_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "live.har"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        HarWriter(path, About())
    assert path.read_text() == "precious"
    HarWriter(path, About(), overwrite=True).close()
    assert read(path).entries == []


def test_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "live.har"
    HarWriter(path, About()).close()
    assert path.stat().st_mode & 0o077 == 0


def test_overwritten_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "live.har"
    path.write_text("{}")
    path.chmod(0o644)
    HarWriter(path, About(), overwrite=True).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_contents_of_the_recording_before_are_removed_from_the_folder(tmp_path: Path) -> None:
    """Else a folder that is shared would have files of which its recording says nothing; others are kept."""
    folder = tmp_path / "live.files"
    folder.mkdir()
    for name in ("000001.bin", "000002.bin", "notes.bin"):
        (folder / name).write_bytes(b"old")
    sink = ContentFolder(folder).new()
    sink.write(b"new")
    sink.finish()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"000001.bin": b"new", "notes.bin": b"old"}


def test_har_of_another_program_is_read(tmp_path: Path) -> None:
    """Missing fields, unknown fields, a BOM, and an entry that is none."""
    other = {
        "log": {
            "version": "1.2",
            "creator": {"name": "WebInspector", "version": "537.36"},
            "pages": [],
            "entries": [
                {
                    "_resourceType": "fetch",
                    "startedDateTime": "2026-11-21T12:00:00.000Z",
                    "time": 12,
                    "serverIPAddress": "",
                    "request": {"method": "GET", "url": "https://api.x.ai/v1/files", "headers": [], "cookies": [{}]},
                    "response": {"status": 200, "content": {"size": 2, "mimeType": "application/json", "text": "{}"}},
                },
                {"request": {"method": "GET"}},
                "none",
            ],
        }
    }
    recording = parse(b"\xef\xbb\xbf" + json.dumps(other).encode(), tmp_path / "other.har")
    assert [each.response.status for each in recording.entries] == [200]
    assert (recording.unreadable, recording.contents_left_out) == (2, False)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"log": 1}', b"\x00\xff", b"[" * 100_000])
def test_invalid_har_file_is_refused_with_one_line(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BadRecording) as caught:
        parse(data, tmp_path / "bad.har")
    assert "\n" not in str(caught.value)


def test_har_reader_of_schemathesis_project_accepts_what_is_written(tmp_path: Path) -> None:
    """`harfile` knows the fields that HAR 1.2 requires, by the arguments of its classes."""
    import harfile

    path = tmp_path / "live.har"
    writer = HarWriter(path, About())
    writer.add(entry(1))
    writer.close()
    (found,) = json.loads(path.read_text())["log"]["entries"]
    for kind, values in ((harfile.Request, found["request"]), (harfile.Response, found["response"])):
        wanted = {name for name, field in kind.__dataclass_fields__.items() if name not in ("postData", "comment")}
        assert wanted <= values.keys()
    assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= found.keys()
