"""Near-duplicates over HTTP: of one image, in groups, and decisions on them."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageOps

from lookalike.api.stores.groups import DuplicateGroupStore
from lookalike.api.stores.local_state import LocalState
from lookalike.index import Index
from tests.api.test_jobs import finished, start
from tests.support.api_server import options, serving
from tests.support.pictures import scene


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six scenes, with three copies of the first and one of the second."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(6):
        scene(i).save(folder / f"scene{i}.jpg", quality=92)
    first, second = (Image.open(folder / f"scene{i}.jpg") for i in range(2))
    shutil.copy(folder / "scene0.jpg", folder / "scene0 again.jpg")
    first.resize((240, 180)).save(folder / "scene0 half.jpg", quality=80)
    first.save(folder / "scene0 small.jpg", quality=60)
    ImageOps.mirror(second).save(folder / "scene1 mirror.jpg", quality=85)
    return folder


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with Index.open(
        tmp_path_factory.mktemp("index") / "index", model="built-in", threads=1
    ) as made:
        yield made


@pytest.fixture
def index(opened: Index, photos: Path) -> Index:
    """An index of all the photos, without decisions."""
    opened.delete([image.id for image in opened.scroll()])
    opened.add(photos)
    return opened


@pytest.fixture
def client(index: Index, tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(index, options(tmp_path / "state")) as made:
        yield made


@pytest.fixture
def searched(client: httpx.Client) -> httpx.Client:
    """After a search for duplicates."""
    document = finished(client, start(client, kind="duplicates"))
    assert document["state"] == "done", document
    assert document["report"]["groups"] == 2
    assert document["report"]["problems"] == []
    return client


def listed(client: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/duplicates", params=query)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def groups(client: httpx.Client, **query: Any) -> dict[str, set[str]]:
    """Names of the members of each group, by the name of its keeper."""
    return {
        Path(group["keeper"]).stem: {Path(member["id"]).stem for member in group["members"]}
        for group in listed(client, **query)["groups"]
    }


FIRST = {"scene0", "scene0 again", "scene0 half", "scene0 small"}
SECOND = {"scene1", "scene1 mirror"}


# --- groups -----------------------------------------------------------------------------------


def test_groups_are_listed_with_everything_a_page_shows(searched: httpx.Client) -> None:
    document = listed(searched)
    assert (document["total"], document["images"]) == (2, 10)
    assert document["job"]["state"] == "done"
    assert document["job"]["kind"] == "duplicates"
    for group in document["groups"]:
        keeper, *copies = group["members"]
        assert keeper["id"] == group["keeper"]
        assert group["reason"].startswith("largest")
        assert group["verdict"] in {"same-picture", "identical"}
        assert copies
        for member in group["members"]:
            assert member["uri"] == member["payload"]["image"]["uri"]
            assert member["payload"]["image"]["width"] > 0
            assert member["evidence"]["why"]
    first, second = sorted(map(sorted, groups(searched).values()))
    assert set(first) == FIRST
    assert set(second) == SECOND
    assert [groups(searched, offset=at, limit=1).keys() for at in (0, 1, 2)] == [
        *({name} for name in groups(searched)),
        set(),
    ]


def test_without_a_search_there_are_none(client: httpx.Client) -> None:
    assert listed(client) == {"groups": [], "total": 0, "images": 10, "job": None}


def test_groups_outlive_the_service(index: Index, tmp_path: Path) -> None:
    settings = options(tmp_path / "state")
    with serving(index, settings) as client:
        finished(client, start(client, kind="duplicates"))
        before = listed(client)
    with serving(index, settings) as client:
        assert listed(client) == before


def test_a_search_that_is_stopped_leaves_the_groups_of_the_last(
    index: Index, tmp_path: Path
) -> None:
    """While a search runs, its groups can be read."""
    state = LocalState(tmp_path / "state.sqlite")
    store = DuplicateGroupStore(state)
    first, second = index.duplicates()
    with store.replacement() as append:
        append(first)
        assert store.total == 1
        append(second)
    page, total = store.page(index, 0, 10)
    assert (len(page), total) == (2, 2)
    with pytest.raises(KeyboardInterrupt), store.replacement() as append:
        assert store.page(index, 0, 10) == ([], 0)
        append(second)
        assert [group["keeper"] for group in store.page(index, 0, 10)[0]] == [second.keeper]
        raise KeyboardInterrupt
    assert store.page(index, 0, 10) == (page, 2)
    left = store.replacement()  # as by a service that dies
    left.__enter__()(second)
    assert len(store.page(index, 0, 10)[0]) == 1
    store.discard_draft()
    assert store.page(index, 0, 10) == (page, 2)
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as db:
        sets = db.execute("SELECT DISTINCT kind FROM record WHERE kind LIKE 'group:%'").fetchall()
    assert len(sets) == 1


def test_a_filter_and_a_policy_hold(client: httpx.Client) -> None:
    where = "image.width < 300 or image.bytes < 1"
    job = start(client, kind="duplicates", where=where, keep="first", similar=True)
    assert finished(client, job)["state"] == "done"
    assert groups(client) == {}
    failed = finished(client, start(client, kind="duplicates", where="color = 3"))
    assert failed["state"] == "failed"
    assert failed["problem"]["error"] == "FilterError"


# --- groups that change -----------------------------------------------------------------------


def test_a_deleted_image_leaves_its_group(searched: httpx.Client, photos: Path) -> None:
    delete = {"ids": [str(photos / "scene0 half.jpg"), str(photos / "scene1 mirror.jpg")]}
    assert searched.post("/v1/images/delete", json=delete).json() == {"deleted": 2}
    (left,) = groups(searched).values()
    assert left == FIRST - {"scene0 half"}
    assert listed(searched)["total"] == 1


def test_without_its_keeper_a_group_is_compared_anew(searched: httpx.Client) -> None:
    for group in listed(searched)["groups"]:
        searched.delete("/v1/image", params={"id": group["keeper"]}).raise_for_status()
    (left,) = listed(searched)["groups"]
    assert len(left["members"]) == 3
    assert left["members"][0]["id"] == left["keeper"]
    assert left["members"][0]["evidence"] == {"why": "kept"}
    verdicts = [member["verdict"] for member in left["members"]]
    assert verdicts[0] == "identical"
    assert set(verdicts[1:]) <= {"identical", "same-picture"}
    assert left["verdict"] == "same-picture"
    assert listed(searched)["groups"] == [left]


def test_a_replaced_image_leaves_its_group(searched: httpx.Client, photos: Path) -> None:
    file = io.BytesIO()
    scene(99).save(file, "PNG")
    answer = searched.put(
        "/v1/image",
        params={"id": str(photos / "scene1 mirror.jpg")},
        files={"image": ("other.png", file.getvalue())},
    )
    assert answer.json()["added"] is False
    (left,) = groups(searched).values()
    assert left == FIRST


def test_a_decision_hides_a_pair_and_can_be_withdrawn(searched: httpx.Client, photos: Path) -> None:
    pair = [str(photos / f"{name}.jpg") for name in sorted(SECOND)]

    def decide(decision: str | None) -> None:
        answer = searched.post("/v1/duplicates/decide", json={"ids": pair, "decision": decision})
        assert (answer.status_code, answer.json()) == (200, {})

    def copies() -> list[str]:
        answer = searched.post("/v1/duplicates/check", json={"id": pair[0]})
        return [match["id"] for match in answer.json()["matches"]]

    assert copies() == [pair[1]]
    for decision in ("not_duplicates", "keep_all"):
        decide(decision)
        (left,) = groups(searched).values()
        assert left == FIRST
        assert listed(searched)["total"] == 1
        assert copies() == []
        decide(None)
        assert SECOND in groups(searched).values()
        assert listed(searched)["total"] == 2
    keeper = next(
        group["keeper"] for group in listed(searched)["groups"] if len(group["members"]) > 2
    )
    half = str(photos / "scene0 half.jpg")
    both = {"ids": [half, keeper], "decision": "keep_all"}
    searched.post("/v1/duplicates/decide", json=both).raise_for_status()
    assert FIRST - {"scene0 half"} in groups(searched).values()


# --- one image --------------------------------------------------------------------------------


def test_one_image_is_checked(client: httpx.Client, photos: Path) -> None:
    stranger, copy = io.BytesIO(), io.BytesIO()
    scene(50).save(stranger, "PNG")
    Image.open(photos / "scene1.jpg").save(copy, "PNG")
    tokens = [
        client.post("/v1/uploads", files={"image": ("a.png", file.getvalue())}).json()["upload"]
        for file in (stranger, copy)
    ]
    none, two = (
        client.post("/v1/duplicates/check", json={"upload": token}).json() for token in tokens
    )
    assert none["matches"] == []
    assert {Path(match["id"]).stem: match["verdict"] for match in two["matches"]} == {
        "scene1": "same-pixels",
        "scene1 mirror": "same-picture",
    }
    assert two["took_ms"] > 0
    assert set(two["matches"][0]) == {"id", "uri", "verdict", "evidence", "holds_more", "protected"}
    by_id = client.post("/v1/duplicates/check", json={"id": str(photos / "scene0.jpg"), "limit": 2})
    assert len(by_id.json()["matches"]) == 2


def test_a_difference_is_shown_and_cached_by_browsers(client: httpx.Client, photos: Path) -> None:
    pair = {"keeper": str(photos / "scene1.jpg"), "copy": str(photos / "scene1 mirror.jpg")}
    answer = client.get("/v1/duplicates/difference", params=pair)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).format == "JPEG"
    assert "max-age" in answer.headers["cache-control"]
    known = {"if-none-match": answer.headers["etag"]}
    assert client.get("/v1/duplicates/difference", params=pair, headers=known).status_code == 304
    other = pair | {"copy": str(photos / "scene2.jpg")}
    unlike = client.get("/v1/duplicates/difference", params=other)
    assert unlike.status_code == 404
    assert unlike.json()["error"] == "NotFound"
    assert client.get("/v1/duplicates/difference", params=pair | {"copy": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "name"),
    [
        ("check", {}, 400, "QueryError"),
        ("check", {"id": "a", "upload": "0" * 64}, 400, "QueryError"),
        ("check", {"id": "no such"}, 404, "NotFound"),
        ("check", {"upload": "0" * 64}, 404, "NotFound"),
        ("check", {"upload": "../../etc/passwd"}, 422, "InvalidRequest"),
        ("check", {"id": "a", "limit": 0}, 422, "InvalidRequest"),
        ("check", {"id": "a", "path": "/etc/passwd"}, 422, "InvalidRequest"),
        ("decide", {"ids": ["a", "b"]}, 422, "InvalidRequest"),
        ("decide", {"ids": ["a"], "decision": None}, 422, "InvalidRequest"),
        ("decide", {"ids": ["a", "b"], "decision": "maybe"}, 422, "InvalidRequest"),
        ("decide", {"ids": ["a", "b"], "decision": "keep_all"}, 404, "NotFound"),
    ],
)
def test_an_invalid_request_is_refused(
    client: httpx.Client, path: str, body: dict[str, Any], status: int, name: str
) -> None:
    answer = client.post(f"/v1/duplicates/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]) == (status, name)


def test_a_read_key_reads_and_cannot_decide(index: Index, tmp_path: Path) -> None:
    settings = options(tmp_path / "state", read_key="reads", write_key="writes", roots=(tmp_path,))
    with serving(index, settings) as client:
        client.headers["authorization"] = "Bearer reads"
        assert listed(client)["total"] == 0
        assert client.get("/v1/jobs").status_code == 200
        some = next(iter(index.scroll())).id
        assert client.post("/v1/duplicates/check", json={"id": some}).status_code == 200
        for path, body in (
            ("duplicates/decide", {"ids": ["a", "b"], "decision": None}),
            ("jobs", {"kind": "optimize"}),
        ):
            assert client.post(f"/v1/{path}", json=body).status_code == 403
        assert client.delete("/v1/jobs/one", params={"job": "x"}).status_code == 403
        stranger = {"authorization": "Bearer guessed"}
        for path in ("jobs", "jobs/one?job=x", "jobs/events?job=x", "duplicates"):
            assert client.get(f"/v1/{path}", headers=stranger).status_code == 401
