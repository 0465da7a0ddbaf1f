"""What the HTTP service adds: to a search by id, and to a search by upload with a model.

The index is opened as `lookalike serve` opens it. The client is the standard library's, on a
connection that stays open, and its requests are made beforehand: what an HTTP library spends on
them is no part of the service.

The bound on uploads is of CLIP, here a network of its size whose weights are drawn, or CLIP itself
with `--model-dir`. The stand-in, a tenth of it, shows how much the service adds and has no bound.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.api_server import options, running

from benchmarks._clip_sized import write
from benchmarks._figures import bound, finish, need_data
from benchmarks.search_overhead import POINTS, fill
from lookalike import Index

QUERIES = 400
UPLOADS = 60
FORM = "multipart/form-data; boundary=part"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, help="uploads with these weights, such as CLIP's")
    given = parser.parse_args()
    standin = need_data() / "standin-clip"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        by_id(folder / "made")
        by_upload(folder / "standin", standin)
        model_dir = given.model_dir or write(folder / "model", standin)
        bound(
            "share of the model in a search by upload",
            by_upload(folder / "clip-sized", model_dir),
            least=0.8,
        )
    finish()


def by_id(folder: Path) -> None:
    """The same searches in turn, in the process and over a port."""
    with Index.open(folder / "index", model="built-in", hosted=True) as index:
        fill(index)
        with client(index, folder) as ask:
            direct, served = [], []
            for i in range(0, 2 * QUERIES, 2):  # other images, as one is found faster again
                direct.append(timed(partial(index.search, id=str(i % POINTS))))
                sent = json.dumps({"id": str((i + 1) % POINTS)}).encode()
                served.append(timed(partial(ask, "/v1/search", "application/json", sent)))
    d, s = statistics.median(direct) * 1e3, statistics.median(served) * 1e3
    print(f"Index.search {d:.2f} ms, over HTTP {s:.2f} ms: medians of {QUERIES}, in turn")
    bound("added to a search by id, ms", s - d, most=4.0)


def by_upload(folder: Path, model_dir: Path) -> float:
    """The share of a search by upload that is describing what was sent."""
    photos = sorted((need_data() / "photos").rglob("*.jpg"))[: UPLOADS + 200]
    folder.mkdir()
    with Index.open(folder / "index", model_dir=model_dir, hosted=True) as index:
        index.add(*map(str, photos[UPLOADS:]))
        model = index._models.descriptor(index._manifest.semantic.name)
        with client(index, folder) as ask:
            whole, described = [], []
            for photo in photos[:UPLOADS]:
                content = photo.read_bytes()
                image = index._decoder.decode(content, side=model.side)
                described.append(timed(partial(model.describe, [image])))
                whole.append(timed(partial(ask, "/v1/search/upload", FORM, form(content))))
    w, m = statistics.median(whole) * 1e3, statistics.median(described) * 1e3
    print(
        f"search by upload {w:.2f} ms, of which the {folder.name} model {m:.2f} ms, {m / w:.2f}: "
        f"medians of {UPLOADS}"
    )
    return m / w


@contextmanager
def client(index: Index, folder: Path) -> Iterator[Callable[[str, str, bytes], None]]:
    """What sends a body of a type to a path of the served index, and reads the answer."""
    with (
        running(index, options(folder)) as (_, at),
        closing(HTTPConnection(urlsplit(at).netloc)) as connection,
    ):

        def ask(path: str, kind: str, body: bytes) -> None:
            connection.request("POST", path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.reason

        yield ask


def form(content: bytes) -> bytes:
    """A multipart body with an image."""
    head = 'Content-Disposition: form-data; name="image"; filename="a.jpg"'
    return b"--part\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n--part--\r\n"


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
