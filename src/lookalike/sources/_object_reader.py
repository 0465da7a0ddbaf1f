"""Reading of an object like a file, by requests for parts of it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any


class ObjectReader(io.RawIOBase):
    """An object as a file that can be read at any place.

    Args:
        size: bytes of the object.
        read: reads so many bytes from a place on.
    """

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._read = read
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError("a place before the start of the file")
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._place)
        data = self._read(self._place, length) if length > 0 else b""
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)
