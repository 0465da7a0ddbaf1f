"""Facets: the most frequent values of a field."""

from __future__ import annotations

from collections import Counter

from lookalike import record
from lookalike.errors import QueryError
from lookalike.fields import Field
from lookalike.protocols import Engine
from lookalike.system.text import with_article
from lookalike.types import FieldType, Filter

CONTINUOUS = frozenset({FieldType.FLOAT, FieldType.DATETIME})
"""Types whose values are rarely equal; they have histograms instead of facets."""

UNCOUNTED = {
    FieldType.TEXT: "a long text and has no values to count: filter by its words with matches.",
    FieldType.GEO: "a place and has no values to count: filter by a circle around one.",
}
"""Types that are neither counted nor collapsed by, with the reason."""

MOST_URIS = 1_000_000
"""Addresses from which folders are counted."""

MAX_COUNTED = 1_000
"""Distinct values up to which they are counted."""


def facets(
    engine: Engine, field: Field, filter: Filter | None, limit: int
) -> list[tuple[str | int | bool, int]]:
    """Counts the values of a field, most frequent first; see `Index.facets`."""
    if field.type in CONTINUOUS:
        raise QueryError(
            f"{field.name} is {with_article(field.type)} and has ranges instead of values: ask for "
            "its histogram."
        )
    if field.type in UNCOUNTED:
        raise QueryError(f"{field.name} is {UNCOUNTED[field.type]}")
    if field.name == record.FOLDER:
        folders = Counter[str | int | bool]()
        for uri, count in engine.facet(field.path, filter, MOST_URIS):
            folders[str(uri).rpartition("/")[0]] += count
        return sorted(folders.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return engine.facet(field.path, filter, limit)


def distinct_values(engine: Engine, field: Field) -> int | None:
    """Number of distinct values, up to `MAX_COUNTED`; None for types that are not counted."""
    if field.type in CONTINUOUS or field.type in UNCOUNTED:
        return None
    return len(engine.facet(field.path, limit=MAX_COUNTED))
