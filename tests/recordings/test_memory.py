"""What the recorder holds of a body while it passes: counted in bytes, and not measured."""

from __future__ import annotations

from emulator.recordings.capture import FIELD_BYTES_MAX, TEXT_BYTES_MAX, BodyCapture
from emulator.recordings.entries import PostData

PIECE = b"x" * 65_536
PIECES = 768  # 48 MiB
HEAD = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
)
FORM = "multipart/form-data; boundary=b"


def held(value: object, seen: set[int] | None = None) -> int:
    """The bytes of all texts and buffers that an object of ours leads to."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, bytes | bytearray | memoryview | str):
        return len(value)
    if isinstance(value, dict):
        return sum(held(item, seen) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(held(item, seen) for item in value)
    fields = getattr(value, "__struct_fields__", None)
    own = {name: getattr(value, name) for name in fields} if fields else getattr(value, "__dict__", {})
    return sum(held(item, seen) for item in own.values())


def test_upload_of_48_mib_is_not_held() -> None:
    body = BodyCapture(FORM, is_text=True)
    body.write(HEAD)
    most = 0
    for number in range(PIECES):
        body.write(PIECE)
        if number % 64 == 0:
            most = max(most, held(body))
    body.write(b"\r\n--b--\r\n")
    assert most < 2 * len(PIECE)
    data = body.post_data()
    assert isinstance(data, PostData)
    assert isinstance(data.params, list)
    assert [(param.name, param.size) for param in data.params][1] == ("file", 48 << 20)
    assert held(data) < 1000


def test_field_of_a_form_is_held_up_to_its_bound() -> None:
    body = BodyCapture(FORM, is_text=True)
    body.write(HEAD.partition(b"assistants")[0])
    for _ in range(PIECES // 8):
        body.write(PIECE)
        assert held(body) <= FIELD_BYTES_MAX + 2 * len(PIECE)


def test_text_is_held_up_to_its_bound() -> None:
    body = BodyCapture("application/json", is_text=True)
    for _ in range(PIECES // 4):
        body.write(PIECE)
        assert held(body) <= TEXT_BYTES_MAX + len(PIECE)
    assert held(body) < 1000


def test_content_of_a_file_is_never_held() -> None:
    body = BodyCapture("application/octet-stream", is_text=False)
    for _ in range(PIECES // 8):
        body.write(PIECE)
        assert held(body) < 1000
    assert body.content().size == PIECES // 8 * len(PIECE)
