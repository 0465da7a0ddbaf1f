"""This process: whether an object belongs to it, and its limits."""

from __future__ import annotations

import os
import sys

from lookalike.errors import EngineError


class OwnProcess:
    """Refuses calls in another process: after a fork, the child shares locks, pipes and files with
    its parent, and would hang or spoil them.

    Args:
        what: the thing that was opened, for messages.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._pid = os.getpid()

    @property
    def is_this(self) -> bool:
        """True if this is the process that opened the thing."""
        return os.getpid() == self._pid

    def check(self) -> None:
        """Raises EngineError in a process that was forked."""
        if not self.is_this:
            raise EngineError(
                f"{self._what} was opened by process {self._pid}, and a forked process cannot use "
                "it; open it again there, or start processes by `spawn`."
            )


def allow_open_files(count: int) -> None:
    """Lets this process and its children open so many files, as far as the system allows."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
