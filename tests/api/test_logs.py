"""The log of the service: JSON lines on standard error, without keys, queries and ids."""

from __future__ import annotations

import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

import httpx

from lookalike.api.logs import JsonFormatter
from tests.api.test_shutdown import served
from tests.support.api_server import picture, small_index

KEY = "may-write-0123456789"
QUERY = "kind='something-secret'"


def lines_of(folder: Path, level: str) -> list[dict[str, Any]]:
    """Serves an index, sends some requests, and returns the log."""
    small_index(folder, 3).close()
    keys = ("--read-key", f"r-{KEY}", "--write-key", KEY)
    with served(folder / "index", "--log-level", level, *keys) as (process, url):
        headers = {"X-API-Key": KEY}
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            assert client.get("/v1/images", params={"where": QUERY}).is_success
            own = {"X-Request-ID": "from-the-proxy"}
            found = client.post("/v1/search", json={"id": "1"}, headers=own)
            assert found.headers["x-request-id"] == "from-the-proxy"
            odd = {"X-Request-ID": 'a "quoted" one'}
            assert client.get("/v1/image", params={"id": "?"}, headers=odd).status_code == 404
            image = {"image": ("secret.png", picture(1))}
            assert client.post("/v1/uploads", files=image).status_code == 201
        assert httpx.get(f"{url}/v1/stats", headers={"X-API-Key": "guess"}).status_code == 401
        assert httpx.get(f"{url}/something-secret").status_code == 404
        assert httpx.request("TRY", f"{url}/v1/stats").status_code == 405
        with httpx.Client() as raw:
            assert raw.get(f"{url}/healthz").headers["x-request-id"]
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    for secret in (KEY, "guess", "something-secret", "secret.png", "quoted"):
        assert secret not in log
    return [json.loads(line) for line in log.splitlines()]


def test_every_request_is_logged(tmp_path: Path) -> None:
    lines = [line for line in lines_of(tmp_path, "info") if line["message"] == "request"]
    assert [(line["method"], line["path"], line["status"], line["role"]) for line in lines] == [
        ("GET", "/v1/images", 200, "writer"),
        ("POST", "/v1/search", 200, "writer"),
        ("GET", "/v1/image", 404, "writer"),
        ("POST", "/v1/uploads", 201, "writer"),
        ("GET", "/v1/stats", 401, "nobody"),
        ("GET", "other", 404, "nobody"),
        ("other", "/v1/stats", 405, "nobody"),
        ("GET", "/healthz", 200, None),
    ]
    assert lines[1]["request"] == "from-the-proxy"
    assert len({line["request"] for line in lines}) == len(lines)
    for line in lines:
        assert line["level"] == "info"
        assert line["ms"] >= 0
        assert line["bytes"] > 10
        assert line["time"].endswith("Z")


def test_warnings_alone_are_logged_by_default(tmp_path: Path) -> None:
    assert lines_of(tmp_path, "warning") == []


def test_an_exception_is_one_line() -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "a %s", ("b",), sys.exc_info())
    line = JsonFormatter().format(record)
    assert "\n" not in line
    document = json.loads(line)
    assert (document["level"], document["message"]) == ("error", "a b")
    assert "ZeroDivisionError" in document["traceback"]
