"""Ten minutes of mixed load over HTTP: no acknowledged write is lost, and memory does not grow.

`python -m benchmarks.http_soak --seconds 120` runs for less. Two clients search and two write (add,
update, replace, delete) while jobs index a folder, search for duplicates, and build the search
graph. Each writer remembers what was acknowledged. All of it is checked at the end, first over HTTP
and then in the index itself once the service has stopped. Images come and go at the same rate, so
memory has no reason to grow.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from tests.support.pictures import folder_of, scene

from benchmarks._figures import bound, finish
from lookalike.index import Index

FOLDER = 200
"""Images that jobs index."""
PER_WRITER = 60
"""Images that each writer keeps in the index."""
PICTURES = 40
"""Distinct pictures that writers choose from, so that several ids share a file."""
Contents: TypeAlias = dict[str, tuple[str, float]]
"""SHA-256 and price by id."""
FINAL = ("done", "failed", "canceled")


@dataclass(slots=True)
class Run:
    """State shared by all clients.

    Attributes:
        url: of the service.
        until: end of the run, by the monotonic clock.
        pictures: files to search by and to add.
        present: contents that the index must hold.
        deleted: ids that the index must not hold.
        milliseconds: latency of each request, by purpose.
        failures: unexpected errors.
        busy: number of times the service was too busy, by purpose.
        memory: samples of the resident bytes of all its processes.
    """

    url: str
    until: float
    pictures: list[bytes]
    present: Contents = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    busy: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_running(self) -> bool:
        return time.monotonic() < self.until and not self.failures

    def request(
        self,
        client: httpx.Client,
        purpose: str,
        method: str,
        path: str,
        *,
        accepted: int = 200,
        **options: Any,
    ) -> Any:
        """Returns the JSON of a response; retries while the service is busy, and records latency.

        Args:
            purpose: label for the statistics.
            accepted: a status of 400 or more that is not a failure here.
        """
        while True:
            started = time.perf_counter()
            response = client.request(method, path, **options)
            took = (time.perf_counter() - started) * 1000
            if response.status_code in (429, 503) and "retry-after" in response.headers:
                self.busy[purpose] += 1
                time.sleep(0.2)
                continue
            if response.status_code >= 400 and response.status_code != accepted:
                raise RuntimeError(f"{purpose}: {response.status_code} {response.text[:300]}")
            with self.lock:
                self.milliseconds.setdefault(purpose, []).append(took)
            return response.json()


def search(run: Run, client: httpx.Client, rng: random.Random) -> None:
    """Searches by an indexed image, a color, or an upload."""
    kind = rng.random()
    if kind < 0.4:
        listed = run.request(client, "list", "GET", "/v1/images", params={"limit": 20})["images"]
        body = {"id": rng.choice(listed)["id"]} if listed else {"color": "red"}
        # A writer may have deleted it meanwhile.
        run.request(client, "search by id", "POST", "/v1/search", accepted=404, json=body)
    elif kind < 0.7:
        body = {"color": rng.choice(["navy", "red", "green"]), "where": "price < 50"}
        run.request(client, "search by color", "POST", "/v1/search", json=body)
    else:
        files = {"image": ("query.jpg", rng.choice(run.pictures))}
        run.request(client, "search by upload", "POST", "/v1/search/upload", files=files)


def write(run: Run, client: httpx.Client, rng: random.Random, ids: list[str], name: str) -> None:
    """Adds, updates, replaces, or deletes an image, and remembers what was acknowledged."""
    if len(ids) < PER_WRITER:
        id, data, price = (
            f"{name}/{rng.getrandbits(48):x}",
            rng.choice(run.pictures),
            round(rng.random() * 100, 3),
        )
        items = f'[{{"id": "{id}", "fields": {{"price": {price}}}}}]'
        run.request(
            *(client, "add", "POST", "/v1/images"),
            files={"files": ("new.jpg", data)},
            data={"items": items},
        )
        run.present[id] = hashlib.sha256(data).hexdigest(), price
        ids.append(id)
        found = run.request(
            client, "search by id", "POST", "/v1/search", json={"id": id, "limit": 1}
        )
        if not found["hits"]:
            raise RuntimeError(f"{id} was added, but the next search does not find it")
    id = rng.choice(ids)
    digest, price = run.present[id]
    kind = rng.random()
    if kind < 0.4:
        price = round(rng.random() * 100, 3)
        body = {"fields": {"price": price}}
        run.request(client, "update", "PATCH", "/v1/image", params={"id": id}, json=body)
        run.present[id] = digest, price
    elif kind < 0.7:
        data = rng.choice(run.pictures)
        files = {"image": ("other.jpg", data)}
        run.request(client, "replace", "PUT", "/v1/image", params={"id": id}, files=files)
        run.present[id] = hashlib.sha256(data).hexdigest(), price
    elif len(ids) == PER_WRITER:
        run.request(client, "delete", "DELETE", "/v1/image", params={"id": id})
        ids.remove(id)
        run.deleted.add(id)
        del run.present[id]


def searcher(run: Run, seed: int) -> Callable[[httpx.Client], None]:
    return partial(search, run, rng=random.Random(seed))


def writer(run: Run, seed: int) -> Callable[[httpx.Client], None]:
    return partial(write, run, rng=random.Random(seed), ids=[], name=f"writer-{seed}")


def work(run: Run, client: httpx.Client, folder: Path) -> None:
    """Runs one job of each kind; the images of the folder are removed before an ingest."""
    for kind in ("ingest", "duplicates", "optimize"):
        request: dict[str, Any] = {"kind": kind}
        if kind == "ingest":
            request |= {"path": str(folder)}
            where = {"where": "price is null", "limit": 1000}
            images = run.request(client, "list", "GET", "/v1/images", params=where)["images"]
            body = {"ids": [image["id"] for image in images]}
            run.request(client, "delete many", "POST", "/v1/images/delete", json=body)
        job = run.request(client, "job", "POST", "/v1/jobs", json=request)
        while run.is_running and job["state"] not in FINAL:
            time.sleep(0.25)
            job = run.request(client, "job", "GET", "/v1/jobs/one", params={"job": job["job"]})
        if job["state"] == "failed":
            raise RuntimeError(f"{kind}: {job['problem']}")
        if job["state"] == "done":
            run.milliseconds.setdefault(f"whole {kind}", []).append(0)


def look(run: Run, client: httpx.Client) -> None:
    """Samples the memory of the service twice a second."""
    stats = run.request(client, "stats", "GET", "/v1/stats")
    run.memory.append(stats["memory"])
    time.sleep(0.5)


def repeat(run: Run, act: Callable[[httpx.Client], None]) -> None:
    """Runs one client until the time is up or something fails."""
    with httpx.Client(base_url=run.url, timeout=120) as client:
        while run.is_running:
            try:
                act(client)
            except (RuntimeError, httpx.HTTPError) as error:
                run.failures.append(f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def service(index: Path, *options: str) -> Iterator[str]:
    """Runs `lookalike serve` on a free port; yields its URL."""
    command = [sys.executable, "-m", "lookalike", "serve", "--index", str(index), "--port", "0"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url is not None, "the service does not start"
        try:
            yield url[0]
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
            print(f"the service exited with {code}")


def lost(run: Run, actual: Contents) -> list[str]:
    """Returns the acknowledged writes that are missing from the actual contents, in words."""
    wrong = [
        f"{id}: {actual.get(id)} instead of {expected}"
        for id, expected in run.present.items()
        if actual.get(id) != expected
    ]
    return wrong + [f"{id} was deleted" for id in run.deleted if id in actual]


def served(run: Run, client: httpx.Client) -> Contents:
    """Returns the written images as the service reports them."""
    found = {}
    for id in [*run.present, *run.deleted]:
        response = client.get("/v1/image", params={"id": id})
        if response.status_code == 200:
            payload = response.json()["payload"]
            found[id] = payload["image"]["sha256"], payload.get("price", -1.0)
    return found


def contents(index: Path) -> Contents:
    """Returns the contents of the index once the service has stopped."""
    with Index.open(index, create=False) as opened:
        return {
            point.id: (point.payload["image"]["sha256"], point.payload.get("price", -1.0))
            for point in opened.scroll()
        }


def report(run: Run) -> None:
    for purpose, latencies in sorted(run.milliseconds.items()):
        if purpose.startswith("whole"):
            print(f"{purpose:18} {len(latencies):6,} jobs done")
            continue
        ranked = sorted(latencies)
        median, p99 = statistics.median(ranked), ranked[int(0.99 * (len(ranked) - 1))]
        print(
            f"{purpose:18} {len(ranked):6,} times · median {median:7.1f} ms · 99 % {p99:7.1f} ms · "
            f"worst {ranked[-1]:7.1f} ms · retried {run.busy[purpose]}"
        )
    # The lower quartile, since a second engine runs while the search graph is built.
    sizes = [size / 2**20 for size in run.memory]
    parts = [sizes[len(sizes) * part // 12 : len(sizes) * (part + 1) // 12] for part in range(12)]
    twelfths = [statistics.quantiles(part, n=4)[0] for part in parts]
    print(f"memory by twelfths of the run, MiB: {' '.join(f'{size:.0f}' for size in twelfths)}")
    second, last = statistics.mean(twelfths[4:8]), statistics.mean(twelfths[8:])
    bound("memory, last third relative to the second", last / second, most=1.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder, index = folder_of(Path(name) / "photos", FOLDER), Path(name) / "index"
        table = folder / "catalog.csv"
        table.write_text("file,price\n000.jpg,1.5\n")
        with Index.open(index, model="built-in") as made:
            made.add(folder / "000.jpg", metadata=table)
        pictures = []
        for seed in range(PICTURES):
            scene(seed).save(file := BytesIO(), "JPEG", quality=90)
            pictures.append(file.getvalue())
        with service(index, "--root", str(folder)) as url:
            run = Run(url, time.monotonic() + seconds, pictures)
            acts = [searcher(run, 1), searcher(run, 2), writer(run, 3), writer(run, 4)]
            acts += [partial(work, run, folder=folder), partial(look, run)]
            threads = [threading.Thread(target=repeat, args=(run, act)) for act in acts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(seconds + 180)
            with httpx.Client(base_url=url, timeout=60) as client:
                wrong_served = lost(run, served(run, client))
                statuses = [
                    client.get("/v1/image/file", params={"id": id}).status_code
                    for id in list(run.present)[:50]
                ]
        for failure in run.failures:
            print(failure)
        report(run)
        print(f"{len(run.present)} written images must be present, {len(run.deleted)} must not")
        bound("requests that failed", len(run.failures), most=0)
        bound(
            "files of added images that are not served", len(statuses) - statuses.count(200), most=0
        )
        wrong_stored = lost(run, contents(index))
        for line in (*wrong_served, *wrong_stored):
            print(line)
        bound("acknowledged writes that the service does not return", len(wrong_served), most=0)
        bound(
            "acknowledged writes that are lost after the service has stopped",
            len(wrong_stored),
            most=0,
        )
    finish()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
