"""The log of real queries: ids and texts that a service is searched for, if its operator wants it.

It serves to compare two models by what people really search for. Nothing but the ids and texts is
written: no pictures, filters, results or times, and nothing about clients.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lookalike.errors import InputError
from lookalike.system.files import write_atomically

FILE = "queries.jsonl"
"""Name of the log beside the state of a service."""
MOST = 1_000
"""Queries that the log keeps; it may hold twice as many for a while."""

_OTHER_TARGETS = ("image", "like", "unlike", "vector")
"""Targets of a search that are never logged, nor what is searched for together with them."""

_log = logging.getLogger("lookalike.queries")


@dataclass(frozen=True, slots=True)
class LoggedQuery:
    """A query from the log.

    Attributes:
        value: the id of an image, or a text.
        is_text: whether it is a text.
    """

    value: str
    is_text: bool = True


class QueryLog:
    """A file of the last queries, one JSON object per line; thread-safe.

    Args:
        file: the file, which need not exist, in a folder that does.
        most: number of queries to keep.
    """

    def __init__(self, file: Path, most: int = MOST) -> None:
        self._file = file
        self._most = most
        self._lock = threading.Lock()
        self._lines = 0
        self._warned = False

    def add(self, search: Mapping[str, Any]) -> None:
        """Writes the query of a search that was answered, if it is a single image or text.

        A log that cannot be written does not fail the search: it says so once in the service's log.

        Args:
            search: the keywords of `Index.search` or `Index.recommend`.
        """
        query = _query_of(search)
        if query is None:
            return
        line = json.dumps({"text" if query.is_text else "id": query.value}) + "\n"
        with self._lock:
            try:
                self._append(line)
            except OSError as error:
                if not self._warned:
                    _log.warning(
                        "%s cannot be written (%s): no query is logged.", self._file, error
                    )
                self._warned = True

    def _append(self, line: str) -> None:
        if not self._lines:  # the first query of this process
            self._lines = len(_lines(self._file))
        if self._lines >= 2 * self._most:
            kept = _lines(self._file)[-self._most :]
            write_atomically(self._file, b"".join(kept), private=True)
            self._lines = len(kept)
        opened = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(opened, line.encode())
        finally:
            os.close(opened)
        self._lines += 1


def read_queries(file: Path, most: int = 200) -> list[LoggedQuery]:
    """The last different queries of a log, the latest first; none where there is no file.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        lines = _lines(file)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}.") from error
    latest = filter(None, map(_parsed, reversed(lines)))
    return list(islice(dict.fromkeys(latest), most))


def _query_of(search: Mapping[str, Any]) -> LoggedQuery | None:
    """The query of a search, if it is one image of the index or one text, and the first page."""
    if search.get("offset") or any(search.get(name) for name in _OTHER_TARGETS):
        return None
    ids, texts = (_listed(search.get(name)) for name in ("id", "text"))
    if len(ids) + len(texts) != 1:
        return None
    return LoggedQuery(texts[0]) if texts else LoggedQuery(ids[0], is_text=False)


def _listed(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else value or []


def _lines(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []


def _parsed(line: bytes) -> LoggedQuery | None:
    """The query in a line; None for a line that a kill has cut off, or that somebody wrote."""
    try:
        match json.loads(line):
            case {"text": str(text)}:
                return LoggedQuery(text)
            case {"id": str(id)}:
                return LoggedQuery(id, is_text=False)
    except ValueError:
        pass
    return None
