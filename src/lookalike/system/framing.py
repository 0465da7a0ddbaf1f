"""Messages between processes, each preceded by its length.

Between a parent and a child that reads untrusted files, a message is a JSON header and the raw
bytes that it announces: no pickles, so that a compromised child cannot make its parent run code.
Between processes that trust each other, it is plain bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

_MAX_HEADER_BYTES = 2**20


def send_json(stream: IO[bytes], header: Mapping[str, Any], *bodies: bytes | memoryview) -> None:
    """Sends a header and the bodies that belong to it."""
    encoded = json.dumps(header).encode()
    stream.write(len(encoded).to_bytes(4, "big") + encoded)
    for body in bodies:
        stream.write(body)
    stream.flush()


def receive_json(stream: IO[bytes]) -> dict[str, Any]:
    """Reads the next header; its bodies remain in the stream.

    Raises:
        EOFError: the stream has ended.
        ValueError: not a message of `send_json`.
    """
    prefix = stream.read(4)
    if len(prefix) < 4:
        raise EOFError
    size = int.from_bytes(prefix, "big")
    if size > _MAX_HEADER_BYTES:
        raise ValueError(f"a header of {size:,} bytes")
    header = json.loads(stream.read(size))
    if not isinstance(header, dict):
        raise ValueError("a header that is not an object")
    return header


def send_bytes(stream: IO[bytes], message: bytes) -> None:
    """Sends one message of any size, for `receive_bytes` at the other end."""
    stream.write(len(message).to_bytes(8, "big") + message)
    stream.flush()


def receive_bytes(stream: IO[bytes]) -> bytes:
    """Returns the next message.

    Raises:
        EOFError: the stream ended before a whole message arrived.
    """
    size = int.from_bytes(_read_exactly(stream, 8), "big")
    return _read_exactly(stream, size)


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    """Reads bytes from a stream, which may be unbuffered."""
    data = stream.read(size)
    if len(data) < size:
        parts = [data]
        missing = size - len(data)
        while missing:
            part = stream.read(missing)
            if not part:
                raise EOFError
            parts.append(part)
            missing -= len(part)
        data = b"".join(parts)
    return data
