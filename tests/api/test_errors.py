"""Any bad request gets a problem document with the right status, and the service survives it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike import errors
from lookalike.api.problems import STATUSES, problem_of
from lookalike.errors import ImageRejected, LookalikeError, NotFound, Reason
from tests.support.api_server import picture


def raw(client: httpx.Client, body: str | bytes, path: str = "/v1/search") -> httpx.Response:
    return client.post(path, content=body, headers={"content-type": "application/json"})


def assert_problem(response: httpx.Response, status: int, error: str) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["error"]) == (status, error), problem
    assert problem["status"] == status
    assert problem["type"] == f"urn:lookalike:error:{error}"
    assert problem["title"]
    assert problem["detail"].endswith((".", "?", '"'))
    return problem


def test_the_table_has_every_error_of_the_library() -> None:
    classes = {value for _, value in inspect.getmembers(errors, inspect.isclass)}
    assert {value for value in classes if issubclass(value, LookalikeError)} == set(STATUSES)


def test_an_error_of_a_plug_in_counts_as_its_base_class() -> None:
    class Gone(NotFound):
        pass

    assert problem_of(Gone("It is gone."))["status"] == 404
    assert problem_of(Gone("It is gone."))["error"] == "Gone"


def test_a_rejected_image_says_why() -> None:
    rejected = problem_of(ImageRejected(Reason.TRUNCATED, "5 bytes of 9"))
    assert (rejected["status"], rejected["reason"]) == (422, "truncated")
    assert problem_of(ImageRejected(Reason.TOO_LARGE, "9 bytes"))["status"] == 413


def test_an_unexpected_error_reveals_nothing() -> None:
    problem = problem_of(RuntimeError("password 1234"))
    assert problem["status"] == 500
    assert "1234" not in json.dumps(problem)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ('{"id": "1"', 422, "InvalidRequest"),
        ("", 422, "InvalidRequest"),
        ("[]", 422, "InvalidRequest"),
        ('{"id": "1", "nope": 1}', 422, "InvalidRequest"),
        ('{"id": 1}', 422, "InvalidRequest"),
        ('{"id": "1", "limit": "10"}', 422, "InvalidRequest"),
        ('{"id": "1", "limit": true}', 422, "InvalidRequest"),
        ('{"id": "1", "limit": 1001}', 422, "InvalidRequest"),
        ('{"id": "1", "offset": 1e400}', 422, "InvalidRequest"),
        ('{"id": "1", "limit": ' + "9" * 5000 + "}", 400, "InvalidRequest"),
        ('{"id": "1", "diversity": NaN}', 422, "InvalidRequest"),
        ('{"id": "1", "weights": {"semantic": Infinity}}', 422, "InvalidRequest"),
        ('{"id": "\\ud800"}', 422, "InvalidRequest"),
        (b'{"id": "\xff"}', 400, "InvalidRequest"),
        ("[" * 100_000, 400, "InvalidRequest"),
        ('{"id": "\\u0000"}', 404, "NotFound"),
        ('{"id": "../../etc/passwd"}', 404, "NotFound"),
        ("{}", 400, "QueryError"),
        ('{"id": "1", "weights": {"taste": 1}}', 400, "QueryError"),
        ('{"id": "1", "weights": "nice"}', 400, "QueryError"),
        ('{"id": "1", "where": "color <"}', 400, "FilterError"),
        ('{"id": "1", "where": "\\u0001"}', 400, "FilterError"),
        ('{"id": "1", "filter": {"sometimes": []}}', 400, "FilterError"),
        ('{"id": "1", "filter": {"must": [{"key": "\\ud800"}]}}', 400, "FilterError"),
        ('{"id": "1", "where": "price < 9", "filter": {}}', 400, "QueryError"),
        ('{"color": "no such color"}', 400, "QueryError"),
        ('{"text": "a garblefrotz"}', 400, "QueryError"),
        ('{"url": "http://example.org/a.jpg"}', 403, "Forbidden"),
        ('{"upload": "' + "a" * 64 + '"}', 404, "NotFound"),
        ('{"upload": "/etc/passwd"}', 422, "InvalidRequest"),
        ('{"image": "/etc/passwd"}', 422, "InvalidRequest"),
    ],
)
def test_a_bad_search(client: httpx.Client, body: str | bytes, status: int, error: str) -> None:
    assert_problem(raw(client, body), status, error)


def test_invalid_fields_of_a_body_are_listed(client: httpx.Client) -> None:
    problem = assert_problem(
        raw(client, '{"id": "1", "limit": 0, "nope": 1}'), 422, "InvalidRequest"
    )
    assert {field["location"] for field in problem["fields"]} == {"body.limit", "body.nope"}


def test_no_example_becomes_a_path(client: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(picture(3))
    for example in (str(file), f"file://{file}", "/etc/passwd"):
        body = json.dumps({"like": ["1"], "unlike": [example]})
        assert_problem(raw(client, body, "/v1/recommend"), 404, "NotFound")


def test_unknown_query_parameters_are_refused_everywhere(client: httpx.Client) -> None:
    document = client.get("/v1/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            answer = client.request(method.upper(), path, params={"wehre": "price < 1"})
            problem = assert_problem(answer, 422, "InvalidRequest")
            assert [field["location"] for field in problem["fields"]] == ["query.wehre"], path
    answer = client.get("/v1/images", params={"limt": 1})
    assert "it has cursor, limit, offset, params, sort, where" in answer.json()["detail"]


def test_unknown_paths_and_unsupported_methods(client: httpx.Client) -> None:
    assert_problem(client.get("/v1/nothing"), 404, "NotFound")
    for path in ("/v1/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"):  # outside /v1: pages
        assert client.get(path).status_code == 404
    assert_problem(client.put("/v1/search"), 405, "MethodNotAllowed")
    assert_problem(client.get("/v1/facets", params={"field": "taste"}), 400, "QueryError")
    assert_problem(client.get("/v1/facets"), 422, "InvalidRequest")
    assert_problem(client.get("/v1/histogram", params={"field": "kind"}), 400, "QueryError")
    assert_problem(client.get("/v1/image?id=%80"), 404, "NotFound")
    assert_problem(
        client.get("/v1/image/thumbnail", params={"id": "1", "side": 9}), 422, "InvalidRequest"
    )


def test_ten_thousand_facets_and_a_filter_of_ten_thousand_parts(client: httpx.Client) -> None:
    assert client.get("/v1/facets", params={"field": "kind", "limit": 10_000}).is_success
    many = " or ".join(f"price = {n}" for n in range(6_000))
    assert_problem(raw(client, json.dumps({"id": "1", "where": many})), 400, "FilterError")
    listed = {"must": [{"key": "kind", "match": {"any": [str(n) for n in range(20_000)]}}]}
    assert raw(client, json.dumps({"id": "1", "filter": listed})).is_success
    deep = "(" * 20_000 + "price = 1" + ")" * 20_000
    assert_problem(raw(client, json.dumps({"id": "1", "where": deep})), 400, "FilterError")


@pytest.mark.parametrize("depth", [101, 240, 480, 900, 5_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [('{"must": [', "]}"), ("[", "]"), ('{"x":', "}")])
def test_deeply_nested_json_is_the_client_s_mistake(
    client: httpx.Client,
    capfd: pytest.CaptureFixture[str],
    depth: int,
    opening: str,
    closing: str,
) -> None:
    deep = f"{opening * depth}{{}}{closing * depth}"
    for path, body in (
        ("/v1/search", f'{{"id": "1", "filter": {{"must": {deep}}}}}'),
        ("/v1/recommend", f'{{"like": ["1"], "filter": {{"must": {deep}}}}}'),
        ("/v1/where", f'{{"conditions": [{{"must": {deep}}}]}}'),
    ):
        answer = raw(client, body, path)
        assert answer.status_code == (413 if len(body) > 2**21 else 400), (path, answer.text)
        assert len(answer.text) < 1_000
        query = {"query": body}
        answer = client.post("/v1/search/upload", data=query, files={"image": ("a", picture(1))})
        assert answer.status_code in (400, 413, 422), (path, answer.text)
    json_type = {"content-type": "application/json"}
    body = f'{{"fields": {{"price": {deep}}}}}'
    answer = client.patch("/v1/image?id=1", content=body, headers=json_type)
    assert answer.status_code in (400, 413)
    assert len("".join(capfd.readouterr())) < 1_000


def test_hostile_files_as_uploads(client: httpx.Client, data: Path) -> None:
    for file in sorted((data / "evil" / "files").rglob("*")):
        if not file.is_file() or file.stat().st_size > 2**18:
            continue
        answer = client.post("/v1/uploads", files={"image": (file.name, file.read_bytes())})
        if answer.status_code != 201:
            assert answer.status_code in (413, 422), file
            assert answer.json()["reason"] in set(Reason), file
    assert client.get("/readyz").is_success


def test_the_service_is_still_there(client: httpx.Client) -> None:
    assert client.post("/v1/search", json={"id": "1"}).json()["hits"]
