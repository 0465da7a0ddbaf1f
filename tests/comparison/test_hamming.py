"""All near hashes are found and no others, and hashes turn like their pictures."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL.Image import Transpose

from lookalike.comparison.hamming import (
    MAX_RADIUS,
    ORIENTATIONS,
    Hashes,
    Rows,
    all_orientations,
    is_informative,
    near_pairs,
    near_pairs_in_parts,
    transposed,
)
from lookalike.descriptors.phash import Phash
from lookalike.types import Image

Pairs = list[tuple[int, int, int]]

TURNS: dict[str, Transpose | None] = {
    "upright": None,
    "mirrored": Transpose.FLIP_LEFT_RIGHT,
    "rotated by 180°": Transpose.ROTATE_180,
    "flipped": Transpose.FLIP_TOP_BOTTOM,
    "transposed": Transpose.TRANSPOSE,
    "rotated by 90°": Transpose.ROTATE_270,  # Pillow counts counterclockwise
    "transversed": Transpose.TRANSVERSE,
    "rotated by 270°": Transpose.ROTATE_90,
}


def reported(hashes: Hashes, radius: int, against: Hashes | None = None) -> Pairs:
    """All pairs, sorted, with duplicates if any were reported."""
    blocks = near_pairs(hashes, radius, against=against)
    return sorted(row for block in blocks for row in zip(*(a.tolist() for a in block), strict=True))


def by_brute_force(hashes: Hashes, radius: int, against: Hashes | None = None) -> Pairs:
    others = hashes if against is None else against
    triples: Pairs = []
    for i in range(len(hashes)):
        distances = np.bitwise_count(hashes[i] ^ others[i + 1 :])
        near = np.flatnonzero(distances <= radius)
        triples += [(i, i + 1 + int(j), int(distances[j])) for j in near]
    return triples


def flipped(hash: int, bits: Sequence[int]) -> int:
    for bit in bits:
        hash ^= 1 << bit
    return hash


bits = st.lists(st.integers(0, 63), max_size=14)
near_few = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3).flatmap(
    lambda bases: st.lists(st.builds(flipped, st.sampled_from(bases), bits), max_size=40)
)


@settings(max_examples=150, deadline=None)
@given(near_few, st.integers(0, MAX_RADIUS))
def test_pairs_are_those_of_brute_force(numbers: list[int], radius: int) -> None:
    hashes = np.array(numbers, np.uint64)
    assert reported(hashes, radius) == by_brute_force(hashes, radius)


@settings(max_examples=100, deadline=None)
@given(near_few, st.integers(0, MAX_RADIUS), st.integers(0, 7))
def test_pairs_against_orientations_are_those_of_brute_force(
    numbers: list[int], radius: int, column: int
) -> None:
    hashes = np.array(numbers, np.uint64)
    turned = all_orientations(hashes)[:, column]
    hashes[::2] = turned[::2]
    assert reported(hashes, radius, turned) == by_brute_force(hashes, radius, turned)


@pytest.mark.parametrize("radius", [1, 4, 7, 10])
def test_among_many_every_pair_is_reported_once(radius: int) -> None:
    rng = np.random.default_rng(radius)
    hashes = rng.integers(0, 2**64, 8000, dtype=np.uint64)
    # Skewed like those of photos: most agree in some bits.
    hashes[::3] &= np.uint64(0xFF0F00FFFFFF0FFF)
    for row in range(0, 4000, 2):
        changed = rng.choice(64, row // 2 % (radius + 2), replace=False).tolist()
        hashes[8000 - 1 - row] = flipped(int(hashes[row]), changed)
    expected = by_brute_force(hashes, radius)
    assert len(expected) > 1000
    assert reported(hashes, radius) == expected


@pytest.mark.parametrize("numbers", [[], [7]])
@pytest.mark.parametrize("radius", [0, 1, 7])
def test_none_and_one_make_no_pair(numbers: list[int], radius: int) -> None:
    hashes = np.array(numbers, np.uint64)
    assert reported(hashes, radius) == []
    assert reported(hashes, radius, hashes) == []


def test_equal_hashes_are_pairs() -> None:
    assert reported(np.array([5, 9, 5, 5], np.uint64), 0) == [(0, 2, 0), (0, 3, 0), (2, 3, 0)]


@pytest.mark.parametrize("radius", [-1, MAX_RADIUS + 1])
def test_a_radius_out_of_range_is_refused(radius: int) -> None:
    with pytest.raises(ValueError, match="choose 0 to 12 bits"):
        near_pairs(np.zeros(2, np.uint64), radius)


def test_others_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="give it that of hashes"):
        near_pairs(np.zeros(2, np.uint64), 7, against=np.zeros(3, np.uint64))


def turned_copies(count: int) -> Hashes:
    """Hashes of which most have a near one in every orientation."""
    rng = np.random.default_rng(5)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    for row in range(count // 8, count):
        bits = rng.choice(64, int(rng.integers(0, 10)), replace=False).tolist()
        copy = all_orientations(hashes[row % (count // 8)][None])[0, row % 8]
        hashes[row] = flipped(int(copy), bits)
    return hashes


@pytest.mark.parametrize("most", [10**6, 700, 90])
@pytest.mark.parametrize("orientation", range(len(ORIENTATIONS)))
def test_parts_find_the_same_pairs(orientation: int, most: int, tmp_path: Path) -> None:
    hashes = turned_copies(1200)
    rows = np.arange(len(hashes)) * 3 + 1  # any numbers in ascending order

    def read() -> Iterator[tuple[Rows, Hashes]]:
        for start in range(0, len(hashes), 400):
            yield rows[start : start + 400], hashes[start : start + 400]

    blocks = near_pairs_in_parts(read, len(hashes), 8, orientation, most=most, folder=tmp_path)
    found = sorted(
        row for block in blocks for row in zip(*(a.tolist() for a in block), strict=True)
    )
    against = None if orientation == 0 else all_orientations(hashes)[:, orientation]
    expected = by_brute_force(hashes, 8, against)
    assert expected
    assert found == [(3 * i + 1, 3 * j + 1, distance) for i, j, distance in expected]


def ball(radius: int) -> Hashes:
    """All hashes within this many bits of one."""
    center = 0x9D1A2B3C4D5E6F70
    changes = (itertools.combinations(range(64), size) for size in range(radius + 1))
    return np.array([flipped(center, c) for changed in changes for c in changed], np.uint64)


def test_a_dense_cloud_is_found_whole_and_in_small_blocks() -> None:
    cloud = ball(2)
    sizes = [len(i) for i, _, _ in near_pairs(cloud, 7)]
    assert sum(sizes) == len(cloud) * (len(cloud) - 1) // 2
    assert max(sizes) <= 131_072


def test_a_dense_cloud_streams() -> None:
    cloud = ball(3)
    assert len(cloud) == 43_745  # 957 million pairs
    tracemalloc.start()
    try:
        blocks = near_pairs(cloud, 7)
        count = sum(len(i) for i, _, _ in itertools.islice(blocks, 100))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count > 1_000_000
    assert peak < 64 * 2**20


# --- orientations ---------------------------------------------------------------------------


def phash(picture: PIL.Image.Image) -> int:
    pixels = np.asarray(picture.convert("RGB"))
    image = Image(pixels, None, picture.width, picture.height, "PNG", "", 0, None)
    return int(Phash().describe([image]).payload[0]["phash"], 16)


def bits_apart(pictures: Sequence[PIL.Image.Image]) -> NDArray[np.uint8]:
    """(pictures, 8) bits between the hash computed from bits and that of the turned picture."""
    turns = [TURNS[name] for name in ORIENTATIONS]
    true = [[phash(p if turn is None else p.transpose(turn)) for turn in turns] for p in pictures]
    hashes = np.array(true, np.uint64)
    bits: NDArray[np.uint8] = np.bitwise_count(all_orientations(hashes[:, 0]) ^ hashes)
    return bits


def scene(seed: int) -> PIL.Image.Image:
    """Overlapping rectangles and some grain, without any symmetry."""
    rng = np.random.default_rng(seed)
    pixels = np.full((180, 240, 3), 200.0)
    for _ in range(12):
        y, x, h, w = rng.integers((0, 0, 20, 20), (150, 210, 90, 120))
        pixels[y : y + h, x : x + w] = rng.uniform(0, 255, 3)
    pixels += rng.normal(0, 4, pixels.shape)
    return PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def test_hashes_turn_as_drawn_pictures_do() -> None:
    bits = bits_apart([scene(seed) for seed in range(30)])
    assert bits[:, 0].max() == 0
    assert bits[:, 4].max() <= 2
    assert (bits <= 8).mean() >= 0.95
    assert bits.max() <= 16  # unrelated hashes are 32 apart


def test_hashes_turn_as_photos_do(data: Path) -> None:
    files = sorted((data / "photos").rglob("*.jpg"))[::40]
    bits = bits_apart([PIL.Image.open(file).convert("RGB") for file in files])
    assert bits[:, 4].max() <= 2
    assert (bits <= 7).mean() >= 0.92
    assert bits.max() <= 16


def test_orientations_are_a_group() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 50, dtype=np.uint64)
    for column in range(8):
        again = all_orientations(all_orientations(hashes)[:, column])
        back = 12 - column if column in (5, 7) else column
        assert (again[:, back] == hashes).all()


def test_transposing_swaps_rows_and_columns() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 50, dtype=np.uint64)
    square = np.unpackbits(hashes.astype(">u8").view(np.uint8)).reshape(-1, 8, 8)
    swapped = np.packbits(square.transpose(0, 2, 1).copy()).view(">u8")
    assert (transposed(hashes) == swapped).all()


# --- uninformative hashes -------------------------------------------------------------------

y, x = np.mgrid[:120, :160]
PLAIN = {
    "black": x * 0,
    "white": x * 0 + 255,
    "gradient across": x * 255 // 159,
    "gradient across, dark on the right": 255 - x * 255 // 159,
    "gradient down": y * 255 // 119,
    "two tones": (x < 80) * 255,
    "two tones, uneven": (y < 40) * 200 + 20,
    "stripes": (x // 5 % 2) * 255,
    "wide stripes": (y // 20 % 2) * 255,
    "checkers": ((x // 20 + y // 20) % 2) * 255,
    "one pixel": np.array([[130]]),
    "a row of pixels": np.array([[10, 200, 30, 90, 250, 0, 120, 60]]),
}


@pytest.mark.parametrize("pixels", PLAIN.values(), ids=PLAIN.keys())
def test_plain_pictures_have_uninformative_hashes(pixels: NDArray[np.int64]) -> None:
    hash = phash(PIL.Image.fromarray(pixels.astype(np.uint8)))
    assert not is_informative(np.array([hash], np.uint64))[0]


def test_scenes_have_informative_hashes() -> None:
    hashes = np.array([phash(scene(seed)) for seed in range(20)], np.uint64)
    assert is_informative(hashes).all()


def test_photos_have_informative_hashes(data: Path) -> None:
    files = sorted((data / "catalog").rglob("*.jpg"))[::20]
    hashes = np.array([phash(PIL.Image.open(file)) for file in files], np.uint64)
    assert is_informative(hashes).all()
