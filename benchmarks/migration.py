"""Migration of an index to another model, while it is searched.

The fill is compared with an ingest of the same photos by the new model. A thread searches by id all
the while, another one looks how much disk the index takes.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks._figures import bound, finish, need_data
from lookalike import Index
from lookalike.engines.edge.folder import bytes_on_disk

ROUNDS = 3
SEARCH_EVERY = 0.02
LOOK_EVERY = 0.05


def main() -> None:
    data = need_data()
    model = {"model": "clip", "model_dir": data / "standin-clip"}
    ratios, slowest, disks = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with Index.open(place / "index", model="built-in", subprocess=True) as index:
            index.add(data / "photos")
            ids = [point.id for point in index.scroll()]
            for number in range(ROUNDS):
                plain = _ingest(data / "photos", place / f"plain-{number}", model)
                index.search(id=ids[0])
                before = bytes_on_disk(place / "index")
                with _searching(index, ids) as waits, _looking(place / "index") as sizes:
                    filled, whole = _migrate(index, model, len(ids))
                index.cancel_migration()
                print(
                    f"ingest {plain:.0f} images/s; fill {filled:.0f} images/s, the whole migration "
                    f"{whole:.1f} s; {len(waits)} searches, at most {1000 * max(waits):.0f} ms, "
                    f"median {1000 * statistics.median(waits):.1f}; disk {before / 2**20:.0f} MiB, "
                    f"{max(sizes) / 2**20:.0f} MiB at most"
                )
                ratios.append(filled / plain)
                slowest.append(1000 * max(waits))
                disks.append(max(sizes) / before)
    bound("fill / ingest, images/s", statistics.median(ratios), least=0.8)
    bound("longest search, ms", statistics.median(slowest), most=250)
    bound("disk at most / before", statistics.median(disks), most=2.2)
    finish()


def _ingest(photos: Path, place: Path, model: dict[str, object]) -> float:
    """Images per second of an ingest by the new model, without the search graph."""
    with Index.open(place, subprocess=True, **model) as index:  # type: ignore[arg-type]
        started = time.perf_counter()
        report = index.add(photos, optimize=False)
        return report.added / (time.perf_counter() - started)


def _migrate(index: Index, model: dict[str, object], images: int) -> tuple[float, float]:
    """Images per second of the fill, and seconds of all."""
    times: dict[str, float] = {}
    started = time.perf_counter()

    def note(activity: str, done: int, total: int | None) -> None:
        times.setdefault(activity, time.perf_counter())

    report = index.migrate(**model, progress=note)  # type: ignore[arg-type]
    assert report.status.lacking == 0
    fill = times["building the search graph"] - times["making room"]
    return images / fill, time.perf_counter() - started


@contextmanager
def _searching(index: Index, ids: list[str]) -> Iterator[list[float]]:
    """Searches again and again; the seconds that each search took."""
    waits: list[float] = []

    def search(number: int) -> None:
        started = time.perf_counter()
        assert len(index.search(id=ids[number % len(ids)], limit=10)) == 10
        waits.append(time.perf_counter() - started)

    with _repeated(search, SEARCH_EVERY):
        yield waits


@contextmanager
def _looking(folder: Path) -> Iterator[list[int]]:
    """Looks again and again how much disk a folder takes."""
    sizes: list[int] = []
    with _repeated(lambda number: sizes.append(bytes_on_disk(folder)), LOOK_EVERY):
        yield sizes


@contextmanager
def _repeated(work: Callable[[int], None], pause: float) -> Iterator[None]:
    stop = threading.Event()

    def repeat() -> None:
        number = 0
        while not stop.wait(pause):
            work(number)
            number += 1

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    main()
