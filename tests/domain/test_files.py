"""What a file may be called, how long it may live, and when it may have a public URL."""

from __future__ import annotations

import mimetypes
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.clock import MICROSECONDS
from emulator.domain import content_types
from emulator.domain.files import (
    UPLOAD_TRANSITIONS,
    File,
    PublicUrl,
    UploadStatus,
    bytes_max,
    check_filename,
    check_quota,
    live_public_url,
    public_url_expiry,
)
from emulator.domain.transitions import step
from emulator.errors import ApiError, Kind
from emulator.limits import DOCUMENTED, RELAXED, override

NOW = 1_700_000_000 * MICROSECONDS
HOUR = 3600 * MICROSECONDS
FILE = File("file_1", "a.png", 4, "image/png", "", "b", NOW, None, UploadStatus.COMPLETE, False, None, 1)


@given(st.text(max_size=300))
def test_a_name_is_judged_by_its_characters(name: str) -> None:
    """files.proto names those that are not allowed; every other text is a name."""
    forbidden = {*map(chr, range(32)), "\x7f", "\x85", "\u2028", "\u2029", '"', ";", "\\"}
    if not name or forbidden & set(name) or ".." in name.split("/"):
        with pytest.raises(ApiError) as refused:
            check_filename(name)
        assert (refused.value.kind, refused.value.rule) == (Kind.INVALID_ARGUMENT, "filename")
    else:
        check_filename(name)


def test_half_a_character_is_no_name() -> None:
    """A lone surrogate cannot be written down as UTF-8."""
    with pytest.raises(ApiError):
        check_filename("a\ud800")


# Public URL guide, "Expiry": what the file has, what the URL had, what is asked for, and when the URL then ends.
@pytest.mark.parametrize(
    ("file_ends", "url_ends", "asked", "ends"),
    [
        (None, "no url", None, None),
        (None, "no url", 1, 1),
        (5, "no url", None, 5),
        (5, "no url", 1, 1),
        (5, "no url", 5, 5),
        (5, "no url", 6, "refused"),
        (None, None, None, None),
        (None, 3, None, 3),
        (None, 3, 1, 1),
        (None, 3, 9, 9),
        (5, 3, None, 3),
        (5, 3, 6, "refused"),
    ],
)
def test_when_a_public_url_ends(file_ends: int | None, url_ends: Any, asked: int | None, ends: Any) -> None:
    """In hours from now; a URL never outlives its file, and keeps its end when nothing is asked for."""

    def after(hours: int | None) -> int | None:
        return None if hours is None else NOW + hours * HOUR

    file = msgspec.structs.replace(FILE, expires_at=after(file_ends))
    present = None if url_ends == "no url" else PublicUrl("t", after(url_ends))
    if ends == "refused":
        with pytest.raises(ApiError, match="the file itself expires in 18000 seconds"):
            public_url_expiry(file, present, NOW, asked and asked * 3600)
    else:
        assert public_url_expiry(file, present, NOW, asked and asked * 3600) == after(ends)


def test_a_public_url_is_dead_at_its_very_end() -> None:
    """The instant of the expiry is the first without it."""
    file = msgspec.structs.replace(FILE, public_url=PublicUrl("t", NOW))
    assert live_public_url(file, NOW - 1) is not None
    assert live_public_url(file, NOW) is None


@given(st.integers(0, 20), st.integers(0, 2000), st.integers(0, 500))
def test_a_team_stays_within_its_quota(count: int, total: int, adding: int) -> None:
    """A file is refused if and only if there would be too many files, or too many bytes."""
    limits = override(DOCUMENTED, {"files_per_team_max": 10, "total_bytes_per_team_max": 1000})
    check_quota(count, total, adding, RELAXED)
    if count + 1 > 10 or total + adding > 1000:
        with pytest.raises(ApiError) as refused:
            check_quota(count, total, adding, limits)
        assert refused.value.kind is Kind.RESOURCE_EXHAUSTED
    else:
        check_quota(count, total, adding, limits)


@pytest.mark.parametrize(
    ("filename", "row"),
    [("a.jsonl", "jsonl_file_bytes_max"), ("A.JSONL", "jsonl_file_bytes_max"), ("jsonl", "file_bytes_max")],
)
def test_batch_input_files_may_be_larger(filename: str, row: str) -> None:
    """The ending of the name tells."""
    assert bytes_max(filename, DOCUMENTED) == (row, getattr(DOCUMENTED, row))


@pytest.mark.parametrize(
    ("declared", "filename", "expected"),
    [
        (None, "a.pdf", "application/pdf"),
        ("", "a.PDF", "application/pdf"),
        ("application/octet-stream", "a.pdf", "application/pdf"),
        ("text/x-mine", "a.pdf", "text/x-mine"),
        ("Text/Plain; charset=latin-1", "a", "text/plain"),
        ("no media type", "a.pdf", "application/pdf"),
        ("text/plain\r\nx-evil: 1", "a.pdf", "application/pdf"),
        (None, "a.unheard-of", "application/octet-stream"),
        (None, "pdf", "application/octet-stream"),
        (None, ".pdf", "application/pdf"),
        (None, "a.tar.gz", "application/gzip"),
        ("text/plain; a=b; c=d", "a", "text/plain"),
    ],
)
def test_what_a_file_is(declared: str | None, filename: str, expected: str) -> None:
    """What its part declares, unless that says no more than "bytes"; else what its ending stands for."""
    assert content_types.choose(declared, filename) == expected
    assert content_types.extension("pdf") == ""


# Where the emulator's table says more, or what is registered by now.
OTHERWISE = {"xml", "js", "mjs", "c", "h", "wav", "rst", "tex", "rtf", "yaml", "yml"}


def test_endings_stand_for_what_they_do_elsewhere() -> None:
    """Python knows most of them too, and says the same; whatever the machine's own table says."""
    elsewhere = mimetypes.MimeTypes(filenames=()).types_map[True]
    shared = {ending for ending in content_types.BY_EXTENSION if f".{ending}" in elsewhere} - OTHERWISE
    assert len(shared) > 20
    for ending in shared:
        assert content_types.of_filename(f"a.{ending.upper()}") == elsewhere[f".{ending}"]


def test_an_upload_steps_as_its_table_says() -> None:
    """And a step that is not in the table is a defect."""
    for present in UploadStatus:
        for target in UploadStatus:
            if target in UPLOAD_TRANSITIONS[present]:
                assert step(UPLOAD_TRANSITIONS, present, target) is target
            else:
                with pytest.raises(AssertionError, match=f"{present.name} to {target.name}"):
                    step(UPLOAD_TRANSITIONS, present, target)
