"""Messages about objects that were stored or deleted, as S3 sends them to queues.

Three forms name the same: S3's own records, the events of EventBridge, and either of them in an
envelope of SNS. A message only says where to look; it may be late, doubled, or out of order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

TEST = "s3:TestEvent"
"""The event that S3 sends when a queue is set up."""
_ENVELOPES = 3


def objects_in(body: str) -> Sequence[str] | None:
    """Reads the addresses of the objects that a message names.

    Args:
        body: the text of the message.

    Returns:
        The addresses, such as `s3://bucket/key`; none for a test event, or for one that concerns no
        object's content. None if it is not a notification of S3.
    """
    message = _parsed(body)
    for _ in range(_ENVELOPES):
        if not isinstance(message, Mapping):
            return None
        if message.get("Type") == "Notification" and "Message" in message:
            message = _parsed(message["Message"])
        elif message.get("Event") == TEST:
            return ()
        elif message.get("source") == "aws.s3":
            return _of_event_bridge(message)
        elif "Records" in message:
            return _of_records(message["Records"])
    return None


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


def _of_records(records: Any) -> Sequence[str] | None:
    """The addresses in S3's records, whose keys are encoded as in a form."""
    try:
        return [
            _address(one["s3"]["bucket"]["name"], unquote_plus(one["s3"]["object"]["key"]))
            for one in records
        ]
    except (KeyError, TypeError, AttributeError):
        return None


def _of_event_bridge(event: Mapping[str, Any]) -> Sequence[str] | None:
    """The address in an event of EventBridge, whose key is written as it is."""
    try:
        detail = event["detail"]
        return [_address(detail["bucket"]["name"], detail["object"]["key"])]
    except (KeyError, TypeError):
        return None


def _address(bucket: Any, key: Any) -> str:
    if not (isinstance(bucket, str) and isinstance(key, str) and bucket and key):
        raise TypeError
    return f"s3://{bucket}/{key}"
