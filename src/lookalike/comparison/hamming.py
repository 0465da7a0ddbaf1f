"""Pairs of perceptual hashes that differ in few bits, and hashes of mirrored and rotated pictures.

Hashes are 64-bit numbers with the first bit of `descriptors/phash.py` as the highest.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, combinations, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.system.external_sort import Division, Table

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]
Block = tuple[Rows, Rows, NDArray[np.uint8]]
HashReader = Callable[[], Iterator[tuple[Rows, Hashes]]]

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
"""Columns of `all_orientations`, in the order of EXIF's orientations: the change to the picture.

Mirroring swaps left and right, flipping top and bottom; rotations are clockwise.
"""

MAX_RADIUS = 12
"""Greatest radius: beyond it, so many tables are needed that comparing all pairs is faster."""

BYTES_PER_HASH = 260
"""Memory of a hash in a part that is searched, as measured among a million."""

_BITS = 64
_CANDIDATES = 1 << 17  # compared at a time, so that the arrays stay in the cache
_NEXT = 32  # following rows that are compared with each row whether or not they match
_SIDE_BY_SIDE = 1 << 15  # rows of this comparison at a time
_THREADS = 2  # sorting and comparing release the GIL; more threads wait for memory
_SCATTER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, as Knuth advises
_ODD_COLUMNS, _ODD_ROWS = np.uint64(0x5555555555555555), np.uint64(0x00FF00FF00FF00FF)
_MIRRORS = (0, _ODD_COLUMNS, _ODD_COLUMNS ^ _ODD_ROWS, _ODD_ROWS)
_SWAPS = ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0))
_MIN_ONES = 12


# --- pairs ----------------------------------------------------------------------------------


def near_pairs(hashes: Hashes, radius: int, *, against: Hashes | None = None) -> Iterator[Block]:
    """Every pair of rows i < j whose hashes are at most `radius` bits apart: each once, exactly.

    Equal hashes are pairs, too, and m of them make m(m - 1)/2: pass the hashes of `np.unique` and
    keep its inverse. Memory grows with the number of hashes, never with that of pairs; but hashes
    that are all near one another do make a pair each, and finding those takes time.

    Pigeonhole principle, as in multi-index hashing (Norouzi, Punjani, Fleet, CVPR 2012,
    https://arxiv.org/abs/1307.2982): one of two halves has at most half of the differing bits. Cut
    into pieces, that half has some pieces without differing bits (Manku, Jain, Das Sarma, WWW 2007,
    https://doi.org/10.1145/1242572.1242592). So the hashes are sorted by every choice of that many
    pieces, and those that agree in one choice are compared.

    Args:
        hashes: (n,).
        radius: bits, up to `MAX_RADIUS`.
        against: (n,) other hashes of the same rows, such as a column of `all_orientations`: the
            pairs are then those with `hashes[i]` near `against[j]`. Rotations by 90° and 270° need
            both their columns.

    Yields:
        rows i, rows j and their distances in bits, at most 131,072 or n at a time, in an order
        without meaning that is the same every time.

    Raises:
        ValueError: the radius is out of range, or `against` has another length.
    """
    if not 0 <= radius <= MAX_RADIUS:
        raise ValueError(f"radius is {radius}; choose 0 to {MAX_RADIUS} bits")
    if against is not None and against.shape != hashes.shape:
        raise ValueError(f"against has shape {against.shape}; give it that of hashes")
    masks, rows = _masks(len(hashes), radius), np.arange(len(hashes))
    left = _Rows(rows, hashes)
    right = left if against is None else _Rows(rows, against)
    tables = (_join(left, right, mask, masks[:at], radius) for at, mask in enumerate(masks))
    return _in_threads(tables)


def near_pairs_in_parts(
    read: HashReader, count: int, radius: int, orientation: int, *, most: int, folder: Path
) -> Iterator[Block]:
    """The pairs of `near_pairs` for hashes that are too many for the memory.

    Hashes that agree in the bits by which they are sorted are in one part. So each part is searched
    by itself, and for each sorting the hashes are read once and divided in a file.

    Args:
        read: reads the hashes again, in blocks of rows in ascending order.
        count: number of hashes.
        radius: bits, up to `MAX_RADIUS`.
        orientation: column of `all_orientations` that the hash of the second row is turned to.
        most: hashes in memory at a time, each of which takes `BYTES_PER_HASH`.
        folder: holds the divided hashes, in files without names.

    Yields:
        as `near_pairs`, with rows as they were read.
    """
    masks = _masks(count, radius)
    parts = max(math.ceil(count * (_THREADS + 1) / max(most, 1)), 1)

    def tables() -> Iterator[Iterator[Block]]:
        for at, mask in enumerate(masks):
            left = right = _divided(read, 0, mask, parts, folder)
            if orientation:
                right = _divided(read, orientation, mask, parts, folder)
            for part in range(parts):
                yield _join_part(left, right, part, mask, masks[:at], radius)

    return _in_threads(tables())


def _join_part(
    left: Division,
    right: Division,
    part: int,
    mask: np.uint64,
    earlier: list[np.uint64],
    radius: int,
) -> Iterator[Block]:
    """The near pairs of one part."""
    one = _Rows.of(left.take(part))
    other = one if left is right else _Rows.of(right.take(part))
    if len(one.hashes) and len(other.hashes):
        yield from _join(one, other, mask, earlier, radius)


def _divided(
    read: HashReader, orientation: int, mask: np.uint64, parts: int, folder: Path
) -> Division:
    """The rows and their turned hashes, divided by the masked bits."""
    divided = Division(folder, 2, parts)
    for rows, hashes in read():
        turned = oriented(hashes, orientation)
        # The high half of a scattered number, so that the product fits.
        scattered = (turned & mask) * _SCATTER >> np.uint64(32)
        part = scattered * np.uint64(parts) >> np.uint64(32)
        divided.add(np.column_stack([rows.astype(np.uint64), turned]), part)
    return divided


class _Rows(NamedTuple):
    """Rows in ascending order, (n,), and their hashes, (n,)."""

    rows: Rows
    hashes: Hashes

    @classmethod
    def of(cls, table: Table) -> _Rows:
        """The two columns of a table."""
        return cls(table[:, 0].astype(np.int64), table[:, 1].copy())


def sortings(count: int, radius: int) -> int:
    """Number of times that so many hashes are sorted to find their near pairs."""
    return len(_masks(count, radius))


def _masks(count: int, radius: int) -> list[np.uint64]:
    """Bits to sort by: hashes up to `radius` bits apart agree in all bits of at least one mask."""
    if radius == 0 or count < 2:
        return [np.uint64(2**_BITS - 1)] if count > 1 else []
    # Bits of neighboring frequencies are correlated: shuffled, they fall into different pieces.
    bits = [1 << int(bit) for bit in np.random.default_rng(0).permutation(_BITS)]
    masks = []
    for half, errors in ((bits[::2], (radius - 1) // 2), (bits[1::2], radius // 2)):
        # A key should have about log2(count) - 4 bits: longer keys mean more tables to sort,
        # shorter ones more candidates to compare. Measured: both then take about the same time.
        best = len(half) * errors / (len(half) + 4 - math.log2(count))
        cut = max(math.ceil(best), errors + 1)
        pieces = [sum(half[at::cut]) for at in range(cut)]
        masks += [np.uint64(sum(chosen)) for chosen in combinations(pieces, cut - errors)]
    return masks


def _join(
    left: _Rows, right: _Rows, mask: np.uint64, earlier: list[np.uint64], radius: int
) -> Iterator[Block]:
    """The near pairs that agree in the bits of `mask` and not in those of any earlier mask."""
    # Room in a sorted number for a position among the rows, and for the one after the last.
    low = np.uint64((1 << max(len(left.hashes), len(right.hashes)).bit_length()) - 1)
    sorted_left = _sorted_by(mask, left.hashes, low)
    left_at = (sorted_left & low).astype(np.int64)
    left_rows, left_hashes = left.rows[left_at], left.hashes[left_at]
    candidates: Iterator[tuple[Rows, Rows]]
    if left is right:  # comparing the next few rows side by side is faster
        right_rows, right_hashes = left_rows, left_hashes
        first = np.arange(len(sorted_left)) + 1 + _NEXT
        following = _matches(sorted_left, sorted_left, low, first)
        candidates = chain(_near_by(left_hashes, radius), following)
    else:
        sorted_right = _sorted_by(mask, right.hashes, low)
        right_at = (sorted_right & low).astype(np.int64)
        right_rows, right_hashes = right.rows[right_at], right.hashes[right_at]
        after = np.searchsorted(right.rows, left_rows, "right").astype(np.uint64)
        first = np.searchsorted(sorted_right, (sorted_left & ~low) | after)
        candidates = _matches(sorted_left, sorted_right, low, first)
    for i, j in candidates:
        differing = left_hashes[i] ^ right_hashes[j]
        near = np.flatnonzero(np.bitwise_count(differing) <= radius)
        near = near[differing[near] & mask == 0]
        for other in earlier:
            near = near[differing[near] & other != 0]
        if near.size:
            yield left_rows[i[near]], right_rows[j[near]], np.bitwise_count(differing[near])


def _sorted_by(mask: np.uint64, hashes: Hashes, low: np.uint64) -> Hashes:
    """Sorted numbers with the masked bits, scattered, in the high part and the row in the low."""
    return np.sort(((hashes & mask) * _SCATTER & ~low) | np.arange(len(hashes), dtype=np.uint64))


def _near_by(hashes: Hashes, radius: int) -> Iterator[tuple[Rows, Rows]]:
    """Positions of near hashes that are at most `_NEXT` positions apart."""
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
    """Positions of all numbers that agree but for the low part; on the right from `first` on."""
    counts = (np.searchsorted(right, left | low, "right") - first).clip(0)
    matched = np.flatnonzero(counts)
    first, counts = first[matched], counts[matched]
    ends = counts.cumsum()
    start = 0
    while start < len(matched):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CANDIDATES, "right")))
        part = slice(start, stop)
        skipped = first[part] - (ends[part] - counts[part] - done)
        yield (
            np.repeat(matched[part], counts[part]),
            np.arange(ends[stop - 1] - done) + np.repeat(skipped, counts[part]),
        )
        start = stop


def _in_threads(tables: Iterator[Iterator[Block]]) -> Iterator[Block]:
    """The blocks of all tables. None is more than one block ahead of the consumer."""
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


# --- orientations ---------------------------------------------------------------------------


def all_orientations(hashes: Hashes) -> Hashes:
    """(n, 8) hashes of the same pictures mirrored and rotated, one column for each `ORIENTATIONS`.

    Computed from the bits alone: mirroring negates the odd frequencies across, and transposing the
    picture transposes its frequencies. The median is not quite zero, so a few bits of a mirrored
    hash differ from those of the mirrored picture: on 1,293 photos 3.3 on average, up to 4 for
    80 %, up to 7 for 94 %, up to 8 for 98 %, never more than 14. Transposed, at most 2.
    """
    return np.stack([oriented(hashes, at) for at in range(len(ORIENTATIONS))], axis=-1)


def oriented(hashes: Hashes, orientation: int) -> Hashes:
    """One column of `all_orientations`."""
    turned = transposed(hashes) if orientation >= len(_MIRRORS) else hashes
    return turned ^ np.uint64(_MIRRORS[orientation % len(_MIRRORS)])


def transposed(hashes: Hashes) -> Hashes:
    """The 8 x 8 bits of each hash with rows and columns swapped: three rounds of swapping blocks.

    Warren, Hacker's Delight, 2nd edition, section 7-3.
    """
    for shift, mask in _SWAPS:
        swapped = (hashes ^ (hashes >> np.uint64(shift))) & np.uint64(mask)
        hashes = hashes ^ swapped ^ (swapped << np.uint64(shift))
    return hashes


def is_informative(hashes: Hashes) -> NDArray[np.bool_]:
    """False for hashes that unrelated pictures share: those of plain areas, gradients, stripes.

    A photo has as many bits above the median as below, 32. If a picture does not vary in some
    direction, most frequencies are exactly zero and equal the median: such hashes have up to 10
    ones, and all are near one another. Pictures that equal their mirror image have 8 to 24 ones,
    about 16, and still differ. Pictures with sides below 6 pixels have as many ones as a photo but
    few different hashes: the caller has to tell them by their size.
    """
    return np.bitwise_count(hashes) >= _MIN_ONES
