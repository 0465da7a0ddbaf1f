"""What this process and its children take."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_PROC = Path("/proc")


def resident_bytes() -> int:
    """Resident memory of this process and all that it started; shared pages count once a process.

    Where the system has no /proc, the most that this process alone has ever taken.
    """
    try:
        return sum(_resident(id) for id in _family(os.getpid()))
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _family(id: int) -> list[int]:
    """A process and its descendants."""
    children: list[int] = []
    for thread in (_PROC / str(id) / "task").iterdir():
        children += map(int, (thread / "children").read_text().split())
    return [id, *(one for child in children for one in _still(child))]


def _still(id: int) -> list[int]:
    try:
        return _family(id)
    except OSError:  # it ended meanwhile
        return []


def _resident(id: int) -> int:
    try:
        pages = int((_PROC / str(id) / "statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
