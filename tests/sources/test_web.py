"""Images on the web: conditional requests, and consideration for hosts."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest

from lookalike.errors import ImageRejected, LookalikeError, Reason
from lookalike.sources.web.fetcher import Fetcher
from lookalike.sources.web.hosts import PARALLEL, Consideration, Hosts
from lookalike.sources.web.source import WebImages
from lookalike.system import patience
from lookalike.types import ANY_ETAG, UNKNOWN_ETAG, DecodeLimits, ImageRef
from tests.support.web import HOME, Page, Site, open_site


class Listed:
    """A list of addresses."""

    name = "/lists/shop.csv"

    def __init__(self, uris: Sequence[str]) -> None:
        self._uris = uris

    def addresses(self) -> Iterator[str]:
        yield from self._uris

    def has_address(self, uri: str) -> bool:
        return uri in self._uris


@pytest.fixture
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


def images(site: Site, *paths: str, **consideration: float) -> WebImages:
    """A source of pages of the site."""
    limits, allowed = DecodeLimits(bytes=100_000), {(HOME, site.port)}
    fetcher = Fetcher(limits, timeout=0.5, allowed=allowed)
    hosts = Hosts(fetcher, Consideration()._replace(**consideration))  # type: ignore[arg-type]
    return WebImages(Listed([site.url + path for path in paths]), hosts)


def only_ref(source: WebImages) -> ImageRef:
    (ref,) = source.refs()
    return ref


def reject(source: WebImages) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        source.read(only_ref(source))
    return caught.value


# --- what has not changed ---------------------------------------------------------------------


@pytest.mark.parametrize("header", ["etag", "modified"])
def test_an_unchanged_file_is_not_sent_again(site: Site, header: str) -> None:
    value = '"v1"' if header == "etag" else formatdate(1_700_000_000, usegmt=True)
    site.pages["/a.jpg"] = Page(b"first", **{header: value})  # type: ignore[arg-type]
    source = images(site, "/a.jpg")
    ref = only_ref(source)
    assert ref.etag == UNKNOWN_ETAG
    first, data = source.read_if_changed(ref, None)
    assert data == b"first"
    assert first.size == 5
    again, data = source.read_if_changed(ref, first)
    assert data is None
    assert again == first
    assert site.sent["/a.jpg"] == 1
    other = '"v2"' if header == "etag" else formatdate(1_700_000_001, usegmt=True)
    site.pages["/a.jpg"] = Page(b"second", **{header: other})  # type: ignore[arg-type]
    changed, data = source.read_if_changed(ref, first)
    assert data == b"second"
    assert changed != first


def test_without_validators_the_content_is_the_etag(site: Site) -> None:
    site.pages["/a.jpg"] = Page(b"first")
    source = images(site, "/a.jpg")
    first, _ = source.read_if_changed(only_ref(source), None)
    again, data = source.read_if_changed(only_ref(source), first)
    assert data == b"first"
    assert again == first
    site.pages["/a.jpg"] = Page(b"second")
    assert source.read_if_changed(only_ref(source), first)[0].etag != first.etag


def test_headers_that_could_not_be_repeated_are_no_etags(site: Site) -> None:
    site.pages["/a.jpg"] = Page(b"a", etag="x" * 5_000, modified="once upon a time")
    source = images(site, "/a.jpg")
    ref, _ = source.read_if_changed(only_ref(source), None)
    assert ref.etag.startswith("sha256:")
    assert ref.modified_at == ""


def test_it_is_a_source(site: Site) -> None:
    site.pages["/a.jpg"] = Page(b"a")
    source = images(site, "/a.jpg", "/b.jpg")
    assert source.root == Listed.name
    assert [ref.uri for ref in source.refs()] == [f"{site.url}/a.jpg", f"{site.url}/b.jpg"]
    assert all(source.has(ref.uri) and source.covers(ref.uri) for ref in source.refs())
    assert not source.covers(f"{site.url}/c.jpg")
    assert source.exists("https://elsewhere.example/a.jpg")
    quiet = WebImages(Listed(["https://a.example/"]), Hosts(Fetcher()), recheck=False)
    assert only_ref(quiet).etag == ANY_ETAG
    elsewhere: WebImages = pickle.loads(pickle.dumps(source))  # noqa: S301
    assert elsewhere.read(ImageRef(f"{site.url}/a.jpg", UNKNOWN_ETAG, 0)) == b"a"


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("/a b.jpg?x=1 2", "/a%20b.jpg?x=1%202"),
        ("/ü|{1}.jpg", "/%C3%BC%7C%7B1%7D.jpg"),
        ("/a%20b.jpg", "/a%20b.jpg"),
    ],
)
def test_addresses_are_encoded_as_browsers_do(site: Site, written: str, asked: str) -> None:
    site.pages[asked.partition("?")[0]] = Page(b"a")
    source = images(site, written)
    assert source.read(only_ref(source)) == b"a"
    assert site.requests == [asked]


# --- connections ------------------------------------------------------------------------------


def test_connections_are_used_again_until_the_host_closes_them(site: Site) -> None:
    site.pages["/a.jpg"] = Page.tagged(b"a")
    site.pages["/last.jpg"] = Page(b"b", headers={"Connection": "close"})
    source = images(site, "/a.jpg", "/last.jpg")
    a, last = source.refs()
    threads = threading.active_count()
    known, _ = source.read_if_changed(a, None)
    for _ in range(5):
        assert source.read_if_changed(a, known)[1] is None
        assert source.read(a) == b"a"
    assert threading.active_count() <= threads + 1  # the server has one for each connection
    assert source.read(last) == b"b"
    assert source.read(a) == b"a"


def test_a_host_gets_four_requests_at_once(site: Site) -> None:
    paths = [f"/{n}.jpg" for n in range(16)]
    site.pages |= {path: Page(path.encode(), seconds=0.02) for path in paths}
    source = images(site, *paths)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(source.read, source.refs())) == [path.encode() for path in paths]
    assert site.most == PARALLEL


# --- refusals and failures --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "reason", "detail"),
    [
        (Page(status=404), Reason.UNREADABLE, "answers 404 instead of an image"),
        (Page(status=500), Reason.UNREADABLE, "answers 500 instead of an image"),
        (Page(), Reason.EMPTY, "no bytes"),
        (Page(b"x" * 100_001), Reason.TOO_LARGE, "100,001 bytes"),
        (Page(b"x", seconds=1), Reason.UNREADABLE, "did not deliver within 0.5 s"),
        (Page(status=302, headers={"Location": "/a.jpg"}), Reason.UNREADABLE, "Too many redirects"),
        (
            Page(status=302, headers={"Location": "http://127.0.0.2/"}),
            Reason.UNREADABLE,
            "not a host on the public internet",
        ),
    ],
)
def test_each_failure_is_a_reject_with_its_reason(
    site: Site, page: Page, reason: Reason, detail: str
) -> None:
    site.pages["/a.jpg"] = page
    error = reject(images(site, "/a.jpg"))
    assert error.reason is reason
    assert detail in error.detail


@pytest.mark.parametrize("uri", ["http://[::1/a.jpg", "http:///a.jpg", "http://a b/", "https://"])
def test_an_invalid_address_is_a_reject(uri: str) -> None:
    source = WebImages(Listed([uri]), Hosts(Fetcher(resolve=lambda _: [])))
    assert reject(source).reason is Reason.UNREADABLE


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", ["seconds", "date", "none"])
def test_a_pause_that_a_host_asks_for_is_made(site: Site, status: int, header: str) -> None:
    times: list[float] = []

    def page(query: str) -> Page:
        times.append(time.monotonic())
        if len(times) > 1:
            return Page(b"a")
        after = {"seconds": "1", "date": formatdate(time.time() + 2, usegmt=True), "none": ""}
        return Page(status=status, headers={"Retry-After": after[header]})

    site.pages["/a.jpg"] = page
    source = images(site, "/a.jpg")
    assert source.read(only_ref(source)) == b"a"
    assert 0.9 <= times[1] - times[0] < 5


def test_a_host_that_asks_for_a_long_pause_is_left_alone(site: Site) -> None:
    site.pages["/a.jpg"] = Page(status=429, headers={"Retry-After": "3600"})
    site.pages["/b.jpg"] = Page(b"b")
    source = images(site, "/a.jpg", "/b.jpg")
    for ref in source.refs():
        with pytest.raises(ImageRejected, match=r"asks for a pause of 3,\d\d\d s; run the same"):
            source.read(ref)
    assert site.requests == ["/a.jpg"]


def test_a_host_that_is_always_too_busy_is_a_reject(site: Site) -> None:
    site.pages["/a.jpg"] = Page(status=503, headers={"Retry-After": "0"})
    assert "answered 503 (too busy) 3 times" in reject(images(site, "/a.jpg", attempts=3)).detail
    assert len(site.requests) == 3


def test_a_host_that_is_away_is_not_asked_again_and_again(site: Site) -> None:
    site.pages |= {f"/{n}.jpg": Page(b"a", seconds=1) for n in range(6)}
    source = images(site, *site.pages, failures=2)
    details = []
    for ref in source.refs():
        with pytest.raises(ImageRejected) as caught:
            source.read(ref)
        details.append(caught.value.detail)
    assert ["did not deliver" in detail for detail in details] == [True] * 2 + [False] * 4
    assert "has failed 2 times in a row" in details[-1]


def test_a_run_that_is_stopped_does_not_wait(site: Site) -> None:
    site.pages["/a.jpg"] = Page(status=429, headers={"Retry-After": "60"})
    source = images(site, "/a.jpg")
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with patience.until(stop.is_set):
            reading = pool.submit(patience.carried(source.read), only_ref(source))
        while not (wait := patience.current_wait()):
            time.sleep(0.01)
        assert wait == f"{HOME} asks for a pause"
        stop.set()
        with pytest.raises(LookalikeError, match="being stopped"):
            reading.result(timeout=5)
