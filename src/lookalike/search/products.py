"""Products: images that share the value of a field, of which a search shows one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lookalike import record
from lookalike.errors import QueryError
from lookalike.fields import Field
from lookalike.filters.conditions import equals
from lookalike.filters.parser import require_field
from lookalike.protocols import Engine
from lookalike.search.facets import CONTINUOUS, UNCOUNTED
from lookalike.types import FieldType, Filter, Payload, Point, join


def product_field(name: str, fields: Mapping[str, Field]) -> Field:
    """The field that hits are collapsed by.

    Raises:
        QueryError: there is no such field, or its values are not shared by images.
    """
    field = require_field(name, fields)
    if field.type in (*CONTINUOUS, *UNCOUNTED) or field.name.startswith(f"{record.KEY}."):
        raise QueryError(
            f"Hits cannot be collapsed by {field.name}: name a field of your own that holds "
            "texts, whole numbers, or true and false."
        )
    return field


def product_value(payload: Payload, field: Field) -> Any:
    """The value that images of one product share; None if there is none."""
    value = payload.get(field.name)
    return tuple(value) or None if isinstance(value, list) else value


def first_of_each(points: Iterable[Point], field: Field) -> Iterator[Point]:
    """The first image of each product, and all images without one."""
    seen: set[Any] = set()
    for point in points:
        value = product_value(point.payload, field)
        if value is None or value not in seen:
            yield point
        seen.add(value)


def count_others(
    engine: Engine, field: Field, filter: Filter | None, shown: Mapping[str, Payload]
) -> dict[str, int]:
    """Counts the other matching images of the products shown, by the id of the one shown; empty
    for a field of lists.

    Args:
        engine: holds the points.
        field: that hits are collapsed by.
        filter: restricts the images.
        shown: payloads of the images shown, by id.
    """
    if field.type is FieldType.KEYWORDS:
        return {}
    values = {id: product_value(payload, field) for id, payload in shown.items()}
    known = [value for value in values.values() if value is not None]
    if not known:
        return {}
    counts = dict(engine.facet(field.path, join(filter, equals(field, known)), len(known)))
    return {id: counts.get(value, 1) - 1 for id, value in values.items()}
