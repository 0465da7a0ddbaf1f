"""Jobs that go on until they are canceled: feeds and folders that are read again, and watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.api.jobs import standing
from lookalike.index import Index
from tests.api.test_jobs import document_of, finished, start
from tests.ingest.test_feed import xml_of
from tests.support.api_server import options, serving
from tests.support.pictures import folder_of
from tests.support.web import Page, Site, open_site


@pytest.fixture
def index(opened: Index) -> Index:
    """An empty index."""
    opened.delete([image.id for image in opened.scroll()])
    return opened


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with Index.open(tmp_path_factory.mktemp("index"), model="built-in", threads=1) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A shop with six pictures, and a feed of them."""
    with open_site() as made:
        for file in folder_of(tmp_path / "site", 6).iterdir():
            made.pages[f"/{file.name}"] = Page.tagged(file.read_bytes())
        publish(made, 10.0)
        yield made


def publish(site: Site, price: float, count: int = 6) -> None:
    products = {str(n): (f"{n:03}.jpg", price) for n in range(count)}
    site.pages["/feeds/shop.xml"] = Page(xml_of(site, products))


def until(
    client: httpx.Client, job: str, holds: Callable[[dict[str, Any]], object], seconds: float = 30
) -> dict[str, Any]:
    """The document of a job, once a condition holds."""
    end = time.monotonic() + seconds
    while not holds(document := document_of(client, job)):
        assert time.monotonic() < end, document
        assert document["state"] in ("queued", "running"), document
        time.sleep(0.05)
    return document


def canceled(client: httpx.Client, job: str) -> dict[str, Any]:
    client.delete("/v1/jobs/one", params={"job": job})
    document = finished(client, job)
    assert document["state"] == "canceled"
    return document


def test_a_feed_is_read_again_and_again(
    index: Index, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "RETRY", 0.5)
    feeds = f"{site.url}/feeds"
    settings = options(tmp_path / "state", addresses=(feeds,), private=(site.host,))
    request = {"path": f"{feeds}/shop.xml?token=secret", "fetch": True, "recheck": False}
    with serving(index, settings) as client:
        job = start(client, kind="ingest", every=0.02, **request)
        first = until(client, job, lambda document: document["passes"] and document["next_at"])
        assert len(index) == 6
        assert first["request"]["path"].startswith(f"{feeds}/shop.xml?")
        assert "secret" not in client.get("/v1/jobs").text
        publish(site, 12.5)
        until(client, job, lambda _: index.count("price = 12.5") == 6)
        assert finished(client, start(client, kind="optimize"))["state"] == "done"
        site.pages["/feeds/shop.xml"] = Page(b"<html>down for maintenance</html>")
        broken = until(client, job, lambda document: document["problem"])
        assert broken["state"] == "running"
        assert broken["problem"]["error"] == "MetadataError"
        assert "secret" not in str(broken)
        publish(site, 20.0)
        assert until(client, job, lambda document: document["problem"] is None)
        assert index.count("price = 20") == 6
        document = canceled(client, job)
    assert document["passes"] >= 3
    assert document["next_at"] is None


def test_a_watch_follows_a_folder_and_goes_on_after_a_restart(index: Index, tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "root" / "photos", 4)
    (tmp_path / "root" / "empty").mkdir()
    settings = options(tmp_path / "state", roots=(tmp_path / "root",))
    with serving(index, settings) as client:
        job = start(client, kind="watch", paths=["photos", "empty"], prune=True)
        assert until(client, job, lambda document: document["passes"])["report"]["added"] == 4
        folder_of(photos / "new", 2, first=10)
        until(client, job, lambda _: len(index) == 6)
        (photos / "000.jpg").unlink()
        until(client, job, lambda _: len(index) == 5)
        assert finished(client, start(client, kind="optimize"))["state"] == "done"
        assert document_of(client, job)["state"] == "running"
    folder_of(photos, 1, first=20)  # while nobody watches
    with serving(index, settings) as client:
        until(client, job, lambda _: len(index) == 6)
        folder_of(tmp_path / "root" / "empty", 1, first=30)
        until(client, job, lambda _: len(index) == 7)
        canceled(client, job)
        folder_of(photos, 1, first=40)
        time.sleep(standing.LOOK)
        assert len(index) == 7
        assert client.get("/v1/stats").json()["building"] is False


def test_an_ingest_that_is_repeated_waits_for_its_time_after_a_restart(
    index: Index, tmp_path: Path
) -> None:
    photos = folder_of(tmp_path / "photos", 2)
    settings = options(tmp_path / "state", roots=(photos,))
    with serving(index, settings) as client:
        job = start(client, kind="ingest", path=str(photos), every=60)
        before = until(client, job, lambda document: document["next_at"])
    with serving(index, settings) as client:
        after = until(client, job, lambda document: document["stage"] == "waiting")
        assert after["next_at"] == before["next_at"]
        assert (after["passes"], after["report"]["added"]) == (1, 2)
        canceled(client, job)


def test_what_cannot_work_fails_at_once(index: Index, site: Site, tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 2)
    settings = options(tmp_path / "state", roots=(photos,), addresses=(site.url,))
    with serving(index, settings) as client:
        single = finished(client, start(client, kind="watch", paths=["000.jpg"]))
        assert "is not a folder: watch folders" in single["problem"]["detail"]
        private = {"path": f"{site.url}/feeds/shop.xml", "fetch": True, "every": 60}
        unreachable = finished(client, start(client, kind="ingest", **private))
        assert unreachable["state"] == "failed"
        assert "cannot be downloaded" in unreachable["problem"]["detail"]


def test_only_what_a_root_names_is_watched_and_fetched(index: Index, tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 1)
    addresses = ("https://shop.example/feeds", "s3://shop/a", "https://sqs.example/1/pictures")
    settings = options(tmp_path / "state", roots=(photos,), addresses=addresses)
    feed = {"kind": "ingest", "fetch": True}
    bucket = {"kind": "watch", "paths": ["s3://shop/a/"]}
    bad: list[dict[str, Any]] = [
        {"kind": "watch", "paths": [str(tmp_path)]},
        {"kind": "watch", "paths": [str(photos), "/etc"]},
        {"kind": "watch", "paths": ["s3://shop/b/"]},
        bucket | {"queue": "https://sqs.example/1/others"},
        bucket | {"queue": "http://169.254.169.254/latest"},
        feed | {"path": str(photos)},  # whose metadata could name any host
        *(
            feed | {"path": path}
            for path in (
                "https://shop.example/other.xml", "https://shop.example.evil/feeds/a.xml",
                "https://shop.example/feeds/../a.xml", "https://shop.example/feeds/%2e%2E/a.xml",
                "https://shop.example@evil/feeds/a.xml", "https://evil@shop.example/feeds/a.xml",
                "https://shop.example/feeds/..\\a.xml", "http://shop.example/feeds/a.xml",
                "https://shop.example:444/feeds/a.xml", "https://evil/?https://shop.example/feeds/a",
            )
        ),
    ]  # fmt: skip
    with serving(index, settings) as client:
        for body in bad:
            answer = client.post("/v1/jobs", json=body)
            assert answer.status_code == 403, (body, answer.text)
        for body in (bucket | {"paths": []}, bucket | {"every": 0}, bucket | {"poll": -1}):
            assert client.post("/v1/jobs", json=body).status_code == 422
        assert client.get("/v1/jobs").json()["jobs"] == []
