"""Files of the service beside the index: damaged, full, of readers and of writers."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.api.stores import local_state
from lookalike.api.stores.local_state import LocalState
from lookalike.errors import LookalikeError
from lookalike.index import Index
from lookalike.system.state import StateRecord
from tests.support.api_server import options, picture, serving

IMAGES = 4
READ, WRITE = "may-read-0123456789", "may-write-0123456789"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def upload(client: httpx.Client, seed: int, **more: Any) -> httpx.Response:
    return client.post("/v1/uploads", files={"image": ("a.png", picture(seed, "BMP"))}, **more)


@pytest.fixture
def keyed(index: Index, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a service with keys and room for a few query images."""
    limited = options(tmp_path, read_key=READ, write_key=WRITE, query_image_bytes=200_000)
    with serving(index, limited) as client:
        yield client


def test_query_images_of_readers_push_out_none_of_a_writer(keyed: httpx.Client) -> None:
    token = upload(keyed, 1, headers=bearer(WRITE)).json()["upload"]
    dropped = upload(keyed, 2, headers=bearer(READ)).json()["upload"]
    for seed in range(10, 18):
        assert upload(keyed, seed, headers=bearer(READ)).status_code == 201
    for key in (READ, WRITE):
        body = {"upload": token, "limit": 1}
        assert keyed.post("/v1/search", json=body, headers=bearer(key)).is_success
    gone = keyed.post("/v1/search", json={"upload": dropped}, headers=bearer(WRITE))
    assert (gone.status_code, gone.json()["error"]) == (404, "NotFound")


def begin_session(client: httpx.Client, key: str) -> dict[str, str]:
    """Begins a session; returns the header of later requests."""
    cookie = client.post("/v1/session", headers=bearer(key)).headers["set-cookie"]
    client.cookies.clear()
    return {"cookie": cookie.partition(";")[0]}


def test_sessions_outlive_the_service_but_not_their_key(index: Index, tmp_path: Path) -> None:
    keys = {"read_key": READ, "write_key": WRITE}
    with serving(index, options(tmp_path, **keys)) as client:
        writer, reader, ended = (begin_session(client, key) for key in (WRITE, READ, READ))
        assert client.delete("/v1/session", headers=ended).status_code == 204
        assert client.get("/v1/stats", headers=ended).status_code == 401
        forged = {"cookie": reader["cookie"].replace("reader.", "writer.")}
        late = {"cookie": re.sub(r"\.\d+\.", ".9999999999.", reader["cookie"])}
        for header in (forged, late, {"cookie": "lookalike_session=x"}):
            assert client.get("/v1/stats", headers=header).status_code == 401
    with serving(index, options(tmp_path, **keys)) as client:
        assert client.get("/v1/stats", headers=writer).json()["write"] is True
        assert client.get("/v1/stats", headers=reader).json()["write"] is False
        assert client.get("/v1/stats", headers=ended).status_code == 401
    with serving(index, options(tmp_path, **keys | {"read_key": "another-0123456789"})) as client:
        assert client.get("/v1/stats", headers=writer).is_success
        assert client.get("/v1/stats", headers=reader).status_code == 401


@pytest.mark.parametrize(
    "content", [b"", b"no database" * 1_000, b"SQLite format 3\0" + b"\xff" * 5_000, None]
)
def test_a_damaged_state_is_set_aside(index: Index, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "state.sqlite"
    file.mkdir() if content is None else file.write_bytes(content)
    with serving(index, options(tmp_path)) as client:
        gone = client.post("/v1/search", json={"upload": "ab" * 32})
        assert (gone.status_code, gone.json()["error"]) == (404, "NotFound")
        token = upload(client, 1).json()["upload"]
        assert client.post("/v1/search", json={"upload": token}).is_success
    asides = list(tmp_path.glob("state.sqlite.damaged-*"))
    assert len(asides) == (content != b"")
    assert all(aside.is_dir() or aside.read_bytes() == content for aside in asides)


def test_query_images_that_cannot_be_stored_are_refused(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    state = LocalState(tmp_path / "state" / "state.sqlite")
    with pytest.raises(LookalikeError, match="let the service write there"):
        state.put("k", [StateRecord("a")])
    with serving(index, options(tmp_path)) as client:
        monkeypatch.setattr(local_state, "RESERVE", 2**60)
        refused = upload(client, 1)
        assert (refused.status_code, refused.json()["error"]) == (507, "DiskFull")
        assert "state.sqlite" in refused.json()["detail"]
    with serving(index, options(tmp_path / "small", query_image_bytes=100)) as client:
        refused = upload(client, 1)
        assert (refused.status_code, refused.json()["error"]) == (413, "BodyTooLarge")


def test_a_folder_for_uploads_that_cannot_be_written_is_named(index: Index, tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("a file")
    with serving(index, options(tmp_path)) as client:
        answer = client.post("/v1/images", files={"files": ("a.png", picture(1))})
        assert (answer.status_code, answer.json()["error"]) == (500, "LookalikeError")
        assert str(tmp_path / "uploads") in answer.json()["detail"]


def test_damage_while_serving(index: Index, tmp_path: Path) -> None:
    with serving(index, options(tmp_path)) as client:
        token = upload(client, 1).json()["upload"]
        db = sqlite3.connect(tmp_path / "state.sqlite")
        with db:
            db.execute("UPDATE record SET data = zeroblob(50)")
        db.close()
        gone = client.post("/v1/search", json={"upload": token})
        assert (gone.status_code, gone.json()["error"]) == (404, "NotFound")
        assert upload(client, 1).json()["upload"] == token
        assert client.post("/v1/search", json={"upload": token}).is_success


# --- while the service runs -----------------------------------------------------------------


def damage(path: Path, how: str) -> None:
    """Deletes a file, cuts it short, overwrites it, or puts a folder in its place."""
    content = path.read_bytes()
    path.unlink()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "overwritten":
        path.write_bytes(b"\xff" * len(content))
    elif how == "folder":
        path.mkdir()


every_damage = pytest.mark.parametrize("how", ["deleted", "cut", "overwritten", "folder"])


@every_damage
def test_an_uploaded_image_that_is_damaged_can_be_sent_again(
    index: Index, tmp_path: Path, how: str
) -> None:
    data = picture(900)
    with serving(index, options(tmp_path)) as client:
        files = {"files": ("a.png", data)}
        assert client.post("/v1/images", files=files).json()["added"] == 1
        id = hashlib.sha256(data).hexdigest()
        (path,) = (tmp_path / "uploads").glob("*/*")
        damage(path, how)
        gone = client.get("/v1/image/file", params={"id": id})
        assert (gone.status_code, gone.json()["error"]) == (404, "NotFound")
        assert "missing or no longer readable" in gone.json()["detail"]
        assert client.post("/v1/search", json={"id": id}).is_success
        again = client.post("/v1/images", files=files)
        if how == "folder":
            assert (again.status_code, again.json()["error"]) == (500, "LookalikeError")
            assert str(tmp_path / "uploads") in again.json()["detail"]
        else:
            assert again.is_success
            assert client.get("/v1/image/file", params={"id": id}).is_success
        assert client.delete("/v1/image", params={"id": id}).json() == {"deleted": 1}
        assert client.get("/v1/image", params={"id": id}).status_code == 404


@every_damage
def test_jobs_and_duplicates_go_on_when_the_state_is_damaged(
    index: Index, tmp_path: Path, how: str
) -> None:
    def search(client: httpx.Client) -> str:
        job = client.post("/v1/jobs", json={"kind": "duplicates"}).json()["job"]
        with client.stream("GET", "/v1/jobs/events", params={"job": job}) as events:
            last = list(events.iter_lines())[-2]
        return str(json.loads(last.removeprefix("data: "))["state"])

    with serving(index, options(tmp_path)) as client:
        copies = [("files", ("a", picture(901, format))) for format in ("PNG", "BMP")]
        items = [{"id": f"copy-{n}"} for n in range(2)]
        added = client.post("/v1/images", files=copies, data={"items": json.dumps(items)})
        assert added.json()["added"] == 2
        assert search(client) == "done"
        assert client.get("/v1/duplicates").json()["total"] == 1
        damage(tmp_path / "state.sqlite", how)
        left = client.get("/v1/duplicates")
        assert left.is_success
        assert left.json()["job"] is None or left.json()["total"] == 1
        assert client.get("/v1/jobs").is_success
        assert search(client) == "done"
        assert client.get("/v1/duplicates").json()["total"] == 1
        client.post("/v1/images/delete", json={"ids": [item["id"] for item in items]})


@every_damage
def test_query_images_that_are_damaged_are_sent_again(
    index: Index, tmp_path: Path, how: str
) -> None:
    with serving(index, options(tmp_path)) as client:
        token = upload(client, 1).json()["upload"]
        damage(tmp_path / "state.sqlite", how)
        answer = client.post("/v1/search", json={"upload": token})
        if not answer.is_success:
            assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")
            assert "upload it again" in answer.json()["detail"]
        assert upload(client, 1).json()["upload"] == token
        assert client.post("/v1/search", json={"upload": token}).is_success
