"""Whatever a file holds, it is a recording or a refusal of one line, within bounds."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.recordings import bounded_yaml
from emulator.recordings.bounded_yaml import BadYaml, load
from emulator.recordings.har import BadRecording, is_deeper
from emulator.recordings.reading import decode, read

FOLDER = Path(__file__).parent / "foreign"
SAMPLES = [path.read_bytes() for path in sorted(FOLDER.iterdir())]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def refusal(data: bytes) -> str | None:
    """The sentence with which a file is refused; None where it is read."""
    sentence = None
    try:
        decode(data, Path("x.har"))
    except BadRecording as error:
        sentence = str(error)
    assert sentence is None or "\n" not in sentence
    return sentence


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused_with_one_line(data: bytes) -> None:
    assert refusal(data)


@given(st.sampled_from(SAMPLES), st.integers(0, 20_000), st.binary(max_size=6), st.integers(0, 300))
def test_damaged_file_is_read_or_refused(sample: bytes, place: int, put: bytes, removed: int) -> None:
    place %= len(sample)
    refusal(sample[:place] + put + sample[place + removed :])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in items for found in places(item, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with another one at a path."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


HARS = [json.loads(sample.decode("utf-8-sig")) for sample in SAMPLES if b'"log"' in sample]
CASSETTE = json.loads((FOLDER / "vcrpy.json").read_bytes())


@given(st.sampled_from([*HARS, CASSETTE]), VALUES, st.randoms(use_true_random=False))
def test_any_value_at_any_place_is_read_or_refused(sample: Any, value: Any, chance: random.Random) -> None:
    changed = replaced(sample, chance.choice(places(sample)), value)
    refusal(json.dumps(changed).encode())


@given(VALUES, st.sampled_from(["interactions", "http_interactions"]))
def test_any_yaml_is_read_or_refused(value: Any, name: str) -> None:
    import yaml

    refusal(yaml.safe_dump({name: value}, allow_unicode=True).encode("utf-8", "surrogatepass"))


DEEP = 200_000


@pytest.mark.parametrize(
    "data",
    [
        b'{"log":{"entries":[' + b"[" * DEEP,
        b'{"log":{"entries":[{"request":' + b'{"a":' * DEEP,
        b"interactions:\n" + b"- " * DEEP,
        b"interactions: " + b"[" * DEEP,
        b"interactions: " + b"{a: " * DEEP,
        b'{"version":1,"interactions":' + b"[" * DEEP,
        b'{"Initialize":{}}\n{"ScenarioFinished"' + b":[" * DEEP,
        b"\x1f\x8b" * 1000,
    ],
)
def test_deep_or_endless_file_does_not_end_the_process(data: bytes) -> None:
    """libyaml's loader would: a segmentation fault."""
    refusal(data)


def test_aliases_of_aliases_are_refused() -> None:
    """Nine lines that stand for a billion values."""
    lines = [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 10)]
    text = "\n".join(["a0: &a0 [x, x, x]", *lines, "interactions: *a9"])
    assert "more than" in str(refusal(text.encode()))


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: *b", "? [a]\n: b", "a: !!binary '*'", "a: [", "\tb", "a: b: c"])
def test_yaml_that_is_none_is_refused_with_one_line(text: str) -> None:
    with pytest.raises(BadYaml) as caught:
        load(text.encode())
    assert "\n" not in str(caught.value)


def test_tags_of_yaml_make_no_objects() -> None:
    found = load(b"a: !!python/object/apply:os.system ['touch x']\nb: !!python/name:os.system\nc: !!binary aGk=\nd: ~")
    assert found == {"a": ["touch x"], "b": "", "c": b"hi", "d": None}


def test_yaml_is_read_alike_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    fast = load((FOLDER / "vcrpy.yaml").read_bytes())
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert load((FOLDER / "vcrpy.yaml").read_bytes()) == fast
    with pytest.raises(BadYaml):
        load(b"[" * 2000)


def test_values_of_yaml_are_counted_also_where_they_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"a: &a [1, 2]\nb: *a\n"  # a mapping, two keys, and twice a list of two
    monkeypatch.setattr(bounded_yaml, "NODES_MAX", 9)
    assert load(text) == {"a": ["1", "2"], "b": ["1", "2"]}
    monkeypatch.setattr(bounded_yaml, "NODES_MAX", 8)
    with pytest.raises(BadYaml):
        load(text)


def test_depth_is_counted_without_recursion() -> None:
    value: Any = "a"
    for _ in range(50):
        value = [{"a": value}]
    assert (is_deeper(value, 100), is_deeper(value, 99)) == (False, True)
    for _ in range(100_000):
        value = [value]
    assert is_deeper(value, 100)
    while isinstance(value, list):  # or the collector recurses
        value = value[0]


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_folder_or_pipe_as_recording_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.har"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(BadRecording, match="no file"):
        read(path)


def test_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.har"
    with path.open("wb") as file:
        file.truncate(600 * 1024 * 1024)
    with pytest.raises(BadRecording, match="more than"):
        read(path)
