"""What others change in an image between its being read and written by a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lookalike.duplicates.decisions import decide
from lookalike.ingest.items import Change, Outcome
from lookalike.ingest.writer import Writer
from lookalike.protocols import Engine
from lookalike.types import Decision, Point
from tests.contract.test_engines import ENGINES, SPECS, point

HERE, OTHER = point(1), point(2)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with ENGINES[request.param](tmp_path / "index") as made:
        made.create(SPECS)
        made.upsert([HERE, OTHER])
        yield made


def described(before: Point, *, id: str | None = None, **changes: Any) -> Point:
    """A point as a run describes it anew."""
    own = {**before.payload["image"], "id": id or before.id, **changes}
    own.pop("gps", None)
    return Point(id or before.id, point(7).vectors, {**before.payload, "n": 8, "image": own})


def meanwhile(engine: Engine) -> None:
    """What another process does between the two."""
    engine.set_payload(HERE.id, {"price": 99.0, "n": 77, "category": None, "seen": 1})
    decide(engine, [HERE.id, OTHER.id], Decision.KEEP_ALL)


def stored(engine: Engine, id: str) -> Point:
    (found,) = engine.retrieve([id], vectors=["style"])
    return found


@pytest.mark.parametrize("edited", [False, True])
def test_an_image_described_anew_keeps_it(engine: Engine, edited: bool) -> None:
    sha256 = {"sha256": "e" * 64} if edited else {}
    new = described(HERE, etag="new", **sha256)
    writer = Writer(engine, None)
    writer.write([Change(Outcome.UPDATED, HERE.id, point=new, payload={"n": 8})])
    meanwhile(engine)
    writer.write([Change(Outcome.UPDATED, HERE.id, point=new, payload={"n": 8})])
    now = stored(engine, HERE.id)
    assert now.vectors["style"] == pytest.approx(new.vectors["style"], abs=1e-6)
    fields = {name: now.payload.get(name) for name in ("price", "n", "category", "seen")}
    assert fields == {"price": 99.0, "n": 8, "category": None, "seen": 1}
    assert now.payload["image"]["etag"] == "new"
    assert "gps" not in now.payload["image"]
    assert now.payload["image"].get("keep_all") == [OTHER.payload["image"]["sha256"]]


def test_an_edited_image_has_no_decisions_about_what_it_was(engine: Engine) -> None:
    writer = Writer(engine, None)
    writer.write([Change(Outcome.UPDATED, OTHER.id, payload={"n": 1})])
    meanwhile(engine)
    new = described(HERE, sha256="e" * 64)
    writer.write([Change(Outcome.UPDATED, HERE.id, point=new, payload={})])
    assert "keep_all" not in stored(engine, HERE.id).payload["image"]


def test_a_moved_image_takes_it_along(engine: Engine) -> None:
    writer = Writer(engine, None)
    new = described(HERE, id="photos/moved.jpg")
    meanwhile(engine)
    change = Change(
        Outcome.MOVED, new.id, point=new, replaced=HERE, obsolete_id=HERE.id, ends_move=True
    )
    writer.write([change])
    assert engine.retrieve([HERE.id]) == []
    now = stored(engine, new.id).payload
    fields = {name: now.get(name) for name in ("price", "n", "category", "seen")}
    assert fields == {"price": 99.0, "n": 8, "category": None, "seen": 1}
    assert now["image"]["keep_all"] == [OTHER.payload["image"]["sha256"]]


def test_an_image_that_was_removed_meanwhile_is_written_whole(engine: Engine) -> None:
    new = replace(HERE, vectors=point(7).vectors)
    engine.delete([HERE.id])
    Writer(engine, None).write([Change(Outcome.UPDATED, HERE.id, point=new, payload={})])
    assert stored(engine, HERE.id).payload == HERE.payload
