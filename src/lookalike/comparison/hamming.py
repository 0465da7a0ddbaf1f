"""Pairs of perceptual hashes that differ in a few bits, and what becomes of a hash when its picture
is mirrored or rotated. Hashes are 64-bit numbers, the first bit of `descriptors/phash.py` highest.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, combinations, islice

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]
Block = tuple[Rows, Rows, NDArray[np.uint8]]

ORIENTATIONS = (
    "upright",
    "mirrored",
    "rotated by 180°",
    "flipped",
    "transposed",
    "rotated by 90°",
    "transversed",
    "rotated by 270°",
)
"""Columns of `oriented`, in the order of EXIF's orientations: what was done to the picture.

Mirrored swaps left and right, flipped top and bottom; rotations are clockwise.
"""

MAX_RADIUS = 12
"""Above, so many tables are needed that comparing all with all is faster."""

_BITS = 64
_CANDIDATES = 1 << 17  # compared at a time, so that what they need stays in the cache
_NEXT = 32  # so many of the next in order are compared without asking whether they match
_SIDE_BY_SIDE = 1 << 15  # of these, likewise
_THREADS = 2  # sorting and comparing leave the interpreter free; more wait for memory
_SCATTER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, as Knuth advises
_ODD_COLUMNS, _ODD_ROWS = np.uint64(0x5555555555555555), np.uint64(0x00FF00FF00FF00FF)
_SWAPS = ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0))
_FEWEST_ONES = 12


def pairs(hashes: Hashes, radius: int, *, against: Hashes | None = None) -> Iterator[Block]:
    """Every pair of rows i < j whose hashes are at most `radius` bits apart, each once, exactly.

    Equal hashes are pairs too, and m of them make m(m - 1)/2: pass the hashes of `np.unique` and
    keep its inverse. Memory grows with the number of hashes, never with that of pairs; but hashes
    that all lie near one another do make a pair each, and finding those takes its time.

    Pigeonhole, as in multi-index hashing (Norouzi, Punjani, Fleet, CVPR 2012,
    https://arxiv.org/abs/1307.2982): of two halves one has at most half of the differing bits.
    Cut in pieces, that half has some that do not differ at all (Manku, Jain, Das Sarma, WWW 2007,
    https://doi.org/10.1145/1242572.1242592). So hashes are sorted by every choice of that many
    pieces, and those that agree in one are compared.

    Args:
        hashes: (n,).
        radius: bits, up to `MAX_RADIUS`.
        against: (n,) other hashes of the same rows, as a column of `oriented`: then pairs are those
            with `hashes[i]` near `against[j]`. Rotations by 90° and 270° need both their columns.

    Yields:
        rows i, rows j and their distances in bits, at most 131,072 or n at a time, in no order that
        means anything, but the same one every time.

    Raises:
        ValueError: if the radius is out of range, or `against` of another length.
    """
    if not 0 <= radius <= MAX_RADIUS:
        raise ValueError(f"radius is {radius}; choose 0 to {MAX_RADIUS} bits")
    if against is not None and against.shape != hashes.shape:
        raise ValueError(f"against has shape {against.shape}; give it that of hashes")
    masks = _masks(len(hashes), radius)
    others = hashes if against is None else against
    return _in_threads(
        _join(hashes, others, mask, masks[:at], radius) for at, mask in enumerate(masks)
    )


def _masks(count: int, radius: int) -> list[np.uint64]:
    """Bits to sort by: hashes up to `radius` bits apart agree in all bits of at least one mask."""
    if radius == 0 or count < 2:
        return [np.uint64(2**_BITS - 1)] if count > 1 else []
    # Neighboring frequencies go together: shuffled, correlated bits fall in different pieces.
    bits = [1 << int(bit) for bit in np.random.default_rng(0).permutation(_BITS)]
    masks = []
    for half, errors in ((bits[::2], (radius - 1) // 2), (bits[1::2], radius // 2)):
        # So many that a key has about log2(count) - 4 bits: longer ones mean more tables to sort,
        # shorter ones more candidates to compare; measured, both take about the same time then.
        best = len(half) * errors / (len(half) + 4 - math.log2(count))
        cut = max(math.ceil(best), errors + 1)
        pieces = [sum(half[at::cut]) for at in range(cut)]
        masks += [np.uint64(sum(kept)) for kept in combinations(pieces, cut - errors)]
    return masks


def _join(
    hashes: Hashes, others: Hashes, mask: np.uint64, earlier: list[np.uint64], radius: int
) -> Iterator[Block]:
    """The pairs that agree in the bits of `mask` and in those of no earlier one."""
    low = np.uint64((1 << len(hashes).bit_length()) - 1)  # room for the row in a sorted number
    left = _sorted_by(mask, hashes, low)
    right = left if others is hashes else _sorted_by(mask, others, low)
    left_rows, right_rows = (left & low).astype(np.int64), (right & low).astype(np.int64)
    left_hashes, right_hashes = hashes[left_rows], others[right_rows]
    candidates: Iterator[tuple[Rows, Rows]]
    if left is right:  # the next few of each are compared faster side by side
        first = np.arange(len(left)) + 1 + _NEXT
        candidates = chain(_near_by(left_hashes, radius), _matches(left, left, low, first))
    else:
        candidates = _matches(left, right, low, np.searchsorted(right, left, "right"))
    for i, j in candidates:
        differing = left_hashes[i] ^ right_hashes[j]
        near = np.flatnonzero(np.bitwise_count(differing) <= radius)
        near = near[differing[near] & mask == 0]
        for other in earlier:
            near = near[differing[near] & other != 0]
        if near.size:
            yield left_rows[i[near]], right_rows[j[near]], np.bitwise_count(differing[near])


def _sorted_by(mask: np.uint64, hashes: Hashes, low: np.uint64) -> Hashes:
    """Sorted numbers: those bits in the high part, scattered, and the row in the low one."""
    return np.sort(((hashes & mask) * _SCATTER & ~low) | np.arange(len(hashes), dtype=np.uint64))


def _near_by(hashes: Hashes, radius: int) -> Iterator[tuple[Rows, Rows]]:
    """Positions of near hashes that stand at most _NEXT places apart."""
    for start in range(0, len(hashes), _SIDE_BY_SIDE):
        part = hashes[start : start + _SIDE_BY_SIDE + _NEXT]
        for step in range(1, min(_NEXT + 1, len(part))):
            ahead = part[step : step + _SIDE_BY_SIDE]
            near = np.bitwise_count(part[: len(ahead)] ^ ahead) <= radius
            left = np.flatnonzero(near) + start
            if left.size:
                yield left, left + step


def _matches(
    left: Hashes, right: Hashes, low: np.uint64, first: Rows
) -> Iterator[tuple[Rows, Rows]]:
    """Positions of all that are equal but for the low part; on the right only from `first` on."""
    counts = (np.searchsorted(right, left | low, "right") - first).clip(0)
    matched = np.flatnonzero(counts)
    first, counts = first[matched], counts[matched]
    ends = counts.cumsum()
    start = 0
    while start < len(matched):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CANDIDATES, "right")))
        some, part = counts[start:stop], slice(start, stop)
        skipped = first[part] - (ends[part] - some - done)
        yield (
            np.repeat(matched[part], some),
            np.arange(ends[stop - 1] - done) + np.repeat(skipped, some),
        )
        start = stop


def _in_threads(tables: Iterator[Iterator[Block]]) -> Iterator[Block]:
    """What all of these yield. None runs further ahead than the one block it has ready."""
    with ThreadPoolExecutor(_THREADS) as pool:
        running = deque((pool.submit(next, t, None), t) for t in islice(tables, _THREADS + 1))
        while running:
            future, table = running.popleft()
            block = future.result()
            following = table if block is not None else next(tables, None)
            if following is not None:
                running.append((pool.submit(next, following, None), following))
            if block is not None:
                yield block


def oriented(hashes: Hashes) -> Hashes:
    """(n, 8) hashes of the same pictures mirrored and rotated, a column for each `ORIENTATIONS`.

    Told from the bits alone: mirroring negates the odd frequencies across, transposing the picture
    transposes its frequencies. The median is not quite zero, so where the picture is mirrored a few
    bits differ from those of its true hash: measured on 1,293 photos 3.3 in the mean, up to 4 for
    80 %, up to 7 for 94 %, up to 8 for 98 %, never more than 14. Transposed, at most 2.
    """
    both = [hashes, transposed(hashes)]
    mirrors = (0, _ODD_COLUMNS, _ODD_COLUMNS ^ _ODD_ROWS, _ODD_ROWS)
    return np.stack([some ^ np.uint64(mirror) for some in both for mirror in mirrors], axis=-1)


def transposed(hashes: Hashes) -> Hashes:
    """The 8 x 8 bits of each hash with rows and columns swapped: three rounds of swapping blocks.

    Warren, Hacker's Delight, 2nd edition, section 7-3.
    """
    for shift, mask in _SWAPS:
        swapped = (hashes ^ (hashes >> np.uint64(shift))) & np.uint64(mask)
        hashes = hashes ^ swapped ^ (swapped << np.uint64(shift))
    return hashes


def is_informative(hashes: Hashes) -> NDArray[np.bool_]:
    """False for the hashes that unrelated pictures share: plain ones, gradients, stripes.

    A photo has as many bits above the median as below, 32. Where a picture does not vary in some
    direction most frequencies are exactly zero and equal the median: such hashes have up to 10
    ones, and are all near one another. Pictures that equal their mirror image have 8 to 24, about
    16, and still differ. Pictures of less than 6 pixels a side have as many ones as a photo and
    yet few hashes among them: that is for the caller to tell from their size.
    """
    return np.bitwise_count(hashes) >= _FEWEST_ONES
