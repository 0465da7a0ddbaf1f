"""Who may do what, from where, and how much of it."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.api.app import Options
from lookalike.api.middleware.auth import SAFE
from lookalike.api.middleware.origin import is_loopback
from lookalike.api.server import check_host
from lookalike.api.service import WriteLock
from lookalike.api.static_pages import inline_scripts
from lookalike.errors import InputError
from lookalike.index import Index
from tests.support.api_server import options, picture, running, serving, small_index

READ, WRITE = "may-look-0123456789", "may-write-ä-0123456789"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("security")


@pytest.fixture(scope="module")
def index(folder: Path) -> Iterator[Index]:
    with small_index(folder, 6) as index:
        yield index


@pytest.fixture(scope="module")
def open_client(index: Index, folder: Path) -> Iterator[httpx.Client]:
    with serving(index, options(folder)) as client:
        yield client


@pytest.fixture(scope="module")
def client(index: Index, folder: Path) -> Iterator[httpx.Client]:
    """Of a service with keys."""
    with serving(index, options(folder, read_key=READ, write_key=WRITE)) as client:
        yield client


def bearer(key: str) -> dict[str, Any]:
    return {"headers": {"authorization": b"Bearer " + key.encode()}}


def calls(client: httpx.Client) -> list[tuple[str, str]]:
    document = client.get("/v1/openapi.json", **bearer(READ)).json()
    return [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path not in ("/healthz", "/readyz")
    ]


# --- keys -----------------------------------------------------------------------------------


def test_no_call_goes_through_without_a_key(client: httpx.Client) -> None:
    every = calls(client)
    assert len(every) > 25
    for method, path in every:
        for given in ({}, bearer("wrong"), {"headers": {"authorization": "Basic eDp5"}}):
            answer = client.request(method, path, **given)
            assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized"), path
            assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get("/healthz").is_success


def test_the_read_key_reads_and_no_more(client: httpx.Client) -> None:
    writing = {
        ("POST", "/v1/images"), ("PUT", "/v1/image"), ("PATCH", "/v1/image"),
        ("DELETE", "/v1/image"), ("POST", "/v1/images/delete"), ("POST", "/v1/duplicates/decide"),
        ("POST", "/v1/jobs"), ("DELETE", "/v1/jobs/one"),
    }  # fmt: skip
    for method, path in calls(client):
        answer = client.request(method, path, **bearer(READ))
        assert (answer.status_code == 403) == ((method, path) in writing), (method, path)
    assert client.get("/v1/stats", **bearer(READ)).json()["write"] is False


def test_the_write_key_does_everything(client: httpx.Client) -> None:
    changed = client.patch(
        "/v1/image", params={"id": "1"}, json={"fields": {"price": 1}}, **bearer(WRITE)
    )
    assert changed.is_success
    assert client.get("/v1/stats", headers={b"x-api-key": WRITE.encode()}).json()["write"] is True


def test_a_key_is_asked_for_before_a_body_is_read(client: httpx.Client) -> None:
    host, port = client.base_url.host, client.base_url.port
    head = "POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"  # fmt: skip  # noqa: E501
    with closing(socket.create_connection((host, port), 5)) as line:
        line.sendall(head.encode())
        assert line.recv(100).startswith(b"HTTP/1.1 401")


def test_a_session_stands_for_the_key_in_a_browser(client: httpx.Client) -> None:
    begun = client.post("/v1/session", **bearer(READ))
    cookie = begun.headers["set-cookie"]
    assert begun.status_code == 204
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert READ not in cookie
    own: dict[str, Any] = {"headers": {"cookie": cookie.partition(";")[0]}}
    client.cookies.clear()
    shown = client.get("/v1/image/thumbnail", params={"id": "1"}, **own)
    assert shown.headers["content-type"] == "image/jpeg"
    assert client.delete("/v1/image", params={"id": "1"}, **own).status_code == 403
    assert client.delete("/v1/session", **own).status_code == 204
    client.cookies.clear()
    assert client.get("/v1/stats", **own).status_code == 401


def test_a_key_is_never_written_down(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        client.get("/v1/image", params={"id": "private words"}, **bearer(READ))
        client.get("/v1/stats", **bearer("wrong-key-0123"))
    printed = "".join(capfd.readouterr())
    own = [record for record in caplog.records if not record.name.startswith("http")]
    for line in [printed, *(record.getMessage() for record in own)]:
        for secret in (READ, WRITE, "wrong-key-0123", "private"):
            assert secret not in line


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])  # noqa: S104
def test_it_serves_elsewhere_only_with_a_key(host: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LOOKALIKE_WRITE_KEY"):
        check_host(host, Options(tmp_path))
    check_host(host, Options(tmp_path, write_key=WRITE))
    assert is_loopback("127.0.0.1")
    assert not is_loopback(host)


# --- where a request comes from -------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_names_that_only_point_here_are_refused(open_client: httpx.Client, host: str) -> None:
    answer = open_client.get("/v1/stats", headers={"host": host})
    assert answer.status_code in (400, 403)
    for own in ("localhost:1", "127.0.0.1", "[::1]:8765"):
        assert open_client.get("/v1/stats", headers={"host": own}).is_success


def test_foreign_pages_change_nothing(open_client: httpx.Client) -> None:
    for origin in ("https://evil.example", "null", "http://localhost"):
        for method, path in (("DELETE", "/v1/image?id=1"), ("POST", "/v1/images/delete")):
            assert method not in SAFE
            answer = open_client.request(method, path, headers={"origin": origin})
            assert (answer.status_code, answer.json()["error"]) == (403, "Forbidden")
    own = str(open_client.base_url).rstrip("/")
    answer = open_client.post("/v1/search", json={"id": "1"}, headers={"origin": own})
    assert answer.is_success


def test_other_origins_read_nothing_unless_named(
    open_client: httpx.Client, index: Index, folder: Path
) -> None:
    shop = {"origin": "https://shop.example"}
    assert "access-control-allow-origin" not in open_client.get("/v1/stats", headers=shop).headers
    with serving(index, options(folder, cors=("https://shop.example",))) as client:
        asked = {"access-control-request-method": "POST", **shop}
        allowed = client.options("/v1/search", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        assert client.post("/v1/search", json={"id": "1"}, headers=shop).is_success
        evil = client.get("/v1/stats", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in evil.headers


# --- limits ---------------------------------------------------------------------------------


def test_bodies_that_are_too_large(index: Index, folder: Path) -> None:
    with serving(index, options(folder, upload_bytes=3_000_000)) as client:
        said = client.post("/v1/uploads", files={"image": ("a.png", b"x" * 4_000_000)})
        assert (said.status_code, said.json()["error"]) == (413, "BodyTooLarge")

        def unsaid() -> Iterator[bytes]:
            for _ in range(80):
                yield b" " * 50_000

        answer = client.post("/v1/search", content=unsaid(), headers={"content-type": "application/json"})  # fmt: skip  # noqa: E501
        assert (answer.status_code, answer.json()["error"]) == (413, "BodyTooLarge")
        assert client.get("/v1/stats").is_success


def test_who_sends_slowly_is_cut_off(index: Index, folder: Path) -> None:
    with serving(index, options(folder, receive_seconds=0.5)) as client:
        host, port = client.base_url.host, client.base_url.port
        head = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\nContent-Type: application/json\r\n\r\n{"  # fmt: skip  # noqa: E501
        started = time.monotonic()
        with closing(socket.create_connection((host, port), 5)) as line:
            line.sendall(head)
            answer = b"".join(iter(lambda: line.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"RequestTimeout" in answer
        assert time.monotonic() - started < 3


def test_too_many_at_once_are_told_to_come_again(index: Index, folder: Path) -> None:
    with ExitStack() as stack:
        client = stack.enter_context(serving(index, options(folder, images=2, requests=4)))
        host, port = client.base_url.host, client.base_url.port
        head = b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"  # fmt: skip  # noqa: E501
        lines = [stack.enter_context(closing(socket.create_connection((host, port)))) for _ in "12"]
        for line in lines:
            line.sendall(head)
        time.sleep(0.3)
        busy = client.post("/v1/uploads", files={"image": ("a.png", picture(1))})
        assert (busy.status_code, busy.json()["error"]) == (503, "TooBusy")
        assert int(busy.headers["retry-after"]) > 0
        assert client.post("/v1/search", json={"id": "1"}).is_success
        assert "lookalike_refused_total 1.0" in client.get("/metrics").text
        for line in lines:  # clients that go away make room
            line.close()
        deadline = time.monotonic() + 5
        while client.post("/v1/uploads", files={"image": ("a.png", picture(1))}).status_code != 201:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_one_client_leaves_something_for_the_others(index: Index, folder: Path) -> None:
    with ExitStack() as stack:
        client = stack.enter_context(serving(index, options(folder, images=4)))
        at = client.base_url.host, client.base_url.port
        head = b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"  # fmt: skip  # noqa: E501
        for _ in range(3):
            stack.enter_context(closing(socket.create_connection(at))).sendall(head)
        time.sleep(0.3)
        files = {"image": ("a.png", picture(1))}
        busy = client.post("/v1/uploads", files=files)
        assert (busy.status_code, busy.json()["error"]) == (429, "TooManyRequests")
        assert int(busy.headers["retry-after"]) > 0
        assert client.post("/v1/search", json={"id": "1"}).is_success
        elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(base_url=client.base_url, transport=elsewhere) as other:
            assert other.post("/v1/uploads", files=files).status_code == 201


def test_a_change_waits_its_turn_and_not_for_ever(index: Index, folder: Path) -> None:
    with (
        running(index, options(folder, turn_seconds=0.2)) as (app, at),
        httpx.Client(base_url=at, timeout=30) as client,
    ):
        turns = app.state.service.turns
        set_to = {"fields": {"price": 3}}
        with turns.turn():
            busy = client.patch("/v1/image", params={"id": "1"}, json=set_to)
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
            assert client.post("/v1/search", json={"id": "1"}).is_success
        assert client.patch("/v1/image", params={"id": "1"}, json=set_to).is_success


def test_what_is_no_request_gets_a_problem_too(open_client: httpx.Client) -> None:
    at = open_client.base_url.host, open_client.base_url.port
    for sent in (b"HELLO\r\n\r\n", b"GET /" + b"a" * 2**16):
        with closing(socket.create_connection(at, 5)) as line:
            line.sendall(sent)
            answer = b"".join(iter(lambda: line.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"urn:lookalike:error:NoRequest" in answer


def test_what_takes_too_long_is_given_up(index: Index, folder: Path) -> None:
    own = options(folder, receive_seconds=2.0, answer_seconds=0.1, turn_seconds=20)
    with running(index, own) as (app, at), httpx.Client(base_url=at, timeout=30) as client:
        started = time.monotonic()
        with app.state.service.turns.turn():
            late = client.patch("/v1/image", params={"id": "1"}, json={"fields": {"price": 4}})
            assert (late.status_code, late.json()["error"]) == (503, "TooBusy")
            assert time.monotonic() - started < 10
            assert client.get("/v1/image", params={"id": "1"}).is_success


def test_a_client_that_goes_away_is_no_loss(open_client: httpx.Client) -> None:
    host, port = open_client.base_url.host, open_client.base_url.port
    for sent in (b"", b"POST /v1/search HT", b"\x00\xff\r\n\r\n", b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"):  # fmt: skip  # noqa: E501
        with closing(socket.create_connection((host, port), 5)) as line:
            line.sendall(sent)
    assert open_client.post("/v1/search", json={"id": "1"}).is_success


# --- pages ----------------------------------------------------------------------------------

PAGE = "<html><script>let a = 1</script><script src='/_next/static/a.js'></script><p>hello</p>"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    (tmp_path / "_next" / "static").mkdir(parents=True)
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "duplicates.html").write_text(PAGE.replace("hello", "copies"))
    (tmp_path / "404.html").write_text("<p>nothing here</p>")
    (tmp_path / "_next" / "static" / "a.js").write_text("let b = 2")
    (tmp_path / "_next" / "static" / "a.js.br").write_bytes(b"brotli")
    (tmp_path / "_next" / "static" / "a.js.gz").write_bytes(b"gzip")
    (tmp_path.parent / "secret.txt").write_text("secret")
    return tmp_path


@pytest.fixture
def page(export: Path, index: Index, folder: Path) -> Iterator[httpx.Client]:
    with serving(index, options(folder, pages=export)) as client:
        yield client


def test_pages_have_a_policy_that_lets_their_own_scripts_run(page: httpx.Client) -> None:
    answer = page.get("/")
    assert "hello" in answer.text
    (own,) = inline_scripts(PAGE.encode())
    policy = answer.headers["content-security-policy"]
    assert f"script-src 'self' 'sha256-{own}';" in policy
    assert "unsafe" not in policy.partition("script-src")[2].partition(";")[0]
    assert answer.headers["cache-control"] == "no-cache"
    assert "copies" in page.get("/duplicates").text
    missing = page.get("/nothing")
    assert (missing.status_code, "nothing here" in missing.text) == (404, True)
    assert "content-security-policy" in missing.headers


def test_hashed_files_are_kept_for_ever_and_sent_compressed(page: httpx.Client) -> None:
    path = "/_next/static/a.js"
    plain = page.get(path, headers={"accept-encoding": "identity"})
    assert plain.text == "let b = 2"
    assert "immutable" in plain.headers["cache-control"]
    with page.stream("GET", path, headers={"accept-encoding": "gzip, br"}) as answer:
        assert b"".join(answer.iter_raw()) == b"brotli"
        assert answer.headers["content-encoding"] == "br"
        assert answer.headers["content-type"].startswith("text/javascript")
    with page.stream("GET", path, headers={"accept-encoding": "gzip, br;q=0"}) as answer:
        assert b"".join(answer.iter_raw()) == b"gzip"
    again = page.get(path, headers={"if-none-match": plain.headers["etag"], "accept-encoding": ""})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%00"]
)
def test_no_page_lies_outside_the_export(page: httpx.Client, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_every_answer_carries_security_headers(open_client: httpx.Client) -> None:
    for path in ("/v1/stats", "/v1/nothing", "/healthz", "/v1/image/thumbnail?id=1", "/"):
        headers = open_client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers


# --- the command ----------------------------------------------------------------------------


def serve(*arguments: str, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lookalike", "serve", "--port", "0", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_where_and_stops_when_told(stop: signal.Signals, tmp_path: Path) -> None:
    Index.open(tmp_path / "index", model="built-in").close()
    own = {**os.environ, "LOOKALIKE_READ_KEY": READ, "LOOKALIKE_WRITE_KEY": WRITE}
    with serve("--index", str(tmp_path / "index"), env=own) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        found = re.fullmatch(r"lookalike: (http://127\.0\.0\.1:\d+)\n", line)
        assert found, line + process.stderr.read()
        assert httpx.get(f"{found[1]}/v1/stats").status_code == 401
        assert httpx.get(f"{found[1]}/v1/stats", **bearer(READ)).is_success
        process.send_signal(stop)
        out, err = process.communicate(timeout=10)
        assert process.returncode == 0, err
        assert (out, err) == ("", "")
    Index.open(tmp_path / "index").close()  # nobody holds it any more


def test_serve_refuses_in_one_sentence(tmp_path: Path) -> None:
    where = ["--index", str(tmp_path / "index")]
    for wrong, said in (
        (["--host", "0.0.0.0"], "LOOKALIKE_READ_KEY"),  # noqa: S104
        (["--root", str(tmp_path / "nothing")], "--root"),
    ):
        own = {k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE")}
        out, err = serve(*where, *wrong, env=own).communicate(timeout=60)
        assert said in err
        assert err.count("\n") == 1
        assert out == ""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        Index.open(tmp_path / "index", model="built-in").close()
        _, err = serve(*where, "--port", str(port)).communicate(timeout=60)
        assert f"127.0.0.1:{port} cannot be served on" in err


def test_threads_take_turns() -> None:
    turns, order = WriteLock(5), list[str]()

    def short() -> None:
        with turns.turn():
            order.append("short")

    with turns.turn(patient=True):
        other = threading.Thread(target=short)
        other.start()
        while not turns._waiting:
            time.sleep(0.001)
        turns.give_way()
        order.append("long")
    other.join()
    assert order == ["short", "long"]
