"""Following other processes: what they change is read again every few seconds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from lookalike.errors import LookalikeError
from lookalike.system import patience

POLL_SECONDS = 2.0
"""Seconds after which a service knows of what another process has changed."""

_log = logging.getLogger("lookalike.api")


class Follower:
    """Reads again and again what other processes may have changed.

    Args:
        reads: the functions that read it.
    """

    def __init__(self, reads: Sequence[Callable[[], object]]) -> None:
        self._reads = reads
        self._stopping = threading.Event()

    def start(self, *, at_once: bool = True) -> None:
        """Begins to read, in a thread of its own; `at_once` reads before it returns, too."""
        self._stopping.clear()
        if at_once:
            self._read()
        threading.Thread(target=self._follow, name="lookalike-follower", daemon=True).start()

    def stop(self) -> None:
        """Stops reading."""
        self._stopping.set()

    def _follow(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            self._read()

    def _read(self) -> None:
        try:
            with patience.at_most(POLL_SECONDS), patience.until(self._stopping.is_set):
                for read in self._reads:
                    read()
        except LookalikeError as error:  # what is known stays in force
            _log.warning("Changes of other processes are unknown for now: %s", error)
