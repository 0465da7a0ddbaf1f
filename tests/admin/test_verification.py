"""Differences between a copy and its source, each of them detected."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.admin.copy import NamedEngine, copy
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import EngineError
from lookalike.manifest import UNFINISHED
from lookalike.types import Point
from tests.admin.indexes import MANIFEST, At, assert_same, content, fill
from tests.contract.test_engines import point


def tampered(
    change: Callable[[EdgeEngine], None], source: NamedEngine, target: NamedEngine
) -> None:
    """A copy whose target someone else changes before it is compared."""
    assert isinstance(target.engine, EdgeEngine)
    engine = target.engine

    def last(done: int, total: int) -> None:
        if done == total:
            change(engine)

    copy(source, target, progress=last)


def with_vector(name: str, change: Callable[[np.ndarray[Any, Any]], None]) -> Point:
    one = point(3)
    changed = one.vectors[name].copy()
    change(changed)
    return Point(one.id, {**one.vectors, name: changed}, one.payload)


def flip(bits: np.ndarray[Any, Any]) -> None:
    bits[17] = 1 - bits[17]


def bend(values: np.ndarray[Any, Any]) -> None:
    values[2] += 1e-4


def replace_one(engine: EdgeEngine) -> None:
    engine.delete([point(3).id])
    engine.upsert([point(500)])


CHANGES: dict[str, Callable[[EdgeEngine], None]] = {
    "it holds 119 images instead of 120": lambda engine: engine.delete([point(3).id]),
    "it holds 121 images instead of 120": lambda engine: engine.upsert([point(500)]),
    "'photos/3.jpg' is missing": replace_one,
    "'price' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(
        point(3).id, {"price": 3.5 + 1e-9}
    ),
    "'image' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(
        point(3).id, {"image": {"etag": "4"}}
    ),
    "'tags' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(
        point(3).id, {"tags": ["b", "a"]}
    ),
    "'n' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(point(3).id, {"n": 3.0}),
    "'more' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(point(3).id, {"more": 1}),
    "'in_stock' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(
        point(3).id, {"in_stock": None}
    ),
    "the 'style' vector of 'photos/3.jpg' differs": lambda engine: engine.upsert(
        [with_vector("style", bend)]
    ),
    "the 'phash' vector of 'photos/3.jpg' differs": lambda engine: engine.upsert(
        [with_vector("phash", flip)]
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_any_difference_is_named(what: str, small: Path, tmp_path: Path, place: At) -> None:
    source, target = place(small), place(tmp_path / "copy")
    before = content(source)
    with pytest.raises(EngineError, match="which is untouched") as caught:
        tampered(CHANGES[what], source, target)
    assert what in str(caught.value)
    assert str(tmp_path / "copy") in str(caught.value)
    assert_same(before, content(source))
    assert target.engine.read_manifest() == {UNFINISHED: MANIFEST}


def test_the_last_bit_of_a_number_is_no_difference(tmp_path: Path, place: At) -> None:
    source, target = place(fill(tmp_path / "index", 30)), place(tmp_path / "copy")
    edge = 1.000000000005  # where rounding to 12 digits goes up, and for its neighbor down
    below = math.nextafter(edge, 0)
    assert f"{edge:.12g}" != f"{below:.12g}"
    source.engine.set_payload(point(3).id, {"price": edge})
    tampered(lambda engine: engine.set_payload(point(3).id, {"price": below}), source, target)
    stored = {one.engine.retrieve([point(3).id])[0].payload["price"] for one in (source, target)}
    assert stored == {edge, below}
    assert target.engine.read_manifest() == MANIFEST
