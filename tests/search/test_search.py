"""Searches and their answers, on pictures drawn here and on real photos where words are needed."""

from __future__ import annotations

import csv
import io
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from lookalike.descriptors.color import Color
from lookalike.errors import FilterError, LookalikeError, NotFound, QueryError
from lookalike.index import Index
from lookalike.search.colors import parse_palette
from lookalike.search.request import Strategy
from lookalike.search.targets import UNWANTED
from lookalike.types import Hits, Point, Vector
from tests.support.pictures import draw, folder_of

Floats = NDArray[np.floating]

DRAWN = 64
COUNT = DRAWN + 2
BLEND = {"semantic": 0.5, "color": 0.3, "texture": 0.2}


class Shop:
    """An index of drawn pictures, and what it holds as arrays.

    `sku-copy` is picture 3 saved again, and `sku-twin` the very file of picture 5.
    """

    def __init__(self, index: Index, photos: Path) -> None:
        self.index, self.photos = index, photos
        points = list(index.scroll(vectors=True))
        self.ids = [point.id for point in points]
        self.vectors = {
            aspect: np.array([point.vectors[name] for point in points])
            for aspect, name in index._manifest.aspects.items()
        }

    def file(self, i: int) -> Path:
        return self.photos / f"{i:03}.jpg"

    def of(self, id: str, aspect: str = "semantic") -> Floats:
        return np.asarray(self.vectors[aspect][self.ids.index(id)])

    def scores(self, target: Floats | Vector, aspect: str = "semantic") -> dict[str, float]:
        """Similarity of every image to a target, by brute force."""
        found = self.vectors[aspect] @ (target / np.linalg.norm(target))
        return dict(zip(self.ids, found.tolist(), strict=True))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    photos = folder_of(folder / "photos", DRAWN)
    PIL.Image.open(photos / "003.jpg").save(photos / "copy.jpg", quality=80)
    shutil.copy(photos / "005.jpg", photos / "twin.jpg")
    rows = [(f"sku-{i}", f"{i:03}.jpg", i) for i in range(DRAWN)]
    rows += [("sku-copy", "copy.jpg", 1000), ("sku-twin", "twin.jpg", 1001)]
    with (folder / "catalog.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "file", "n"), *rows])
    with Index.open(folder / "index", model="built-in") as index:
        index.add(photos, metadata=folder / "catalog.csv")
        yield Shop(index, photos)


@pytest.fixture(scope="module")
def words(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Real photos under a model that knows words: 12 each of six kinds."""
    folder = tmp_path_factory.mktemp("words")
    (folder / "photos").mkdir()
    with (data / "photos" / "labels.csv").open() as file:
        labels = list(csv.DictReader(file))
    for kind in ("pizza", "watch", "rhino", "sunflower", "scissors", "pigeon"):
        for row in [row for row in labels if row["label"] == kind][:12]:
            name = f"{kind}-{row['id']}.jpg"
            shutil.copy(data / "photos" / row["file"], folder / "photos" / name)
    with Index.open(folder / "index", model_dir=data / "standin-clip") as index:
        index.add(folder / "photos")
        yield Shop(index, folder / "photos")


def ids(hits: Sequence[Any]) -> list[str]:
    return [hit.id for hit in hits]


def check_scores(hits: Hits, expected: Mapping[str, float], aspect: str = "semantic") -> None:
    """Hits have the scores expected of them, and are the best by those of one aspect."""
    best = sorted(expected.values(), reverse=True)[: len(hits)]
    assert [hit.scores[aspect] for hit in hits] == pytest.approx(best, abs=1e-4)
    for hit in hits:
        assert hit.scores[aspect] == pytest.approx(expected[hit.id], abs=1e-4)


# --- targets --------------------------------------------------------------------------------


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
    unsaid = shop.index.search(id="sku-0", color="blue")
    assert unsaid.weights == {"semantic": 0.5, "color": 0.5}


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


# --- words ----------------------------------------------------------------------------------


def text(shop: Shop, words: str) -> Floats:
    descriptor: Any = shop.index._models.descriptor(shop.index._manifest.semantic.name)
    return np.asarray(descriptor.describe_text([words])[0])


def spread(shop: Shop, target: Floats) -> float:
    """Of the similarities of all images to a target; the index is smaller than a sample."""
    return float(np.std(list(shop.scores(target).values())))


def kinds(hits: Hits) -> list[str]:
    return [Path(hit.id).name.split("-")[0] for hit in hits]


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


def test_words_against_a_model_that_knows_none(shop: Shop) -> None:
    asks: list[Callable[[], Hits]] = [
        lambda: shop.index.search(text="red shoes"),
        lambda: shop.index.search(id="sku-1", negative_text="shoes"),
        lambda: shop.index.recommend(["text:shoes"]),
    ]
    for ask in asks:
        with pytest.raises(QueryError, match="does not support text"):
            ask()


# --- recommend ------------------------------------------------------------------------------


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


def blended(shop: Shop, target: str, weights: Mapping[str, float]) -> dict[str, float]:
    """Similarity of every image to one of them, over several aspects."""
    parts = {aspect: shop.scores(shop.of(target, aspect), aspect) for aspect in weights}
    return {
        id: math.fsum(w * parts[aspect][id] for aspect, w in weights.items()) for id in shop.ids
    }


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
    """Words have no color: they rank by what they say."""
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
    """Similarities to words lie in another band than those to pictures: what counts is how far a
    hit stands above chance."""
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
    """Or says that it cannot: a color must not be dropped without a word."""
    asked = {"like": ["sku-0", "sku-1"], "color": "blue", "strategy": "best"}
    (answer,) = shop.index.search_many([asked])
    if isinstance(answer, Hits):
        assert answer.explanation.aspects["color"].target == "blue"
    else:
        assert isinstance(answer, QueryError)


# --- what is shown --------------------------------------------------------------------------


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
    """Products that share a picture have the same score: none may take another's place."""
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


# --- how it came about ----------------------------------------------------------------------


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


# --- many -----------------------------------------------------------------------------------


def test_many_are_answered_as_one_by_one(shop: Shop) -> None:
    asked: list[dict[str, Any]] = [
        {"id": "sku-1", "limit": 5},
        {"image": str(shop.file(2)), "weights": {"semantic": 0.5, "color": 0.5}},
        {"color": ["navy=0.5", "red"], "where": "n < 20", "offset": 3},
        {
            "id": "sku-9",
            "weights": "balanced",
            "diversity": 0.3,
            "collapse": True,
            "where": "n != 1001",
        },
    ]
    together = shop.index.search_many(asked)
    for request, hits in zip(asked, together, strict=True):
        assert isinstance(hits, Hits)
        alone = shop.index.search(**request)
        assert [asdict(hit) for hit in hits] == [asdict(hit) for hit in alone]
        assert (hits.complete, hits.weights) == (alone.complete, alone.weights)
    examples = {"like": ["sku-1"], "unlike": ["sku-2"], "strategy": "sum"}
    (recommended,) = shop.index.search_many([examples])
    assert isinstance(recommended, Hits)
    assert ids(recommended) == ids(shop.index.recommend(["sku-1"], ["sku-2"], strategy="sum"))
    assert shop.index.search_many([]) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"id": "nowhere"}, "no image with the id 'nowhere'"),
        ({"image": "nowhere.jpg"}, r"nowhere\.jpg"),
        ({"idd": "sku-1"}, "There is no option 'idd'; a query has image, id"),
        ({}, "Nothing to search by"),
        ({"id": "sku-1", "limit": 0}, r"limit must be at least 1 \(got 0\)"),
        ({"id": "sku-1", "limit": "5"}, r"limit must be a whole number \(got '5'\)"),
        ({"id": "sku-1", "limit": True}, r"limit must be a whole number \(got True\)"),
        ({"id": 5}, r"id must be a text or a list of texts \(got 5\)"),
        ({"id": None}, "Nothing to search by"),
        ({"id": [None]}, "id must be a text or a list of texts"),
        ({"id": "sku-1", "collapse": "yes"}, r"collapse must be true or false \(got 'yes'\)"),
        ({"id": "sku-1", "strategy": ["best"]}, "strategy must be average, best or sum"),
        (
            {"id": "sku-1", "strategy": "worst"},
            r"strategy must be average, best or sum \(got 'worst'\)",
        ),
        ({"id": "sku-1", "calibration": {}}, "calibration must be spread or none"),
        ({"id": "sku-1", "where": "n <"}, "expected"),
        ({"id": [5]}, "id"),
        ({"image": [5]}, "image"),
        ({"image": "x" * 5000}, "xxx"),
        ({"like": [5]}, "like"),
        ({"like": [None]}, "like"),
        ({"color": [5]}, "color"),
        ({"color": {"navy": "much"}}, "navy"),
        ({"color": "rgb(300,0,0)"}, "rgb"),
        ({"id": "sku-1", "crop": ["a", 0, 1, 1]}, "crop"),
        ({"id": "sku-1", "weights": {"semantic": "much"}}, "semantic"),
        ("sku-1", "query"),
        (None, "query"),
    ],
    ids=str,
)
def test_an_error_stands_in_its_place(shop: Shop, wrong: Any, message: str) -> None:
    good = {"id": "sku-1", "limit": 3}
    first, second, third = shop.index.search_many([good, wrong, good])
    assert isinstance(first, Hits)
    assert isinstance(third, Hits)
    assert ids(first) == ids(third)
    assert isinstance(second, LookalikeError)
    with pytest.raises(LookalikeError, match=f"(?i){message}"):
        raise second


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "Nothing to search by"),
        ({"color": ""}, "Nothing to search by"),
        ({"id": "sku-1", "weights": {"semantic": -1}}, "weight of semantic is -1"),
        ({"id": "sku-1", "weights": {"color": math.nan}}, "weight of color is nan"),
        ({"id": "sku-1", "weights": {"color": 0, "semantic": 0.0}}, "All weights are zero"),
        ({"id": "sku-1", "weights": {"sound": 1}}, "no aspect 'sound'; this index has semantic"),
        ({"id": "sku-1", "weights": "fancy"}, "no preset 'fancy'"),
        ({"color": "red", "weights": {"semantic": 1}}, "semantic has a weight and nothing"),
        ({"color": "rainbow"}, "no color 'rainbow'"),
        ({"color": ["red=0.9", "blue=0.1", "navy"]}, "leave nothing for navy"),
        ({"id": "sku-1", "limit": 0}, r"limit must be at least 1 \(got 0\)"),
        ({"id": "sku-1", "limit": -5}, r"limit must be at least 1 \(got -5\)"),
        ({"id": "sku-1", "offset": -1}, r"offset must be at least 0 \(got -1\)"),
        (
            {"id": "sku-1", "calibration": "full"},
            r"calibration must be spread or none \(got 'full'\)",
        ),
    ],
    ids=str,
)
def test_searches_that_make_no_sense(shop: Shop, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        shop.index.search(**request_)


def test_an_unknown_id_and_an_unknown_field(shop: Shop) -> None:
    with pytest.raises(NotFound, match="no image with the id 'nowhere'"):
        shop.index.search(id=["sku-1", "nowhere"])
    with pytest.raises(FilterError, match="price"):
        shop.index.search(id="sku-1", where="price < 3")


WIDE: list[dict[str, Any]] = [{}, {"weights": BLEND}, {"diversity": 0.5}, {"collapse": True}]


def test_an_unknown_option_is_a_type_error(shop: Shop) -> None:
    for ask in (shop.index.search, shop.index.recommend):
        with pytest.raises(TypeError, match="unexpected keyword argument 'lmit'"):
            ask(lmit=5)  # type: ignore[call-arg]


@pytest.mark.parametrize("way", WIDE, ids=str)
def test_more_than_there_are_is_all_of_them(shop: Shop, way: dict[str, Any]) -> None:
    for limit in (COUNT, 5_000, 10**9):
        hits = shop.index.search(image=shop.file(7), limit=limit, **way)
        assert hits.complete
        everyone = [id for hit in hits for id in (hit.id, *hit.variants)]
        assert sorted(everyone) == sorted(shop.ids)
    for offset in (COUNT, 10**9, 10**18):
        beyond = shop.index.search(image=shop.file(7), offset=offset, **way)
        assert (list(beyond), beyond.complete) == ([], True)


@pytest.mark.parametrize("way", [*WIDE, {"relevant": True}], ids=str)
def test_filters_that_contradict_each_other_are_no_error(shop: Shop, way: dict[str, Any]) -> None:
    hits = shop.index.search(image=shop.file(7), where="n > 5 and n < 3", **way)
    assert (list(hits), hits.complete) == ([], True)
    best = shop.index.recommend(
        ["sku-1", "sku-2"], ["sku-3"], strategy="best", where="n > 5 and n < 3", **way
    )
    assert (list(best), best.complete) == ([], True)


def test_an_empty_index_has_no_hits(tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", model="built-in") as index:
        for way in (*WIDE, {"relevant": True}):
            hits = index.search(color="red", **{**way, "weights": None})
            assert (list(hits), hits.complete) == ([], True)


# --- a larger index, of made-up vectors -----------------------------------------------------


def fill(index: Index, vectors: Callable[[int], Mapping[str, Floats]], count: int) -> None:
    """Points without files: what `vectors` makes for each number, by aspect."""
    rng = np.random.default_rng(0)
    aspects = index._manifest.aspects
    index._engine.upsert(
        [
            Point(
                str(i),
                {
                    aspects[aspect]: np.asarray(one / np.linalg.norm(one), np.float32)
                    for aspect, one in vectors(i).items()
                },
                {"image": {"id": str(i), "sha256": f"{i:064x}", "phash": rng.bytes(8).hex()}},
            )
            for i in range(count)
        ]
    )
    index.calibrate()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """2,500 points: in "semantic" 0 to 1999 crowd around one direction, the rest around another
    that is a little further from the first axis."""
    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("many")
    with Index.open(folder / "index", model="built-in") as index:
        sizes = {
            a: index._manifest.vectors[name].size for a, name in index._manifest.aspects.items()
        }

        def vectors(i: int) -> dict[str, Floats]:
            made: dict[str, Floats] = {a: rng.standard_normal(n) for a, n in sizes.items()}
            made["semantic"] *= 0.005
            made["semantic"][:3] += (1, 0.5, 0) if i < 2000 else (1, 0, 0.7)
            return made

        fill(index, vectors, 2500)
        yield Shop(index, folder)


def test_best_goes_on_behind_a_crowd_of_what_is_disliked(many: Shop) -> None:
    """Thousands are nearest to the like, and nearer still to the dislike."""
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


def test_collapse_goes_on_behind_a_crowd_of_one_picture(tmp_path: Path) -> None:
    """One picture 2,000 times, and some others further away."""
    rng = np.random.default_rng(4)
    with Index.open(tmp_path / "index", model="built-in") as index:
        aspects = index._manifest.aspects
        sizes = {aspect: index._manifest.vectors[name].size for aspect, name in aspects.items()}

        def point(i: int) -> Point:
            vectors = {}
            for aspect, name in aspects.items():
                one = (np.arange(sizes[aspect]) < 3) * (i < 2000) + 0.01 * rng.random(sizes[aspect])
                vectors[name] = np.asarray(one / np.linalg.norm(one), np.float32)
            sha256 = f"{0 if i < 2000 else i:064x}"
            image = {"id": str(i), "sha256": sha256, "phash": rng.bytes(8).hex()}
            return Point(str(i), vectors, {"image": image})

        index._engine.upsert([point(i) for i in range(2010)])
        hits = index.search(id="0", collapse=True)
        assert len(hits) == 10 or not hits.complete
