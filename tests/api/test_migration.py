"""Migration of an index over HTTP, while the service searches and takes images."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.api.following import POLL_SECONDS
from lookalike.index import Index
from tests.api.test_jobs import finished, start
from tests.support.api_server import options, picture, serving
from tests.support.onnx_models import write_preprocessing, write_vision
from tests.support.pictures import folder_of

COUNT = 12
ANY_SPEED = {"p95": 1000.0}
"""The machine of the tests is busy."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the service may read, with pictures and a model."""
    root = tmp_path_factory.mktemp("root")
    folder_of(root / "photos", COUNT)
    write_preprocessing(root / "other")
    write_vision(root / "other" / "model.onnx")
    return root


@pytest.fixture
def index(root: Path, tmp_path: Path) -> Iterator[Index]:
    at = tmp_path / "index"
    with Index.open(at, model="built-in", subprocess=True, threads=1) as opened:
        opened.add(root / "photos", optimize=False)
        yield opened


@pytest.fixture
def client(index: Index, root: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(index, options(tmp_path / "state", roots=(root,))) as made:
        yield made


def post(client: httpx.Client, action: str, status: int = 200, **body: Any) -> Any:
    path = f"/v1/migration/{action}"
    answer = client.post(path, json=body) if action == "cut-over" else client.post(path)
    assert answer.status_code == status, answer.text
    return answer.json()


def state(client: httpx.Client) -> Any:
    return client.get("/v1/migration").json()


def first_hits(client: httpx.Client) -> list[str]:
    ids = [image["id"] for image in client.get("/v1/images").json()["images"]]
    found = client.post("/v1/search", json={"id": min(ids), "limit": 5}).json()
    return [hit["id"] for hit in found["hits"]]


@pytest.mark.slow
def test_a_migration_from_start_to_finish(client: httpx.Client) -> None:
    assert state(client) is None
    assert post(client, "roll-back", 400)["error"] == "InputError"
    before = first_hits(client)
    job = finished(client, start(client, kind="migrate", model="onnx:other"))
    assert job["state"] == "done", job
    assert job["report"].items() >= {"filled": COUNT, "lacking": 0, "phase": "ready"}.items()
    under_way = {"phase": "ready", "aspect": "semantic", "images": COUNT, "lacking": 0}
    assert state(client).items() >= under_way.items()
    added = client.post("/v1/images", files=[("files", ("new.png", picture(90), "image/png"))])
    assert added.json()["added"] == 1
    assert state(client)["lacking"] == 0
    report = client.get("/v1/migration/report", params={"queries": 8}).json()
    assert (report["queries"], report["old"]["model"]) == (8, "lookalike-small-1")
    assert {gate["name"] for gate in report["gates"]} == {"filled", "errors", "p95", "precision"}
    page = client.get("/v1/migration/report.html", params={"queries": 8})
    assert page.headers["content-type"].startswith("text/html")
    assert "img-src data:" in page.headers["content-security-policy"]
    assert "onnx:other" in page.text
    refused = post(client, "cut-over", queries=8, require={"overlap": 1.0, **ANY_SPEED})
    assert not refused["done"]
    assert [gate["name"] for gate in refused["gates"] if not gate["passed"]] == ["overlap"]
    assert first_hits(client) == before
    assert post(client, "finish", 400)["error"] == "InputError"
    assert post(client, "cut-over", queries=8, require=ANY_SPEED)["done"]
    assert state(client)["phase"] == "cut over"
    assert post(client, "cancel", 400)["error"] == "InputError"
    assert post(client, "roll-back")["phase"] == "ready"
    assert post(client, "cut-over", queries=8, require=ANY_SPEED)["done"]
    assert finished(client, post(client, "finish", 202)["job"])["state"] == "done"
    assert state(client) is None
    models = {vector["model"] for vector in client.get("/v1/stats").json()["vectors"].values()}
    assert "onnx:other" in models
    assert "lookalike-small-1" not in models


def test_a_migration_is_given_up(client: httpx.Client) -> None:
    assert post(client, "cancel", 400)["error"] == "InputError"
    job = start(client, kind="migrate", model="onnx:other")
    ended = finished(client, post(client, "cancel", 202)["job"])
    assert ended["state"] == "done", ended
    assert finished(client, job)["state"] in {"canceled", "done"}
    assert state(client) is None


def test_what_a_migration_may_read(client: httpx.Client, tmp_path: Path) -> None:
    for request in ({"model": f"onnx:{tmp_path}"}, {"model": "clip", "model_dir": str(tmp_path)}):
        answer = client.post("/v1/jobs", json={"kind": "migrate", **request})
        assert answer.json()["error"] == "Forbidden", answer.text
    answer = client.post("/v1/jobs", json={"kind": "migrate", "model": "onnx:none:int8"})
    assert answer.json()["error"] == "SourceError"
    answer = client.post("/v1/jobs", json={"kind": "migrate", "fetch": True})
    assert answer.json()["error"] == "Forbidden"
    failed = finished(client, start(client, kind="migrate", model="built-in"))
    assert "has lookalike-small-1" in failed["problem"]["detail"]


def test_writing_needs_the_write_key(index: Index, root: Path, tmp_path: Path) -> None:
    keys = {"read_key": "reader-key", "write_key": "writer-key"}
    with serving(index, options(tmp_path / "state", roots=(root,), **keys)) as client:
        client.headers["Authorization"] = "Bearer reader-key"
        assert client.get("/v1/migration").status_code == 200
        for action in ("cut-over", "roll-back", "finish", "cancel"):
            assert client.post(f"/v1/migration/{action}", json={}).status_code == 403
        assert client.get("/v1/migration/report").status_code == 403


@pytest.mark.slow
def test_folders_are_indexed_meanwhile(client: httpx.Client, root: Path) -> None:
    """A migration that takes long keeps no job waiting, and what comes meanwhile is described."""
    many = folder_of(root / "many", 400, first=100)
    assert finished(client, start(client, kind="ingest", path=str(many)), 300)["state"] == "done"
    migration = start(client, kind="migrate", model="onnx:other")
    more = folder_of(root / "more", 40, first=600)
    ingest = finished(client, start(client, kind="ingest", path=str(more)), 120)
    assert ingest["report"]["added"] == 40
    assert finished(client, migration, 300)["state"] == "done"
    assert state(client).items() >= {"phase": "ready", "lacking": 0, "images": COUNT + 440}.items()


@pytest.mark.slow
def test_a_migration_goes_on_after_a_restart(index: Index, root: Path, tmp_path: Path) -> None:
    index.add(folder_of(tmp_path / "many", 300, first=100), optimize=False)
    served = options(tmp_path / "state", roots=(root,))
    with serving(index, served) as client:
        job = start(client, kind="migrate", model="onnx:other")
        while client.get("/v1/jobs/one", params={"job": job}).json()["done"] == 0:
            pass
    with serving(index, served) as client:
        assert finished(client, job, 120)["state"] == "done"
        assert state(client).items() >= {"phase": "ready", "lacking": 0}.items()


@pytest.mark.slow
def test_a_model_is_at_hand_once_another_process_has_made_it_ready(
    client: httpx.Client, index: Index, root: Path
) -> None:
    command = [sys.executable, "-m", "lookalike", "migrate"]
    at = ["--index", index.url, "--json"]
    subprocess.run([*command, "start", "--model", f"onnx:{root / 'other'}", *at], check=True)
    manifest = json.loads((Path(index.url) / "manifest.json").read_text())
    name = manifest["migration"]["target"]["name"]
    assert state(client)["phase"] == "ready"
    until = time.monotonic() + POLL_SECONDS + 10
    while name not in index._models._loaded:
        assert time.monotonic() < until, "the service has not loaded the model"
        time.sleep(0.1)
