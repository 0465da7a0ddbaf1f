"""The service against its own OpenAPI document: no request that it allows makes it fail."""

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
    "response_schema_conformance,unsupported_method,missing_required_header,"
    "use_after_free,ensure_resource_availability"
)
PHASES = "examples,coverage,fuzzing,stateful"
CONFIG = """
[[operations]]
include-path = "/v1/jobs/events"
enabled = false  # the stream ends with the job

[[operations]]
include-path = "/v1/session"
enabled = false  # its cookie would be sent with other requests
"""


@pytest.mark.slow
def test_no_request_that_the_document_allows_makes_it_fail(tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    with (
        small_index(tmp_path) as index,
        running(index, options(tmp_path, write_timeout=2.0)) as (_, url),
    ):
        command = [
            str(SCHEMATHESIS), "--config-file", str(config), "run", f"{url}/v1/openapi.json",
            "--checks", CHECKS, "--phases", PHASES, "--max-examples", "5",
            "--seed", "7", "--request-timeout", "20", "--generation-database", "none",
            "--suppress-health-check", "all", "--no-color",
        ]  # fmt: skip
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=10 * SECONDS, cwd=tmp_path
        )
        assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
        assert httpx.post(f"{url}/v1/search", json={"color": "red"}).is_success


def test_links_lead_from_one_request_to_the_next(tmp_path: Path) -> None:
    with small_index(tmp_path, 3) as index, running(index, options(tmp_path)) as (_, url):
        document = httpx.get(f"{url}/v1/openapi.json").json()
        operations = {
            operation["operationId"]: (method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }
        links = [
            (name, link)
            for _, _, operation in operations.values()
            for response in operation["responses"].values()
            for name, link in response.get("links", {}).items()
        ]
        assert len(links) > 20
        for name, link in links:
            _, _, target = operations[link["operationId"]]
            assert name == link["operationId"]
            known = {parameter["name"] for parameter in target.get("parameters", ())}
            assert link.get("parameters", {}).keys() <= known
            assert link.keys() & {"parameters", "requestBody"}
        page = httpx.get(f"{url}/v1/images", params={"limit": 2}).json()
        _, path, _ = operations["images_v1_images_get"]
        rest = httpx.get(url + path, params={"cursor": page["cursor"]}).json()
        assert len(rest["images"]) == 1


def test_the_document_is_complete(tmp_path: Path) -> None:
    with small_index(tmp_path, 2) as index, running(index, options(tmp_path)) as (_, url):
        document = httpx.get(f"{url}/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = [
        operation for methods in document["paths"].values() for operation in methods.values()
    ]
    assert len(operations) > 25
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]
        assert {"403"} <= set(operation["responses"])
        for status, response in operation["responses"].items():
            if int(status) >= 400 and status != "503":
                where = (operation["summary"], status)
                assert "application/problem+json" in response["content"], where
    for schema in ("Problem", "Search", "HitsResponse", "JobResponse"):
        assert schema in document["components"]["schemas"]
