"""The log of moved and deleted files, from which moves are undone.

The log is JSON Lines, one object for each file, with these keys in this order:

    version  1, or 2 for an object of a bucket
    time     RFC 3339, UTC
    action   "move" or "delete"
    from     absolute path of the file, or address of the object
    to       its new path or address; null if it was deleted
    sha256   of its bytes
    keeper   path or address of the file kept in its place; null if it was moved
    token    a random name: a copy across file systems is `.lookalike-TOKEN.part` until complete

A line is on the disk before its file is touched. So a kill at any moment can be undone, and a line
may describe an action that did not happen, or only in part. A last line without a line break is
ignored.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lookalike.errors import InputError, SchemaTooNew
from lookalike.system.files import sync, sync_folder
from lookalike.system.inputs import is_object
from lookalike.system.times import now

VERSION = 2

_KEYS = {"version", "time", "action", "from", "to", "sha256", "keeper", "token"}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A file that was moved or deleted, or was about to be; see the module.

    Attributes:
        uri: the key `from`.
    """

    uri: str
    to: str | None
    sha256: str
    keeper: str | None
    token: str


class UndoLog:
    """The log during writing. A dry run has no file."""

    def __init__(self, file: BinaryIO | None) -> None:
        self.dry_run = file is None
        self._file = file

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, dry_run: bool) -> Iterator[UndoLog]:
        """Opens a log for appending, and creates it if needed.

        Raises:
            InputError: it cannot be written, or is not a log.
            SchemaTooNew: a newer lookalike wrote it.
        """
        if os.path.lexists(path):
            read_log(path)  # refuses other files, even in a dry run
        if dry_run:
            yield cls(None)
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("ab")
        except OSError as error:
            raise InputError(
                f"The log {path} cannot be written ({error.strerror}): name another file."
            ) from error
        with file:
            if file.tell():
                file.truncate(path.read_bytes().rfind(b"\n") + 1)  # drops an incomplete line
            with suppress(OSError):  # not every file system can
                sync_folder(path.parent)
            yield cls(file)

    def add(
        self, action: str, uri: str, to: str | None, sha256: str, keeper: str | None = None
    ) -> str:
        """Writes a line and returns its token. The line is then on the disk."""
        token = secrets.token_hex(8)
        line = {
            "version": VERSION if is_object(uri) else 1,
            "time": now(),
            "action": action,
            "from": uri,
            "to": to,
            "sha256": sha256,
            "keeper": keeper,
            "token": token,
        }
        if self._file is not None:
            self._file.write(json.dumps(line).encode() + b"\n")
            sync(self._file)
        return token


def read_log(path: Path) -> list[LogEntry]:
    """The entries of a log.

    Raises:
        InputError: it cannot be read, or is not a log.
        SchemaTooNew: a newer lookalike wrote it.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"The log {path} cannot be read ({error.strerror}).") from error
    *lines, incomplete = text.split(b"\n")
    entries = [_entry(path, number, line) for number, line in enumerate(lines, 1)]
    if incomplete and not (entries or incomplete.startswith(b'{"version"')):
        raise InputError(f"{path} is not a log of moved files: name another file.")
    return entries


def _entry(log: Path, number: int, text: bytes) -> LogEntry:
    line: Any = None
    with suppress(ValueError):
        line = json.loads(text)
    if not isinstance(line, dict) or not line.keys() >= _KEYS:
        raise InputError(
            f"{log} is not a log of moved files, or line {number} is damaged: remove that line, or "
            "name another file."
        )
    if line["version"] > VERSION:
        raise SchemaTooNew(
            f"The log {log} has version {line['version']} and this lookalike knows up to "
            f"{VERSION}: upgrade it with `pip install -U lookalike`."
        )
    return LogEntry(*(line[key] for key in ("from", "to", "sha256", "keeper", "token")))
