"""Shared parts of the benchmarks: test data, medians, and bounds that fail loudly."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

DATA = Path(__file__).parents[2] / "shared" / "data"

_failures: list[str] = []


def need_data() -> Path:
    """Returns the folder of real photos, or ends the benchmark with a reason if there is none."""
    if not DATA.is_dir():
        print(f"skipped: needs the shared test data at {DATA}, which does not exist")
        sys.exit(0)
    return DATA


def median_seconds(action: Callable[[], object], times: int) -> float:
    """Returns the median wall time of a call, after one call to warm up."""
    action()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def bound(
    name: str, value: float, *, least: float | None = None, most: float | None = None
) -> None:
    """Prints a figure with its bound, and records a failure if it is missed."""
    holds = (least is None or value >= least) and (most is None or value <= most)
    limit = f">= {least:g}" if least is not None else f"<= {most:g}"
    print(f"{'ok  ' if holds else 'FAIL'} {name}: {value:.3f} (bound {limit})")
    if not holds:
        _failures.append(name)


def finish() -> None:
    """Exits with 1 if any bound was missed."""
    sys.exit(1 if _failures else 0)
