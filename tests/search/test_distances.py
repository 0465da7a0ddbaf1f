"""Own aspects compared by other distances than cosine, against brute force."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike import Index, Upload
from lookalike.errors import LookalikeError, ModelError, QueryError
from lookalike.output import labels
from lookalike.search import planner, threshold
from lookalike.search.recall import recall
from lookalike.search.targets import UNWANTED
from lookalike.types import Image, Point
from tests.support.pictures import draw

COUNT = 240
Floats = NDArray[np.float64]


class Lightness:
    """The means of two colors, by a distance: (0, 0) for a black picture."""

    size = 2
    version = "1"

    def __init__(self, distance: str, scale: float = 1.0) -> None:
        self.distance = distance
        self.scale = scale

    def describe(self, images: Sequence[Image]) -> Floats:
        means = [image.pixels.mean(axis=(0, 1)) for image in images]
        return self.scale * np.array([[mean[0], mean[2]] for mean in means])


def own() -> dict[str, Any]:
    return {
        "meters": Lightness("euclid", 100),
        "blocks": Lightness("manhattan", 0.01),
        "product": Lightness("dot"),
    }


def alike(aspect: str, rows: Floats, target: Floats) -> Floats:
    """The likeness of vectors to a target, written out."""
    match aspect:
        case "meters":
            made = -np.sqrt(((rows - target) ** 2).sum(axis=1))
        case "blocks":
            made = -abs(rows - target).sum(axis=1)
        case "semantic":
            made = rows @ target / np.linalg.norm(rows, axis=1) / np.linalg.norm(target)
        case _:
            made = rows @ target
    return np.asarray(made)


@pytest.fixture(scope="module")
def rows() -> dict[str, Floats]:
    rng = np.random.default_rng(3)
    made = {
        "semantic": rng.normal(0.2, 1, (COUNT, 512)),
        "color": rng.random((COUNT, 125)),
        "texture": rng.normal(0, 1, (COUNT, 198)),
        "meters": rng.normal(3000, 1000, (COUNT, 2)),
        "blocks": rng.normal(0, 0.01, (COUNT, 2)),
        "product": rng.normal(1, 2, (COUNT, 2)),
    }
    made["meters"][7] = made["blocks"][7] = made["product"][7] = 0
    return {aspect: one.astype(np.float32).astype(np.float64) for aspect, one in made.items()}


@pytest.fixture(scope="module")
def index(rows: dict[str, Floats]) -> Iterator[Index]:
    with Index.open(":memory:", model="built-in", aspects=own()) as opened:
        opened._engine.upsert([point(opened, rows, i) for i in range(COUNT)])
        opened.calibrate()
        yield opened


def point(index: Index, rows: Mapping[str, Floats], i: int) -> Point:
    vectors = {
        name: np.asarray(rows[aspect][i], np.float32)
        for aspect, name in index._manifest.aspects.items()
    }
    image = {"id": str(i), "sha256": f"{i:064x}", "phash": f"{i * 0x9E3779B97F4A7C15 % 2**64:016x}"}
    return Point(str(i), vectors, {"image": image})


def best(expected: Floats, count: int, without: Sequence[int] = ()) -> list[str]:
    order = [str(i) for i in np.argsort(-expected) if i not in without]
    return order[:count]


def close(expected: Any) -> Any:
    return pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("aspect", ["meters", "blocks", "product"])
def test_one_aspect(index: Index, rows: dict[str, Floats], aspect: str) -> None:
    expected = alike(aspect, rows[aspect], rows[aspect][5])
    hits = index.search(id="5", weights={aspect: 1}, limit=COUNT)
    assert [hit.id for hit in hits] == best(expected, COUNT, [5])
    assert hits.complete
    assert [hit.score for hit in hits] == close([expected[int(hit.id)] for hit in hits])
    given = index.search(vector={aspect: rows[aspect][5].tolist()}, limit=COUNT)
    assert [hit.id for hit in given] == best(expected, COUNT)


@pytest.mark.parametrize("aspect", ["meters", "blocks"])
@pytest.mark.parametrize("weights", [{}, {"semantic": 1}])
def test_no_distance_is_no_negative_zero(
    index: Index, rows: dict[str, Floats], aspect: str, weights: dict[str, float]
) -> None:
    target = {aspect: rows[aspect][7], **{name: rows[name][7] for name in weights}}
    (hit, *_) = index.search(vector=target, weights={aspect: 1.0, **weights})
    assert hit.id == "7"
    assert hit.scores[aspect] == 0
    assert math.copysign(1, hit.scores[aspect]) == 1
    nearly = replace(hit, score=-0.0004)
    assert repr(nearly) == "Hit('7', 0.000)"
    assert labels.score(nearly) == "0.000"


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("calibration", ["none", "spread"])
@pytest.mark.parametrize(
    "weights",
    [
        {"semantic": 0.5, "meters": 0.5},
        {"semantic": 0.6, "blocks": 0.3, "product": 0.1},
        {"meters": 0.5, "blocks": 0.5},
    ],
    ids=" ".join,
)
def test_a_blend_is_the_top_of_the_weighted_sum(
    index: Index,
    rows: dict[str, Floats],
    weights: dict[str, float],
    calibration: Any,
    exact: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planner, "SMALL_INDEX", 0)
    monkeypatch.setattr(threshold, "FIRST_CANDIDATES", 20)
    monkeypatch.setattr(threshold, "FIRST_COMPARED", 15)
    each = {aspect: alike(aspect, rows[aspect], rows[aspect][9]) for aspect in weights}
    factors = {aspect: weight / spread_of(rows, aspect) for aspect, weight in weights.items()}
    if calibration == "none":
        factors = weights
    expected = np.sum([factors[aspect] * one for aspect, one in each.items()], axis=0)
    hits = index.search(id="9", weights=weights, calibration=calibration, exact=exact)
    assert [hit.id for hit in hits] == best(expected, 10, [9])
    assert hits.complete is (True if exact else None)
    for hit in hits:
        assert hit.scores == close({aspect: one[int(hit.id)] for aspect, one in each.items()})


def spread_of(rows: dict[str, Floats], aspect: str) -> float:
    """The spread of the similarity of all pairs."""
    every = np.array([alike(aspect, rows[aspect], row) for row in rows[aspect]])
    return float(every[~np.eye(COUNT, dtype=bool)].std())


@pytest.mark.parametrize("aspect", ["meters", "blocks", "product"])
def test_several_examples_are_their_mean_point(
    index: Index, rows: dict[str, Floats], aspect: str
) -> None:
    own = rows[aspect]
    likes, dislike, examples = own[[1, 9, 34]], own[11], [1, 9, 34, 11]
    mean, total = likes.mean(axis=0), likes.sum(axis=0) - dislike
    targets = {
        "average": mean - UNWANTED * dislike if aspect == "product" else (
            (mean - UNWANTED * dislike) / (1 - UNWANTED)
        ),
        "sum": total if aspect == "product" else total / 2,
    }  # fmt: skip
    for strategy, target in targets.items():
        hits = index.recommend(
            ["1", "9", "34"], ["11"], strategy=strategy, weights={aspect: 1}  # type: ignore[arg-type]
        )  # fmt: skip
        assert [hit.id for hit in hits] == best(alike(aspect, own, target), 10, examples)
    hits = index.recommend(["1", "9"], ["11"], strategy="best", weights={aspect: 1}, limit=COUNT)
    each = [alike(aspect, own, own[i]) for i in (1, 9)]
    nearest, other = np.max(each, axis=0), alike(aspect, own, own[11])
    kept = [i for i in best(nearest, COUNT, [1, 9, 11]) if nearest[int(i)] >= other[int(i)]]
    assert [hit.id for hit in hits] == kept


def test_no_point_is_farthest(index: Index, rows: dict[str, Floats]) -> None:
    for aspect in "meters", "blocks":
        with pytest.raises(QueryError, match="No point is farthest"):
            index.recommend(unlike=["1"], weights={aspect: 1})
        with pytest.raises(QueryError, match="No point is farthest"):
            index.recommend(["1"], ["2"], strategy="sum", weights={aspect: 1})
    opposite = index.recommend(unlike=["1"], weights={"product": 1})
    expected = -alike("product", rows["product"], rows["product"][1])
    assert [hit.id for hit in opposite] == best(expected, 10, [1])


def test_what_is_relevant_diverse_and_like_itself(index: Index, rows: dict[str, Floats]) -> None:
    far = Upload(np.asarray(draw(1)), id="far", vector={"meters": [90_000, 90_000]})
    near = Upload(np.asarray(draw(2)), id="near", vector={"meters": [90_001, 90_000]})
    index.put([far, near])
    try:
        hits = index.search(id="far", weights={"meters": 1}, relevant=True)
        assert hits[0].id == "near"
        assert len(hits) < 4
        copies = index.search(vector={"meters": [90_000, 90_000]}, relevant=True)
        assert [hit.id for hit in copies][:2] == ["far", "near"]
        assert len(copies) < 5
    finally:
        index.delete(["far", "near"])
    hits = index.search(id="5", weights={"meters": 1}, diversity=1, limit=COUNT)
    nearest = best(alike("meters", rows["meters"], rows["meters"][5]), 1, [5])
    assert hits[0].id == nearest[0]
    between = alike("meters", rows["meters"], rows["meters"][int(hits[0].id)])
    pool = best(alike("meters", rows["meters"], rows["meters"][5]), 100, [5])
    assert hits[1].id == min(pool, key=lambda id: between[int(id)])


def test_vectors_are_kept_as_they_are(tmp_path: Path) -> None:
    pictures = [np.asarray(draw(i)) for i in range(3)]
    black = np.zeros((32, 32, 3), np.uint8)
    with Index.open(":memory:", model="built-in", aspects={"meters": own()["meters"]}) as index:
        made = index.embed([*pictures, black], aspect="meters")
        index.put({"image": one, "id": i} for i, one in enumerate([*pictures, black]))
        index.copy(tmp_path / "copy")
    with Index.open(tmp_path / "copy", aspects={"meters": own()["meters"]}) as copy:
        kept = [copy.get(i, vectors=True).vectors["meters"].tolist() for i in range(4)]
        assert kept == made.tolist()
        assert kept[3] == [0, 0]
        assert not copy.verify().problems
        assert [hit.id for hit in copy.search(image=black, weights={"meters": 1}, limit=1)] == ["3"]
        assert copy.doctor(probes=4)


def test_groups_are_by_distance(index: Index, rows: dict[str, Floats]) -> None:
    groups = index.cluster(2, aspect="meters")
    for group in (0, 1):
        own = rows["meters"][[int(id) for id, number in groups.items() if number == group]]
        other = rows["meters"][[int(id) for id, number in groups.items() if number != group]]
        gain = alike("meters", own, own.mean(axis=0)) - alike("meters", own, other.mean(axis=0))
        assert gain.min() > -1
    assert len(index.cluster(aspect="blocks")) == len(index)


def test_recall_is_measured_by_distance(index: Index) -> None:
    for aspect in "meters", "blocks", "product":
        found = recall(index._engine, index._manifest.vectors[aspect], 20)
        assert found is not None
        assert found.mean == 1


def test_an_index_keeps_its_distances(tmp_path: Path) -> None:
    aspects = {"light": Lightness("manhattan")}
    Index.open(tmp_path / "own", model="built-in", aspects=aspects).close()
    for distance in "euclid", "cosine":
        with pytest.raises(ModelError, match=f"2 dimensions, manhattan.*2 dimensions, {distance}"):
            Index.open(tmp_path / "own", aspects={"light": Lightness(distance)})
    with Index.open(tmp_path / "own", aspects=aspects) as index:
        assert index.aspects[-1] == "light"


@pytest.mark.parametrize(
    ("vector", "message"),
    [([1e16, 0], "longer than 1e"), ([np.nan, 0], "NaN or infinity"), ([1e300, 0], "infinity")],
)
def test_a_vector_that_cannot_be_compared_is_refused(
    index: Index, vector: list[float], message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        index.search(vector={"meters": vector})
    with pytest.raises(LookalikeError, match=message):
        index.put([Upload(np.asarray(draw(1)), id="bad", vector={"meters": vector})])
    assert "bad" not in index
