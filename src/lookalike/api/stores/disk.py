"""Errors of the disk that the service's own files are on, as errors that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.errors import DiskFull, LookalikeError


@contextmanager
def storing(what: str, path: Path) -> Iterator[None]:
    """Translates the errors of writing a file.

    Args:
        what: the content, as the start of a sentence.
        path: the file or folder that is written.

    Raises:
        DiskFull: the disk is full.
        LookalikeError: the file cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"{what} cannot be stored in {path}, as the disk is full; free some space and try "
                "again."
            ) from None
        raise LookalikeError(
            f"{what} cannot be stored in {path} ({error.strerror or error}); let the service write "
            "there and try again."
        ) from None
