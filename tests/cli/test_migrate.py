"""The commands `migrate …`, run from a shell: to their end, killed, and beside a service."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from lookalike.index import Index
from tests.support.api_server import options, serving
from tests.support.command_line import documents, error, lookalike
from tests.support.onnx_models import write_preprocessing, write_vision
from tests.support.pictures import folder_of

COUNT = 60
ANY_SPEED = "p95=1000"
"""The machine of the tests is busy."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "other"
    write_preprocessing(folder)
    write_vision(folder / "model.onnx")
    return f"onnx:{folder}"


@pytest.fixture
def address(tmp_path: Path) -> Path:
    folder_of(tmp_path / "photos", COUNT)
    lookalike("index", tmp_path / "photos", "--index", tmp_path / "index", "--model", "built-in")
    return tmp_path / "index"


@pytest.mark.slow
def test_a_migration_from_start_to_finish(address: Path, model: str) -> None:
    at = "--index", address
    assert documents("migrate", "status", *at) is None
    error("migrate", "cut-over", *at, code=2)
    begun = documents("migrate", "start", "--model", model, *at)
    assert (begun["filled"], begun["lacking"], begun["phase"]) == (COUNT, 0, "ready")
    assert "lookalike-small-1 → onnx:other, ready" in lookalike("migrate", "status", *at).stdout
    assert "label precision" not in lookalike("migrate", "report", *at).stdout
    refused = lookalike(
        "migrate", "cut-over", "--require", f"overlap=1,{ANY_SPEED}", *at, code=1
    ).stdout
    assert "FAILED" in refused
    assert "the old model goes on to serve" in refused
    assert documents("migrate", "cut-over", "--require", ANY_SPEED, *at)["done"]
    serving = [one for one in documents("stats", *at)["vectors"].values() if one["aspect"]]
    assert "onnx:other" in [one["model"] for one in serving]
    lookalike("migrate", "roll-back", *at)
    error("migrate", "roll-back", *at, code=2)
    lookalike("migrate", "cut-over", "--require", ANY_SPEED, *at)
    lookalike("migrate", "finish", *at)
    assert documents("migrate", "status", *at) is None
    assert documents("verify", *at)["problems"] == []


def test_pictures_that_are_gone_end_with_code_1(address: Path, model: str) -> None:
    (address.parent / "photos" / "007.jpg").unlink()
    begun = lookalike("migrate", "start", "--model", model, "--index", address, code=1)
    assert "1 of them without its vector" in begun.stdout
    assert "007.jpg" in begun.stderr


@pytest.mark.slow
def test_kills_lose_nothing(address: Path, model: str) -> None:
    """A migration that is killed at random moments ends like one that was left alone."""
    at, draw = ("--index", address), random.Random(5)
    images = {str(path) for path in (address.parent / "photos").iterdir()}
    started = time.monotonic()
    lookalike("migrate", "start", "--model", model, *at)
    whole = time.monotonic() - started
    lookalike("migrate", "cancel", *at)
    for _ in range(20):
        arguments = ["migrate", "start", "--model", model, "--index", str(address)]
        process = subprocess.Popen(
            [sys.executable, "-m", "lookalike", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(draw.uniform(0.1, 1) * whole)
        process.kill()
        process.wait()
        assert documents("verify", *at)["problems"] == []
        found = documents("search", "--id", sorted(images)[draw.randrange(COUNT)], *at)
        assert len(found["hits"]) == 10
    ended = documents("migrate", "start", "--model", model, *at)
    assert (ended["lacking"], ended["phase"]) == (0, "ready")
    with Index.open(address, create=False) as index:
        points = list(index.scroll(vectors=True))
        name = index._manifest.migration.target.name  # type: ignore[union-attr]
        assert {point.id for point in points} == images
        (vector,) = index._models.descriptor(name).describe([index.decode(points[0].id)]).vectors
        assert vector @ points[0].vectors[name] == pytest.approx(1, abs=1e-3)
    assert len([one for one in address.iterdir() if one.name.startswith("shard")]) == 1


@pytest.mark.slow
def test_a_service_answers_all_the_while(tmp_path: Path, model: str) -> None:
    photos = folder_of(tmp_path / "photos", 400)
    folder, at = tmp_path / "index", ("--index", tmp_path / "index")
    with (
        Index.open(folder, model="built-in", subprocess=True) as index,
        serving(index, options(tmp_path)) as client,
    ):
        index.add(photos)
        ids = [str(path) for path in sorted(photos.iterdir())]
        slowest, stop = [0.0], threading.Event()
        failures: list[str] = []

        def search() -> None:
            number = 0
            with httpx.Client(base_url=client.base_url, headers=client.headers) as own:
                while not stop.is_set():
                    number += 1
                    body = {"id": ids[number % len(ids)], "limit": 5}
                    started = time.monotonic()
                    response = own.post("/v1/search", json=body, timeout=30)
                    slowest[0] = max(slowest[0], time.monotonic() - started)
                    if response.status_code != 200 or len(response.json()["hits"]) != 5:
                        failures.append(response.text)

        thread = threading.Thread(target=search)
        thread.start()
        try:
            lookalike("migrate", "start", "--model", model, *at)
            new = ("files", ("new.jpg", (photos / "003.jpg").read_bytes()))
            items = json.dumps([{"id": "new"}])
            uploaded = client.post("/v1/images", files=[new], data={"items": items})
            assert uploaded.json()["added"] == 1
            over = "cut-over", "--require", ANY_SPEED
            for step in (over, ("roll-back",), over, ("finish",)):
                lookalike("migrate", *step, *at)
        finally:
            stop.set()
            thread.join()
        assert failures == []
        assert slowest[0] < 2
        assert index.migration() is None
        assert index.count() == 401
        assert client.post("/v1/search", json={"id": "new", "limit": 1}).json()["hits"]
