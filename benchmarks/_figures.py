"""What the benchmarks share: real data or a reason why not, medians, bounds that fail loudly."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

DATA = Path(__file__).parents[2] / "shared" / "data"

_failed: list[str] = []


def need_data() -> Path:
    """The folder with real photos; ends the benchmark with a reason where it is absent."""
    if not DATA.is_dir():
        print(f"skipped: needs the shared test data at {DATA}, which is not there")
        sys.exit(0)
    return DATA


def median_seconds(action: Callable[[], object], times: int) -> float:
    """The median wall time of one call, after one call to warm up."""
    action()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def bound(
    what: str, value: float, *, least: float | None = None, most: float | None = None
) -> None:
    """Prints a figure beside its bound, and remembers whether it holds."""
    holds = (least is None or value >= least) and (most is None or value <= most)
    limit = f">= {least:g}" if least is not None else f"<= {most:g}"
    print(f"{'ok  ' if holds else 'FAIL'} {what}: {value:.3f} (bound {limit})")
    if not holds:
        _failed.append(what)


def finish() -> None:
    """Exits with 1 if any bound was missed."""
    sys.exit(1 if _failed else 0)
