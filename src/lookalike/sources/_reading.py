"""Reading of local files, which may turn out to be something else."""

from __future__ import annotations

import os
import stat

from lookalike.errors import ImageRejected, Reason

SPECIAL = "a pipe, a socket or a device instead of a file"


def read_regular(path: str) -> bytes:
    """Reads a file; a pipe or a device, which could block for ever, is rejected unread.

    Raises:
        OSError, ImageRejected: it cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ImageRejected(Reason.UNREADABLE, SPECIAL)
        return file.read()
