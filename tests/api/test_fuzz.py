"""The service against its own OpenAPI document: nothing that this allows makes it fail."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import httpx
import pytest

from tests.support.api_server import options, running, small_index

SECONDS = 40
SCHEMATHESIS = Path(sysconfig.get_path("scripts")) / "schemathesis"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,unsupported_method,missing_required_header"
)
CONFIG = """
[[operations]]
include-path = "/v1/jobs/events"
enabled = false  # it ends when the job does

[[operations]]
include-path = "/v1/session"
enabled = false  # its cookie goes on into other calls
"""


@pytest.mark.slow
def test_nothing_that_the_document_allows_makes_it_fail(tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    with (
        small_index(tmp_path) as index,
        running(index, options(tmp_path, turn_seconds=2.0)) as (_, at),
    ):
        command = [
            str(SCHEMATHESIS), "--config-file", str(config), "run", f"{at}/v1/openapi.json",
            "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "5",
            "--seed", "7", "--request-timeout", "20", "--generation-database", "none",
            "--suppress-health-check", "all", "--no-color",
        ]  # fmt: skip
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=10 * SECONDS, cwd=tmp_path
        )
        assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
        assert httpx.post(f"{at}/v1/search", json={"color": "red"}).is_success


def test_the_document_is_whole(tmp_path: Path) -> None:
    with small_index(tmp_path, 2) as index, running(index, options(tmp_path)) as (_, at):
        document = httpx.get(f"{at}/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    calls = [call for methods in document["paths"].values() for call in methods.values()]
    assert len(calls) > 25
    for call in calls:
        assert call["summary"]
        assert call["description"]
        assert call["tags"]
        assert {"403"} <= set(call["responses"])
        for status, response in call["responses"].items():
            if int(status) >= 400 and status != "503":
                assert "application/problem+json" in response["content"], (call["summary"], status)
    for part in ("Problem", "Search", "HitsAnswer", "JobAnswer"):
        assert part in document["components"]["schemas"]
