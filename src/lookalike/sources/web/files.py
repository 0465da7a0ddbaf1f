"""Reading of single files on the web, each at most a few times in a run."""

from __future__ import annotations

import threading
from collections import OrderedDict

from lookalike.errors import InputError
from lookalike.sources.web.hosts import Hosts
from lookalike.sources.web.source import browser_url

_HELD = 64 * 2**20
"""Bytes of the files that were read last."""


class WebFiles:
    """Files on the web. Holds those read last, and does not ask again for one that failed.
    Thread-safe.

    Args:
        hosts: reads them.
    """

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._failures: dict[str, str] = {}
        self._lock = threading.Lock()

    def read(self, uri: str) -> bytes:
        """Reads a file.

        Raises:
            InputError: it cannot be read.
        """
        with self._lock:
            if uri in self._failures:
                raise InputError(self._failures[uri])
            if uri in self._files:
                self._files.move_to_end(uri)
                return self._files[uri]
        try:
            data = self._hosts.request(browser_url(uri), {}).file()
        except InputError as error:
            with self._lock:
                self._failures[uri] = f"{uri}: {error}"
            raise InputError(f"{uri}: {error}") from error
        with self._lock:
            self._files[uri] = data
            while len(self._files) > 1 and sum(map(len, self._files.values())) > _HELD:
                self._files.popitem(last=False)
        return data

    def close(self) -> None:
        """Closes the connections."""
        self._hosts.close()
