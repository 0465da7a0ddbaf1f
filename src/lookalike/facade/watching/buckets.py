"""Watching of buckets: passes over everything, and notifications of single objects between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from lookalike.errors import LookalikeError
from lookalike.facade.watching.changes import Change
from lookalike.sources import open_source
from lookalike.sources.notifications.queue import NotificationQueue
from lookalike.system import patience
from lookalike.types import SourceOptions

RETRY = 30.0
"""Seconds after which a queue that failed is asked again."""


@dataclass(frozen=True, slots=True)
class BucketWatch:
    """Buckets, or folders of them, to watch.

    Attributes:
        addresses: their addresses; a single one if there is a queue.
        options: options of the sources.
        queue: the queue to which S3 sends its notifications, if there is one.
        every: seconds between two passes over everything.
        tell: called with a sentence about what a user should know.
    """

    addresses: Sequence[str]
    options: SourceOptions
    queue: NotificationQueue | None
    every: float
    tell: Callable[[str], None]

    def changes(self) -> Generator[Change]:
        """Yields the changes until the work in this context is over: first all.

        Raises:
            InputError: the queue cannot be read.
        """
        if self.queue is not None:
            self.queue.require_access()
        while not patience.is_over():
            due = time.monotonic() + self.every
            yield Change(self.addresses, is_whole=True)
            while not patience.is_over() and (left := due - time.monotonic()) > 0:
                if self.queue is None:
                    patience.pause(left)
                else:
                    yield from self._notified(self.queue)

    def _notified(self, queue: NotificationQueue) -> Iterator[Change]:
        """The change that the next notifications tell of, if there are any."""
        try:
            received = queue.receive()
            source = open_source(self.addresses[0], self.options)
            keys = [one for one in received.uris if source.covers(one) and not source.excludes(one)]
            if not keys:
                received.delete()
        except LookalikeError as error:
            self.tell(f"{error} Trying again in {RETRY:g} s.")
            patience.pause(RETRY)
            return
        for sentence in received.problems:
            self.tell(sentence)
        if keys:
            yield Change(self.addresses, keys=keys, done=received.delete)
