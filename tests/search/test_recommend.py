"""Recommendations by likes and dislikes."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import LookalikeError, NotFound, QueryError
from lookalike.search.hits import Hits
from lookalike.search.request import Strategy
from lookalike.search.targets import UNWANTED
from lookalike.types import Point
from tests.search.indexes import (
    BLEND,
    COUNT,
    Floats,
    Shop,
    blended,
    check_scores,
    ids,
    kinds,
    spread,
    text,
)


def test_examples_may_be_ids_files_bytes_and_words(words: Shop) -> None:
    pizzas = [id for id in words.ids if "pizza" in id][:3]
    like: list[str | Path | bytes] = [
        pizzas[0],
        Path(pizzas[1]),
        Path(pizzas[2]).read_bytes(),
        "text:pizza",
    ]
    hits = words.index.recommend(like, ["text:watch"], calibration="none", limit=COUNT)
    likes = [words.of(id) for id in pizzas] + [text(words, "pizza")]
    expected = words.scores(np.mean(likes, axis=0) - UNWANTED * text(words, "watch"))
    check_scores(hits, {id: expected[id] for id in expected if id not in pizzas})
    assert set(pizzas).isdisjoint(ids(hits))
    assert kinds(hits)[:3] == ["pizza"] * 3


def test_examples_are_left_out_by_their_content_too(shop: Shop, tmp_path: Path) -> None:
    elsewhere = Path(shutil.copy(shop.file(5), tmp_path / "elsewhere.jpg"))
    hits = shop.index.recommend([elsewhere, "sku-9"], [shop.file(2)], limit=COUNT)
    left_out = set(shop.ids) - set(ids(hits))
    assert left_out == {"sku-5", "sku-twin", "sku-9", "sku-2"}


def test_dislikes_alone_begin_with_what_is_least_like_them(shop: Shop) -> None:
    for strategy in ("average", "best", "sum"):
        hits = shop.index.recommend(unlike=["sku-1", "sku-9"], strategy=strategy, limit=COUNT)
        expected = shop.scores(-shop.of("sku-1") - shop.of("sku-9"))
        check_scores(hits, {id: expected[id] for id in expected if id not in ("sku-1", "sku-9")})


@pytest.mark.parametrize("weights", [{"semantic": 1.0}, {"semantic": 0.6, "color": 0.4}])
@pytest.mark.parametrize("unlike", [[], ["sku-11", "sku-26"]])
def test_best_is_the_nearest_like_without_what_is_nearer_to_a_dislike(
    shop: Shop, weights: dict[str, float], unlike: list[str]
) -> None:
    like = ["sku-1", "sku-9", "sku-34"]
    near = [blended(shop, id, weights) for id in like]
    far = [blended(shop, id, weights) for id in unlike]
    best = {
        id: max(scores[id] for scores in near)
        for id in shop.ids
        if id not in (*like, *unlike)
        and all(max(one[id] for one in near) >= scores[id] for scores in far)
    }
    assert bool(unlike) == (len(best) < COUNT - len(like) - len(unlike))
    hits = shop.index.recommend(
        like, unlike, strategy="best", weights=weights, calibration="none", limit=COUNT
    )
    assert hits.complete
    assert len(hits) == len(best)
    assert [h.score for h in hits] == pytest.approx(sorted(best.values(), reverse=True), abs=1e-4)
    for hit in hits:
        assert hit.score == pytest.approx(best[hit.id], abs=1e-4)


def test_sum_and_average_are_directions(shop: Shop) -> None:
    likes = [shop.of(f"sku-{i}") for i in (1, 9, 34)]
    dislike = shop.of("sku-11")
    examples = ["sku-1", "sku-9", "sku-34", "sku-11"]
    targets: dict[Strategy, Floats] = {
        "average": np.mean(likes, axis=0) - UNWANTED * dislike,
        "sum": np.sum(likes, axis=0) - dislike,
    }
    for strategy, target in targets.items():
        expected = shop.scores(target)
        check_scores(
            shop.index.recommend(examples[:3], examples[3:], strategy=strategy, limit=COUNT),
            {id: expected[id] for id in expected if id not in examples},
        )


def test_a_like_that_is_a_dislike_too_contradicts_itself(shop: Shop) -> None:
    with pytest.raises(QueryError, match="contradict each other"):
        shop.index.recommend(["sku-1"], ["sku-1"], strategy="sum")
    assert len(shop.index.recommend(["sku-1"], ["sku-1"])) == 10


@pytest.mark.parametrize("strategy", ["average", "best", "sum"])
def test_thousands_of_examples(shop: Shop, strategy: Any) -> None:
    some = shop.ids[:20]
    started = time.monotonic()
    many = shop.index.recommend(
        some * 80, shop.ids[20:30] * 40, strategy=strategy, weights=BLEND, limit=COUNT
    )
    assert time.monotonic() - started < 5
    few = shop.index.recommend(some, shop.ids[20:30], strategy=strategy, weights=BLEND, limit=COUNT)
    if strategy != "sum":  # where twice as many likes weigh twice as much
        assert [h.score for h in many] == pytest.approx([h.score for h in few], abs=1e-4)
    assert set(shop.ids[:30]).isdisjoint(ids(many))


@pytest.mark.parametrize(
    ("like", "options", "error", "message"),
    [
        ([], {}, QueryError, "Nothing to search by"),
        (["sku-1"], {"strategy": "worst"}, QueryError, "strategy must be average, best or sum"),
        (
            ["red shoes"],
            {},
            NotFound,
            'neither an image of this index nor a file.*"text:red shoes"',
        ),
        (["x" * 5000], {}, NotFound, "neither an image of this index nor a file"),
        ([Path("nowhere.jpg")], {}, LookalikeError, r"nowhere\.jpg"),
        ([b"no picture"], {}, LookalikeError, "unsupported_format"),
        (["sku-1"], {"weights": {"semantic": -1}}, QueryError, "weight of semantic is -1"),
    ],
)
def test_recommendations_that_make_no_sense(
    shop: Shop, like: list[Any], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        shop.index.recommend(like, **options)


def test_best_of_words_and_pictures_over_two_aspects(words: Shop) -> None:
    """Text has no color: it ranks by meaning alone."""
    photo = next(id for id in words.ids if "pizza" in id)
    for like in ([photo, "text:watch"], ["text:watch", photo]):
        hits = words.index.recommend(
            like, strategy="best", weights={"semantic": 0.5, "color": 0.5}, limit=20
        )
        assert photo not in ids(hits)
        assert len(hits) == 20


def test_best_of_words_over_an_aspect_that_they_do_not_have(words: Shop) -> None:
    photo = next(id for id in words.ids if "pizza" in id)
    for like, unlike in (
        ([photo, "text:watch"], []),
        (["text:watch", photo], []),
        ([photo], ["text:watch"]),
    ):
        hits = words.index.recommend(
            like, unlike, strategy="best", weights={"semantic": 0.01, "color": 0.99}
        )
        assert len(hits) == 10
        with pytest.raises(QueryError, match="nothing in color: give semantic a weight"):
            words.index.recommend(like, unlike, strategy="best", weights={"color": 1.0})


def test_best_gives_words_and_pictures_the_same_chance(words: Shop) -> None:
    """Similarities to text lie in another band than those to pictures: hits rank by their distance
    above random images."""
    photo = next(id for id in words.ids if "pizza" in id)
    said = text(words, "watch")
    known = words.index._manifest.calibration
    assert known is not None
    background = known.backgrounds["clip-vit-b-32"]
    by_picture, by_words = words.scores(words.of(photo)), words.scores(said)
    mean, deviation = np.mean(list(by_words.values())), spread(words, said)
    expected = {
        id: max(
            (by_picture[id] - background.mean) / background.spread,
            (by_words[id] - mean) / deviation,
        )
        for id in words.ids
        if id != photo
    }
    hits = words.index.recommend([photo, "text:watch"], strategy="best", limit=20)
    assert [hit.calibrated for hit in hits] == pytest.approx(
        sorted(expected.values(), reverse=True)[:20], abs=1e-3
    )


def test_best_keeps_to_what_else_is_asked_for(shop: Shop) -> None:
    """Or fails: a color must not be dropped silently."""
    asked = {"like": ["sku-0", "sku-1"], "color": "blue", "strategy": "best"}
    (answer,) = shop.index.search_many([asked])
    if isinstance(answer, Hits):
        assert answer.explanation.colors == "blue"
    else:
        assert isinstance(answer, QueryError)


def test_best_goes_on_behind_a_crowd_of_what_is_disliked(many: Shop) -> None:
    """Thousands of images are nearest to the like, and nearer still to the dislike."""
    crowd, others = many.of("5"), many.of("2005")
    like = np.zeros_like(crowd)
    like[0] = 1
    assert like @ crowd > like @ others > crowd @ others
    names = many.index._manifest.aspects
    stored = {name: many.of("0", aspect) for aspect, name in names.items()}
    stored[names["semantic"]] = like
    image = {"id": "like", "sha256": "f" * 64, "phash": "f" * 16}
    many.index._engine.upsert([Point("like", stored, {"image": image})])
    hits = many.index.recommend(["like"], ["5"], strategy="best")
    many.index.delete(["like"])
    assert all(int(hit.id) >= 2000 for hit in hits)
    assert len(hits) == 10 or not hits.complete


def test_a_refined_search_keeps_its_color_crop_and_filter(shop: Shop) -> None:
    hits = shop.index.recommend(
        ["sku-1"],
        ["sku-2"],
        id="sku-3",
        crop=(0.1, 0.1, 0.8, 0.8),
        color="blue",
        where="n < 30",
        limit=40,
    )
    assert hits.explanation.colors == "blue"
    assert "at 0.1,0.1,0.8,0.8" in hits.explanation.aspects["semantic"].target
    extents = [hit.scores["color"] for hit in hits]
    assert extents == sorted(extents, reverse=True)
    assert all(hit.payload["n"] < 30 for hit in hits)
    assert {"sku-1", "sku-2", "sku-3"}.isdisjoint(ids(hits))
