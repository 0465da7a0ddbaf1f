"""Messages between processes: what is sent is received, and nothing else is accepted."""

from __future__ import annotations

from io import BytesIO

import pytest

from lookalike.system.framing import receive_json, send_json


def test_a_header_and_its_bodies_arrive() -> None:
    stream = BytesIO()
    send_json(stream, {"sizes": [3, 2], "name": "Ä"}, b"abc", memoryview(b"de"))
    send_json(stream, {"sizes": []})
    stream.seek(0)
    assert receive_json(stream) == {"sizes": [3, 2], "name": "Ä"}
    assert stream.read(5) == b"abcde"
    assert receive_json(stream) == {"sizes": []}
    with pytest.raises(EOFError):
        receive_json(stream)


@pytest.mark.parametrize(
    "message",
    [b"\xff\xff\xff\xff{}", b"\0\0\0\2[]", b"\0\0\0\2{]", b'\0\0\0\7{"a"'],
    ids=["too long", "no object", "no JSON", "cut off"],
)
def test_other_messages_are_refused(message: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  of json too
        receive_json(BytesIO(message))
