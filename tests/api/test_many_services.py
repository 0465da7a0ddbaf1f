"""Services on one collection of a server, behind a load balancer that sends each request to another
one of them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from lookalike.api import following
from lookalike.api.stores import query_images
from lookalike.api.stores.uploads import UploadStore
from lookalike.index import Index
from lookalike.ingest.uploads import Upload
from tests.api.test_jobs import finished, start
from tests.support.api_server import options, picture, serving
from tests.support.many_services import balanced, two_services
from tests.support.pictures import folder_of
from tests.support.qdrant_wire import Fault, RestServer, Store

READ, WRITE = "may-read-0123456789", "may-write-0123456789"


@pytest.fixture(scope="module")
def held() -> Store:
    """What the server holds."""
    return Store()


@pytest.fixture(scope="module")
def server(held: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestServer]:
    """A server with an index of eight images."""
    with closing(RestServer(held)) as server:
        with Index.open(server.url, model="built-in", threads=1) as index:
            index.add(folder_of(tmp_path_factory.mktemp("photos"), 8))
        yield server


@pytest.fixture(scope="module")
def urls(server: RestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with two_services(server.url, tmp_path_factory.mktemp("services")) as urls:
        yield list(urls)


@pytest.fixture
def client(urls: list[str]) -> Iterator[httpx.Client]:
    with balanced(urls) as client:
        yield client


def noise(side: int) -> bytes:
    """An image file that takes several records."""
    pixels = np.random.default_rng(side).integers(0, 255, (side, side, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    return file.getvalue()


def test_a_query_image_is_there_for_every_service(client: httpx.Client) -> None:
    for data in (picture(1), noise(1_400)):
        sent = client.post("/v1/uploads", files={"image": ("a.png", data)})
        token = sent.json()["upload"]
        for _ in range(2):
            assert client.post("/v1/search", json={"upload": token}).json()["hits"]
            thumbnail = client.get("/v1/uploads/thumbnail", params={"upload": token})
            assert thumbnail.headers["content-type"] == "image/jpeg"
            answer = client.post("/v1/duplicates/check", json={"upload": token})
            assert answer.is_success


def test_query_images_are_dropped_beyond_the_limit_and_when_out_of_use(
    server: RestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"query_image_bytes": 200_000}
    with two_services(server.url, tmp_path, **limits) as urls, balanced(urls) as client:

        def send(seed: int) -> str:
            files = {"image": ("a.bmp", picture(seed, "BMP"))}
            return str(client.post("/v1/uploads", files=files).json()["upload"])

        def has(token: str) -> bool:
            return client.post("/v1/search", json={"upload": token}).is_success

        tokens = [send(seed) for seed in range(20, 30)]
        assert not has(tokens[0])
        assert has(tokens[-2])
        assert has(tokens[-1])
        monkeypatch.setattr(query_images, "UNUSED", 0)
        send(31)
        assert not has(tokens[-1])


def test_a_session_holds_in_every_service_and_ends_in_every_one(
    server: RestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "POLL_SECONDS", 0.1)
    keys = {"read_key": READ, "write_key": WRITE}
    with two_services(server.url, tmp_path, **keys) as urls, balanced(urls) as client:
        cookies = []
        for key in (READ, WRITE):
            answer = client.post("/v1/session", headers={"authorization": f"Bearer {key}"})
            cookies.append({"cookie": answer.headers["set-cookie"].partition(";")[0]})
            client.cookies.clear()
        for cookie, writes in zip(cookies, (False, True), strict=True):
            for _ in range(2):
                assert client.get("/v1/stats", headers=cookie).json()["write"] is writes
        reader, writer = cookies
        assert client.delete("/v1/session", headers=reader).status_code == 204
        time.sleep(0.5)
        for _ in range(2):
            assert client.get("/v1/stats", headers=reader).status_code == 401
            assert client.get("/v1/stats", headers=writer).is_success


def test_an_image_added_by_one_service_is_shown_changed_and_removed_by_the_other(
    client: httpx.Client,
) -> None:
    added = client.post("/v1/images", files={"files": ("new.png", picture(500))}).json()
    (id,) = added["ids"]
    for _ in range(2):
        assert client.get("/v1/image/file", params={"id": id}).is_success
        assert client.post("/v1/search", json={"id": id}).is_success
    again = client.post("/v1/images", files={"files": ("new.png", picture(500))}).json()
    assert (again["added"], again["ids"]) == (0, [id])
    assert client.delete("/v1/image", params={"id": id}).json() == {"deleted": 1}
    assert client.get("/v1/image", params={"id": id}).status_code == 404


@pytest.mark.parametrize("same", [False, True])
def test_two_services_decide_on_an_image_at_once(held: Store, urls: list[str], same: bool) -> None:
    with httpx.Client(base_url=urls[0], timeout=30) as one, httpx.Client(base_url=urls[1]) as other:
        first, second, third = (hit["id"] for hit in one.get("/v1/images").json()["images"][:3])

        def decide(client: httpx.Client, ids: list[str], decision: str | None) -> httpx.Response:
            return client.post("/v1/duplicates/decide", json={"ids": ids, "decision": decision})

        def decided() -> dict[str, int]:
            record = one.get("/v1/image", params={"id": first}).json()["payload"]["image"]
            return {name: len(record.get(name, [])) for name in ("keep_all", "not_duplicates")}

        held.faults.append(Fault(seconds=0.4, on="batch"))  # has the later one be first
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(decide, one, [first, second], "keep_all")
            while held.faults:
                time.sleep(0.01)
            pair = [first, second if same else third]
            assert decide(other, pair, "not_duplicates").is_success
            answer = slow.result()
        if same:
            assert (answer.status_code, answer.json()["error"]) == (409, "Conflict")
            assert "at the same time: look at them again" in answer.json()["detail"]
            assert decided() == {"keep_all": 0, "not_duplicates": 1}
        else:
            assert answer.is_success
            assert decided() == {"keep_all": 1, "not_duplicates": 1}
        assert decide(other, [first, second, third], None).is_success
        assert decided() == {"keep_all": 0, "not_duplicates": 0}


QUERIES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/images", {"where": "FIELD > 3"}),
    ("/v1/images", {"sort": "-FIELD"}),
    ("/v1/facets", {"field": "FIELD"}),
    ("/v1/histogram", {"field": "FIELD"}),
    ("/v1/search", {"id": "new 0", "where": "FIELD > 3"}),
    ("/v1/where", {"conditions": ["FIELD > 3"]}),
]


@pytest.mark.parametrize(("path", "query"), QUERIES, ids=[f"{a} {b}" for a, b in QUERIES])
def test_a_field_made_through_one_service_is_known_to_the_other_at_once(
    urls: list[str], path: str, query: dict[str, Any]
) -> None:
    one, other = (httpx.Client(base_url=url) for url in urls)
    field = f"field_{QUERIES.index((path, query))}"
    with one, other:
        files = [("files", (f"{n}.png", picture(700 + n))) for n in range(2)]
        items = json.dumps([{"id": f"new {n}", "fields": {field: n + 3}} for n in (0, 1)])
        assert one.post("/v1/images", files=files, data={"items": items}).is_success
        asked = json.loads(json.dumps(query).replace("FIELD", field))
        if path in ("/v1/search", "/v1/where"):
            answer = other.post(path, json=asked)
        else:
            answer = other.get(path, params=asked)
        assert answer.is_success, answer.text
        assert field in other.get("/v1/stats").json()["fields"]
        one.post("/v1/images/delete", json={"ids": ["new 0", "new 1"]})


def test_a_file_survives_another_service_s_removal_of_the_same(
    server: RestServer, tmp_path: Path
) -> None:
    """Removes the last image with a file at each moment of another service's adding one."""
    data = picture(501)
    store = UploadStore(tmp_path / "uploads")
    with Index.open(server.url, model="built-in", threads=1) as index:

        def removal(moment: str) -> bool:
            path = store.put(data)
            if moment == "before":
                store.release([path], index)
            index.put([Upload(data, path, "x")])
            store.restore(path, data)
            if moment == "after":
                store.release([path], index)
            return Path(path).read_bytes() == data

        def removal_between() -> bool:
            """The image comes when the file has been renamed already."""
            path = store.put(data)
            count, counts = index.count, iter([0])

            def add_then_count(where: str) -> int:
                if next(counts, None) is None:
                    index.put([Upload(data, path, "x")])
                    store.restore(path, data)
                return 0 if not index.get_many("x") else count(where)

            index.count = add_then_count  # type: ignore[method-assign,assignment]
            store.release([path], index)
            index.count = count  # type: ignore[method-assign]
            return Path(path).read_bytes() == data

        for moment in ("before", "after"):
            assert removal(moment)
            index.delete("x")
        assert removal_between()
        path = next((tmp_path / "uploads").glob("*/*"))
        index.delete("x")
        store.release([str(path)], index)
        assert not list((tmp_path / "uploads").glob("*/*"))


def test_duplicates_decisions_and_their_undo_are_the_same_in_every_service(
    client: httpx.Client, urls: list[str]
) -> None:
    names = [(f"{pair} {format}", picture(600 + pair, format))
             for pair in range(4) for format in ("BMP", "PNG")]  # fmt: skip
    added = client.post(
        "/v1/images",
        files=[("files", (name, data)) for name, data in names],
        data={"items": json.dumps([{"id": name} for name, _ in names])},
    )
    assert added.json()["added"] == 8
    report = finished(client, start(client, kind="duplicates"))["report"]
    assert report["groups"] == 4
    one, other = (httpx.Client(base_url=url) for url in urls)

    def listed(service: httpx.Client, **page: int) -> list[str]:
        document = service.get("/v1/duplicates", params=page).json()
        assert document["job"]["state"] == "done"
        return [group["keeper"] for group in document["groups"]]

    def decide(service: httpx.Client, keeper: str, decision: str | None) -> None:
        pair = [name for name, _ in names if name[0] == keeper[0]]
        body = {"ids": pair, "decision": decision}
        assert service.post("/v1/duplicates/decide", json=body).json() == {}

    with one, other:
        keepers = listed(one)
        assert len(keepers) == 4
        assert listed(other) == keepers
        decide(one, keepers[1], "not_duplicates")
        left = [keepers[0], *keepers[2:]]
        # The one that has not decided pages by what the other has set aside.
        assert listed(one) == left
        assert [listed(other, offset=at, limit=1) for at in range(4)] == [
            *([keeper] for keeper in left), []
        ]  # fmt: skip
        assert other.get("/v1/duplicates").json()["total"] == 3
        decide(other, keepers[1], None)
        assert listed(one) == listed(other) == keepers
        other.delete("/v1/image", params={"id": keepers[0]}).raise_for_status()
        assert listed(other) == listed(one) == keepers[1:]
    client.post("/v1/images/delete", json={"ids": [name for name, _ in names]})


def test_a_key_that_permits_no_second_collection_leaves_the_state_with_the_service(
    server: RestServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    with closing(RestServer(store)) as server, Index.open(server.url, model="built-in") as index:
        store.denied = "catalog__state"
        with caplog.at_level(logging.WARNING), serving(index, options(tmp_path)) as client:
            sent = client.post("/v1/uploads", files={"image": ("a.png", picture(1))})
            assert sent.status_code == 201
        assert "this service's own" in caplog.text
        assert (tmp_path / "state.sqlite").exists()
