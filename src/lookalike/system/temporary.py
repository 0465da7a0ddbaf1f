"""Temporary folders that go with this process, however it ends.

A folder is removed when it is no longer used and when the process exits. A killed process leaves
its folder behind; each new folder first removes those. A lock tells them apart: the system releases
it with the process that holds it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

from lookalike.errors import EngineError

_PREFIX = "lookalike-memory-"


class TemporaryFolder:
    """A new folder among the temporary files, for this user alone.

    Attributes:
        path: the folder.
    """

    def __init__(self) -> None:
        """Makes the folder.

        Raises:
            EngineError: it cannot be made.
        """
        _remove_abandoned()
        self.path, lock = _locked_folder()
        self._finalizer = weakref.finalize(self, _remove, self.path, lock, os.getpid())

    def remove(self) -> None:
        """Removes the folder with all that is in it. Removing it twice is harmless."""
        self._finalizer()


def _locked_folder() -> tuple[Path, int | None]:
    while True:
        try:
            path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        except OSError as error:
            raise EngineError(
                f"No temporary folder can be made ({error}): let TMPDIR name one with room."
            ) from error
        lock = _lock(path, wait=True)
        if path.exists():  # otherwise another process took it for abandoned before it was locked
            return path, lock
        _unlock(lock)


def _remove(path: Path, lock: int | None, pid: int) -> None:
    if os.getpid() == pid:  # a forked process shares the folder
        shutil.rmtree(path, ignore_errors=True)
        _unlock(lock)


def _remove_abandoned() -> None:
    """Removes the folders of this user whose processes are gone."""
    if sys.platform == "win32":  # where nothing tells them apart
        return
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if path.lstat().st_uid == os.getuid():
                lock = _lock(path, wait=False)
                if lock is not None:
                    shutil.rmtree(path, ignore_errors=True)
                    _unlock(lock)


def _lock(path: Path, *, wait: bool) -> int | None:
    """Locks a folder; None if it cannot be had."""
    if sys.platform == "win32":
        return None
    import fcntl

    opened = None
    try:
        opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # locked, just removed, or on a file system without locks
        _unlock(opened)
        return None
    return opened


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
