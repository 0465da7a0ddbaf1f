"""Background jobs run one at a time, can be watched and canceled, and survive a restart."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.api.allowed_folders import AllowedFolders
from lookalike.api.errors import TooBusy
from lookalike.api.jobs.job import Job, JobState
from lookalike.api.jobs.queue import JobQueue
from lookalike.api.stores.local_state import LocalState
from lookalike.index import Index
from lookalike.system.locks import WriteLock
from lookalike.system.state import StateRecord
from lookalike.system.times import now
from tests.support.api_server import options, picture, serving
from tests.support.pictures import folder_of, many_files

FINAL = {"done", "failed", "canceled"}
MANY = 1_500
"""Images that take long enough to index that a job can be stopped halfway."""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that takes seconds to index."""
    return many_files(tmp_path_factory.mktemp("many") / "photos", MANY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("root") / "shop", 20).parent


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with Index.open(tmp_path_factory.mktemp("index"), model="built-in", threads=1) as made:
        yield made


@pytest.fixture
def index(opened: Index) -> Index:
    """An empty index."""
    opened.delete([image.id for image in opened.scroll()])
    return opened


@pytest.fixture
def client(index: Index, folder: Path, many: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(index, options(tmp_path / "state", roots=(folder, many))) as made:
        yield made


def start(client: httpx.Client, **request: Any) -> str:
    answer = client.post("/v1/jobs", json=request)
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "queued"
    return str(answer.json()["job"])


def document_of(client: httpx.Client, job: str) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/v1/jobs/one", params={"job": job}).json()
    return document


def finished(client: httpx.Client, job: str, seconds: float = 30) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        document = document_of(client, job)
        if document["state"] in FINAL:
            return document
        time.sleep(0.02)
    raise AssertionError(f"still {document_of(client, job)}")


def wait_until_running(client: httpx.Client, job: str) -> None:
    until = time.monotonic() + 20
    while document_of(client, job)["done"] == 0:
        assert time.monotonic() < until, "the job has not begun"
        time.sleep(0.01)


def events(client: httpx.Client, job: str) -> list[tuple[float, dict[str, Any]]]:
    """All events of a job, with the time at which each arrived."""
    received = []
    with client.stream("GET", "/v1/jobs/events", params={"job": job}, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            if line.startswith("data: "):
                assert name == "job"
                received.append((time.monotonic(), json.loads(line.removeprefix("data: "))))
    return received


def listen(client: httpx.Client, job: str) -> None:
    """Reads events until the service stops."""
    with contextlib.suppress(httpx.HTTPError):
        events(client, job)


# --- kinds ------------------------------------------------------------------------------------


def test_a_folder_is_indexed_and_rejects_are_reported(client: httpx.Client, folder: Path) -> None:
    shop = folder_of(folder / "broken shop", 20)
    (shop / "broken.jpg").write_text("no picture")
    rows = ["id,file,price", *(f"sku-{i},{i:03}.jpg,{i}" for i in range(20))]
    (shop / "catalog.csv").write_text("\n".join(rows))
    metadata = "broken shop/catalog.csv"
    job = start(client, kind="ingest", path="broken shop", metadata=metadata, prune=True)
    document = finished(client, job)
    assert document["state"] == "done", document
    assert document["problem"] is None
    assert document["kind"] == "ingest"
    request = {"path": "broken shop", "metadata": metadata, "prune": True}
    assert document["request"].items() >= (request | {"copies": "keep"}).items()
    assert document["created_at"] <= document["started_at"] <= document["finished_at"]
    assert document["report"]["added"] == 20
    whole = finished(client, start(client, kind="ingest", path=str(shop)))["report"]
    assert (whole["unchanged"], whole["rejected"]) == (20, 1)
    assert whole["rejects"][0]["uri"].endswith("broken.jpg")
    assert whole["rejects"][0]["reason"] == "unsupported_format"
    assert client.get("/v1/image", params={"id": "sku-7"}).json()["payload"]["price"] == 7


def test_an_ingest_takes_the_options_of_the_command(client: httpx.Client, folder: Path) -> None:
    feed = folder_of(folder / "feed", 4, first=300)
    (feed / "rows.csv").write_bytes("file;preis\n300.jpg;1.250\n301.jpg;9,5 €\n".encode("cp1252"))
    job = {"kind": "ingest", "path": "feed", "metadata": "feed/rows.csv", "encoding": "cp1252",
           "decimal": "comma", "fields": {"preis": "float"}, "exclude": ["303*"]}  # fmt: skip
    report = finished(client, start(client, **job))["report"]
    assert (report["added"], report["removed"], report["outdated"]) == (3, 0, 0)
    found = client.get("/v1/images", params={"where": "preis = 1250"}).json()
    assert found["total"] == 1
    for file in feed.glob("30[012].jpg"):
        file.unlink()
    refused = finished(client, start(client, **job | {"exclude": [], "metadata": None}, prune=True))
    assert (refused["report"]["removed"], refused["report"]["added"]) == (0, 1)
    assert refused["report"]["prune_refused"].startswith("Nothing was pruned: 3 of the 4 images")
    confirmed = start(client, kind="ingest", path="feed", prune=True, yes=True)
    assert finished(client, confirmed)["report"]["removed"] == 3
    for wrong in ({"decimal": "dot"}, {"fields": {"a": "money"}}, {"partition": [1, 2]}):
        answer = client.post("/v1/jobs", json={"kind": "ingest", "path": "feed", **wrong})
        assert answer.status_code == 422, wrong


def test_a_report_lists_the_first_of_many_rejects(client: httpx.Client, folder: Path) -> None:
    (folder / "holes").mkdir()
    for i in range(1_005):
        (folder / "holes" / f"{i:04}.jpg").touch()
    report = finished(client, start(client, kind="ingest", path="holes"))["report"]
    assert report["rejected"] == 1_005
    assert len(report["rejects"]) == 1_000
    (listed,) = client.get("/v1/jobs").json()["jobs"]
    assert listed["report"] == report | {"rejects": report["rejects"][:100]}


def test_the_search_graph_is_built(client: httpx.Client) -> None:
    assert finished(client, start(client, kind="optimize"))["state"] == "done"


def test_a_failed_job_has_a_problem(client: httpx.Client, folder: Path) -> None:
    (folder / "empty").mkdir()
    document = finished(client, start(client, kind="ingest", path="empty"))
    assert document["state"] == "failed"
    assert document["problem"]["error"] == "SourceError"
    assert document["problem"]["status"] == 400


def test_jobs_wait_for_one_another(client: httpx.Client, many: Path) -> None:
    first = start(client, kind="ingest", path=str(many))
    second = start(client, kind="ingest", path="shop")
    third = start(client, kind="optimize")
    wait_until_running(client, first)
    listed = client.get("/v1/jobs").json()["jobs"]
    assert [job["job"] for job in listed] == [third, second, first]
    assert [job["state"] for job in listed] == ["queued", "queued", "running"]
    canceled = client.delete("/v1/jobs/one", params={"job": third}).json()
    assert canceled["state"] == "canceled"
    client.delete("/v1/jobs/one", params={"job": first})
    after = finished(client, second)
    assert after["state"] == "done"
    assert document_of(client, first)["finished_at"] <= after["started_at"]
    assert document_of(client, third)["started_at"] is None


def test_an_upload_during_a_job_does_not_wait(client: httpx.Client, many: Path) -> None:
    job = start(client, kind="ingest", path=str(many))
    wait_until_running(client, job)
    added = client.post("/v1/images", files={"files": ("new.png", picture(77))}).json()
    assert document_of(client, job)["state"] == "running"
    assert client.get("/v1/image", params={"id": added["ids"][0]}).status_code == 200
    client.delete("/v1/jobs/one", params={"job": job})
    assert finished(client, job)["state"] == "canceled"


# --- watching and stopping --------------------------------------------------------------------


def test_events_follow_a_job(client: httpx.Client, many: Path) -> None:
    job = start(client, kind="ingest", path=str(many))
    seen: list[list[tuple[float, dict[str, Any]]]] = []
    listeners = [
        threading.Thread(target=lambda: seen.append(events(client, job))) for _ in range(3)
    ]
    for listener in listeners:
        listener.start()
    with client.stream("GET", "/v1/jobs/events", params={"job": job}) as gone:
        next(gone.iter_lines())  # this listener disconnects
    wait_until_running(client, job)
    time.sleep(1)
    client.delete("/v1/jobs/one", params={"job": job})
    for listener in listeners:
        listener.join(30)
    assert len(seen) == 3
    for received in seen:
        times = [arrived for arrived, _ in received]
        shown = [document for _, document in received]
        assert [document["state"] for document in shown[:-1]].count("running") == len(shown) - 1
        assert shown[-1] == document_of(client, job)
        assert shown[-1]["state"] == "canceled"
        done = [document["done"] for document in shown]
        assert done == sorted(done)
        assert len(set(done)) >= 3, "there was progress in between"
        assert len(times) <= 4 * (times[-1] - times[0]) + 2, "more than four a second"
    again = events(client, job)
    assert [document["state"] for _, document in again] == ["canceled"]


def test_a_job_stopped_halfway_keeps_its_work(client: httpx.Client, many: Path) -> None:
    job = start(client, kind="ingest", path=str(many))
    wait_until_running(client, job)
    started = time.monotonic()
    answer = client.delete("/v1/jobs/one", params={"job": job}).json()
    assert answer["state"] == "running"
    assert answer["stage"] == "canceling"
    document = finished(client, job)
    assert time.monotonic() - started < 3
    assert document["state"] == "canceled"
    added = document["report"]["added"]
    assert 0 < added < MANY
    assert client.get("/v1/stats").json()["images"] == added
    over = client.delete("/v1/jobs/one", params={"job": job})
    assert over.json() == document


@pytest.mark.slow
def test_a_job_interrupted_by_a_shutdown_continues(
    index: Index, folder: Path, many: Path, tmp_path: Path
) -> None:
    settings = options(tmp_path / "state", roots=(folder, many))
    with serving(index, settings) as client:
        done = start(client, kind="optimize")
        finished(client, done)
        job = start(client, kind="ingest", path=str(many))
        waiting = start(client, kind="ingest", path="shop")
        wait_until_running(client, job)
        listener = threading.Thread(target=lambda: listen(client, job))
        listener.start()
    listener.join(10)
    assert not listener.is_alive(), "the stream ends with the service"
    indexed = len(index)
    assert 0 < indexed < MANY
    with serving(index, settings) as client:
        listed = client.get("/v1/jobs").json()["jobs"]
        assert [job["job"] for job in listed] == [waiting, job, done]
        document = finished(client, job, seconds=60)
        assert document["state"] == "done"
        unchanged = document["report"]["unchanged"]
        assert unchanged >= indexed  # the batch in work may end after the service
        assert document["report"]["added"] == MANY - unchanged
        assert finished(client, waiting)["report"]["added"] == 20
        assert document_of(client, done)["state"] == "done"


def test_jobs_interrupted_by_a_crash_continue_but_not_forever(index: Index, tmp_path: Path) -> None:
    """After a crash, there are jobs in the state `running` that nothing runs."""
    with closing(LocalState(tmp_path / "state.sqlite")) as state:
        for starts in (1, 3):
            job = Job(f"job {starts}", "optimize", {}, now(), JobState.RUNNING, starts=starts)
            state.put("job", [StateRecord(job.id, job.record(), starts, ("unfinished",))])
        jobs = JobQueue(index, WriteLock(), AllowedFolders(()), state)
        jobs.start()
        until = time.monotonic() + 10
        while jobs.unfinished and time.monotonic() < until:
            time.sleep(0.01)
        once, thrice = (jobs.get(id) for id in ("job 1", "job 3"))
        assert once["state"] == "done"
        assert thrice["state"] == "failed"
        assert "died 3 times" in thrice["problem"]["detail"]
        jobs.stop()


def test_a_hundred_jobs_may_wait_and_a_hundred_are_remembered(index: Index, tmp_path: Path) -> None:
    state = LocalState(tmp_path / "state.sqlite")
    jobs = JobQueue(index, WriteLock(), AllowedFolders(()), state)  # not started
    ids = [jobs.add("optimize", {})["job"] for _ in range(100)]
    with pytest.raises(TooBusy):
        jobs.add("optimize", {})
    for id in ids:
        assert jobs.cancel(id)["state"] == "canceled"
    more = [jobs.add("optimize", {})["job"] for _ in range(3)]
    for id in more:
        jobs.cancel(id)
    assert [job["job"] for job in jobs.all()] == [*reversed(more), *reversed(ids[3:])]


# --- refusals ---------------------------------------------------------------------------------


def test_no_folder_outside_the_roots_is_read_or_revealed(index: Index, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "root" / "shop", 20).parent
    with serving(index, options(tmp_path / "state", roots=(folder,))) as client:
        check_paths(client, folder, tmp_path)


def check_paths(client: httpx.Client, folder: Path, tmp_path: Path) -> None:
    outside = folder_of(tmp_path / "outside", 1)
    (folder / "out").symlink_to(outside)
    (folder / "out.csv").symlink_to(outside / "000.jpg")
    (folder / "nowhere").symlink_to(tmp_path / "not there")
    (folder / "shop" / "in").symlink_to(folder / "shop")
    sibling = folder_of(tmp_path / "root and more", 1)
    bad = [
        str(outside), str(tmp_path / "not there"), "/", "/etc", "/etc/passwd", "..",
        str(Path.home() / ".ssh"),
        "../outside", "shop/../../outside", "shop/../..", str(folder / ".." / "outside"), "out",
        "out/000.jpg", "nowhere", str(sibling), f"{folder}/../root and more", "/proc/self/cwd",
        "//etc", "out/../shop", "shop\0", "\0", "../*", str(tmp_path / "*"), "file:///etc/../../../../../etc",
    ]  # fmt: skip
    details = set()
    for path in bad:
        answer = client.post("/v1/jobs", json={"kind": "ingest", "path": path})
        assert answer.status_code == 403, (path, answer.text)
        details.add(answer.json()["detail"])
    for raw in (b'"\\ud800"', b'"\\udcff"', b'"shop/\\udcff"'):
        body = b'{"kind": "ingest", "path": ' + raw + b"}"
        answer = client.post("/v1/jobs", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (403, 422), answer.text
    assert len(details) == 1
    assert str(tmp_path) not in details.pop()
    for metadata in ("out.csv", str(outside / "000.jpg"), "/etc/passwd"):
        answer = client.post(
            "/v1/jobs", json={"kind": "ingest", "path": "shop", "metadata": metadata}
        )
        assert answer.status_code == 403
    for path in ("~", "shop/*.jpg", "file:///etc", "shop/none", "x" * 3_000):
        answer = client.post("/v1/jobs", json={"kind": "ingest", "path": path})
        assert answer.status_code in (400, 403), (path, answer.text)
    assert client.get("/v1/jobs").json()["jobs"] == []
    for path in ("shop/in/000.jpg", str(folder), "shop/../shop/", "."):
        job = start(client, kind="ingest", path=path)
        assert finished(client, job)["state"] == "done", path
    everything = client.get("/v1/images").json()["images"]
    assert len(everything) == 20
    assert all(str(outside) not in image["payload"]["image"]["uri"] for image in everything)


def test_a_link_changed_while_a_job_waits_is_not_followed(
    client: httpx.Client, folder: Path, many: Path, tmp_path: Path
) -> None:
    (folder / "link").symlink_to(folder / "shop")
    first = start(client, kind="ingest", path=str(many))
    wait_until_running(client, first)
    job = start(client, kind="ingest", path=str(folder / "link"))
    (folder / "link").unlink()
    (folder / "link").symlink_to(folder_of(tmp_path / "outside", 1))
    client.delete("/v1/jobs/one", params={"job": first})
    document = finished(client, job)
    assert document["state"] == "failed"
    assert document["problem"]["error"] == "Forbidden"


def test_without_roots_no_folder_is_read(index: Index, folder: Path, tmp_path: Path) -> None:
    with serving(index, options(tmp_path / "state")) as client:
        answer = client.post("/v1/jobs", json={"kind": "ingest", "path": str(folder)})
        assert answer.status_code == 403
        assert "--root" in answer.json()["detail"]


def test_an_invalid_job_is_refused(client: httpx.Client) -> None:
    bodies: list[Any] = [
        *({}, [], None, "ingest", {"kind": "nothing"}, {"kind": "ingest"}),
        *({"kind": "ingest", "path": 5}, {"kind": "ingest", "path": ""}),
        *({"kind": "optimize", "more": 1}, {"kind": "duplicates", "keep": "smallest"}),
        {"kind": "ingest", "path": "shop", "copies": "eat"},
        # Clients send no requests from here: neither to hosts of their choice nor with its keys.
        {"kind": "ingest", "path": "shop", "private": ["127.0.0.1:80"]},
        {"kind": "ingest", "path": "shop", "endpoint": "http://127.0.0.1:80"},
    ]
    for body in bodies:
        answer = client.post("/v1/jobs", json=body)
        assert answer.status_code == 422, (body, answer.text)
        assert answer.json()["error"] == "InvalidRequest"
    for method, path in (("GET", "one"), ("DELETE", "one"), ("GET", "events")):
        answer = client.request(method, f"/v1/jobs/{path}", params={"job": "none/such"})
        assert answer.status_code == 404, answer.text
        assert answer.json()["error"] == "NotFound"
