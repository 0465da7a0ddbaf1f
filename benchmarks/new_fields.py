"""The longest wait of a writer while another one adds 200 new fields, over HTTP.

`lookalike serve` runs on an index of synthetic points. One client sets 200 fields that are new to
the index in one request. Each gets a payload index, for which the engine reads every point. Another
client changes a known field of one image after another meanwhile.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks import _synthetic
from benchmarks._figures import bound, finish
from benchmarks.http_soak import service
from lookalike.engines.edge.engine import EdgeEngine

FIELDS = 200
SECONDS = 5.0
"""Seconds of writing before the fields are added, for comparison."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=2_000)
    count = parser.parse_args().points
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as threads:
        path = Path(folder) / "index"
        _synthetic.open_index(EdgeEngine(path), _synthetic.draw(count)).close()
        with service(path, "--max-fields", str(FIELDS + 1)) as url:
            before = longest_wait(url, count, threads.submit(time.sleep, SECONDS))
            adding = threads.submit(add_fields, url)
            during = longest_wait(url, count, adding)
            seconds = adding.result()
    print(
        f"{count:,} images: {FIELDS} new fields took {seconds:.1f} s; longest wait of another "
        f"writer {during:.2f} s, {during / seconds:.3f} of that, and {before:.2f} s before"
    )
    bound("longest wait of a writer, s", during, most=1.0)
    finish()


def add_fields(url: str) -> float:
    """Sets fields that are new to the index; returns the seconds it took."""
    values = [1, 0.5, True, "text", "2024-05-01T10:00:00Z"]
    fields = {f"field {n}": values[n % len(values)] for n in range(FIELDS)}
    started = time.perf_counter()
    while True:
        answer = httpx.patch(
            f"{url}/v1/image", params={"id": "0"}, json={"fields": fields}, timeout=300
        )
        if answer.is_success:
            return time.perf_counter() - started
        assert answer.status_code == 503, answer.text  # a slow machine: the rest comes next time


def longest_wait(
    url: str, count: int, until: Future[object] | Future[float] | Future[None]
) -> float:
    """Changes one image after another until something is done; returns the longest wait."""
    longest, number = 0.0, 1
    with httpx.Client(base_url=url, timeout=30) as client:
        while not until.done():
            started = time.perf_counter()
            answer = client.patch(
                "/v1/image", params={"id": str(number)}, json={"fields": {"rank": 0.5}}
            )
            assert answer.is_success, answer.text
            longest = max(longest, time.perf_counter() - started)
            number = (number + 1) % count
    return longest


if __name__ == "__main__":
    main()
