"""Partitions: the parts into which several processes divide a listing."""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias

from lookalike.errors import InputError
from lookalike.metadata.names import as_bytes

Partition: TypeAlias = tuple[int, int]
"""The number of a part of the images, from 1, and the number of parts."""


def parse_partition(text: str) -> Partition:
    """Reads a partition such as `3/16`.

    Raises:
        InputError: the text is not a valid partition.
    """
    number, _, count = text.partition("/")
    try:
        return check_partition((int(number), int(count)))
    except ValueError:
        raise _invalid(text) from None


def check_partition(partition: Any) -> Partition:
    """Returns a valid partition unchanged.

    Raises:
        InputError: it is not a pair of integers, or its number is out of range.
    """
    match partition:
        case (int(number), int(count)) if 1 <= number <= count:
            return number, count
    raise _invalid(partition)


def belongs_to(partition: Partition | None, uri: str) -> bool:
    """True if an image belongs to a partition; each image belongs to exactly one of them.

    The SHA-256 of the address decides. The address is the same in every run, on every machine that
    sees the files at the same place, and for every source that names the image. Pruning can rely
    on it too: the address is all that an index still has of an image that is gone.

    Args:
        partition: None stands for all images.
        uri: the image's address, as the index stores it.
    """
    if partition is None:
        return True
    number, count = partition
    digest = hashlib.sha256(as_bytes(uri)).digest()
    return int.from_bytes(digest) % count == number - 1


def _invalid(partition: object) -> InputError:
    shown = "/".join(map(str, partition)) if isinstance(partition, tuple) else partition
    return InputError(
        f"{shown} is not a valid partition: give its number, from 1, and the number of partitions, "
        "such as 3/16."
    )
