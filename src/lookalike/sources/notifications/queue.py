"""The queue of Amazon SQS to which S3 sends notifications.

Messages are deleted only when the index has what they tell of. Those of a process that dies come
back a quarter of an hour later, as do those that cannot be used: they stay for whoever they are
for, until the queue's own rules move or drop them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

from lookalike.errors import InputError, SourceError
from lookalike.sources._store_settings import region
from lookalike.sources.notifications.messages import objects_in
from lookalike.system import patience
from lookalike.system.iteration import batched

VISIBILITY = 900
"""Seconds for which a message is hidden from others while the index takes it up."""
WAIT = 5
"""Seconds that a request waits for a message; a watch that is to end waits for it, too."""
COLLECT = 2.0
"""Seconds over which messages are collected once there is one."""
MOST = 2_000
"""Messages that are taken up together."""
_REQUEST = 10
"""Messages of a request, the most that SQS permits."""


@dataclass(frozen=True, slots=True)
class Notifications:
    """Messages that were received.

    Attributes:
        uris: addresses of the objects that may have changed, each once.
        problems: sentences about messages that cannot be used, and stay in the queue.
        receipts: the receipts of the others, by which they are deleted.
        queue: where they are.
    """

    uris: Sequence[str]
    problems: Sequence[str]
    receipts: Sequence[str]
    queue: NotificationQueue

    def delete(self) -> None:
        """Deletes the messages from the queue."""
        self.queue.delete(self.receipts)


class NotificationQueue:
    """A queue of notifications about one bucket.

    Args:
        url: its URL, as SQS shows it.
        bucket: the name of the bucket.

    Raises:
        InputError: the URL is not valid, or a library is missing.
    """

    def __init__(self, url: str, bucket: str) -> None:
        try:
            parts = urlsplit(url)
            is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.path[1:]
        except ValueError:
            is_valid = False
        if not is_valid:
            raise _not_a_queue(url)
        try:
            import boto3  # noqa: F401
        except ImportError:
            raise InputError("Reading a queue needs a library: pip install boto3.") from None
        self.url = url
        self._bucket = bucket
        self._unusable: set[str] = set()

    def require_access(self) -> None:
        """Checks that messages can be received and deleted.

        Raises:
            InputError: there is no such queue, or it may not be read.
            SourceError: it does not answer.
        """
        with self._explained():
            self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])

    def receive(self) -> Notifications:
        """Receives messages; waits for some seconds if there are none.

        Raises:
            InputError, SourceError: as `require_access` does.
        """
        messages = self._messages(WAIT)
        end = time.monotonic() + COLLECT
        while messages and len(messages) < MOST and not patience.is_over():
            more = self._messages(0 if time.monotonic() > end else 1)
            messages += more
            if not more and time.monotonic() > end:
                break
        uris: dict[str, None] = {}
        problems, receipts = [], []
        for message in messages:
            problem = self._read(message, uris)
            if problem is None:
                receipts.append(message["ReceiptHandle"])
            elif message["MessageId"] not in self._unusable:
                self._unusable.add(message["MessageId"])
                problems.append(f"{problem} ({len(self._unusable):,} so far).")
        return Notifications(list(uris), problems, receipts, self)

    def delete(self, receipts: Sequence[str]) -> None:
        """Deletes messages; those that cannot be deleted come again, which is harmless.

        Raises:
            InputError, SourceError: as `require_access` does.
        """
        for some in batched(receipts, _REQUEST):
            entries = [{"Id": str(i), "ReceiptHandle": one} for i, one in enumerate(some)]
            with self._explained():
                self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def _messages(self, wait: int) -> list[Mapping[str, Any]]:
        with self._explained():
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=_REQUEST,
                WaitTimeSeconds=wait,
                VisibilityTimeout=VISIBILITY,
            )
        return list(answer.get("Messages", ()))

    def _read(self, message: Mapping[str, Any], uris: dict[str, None]) -> str | None:
        """Adds the objects that a message names; returns a sentence if it cannot be used."""
        named = objects_in(message["Body"])
        if named is None:
            return (
                f"{self.url}: the message {message['MessageId']} is not a notification of S3, and "
                "stays in the queue"
            )
        start = f"s3://{self._bucket}/"
        if not all(uri.startswith(start) for uri in named):
            return (
                f"{self.url}: the message {message['MessageId']} is about another bucket than "
                f"{self._bucket}, and stays in the queue"
            )
        uris.update(dict.fromkeys(named))
        return None

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        host = urlsplit(self.url)
        own = re.match(
            r"sqs\.([\w-]+)\.amazonaws\.com|([\w-]+)\.queue\.amazonaws\.com", host.netloc
        )
        config = Config(connect_timeout=5, read_timeout=WAIT + 15, retries={"max_attempts": 3})
        if own is not None:
            return boto3.client("sqs", region_name=own[1] or own[2], config=config)
        return boto3.client(
            "sqs",
            endpoint_url=f"{host.scheme}://{host.netloc}",
            region_name=region().get("region", "us-east-1"),
            config=config,
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
        from botocore.parsers import ResponseParserError

        error = partial(_sentence, self.url)
        try:
            yield
        except ValueError:  # the endpoint in it is not valid
            raise _not_a_queue(self.url) from None
        except NoCredentialsError:
            raise InputError(
                error("no credentials were found: set AWS_ACCESS_KEY_ID, or AWS_PROFILE.")
            ) from None
        except ClientError as problem:
            code = str(problem.response.get("Error", {}).get("Code", ""))
            if "NonExistent" in code or "DoesNotExist" in code:
                raise InputError(error("there is no such queue: check its URL.")) from None
            if "AccessDenied" in code or "Invalid" in code or "Signature" in code:
                raise InputError(
                    error(
                        f"access is denied ({code}): allow these credentials sqs:ReceiveMessage, "
                        "sqs:DeleteMessage and sqs:GetQueueAttributes."
                    )
                ) from None
            raise SourceError(error(f"the queue failed ({code}).")) from None
        except (BotoCoreError, ResponseParserError) as problem:
            raise SourceError(error(f"the queue does not answer ({problem!s:.200}).")) from None


def _not_a_queue(url: str) -> InputError:
    return InputError(
        f"{url} is not the URL of a queue: write it as SQS shows it, such as "
        "https://sqs.eu-west-1.amazonaws.com/123456789012/pictures."
    )


def _sentence(url: str, problem: str) -> str:
    return f"{url}: {problem}"
