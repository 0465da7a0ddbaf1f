"""Several commands at once on one index, and beside a service."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lookalike.index import Index
from tests.support.api_server import options, serving
from tests.support.command_line import lookalike_process
from tests.support.indexes import copied


@pytest.fixture
def index(shop: Path, tmp_path: Path) -> Path:
    return copied(shop / "index", tmp_path / "index")


def search(index: Path, id: str) -> list[str]:
    output = lookalike_process("search", "--id", id, "--index", index, "--json")
    return [hit["id"] for hit in json.loads(output.stdout)["hits"]]


@pytest.mark.slow
def test_four_searches_at_once_all_answer(index: Path) -> None:
    ids = ["sku-1", "sku-2", "sku-3", "sku-4"]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda id: search(index, id), ids))
    assert all(len(hits) == 10 for hits in answers)
    assert answers == [search(index, id) for id in ids]


def test_an_index_is_backed_up_and_verified_while_it_is_served(index: Path, tmp_path: Path) -> None:
    file, state = tmp_path / "shop.backup", tmp_path / "state"
    state.mkdir()
    with (
        Index.open(index, create=False, subprocess=True) as served,
        serving(served, options(state)) as client,
    ):
        done = lookalike_process("backup", file, "--index", index, "--json")
        assert json.loads(done.stdout)["images"] == 16
        client.patch("/v1/image", params={"id": "sku-3"}, json={"fields": {"price": 99.0}})
        lookalike_process("verify", "--index", index)
        lookalike_process("backup", file, "--index", index)  # replaces the first
        assert client.get("/readyz").json() == {"status": "ok"}
        expected = {point.id: point.payload for point in served.scroll()}
    lookalike_process("restore", file, "--index", tmp_path / "restored")
    with Index.open(tmp_path / "restored", create=False) as restored:
        assert {point.id: point.payload for point in restored.scroll()} == expected
    assert expected["sku-3"]["price"] == 99.0


def test_a_service_that_loses_files_is_not_ready(index: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with (
        Index.open(index, create=False, subprocess=True) as served,
        serving(served, options(tmp_path / "state")) as client,
    ):
        assert client.get("/readyz").status_code == 200
        next(index.rglob("payload_storage/page_0.dat")).unlink()
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "page_0.dat is missing or cut short" in answer.json()["status"]
        assert "restore a backup" in answer.json()["status"]
        assert client.get("/v1/stats").json()["problems"]
