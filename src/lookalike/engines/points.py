"""Rules for stored points that both engines follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lookalike import record
from lookalike.errors import EngineError
from lookalike.manifest import UNFINISHED
from lookalike.types import Distance, Payload, Point

UNIQUE_FIELDS = frozenset(
    {
        record.URI,
        record.SHA256,
        record.PHASH,
        record.COPY_OF,
        record.NOT_DUPLICATES,
        record.KEEP_ALL,
    }
)
"""Indexed fields whose values differ from point to point. A search graph over such a field would be
useless, since no two points share a value, and filters use these fields too seldom to keep their
indexes in RAM."""


def check_vectors(
    points: Sequence[Point], read_manifest: Callable[[], Mapping[str, Any] | None]
) -> None:
    """Refuses vectors that Qdrant would accept silently and then rank by.

    Args:
        points: the points with the vectors.
        read_manifest: reads the manifest, which tells how vectors are compared.

    Raises:
        EngineError: a vector has NaN or infinity in it, or is zero and compared by its direction.
    """
    for point in points:
        for name, vector in point.vectors.items():
            if vector.dtype == np.float32 and 0 < np.dot(vector, vector) < np.inf:
                continue  # a fast path, a tenth of the time, for nearly all vectors
            if not np.isfinite(vector).all():
                raise EngineError(
                    f"The {name!r} vector of {point.id!r} has NaN or infinity in it; fix the "
                    "descriptor that made it."
                )
            if (
                vector.dtype == np.float32
                and not vector.any()
                and _is_cosine(name, read_manifest())
            ):
                raise EngineError(
                    f"The {name!r} vector of {point.id!r} is zero; fix the descriptor that made it."
                )


def _is_cosine(name: str, manifest: Mapping[str, Any] | None) -> bool:
    """Tells if a named vector is compared by its direction, as all are that no manifest names."""
    stored = manifest or {}
    spec = stored.get(UNFINISHED, stored).get("vectors", {}).get(name, {})
    return bool(spec.get("distance", Distance.COSINE) == Distance.COSINE)


def unnamed_vectors(
    points: Sequence[Point], names: Iterable[str]
) -> Mapping[tuple[str, ...], list[str]]:
    """The vectors that points do not name: ids of points by names of vectors.

    Args:
        points: the points.
        names: of all vectors that a point may have.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    every = list(names)
    for point in points:
        if others := tuple(name for name in every if name not in point.vectors):
            found.setdefault(others, []).append(point.id)
    return found


@dataclass(frozen=True, slots=True)
class PayloadUpdate:
    """A payload update, in the parts that Qdrant applies one by one.

    Attributes:
        fields: values of the user's fields.
        record: values in our own record, merged one level deeper.
        removed: JSON paths of fields to remove.
    """

    fields: Mapping[str, Any]
    record: Mapping[str, Any]
    removed: Sequence[str]

    @classmethod
    def of(cls, update: Payload) -> PayloadUpdate:
        """Splits an update in which None removes a field."""
        own: Mapping[str, Any] = update.get(record.KEY, {})
        users = {name: value for name, value in update.items() if name != record.KEY}
        cleared = [f'"{name}"' for name, value in users.items() if value is None]
        cleared += [f"{record.KEY}.{name}" for name, value in own.items() if value is None]
        return cls(_values(users), _values(own), cleared)


def _values(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
