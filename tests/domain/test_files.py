"""What a file may be called, how long it may live, and when it may have a public URL."""

from __future__ import annotations

import mimetypes
import re
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulator.core.clock import MICROSECONDS
from emulator.core.errors import ApiError, Kind
from emulator.core.limits import DOCUMENTED, RELAXED, override
from emulator.domain import content_types
from emulator.domain.files import (
    FILENAME_PATTERN,
    UPLOAD_TRANSITIONS,
    File,
    PublicUrl,
    UploadStatus,
    bytes_max,
    check_filename,
    check_public_url,
    check_quota,
    expiry,
    live_public_url,
    public_name,
    public_path,
    public_url_expiry,
    too_large,
)
from emulator.domain.quotas import check_team_quota
from emulator.domain.transitions import step

NOW = 1_700_000_000 * MICROSECONDS
HOUR = 3600 * MICROSECONDS
FILE = File("file_1", "a.png", 4, "image/png", "", "b", NOW, None, UploadStatus.COMPLETE, False, None, 1)
BAD_FILENAME = (Kind.INVALID_ARGUMENT, "filename", "filename")  # kind, rule and param of a refusal


@given(st.text(max_size=300) | st.text('a~./\\;" é', max_size=9))
@example("~a.txt")
@example("a/../b")
@example("..")
@example("a../..b")
@example("a\n")  # in JSON Schema, other than in Python, `$` is nothing but the end: hence fullmatch
def test_filename_with_forbidden_characters_is_refused(name: str) -> None:
    """files.proto names those that are not allowed; every other text is a name, and fits the served pattern."""
    forbidden = {*map(chr, range(32)), "\x7f", "\x85", "\u2028", "\u2029", '"', ";", "\\"}
    if not name or forbidden & set(name) or ".." in name.split("/"):
        with pytest.raises(ApiError) as refused:
            check_filename(name)
        assert (refused.value.kind, refused.value.rule, refused.value.param) == BAD_FILENAME
        assert not re.fullmatch(FILENAME_PATTERN, name)
    else:
        check_filename(name)
        assert re.fullmatch(FILENAME_PATTERN, name)


@pytest.mark.parametrize(("point", "allowed"), [(0xD7FF, True), (0xD800, False), (0xDFFF, False), (0xE000, True)])
def test_filename_with_lone_surrogate_is_refused(point: int, allowed: bool) -> None:
    """A lone surrogate cannot be written down as UTF-8."""
    if allowed:
        check_filename(f"a{chr(point)}")
        return
    with pytest.raises(ApiError) as refused:
        check_filename(f"a{chr(point)}")
    assert (refused.value.kind, refused.value.rule, refused.value.param) == BAD_FILENAME


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
def test_public_url_expires_with_its_file_at_the_latest(
    file_ends: int | None, url_ends: Any, asked: int | None, ends: Any
) -> None:
    """In hours from now; a URL never outlives its file, and keeps its end when nothing is asked for."""

    def after(hours: int | None) -> int | None:
        return None if hours is None else NOW + hours * HOUR

    file = msgspec.structs.replace(FILE, expires_at=after(file_ends))
    present = None if url_ends == "no url" else PublicUrl("t", after(url_ends))
    if ends == "refused":
        with pytest.raises(ApiError, match="the file itself expires in 18000 seconds") as refused:
            public_url_expiry(file, present, NOW, asked and asked * 3600)
        assert (refused.value.rule, refused.value.param) == ("public_url_outlives_file", "expires_after")
    else:
        assert public_url_expiry(file, present, NOW, asked and asked * 3600) == after(ends)


def test_public_url_is_gone_at_instant_of_expiry() -> None:
    """The instant of the expiry is the first without it."""
    file = msgspec.structs.replace(FILE, public_url=PublicUrl("t", NOW))
    assert live_public_url(file, NOW - 1) is not None
    assert live_public_url(file, NOW) is None


def test_file_is_gone_at_instant_of_expiry() -> None:
    """The instant of the expiry is the first without it; without one it never ends."""
    assert FILE.alive(NOW * 2)
    assert expiry(NOW, None) is None
    file = msgspec.structs.replace(FILE, expires_at=expiry(NOW, 3600))
    assert file.alive(NOW + HOUR - 1)
    assert not file.alive(NOW + HOUR)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, None),
        ({"content_type": "image/jpeg", "size": 1}, None),
        ({"content_type": "video/mp4", "size": 100}, None),
        ({"content_type": "application/pdf", "size": 101}, "public_url_bytes_max"),
        ({"size": 0}, "public_url_empty_file"),
        ({"content_type": "image/gif"}, "public_url_content_type"),
        ({"content_type": "text/plain", "size": 0}, "public_url_content_type"),
    ],
)
def test_public_url_requires_supported_type_and_size(changes: dict[str, Any], rule: str | None) -> None:
    """Two kinds of pictures, films and PDF, neither empty nor too large (Public URL guide)."""
    file = msgspec.structs.replace(FILE, **changes)
    check = partial(check_public_url, file, override(DOCUMENTED, {"public_url_bytes_max": 100}))
    if rule is None:
        check()
        return
    with pytest.raises(ApiError, match="Public URLs are not supported for") as refused:
        check()
    assert (refused.value.kind, refused.value.rule) == (Kind.INVALID_ARGUMENT, rule)
    if rule == "public_url_bytes_max":
        check_public_url(file, RELAXED)


@pytest.mark.parametrize(
    ("content_type", "ending"),
    [("image/png", "png"), ("image/jpeg", "jpg"), ("video/mp4", "mp4"), ("application/pdf", "pdf")],
)
def test_public_url_path_has_id_and_extension(content_type: str, ending: str) -> None:
    """With the ending of its type, below its token."""
    file = msgspec.structs.replace(FILE, content_type=content_type)
    assert public_name(file) == f"file_1.{ending}"
    assert public_path(file, PublicUrl("t", None)) == f"/_files-cdn/t/file_1.{ending}"


def test_public_url_over_quota_is_refused() -> None:
    """One more is refused at the limit, and never where there is none."""
    limits = override(DOCUMENTED, {"public_urls_max": 3})
    check_team_quota(2, limits, "public_urls_max", "active public URLs")
    check_team_quota(10**6, RELAXED, "public_urls_max", "active public URLs")
    with pytest.raises(ApiError, match="has 3 active") as refused:
        check_team_quota(3, limits, "public_urls_max", "active public URLs")
    assert (refused.value.kind, refused.value.rule) == (Kind.RESOURCE_EXHAUSTED, "public_urls_max")


@pytest.mark.parametrize(
    ("most", "shown"),
    [
        (2 * 1024**3, "2 GiB"),
        (48 * 1024**2, "48 MiB"),
        (1024**2 + 1024, "1025 KiB"),
        (1024, "1 KiB"),
        (1023, "1023 B"),
        (0, "0 B"),
    ],
)
def test_byte_limit_message_has_number_and_unit(most: int, shown: str) -> None:
    """As a number, and in the largest unit of which it is a whole number."""
    error = too_large("file_bytes_max", most)
    assert error.message == f"File is too large: more than {most} bytes ({shown})."
    assert (error.kind, error.rule, error.param) == (Kind.PAYLOAD_TOO_LARGE, "file_bytes_max", "file")


@given(st.integers(0, 20), st.integers(0, 2000), st.integers(0, 500))
@example(9, 500, 500)
@example(9, 500, 501)
@example(10, 0, 0)
def test_file_over_team_quota_is_refused(count: int, total: int, adding: int) -> None:
    """A file is refused if and only if there would be too many files, or too many bytes."""
    limits = override(DOCUMENTED, {"files_per_team_max": 10, "total_bytes_per_team_max": 1000})
    check_quota(count, total, adding, RELAXED)
    if count + 1 > 10 or total + adding > 1000:
        with pytest.raises(ApiError) as refused:
            check_quota(count, total, adding, limits)
        rule = "files_per_team_max" if count + 1 > 10 else "total_bytes_per_team_max"
        assert (refused.value.kind, refused.value.rule) == (Kind.RESOURCE_EXHAUSTED, rule)
    else:
        check_quota(count, total, adding, limits)


@pytest.mark.parametrize(
    ("filename", "row"),
    [("a.jsonl", "jsonl_file_bytes_max"), ("A.JSONL", "jsonl_file_bytes_max"), ("jsonl", "file_bytes_max")],
)
def test_batch_input_files_may_be_larger(filename: str, row: str) -> None:
    """The file name's extension decides which limit applies."""
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
def test_content_type_is_declared_or_guessed_from_extension(declared: str | None, filename: str, expected: str) -> None:
    """What its part declares, unless that says no more than "bytes"; else what its ending stands for."""
    assert content_types.choose(declared, filename) == expected
    assert content_types.extension("pdf") == ""


# Where the emulator's table says more, or what is registered by now.
OTHERWISE = {"xml", "js", "mjs", "c", "h", "wav", "rst", "tex", "rtf", "yaml", "yml"}


def test_content_types_of_extensions_are_registered_ones() -> None:
    """Python knows most of them too, and says the same; whatever the machine's own table says."""
    elsewhere = mimetypes.MimeTypes(filenames=()).types_map[True]
    shared = {ending for ending in content_types.BY_EXTENSION if f".{ending}" in elsewhere} - OTHERWISE
    assert len(shared) > 20
    for ending in shared:
        assert content_types.of_filename(f"a.{ending.upper()}") == elsewhere[f".{ending}"]


def test_upload_transitions_outside_table_are_defects() -> None:
    """And a step that is not in the table is a defect."""
    for present in UploadStatus:
        for target in UploadStatus:
            if target in UPLOAD_TRANSITIONS[present]:
                assert step(UPLOAD_TRANSITIONS, present, target) is target
            else:
                with pytest.raises(AssertionError, match=f"{present.name} to {target.name}"):
                    step(UPLOAD_TRANSITIONS, present, target)
