"""The overhead of the HTTP service for a search by id, and for a search by upload.

The index is opened as `lookalike serve` opens it. The client is the standard library's, on a
connection that stays open, and requests are prepared in advance, so that the cost of an HTTP
library does not count as the service's.

The bound for uploads applies to CLIP: here a network of its size with random weights, or CLIP
itself with `--model-dir`. The stand-in, a tenth of that size, shows the overhead of the service and
has no bound.
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
from lookalike.descriptors.loader import ModelChoice, load_semantic
from lookalike.imaging.decode import decode

QUERIES = 400
UPLOADS = 60
FORM = "multipart/form-data; boundary=part"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model-dir", type=Path, help="folder of weights for uploads, such as CLIP's"
    )
    arguments = parser.parse_args()
    standin = need_data() / "standin-clip"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        by_id(folder / "synthetic")
        by_upload(folder / "standin", standin)
        model_dir = arguments.model_dir or write(folder / "model", standin)
        bound(
            "share of the model in a search by upload",
            by_upload(folder / "clip-sized", model_dir),
            least=0.8,
        )
    finish()


def by_id(folder: Path) -> None:
    """Searches alternately within the process and over a port."""
    with Index.open(folder / "index", model="built-in", subprocess=True) as index:
        fill(index)
        with client(index, folder) as send:
            direct, served = [], []
            for i in range(0, 2 * QUERIES, 2):  # different images: repeated ones are faster
                direct.append(timed(partial(index.search, id=str(i % POINTS))))
                body = json.dumps({"id": str((i + 1) % POINTS)}).encode()
                served.append(timed(partial(send, "/v1/search", "application/json", body)))
    d, s = statistics.median(direct) * 1e3, statistics.median(served) * 1e3
    print(f"Index.search {d:.2f} ms, over HTTP {s:.2f} ms: medians of {QUERIES}, alternating")
    bound("added to a search by id, ms", s - d, most=4.0)


def by_upload(folder: Path, model_dir: Path) -> float:
    """Returns the share of a search by upload that the model takes."""
    photos = sorted((need_data() / "photos").rglob("*.jpg"))[: UPLOADS + 200]
    folder.mkdir()
    with Index.open(folder / "index", model_dir=model_dir, subprocess=True) as index:
        index.add(*map(str, photos[UPLOADS:]))
        model = load_semantic(ModelChoice(None, model_dir, folder, None))
        with client(index, folder) as send:
            whole, described = [], []
            for photo in photos[:UPLOADS]:
                content = photo.read_bytes()
                image = decode(content, side=model.side)
                described.append(timed(partial(model.describe, [image])))
                whole.append(timed(partial(send, "/v1/search/upload", FORM, form(content))))
    w, m = statistics.median(whole) * 1e3, statistics.median(described) * 1e3
    print(
        f"search by upload {w:.2f} ms, of which the {folder.name} model {m:.2f} ms, {m / w:.2f}: "
        f"medians of {UPLOADS}"
    )
    return m / w


@contextmanager
def client(index: Index, folder: Path) -> Iterator[Callable[[str, str, bytes], None]]:
    """Serves an index; yields a function that posts a body to a path and reads the response."""
    with (
        running(index, options(folder)) as (_, url),
        closing(HTTPConnection(urlsplit(url).netloc)) as connection,
    ):

        def send(path: str, kind: str, body: bytes) -> None:
            connection.request("POST", path, body, {"Content-Type": kind})
            response = connection.getresponse()
            response.read()
            assert response.status == 200, response.reason

        yield send


def form(content: bytes) -> bytes:
    """Returns a multipart body with an image."""
    head = 'Content-Disposition: form-data; name="image"; filename="a.jpg"'
    return b"--part\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n--part--\r\n"


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
