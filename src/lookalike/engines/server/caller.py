"""Requests to whichever node answers, repeated while they fail for a temporary reason."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

from qdrant_client import QdrantClient

from lookalike.engines.options import ServerOptions
from lookalike.engines.server.connection import QUICK, Node, Nodes
from lookalike.engines.server.errors import FAILURES, Failure, failure_of
from lookalike.system import patience

LONGEST_PAUSE = 2.0
"""Seconds; the upper limit of a pause between attempts, unless the server asks for a longer one."""
LONGEST_RETRY_AFTER = 120.0
"""Seconds; if a server asks for a longer pause, the request fails instead."""

T = TypeVar("T")


class Caller:
    """Calls the clients of nodes, translates their errors, and repeats what failed temporarily.

    It backs off exponentially with full jitter, so that many clients of a server that restarted do
    not return all at once:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Args:
        nodes: the nodes to ask.
        url: names the collection in errors.
        options: timeout, patience and backoff.
    """

    def __init__(self, nodes: Nodes, url: str, options: ServerOptions) -> None:
        self._nodes = nodes
        self._url = url
        self.options = options

    def __call__(
        self, work: Callable[[QdrantClient], T], *, among: Sequence[Node] | None = None
    ) -> T:
        """Carries out a request, which may be sent more than once.

        Args:
            work: the request.
            among: the nodes that may answer it; by default all.
        """
        among = among or self._nodes.nodes
        limit = patience.limit()
        seconds = self.options.patience
        deadline = time.monotonic() + (seconds if limit is None else min(limit, seconds))
        hurried = quick = limit is not None
        with ExitStack() as waiting:
            for attempt in range(1_000_000):
                node = self._nodes.pick(deadline, among, hurried=hurried)
                try:
                    return work(node.client(quick=quick))
                except FAILURES as error:
                    failure = self._failure(error, quick=quick)
                    pause = self._pause(failure, attempt, len(among))
                    late = time.monotonic() + pause > deadline or patience.is_over()
                    if late or not failure.temporary:
                        raise failure.error from error
                if not attempt:
                    waiting.enter_context(patience.waiting(f"waiting for {self._url}"))
                if failure.timed_out:  # nodes that answer now are only slow
                    quick = False
                    self._nodes.doubt(failure.error)
                elif failure.away:
                    self._nodes.lost(node, failure.error)
                patience.pause(pause)
        raise failure.error

    def once(self, work: Callable[[QdrantClient], T]) -> T:
        """Carries out a request that must not be repeated."""
        deadline = time.monotonic() + self.options.timeout
        node = self._nodes.pick(deadline, self._nodes.nodes, hurried=True)
        try:
            return work(node.client(quick=False))
        except FAILURES as error:
            raise self._failure(error, quick=False).error from error

    def _failure(self, error: Exception, *, quick: bool) -> Failure:
        timeout = min(QUICK, self.options.timeout) if quick else self.options.timeout
        return failure_of(error, self._url, timeout)

    def _pause(self, failure: Failure, attempt: int, nodes: int) -> float:
        """Seconds to wait before the next attempt; infinite if it would be too long."""
        if failure.retry_after > LONGEST_RETRY_AFTER:
            return float("inf")
        round, turn = divmod(attempt, nodes)
        if turn < nodes - 1 and not failure.retry_after:
            return 0.0  # another node is asked first
        ceiling = min(LONGEST_PAUSE, self.options.backoff * 2 ** min(round, 30))
        return failure.retry_after + random.uniform(0, ceiling)
