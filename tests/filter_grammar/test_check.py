"""Filters checked against declared fields: valid comparisons, their meaning, and the errors of the others."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from filter_grammar import (
    Comparison,
    Field,
    Fields,
    FilterError,
    Matching,
    Null,
    Number,
    Present,
    Text,
    Type,
    check,
    parse,
)

FIELDS = Fields(
    Field("id"),
    Field("title", matching=Matching.FUZZY, aliases=("name", "heading")),
    Field("mime", matching=Matching.PARTIAL),
    Field("size", Type.NUMBER, nullable=False),
    Field("made", Type.TIMESTAMP),
    Field("state", Type.ENUM, values=("OPEN", "CLOSED")),
    Field("owner", operators=("=", "!=")),
    free="fields",
)

MOMENT = datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)
VALUES = {
    "id": "File_1",
    "title": "Quarterly-Report (final).PDF",
    "mime": "application/pdf",
    "size": 1500,
    "made": MOMENT,
    "state": "OPEN",
    "owner": None,
    "fields": {"isbn": "978-1", "year": "2024", "a.b": "x"},
}

YES = [
    # Exact text: the whole of it, in this letter case; a number is as it is written
    'id = "File_1"',
    "id:File_1",
    "id != file_1",
    "id > File_0",
    # Partial: holds the text, whatever the letter case
    "mime = PDF",
    "mime:application/pdf",
    "mime != json",
    'mime = ""',
    # Fuzzy: holds every word of it
    'title = "quarterly report"',
    'heading:"REPORT quarterly"',
    'name != "quarterly results"',
    'title:"  pdf  "',
    # The order of texts is exact for all of them
    "mime > app",
    "title < quarterly",
    "mime < b",
    # Numbers, in whatever spelling
    "size = 1500",
    "size = 1.5e3",
    'size = "1500"',
    "size:1500",
    "size:1000..2000",
    "size != 1501",
    "size > -1",
    # Instants, whatever the offset
    'made = "2026-01-31T12:00:00.5Z"',
    "made = 2026-01-31T21:00:00.50+09:00",
    "made:2026-01-31t12:00:00.500000000z",
    "made > 2026-01-31T12:59:00+01:00",
    "made < 2026-01-31T11:01:00-01:00",
    "made:>=2026-01-31T12:00:00.5Z",
    # An argument finer than a microsecond equals nothing, and keeps its order
    "made < 2026-01-31T12:00:00.500000001Z",
    "made < 2026-01-31T12:00:00.5000001Z",
    "made > 2026-01-31T12:00:00.499999999Z",
    "made <= 2026-01-31T12:00:00.500000001Z",
    "made != 2026-01-31T12:00:00.500000001Z",
    # Leap seconds, and the ends of time
    "made > 2016-12-31T23:59:60Z",
    "made > 0001-01-01T00:00:00+14:00",
    "made < 9999-12-31T23:59:59-14:00",
    # Enums
    "state = OPEN",
    'state:"OPEN"',
    "state:!CLOSED",
    "state != CLOSED",
    # null
    "owner = null",
    "made != null",
    "made:*",
    "NOT owner != null",
    "size:*",
    "NOT owner = x",
    # Free metadata: as without declarations
    'fields.isbn = "978-1"',
    "fields.year > 2000",
    "fields.year:2020..2024",
    "fields.other = null",
    "fields.a.b = x",
    '"fields.isbn":*',
    "NOT fields.other != x",
    # Connectives
    "",
    "size = 1 OR state = OPEN AND NOT mime = json",
]

NO = [
    "id = file_1",
    "id = File",
    "id:File",
    "mime = pdfx",
    "mime != PDF",
    "mime > pdf",
    'title = "quarterly results"',
    'title != "final report"',
    "size != 1.5e3",
    "size:2000..1000",
    "made > 2026-01-31T12:00:00.500000001Z",
    "made >= 2026-01-31T12:00:00.500000001Z",
    "made = 2026-01-31T12:00:00.500000001Z",
    "made < 2026-01-31T21:00:00+09:00",
    "state = CLOSED",
    "owner = x",
    "owner != x",
    "owner != null",
    "made < null",
    "fields.isbn:978",
    "fields.other != x",
    "fields.isbn = null",
]


@pytest.mark.parametrize("text", YES)
def test_matching_filters_match(text):
    """Every filter of the list fits the fields and matches their values."""
    assert check(parse(text), FIELDS).matches(VALUES) is True


@pytest.mark.parametrize("text", NO)
def test_other_filters_do_not_match(text):
    """Every filter of this list fits the fields, and does not match."""
    assert check(parse(text), FIELDS).matches(VALUES) is False


@pytest.mark.parametrize(
    "text",
    [
        "owner != x",
        "title:*",
        "title:report",
        "title != report",
        "mime < x",
        "size < 5",
        "size != 5",
        "made != 2026-01-31T12:00:00Z",
        "made != 2026-01-31T12:00:00.0000000001Z",
        "state != OPEN",
        "id = null AND id != null",
        "fields.isbn:x",
    ],
)
def test_field_without_value_matches_null_tests_only(text):
    """A value that is None, and one that is not there at all, fail every comparison but those that ask for null."""
    checked = check(parse(text), FIELDS)
    assert checked.matches({}) is checked.matches(dict.fromkeys(VALUES)) is False
    assert check(parse("id = null AND made:null AND fields.x = null"), FIELDS).matches({}) is True


def test_numbers_may_be_decimals():
    """A declared number can be a Decimal, and is compared exactly."""
    checked = check(parse("size > 0.1"), FIELDS)
    assert checked.matches({"size": Decimal("0.10000000000000000001")})
    assert not checked.matches({"size": Decimal("0.1")})


def test_timestamp_matches_in_any_time_zone():
    """A value is the same instant in every time zone."""
    checked = check(parse("made = 2026-01-31T12:00:00.5Z"), FIELDS)
    for hours in range(-23, 24):
        assert checked.matches({"made": MOMENT.astimezone(timezone(timedelta(hours=hours)))})


REFUSED = [
    ('colour = "red"', 0, 'there is no field "colour"', "id, title, mime, size, made, state, owner, fields.KEY"),
    ("id = x AND colour.deep = red", 11, 'there is no field "colour.deep"', "the fields are"),
    ("ID = x", 0, 'there is no field "ID"', "the fields are"),
    ("fields = x", 0, 'there is no field "fields"', "fields.KEY"),
    ("size = big", 7, 'expected a number, found "big"', "size > 1000"),
    ("size :> '1,000'", 8, 'expected a number, found "1,000"', "size is a number"),
    ("size = null", 7, 'expected a number, found "null"', "size is never null"),
    ("made > 2026", 7, 'expected an RFC 3339 timestamp, found "2026"', '"2026-01-31T00:00:00Z"'),
    ("made > '2026-01-31'", 7, 'expected an RFC 3339 timestamp, found "2026-01-31"', "with its offset"),
    ("made > 2026-02-30T00:00:00Z", 7, 'found "2026-02-30T00:00:00Z"', "made is a timestamp"),
    ("made > 2026-01-31T24:00:00Z", 7, "expected an RFC 3339 timestamp", "made is a timestamp"),
    ("made > 2026-01-31T00:00:61Z", 7, "expected an RFC 3339 timestamp", "made is a timestamp"),
    ("made > 2026-01-31T00:00:00+25:00", 7, "expected an RFC 3339 timestamp", "made is a timestamp"),
    ("made > 9999-12-31T23:59:60Z", 7, "expected an RFC 3339 timestamp", "made is a timestamp"),
    ("made > '2026-01-31 00:00:00Z'", 7, "expected an RFC 3339 timestamp", "made is a timestamp"),
    ("made > 'x 2026-01-31T00:00:00Z'", 7, "expected an RFC 3339 timestamp", "made is a timestamp"),
    ("made > '2026-01-31T00:00:00Z.'", 7, "expected an RFC 3339 timestamp", "made is a timestamp"),
    ("made > '２026-01-31T00:00:00Z'", 7, "expected an RFC 3339 timestamp", "made is a timestamp"),
    ("state = open", 8, 'expected one of its values, found "open"', "state is one of OPEN, CLOSED"),
    ("state:!GONE", 7, 'found "GONE"', "OPEN, CLOSED"),
    ("state = 1", 8, 'found "1"', "OPEN, CLOSED"),
    ("state > OPEN", 6, "expected =, !=, :, found >", "state cannot be compared with >"),
    ("owner:x", 5, "expected =, !=, found :", "owner cannot be compared with :"),
    ("owner  <=  x", 7, "expected =, !=, found <=", "owner cannot be compared with <="),
    ("size = 1 OR (id = x AND size = y)", 31, 'found "y"', "size is a number"),
    ("size = x AND made = y", 7, 'found "x"', "size is a number"),
]


@pytest.mark.parametrize(("text", "position", "message", "hint"), REFUSED, ids=lambda part: ascii(part)[:40])
def test_mismatch_is_refused_at_its_position(text, position, message, hint):
    """Each filter is refused at the name, operator or argument that does not fit, with what would."""
    with pytest.raises(FilterError) as caught:
        check(parse(text), FIELDS)
    assert caught.value.position == position
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert text in str(caught.value)


@pytest.mark.parametrize("text", ["fields.isbn = 1", "None.isbn = 1"])
def test_without_a_prefix_there_is_no_free_metadata(text):
    """The prefix of free metadata is a matter of the declaration."""
    with pytest.raises(FilterError, match="there is no field"):
        check(parse(text), Fields(Field("id")))


@pytest.mark.parametrize("last", [149, 150])
def test_hint_lists_fields_within_300_characters(last):
    """A hint names all fields, the free ones too, in 300 characters; a name that does not fit is left out whole."""
    for fields, names in [
        (Fields(Field("id"), Field("size")), "id, size"),
        (Fields(Field("id"), free="meta"), "id, meta.KEY"),
        (Fields(Field("x" * 149), Field("y" * last)), f"{'x' * 149}, {'y' * last if last == 149 else '...'}"),
    ]:
        with pytest.raises(FilterError) as caught:
            check(parse("z = 1"), fields)
        assert caught.value.hint == f"the fields are {names}"


def test_handmade_tree_is_checked_like_a_parsed_one():
    """A tree that was never text is bound the same way; its errors show it as rendered."""
    assert check(Comparison(("size",), ">", Number("1")), FIELDS).matches({"size": 2})
    with pytest.raises(FilterError, match="there is no field") as caught:
        check(Comparison(("colour",), "=", Text("red")), FIELDS)
    assert 'colour = "red"' in str(caught.value)


@pytest.mark.parametrize(
    "node",
    [
        Comparison(("colour",), "=", Text("red")),
        Comparison(("state",), ">", Text("OPEN")),
        Comparison(("size",), "=", Text("big")),
        Comparison(("size",), "=", Null()),
        Comparison(("state",), "=", Number("1")),
    ],
    ids=repr,
)
def test_error_of_handmade_tree_is_at_position_0(node):
    """It was never text, so whatever is wrong with it, name, operator or argument, is shown at position 0."""
    with pytest.raises(FilterError) as caught:
        check(node, FIELDS)
    assert caught.value.position == Present().position == 0
