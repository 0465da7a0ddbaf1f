"""Pages, diversity, collapsing, relevance; and the explanation of a ranking."""

from __future__ import annotations

import io
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from lookalike.errors import QueryError
from lookalike.index import Index
from lookalike.search.hits import Hits
from tests.search.indexes import (
    BLEND,
    COUNT,
    Shop,
    fill,
    ids,
)

WAYS: list[dict[str, Any]] = [
    {},
    {"weights": BLEND},
    {"diversity": 0.4},
    {"diversity": 1.0, "weights": BLEND},
    {"collapse": True},
    {"collapse": True, "diversity": 0.4},
    {"relevant": True},
    {"strategy": "best", "like": ["sku-3", "sku-20"], "unlike": ["sku-8"]},
    {"strategy": "best", "like": ["sku-3", "sku-20"], "unlike": ["sku-8"], "diversity": 0.3},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_pages_fit_together(shop: Shop, way: dict[str, Any]) -> None:
    asked = way if "like" in way else {"image": str(shop.file(3)), **way}
    asked = {**asked, "where": "n != 1001"}  # without the twin no two have the same score
    answers = shop.index.search_many(
        [
            {**asked, "limit": 10},
            {**asked, "limit": 10, "offset": 10},
            {**asked, "limit": 20},
            {**asked, "limit": 10, "offset": 10_000},
        ]
    )
    pages = [[asdict(hit) for hit in hits] for hits in answers if isinstance(hits, Hits)]
    first, second, both, none = pages
    assert first + second == both
    assert none == []


@pytest.mark.parametrize("way", [{}, {"weights": BLEND}, {"weights": BLEND, "diversity": 0.3}])
def test_pages_fit_together_where_pictures_are_the_same(tmp_path: Path, way: Any) -> None:
    """Products that share a picture have the same score: none may take the place of another."""
    rng = np.random.default_rng(0)
    with Index.open(tmp_path / "index", model="built-in") as index:
        sizes = {
            a: index._manifest.vectors[name].size for a, name in index._manifest.aspects.items()
        }
        pictures = [{a: rng.standard_normal(n) for a, n in sizes.items()} for _ in range(20)]
        fill(index, lambda i: pictures[i // 3], 60)
        pages = [index.search(id="0", limit=4, offset=offset, **way) for offset in range(0, 60, 4)]
        shown = [hit.id for page in pages for hit in page]
        assert len(shown) == len(set(shown)) == 59
        assert shown == ids(index.search(id="0", limit=60, **way))


def test_later_pages_fit_together_too(many: Shop) -> None:
    for collapse in (False, True):
        pages = [
            many.index.search(id="0", limit=20, offset=offset, diversity=0.5, collapse=collapse)
            for offset in range(0, 100, 20)
        ]
        shown = [hit.id for page in pages for hit in page]
        assert len(shown) == len(set(shown)) == 100


def test_no_diversity_is_the_plain_ranking(shop: Shop) -> None:
    asked: dict[str, Any] = {"weights": BLEND, "where": "n != 1001", "limit": 30}
    plain = shop.index.search(image=shop.file(3), **asked)
    zero = shop.index.search(image=shop.file(3), diversity=0.0, **asked)
    assert [asdict(hit) for hit in zero] == [asdict(hit) for hit in plain]


def test_diverse_hits_are_less_like_each_other(shop: Shop) -> None:
    within = []
    for diversity in (0.0, 0.5, 1.0):
        hits = shop.index.search(image=shop.file(3), diversity=diversity)
        assert hits[0].id == "sku-3"
        vectors = np.array([shop.of(hit.id) for hit in hits])
        within.append(float((vectors @ vectors.T).mean()))
        for hit in hits:
            assert hit.score == pytest.approx(shop.scores(shop.of("sku-3"))[hit.id], abs=1e-4)
    assert within[0] > within[1] > within[2]


@pytest.mark.parametrize("diversity", [-0.1, 1.1, math.nan, math.inf])
def test_diversity_is_from_0_to_1(shop: Shop, diversity: float) -> None:
    with pytest.raises(QueryError, match=r"diversity must be from 0 to 1 \(got "):
        shop.index.search(id="sku-1", diversity=diversity)


def test_near_identical_images_show_once(shop: Shop) -> None:
    plain = shop.index.search(image=shop.file(3), limit=COUNT)
    assert all(hit.variants == () for hit in plain)
    hits = shop.index.search(image=shop.file(3), collapse=True, limit=COUNT)
    assert hits[0].id == "sku-3"
    assert hits[0].variants == ("sku-copy",)
    twins = next(hit for hit in hits if hit.id in ("sku-5", "sku-twin"))
    assert {twins.id, *twins.variants} >= {"sku-5", "sku-twin"}
    everyone = [id for hit in hits for id in (hit.id, *hit.variants)]
    assert sorted(everyone) == sorted(ids(plain))  # all are there, each once
    assert len(shop.index.search(image=shop.file(3), collapse=True, limit=5)) == 5


def test_what_is_no_closer_than_chance_is_dropped(shop: Shop) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 120, 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(noise).save(file, "PNG")
    assert len(shop.index.search(image=file.getvalue())) == 10
    assert len(shop.index.search(image=file.getvalue(), relevant=True)) == 0


@pytest.mark.parametrize("way", [{}, {"diversity": 0.3}, {"collapse": True}, {"weights": BLEND}])
def test_a_copy_is_relevant(shop: Shop, way: dict[str, Any]) -> None:
    hits = shop.index.search(image=shop.file(3), relevant=True, limit=COUNT, **way)
    floor = hits.explanation.relevant_from
    assert floor is not None
    assert {"sku-3", "sku-copy"} <= {id for hit in hits for id in (hit.id, *hit.variants)}
    assert len(hits) < COUNT
    plain = shop.index.search(image=shop.file(3), limit=COUNT, weights=way.get("weights"))
    if way.keys() <= {"weights"}:
        assert ids(hits) == [hit.id for hit in plain if hit.calibrated > floor]
    assert plain.explanation.relevant_from is None


# --- explanation -------------------------------------------------------------------------


@pytest.mark.parametrize("calibration", ["spread", "none"])
def test_scores_add_up_as_the_plan_says(shop: Shop, calibration: Any) -> None:
    hits = shop.index.search(image=shop.file(7), weights=BLEND, calibration=calibration, limit=40)
    known = shop.index._manifest.calibration
    assert known is not None
    plan = hits.explanation.aspects
    assert list(plan) == list(BLEND) == list(hits.weights)
    for aspect, one in plan.items():
        background = known.backgrounds[one.vector]
        assert one.weight == pytest.approx(BLEND[aspect]) == hits.weights[aspect]
        assert one.target == "007.jpg"
        if calibration == "none":
            assert (one.mean, one.spread, one.effective) == (None, None, one.weight)
        else:
            assert (one.mean, one.spread) == (background.mean, background.spread)
    if calibration == "spread":
        scaled = {aspect: one.weight / (one.spread or math.nan) for aspect, one in plan.items()}
        total = math.fsum(scaled.values())
        for aspect, one in plan.items():
            assert one.effective == pytest.approx(scaled[aspect] / total)
    for hit in hits:
        summed = math.fsum(plan[aspect].effective * score for aspect, score in hit.scores.items())
        raw = math.fsum(BLEND[aspect] * score for aspect, score in hit.scores.items())
        assert hit.score == pytest.approx(summed, abs=1e-5)
        assert hit.raw == pytest.approx(raw, abs=1e-5)
        above = {
            aspect: BLEND[aspect] * (score - (plan[aspect].mean or 0)) / (plan[aspect].spread or 1)
            for aspect, score in hit.scores.items()
        }
        assert hit.calibrated == pytest.approx(math.fsum(above.values()), abs=1e-4)
        shares = list(hit.shares.values())
        assert sum(shares) == pytest.approx(1) or not any(shares)
        assert all((hit.shares[aspect] > 0) == (value > 0) for aspect, value in above.items())
    for rank in ("score", "calibrated"):
        values = [getattr(hit, rank) for hit in hits]
        assert values == pytest.approx(sorted(values, reverse=True), abs=1e-4)


def test_what_is_no_nearer_than_chance_has_no_shares(shop: Shop) -> None:
    last = shop.index.search(image=shop.file(7), limit=COUNT)[-1]
    assert last.calibrated < 0
    assert last.shares == {"semantic": 0.0}


def test_the_cost_is_told(shop: Shop) -> None:
    blend = shop.index.search(image=shop.file(7), weights=BLEND).explanation
    assert blend.rounds == 2
    assert blend.candidates >= COUNT
    assert 0 < blend.compared <= COUNT
    assert set(blend.milliseconds) == {"targets", "engine", "ranking"}
    assert all(value >= 0 for value in blend.milliseconds.values())
    single = shop.index.search(image=shop.file(7))
    assert single.explanation.rounds == 1
    assert single.took_ms == pytest.approx(sum(single.explanation.milliseconds.values()))
