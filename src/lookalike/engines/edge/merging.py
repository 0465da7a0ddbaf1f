"""Two shards of one index side by side: points in short, and points with a further vector."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from lookalike import record
from lookalike.types import Vector, point_id


class Outline(NamedTuple):
    """A point, in short.

    Attributes:
        point: its id in the engine.
        id: the image's.
        sha256: the image's.
        digest: of the payload.
    """

    point: uuid.UUID
    id: str
    sha256: str
    digest: bytes


def side_by_side(
    live: Iterator[Outline], staged: Iterator[Outline]
) -> Iterator[tuple[Outline | None, Outline | None]]:
    """The points of two shards by id; None where one of them lacks it."""
    one, other = next(live, None), next(staged, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.point < other.point):
            yield one, None
            one = next(live, None)
        elif one is None or other.point < one.point:
            yield None, other
            other = next(staged, None)
        else:
            yield one, other
            one, other = next(live, None), next(staged, None)


Exported: TypeAlias = tuple[uuid.UUID, Mapping[str, Any], Mapping[str, Any]]
"""A point that travels between shards: its id, its vectors by name, its payload."""


def merged(
    points: Sequence[Exported],
    name: str,
    updates: Sequence[tuple[str, str, Vector]],
    stored: Mapping[uuid.UUID, tuple[str, Vector]],
) -> list[Exported]:
    """Points with a further vector each, where there is one of the same image.

    Args:
        points: as the live shard has them.
        name: of the vector.
        updates: image id, SHA-256 and vector of images that get one.
        stored: SHA-256 and vector that points had before.
    """
    new = {(point_id(id), sha256): vector for id, sha256, vector in updates}
    old = {(point, sha256): vector for point, (sha256, vector) in stored.items()}
    result = []
    for point, vectors, payload in points:
        key = point, sha256_of(payload)
        vector = new.get(key, old.get(key))
        result.append((point, vectors if vector is None else {**vectors, name: vector}, payload))
    return result


def sha256_of(payload: Mapping[str, Any]) -> str:
    """The SHA-256 of a point's image; empty if the record was lost."""
    return str(payload.get(record.KEY, {}).get("sha256", ""))
