"""Access control: keys, origins, limits, security headers, and the command."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.api.middleware.origin import SAFE_METHODS, is_loopback
from lookalike.api.options import Options
from lookalike.api.server import check_host
from lookalike.api.static_pages import inline_scripts
from lookalike.engines.edge.folder import IndexFolder
from lookalike.errors import InputError
from lookalike.index import Index
from tests.support.api_server import options, picture, running, serving

IMAGES = 6

READ, WRITE = "may-read-0123456789", "may-write-ä-0123456789"


@pytest.fixture(scope="module")
def open_client(index: Index, folder: Path) -> Iterator[httpx.Client]:
    with serving(index, options(folder)) as client:
        yield client


@pytest.fixture(scope="module")
def client(index: Index, folder: Path) -> Iterator[httpx.Client]:
    """A client of a service with keys."""
    with serving(index, options(folder, read_key=READ, write_key=WRITE)) as client:
        yield client


def bearer(key: str) -> dict[str, Any]:
    return {"headers": {"authorization": b"Bearer " + key.encode()}}


def routes(client: httpx.Client) -> list[tuple[str, str]]:
    document = client.get("/v1/openapi.json", **bearer(READ)).json()
    return [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path not in ("/healthz", "/readyz")
    ]


# --- keys -----------------------------------------------------------------------------------


def test_no_request_succeeds_without_a_key(client: httpx.Client) -> None:
    every = routes(client)
    assert len(every) > 25
    for method, path in every:
        for headers in ({}, bearer("wrong"), {"headers": {"authorization": "Basic eDp5"}}):
            answer = client.request(method, path, **headers)
            assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized"), path
            assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get("/healthz").is_success


def test_the_read_key_only_reads(client: httpx.Client) -> None:
    write_routes = {
        ("POST", "/v1/images"), ("PUT", "/v1/image"), ("PATCH", "/v1/image"),
        ("DELETE", "/v1/image"), ("POST", "/v1/images/delete"), ("POST", "/v1/duplicates/decide"),
        ("POST", "/v1/jobs"), ("DELETE", "/v1/jobs/one"),
        ("GET", "/v1/migration/report"), ("GET", "/v1/migration/report.html"),
        ("POST", "/v1/migration/cut-over"), ("POST", "/v1/migration/roll-back"),
        ("POST", "/v1/migration/finish"), ("POST", "/v1/migration/cancel"),
    }  # fmt: skip
    for method, path in routes(client):
        answer = client.request(method, path, **bearer(READ))
        assert (answer.status_code == 403) == ((method, path) in write_routes), (method, path)
    assert client.get("/v1/stats", **bearer(READ)).json()["write"] is False


def test_the_write_key_allows_everything(client: httpx.Client) -> None:
    changed = client.patch(
        "/v1/image", params={"id": "1"}, json={"fields": {"price": 1}}, **bearer(WRITE)
    )
    assert changed.is_success
    assert client.get("/v1/stats", headers={b"x-api-key": WRITE.encode()}).json()["write"] is True


def test_the_key_is_checked_before_the_body_is_read(client: httpx.Client) -> None:
    host, port = client.base_url.host, client.base_url.port
    head = "POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"  # fmt: skip  # noqa: E501
    with closing(socket.create_connection((host, port), 5)) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 401")


def test_a_session_cookie_replaces_the_key_in_a_browser(client: httpx.Client) -> None:
    begun = client.post("/v1/session", **bearer(READ))
    cookie = begun.headers["set-cookie"]
    assert begun.status_code == 204
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert READ not in cookie
    session: dict[str, Any] = {"headers": {"cookie": cookie.partition(";")[0]}}
    client.cookies.clear()
    shown = client.get("/v1/image/thumbnail", params={"id": "1"}, **session)
    assert shown.headers["content-type"] == "image/jpeg"
    assert client.delete("/v1/image", params={"id": "1"}, **session).status_code == 403
    assert client.delete("/v1/session", **session).status_code == 204
    client.cookies.clear()
    assert client.get("/v1/stats", **session).status_code == 401


def test_keys_and_queries_are_never_logged(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        client.get("/v1/image", params={"id": "private words"}, **bearer(READ))
        client.get("/v1/stats", **bearer("wrong-key-0123"))
    printed = "".join(capfd.readouterr())
    # The test's own client logs its requests.
    records = [record for record in caplog.records if not record.name.startswith("http")]
    for line in [printed, *(record.getMessage() for record in records)]:
        for secret in (READ, WRITE, "wrong-key-0123", "private"):
            assert secret not in line


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])  # noqa: S104
def test_other_hosts_require_a_key(host: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LOOKALIKE_WRITE_KEY"):
        check_host(host, Options(tmp_path))
    check_host(host, Options(tmp_path, write_key=WRITE))
    assert is_loopback("127.0.0.1")
    assert not is_loopback(host)


# --- origins --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_names_that_resolve_to_this_machine_are_refused(
    open_client: httpx.Client, host: str
) -> None:
    answer = open_client.get("/v1/stats", headers={"host": host})
    assert answer.status_code in (400, 403)
    for loopback in ("localhost:1", "127.0.0.1", "[::1]:8765"):
        assert open_client.get("/v1/stats", headers={"host": loopback}).is_success


def test_pages_of_other_origins_cannot_change_anything(open_client: httpx.Client) -> None:
    for origin in ("https://evil.example", "null", "http://localhost"):
        for method, path in (("DELETE", "/v1/image?id=1"), ("POST", "/v1/images/delete")):
            assert method not in SAFE_METHODS
            answer = open_client.request(method, path, headers={"origin": origin})
            assert (answer.status_code, answer.json()["error"]) == (403, "Forbidden")
    same = str(open_client.base_url).rstrip("/")
    answer = open_client.post("/v1/search", json={"id": "1"}, headers={"origin": same})
    assert answer.is_success


def test_other_origins_cannot_read_unless_allowed(
    open_client: httpx.Client, index: Index, folder: Path
) -> None:
    shop = {"origin": "https://shop.example"}
    assert "access-control-allow-origin" not in open_client.get("/v1/stats", headers=shop).headers
    with serving(index, options(folder, cors=("https://shop.example",))) as client:
        preflight = {"access-control-request-method": "POST", **shop}
        allowed = client.options("/v1/search", headers=preflight)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        assert client.post("/v1/search", json={"id": "1"}, headers=shop).is_success
        evil = client.get("/v1/stats", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in evil.headers


# --- limits ---------------------------------------------------------------------------------


def test_oversized_bodies_are_refused(index: Index, folder: Path) -> None:
    with serving(index, options(folder, max_upload_bytes=3_000_000)) as client:
        declared = client.post("/v1/uploads", files={"image": ("a.png", b"x" * 4_000_000)})
        assert (declared.status_code, declared.json()["error"]) == (413, "BodyTooLarge")

        def undeclared() -> Iterator[bytes]:
            for _ in range(80):
                yield b" " * 50_000

        answer = client.post("/v1/search", content=undeclared(), headers={"content-type": "application/json"})  # fmt: skip  # noqa: E501
        assert (answer.status_code, answer.json()["error"]) == (413, "BodyTooLarge")
        assert client.get("/v1/stats").is_success


def test_a_slow_sender_is_cut_off(index: Index, folder: Path) -> None:
    with serving(index, options(folder, receive_timeout=0.5)) as client:
        host, port = client.base_url.host, client.base_url.port
        head = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\nContent-Type: application/json\r\n\r\n{"  # fmt: skip  # noqa: E501
        started = time.monotonic()
        with closing(socket.create_connection((host, port), 5)) as connection:
            connection.sendall(head)
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"RequestTimeout" in answer
        assert time.monotonic() - started < 3


def test_too_many_requests_at_once_are_refused(index: Index, folder: Path) -> None:
    with ExitStack() as stack:
        client = stack.enter_context(
            serving(index, options(folder, max_image_requests=2, max_requests=4))
        )
        host, port = client.base_url.host, client.base_url.port
        head = b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"  # fmt: skip  # noqa: E501
        connections = [
            stack.enter_context(closing(socket.create_connection((host, port)))) for _ in range(2)
        ]
        for connection in connections:
            connection.sendall(head)
        time.sleep(0.3)
        busy = client.post("/v1/uploads", files={"image": ("a.png", picture(1))})
        assert (busy.status_code, busy.json()["error"]) == (503, "TooBusy")
        assert int(busy.headers["retry-after"]) > 0
        assert client.post("/v1/search", json={"id": "1"}).is_success
        assert "lookalike_refused_total 1.0" in client.get("/metrics").text
        for connection in connections:  # a client that disconnects makes room
            connection.close()
        deadline = time.monotonic() + 5
        while client.post("/v1/uploads", files={"image": ("a.png", picture(1))}).status_code != 201:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_one_client_cannot_take_all_the_capacity(index: Index, folder: Path) -> None:
    with ExitStack() as stack:
        client = stack.enter_context(serving(index, options(folder, max_image_requests=4)))
        address = client.base_url.host, client.base_url.port
        head = b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"  # fmt: skip  # noqa: E501
        for _ in range(3):
            stack.enter_context(closing(socket.create_connection(address))).sendall(head)
        time.sleep(0.3)
        files = {"image": ("a.png", picture(1))}
        busy = client.post("/v1/uploads", files=files)
        assert (busy.status_code, busy.json()["error"]) == (429, "TooManyRequests")
        assert int(busy.headers["retry-after"]) > 0
        assert client.post("/v1/search", json={"id": "1"}).is_success
        elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(base_url=client.base_url, transport=elsewhere) as other:
            assert other.post("/v1/uploads", files=files).status_code == 201


def test_a_write_waits_for_another_but_not_forever(index: Index, folder: Path) -> None:
    with (
        running(index, options(folder, write_timeout=0.2)) as (app, url),
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        write_lock = app.state.service.write_lock
        set_to = {"fields": {"price": 3}}
        with write_lock:
            busy = client.patch("/v1/image", params={"id": "1"}, json=set_to)
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
            assert client.post("/v1/search", json={"id": "1"}).is_success
        assert client.patch("/v1/image", params={"id": "1"}, json=set_to).is_success


@pytest.mark.parametrize("head", [b"", b"GET /healthz HT"])
def test_a_connection_without_a_whole_request_is_closed(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    """Guards the internals of uvicorn that the timeout relies on."""
    monkeypatch.setattr("lookalike.api.protocol.IDLE_SECONDS", 0.3)
    with serving(index, options(folder)) as client:
        address = client.base_url.host, client.base_url.port
        with closing(socket.create_connection(address, 10)) as connection:
            connection.sendall(head)
            assert connection.recv(100) == b""
        with closing(socket.create_connection(address, 10)) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + head)
            response = b"".join(iter(lambda: connection.recv(4096), b""))
            assert response.startswith(b"HTTP/1.1 200")
            assert response.endswith(b"}")


def test_a_malformed_request_gets_a_problem(open_client: httpx.Client) -> None:
    address = open_client.base_url.host, open_client.base_url.port
    for sent in (b"HELLO\r\n\r\n", b"GET /" + b"a" * 2**16):
        with closing(socket.create_connection(address, 5)) as connection:
            connection.sendall(sent)
            answer = b""
            with suppress(ConnectionResetError):  # it does not read what follows
                while data := connection.recv(4096):
                    answer += data
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"urn:lookalike:error:MalformedRequest" in answer


def test_a_response_that_takes_too_long_is_abandoned(index: Index, folder: Path) -> None:
    slow = options(folder, receive_timeout=2.0, response_timeout=0.1, write_timeout=20)
    with running(index, slow) as (app, url), httpx.Client(base_url=url, timeout=30) as client:
        started = time.monotonic()
        with app.state.service.write_lock:
            late = client.patch("/v1/image", params={"id": "1"}, json={"fields": {"price": 4}})
            assert (late.status_code, late.json()["error"]) == (503, "TooBusy")
            assert time.monotonic() - started < 10
            assert client.get("/v1/image", params={"id": "1"}).is_success


def test_a_client_that_disconnects_does_no_harm(open_client: httpx.Client) -> None:
    host, port = open_client.base_url.host, open_client.base_url.port
    for sent in (b"", b"POST /v1/search HT", b"\x00\xff\r\n\r\n", b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"):  # fmt: skip  # noqa: E501
        with closing(socket.create_connection((host, port), 5)) as connection:
            connection.sendall(sent)
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


def test_the_policy_of_a_page_allows_its_own_scripts(page: httpx.Client) -> None:
    answer = page.get("/")
    assert "hello" in answer.text
    (digest,) = inline_scripts(PAGE.encode())
    policy = answer.headers["content-security-policy"]
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "unsafe" not in policy.partition("script-src")[2].partition(";")[0]
    assert answer.headers["cache-control"] == "no-cache"
    assert "copies" in page.get("/duplicates").text
    missing = page.get("/nothing")
    assert (missing.status_code, "nothing here" in missing.text) == (404, True)
    assert "content-security-policy" in missing.headers


def test_hashed_files_are_immutable_and_compressed(page: httpx.Client) -> None:
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


def test_without_an_export_the_api_works(index: Index, folder: Path, tmp_path: Path) -> None:
    """Guards the internals of Starlette that this relies on."""
    with serving(index, options(folder, pages=tmp_path / "none")) as client:
        assert client.get("/").status_code == 404
        assert client.get("/v1/stats").is_success


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%00"]
)
def test_no_file_outside_the_export_is_served(page: httpx.Client, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_every_response_carries_security_headers(open_client: httpx.Client) -> None:
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
def test_serve_prints_its_url_and_stops_on_a_signal(stop: signal.Signals, tmp_path: Path) -> None:
    Index.open(tmp_path / "index", model="built-in").close()
    environment = {**os.environ, "LOOKALIKE_READ_KEY": READ, "LOOKALIKE_WRITE_KEY": WRITE}
    with serve("--index", str(tmp_path / "index"), env=environment) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        url = re.fullmatch(r"lookalike: (http://127\.0\.0\.1:\d+)\n", line)
        assert url, line + process.stderr.read()
        assert httpx.get(f"{url[1]}/v1/stats").status_code == 401
        assert httpx.get(f"{url[1]}/v1/stats", **bearer(READ)).is_success
        process.send_signal(stop)
        out, err = process.communicate(timeout=10)
        assert process.returncode == 0, err
        assert (out, err) == ("", "")
    Index.open(tmp_path / "index").close()  # the lock was released


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_keys_stay_in_the_process_that_checks_them(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    Index.open(folder, model="built-in").close()
    environment = {**os.environ, "LOOKALIKE_READ_KEY": READ, "QDRANT_API_KEY": "of-qdrant-0123"}
    keys = [READ, WRITE, "of-qdrant-0123"]
    with serve("--index", str(folder), "--write-key", WRITE, env=environment) as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        files = {"image": ("a.png", picture(1))}
        assert httpx.post(f"{url}/v1/uploads", files=files, **bearer(WRITE)).status_code == 201
        children = children_of(process.pid)
        assert len(children) >= 2  # the engine and a decoder
        shown = [(folder / "owner.json").read_text()]
        for child in children:
            shown += [Path(f"/proc/{child}/{name}").read_text() for name in ("cmdline", "environ")]
        shown.append(str(IndexFolder(folder).describe_owner()))
        process.terminate()
        _, err = process.communicate(timeout=10)
    for text in (*shown, err):
        assert not [key for key in keys if key in text], text


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_serve_reports_errors_in_one_sentence(tmp_path: Path) -> None:
    index = ["--index", str(tmp_path / "index")]
    for wrong, remedy in (
        (["--host", "0.0.0.0"], "LOOKALIKE_WRITE_KEY"),  # noqa: S104
        (["--root", str(tmp_path / "nothing")], "--root"),
    ):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE")}
        out, err = serve(*index, *wrong, env=environment).communicate(timeout=60)
        assert remedy in err
        assert err.count("\n") == 1
        assert out == ""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        Index.open(tmp_path / "index", model="built-in").close()
        _, err = serve(*index, "--port", str(port)).communicate(timeout=60)
        assert f"Cannot serve on 127.0.0.1:{port}" in err
