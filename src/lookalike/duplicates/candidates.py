"""Candidate pairs of duplicates across a whole index: proposed by hashes and semantic vectors.

Memory grows with the number of images and of candidates, never with the number of all pairs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.hamming import all_orientations, is_informative, near_pairs
from lookalike.duplicates.check import LOOKUP_RADIUS, SEMANTIC_NEIGHBORS, DuplicateSearch
from lookalike.duplicates.keepers import KeeperPolicy
from lookalike.protocols import existing_points
from lookalike.record import record_of
from lookalike.system.point_ids import as_point_id
from lookalike.types import CandidateQuery, Candidates, Filter, WeightedVector, point_id

JOIN_RADIUS = 8
"""Bits of 64 by which two hashes of a proposed pair may differ in a large index. Of unrelated
photos about 5 pairs in a million are that near each other, and 34 within `LOOKUP_RADIUS`, where
the semantic vector proposes the same copies."""
FEW_HASHES = 50_000
"""Hashes up to which pairs within `LOOKUP_RADIUS` are proposed, as for one image: 42,000 pairs."""
NEIGHBORS = 10
"""Nearest semantic vectors that are proposed for each image, the first `SEMANTIC_NEIGHBORS` of them
at any distance, as for one image."""
MAX_HASH_PAIRS = 64
"""Pairs that hashes propose for one image. It has more only where very many images are near one
another, and then a copy is found by way of another copy."""
QUERIES_PER_REQUEST = 64
"""Images whose nearest neighbors are queried in one request."""
PAIRS_PER_BATCH = 512
"""Pairs that are looked up and compared together."""

Places: TypeAlias = NDArray[np.integer]
"""Positions in `DistinctFiles`."""

StageProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with the name of a stage, the work done in it, and its total."""


@dataclass(slots=True)
class DistinctFiles:
    """The files of an index with different contents, the best keeper first.

    Attributes:
        ids: for each file the ids of all images with this content, the best keeper first.
        hashes: (n,) perceptual hashes.
    """

    ids: list[list[str]]
    hashes: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class CandidatePairs:
    """Pairs of distinct files that may be copies: an undirected graph, stored as columns."""

    _first: list[Places] = field(default_factory=list)
    _second: list[Places] = field(default_factory=list)

    def add(self, first: Places, second: Places) -> None:
        self._first.append(first.astype(np.int32))
        self._second.append(second.astype(np.int32))

    def neighbors(self, count: int) -> Callable[[int], Places]:
        """A function that returns the neighbors of a file in ascending order.

        Args:
            count: number of files.
        """
        empty = np.zeros(0, np.int32)
        first = np.concatenate([empty, *self._first, *self._second])
        second = np.concatenate([empty, *self._second, *self._first])
        edges = np.unique(first.astype(np.int64) << 32 | second)
        ends = np.searchsorted(edges, np.arange(count + 1, dtype=np.int64) << 32)
        others = (edges & 0xFFFFFFFF).astype(np.int32)
        return lambda place: others[ends[place] : ends[place + 1]]


def distinct_files(
    search: DuplicateSearch, policy: KeeperPolicy, where: Filter | None, progress: StageProgress
) -> DistinctFiles:
    """Reads the whole index once."""
    keys: list[tuple[Any, str]] = []
    digests: list[bytes] = []
    hashes: list[int] = []
    total = search.engine.count(where)
    for points in search.engine.scroll(where):
        for point in points:
            image = record_of(point.payload)
            keys.append((policy.key(point.payload), point.id))
            digests.append(bytes.fromhex(image["sha256"]))
            hashes.append(int(image["phash"], 16))
        progress("reading", len(keys), total)
    best_first = sorted(range(len(keys)), key=lambda row: keys[row][1])
    best_first.sort(key=lambda row: keys[row][0], reverse=True)
    ids: list[list[str]] = []
    places: dict[bytes, int] = {}
    first_hashes: list[int] = []
    for row in best_first:
        place = places.setdefault(digests[row], len(ids))
        if place == len(ids):
            first_hashes.append(hashes[row])
            ids.append([])
        ids[place].append(keys[row][1])
    return DistinctFiles(ids, np.array(first_hashes, np.uint64))


# --- proposing ------------------------------------------------------------------------------


def propose(
    search: DuplicateSearch, files: DistinctFiles, where: Filter | None, progress: StageProgress
) -> CandidatePairs:
    """Pairs of files with near hashes or near semantic vectors.

    Args:
        where: a filter that neighbors must match, too.
    """
    pairs = CandidatePairs()
    for first, second in _near_hashes(files.hashes, progress):
        pairs.add(first, second)
    for first, second in _semantic_neighbors(search, files, where, progress):
        pairs.add(first, second)
    return pairs


def _near_hashes(
    hashes: NDArray[np.uint64], progress: StageProgress
) -> Iterator[tuple[Places, Places]]:
    """Files with equal hashes, and with hashes that are near in some orientation."""
    informative = np.flatnonzero(is_informative(hashes))
    unique, first, inverse = np.unique(hashes[informative], return_index=True, return_inverse=True)
    # Of files with equal hashes, each is paired with the first, by way of which it is found.
    repeated = np.flatnonzero(first[inverse] != np.arange(len(informative)))
    yield informative[repeated], informative[first[inverse[repeated]]]
    radius = LOOKUP_RADIUS if len(unique) <= FEW_HASHES else JOIN_RADIUS
    counts = np.zeros(len(unique), np.int32)
    orientations = all_orientations(unique)
    for column in range(orientations.shape[1]):
        progress("comparing hashes", column, orientations.shape[1])
        against = None if column == 0 else orientations[:, column]
        for one, other, _ in near_pairs(unique, radius, against=against):
            chosen = (counts[one] < MAX_HASH_PAIRS) | (counts[other] < MAX_HASH_PAIRS)
            one, other = one[chosen], other[chosen]
            np.add.at(counts, one, 1)
            np.add.at(counts, other, 1)
            yield informative[first[one]], informative[first[other]]
    progress("comparing hashes", orientations.shape[1], orientations.shape[1])


def _semantic_neighbors(
    search: DuplicateSearch, files: DistinctFiles, where: Filter | None, progress: StageProgress
) -> Iterator[tuple[Places, Places]]:
    name, done = search.semantic, 0
    place_of = {point_id(ids[0]): place for place, ids in enumerate(files.ids)}
    place_of_twin = {point_id(id): place for place, ids in enumerate(files.ids) for id in ids[1:]}
    for points in search.engine.scroll(
        where, payload=False, vectors=[name], batch=QUERIES_PER_REQUEST
    ):
        queried = [point for point in points if point_id(point.id) in place_of]
        targets = [WeightedVector(name, point.vectors[name], 1.0) for point in queried]
        answers = search.engine.nearest(
            [CandidateQuery(target, where, NEIGHBORS + 1) for target in targets]
        )
        for point, candidates in zip(queried, answers, strict=True):
            place = place_of[point_id(point.id)]
            least = search.thresholds.proposed
            near = [
                (as_point_id(id), similarity)
                for rank, (id, similarity) in enumerate(candidates)
                if rank <= SEMANTIC_NEIGHBORS or similarity >= least  # the image itself is first
            ]
            others = _places(near, place_of, place_of_twin)
            yield np.full(len(others), place), others
        done += len(queried)
        progress("finding neighbors", done, len(files))


def _places(candidates: Candidates, *maps: Mapping[Any, int]) -> Places:
    """Places of the candidates."""
    places = [places[id] for id, _ in candidates for places in maps if id in places]
    return np.array(places, np.int64)


# --- confirming -----------------------------------------------------------------------------


def confirm(
    search: DuplicateSearch, files: DistinctFiles, proposed: CandidatePairs, progress: StageProgress
) -> CandidatePairs:
    """The proposed pairs that are copies.

    The graph is traversed breadth first, so that the pictures of neighbors are in memory together
    and their sketches are made once.
    """
    count = len(files)
    neighbors = proposed.neighbors(count)
    position = np.full(count, -1, np.int64)  # in the order of traversal
    confirmed = CandidatePairs()
    waiting: list[tuple[int, int]] = []
    for done, place in enumerate(_breadth_first(neighbors, count)):
        position[place] = done
        others = neighbors(place)
        waiting += [(int(other), place) for other in others[position[others] >= 0]]
        if len(waiting) >= PAIRS_PER_BATCH or done + 1 == count:
            confirmed.add(*_copies(search, files, waiting))
            waiting = []
            progress("comparing pictures", done + 1, count)
    return confirmed


def _copies(
    search: DuplicateSearch, files: DistinctFiles, pairs: Sequence[tuple[int, int]]
) -> tuple[Places, Places]:
    """The pairs that are copies, as two columns."""
    ids = {place: files.ids[place][0] for pair in pairs for place in pair}
    points = existing_points(search.engine, list(ids.values()))
    payloads = {point.id: point.payload for point in points}
    existing = [pair for pair in pairs if all(ids[place] in payloads for place in pair)]
    results = search.comparer.start(
        [(payloads[ids[first]], payloads[ids[second]]) for first, second in existing]
    )
    are_copies = [result.result() is not None for result in results]
    search.comparer.save_sketches()
    copies = np.array(existing, np.int64).reshape(-1, 2)[np.array(are_copies, bool)]
    return copies[:, 0], copies[:, 1]


def _breadth_first(neighbors: Callable[[int], Places], count: int) -> Iterator[int]:
    """All places of the graph, breadth first."""
    seen = np.zeros(count, bool)
    for start in range(count):
        if seen[start]:
            continue
        seen[start] = True
        queue = deque([start])
        while queue:
            place = queue.popleft()
            yield place
            others = neighbors(place)
            unseen = others[~seen[others]]
            seen[unseen] = True
            queue.extend(unseen.tolist())
