"""Decoder processes that outlive their index, for tests: starting one takes a third of a second of
CPU time, more than most tests need for all else. `tests/workers` start and end theirs as ever."""

from __future__ import annotations

import os
import queue
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from lookalike.types import DecodeLimits
from lookalike.workers.child import DecoderProcess
from lookalike.workers.pool import DecoderPool

_MOST = 4
"""Processes that are kept with the same limits."""

_kept: defaultdict[DecodeLimits, list[DecoderProcess]] = defaultdict(list)
_lock = threading.Lock()


@contextmanager
def keeping() -> Iterator[None]:
    """Lets the indexes that are opened within the block take decoders that others have left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lookalike.opening.DecoderPool", _KeepingPool)
        os.register_at_fork(after_in_child=patch.undo)  # it would use those of its parent
        yield
    for decoders in _kept.values():
        for decoder in decoders:
            decoder.close()


class _KeepingPool(DecoderPool):
    """A pool whose idle decoders are kept when it is closed."""

    def close(self) -> None:
        self._closed = True
        idle: list[DecoderProcess | None] = []
        with suppress(queue.Empty):
            while True:
                idle.append(self._idle.get_nowait())
        for decoder in idle:
            self._idle.put(None if decoder and self._keep(decoder) else decoder)
        super().close()

    def _keep(self, decoder: DecoderProcess) -> bool:
        with _lock:
            if len(_kept[self.limits]) >= _MOST or not decoder.is_running():
                return False
            self._processes.discard(decoder)
            _kept[self.limits].append(decoder)
            return True

    def _running(self, decoder: DecoderProcess | None) -> DecoderProcess:
        with _lock:
            if decoder is None and _kept[self.limits] and not self._closed:
                decoder = _kept[self.limits].pop()
                decoder._watchdog = self._watchdog
                self._processes.add(decoder)
        return super()._running(decoder)
