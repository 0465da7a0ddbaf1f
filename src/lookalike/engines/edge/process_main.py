"""The child process of a `SubprocessEngine`: runs the embedded engine, one call after the other.

When the parent goes away, the child exits at once and without a flush: acknowledged writes survive
that anyway, and the next process to open the index does not have to wait.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

from lookalike.engines.edge.child_engine import ChildEngine
from lookalike.engines.edge.messages import pack, unpack
from lookalike.errors import EngineError
from lookalike.system.framing import receive_bytes, send_bytes

_NICENESS = 19


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
    requests, replies = os.fdopen(0, "rb", closefd=False), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keeps what a library prints out of the replies
    engine = ChildEngine(**settings["engine"])
    if not settings["background"]:
        threading.Thread(target=engine.warm_up, daemon=True).start()
    with suppress(EOFError, BrokenPipeError):
        while True:
            method, arguments, keywords = unpack(receive_bytes(requests))
            try:
                reply = pack((True, getattr(engine, method)(*arguments, **keywords)))
            except Exception as error:
                reply = _packed_error(error)
            send_bytes(replies, reply)
    os._exit(0)


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


def _packed_error(error: Exception) -> bytes:
    try:
        packed = pack((False, error))
        unpack(packed)
    except Exception:  # it cannot be pickled, for example as its __init__ takes other arguments
        return pack((False, EngineError(f"{type(error).__name__}: {error}")))
    return packed
