"""Sorting: images in the order of a number or date, and hits of a search put in such an order."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeAlias

from lookalike.errors import QueryError
from lookalike.fields import Field, describe_type
from lookalike.filters import parse_where
from lookalike.filters.parser import require_field
from lookalike.protocols import Engine, require_points
from lookalike.search.hits import Explanation, Hit, Hits
from lookalike.search.products import count_others, first_of_each, product_field
from lookalike.search.request import Request
from lookalike.system.times import parse_datetime
from lookalike.types import FieldType, Filter, Missing, Payload, Point, Range, join, point_id

Amount: TypeAlias = float | datetime

SORTED = 200
"""Best hits of a search that are put in an order."""

_BATCH = 500
_SORTABLE = (FieldType.INTEGER, FieldType.FLOAT, FieldType.DATETIME)


@dataclass(frozen=True, slots=True)
class Order:
    """An order of images by a field; images without a value come last.

    Attributes:
        field: of numbers or dates.
        descending: whether the greatest come first.
    """

    field: Field
    descending: bool

    @classmethod
    def of(cls, text: str, fields: Mapping[str, Field]) -> Order:
        """The order that a text such as "price" or "-price" stands for.

        Raises:
            QueryError: there is no such field, or it has no order.
        """
        descending = text.startswith("-") and text not in fields
        field = require_field(text.removeprefix("-") if descending else text, fields)
        if field.type not in _SORTABLE:
            raise QueryError(
                f"{field.name} is {describe_type(field.type)}: sort by a field of numbers or dates."
            )
        return cls(field, descending)

    def value(self, payload: Payload) -> Amount | None:
        """The value of an image."""
        value: Any = payload
        path = self.field.path
        for key in [path.strip('"')] if path.startswith('"') else path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None:
            return None
        return parse_datetime(value) if isinstance(value, str) else float(value)

    def key(self, payload: Payload) -> tuple[bool, float]:
        """A key to sort images by."""
        value = self.value(payload)
        if value is None:
            return True, 0.0
        number = value.timestamp() if isinstance(value, datetime) else value
        return False, -number if self.descending else number

    def beyond(self, value: Amount) -> Range:
        """Matches what comes after a value."""
        path = self.field.path
        return Range(path, lt=value) if self.descending else Range(path, gt=value)

    def at(self, value: Amount) -> Range:
        """Matches what has a value."""
        return Range(self.field.path, gte=value, lte=value)


def listed(engine: Engine, fields: Mapping[str, Field], request: Request) -> Hits:
    """The answer to a request that has nothing to search by: a page of the images in its order."""
    started = time.perf_counter()
    order = Order.of(request["sort"] or "", fields)
    filter = parse_where(request["where"], fields, request["params"], engine=engine)
    product = _product(request, fields)
    points = sorted_points(engine, order, filter, after=request["after"])
    if product is not None:
        points = first_of_each(points, product)
    first = request["offset"]
    page = list(islice(points, first, min(first + request["limit"], sys.maxsize)))
    others: dict[str, int] = {}
    if product is not None:
        shown = {point.id: point.payload for point in page}
        others = count_others(engine, product, filter, shown)
    hits = tuple(
        Hit(point.id, 0.0, {}, point.payload, others=others.get(point.id, 0)) for point in page
    )
    spent = (time.perf_counter() - started) * 1e3
    reason = "All matching images are in this order."
    explanation = Explanation({}, 0, 0, 1, None, {"engine": spent}, reason)
    return Hits(hits, True, {}, spent, explanation)


def _product(request: Request, fields: Mapping[str, Field]) -> Field | None:
    """The field that a list is collapsed by.

    Raises:
        QueryError: the request has an option that needs something to search by.
    """
    for name in ("crop", "diversity", "relevant"):
        if request[name]:
            raise QueryError(
                f"{name} needs something to search by, and a list of images sorted by a field has "
                "nothing: leave it out, or name a picture, id, text or color."
            )
    if request["collapse"] is True:
        raise QueryError(
            "Near-identical images are found among the hits of a search: collapse a sorted list "
            "by a field, such as a product."
        )
    if not request["collapse"]:
        return None
    if request["after"] is not None:
        raise QueryError(
            "after cannot continue a list that shows each product once: page with offset."
        )
    return product_field(request["collapse"], fields)


def sorted_points(
    engine: Engine,
    order: Order,
    filter: Filter | None,
    *,
    vectors: Sequence[str] = (),
    after: str | None = None,
) -> Iterator[Point]:
    """Yields all matching points in an order, or those after an image. Equal ones follow in the
    order of a scroll, so that pages by `after` neither repeat nor miss one.

    Raises:
        NotFound: the image `after` is gone.
    """
    without = join(filter, Missing(order.field.path))
    here = filter
    if after is not None:
        (last,) = require_points(engine, [after])
        value = order.value(last.payload)
        if value is None:
            yield from _scroll(engine, without, vectors, after)
            return
        yield from _scroll(engine, join(filter, order.at(value)), vectors, after)
        here = join(filter, order.beyond(value))
    while batch := engine.ordered(
        order.field.path, here, _BATCH, descending=order.descending, vectors=vectors
    ):
        end = _amount(batch[-1][0])
        is_last = len(batch) < _BATCH
        rows = [(_amount(value), point) for value, point in batch]
        rows = [(value, point) for value, point in rows if is_last or value != end]
        rows.sort(key=lambda row: (order.key(row[1].payload), point_id(row[1].id).int))
        yield from (point for _, point in rows)
        if is_last:
            break
        yield from _scroll(engine, join(filter, order.at(end)), vectors)
        here = join(filter, order.beyond(end))
    yield from _scroll(engine, without, vectors)


def _scroll(
    engine: Engine, filter: Filter | None, vectors: Sequence[str], after: str | None = None
) -> Iterator[Point]:
    for points in engine.scroll(filter, vectors=vectors, after=after):
        yield from points


def _amount(value: float | str) -> Amount:
    return parse_datetime(value) if isinstance(value, str) else float(value)
