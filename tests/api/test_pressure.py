"""The service under pressure: writers that wait, new fields, clients that do not read."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from lookalike.api import protocol
from lookalike.api.auth import ROLE, Role
from lookalike.api.metrics import Metrics
from lookalike.api.middleware.admission import ROLE_SHARES, AdmissionMiddleware
from lookalike.api.service import MAX_WAITING_WRITERS
from lookalike.api.shutdown import Shutdown
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
        assert meanwhile >= 3  # in one go there would be one


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


# --- clients that do not read ---------------------------------------------------------------


def ask(address: tuple[str, int], times: int, buffer: int = 4096) -> socket.socket:
    """Sends requests for a large document, on a connection with a small buffer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(30)
    connection.connect(address)
    connection.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * times)
    return connection


def test_a_connection_that_is_not_read_is_closed(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = 100  # more than the buffers of the system hold
    monkeypatch.setattr(protocol, "READ_SECONDS", 0.5)
    with running(index, options(folder)) as (app, url):
        address = httpx.URL(url).host, httpx.URL(url).port or 0
        document = len(httpx.get(f"{url}/v1/openapi.json", timeout=30).content)
        kept = [ask(address, times) for _ in range(3)]
        time.sleep(3)
        for connection in kept:
            with connection:
                received = 0
                with suppress(ConnectionResetError):
                    while data := connection.recv(2**16):
                        received += len(data)
            assert received < times * document
        assert app.state.service.metrics.in_flight._value.get() == 0
        assert httpx.get(f"{url}/healthz").is_success


def test_a_slow_reader_gets_everything(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "READ_SECONDS", 0.5)
    times = 60
    with running(index, options(folder)) as (_, url):
        address = httpx.URL(url).host, httpx.URL(url).port or 0
        document = len(httpx.get(f"{url}/v1/openapi.json", timeout=30).content)
        with ask(address, times, buffer=2**17) as connection:
            received = 0
            while received < times * document:
                data = connection.recv(2**16)
                assert data, received
                received += len(data)
                time.sleep(0.02)


# --- callers without a key ------------------------------------------------------------------

READ, WRITE = "may-read-0123456789", "may-write-0123456789"
UPLOAD_HEAD = b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\nContent-Type: multipart/form-data; boundary=x\r\n"  # fmt: skip  # noqa: E501


def test_readers_who_send_slowly_leave_room_for_writers(index: Index, folder: Path) -> None:
    limited = options(folder, read_key=READ, write_key=WRITE, max_requests=8, max_image_requests=8)
    with running(index, limited) as (app, url), ExitStack() as stack:
        address = httpx.URL(url).host, httpx.URL(url).port or 0
        count = math.ceil(ROLE_SHARES[Role.READER] * 8)
        for n in range(count):
            source = (f"127.0.0.{n + 2}", 0)
            slow = stack.enter_context(socket.create_connection(address, 10, source))
            slow.sendall(UPLOAD_HEAD + f"X-API-Key: {READ}\r\n\r\n".encode())
        until = time.monotonic() + 10
        while app.state.service.metrics.in_flight._value.get() < count:
            assert time.monotonic() < until
            time.sleep(0.01)
        for key, status in ((READ, 503), (WRITE, 200)):
            headers = {"X-API-Key": key}
            assert httpx.get(f"{url}/v1/stats", headers=headers, timeout=30).status_code == status


@pytest.mark.parametrize("role", [Role.NOBODY, Role.READER, Role.WRITER])
def test_a_role_leaves_room_for_those_above_it(folder: Path, role: Role) -> None:
    limits = options(folder, max_requests=16)
    statuses: list[int] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1)
        await Response(status_code=200)(scope, receive, send)

    async def run() -> None:
        middleware = AdmissionMiddleware(
            slow, options=limits, metrics=Metrics(), shutdown=Shutdown()
        )
        callers = [role] * 17 + [one for one in Role if one > role]

        async def request(number: int) -> int:
            scope = {
                "type": "http",
                "path": "/v1/stats",
                "headers": [],
                "client": (str(number), 1),
                "state": {ROLE: callers[number]},
            }
            sent: list[Message] = []

            async def send(message: Message) -> None:
                sent.append(message)

            async def receive() -> Message:
                return {"type": "http.request", "body": b""}

            await middleware(scope, receive, send)
            status: int = sent[0]["status"]
            return status

        statuses.extend(await asyncio.gather(*map(request, range(len(callers)))))

    asyncio.run(run())
    share = math.ceil(ROLE_SHARES[role] * 16)
    assert statuses == [200] * share + [503] * (17 - share) + [200] * (Role.WRITER - role)


def test_connections_without_a_key_make_room_for_new_ones(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 20)
    keyed = options(folder, read_key=READ)
    with running(index, keyed) as (_, url), ExitStack() as stack:
        address = httpx.URL(url).host, httpx.URL(url).port or 0
        holder = stack.enter_context(
            httpx.Client(base_url=url, headers={"X-API-Key": READ}, timeout=30)
        )
        assert holder.get("/v1/stats").is_success
        opened = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(60)]
        opened[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert opened[-1].recv(12) == b"HTTP/1.1 200"
        with suppress(ConnectionResetError):
            assert opened[0].recv(10) == b""
        assert httpx.get(f"{url}/v1/stats", headers={"X-API-Key": READ}, timeout=30).is_success
        pool = holder._transport._pool  # type: ignore[attr-defined]
        before = pool.connections[0]
        assert holder.get("/v1/stats").is_success
        assert pool.connections[0] is before  # its connection was not closed


def test_many_ask_at_once_whether_the_service_is_ready(index: Index, folder: Path) -> None:
    with running(index, options(folder)) as (_, url), ThreadPoolExecutor(30) as threads:
        answers = [threads.submit(httpx.get, f"{url}/readyz", timeout=30) for _ in range(90)]
        assert all(answer.result().json() == {"status": "ok"} for answer in answers)
