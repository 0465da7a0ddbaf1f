"""What the HTTP service adds: to a search by id, and to a search by upload with a model."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from tests.api_server import options, serving

from benchmarks._figures import bound, finish, need_data
from benchmarks.search_overhead import POINTS, fill
from lookalike import Index

QUERIES = 400
UPLOADS = 60


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        by_id(Path(folder) / "made")
        by_upload(Path(folder) / "clip")
    finish()


def by_id(folder: Path) -> None:
    """The same searches in turn, in the process and over a port."""
    with Index.open(folder / "index", model="built-in") as index:
        fill(index)
        with serving(index, options(folder)) as client:
            direct, served = [], []
            for i in range(QUERIES):
                body = {"id": str(i % POINTS)}
                direct.append(timed(lambda body=body: index.search(**body)))  # type: ignore[misc]
                served.append(timed(lambda body=body: ask(client, body)))  # type: ignore[misc]
    d, s = statistics.median(direct) * 1e3, statistics.median(served) * 1e3
    print(f"Index.search {d:.2f} ms, over HTTP {s:.2f} ms: medians of {QUERIES}, in turn")
    bound("added to a search by id, ms", s - d, most=4.0)


def by_upload(folder: Path) -> None:
    """How much of a search by upload is reading and describing what was sent."""
    data = need_data()
    photos = sorted((data / "photos").rglob("*.jpg"))[: UPLOADS + 200]
    folder.mkdir()
    with Index.open(folder / "index", model_dir=data / "standin-clip") as index:
        index.add(*map(str, photos[UPLOADS:]))
        model = index._models.descriptor(index.manifest.semantic.name)
        with serving(index, options(folder)) as client:
            whole, described = [], []
            for photo in photos[:UPLOADS]:
                content = photo.read_bytes()
                image = index._decoder.decode(content, side=model.side)
                described.append(timed(lambda image=image: model.describe([image])))  # type: ignore[misc]
                whole.append(timed(lambda content=content: send(client, content)))  # type: ignore[misc]
    w, m = statistics.median(whole) * 1e3, statistics.median(described) * 1e3
    print(f"search by upload {w:.2f} ms, of which the model {m:.2f} ms: medians of {UPLOADS}")
    bound("share of the model in a search by upload", m / w, least=0.8)


def ask(client: httpx.Client, body: dict[str, str]) -> None:
    client.post("/v1/search", json=body).raise_for_status()


def send(client: httpx.Client, content: bytes) -> None:
    client.post("/v1/search/upload", files={"image": ("a.jpg", content)}).raise_for_status()


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
