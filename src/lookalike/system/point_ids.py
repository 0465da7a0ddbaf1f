"""Ids of points in the engines."""

from __future__ import annotations

from hashlib import sha1
from typing import TypeAlias
from uuid import UUID

PointId: TypeAlias = UUID
"""A point's id in the engine, derived from the image's string id."""

_NAMESPACE = UUID("6f6b1f5e-0f9c-5c1b-8f0e-6c6f6f6b616c")


def point_id(id: str) -> PointId:
    """Returns the engine's id of an image: UUIDv5 of its string id, the same in every engine.

    Ids that are not valid UTF-8, as a shell may pass them, belong to no image and are no error.
    """
    name = id.encode("utf-8", "backslashreplace")
    # As `uuid.uuid5`, which takes text, and so twice the time.
    digest = sha1(_NAMESPACE.bytes + name, usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)


def as_point_id(id: PointId | str) -> PointId:
    """Returns the id of an engine's candidate, which some engines keep as text."""
    return UUID(id) if isinstance(id, str) else id


def next_point_id(id: str | None) -> PointId | None:
    """Returns the lowest possible id of a point after that of an image; None for None."""
    return None if id is None else UUID(int=point_id(id).int + 1)
