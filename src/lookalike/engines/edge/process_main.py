"""The child process of a `SubprocessEngine`: runs the embedded engine, one call after the other.

When the parent goes away, the child exits at once and without a flush: acknowledged writes survive
that anyway, and the next process to open the index does not have to wait.

Replies to writes wait until the writes are on the disk. Meanwhile the child goes on with the
requests that are waiting already, so that the writes of several threads share one sync.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

from lookalike.engines.edge.child_engine import ChildEngine
from lookalike.engines.edge.messages import pack, pack_error, unpack
from lookalike.errors import EngineError
from lookalike.system.framing import receive_bytes, send_bytes

_NICENESS = 19
_SHARED = 16
"""Replies that wait for one sync at most."""


def main() -> None:
    """Answers calls until the parent is gone.

    Its settings are `engine`, the arguments of `ChildEngine`, and `background`, true for a process
    that builds a graph and must give way to all others.
    """
    settings = json.loads(sys.argv[1])
    # The parent handles both: it still has calls to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if settings["background"]:
        _lower_priority()
    requests, replies = os.fdopen(0, "rb", 0, closefd=False), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keeps what a library prints out of the replies
    engine = ChildEngine(**settings["engine"])
    if not settings["background"]:
        threading.Thread(target=engine.warm_up, daemon=True).start()
    with suppress(EOFError, BrokenPipeError):
        while True:
            _answer(engine, requests, replies)
    os._exit(0)


def _answer(engine: ChildEngine, requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answers the next request, and those whose writes share its sync."""
    waiting = [_reply(engine, receive_bytes(requests))]
    while engine.is_behind and len(waiting) < _SHARED and _is_pending(requests):
        waiting.append(_reply(engine, receive_bytes(requests)))
    failure = None
    try:
        engine.commit()
    except EngineError as error:  # none of these writes may be acknowledged
        failure = pack_error(error)
    for reply in waiting:
        send_bytes(replies, failure or reply)


def _reply(engine: ChildEngine, request: bytes) -> bytes:
    method, arguments, keywords = unpack(request)
    try:
        return pack((True, getattr(engine, method)(*arguments, **keywords)))
    except Exception as error:
        return pack_error(error)


def _is_pending(requests: IO[bytes]) -> bool:
    """True if a request has arrived; never on Windows, which cannot tell for a pipe."""
    return sys.platform != "win32" and bool(select.select([requests], [], [], 0)[0])


def _lower_priority() -> None:
    """Lets every other process go first.

    Linux may divide CPU time among sessions, and only then among the processes of each: autogroup,
    sched(7). As this process is alone in its session, `nice` has no effect then. On a core shared
    with another busy process it still got 50 % of the time, and 4 % at a low priority of its group.
    """
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS), encoding="ascii")
