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
