"""Ten minutes of everything at once over HTTP: no acknowledged write is lost, no memory leaks.

`python -m benchmarks.http_soak --seconds 120` for less. Two clients search and two write (add,
update, replace, delete) while jobs index a folder, look for duplicates and build the search graph.
Each writer knows what was acknowledged; all of it is looked up at the end, and once more in the
index itself when the service has stopped. Images come and go at the same rate, so memory has no
reason to grow.
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
OWN = 60
"""Images that each writer has in the index at a time."""
PICTURES = 40
"""Different ones that writers draw from, so that several ids have the same file."""
Contents: TypeAlias = dict[str, tuple[str, float]]
"""SHA-256 and price by id."""
FINAL = ("done", "failed", "canceled")


@dataclass(slots=True)
class Run:
    """What all clients share.

    Attributes:
        url: of the service.
        until: when to stop, by the monotonic clock.
        pictures: files to search by and to add.
        there: what must be in the index.
        gone: ids that must not be.
        milliseconds: of each request, by what it was for.
        failed: what should not have happened, in words.
        busy: how often the service said to come again.
        memory: resident bytes of all its processes, one after another.
    """

    url: str
    until: float
    pictures: list[bytes]
    there: Contents = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    busy: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.until and not self.failed

    def ask(
        self,
        client: httpx.Client,
        what: str,
        method: str,
        path: str,
        *,
        fine: int = 200,
        **request: Any,
    ) -> Any:
        """The answer's JSON, after as many tries as it takes; times those that were answered.

        Args:
            what: it is for.
            fine: an error's status that is none here.
        """
        while True:
            started = time.perf_counter()
            answer = client.request(method, path, **request)
            took = (time.perf_counter() - started) * 1000
            if answer.status_code in (429, 503) and "retry-after" in answer.headers:
                self.busy[what] += 1
                time.sleep(0.2)
                continue
            if answer.status_code >= 400 and answer.status_code != fine:
                raise RuntimeError(f"{what}: {answer.status_code} {answer.text[:300]}")
            with self.lock:
                self.milliseconds.setdefault(what, []).append(took)
            return answer.json()


def search(run: Run, client: httpx.Client, rng: random.Random) -> None:
    """Searches by an image of the folder, a color, or an upload."""
    kind = rng.random()
    if kind < 0.4:
        listed = run.ask(client, "list", "GET", "/v1/images", params={"limit": 20})["images"]
        body = {"id": rng.choice(listed)["id"]} if listed else {"color": "red"}
        # A writer may have deleted it meanwhile.
        run.ask(client, "search by id", "POST", "/v1/search", fine=404, json=body)
    elif kind < 0.7:
        body = {"color": rng.choice(["navy", "red", "green"]), "where": "price < 50"}
        run.ask(client, "search by color", "POST", "/v1/search", json=body)
    else:
        files = {"image": ("query.jpg", rng.choice(run.pictures))}
        run.ask(client, "search by upload", "POST", "/v1/search/upload", files=files)


def write(run: Run, client: httpx.Client, rng: random.Random, own: list[str], name: str) -> None:
    """Adds one, updates, replaces or deletes one, and remembers what was acknowledged."""
    if len(own) < OWN:
        id, data, price = (
            f"{name}/{rng.getrandbits(48):x}",
            rng.choice(run.pictures),
            round(rng.random() * 100, 3),
        )
        items = f'[{{"id": "{id}", "fields": {{"price": {price}}}}}]'
        run.ask(
            *(client, "add", "POST", "/v1/images"),
            files={"files": ("new.jpg", data)},
            data={"items": items},
        )
        run.there[id] = hashlib.sha256(data).hexdigest(), price
        own.append(id)
        near = run.ask(client, "search by id", "POST", "/v1/search", json={"id": id, "limit": 1})
        if not near["hits"]:
            raise RuntimeError(f"{id} was added, and the next search does not know it")
    id = rng.choice(own)
    digest, price = run.there[id]
    kind = rng.random()
    if kind < 0.4:
        price = round(rng.random() * 100, 3)
        body = {"fields": {"price": price}}
        run.ask(client, "update", "PATCH", "/v1/image", params={"id": id}, json=body)
        run.there[id] = digest, price
    elif kind < 0.7:
        data = rng.choice(run.pictures)
        files = {"image": ("other.jpg", data)}
        run.ask(client, "replace", "PUT", "/v1/image", params={"id": id}, files=files)
        run.there[id] = hashlib.sha256(data).hexdigest(), price
    elif len(own) == OWN:
        run.ask(client, "delete", "DELETE", "/v1/image", params={"id": id})
        own.remove(id)
        run.gone.add(id)
        del run.there[id]


def searcher(run: Run, seed: int) -> Callable[[httpx.Client], None]:
    return partial(search, run, rng=random.Random(seed))


def writer(run: Run, seed: int) -> Callable[[httpx.Client], None]:
    return partial(write, run, rng=random.Random(seed), own=[], name=f"writer-{seed}")


def work(run: Run, client: httpx.Client, folder: Path) -> None:
    """One job after another, the images of the folder removed before each that indexes them."""
    for kind in ("ingest", "duplicates", "optimize"):
        request: dict[str, Any] = {"kind": kind}
        if kind == "ingest":
            request |= {"path": str(folder)}
            where = {"where": "price is null", "limit": 1000}
            images = run.ask(client, "list", "GET", "/v1/images", params=where)["images"]
            ids = {"ids": [image["id"] for image in images]}
            run.ask(client, "delete many", "POST", "/v1/images/delete", json=ids)
        job = run.ask(client, "job", "POST", "/v1/jobs", json=request)
        while run.goes_on and job["state"] not in FINAL:
            time.sleep(0.25)
            job = run.ask(client, "job", "GET", "/v1/jobs/one", params={"job": job["job"]})
        if job["state"] == "failed":
            raise RuntimeError(f"{kind}: {job['problem']}")
        if job["state"] == "done":
            run.milliseconds.setdefault(f"whole {kind}", []).append(0)


def look(run: Run, client: httpx.Client) -> None:
    """How much memory the service takes, twice a second."""
    stats = run.ask(client, "stats", "GET", "/v1/stats")
    run.memory.append(stats["memory"])
    time.sleep(0.5)


def repeat(run: Run, act: Callable[[httpx.Client], None]) -> None:
    """One client, until the time is up or something fails."""
    with httpx.Client(base_url=run.url, timeout=120) as client:
        while run.goes_on:
            try:
                act(client)
            except (RuntimeError, httpx.HTTPError) as error:
                run.failed.append(f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def service(index: Path, *options: str) -> Iterator[str]:
    """The address of `lookalike serve` on a free port of this machine."""
    command = [sys.executable, "-m", "lookalike", "serve", "--index", str(index), "--port", "0"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, "it does not start"
        try:
            yield found[0]
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
            print(f"the service ended with {code}")


def lost(run: Run, there: Contents) -> list[str]:
    """What was acknowledged and is not so, in words."""
    wrong = [
        f"{id}: {there.get(id)} instead of {known}"
        for id, known in run.there.items()
        if there.get(id) != known
    ]
    return wrong + [f"{id} was deleted" for id in run.gone if id in there]


def served(run: Run, client: httpx.Client) -> Contents:
    """What the service says of all that was written."""
    found = {}
    for id in [*run.there, *run.gone]:
        answer = client.get("/v1/image", params={"id": id})
        if answer.status_code == 200:
            payload = answer.json()["payload"]
            found[id] = payload["image"]["sha256"], payload.get("price", -1.0)
    return found


def contents(index: Path) -> Contents:
    """What the index holds when the service has stopped."""
    with Index.open(index, create=False) as opened:
        return {
            point.id: (point.payload["image"]["sha256"], point.payload.get("price", -1.0))
            for point in opened.scroll()
        }


def report(run: Run) -> None:
    for what, all_of_them in sorted(run.milliseconds.items()):
        if what.startswith("whole"):
            print(f"{what:18} {len(all_of_them):6,} jobs done")
            continue
        ranked = sorted(all_of_them)
        middle, late = statistics.median(ranked), ranked[int(0.99 * (len(ranked) - 1))]
        print(
            f"{what:18} {len(ranked):6,} times · median {middle:7.1f} ms · 99 % {late:7.1f} ms · "
            f"worst {ranked[-1]:7.1f} ms · told to wait {run.busy[what]}"
        )
    # The lower quartile: while the search graph is built a second engine is there.
    sizes = [size / 2**20 for size in run.memory]
    parts = [sizes[len(sizes) * part // 12 : len(sizes) * (part + 1) // 12] for part in range(12)]
    twelfths = [statistics.quantiles(part, n=4)[0] for part in parts]
    print(f"memory by twelfths of the time, MiB: {' '.join(f'{size:.0f}' for size in twelfths)}")
    second, last = statistics.mean(twelfths[4:8]), statistics.mean(twelfths[8:])
    bound("memory, last third to the second", last / second, most=1.05)


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
                unlike = lost(run, served(run, client))
                shown = [
                    client.get("/v1/image/file", params={"id": id}).status_code
                    for id in list(run.there)[:50]
                ]
        for what in run.failed:
            print(what)
        report(run)
        print(f"{len(run.there)} written images must be there, {len(run.gone)} must not")
        bound("requests that failed", len(run.failed), most=0)
        bound("files of added images that are not served", len(shown) - shown.count(200), most=0)
        after = lost(run, contents(index))
        for what in (*unlike, *after):
            print(what)
        bound("acknowledged writes that the service does not know", len(unlike), most=0)
        bound("acknowledged writes that are lost when it has stopped", len(after), most=0)
    finish()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
