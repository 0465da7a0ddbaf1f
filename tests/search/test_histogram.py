"""Histograms: every value in one bin, counted by the embedded engine itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import EngineError, QueryError
from lookalike.fields import OWN_FIELDS, Field, fields_of, user_field
from lookalike.search.histogram import Histogram, histogram
from lookalike.system.times import format_datetime
from lookalike.types import AnyOfValues, Distance, FieldType, Point, Range, VectorSpec

WHOLE = user_field("n", FieldType.INTEGER)
NUMBER = user_field("price", FieldType.FLOAT)
MOMENT = user_field("taken at", FieldType.DATETIME)  # a path in quotes
NESTED = OWN_FIELDS["image.bytes"]
KIND = user_field("kind", FieldType.KEYWORD)

Fill = Callable[[Field, Iterable[Any]], None]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeEngine]:
    made = EdgeEngine(tmp_path_factory.mktemp("histogram") / "index")
    made.create((VectorSpec("style", None, 2, Distance.COSINE, "float32", "test", "1"),))
    for field in (WHOLE, NUMBER, MOMENT, NESTED, KIND):
        made.create_field_index(field.path, field.type)
    yield made
    made.close()


@pytest.fixture(scope="module")
def fill(engine: EdgeEngine) -> Fill:
    """Replaces all points by one per value; None makes a point without a value."""

    def fill(field: Field, values: Iterable[Any]) -> None:
        engine.delete([point.id for batch in engine.scroll() for point in batch])
        points = []
        for i, value in enumerate(values):
            payload: dict[str, Any] = {"kind": "ab"[i % 2], "image": {"id": str(i)}}
            held = format_datetime(value) if isinstance(value, datetime) else value
            if held is not None:
                place = payload["image"] if field is NESTED else payload
                place[field.name.removeprefix("image.")] = held
            points.append(Point(str(i), {"style": np.ones(2, np.float32)}, payload))
        engine.upsert(points)

    return fill


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def edges(made: Histogram) -> list[Any]:
    return [bin.low for bin in made.bins] + [bin.high for bin in made.bins[-1:]]


def counts(made: Histogram) -> list[int]:
    return [bin.count for bin in made.bins]


def check(made: Histogram, values: Sequence[Any], bins: int) -> None:
    """Checks all properties of the histogram of `values`; None is a missing value."""
    present = [value for value in values if value is not None]
    assert made.missing == len(values) - len(present)
    assert made.count == len(present) == sum(counts(made))
    if not present:
        assert (made.low, made.high, made.bins) == (None, None, ())
        return
    assert (made.low, made.high) == (min(present), max(present))
    assert 1 <= len(made.bins) <= 2 * bins
    assert all(bin.high == after.low for bin, after in pairwise(made.bins))
    assert edges(made) == sorted(edges(made))
    assert len({bin.low for bin in made.bins}) == len(made.bins)
    last = made.bins[-1]
    for bin in made.bins:
        inside = sum(
            bin.low <= value < bin.high or (bin is last and value == bin.high) for value in present
        )
        assert bin.count == inside, bin


# --- bounds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "values"),
    [
        (WHOLE, [3, -4, None, 17, 17, 0, -4]),
        (WHOLE, [2**60 + 1, 2**60, None, 2**60 + 2]),
        (WHOLE, [-(2**63), 2**63 - 1, 5]),
        (NUMBER, [0.1 + 0.2, None, 1e300, -2.5e-7, 1.0797929385852889e-05]),
        (NUMBER, [1.0797929385852889e-05]),  # what the payload gives back is a bit less
        (NUMBER, [5, 7]),
        (NESTED, [300, None, 20]),
        (MOMENT, [at("0001-01-01"), at("9999-12-31T23:59:59.999999"), None, at("2024-05-01")]),
    ],
)
def test_bounds_are_the_least_and_the_greatest_value(
    engine: EdgeEngine, fill: Fill, field: Field, values: list[Any]
) -> None:
    fill(field, values)
    present = [value for value in values if value is not None]
    low, high = min(present), max(present)
    if field is MOMENT:
        low, high = format_datetime(low), format_datetime(high)
    assert engine.bounds(field.path) == (low, high)


def test_bounds_are_those_of_the_points_that_pass(engine: EdgeEngine, fill: Fill) -> None:
    fill(NUMBER, [1.0, 2.0, 3.0, None, 5.0, 6.0])  # kinds a b a b a b
    assert engine.bounds(NUMBER.path, AnyOfValues("kind", ("a",))) == (1, 5)
    assert engine.bounds(NUMBER.path, Range(NUMBER.path, gt=1, lt=6)) == (2, 5)
    assert engine.bounds(NUMBER.path, AnyOfValues("kind", ("c",))) is None
    assert engine.bounds(WHOLE.path) is None


def test_bounds_follow_deleted_and_replaced_points(engine: EdgeEngine, fill: Fill) -> None:
    fill(WHOLE, [1, 2, 3, 4])
    engine.delete(["0"])
    engine.set_payload("3", {"n": -9})
    assert engine.bounds(WHOLE.path) == (-9, 3)


def test_bounds_of_a_field_without_an_index_are_refused(engine: EdgeEngine) -> None:
    with pytest.raises(EngineError, match="nowhere"):
        engine.bounds("nowhere")


# --- edges ----------------------------------------------------------------------------------

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("field", "values", "bins", "expected"),
    [
        (WHOLE, [1, 5, 3], 10, [1, 2, 3, 4, 5, 6]),
        (WHOLE, [-7, 12], 10, [-8, -6, -4, -2, 0, 2, 4, 6, 8, 10, 12, 14]),
        (WHOLE, [3, 97], 4, [0, 20, 40, 60, 80, 100]),
        (WHOLE, [42, 42], 10, [42, 42]),
        (NUMBER, [0.0, 0.3, 0.7], 7, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]),
        (NUMBER, [0.3, 0.7], 4, [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]),
        (NUMBER, [19.99], 10, [19.99, 19.99]),
        (NUMBER, [-0.5, 0.5], 1, [-1.0, 0.0, 1.0]),
        (NUMBER, [1.0, 1.0000001], 5, [1 + n * 2e-8 for n in range(7)]),
        (NUMBER, [1.0, math.nextafter(1, 2)], 10, [1.0, *[math.nextafter(1, 2)] * 2]),
        (MOMENT, [at("2024-01-31"), at("2024-10-01")], 10, [
            *(at(f"2024-{month:02}-01") for month in range(1, 12))]),
        (MOMENT, [at("2023-11-30"), at("2024-05-01")], 3, [
            at("2023-10-01"), at("2024-01-01"), at("2024-04-01"), at("2024-07-01")]),
        (MOMENT, [at("2024-03-06"), at("2024-03-27")], 4, [
            at("2024-03-04") + 7 * n * DAY for n in range(5)]),  # Mondays
        (MOMENT, [at("2024-03-04"), at("2024-03-25")], 10, [  # 22 days are too many
            at("2024-03-04") + 7 * n * DAY for n in range(5)]),
        (MOMENT, [at("1987-06-01"), at("2024-05-01")], 4, [
            at(f"{year}-01-01") for year in (1980, 1990, 2000, 2010, 2020, 2030)]),
        (MOMENT, [at("2024-05-01T10:00:07"), at("2024-05-01T10:01:10")], 5, [
            at("2024-05-01T10:00") + timedelta(seconds=15 * n) for n in range(6)]),
        (MOMENT, [at("0001-01-01"), at("9999-12-31")], 2, [
            at("0001-01-01"), at("5000-01-01"), datetime.max.replace(tzinfo=UTC)]),
    ],
)  # fmt: skip
def test_edges_are_those_a_person_would_draw(
    engine: EdgeEngine, fill: Fill, field: Field, values: list[Any], bins: int, expected: list[Any]
) -> None:
    fill(field, values)
    made = histogram(engine, field, None, bins=bins)
    found = edges(made)
    assert found == (pytest.approx(expected, rel=1e-15) if field is NUMBER else expected)
    check(made, values, bins)


def test_the_edges_of_whole_numbers_are_whole(engine: EdgeEngine, fill: Fill) -> None:
    fill(WHOLE, [1, 2])
    assert [type(edge) for edge in edges(histogram(engine, WHOLE, None, bins=1000))] == [int] * 3


def test_a_date_before_the_first_step_of_centuries_stays_in_year_1(
    engine: EdgeEngine, fill: Fill
) -> None:
    values = [at("0001-03-01"), at("0900-01-01"), at("9999-12-31T23:59:59.999999")]
    fill(MOMENT, values)
    for bins in (1, 2, 5, 10, 1000):
        made = histogram(engine, MOMENT, None, bins=bins)
        check(made, values, bins)
        assert edges(made)[0].year == 1


# --- counts ---------------------------------------------------------------------------------

INTEGERS = st.one_of(
    st.integers(-100, 100), st.integers(2**60, 2**60 + 2000), st.integers(-(2**63), 2**63 - 1)
)
FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-1000, 1000).map(lambda n: n / 10),
    st.floats(1.0, 1.0000001),
)
MOMENTS = st.one_of(
    st.datetimes(),
    st.datetimes(datetime(2020, 1, 1), datetime(2025, 1, 1)),
    st.datetimes(datetime(2024, 5, 1), datetime(2024, 5, 1, 0, 1)),
).map(lambda moment: moment.replace(tzinfo=UTC))

QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | values, max_size=12)


BINS = st.sampled_from([1, 2, 3, 10, 50])


@QUICK
@given(values=some(INTEGERS), bins=BINS)
@example(values=[2**60 + 200], bins=10)
@example(values=[2**60 + 200, 2**60 + 201, 2**60 + 700], bins=10)
@example(values=[-(2**63), 2**63 - 1], bins=1)
@example(values=[2**53 + 1, 2**53 + 2, 2**53 + 3], bins=1)
def test_every_whole_number_is_counted_once(
    engine: EdgeEngine, fill: Fill, values: list[Any], bins: int
) -> None:
    fill(WHOLE, values)
    check(histogram(engine, WHOLE, None, bins=bins), values, bins)


@QUICK
@given(values=some(FLOATS), bins=BINS)
@example(values=[-1.7976931348623157e308, 1.7976931348623157e308], bins=10)
@example(values=[0.0, 5e-324], bins=50)
@example(values=[-0.0, 0.0], bins=10)
@example(values=[1e300, 1e-300, None], bins=10)
@example(values=[0.1, 0.2, 0.1 + 0.2, 0.3, 0.7, 0.6], bins=6)
def test_every_number_is_counted_once(
    engine: EdgeEngine, fill: Fill, values: list[Any], bins: int
) -> None:
    fill(NUMBER, values)
    check(histogram(engine, NUMBER, None, bins=bins), values, bins)


@QUICK
@given(values=some(MOMENTS), bins=BINS)
@example(values=[at("9999-12-31T23:59:59.999999"), at("9999-12-31T23:59:59.999998")], bins=1)
@example(values=[at("0001-01-01"), at("0001-01-01T00:00:00.000001")], bins=50)
def test_every_moment_is_counted_once(
    engine: EdgeEngine, fill: Fill, values: list[Any], bins: int
) -> None:
    fill(MOMENT, values)
    check(histogram(engine, MOMENT, None, bins=bins), values, bins)


def test_a_filter_narrows_the_bins_and_what_is_missing(engine: EdgeEngine, fill: Fill) -> None:
    values = [10.0, 0.5, 14.5, None, None, 99.0, 12.0]  # kinds a b a b a b a
    fill(NUMBER, values)
    made = histogram(engine, NUMBER, AnyOfValues("kind", ("a",)), bins=5)
    assert (made.field, made.low, made.high, made.count, made.missing) == ("price", 10, 14.5, 3, 1)
    assert edges(made) == [10, 11, 12, 13, 14, 15]
    assert counts(made) == [1, 0, 1, 0, 1]
    nothing = histogram(engine, NUMBER, AnyOfValues("kind", ("c",)))
    assert nothing == Histogram("price", None, None, 0, 0, ())


def test_our_own_fields_have_histograms_too(engine: EdgeEngine, fill: Fill) -> None:
    fill(NESTED, [1000, 2500, 2600, None])
    made = histogram(engine, NESTED, None, bins=4)
    assert edges(made) == [1000, 1500, 2000, 2500, 3000]
    assert (counts(made), made.missing) == ([1, 0, 0, 2], 1)


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [0, -1, 1001])
def test_a_number_of_bins_that_cannot_be_is_refused(engine: EdgeEngine, bins: int) -> None:
    with pytest.raises(QueryError, match=rf"price cannot have {bins} bins: ask for 1 to 1000"):
        histogram(engine, NUMBER, None, bins=bins)


@pytest.mark.parametrize("type", [FieldType.KEYWORD, FieldType.KEYWORDS, FieldType.BOOLEAN])
def test_a_field_without_an_order_is_refused(engine: EdgeEngine, type: FieldType) -> None:
    field = fields_of({"brand": type})["brand"]
    with pytest.raises(QueryError, match=r"Field brand is .* ask for its facets"):
        histogram(engine, field, None)
