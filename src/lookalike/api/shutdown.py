"""The end of the service, and of the requests that are in flight then."""

from __future__ import annotations

import asyncio

GRACE_SECONDS = 2.0
"""Seconds in which requests in flight may finish when the service stops."""


class Shutdown:
    """Tells requests in flight when the service stops.

    Attributes:
        has_begun: whether the service is stopping.
    """

    def __init__(self) -> None:
        self.has_begun = False
        self._deadlines: set[asyncio.Future[None]] = set()

    def begin(self) -> None:
        """Starts the grace period; called in the event loop."""
        if not self.has_begun:
            self.has_begun = True
            asyncio.get_running_loop().call_later(GRACE_SECONDS, self._expire)

    def deadline(self) -> asyncio.Future[None]:
        """Returns a future that is done once the grace period is over; `release` it afterwards."""
        deadline: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._deadlines.add(deadline)
        return deadline

    def release(self, deadline: asyncio.Future[None]) -> None:
        """Forgets a deadline."""
        self._deadlines.discard(deadline)
        deadline.cancel()

    def _expire(self) -> None:
        for deadline in self._deadlines:
            if not deadline.done():
                deadline.set_result(None)
