"""Diversity, collapsing and the relevance floor: their properties, and results on real photos."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.descriptors.color import Color
from lookalike.descriptors.phash import Phash
from lookalike.errors import QueryError
from lookalike.imaging.decode import decode
from lookalike.search.rerank import collapse, diversify, relevance_floor

Floats = NDArray[np.float64]
seeds = st.integers(0, 2**32 - 1)


def unit(vectors: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / lengths


def ranking(seed: int, n: int) -> tuple[Floats, Floats]:
    """Scores, best first, and similarities of n random hits."""
    rng = np.random.default_rng(seed)
    hits = unit(rng.normal(size=(n, 8)))
    scores = hits @ unit(rng.normal(size=8))
    order = np.argsort(-scores)
    return scores[order], hits[order] @ hits[order].T


# --- diversity ------------------------------------------------------------------------------


@given(seeds, st.integers(0, 30), st.integers(0, 40))
def test_without_diversity_the_order_stays(seed: int, n: int, count: int) -> None:
    assert diversify(*ranking(seed, n), 0, count) == list(range(min(n, count)))


@given(seeds, st.integers(1, 30), st.floats(0, 1), st.data())
def test_best_first_none_twice_and_fewer_are_a_prefix(
    seed: int, n: int, diversity: float, data: st.DataObject
) -> None:
    everything = diversify(*ranking(seed, n), diversity, n)
    count = data.draw(st.integers(0, n))
    assert everything[0] == 0
    assert sorted(everything) == list(range(n))
    assert diversify(*ranking(seed, n), diversity, count) == everything[:count]


@given(seeds, st.floats(0, 1))
def test_a_narrow_range_of_scores_is_turned_over_no_more(seed: int, diversity: float) -> None:
    """The range of scores for a text is a fraction of that for a picture."""
    scores, similarity = ranking(seed, 20)
    assert diversify(scores * 0.25, similarity, diversity, 20) == diversify(
        scores, similarity, diversity, 20
    )


def test_a_copy_of_the_first_goes_last_but_not_without_reason() -> None:
    scores = np.array([0.9, 0.89, 0.6, 0.5])
    similarity = np.full((4, 4), 0.1) + 0.9 * np.eye(4)
    similarity[0, 1] = similarity[1, 0] = 0.99
    assert diversify(scores, similarity, 0.25, 4) == [0, 1, 2, 3]
    assert diversify(scores, similarity, 0.6, 4) == [0, 2, 3, 1]
    assert scores.tolist() == [0.9, 0.89, 0.6, 0.5]  # the caller's, untouched


def test_diversity_grows_with_the_dial() -> None:
    within = []
    for diversity in (0, 0.25, 0.5, 0.75, 1):
        total = 0.0
        for seed in range(30):
            scores, similarity = ranking(seed, 60)
            chosen = diversify(scores, similarity, diversity, 10)
            total += similarity[np.ix_(chosen, chosen)].mean()
        within.append(total)
    assert within == sorted(within, reverse=True)
    assert within[0] > within[2] > within[4]


def test_equal_scores_are_no_reason_to_fail() -> None:
    assert diversify(np.ones(3), np.ones((3, 3)), 0.5, 3) == [0, 1, 2]


@pytest.mark.parametrize("diversity", [-0.1, 1.1, math.nan, math.inf])
def test_a_diversity_that_makes_no_sense(diversity: float) -> None:
    with pytest.raises(QueryError, match=r"from 0 \(off\) to 1"):
        diversify(*ranking(0, 3), diversity, 2)


# --- variants -------------------------------------------------------------------------------


def hit(phash: int, sha256: str) -> dict[str, Any]:
    return {"image": {"sha256": sha256, "phash": f"{phash:016x}"}}


RED, BLUE = np.eye(2)


def test_same_bits_and_same_colors_fold_into_the_best() -> None:
    payloads = [hit(0, "a"), hit(2**64 - 1, "b"), hit(0xFF, "c"), hit(0x1FF, "d")]
    assert collapse(payloads, np.array([RED] * 4)) == [(0, [2]), (1, []), (3, [])]


def test_another_color_is_another_picture_unless_it_is_the_same_file() -> None:
    assert collapse([hit(0, "a"), hit(0, "b")], np.array([RED, BLUE])) == [(0, []), (1, [])]
    assert collapse([hit(0, "a"), hit(0, "a")], np.array([RED, BLUE])) == [(0, [1])]


def test_no_chain_leads_to_a_different_picture() -> None:
    """Each hit is near the one before, and only the second is near the first."""
    payloads = [hit(2 ** (8 * i) - 1, str(i)) for i in range(5)]
    assert collapse(payloads, np.array([RED] * 5)) == [(0, [1]), (2, [3]), (4, [])]


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.sampled_from("abc")), max_size=20))
def test_every_hit_is_shown_or_folded_once_and_in_order(hits: list[tuple[int, str]]) -> None:
    groups = collapse([hit(*one) for one in hits], np.array([RED] * len(hits)).reshape(-1, 2))
    shown = [first for first, _ in groups]
    assert sorted(i for first, others in groups for i in (first, *others)) == list(range(len(hits)))
    assert shown == sorted(shown)
    assert all(first < min(others) for first, others in groups if others)


def test_real_copies_fold_and_recolored_pictures_never_do(data: Path) -> None:
    files = sorted((data / "catalog" / "images").rglob("*.jpg"))[::65]
    pictures = [PIL.Image.open(file).convert("RGB") for file in files]
    small = [picture.resize((picture.width // 2, picture.height // 2)) for picture in pictures]
    images = [
        decode(file)
        for file in (
            *(jpeg(picture, 92) for picture in pictures),
            *(jpeg(picture, 40) for picture in pictures),
            *(jpeg(picture, 90) for picture in small),
            *(jpeg(recolored(picture), 92) for picture in pictures),
        )
    ]
    hashes = Phash().describe(images).payload
    payloads = [
        {"image": {"sha256": image.sha256, **phash}}
        for image, phash in zip(images, hashes, strict=True)
    ]
    groups = dict(collapse(payloads, Color().describe(images).vectors))
    n = len(pictures)
    whole = [groups.get(i) == [i + n, i + 2 * n] for i in range(n)]
    assert np.mean(whole) >= 0.9
    assert set(range(3 * n, 4 * n)) <= groups.keys()  # each on its own
    # Without colors many of them would be variants: the hash does not depend on color.
    gray = dict(collapse(payloads, np.ones((4 * n, 1))))
    assert len(gray.keys() & set(range(3 * n, 4 * n))) < n / 4


def jpeg(picture: PIL.Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def recolored(picture: PIL.Image.Image) -> PIL.Image.Image:
    """The picture in another color: 40 units of CIELAB away, equally light, on the same ground."""
    lab = cv2.cvtColor(np.asarray(picture, np.float32) / 255, cv2.COLOR_RGB2LAB)
    frame = np.concatenate([lab[:3].reshape(-1, 3), lab[-3:].reshape(-1, 3)])
    thing = np.linalg.norm(lab - np.median(frame, axis=0), axis=2) > 12
    soft = cv2.GaussianBlur(thing.astype(np.float32), (0, 0), 2)
    lab[..., 1] += 37 * soft
    lab[..., 2] += 16 * soft
    return PIL.Image.fromarray((cv2.cvtColor(lab, cv2.COLOR_LAB2RGB).clip(0, 1) * 255).astype("u1"))


# --- relevance ------------------------------------------------------------------------------


def scores_of(seed: int, m: int = 700, share: float = 0.0) -> Floats:
    """Background scores around 0.2, a share of them relevant, around 0.7."""
    rng = np.random.default_rng(seed)
    relevant = rng.random(m) < share
    return np.where(relevant, rng.normal(0.7, 0.05, m), rng.normal(0.2, 0.05, m))


@given(seeds, st.integers(1, 10**9), st.integers(1, 10**9))
def test_more_images_never_lower_the_floor(seed: int, few: int, many: int) -> None:
    few, many = sorted((few, many))
    assert relevance_floor(scores_of(seed), few) <= relevance_floor(scores_of(seed), many)


@given(seeds, st.floats(-10, 10), st.floats(0.01, 100), st.sampled_from([math.inf, 0.3, 1.0]))
def test_shifted_and_stretched_scores_shift_and_stretch_it(
    seed: int, shift: float, stretch: float, perfect: float
) -> None:
    floor = relevance_floor(scores_of(seed), 10_000, perfect=perfect)
    moved = relevance_floor(
        scores_of(seed) * stretch + shift, 10_000, perfect=perfect * stretch + shift
    )
    assert moved == pytest.approx(floor * stretch + shift, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("share", [0, 0.05, 0.1])
@pytest.mark.parametrize("images", [1_000, 1_000_000])
def test_it_parts_the_relevant_from_the_rest(share: float, images: int) -> None:
    above = []
    for seed in range(20):
        floor = relevance_floor(scores_of(seed, share=share), images)
        above.append((np.random.default_rng(seed + 99).normal(0.2, 0.05, images) > floor).sum())
        assert floor < 0.6
    assert np.mean(above) <= 0.3


def test_a_copy_passes_whatever_the_background() -> None:
    wide = np.random.default_rng(0).uniform(0, 0.95, 700)  # such as color scores are
    assert relevance_floor(wide, 10**8) > 1
    assert relevance_floor(wide, 10**8, perfect=1.0) < 0.98


def test_without_a_background_everything_passes() -> None:
    assert relevance_floor(np.array([]), 0) == -math.inf


def test_nothing_stands_out_of_a_background_of_equals() -> None:
    assert relevance_floor(np.full(50, 0.4), 1_000) == pytest.approx(0.4)


def test_on_real_colors_a_copy_passes_and_few_others_do(data: Path) -> None:
    files = sorted((data / "catalog" / "images").rglob("*.jpg"))[::6]
    images = [decode(file.read_bytes(), side=Color.side) for file in files]
    vectors = Color().describe(images).vectors
    copies = Color().describe(
        [decode(jpeg(PIL.Image.open(file).convert("RGB"), 70)) for file in files[:40]]
    )
    passed = []
    for i, copy in enumerate(copies.vectors):
        others = np.delete(vectors @ vectors[i], i)
        floor = relevance_floor(others, len(others), perfect=1.0)
        assert copy @ vectors[i] > floor
        passed.append((others > floor).mean())
    assert np.median(passed) < 0.02


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_copies_pass_the_floor_however_many_there_are(share: float) -> None:
    copies = np.full(round(200 * share), 6.0) - 1e-4
    background = np.concatenate([copies, np.random.default_rng(0).normal(0, 1, 200 - len(copies))])
    floor = relevance_floor(background, 10_000, perfect=6.0)
    assert floor < copies.min(initial=6.0)
