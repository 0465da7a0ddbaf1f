"""Targets of a search: pictures, ids, crops, colors and text."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.descriptors.color import Color
from lookalike.errors import QueryError
from lookalike.search.colors import parse_palette
from lookalike.search.hits import Hits
from lookalike.search.targets import UNWANTED
from tests.search.indexes import (
    BLEND,
    COUNT,
    Shop,
    check_scores,
    ids,
    kinds,
    spread,
    text,
)
from tests.support.pictures import draw


def test_an_image_finds_itself_and_an_id_leaves_itself_out(shop: Shop) -> None:
    by_file = shop.index.search(image=shop.file(7))
    assert by_file[0].id == "sku-7"
    assert by_file[0].score == pytest.approx(1, abs=1e-4)
    check_scores(by_file, shop.scores(shop.of("sku-7")))
    assert ids(shop.index.search(image=shop.file(7).read_bytes())) == ids(by_file)
    by_id = shop.index.search(id="sku-7", limit=9)
    assert ids(by_id) == ids(by_file)[1:]


def test_several_images_are_their_mean_direction(shop: Shop) -> None:
    expected = shop.scores(shop.of("sku-1") + shop.of("sku-12"))
    check_scores(shop.index.search(image=[shop.file(1), shop.file(12)], limit=COUNT), expected)
    by_id = shop.index.search(id=["sku-1", "sku-12"], limit=COUNT)
    assert {"sku-1", "sku-12"}.isdisjoint(ids(by_id))
    check_scores(by_id, {id: expected[id] for id in expected if id not in ("sku-1", "sku-12")})
    one_of_each = shop.index.search(image=shop.file(1), id="sku-12", limit=COUNT)
    check_scores(one_of_each, {id: expected[id] for id in expected if id != "sku-12"})


def test_a_color_takes_the_place_of_the_image_s_own(shop: Shop) -> None:
    hits = shop.index.search(id="sku-0", color="blue", weights={"semantic": 0.1, "color": 0.9})
    target = Color().describe_color(parse_palette("blue"))
    expected = shop.scores(target, "color")
    for hit in hits:
        assert hit.scores["color"] == pytest.approx(expected[hit.id], abs=1e-4)
    assert hits[0].payload["image"]["colors"][0]["name"] == "blue"


def test_color_words_come_first_and_then_what_else_is_asked_for(shop: Shop) -> None:
    hits = shop.index.search(id="sku-0", color="blue", limit=COUNT)
    assert (hits.weights, hits.explanation.colors) == ({"semantic": 1.0}, "blue")
    assert hits.complete
    extents = [hit.scores["color"] for hit in hits]
    assert extents == sorted(extents, reverse=True)
    assert extents[0] == 1
    assert extents[-1] == 0
    for extent in (0, 1):
        alike = [hit.scores["semantic"] for hit in hits if hit.scores["color"] == extent]
        assert alike == sorted(alike, reverse=True)
    pages = [shop.index.search(id="sku-0", color="blue", limit=7, offset=i) for i in (0, 7)]
    assert [hit.id for page in pages for hit in page] == ids(hits)[:14]
    assert not shop.index.search(id="sku-0", color="blue", where="n = 99999")


@pytest.mark.parametrize(
    "query",
    [
        {"color": "blue"},
        {"color": ["blue", "white"]},
        {"id": "sku-0", "color": "blue"},
        {"id": "sku-0", "color": "blue", "calibration": "none"},
        {"text": "dress, not blue"},
        {"id": ["sku-0", "sku-5"], "weights": {"semantic": 0.6, "color": 0.4}},
    ],
)
def test_hits_rank_by_their_score(shop: Shop, query: Any) -> None:
    hits = shop.index.search(**query, limit=COUNT)
    scores = [hit.score for hit in hits]
    assert scores == pytest.approx(sorted(scores, reverse=True), abs=1e-5)
    assert len({round(score, 4) for score in scores}) > COUNT // 3
    for hit in hits:
        if hit.scores.get("color") == 1 and "id" in query and "weights" not in query:
            assert hit.score == pytest.approx(hit.scores["semantic"], abs=1e-5)


@pytest.mark.parametrize("color", [["red=0.75", "#000=0.25"], {"red": 3.0, "#000": 1.0}])
def test_a_palette_alone_ranks_by_color(shop: Shop, color: Any) -> None:
    hits = shop.index.search(color=color, limit=COUNT)
    assert hits.weights == {"color": 1.0}
    palette = [*((rgb, share * 0.75) for rgb, share in parse_palette("red")), ((0, 0, 0), 0.25)]
    check_scores(hits, shop.scores(Color().describe_color(palette), "color"), "color")


def test_a_crop_is_searched_like_a_file_of_that_part(shop: Shop, tmp_path: Path) -> None:
    whole = draw(77)
    whole.save(tmp_path / "whole.png")
    whole.crop((30, 40, 90, 120)).save(tmp_path / "part.png")
    box = (0.25, 0.25, 0.5, 0.5)
    cropped = shop.index.search(image=tmp_path / "whole.png", crop=box, weights=BLEND, limit=COUNT)
    part = shop.index.search(image=tmp_path / "part.png", weights=BLEND, limit=COUNT)
    assert [h.score for h in cropped] == pytest.approx([h.score for h in part], abs=1e-5)
    everything = shop.index.search(image=tmp_path / "whole.png", weights=BLEND, limit=COUNT)
    uncropped = shop.index.search(
        image=tmp_path / "whole.png", crop=(0, 0, 1, 1), weights=BLEND, limit=COUNT
    )
    scores = [h.score for h in everything]
    assert [h.score for h in uncropped] == pytest.approx(scores, abs=1e-5)
    assert [h.score for h in cropped] != pytest.approx(scores, abs=1e-2)


def test_a_crop_of_an_image_of_the_index(shop: Shop) -> None:
    box = [0.1, 0.0, 0.5, 0.6]
    by_id = shop.index.search(id="sku-9", crop=box, limit=COUNT)
    by_file = shop.index.search(image=shop.file(9), crop=box, limit=COUNT)
    expected = {hit.id: hit.score for hit in by_file if hit.id != "sku-9"}
    check_scores(by_id, expected)
    assert len(by_id) == len(expected)


def test_a_tiny_crop_is_a_picture_too(shop: Shop) -> None:
    for size in (1e-3, 1e-310):
        hits = shop.index.search(image=shop.file(9), crop=(0.999, 0.5, size, size), weights=BLEND)
        assert len(hits) == 10
        assert all(math.isfinite(hit.score) for hit in hits)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0.5, 0, 0.6, 1), "does not lie within the picture"),
        ((-0.1, 0, 0.5, 1), "does not lie within"),
        ((0, 0, 0, 1), "does not lie within"),
        ((0, 0.2, 0.5, -0.1), "does not lie within"),
        ((10, 20, 200, 300), "does not lie within"),
        ((0, 0, math.nan, 1), "is not x,y,width,height"),
        ((0, 0, math.inf, 1), "is not x,y,width,height"),
        ((0, 0, 1), "is not x,y,width,height"),
        ((0, 0, 1, 1, 1), "is not x,y,width,height"),
        ((), "is not x,y,width,height"),
    ],
)
def test_a_crop_that_makes_no_sense(shop: Shop, box: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        shop.index.search(image=shop.file(9), crop=box)


@pytest.mark.parametrize(
    "request_",
    [
        {"color": "red"},
        {"id": ["sku-1", "sku-2"]},
        {"id": "sku-1", "image": draw(1).tobytes()},
        {},
    ],
)
def test_a_crop_is_of_one_picture(shop: Shop, request_: dict[str, Any]) -> None:
    with pytest.raises(QueryError, match="A crop is of one picture"):
        shop.index.search(crop=(0, 0, 0.5, 0.5), **request_)


# --- text --------------------------------------------------------------------------------


def test_words_find_what_they_name(words: Shop) -> None:
    hits = words.index.search(text="pizza")
    assert kinds(hits).count("pizza") > 5
    check_scores(hits, words.scores(text(words, "pizza")))


@pytest.mark.parametrize("calibration", ["spread", "none"])
def test_an_image_and_words_count_alike(words: Shop, calibration: Any) -> None:
    photo = next(id for id in words.ids if "pizza" in id)
    picture, said = words.of(photo), text(words, "watch")
    narrow, wide = 1.0, 1.0
    if calibration == "spread":
        backgrounds = words.index._manifest.calibration
        assert backgrounds is not None
        wide = backgrounds.backgrounds["clip-vit-b-32"].spread
        narrow = max(spread(words, said), 0.005)
        assert narrow < wide
    expected = words.scores(picture / wide + said / narrow)
    del expected[photo]
    hits = words.index.search(id=photo, text="watch", calibration=calibration, limit=COUNT)
    check_scores(hits, expected)
    if calibration == "spread":
        assert {"pizza", "watch"} <= set(kinds(hits)[:12])


def test_words_taken_away_move_away(words: Shop) -> None:
    wanted, unwanted = text(words, "rhino"), text(words, "watch")
    plain = words.index.search(text="rhino", limit=COUNT)
    without = words.index.search(text="rhino", negative_text="watch", limit=COUNT)
    expected = words.scores(
        wanted / spread(words, wanted) - UNWANTED * unwanted / spread(words, unwanted)
    )
    check_scores(without, expected)
    place = [
        np.mean([i for i, kind in enumerate(kinds(hits)) if kind == "watch"])
        for hits in (plain, without)
    ]
    assert place[1] > place[0]
    assert "not “watch”" in without.explanation.aspects["semantic"].target


def test_several_words(words: Shop) -> None:
    one, other = text(words, "rhino"), text(words, "pigeon")
    hits = words.index.search(text=["rhino", "pigeon"], calibration="none", limit=COUNT)
    check_scores(hits, words.scores(one + other))


def test_there_must_be_something_to_take_away_from(words: Shop) -> None:
    requests: list[dict[str, Any]] = [{}, {"color": "red"}]
    for request in requests:
        with pytest.raises(QueryError, match="nothing to take away from"):
            words.index.search(negative_text="pizza", **request)


def test_words_that_the_model_does_not_know(shop: Shop) -> None:
    asks: list[Callable[[], Hits]] = [
        lambda: shop.index.search(text="red garblefrotz"),
        lambda: shop.index.search(id="sku-1", negative_text="garblefrotz"),
        lambda: shop.index.recommend(["text:garblefrotz"]),
    ]
    for ask in asks:
        with pytest.raises(QueryError, match="does not know the word 'garblefrotz'"):
            ask()
