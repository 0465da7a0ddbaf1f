"""Notifications of S3: the messages in all their envelopes, and a watch that follows a queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from obstore.store import S3Store

from lookalike.errors import InputError, SourceError
from lookalike.facade.watching.changes import Change, WatchOptions
from lookalike.facade.watching.opening import Watch, open_watch
from lookalike.index import Index
from lookalike.sources.notifications import queue as queues
from lookalike.sources.notifications.messages import objects_in
from lookalike.types import SourceOptions
from tests.api.test_jobs import start
from tests.api.test_standing_jobs import canceled, until
from tests.support.api_server import options, serving
from tests.support.object_stores import fill, moto, use_store
from tests.support.pictures import folder_of

OPTIONS = WatchOptions(True, SourceOptions(exclude=["*.png"]))
TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "shop"}


def records(*keys: str, bucket: str = "shop") -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": bucket}, "object": {"key": key, "sequencer": "0A"}},
            }
            for key in keys
        ]
    }


def from_event_bridge(key: str) -> dict[str, Any]:
    detail = {"bucket": {"name": "shop"}, "object": {"key": key}}
    return {"source": "aws.s3", "detail-type": "Object Deleted", "detail": detail}


def from_sns(message: Any) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": json.dumps(message)}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (records("a/1.jpg", "b/2.jpg"), ["s3://shop/a/1.jpg", "s3://shop/b/2.jpg"]),
        (records("a/%C3%BC+%2520%2B%23.jpg"), ["s3://shop/a/ü %20+#.jpg"]),
        (from_event_bridge("a/ü %20+#.jpg"), ["s3://shop/a/ü %20+#.jpg"]),
        (from_sns(records("a+b.jpg")), ["s3://shop/a b.jpg"]),
        (from_sns(from_event_bridge("a+b.jpg")), ["s3://shop/a+b.jpg"]),
        (TEST_EVENT, []),
        (from_sns(TEST_EVENT), []),
        (records(), []),
    ],
)
def test_objects_are_named_in_every_form(message: Any, expected: list[str]) -> None:
    named = objects_in(json.dumps(message))
    assert named is not None
    assert list(named) == expected


@pytest.mark.parametrize(
    "body",
    [
        "", "hello", "7", "null", "[]", "{}", '{"Records": 7}', '{"Records": [{}]}',
        '{"Records": [{"s3": {"bucket": {"name": 7}, "object": {"key": "a"}}}]}',
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": ["a"]}}}]}',
        '{"Type": "Notification", "Message": "no JSON"}', '{"source": "aws.s3", "detail": []}',
        json.dumps(from_sns(from_sns(from_sns(from_sns(TEST_EVENT))))), "[" * 100_000,
    ],
)  # fmt: skip
def test_other_messages_are_not_notifications(body: str) -> None:
    assert objects_in(body) is None


# --- a queue --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto(tmp_path_factory.mktemp("moto")) as address:
        yield address


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    use_store(monkeypatch, endpoint)
    monkeypatch.setattr(queues, "WAIT", 1)
    monkeypatch.setattr(queues, "COLLECT", 0.2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = folder_of(tmp_path_factory.mktemp("pictures"), 6)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


class Queue:
    """A queue of SQS that receives the notifications of the bucket `shop`."""

    def __init__(self, endpoint: str) -> None:
        self._sqs = boto3.client("sqs", endpoint_url=endpoint, region_name="us-east-1")
        self.url = self._sqs.create_queue(QueueName="pictures")["QueueUrl"]
        named = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
        target = {"QueueArn": named["Attributes"]["QueueArn"], "Events": events}
        s3.put_bucket_notification_configuration(
            Bucket="shop", NotificationConfiguration={"QueueConfigurations": [target]}
        )

    def send(self, message: Any) -> None:
        body = message if isinstance(message, str) else json.dumps(message)
        self._sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def counts(self) -> tuple[int, int]:
        """The numbers of messages that wait, and of those that are hidden for a while."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return int(found["Attributes"][names[0]]), int(found["Attributes"][names[1]])

    @property
    def is_empty(self) -> bool:
        return self.counts() == (0, 0)

    def delete(self) -> None:
        self._sqs.delete_queue(QueueUrl=self.url)


@pytest.fixture
def bucket(endpoint: str, pictures: list[bytes]) -> S3Store:
    objects = {f"a/{i}.jpg": data for i, data in enumerate(pictures[:4])}
    store = fill(endpoint, "shop", objects)
    others = [one["path"] for page in store.list() for one in page if one["path"] not in objects]
    store.delete(others)
    return store


@pytest.fixture
def queue(endpoint: str, bucket: S3Store) -> Iterator[Queue]:
    made = Queue(endpoint)
    yield made
    made.delete()


def uris(index: Index) -> set[str]:
    return {point.payload["image"]["uri"] for point in index.scroll()}


def watching(queue: Queue, told: list[str]) -> Watch:
    options, url = OPTIONS.source, queue.url
    return open_watch(["s3://shop/a/"], options, index=None, queue=url, tell=told.append)


def test_an_index_follows_the_notifications_of_a_bucket(
    bucket: S3Store, queue: Queue, pictures: list[bytes], tmp_path: Path
) -> None:
    told: list[str] = []
    with (
        Index.open(tmp_path / "index", model="built-in") as index,
        closing(watching(queue, told).changes()) as changes,
    ):
        first = next(changes)
        assert first == Change(["s3://shop/a/"], is_whole=True)
        assert first.add_to(index, OPTIONS).added == 4
        bucket.put("a/new ü%.jpg", pictures[4])
        bucket.put("a/excluded.png", pictures[5])
        bucket.put("elsewhere/5.jpg", pictures[5])
        bucket.delete("a/0.jpg")
        bucket.copy("a/1.jpg", "a/moved.jpg")
        bucket.delete("a/1.jpg")
        for message in (records("a/2.jpg", "a/2.jpg"), records("a/never.jpg"), TEST_EVENT):
            queue.send(message)  # doubled, late, of nothing
        change = next(changes)
        assert set(change.keys or ()) == {
            f"s3://shop/a/{name}.jpg" for name in ("new ü%", "0", "1", "moved", "2", "never")
        }
        report = change.add_to(index, OPTIONS)
        assert (report.added, report.moved, report.unchanged, report.removed) == (1, 1, 1, 1)
        assert report.rejects == ()
        assert queue.counts()[1] > 0  # until the index has the change
        change.done()
        assert queue.is_empty
        bucket.put("a/2.jpg", pictures[0])
        again = next(changes)
        assert again.add_to(index, OPTIONS).updated == 1
        stored = {one["path"] for page in bucket.list("a/") for one in page}
        assert uris(index) == {f"s3://shop/{key}" for key in stored} - {"s3://shop/a/excluded.png"}
    assert told == []


@pytest.mark.slow
def test_images_stay_without_prune_and_where_the_bucket_is_gone(
    bucket: S3Store, queue: Queue, tmp_path: Path
) -> None:
    keep = WatchOptions(False, OPTIONS.source)
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add("s3://shop/a/")
        bucket.delete("a/0.jpg")
        change = Change(["s3://shop/a/"], keys=["s3://shop/a/0.jpg", "s3://shop/a/1.jpg"])
        assert change.add_to(index, keep).removed == 0
        elsewhere = Change(["s3://gone/a/"], keys=["s3://gone/a/0.jpg"])
        with pytest.raises(SourceError, match="there is no such bucket"):
            elsewhere.add_to(index, OPTIONS)
        assert len(index) == 4
        assert change.add_to(index, OPTIONS).removed == 1


def test_messages_that_cannot_be_used_stay_and_are_named_once(
    bucket: S3Store, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "VISIBILITY", 1)
    told: list[str] = []
    with closing(watching(queue, told).changes()) as changes:
        next(changes)
        queue.send("what is this?")
        queue.send(records("a/1.jpg", bucket="other"))
        queue.send(records("a/1.jpg"))
        change = next(changes)
        assert change.keys == ["s3://shop/a/1.jpg"]
        change.done()
        queue.send(records("a/2.jpg"))
        assert next(changes).keys  # the others have come again by now
    assert sum(queue.counts()) == 3
    assert len(told) == 2
    assert any("is not a notification of S3, and stays in the queue" in one for one in told)
    assert any("is about another bucket than shop" in one for one in told)


@pytest.mark.slow
def test_a_service_follows_a_queue(bucket: S3Store, queue: Queue, tmp_path: Path) -> None:
    bucket.put("a/5.jpg", bytes(bucket.get("a/0.jpg").bytes())[:-1])
    settings = options(tmp_path / "state", addresses=("s3://shop/a", queue.url))
    with (
        Index.open(tmp_path / "index", model="built-in", threads=1) as index,
        serving(index, settings) as client,
    ):
        job = start(client, kind="watch", paths=["s3://shop/a/"], queue=queue.url, prune=True)
        until(client, job, lambda document: document["passes"])
        bucket.delete("a/0.jpg")
        bucket.copy("a/1.jpg", "a/copy.jpg")
        until(client, job, lambda _: {"s3://shop/a/copy.jpg"} < uris(index) and queue.is_empty)
        assert "s3://shop/a/0.jpg" not in uris(index)
        canceled(client, job)


@pytest.mark.usefixtures("bucket")
def test_a_queue_that_cannot_be_read_is_an_error(endpoint: str, tmp_path: Path) -> None:
    def first(path: str, queue: str) -> None:
        watch = open_watch([path], SourceOptions(), index=None, queue=queue, tell=print)
        next(watch.changes())

    with pytest.raises(InputError, match="there is no such queue: check its URL"):
        first("s3://shop/a/", f"{endpoint}/123456789012/none")
    for wrong in ("pictures", "https://[::1/pictures", "http://a b/pictures"):
        with pytest.raises(InputError, match="is not the URL of a queue"):
            first("s3://shop/a/", wrong)
    with pytest.raises(SourceError, match="does not answer"):
        first("s3://shop/a/", "http://127.0.0.1:9/1/pictures")
    with pytest.raises(InputError, match="is not in a bucket"):
        first(str(tmp_path), f"{endpoint}/123456789012/none")
    with pytest.raises(InputError, match="watched apart"):
        open_watch(["s3://shop/", str(tmp_path)], SourceOptions(), index=None, tell=print)
