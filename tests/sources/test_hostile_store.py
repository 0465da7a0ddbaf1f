"""Object stores that fail: answers that break off, come late or not at all, and objects that change
while they are indexed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from obstore.store import S3Store

from lookalike.cli.terminal import reports
from lookalike.errors import SourceError
from lookalike.index import Index
from lookalike.sources import _objects, open_sources
from tests.support.faulty_proxy import HOME, Fault, Proxy, faulty_proxy
from tests.support.object_stores import fill, use_store
from tests.support.pictures import folder_of

KEYS = tuple(f"k/{n}.jpg" for n in range(6))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = folder_of(tmp_path_factory.mktemp("pictures"), len(KEYS))
    files = sorted(folder.iterdir())
    return {key: path.read_bytes() for key, path in zip(KEYS, files, strict=True)}


@pytest.fixture(scope="module")
def behind(endpoint: str) -> Iterator[Proxy]:
    with faulty_proxy(endpoint) as proxy:
        yield proxy


@pytest.fixture
def proxy(behind: Proxy, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    use_store(monkeypatch, behind.url)
    behind.faults = {}
    return behind


@pytest.fixture
def shop(proxy: Proxy, pictures: dict[str, bytes]) -> S3Store:
    store = fill(proxy.url, "hostile", pictures)
    proxy.requests.clear()
    return store


def too_busy(times: int = 1_000_000) -> Fault:
    return Fault(times, status=503, code="SlowDown")


@pytest.mark.usefixtures("shop")
def test_a_store_that_falters_is_asked_again(proxy: Proxy, index: Index) -> None:
    proxy.faults = {
        "GET /hostile": Fault(after=1, times=1, cut=300),
        "GET /hostile/k/0.jpg": too_busy(times=2),
        "GET /hostile/k/1.jpg": Fault(times=1, status=500, code="InternalError"),
        "GET /hostile/k/2.jpg": Fault(times=1, cut=700),
        "GET /hostile/k/3.jpg": Fault(times=1, cut=0),
        "GET /hostile/k/4.jpg": Fault(times=1, seconds=1),
    }
    report = index.add("s3://hostile/k/", optimize=False)
    assert (report.added, report.rejects) == (len(KEYS), ())
    assert [proxy.requests[f"GET /hostile/{key}"] for key in KEYS] == [3, 2, 2, 2, 1, 1]


def test_what_a_store_does_not_deliver_is_rejected_and_comes_with_the_next_run(
    shop: S3Store, proxy: Proxy, index: Index, pictures: dict[str, bytes]
) -> None:
    proxy.faults = {
        "GET /hostile/k/0.jpg": Fault(missing=100),
        "GET /hostile/k/1.jpg": too_busy(),
        "GET /hostile/k/2.jpg": Fault(status=403, code="InvalidObjectState"),
        "GET /hostile/k/3.jpg": Fault(change=lambda: shop.delete("k/3.jpg")),
        "GET /hostile/k/4.jpg": Fault(change=lambda: shop.put("k/4.jpg", pictures[KEYS[5]])),
    }
    report = index.add("s3://hostile/k/", optimize=False)
    assert (report.added, report.rejected) == (1, 5)
    changed = "it changed after it was listed: run the same command again"
    details = {one.uri.removeprefix("s3://hostile/"): one.detail for one in report.rejects}
    assert "(503 Service Unavailable: SlowDown): try again later" in details.pop("k/1.jpg")
    assert "access is denied (InvalidObjectState)" in details.pop("k/2.jpg")
    assert details == {"k/0.jpg": changed, "k/3.jpg": "it is gone", "k/4.jpg": changed}
    proxy.faults = {}
    again = index.add("s3://hostile/k/", prune=True, optimize=False)
    assert (again.added, again.unchanged, again.rejected) == (4, 1, 0)
    assert index["s3://hostile/k/4.jpg"].payload["image"]["bytes"] == len(pictures[KEYS[5]])


@pytest.mark.usefixtures("shop")
def test_nothing_is_pruned_where_a_listing_fails(proxy: Proxy, index: Index) -> None:
    index.add("s3://hostile/k/", optimize=False)
    for listings in (1, 2):  # while it is listed, and while it is compared with the index
        proxy.requests.clear()
        denied = Fault(after=listings, status=403, code="AccessDenied")
        proxy.faults = {"GET /hostile": denied, **{f"HEAD /hostile/{key}": denied for key in KEYS}}
        with pytest.raises(SourceError, match="access is denied"):
            index.add("s3://hostile/k/", prune=True, yes=True, optimize=False)
        assert index.count() == len(KEYS)


@pytest.mark.slow  # the pauses
@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("missing", [0, 300])
def test_a_listing_that_breaks_off_again_and_again_ends_the_run(
    missing: int, proxy: Proxy, index: Index
) -> None:
    cut = None if missing else 300
    proxy.faults = {"GET /hostile": Fault(after=1, cut=cut, missing=missing)}
    with pytest.raises(SourceError, match=r"failed \(Generic S3 error.*try again later"):
        index.add("s3://hostile/k/", optimize=False)
    assert proxy.requests["GET /hostile"] == 4


@pytest.mark.usefixtures("shop")
def test_a_clock_that_is_wrong_is_named(proxy: Proxy) -> None:
    proxy.faults = {"GET /hostile": Fault(status=403, code="RequestTimeTooSkewed")}
    with pytest.raises(SourceError) as caught:
        open_sources(["s3://hostile/k/"])
    assert str(caught.value) == (
        f"s3://hostile/k/: the clock of this machine is not that of the store at {proxy.url} "
        "(RequestTimeTooSkewed): set the clock."
    )


@pytest.mark.usefixtures("shop")
def test_a_store_that_is_away_is_not_asked_for_every_object(
    proxy: Proxy, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_objects, "MOST_FAILURES", 2)
    monkeypatch.setattr(_objects.Objects, "readers", 1)
    expired = Fault(status=403, code="ExpiredToken")
    proxy.faults = {f"GET /hostile/{key}": expired for key in KEYS}
    report = index.add("s3://hostile/k/", optimize=False)
    assert report.rejected == len(KEYS)
    details = [one.detail for one in report.rejects]
    assert 2 <= sum("credentials are refused" in detail for detail in details) < len(KEYS)
    assert "is not asked again in this run" in details[-1]
    proxy.faults = {}
    assert index.add("s3://hostile/k/", optimize=False).added == len(KEYS)


@pytest.mark.slow  # 2 minutes, the time until a request is given up
@pytest.mark.usefixtures("shop")
def test_an_object_that_never_comes_holds_up_no_other(proxy: Proxy, index: Index) -> None:
    proxy.faults = {"GET /hostile/k/0.jpg": Fault(seconds=600)}
    report = index.add("s3://hostile/k/", optimize=False)
    assert report.added == len(KEYS) - 1
    assert [one.detail for one in report.rejects] == [
        f"the store at {proxy.url} does not answer: check the network, and the endpoint."
    ]
    assert 100 < report.seconds < 200


EMPTY = 200_000


@contextmanager
def empty_bucket(count: int) -> Iterator[str]:
    """Serves the listing of a bucket of empty objects, which no store is fast enough to be filled
    with; yields its endpoint."""
    entry = (
        "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        '<ETag>"d41d8cd98f00b204e9800998ecf8427e"</ETag><Size>0</Size></Contents>'
    )

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            start = int(query.get("continuation-token", ["0"])[0])
            end = min(start + 1000, count)
            more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < count else ""
            keys = "".join(entry.format(f"k/{number:07}.jpg") for number in range(start, end))
            truncated = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
            page = f"<ListBucketResult>{truncated}{more}{keys}</ListBucketResult>".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOME, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            yield f"http://{HOME}:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.slow
def test_very_many_empty_objects_are_one_reject_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with empty_bucket(EMPTY) as endpoint:
        use_store(monkeypatch, endpoint)
        before = psutil.Process().memory_info().rss
        with Index.open(tmp_path / "index", model="built-in") as index:
            report = index.add("s3://hostile/k/", prune=True)
        grown = psutil.Process().memory_info().rss - before
        assert (report.rejected, report.done) == (EMPTY, EMPTY)
        assert {(one.reason, one.detail) for one in report.rejects} == {
            ("empty", "the object is empty")
        }
        assert grown < 600 * EMPTY + 50 * 2**20  # bytes, for the reasons that are reported
        assert len(list(reports.ingest_lines(report))) < 20
        assert report.images_per_second > 1_000
