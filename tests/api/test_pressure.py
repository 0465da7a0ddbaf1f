"""The service under pressure: writers that wait, new fields, clients that do not read."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from lookalike.api.service import MAX_WAITING_WRITERS
from lookalike.index import Index
from tests.support.api_server import options, picture, running, serving

IMAGES = 6


def set_price(url: str, price: int) -> httpx.Response:
    body = {"fields": {"price": price}}
    return httpx.patch(f"{url}/v1/image", params={"id": "1"}, json=body, timeout=60)


def sent_with_a_picture(client: httpx.Client, way: str, fields: dict[str, int]) -> httpx.Response:
    file = ("a.png", picture(70))
    if way == "put":
        data = {"fields": json.dumps(fields)}
        return client.put("/v1/image", params={"id": "new"}, files={"image": file}, data=data)
    items = json.dumps([{"id": "new", "fields": fields}])
    return client.post("/v1/images", files={"files": file}, data={"items": items})


def test_writers_wait_in_time_and_in_number(index: Index, folder: Path) -> None:
    count = MAX_WAITING_WRITERS + 4
    with (
        running(index, options(folder, write_timeout=3.0)) as (app, url),
        ThreadPoolExecutor(count) as threads,
    ):
        with app.state.service.write_lock:
            waiting = [threads.submit(set_price, url, price) for price in range(count)]
            answer = httpx.post(f"{url}/v1/search", json={"id": "1"}, timeout=30)
            assert answer.is_success
            refused = [one.result() for one in waiting]
        for one in refused:
            assert (one.status_code, one.json()["error"]) == (503, "TooBusy")
            assert one.headers["retry-after"] == "1"
        assert max(one.elapsed.total_seconds() for one in refused) > 2.5
        assert min(one.elapsed.total_seconds() for one in refused) < 2.5
        assert set_price(url, 9).is_success


def test_other_writers_go_first_between_new_fields(index: Index, folder: Path) -> None:
    with running(index, options(folder)) as (_, url), ThreadPoolExecutor(1) as threads:
        started = threading.Event()

        def add_fields() -> httpx.Response:
            started.set()
            fields = {f"field {n}": n for n in range(40)}
            body = {"fields": fields}
            return httpx.patch(f"{url}/v1/image", params={"id": "0"}, json=body, timeout=120)

        adding = threads.submit(add_fields)
        started.wait()
        meanwhile = 0
        while not adding.done():
            assert set_price(url, meanwhile).is_success
            meanwhile += 1
        assert adding.result().json()["payload"]["field 39"] == 39
        assert meanwhile >= 10


@pytest.mark.parametrize("way", ["patch", "put", "post"])
def test_too_many_fields_are_the_mistake_of_the_client(
    index: Index, folder: Path, way: str
) -> None:
    values = {f"{way} {n}": n for n in range(201)}
    with serving(index, options(folder)) as client:
        if way == "patch":
            answer = client.patch("/v1/image", params={"id": "1"}, json={"fields": values})
        else:
            answer = sent_with_a_picture(client, way, values)
        assert (answer.status_code, answer.json()["error"]) == (400, "InputError")
        assert f"no room for the field '{way} " in answer.json()["detail"]
        assert "may have 200" in answer.json()["detail"]
        assert not any(name.startswith(way) for name in client.get("/v1/stats").json()["fields"])
        assert client.get("/v1/image", params={"id": "new"}).status_code == 404


def test_a_field_is_not_made_for_an_unknown_image(index: Index, folder: Path) -> None:
    with serving(index, options(folder)) as client:
        body = {"fields": {"nobody's": 1}}
        answer = client.patch("/v1/image", params={"id": "nobody"}, json=body)
        assert answer.status_code == 404
        assert "nobody's" not in index.fields
