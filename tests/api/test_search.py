"""Searching over HTTP gives the results of the library."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from lookalike.index import Index
from lookalike.output import documents
from tests.support.api_server import options, picture, serving

IMAGES = 24


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["hits"]]


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    del copy["took_ms"], copy["explanation"]["milliseconds"]
    return copy


QUERIES: list[dict[str, Any]] = [
    {"id": "3"},
    {"id": ["3", "4"], "limit": 5, "offset": 2},
    {"color": "red", "limit": 3},
    {"color": {"navy": 0.6, "white": 0.4}},
    {"id": "3", "color": ["red"], "weights": {"semantic": 0.7, "color": 0.3}},
    {"id": "3", "weights": "balanced", "calibration": "none"},
    {"id": "3", "crop": [0.1, 0.1, 0.5, 0.5]},
    {"id": "3", "where": 'price < 100 and kind = "red"'},
    {"id": "3", "diversity": 0.5, "collapse": True, "relevant": True, "exact": True},
]


@pytest.mark.parametrize("query", QUERIES, ids=json.dumps)
def test_a_search_equals_the_library_s(client: httpx.Client, index: Index, query: Any) -> None:
    answer = client.post("/v1/search", json=query)
    assert answer.status_code == 200, answer.text
    assert without_times(answer.json()) == without_times(documents.of_hits(index.search(**query)))


def test_a_qdrant_filter_equals_a_filter_expression(client: httpx.Client) -> None:
    below = {"key": "price", "range": {"lt": 100}}
    theirs = {"must": [below, {"key": "kind", "match": {"value": "red"}}]}
    ours = 'price < 100 and kind = "red"'
    assert ids(client.post("/v1/search", json={"id": "3", "filter": theirs})) == ids(
        client.post("/v1/search", json={"id": "3", "where": ours})
    )


def test_a_search_by_upload_finds_the_image(client: httpx.Client) -> None:
    files = {"image": ("query.png", picture(5))}
    answer = client.post("/v1/search/upload", files=files, data={"query": '{"limit": 2}'})
    assert len(ids(answer)) == 2
    assert ids(answer)[0] == "5"


def test_several_uploads_and_a_blend(client: httpx.Client, index: Index) -> None:
    files = [("image", ("a.png", picture(5))), ("image", ("b.png", picture(6)))]
    query = {"color": "red", "weights": "style"}
    answer = client.post("/v1/search/upload", files=files, data={"query": json.dumps(query)})
    expected = index.search(image=[picture(5), picture(6)], color="red", weights="style")
    assert ids(answer) == [hit.id for hit in expected]


def test_a_stored_upload_can_be_searched_by_again(client: httpx.Client) -> None:
    stored = client.post("/v1/uploads", files={"image": ("q.png", picture(7))})
    assert stored.status_code == 201
    token = stored.json()["upload"]
    assert stored.json() == {"upload": token, "width": 120, "height": 160, "format": "PNG"}
    for query in ({"upload": token}, {"upload": [token], "offset": 0}):
        assert ids(client.post("/v1/search", json=query))[0] == "7"
    liked = client.post("/v1/recommend", json={"like": [f"upload:{token}"], "unlike": ["3"]})
    assert ids(liked)
    small = client.get("/v1/uploads/thumbnail", params={"upload": token, "side": 64})
    with Image.open(BytesIO(small.content)) as image:
        assert (image.format, max(image.size)) == ("JPEG", 64)


def test_the_oldest_uploads_are_dropped_when_space_runs_out(index: Index, tmp_path: Path) -> None:
    with serving(index, options(tmp_path, query_image_bytes=200_000)) as client:
        tokens = [
            client.post("/v1/uploads", files={"image": ("q.bmp", picture(n, "BMP"))}).json()[
                "upload"
            ]
            for n in range(30, 38)
        ]
        statuses = [
            client.get("/v1/uploads/thumbnail", params={"upload": token}).status_code
            for token in tokens
        ]
        assert statuses[0] == 404
        assert statuses[-1] == 200
        assert (tmp_path / "state.sqlite").stat().st_size < 400_000


def test_a_recommendation_equals_the_library_s(client: httpx.Client, index: Index) -> None:
    query: dict[str, Any] = {"like": ["3", "5"], "unlike": ["4"], "strategy": "best", "limit": 4}
    answer = client.post("/v1/recommend", json=query)
    assert ids(answer) == [hit.id for hit in index.recommend(**query)]


def test_a_query_that_fails_does_not_affect_its_batch(client: httpx.Client) -> None:
    queries: list[Any] = [
        {"id": "3", "limit": 2},
        {"id": "nothing"},
        {"like": ["5"], "limit": 1},
        {"upload": "0" * 64},
        {"url": "http://example.org/"},
        {"like": ["/etc/passwd"]},
        {"id": "\ud83d"},
        {"id": "3", "limit": 0},
        {"id": "3", "limit": 10**30},
        {"id": "3", "taste": 1},
        {"color": "red", "where": "kind = '\ud83d'"},
        {"color": {"red": 1e308, "blue": 1e308}},
        5,
        {"id": "3", "offset": 1, "limit": 1},
    ]
    body = json.dumps({"queries": queries})  # ASCII, as the client's own encoder refuses surrogates
    results = client.post(
        "/v1/search/batch", content=body, headers={"Content-Type": "application/json"}
    ).json()["results"]
    assert [result.get("problem", {}).get("error") for result in results] == [
        None, "NotFound", None, "NotFound", "Forbidden", "NotFound", *["InvalidRequest"] * 5, None,
        "InvalidRequest", None,
    ]  # fmt: skip
    assert results[0]["hits"][1]["id"] == results[-1]["hits"][0]["id"]


def test_a_filter_is_read_as_conditions(client: httpx.Client) -> None:
    cheap, red = {"key": "price", "range": {"lt": 50}}, {"key": "kind", "match": {"value": "red"}}
    read = client.post(
        "/v1/where", json={"conditions": ["price<50 and (price = 0 or kind = 'x')", {"must": red}]}
    )
    zero = {"key": "price", "match": {"value": 0}}
    assert read.json() == {
        "where": "price<50 and (price = 0 or kind = 'x') and kind = \"red\"",
        "conditions": [
            {"where": "price<50", "filter": cheap},
            {
                "where": "(price = 0 or kind = 'x')",
                "filter": {"should": [zero, {"key": "kind", "match": {"value": "x"}}]},
            },
            {"where": 'kind = "red"', "filter": red},
        ],
    }
    parts = read.json()["conditions"]
    written = client.post("/v1/where", json={"conditions": [part["filter"] for part in parts]})
    assert written.json()["conditions"][0] == {"where": "price < 50", "filter": cheap}
    assert client.post("/v1/where", json={"conditions": []}).json() == {
        "where": "", "conditions": [],
    }  # fmt: skip


def test_parameters_of_a_filter(client: httpx.Client) -> None:
    query = {"color": "red", "where": "price < :max and kind in :kinds", "limit": 50}
    params = {"max": 50, "kinds": ["red", "it's"]}
    answer = client.post("/v1/search", json={**query, "params": params}).json()
    assert {hit["payload"]["kind"] for hit in answer["hits"]} == {"red"}
    assert max(hit["payload"]["price"] for hit in answer["hits"]) < 50
    refused = client.post("/v1/search", json={**query, "params": {"max": 50}})
    assert (refused.status_code, refused.json()["error"]) == (400, "FilterError")
    assert ":kinds" in refused.json()["detail"]


def test_a_filter_that_cannot_be_read_is_explained(client: httpx.Client) -> None:
    for conditions, says in [
        (["price < 5", "prise < 9"], 'column 1: unknown field "prise"; did you mean "price"'),
        ([{"key": "kind", "match": {"value": 5}}], "kind is a text"),
        ([{"key": "kind", "geo_radius": {}}], "geo_radius"),
    ]:
        answer = client.post("/v1/where", json={"conditions": conditions})
        assert (answer.status_code, answer.json()["error"]) == (400, "FilterError")
        assert says in answer.json()["detail"]


def test_facets_and_histograms(client: httpx.Client) -> None:
    facets = client.get("/v1/facets", params={"field": "kind", "where": "price < 50"}).json()
    assert facets == {
        "field": "kind",
        "values": [{"value": "blue", "count": 3}, {"value": "red", "count": 2}],
    }
    histogram = client.get("/v1/histogram", params={"field": "price", "bins": 3}).json()
    assert (histogram["count"], histogram["low"], histogram["high"]) == (24, 0, 230)
    assert sum(bin["count"] for bin in histogram["bins"]) == 24


ROUTES = ["/v1/facets?field=kind", "/v1/histogram?field=price", "/v1/images?limit=100"]


@pytest.mark.parametrize("route", ROUTES)
def test_values_that_the_filter_of_a_query_string_names(client: httpx.Client, route: str) -> None:
    def ask(where: str, **values: str) -> Any:
        answer = client.get(route, params={**httpx.URL(route).params, "where": where, **values})
        assert answer.status_code == 200, answer.text
        return answer.json()

    given = json.dumps({"max": 50, "kinds": ["red", "O'Neill"]})
    named = ask("price < :max and kind in :kinds", params=given)
    assert named == ask('price < 50 and kind = "red"')
    assert named != ask("price < 50")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("params", "status", "says"),
    [
        ("{", 422, "invalid JSON"),
        ("[" * 15_000, 422, "invalid JSON"),
        ("[50]", 422, "dictionary"),
        ('{"least": 5}', 400, "has no value; there are least"),
        ('{"max": [5]}', 400, "is a list"),
        ('{"max": 5, "other": 1}', 400, "no parameter :other"),
    ],
)
def test_wrong_values_of_a_query_string_are_explained(
    client: httpx.Client, route: str, params: str, status: int, says: str
) -> None:
    query = {**httpx.URL(route).params, "where": "price < :max", "params": params}
    answer = client.get(route, params=query)
    assert answer.status_code == status
    assert says in answer.text


def test_stats_hold_what_the_page_needs(client: httpx.Client, index: Index) -> None:
    stats = client.get("/v1/stats").json()
    assert stats["images"] == len(index)
    assert stats["aspects"] == ["semantic", "color", "texture"]
    assert stats["presets"]["style"] == {"semantic": 0.8, "color": 0.2}
    assert (stats["supports_text"], stats["write"], stats["building"], stats["roots"]) == (
        True, True, False, False,
    )  # fmt: skip
    assert stats["memory"] > 30 * 2**20
    assert stats["thumbnails"] > 0


def test_words_that_the_model_knows(client: httpx.Client) -> None:
    words = client.get("/v1/words", params={"prefix": "dress", "limit": 3}).json()["words"]
    assert 0 < len(words) <= 3
    assert all(
        any(name.startswith("dress") for name in (word["name"], *word["synonyms"]))
        for word in words
    )
    assert client.get("/v1/words", params={"prefix": "zzz"}).json() == {"words": []}


def test_text_where_the_model_supports_it(data: Path, tmp_path: Path) -> None:
    photos = data / "catalog" / "images" / "dress"
    with Index.open(tmp_path / "index", model_dir=data / "standin-clip", threads=1) as index:
        index.add(*[str(file) for file in sorted(photos.iterdir())[:3]])
        with serving(index, options(tmp_path)) as client:
            assert client.get("/v1/stats").json()["supports_text"] is True
            assert len(ids(client.post("/v1/search", json={"text": "a dress"}))) == 3
            blended = {
                "text": "a dress",
                "negative_text": "shoes",
                "color": "red",
                "weights": "style",
            }
            assert len(ids(client.post("/v1/search", json=blended))) == 3


def test_metrics_count_requests_and_stages(client: httpx.Client) -> None:
    client.post("/v1/search", json={"id": "3"})
    client.post("/v1/search", json={"id": "nothing"})
    text = client.get("/metrics").text
    assert 'lookalike_requests_total{method="POST",route="/v1/search",status="200"}' in text
    assert 'lookalike_requests_total{method="POST",route="/v1/search",status="404"}' in text
    for stage in ("read", "targets", "engine", "ranking"):
        assert f'lookalike_stage_seconds_count{{stage="{stage}"}}' in text
    assert "lookalike_images 24.0" in text
