"""The service's log of queries: off unless its operator wants it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from lookalike.index import Index
from lookalike.search.query_log import FILE
from tests.support.api_server import options, picture, serving


def search(client: httpx.Client) -> None:
    """Searches in every way: by one id, by one text, and by what is not logged."""
    assert client.post("/v1/search", json={"id": "1", "where": "price < 50"}).is_success
    assert client.post("/v1/search", json={"id": "gone"}).status_code == 404
    assert client.post("/v1/search", json={"text": "dress"}).is_success
    image = {"image": ("secret.png", picture(1))}
    assert client.post("/v1/search/upload", files=image, data={"query": "{}"}).is_success
    assert client.post("/v1/recommend", json={"like": ["2"]}).is_success
    queries = [{"id": "gone"}, {"id": "3"}, {"no": "query"}, {"text": "shoe"}]
    results = client.post("/v1/search/batch", json={"queries": queries}).json()["results"]
    assert ["problem" in result for result in results] == [True, False, True, False]


def test_queries_are_logged_on_demand_alone(index: Index, folder: Path, tmp_path: Path) -> None:
    with serving(index, options(folder, state=tmp_path / "off")) as client:
        search(client)
    assert not (tmp_path / "off" / FILE).exists()
    with serving(index, options(folder, state=tmp_path / "on", log_queries=True)) as client:
        search(client)
        assert client.get(f"/{FILE}").status_code == 404
    lines = (tmp_path / "on" / FILE).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": "1"},
        {"text": "dress"},
        {"id": "3"},
        {"text": "shoe"},
    ]
