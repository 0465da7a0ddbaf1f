"""The contract of engines that give a living index another vector, and take one away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.engines.edge.client import EngineClient
from lookalike.engines.edge.process import SubprocessEngine
from lookalike.manifest import Manifest
from lookalike.types import (
    Distance,
    FieldType,
    HasVector,
    Not,
    Point,
    Query,
    VectorSpec,
    WeightedVector,
)
from tests.contract.test_engines import ENGINES, SPECS, point

NEW = VectorSpec("new", None, 12, Distance.COSINE, "float32", "other", "1")


@pytest.fixture(params=[name for name in ENGINES if name != "edge"] + ["client"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An engine with 40 points."""
    name = request.param
    opened: Callable[[Path], AbstractContextManager[Any]] = ENGINES.get(name, ENGINES["subprocess"])
    with ExitStack() as stack:
        made = stack.enter_context(opened(tmp_path / "index"))
        made.create(SPECS)
        made.write_manifest(Manifest.of(SPECS).to_json())
        made.create_field_index("image.sha256", FieldType.KEYWORD)
        made.upsert([_point(i) for i in range(40)])
        if name == "client":
            assert isinstance(made, SubprocessEngine)
            made.share(lambda: None)
            client = EngineClient.to(tmp_path / "index")
            assert client is not None
            stack.callback(client.close)
            made = client
        yield made


def _point(i: int, content: str = "") -> Point:
    made = point(i)
    sha256 = content or f"{i:064x}"
    image = {**made.payload["image"], "sha256": sha256}
    return Point(made.id, made.vectors, {**made.payload, "image": image})


def _vector(i: int) -> Any:
    return np.random.default_rng(i).normal(size=NEW.size).astype(np.float32)


def _lacking(engine: Any, limit: int = 7) -> list[str]:
    ids, after = [], None
    while page := engine.lacking("new", after, limit):
        ids += [one.id for one in page]
        after = page[-1].id
    return ids


def _fill(engine: Any, numbers: range) -> None:
    engine.set_vectors("new", [(point(i).id, f"{i:064x}", _vector(i)) for i in numbers])


def test_a_vector_is_added_filled_and_searched(engine: Any) -> None:
    everyone = {point(i).id for i in range(40)}
    before = engine.query([_by_style(3)])
    engine.add_vector(NEW)
    engine.add_vector(NEW)
    found = _lacking(engine)
    assert set(found) == everyone
    assert len(found) == 40
    _fill(engine, range(30))
    assert set(_lacking(engine)) == {point(i).id for i in range(30, 40)}
    assert engine.count_lacking("new") == 10
    assert [row.id for row in engine.query([_by_style(3)])[0]] == [row.id for row in before[0]]
    _fill(engine, range(30, 40))
    assert _lacking(engine) == []
    engine.install_vector("new")
    assert engine.count_lacking("new") == 0
    for i in (0, 39):
        near = WeightedVector("new", _vector(i), 1.0, Distance.COSINE)
        (rows,) = engine.query([Query((near,), limit=1)])
        assert rows[0].id == point(i).id
    (stored,) = engine.retrieve([point(3).id], vectors=["style", "new"])
    assert stored.payload == _point(3).payload
    new = _vector(3)
    np.testing.assert_allclose(stored.vectors["new"], new / np.linalg.norm(new), atol=1e-5)
    assert set(stored.vectors) == {"style", "new"}


def test_changes_meanwhile_are_followed(engine: Any) -> None:
    engine.add_vector(NEW)
    _fill(engine, range(40))
    engine.upsert([_point(1, "f" * 64), _point(40)])  # another picture, and a new one
    engine.set_payload(point(2).id, {"note": "sold", "image": {"keep_all": ["a"]}})
    engine.delete([point(3).id])
    amended = _point(5, "d" * 64)
    engine.amend([Point(amended.id, amended.vectors, {"image": {"sha256": "d" * 64}})])
    engine.set_vectors("new", [(point(4).id, "e" * 64, _vector(1))])  # of a picture that it was
    engine.set_vectors("new", [("nobody", "e" * 64, _vector(1))])
    engine.install_vector("new")
    lacking = {point(1).id, point(5).id, point(40).id}
    assert set(_lacking(engine)) == lacking
    assert engine.count_lacking("new") == len(lacking) == engine.count(Not(HasVector("new")))
    assert engine.count() == 40
    (changed,) = engine.retrieve([point(2).id], vectors=["new"])
    assert changed.payload["note"] == "sold"
    assert "new" in changed.vectors
    (kept,) = engine.retrieve([point(4).id], vectors=["new"])
    own = _vector(4)
    np.testing.assert_allclose(kept.vectors["new"], own / np.linalg.norm(own), atol=1e-5)
    engine.set_vectors("new", [(point(1).id, "f" * 64, _vector(1))])
    engine.set_vectors("new", [(point(5).id, "d" * 64, _vector(1))])
    assert _lacking(engine) == [point(40).id]
    engine.amend([Point(amended.id, amended.vectors, {"image": {"sha256": "c" * 64}})])
    assert set(_lacking(engine)) == {point(5).id, point(40).id}


def test_a_vector_is_removed(engine: Any) -> None:
    engine.add_vector(NEW)
    engine.drop_vector("new")  # before it was of any use
    engine.drop_vector("new")
    assert engine.count() == 40
    engine.add_vector(NEW)
    _fill(engine, range(40))
    engine.install_vector("new")
    engine.drop_vector("style")
    engine.upsert([Point("late", {"new": _vector(50)}, _point(50).payload)])
    (stored,) = engine.retrieve([point(3).id], vectors=["new"])
    assert set(stored.vectors) == {"new"}
    assert engine.count() == 41


def _by_style(i: int) -> Query:
    near = WeightedVector("style", point(i).vectors["style"], 1.0, Distance.COSINE)
    return Query((near,), limit=5)
