"""Messages between processes: a JSON header behind its length, then raw bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

# --- the conversation -------------------------------------------------------------------------


def send(stream: IO[bytes], header: Mapping[str, Any], *bodies: bytes | memoryview) -> None:
    encoded = json.dumps(header).encode()
    stream.write(len(encoded).to_bytes(4, "big") + encoded)
    for body in bodies:
        stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Any]:
    """The next header.

    Raises:
        EOFError: there is none.
        ValueError: it is not what `send` sends.
    """
    prefix = stream.read(4)
    if len(prefix) < 4:
        raise EOFError
    size = int.from_bytes(prefix, "big")
    if size > 2**20:
        raise ValueError("a header this long is none of ours")
    header = json.loads(stream.read(size))
    if not isinstance(header, dict):
        raise ValueError("a header is an object")
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
    prefix = stream.read(8)
    size = int.from_bytes(prefix, "big")
    message = stream.read(size) if len(prefix) == 8 else b""
    if len(prefix) < 8 or len(message) < size:
        raise EOFError
    return message
