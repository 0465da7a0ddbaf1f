"""Speed of an ingest from an object store, compared with the same files on disk.

SeaweedFS serves the photos of the catalog on this machine, so that it competes for the cores; what
it uses of them is told apart: images are compared by second of our own processes' CPU, and by
second of wall time. The runs alternate.

A second run over a bucket of unchanged objects lists it and reads none. Its speed is measured with
many small objects, by second of our CPU and by the clock, beside that of the store's bare listing;
the growth of its memory from a tenth of them to all: memory of its own, without the files of the
index, which the system keeps in memory as long as there is room.

    python -m benchmarks.cloud_ingest [--objects N]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from obstore.store import S3Store
from PIL import Image
from tests.support.object_stores import CREDENTIALS, bucket_of, seaweed

from benchmarks._figures import bound, finish, need_data
from lookalike import Index
from lookalike.ingest.report import IngestReport
from lookalike.sources import open_source

ROUNDS = 3
ALLOWANCE = 24
"""MiB that allocators may take."""
BUCKET = "photos"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--objects", type=int, default=100_000, help="objects of the second run")
    options = parser.parse_args()
    data = need_data()
    with tempfile.TemporaryDirectory() as folder, seaweed(Path(folder) / "store") as endpoint:
        os.environ.update({**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint})
        compare(data, Path(folder), endpoint)
        unchanged(Path(folder), endpoint, options.objects)
    finish()


def compare(data: Path, folder: Path, endpoint: str) -> None:
    """Indexes the same photos from disk and from the store."""
    shutil.copytree(data / "catalog" / "images", folder / "photos")
    files = sorted((folder / "photos").rglob("*.jpg"))
    fill(bucket_of(endpoint, BUCKET), {str(path.relative_to(folder)): path for path in files})
    sources = {"disk": str(folder / "photos"), "store": f"s3://{BUCKET}/photos/"}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in sources}
    for number in range(ROUNDS):
        for name, source in sources.items():
            rates[name].append(rate(source, folder / f"{name}-{number}", len(files)))
    wall, own = (
        statistics.median(
            there[which] / here[which]
            for here, there in zip(rates["disk"], rates["store"], strict=True)
        )
        for which in (0, 1)
    )
    print(f"images/s from disk: {statistics.median(rate for rate, _ in rates['disk']):.0f}")
    print(f"from the store, which takes its share of the cores: {wall:.2f} of that")
    bound("images a second of our own CPU, from the store / from disk", own, least=0.85)


def rate(source: str, index: Path, count: int) -> tuple[float, float]:
    """Images a second of a first run, and a second of our CPU."""
    with Index.open(index, model="built-in") as opened:
        children = [one for one in psutil.Process().children(True) if one.name() != "weed"]
        before, started = cpu(children), time.perf_counter()
        report = opened.add(source, optimize=False)
        seconds = time.perf_counter() - started
        children = [one for one in psutil.Process().children(True) if one.name() != "weed"]
        used = cpu(children) - before
    assert report.added == count, report
    return count / seconds, count / used


def cpu(children: list[psutil.Process]) -> float:
    times = [psutil.Process().cpu_times(), *(child.cpu_times() for child in children)]
    return sum(one.user + one.system for one in times)


def unchanged(folder: Path, endpoint: str, count: int) -> None:
    """Runs over many objects that the index has."""
    small = []
    for number in range(64):
        path = folder / f"{number}.png"
        Image.new("RGB", (64, 64), (number * 4, 255 - number * 3, 99)).save(path)
        small.append(path)
    keys = {f"small/{n % 100:02}/{n:07}.png": small[n % len(small)] for n in range(count)}
    fill(bucket_of(endpoint, "many"), keys)
    with Index.open(folder / "many", model="built-in", thumbnails=0) as index:
        assert index.add("s3://many/small/").added == count
    with Index.open(folder / "many") as index:
        index.add("s3://many/small/0*/*")  # loads what it needs
        _, tenth = with_peak(lambda: index.add("s3://many/small/0*/*"))
        by_cpu, runs, peaks = [], [], []
        for _ in range(ROUNDS):
            before = cpu([])
            run, peak = with_peak(lambda: index.add("s3://many/small/"))
            by_cpu.append(count / (cpu([]) - before))
            runs.append(run.images_per_second)
            peaks.append(peak)
            assert run.unchanged == count
    started = time.perf_counter()
    assert sum(1 for _ in open_source("s3://many/small/").refs()) == count
    listed = count / (time.perf_counter() - started)
    print(f"second run by the clock: {statistics.median(runs):,.0f} objects/s")
    print(f"listing alone by the clock: {listed:,.0f} objects/s")
    bound(
        "second run over unchanged objects a second of our own CPU",
        statistics.median(by_cpu),
        least=20_000,
    )
    print(f"from {count // 10:,} to {count:,} objects:")
    bound("growth of its memory, MiB", max(peaks) - tenth, most=ALLOWANCE)


def with_peak(work: Callable[[], IngestReport]) -> tuple[IngestReport, float]:
    """The result of some work, and the peak of this process's own memory meanwhile, in MiB."""
    own, ended = [own_memory()], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            own.append(own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return work(), max(own) / 2**20
    finally:
        ended.set()
        watcher.join()


def own_memory() -> int:
    memory = psutil.Process().memory_info()
    return memory.rss - memory.shared


def fill(bucket: S3Store, files: dict[str, Path]) -> None:
    with ThreadPoolExecutor(32) as threads:
        list(threads.map(lambda item: bucket.put(item[0], item[1].read_bytes()), files.items()))


if __name__ == "__main__":
    main()
