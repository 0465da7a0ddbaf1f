"""All copies in an index, in groups: every member is confirmed against its group's keeper.

Memory grows with the number of images and of what is proposed, never with that of pairs. What is
proposed may lead on from member to member; what is confirmed never does, so no chain of weak links
joins two different pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.hamming import is_informative, oriented, pairs
from lookalike.duplicates.check import Checker, Duplicate, match_of, may_be_copies
from lookalike.duplicates.comparer import Verdict
from lookalike.duplicates.keepers import Policy
from lookalike.record import record_of
from lookalike.types import CandidateQuery, Candidates, Filter, Point, WeightedVector, point_id

RADIUS = 8
"""Bits of 64 up to which two hashes propose a pair. Of unrelated photos some 5 in a million are
that near each other, and 34 within 10 bits, where the semantic vector proposes the same."""
NEIGHBORS = 10
"""Nearest images by the semantic vector that are proposed for each."""
MOST_PROPOSED = 64
"""Pairs that hashes propose for one image: more only where very many are near one another, and then
a copy is found through another copy."""
TOGETHER = 64
"""Images whose neighbors are asked for in one request."""
PAIRS = 512
"""Pairs that are compared together."""

Rows: TypeAlias = NDArray[np.integer]
Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Group:
    """Copies of one picture.

    Attributes:
        keeper: id of the one to keep.
        reason: why that one, in words.
        members: all of them, the keeper first; verdicts and evidence are as compared with it.
        verdict: the weakest of the members'.
    """

    keeper: str
    reason: str
    members: tuple[Duplicate, ...]

    @property
    def verdict(self) -> Verdict:
        order = list(Verdict)
        return max((member.verdict for member in self.members), key=order.index)

    @property
    def copies(self) -> tuple[Duplicate, ...]:
        """The members without the keeper."""
        return self.members[1:]


@dataclass(slots=True)
class _Contents:
    """The distinct files of an index, best keeper first: numbers below are places in this order.

    Attributes:
        ids: for each content the ids of the images that have it, the best keeper first.
        hashes: (n,) their perceptual hashes.
    """

    ids: list[list[str]]
    hashes: NDArray[np.uint64]


@dataclass(slots=True)
class _Proposals:
    """Pairs that may be copies: a symmetric graph over contents, rows of places."""

    one: list[Rows] = field(default_factory=list)
    other: list[Rows] = field(default_factory=list)

    def add(self, one: Rows, other: Rows) -> None:
        self.one.append(one.astype(np.int32))
        self.other.append(other.astype(np.int32))

    def neighbors(self, count: int) -> Callable[[int], Rows]:
        """For each content those that are proposed with it, in order."""
        empty = np.zeros(0, np.int32)
        one = np.concatenate([empty, *self.one, *self.other])
        other = np.concatenate([empty, *self.other, *self.one])
        both = np.unique(one.astype(np.int64) << 32 | other)
        ends = np.searchsorted(both, np.arange(count + 1, dtype=np.int64) << 32)
        others = (both & 0xFFFFFFFF).astype(np.int32)
        return lambda place: others[ends[place] : ends[place + 1]]


def find(
    checker: Checker,
    policy: Policy,
    where: Filter | None = None,
    *,
    similar: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> Iterator[Group]:
    """The groups, as soon as each is confirmed, those with the best keepers first.

    Args:
        checker: of the index.
        policy: which member is kept.
        where: only images that pass are looked at.
        similar: whether to show what is similar beside each keeper; it takes nothing from other
            groups, so that an image may be in several.
        progress: called as it goes.
    """
    contents = _contents(checker, policy, where, progress)
    proposals = _Proposals()
    _by_hash(contents.hashes, proposals, progress)
    _by_meaning(checker, contents, where, proposals, progress)
    if not similar:
        proposals = _screened(checker, contents, proposals, progress)
    yield from _grouped(checker, policy, contents, proposals, similar, progress)


# --- what there is ----------------------------------------------------------------------------


def _contents(
    checker: Checker, policy: Policy, where: Filter | None, progress: Progress
) -> _Contents:
    """Reads the index once."""
    keys: list[tuple[Any, str]] = []
    digests: list[bytes] = []
    hashes: list[int] = []
    total = checker.engine.count(where)
    for points in checker.engine.scroll(where):
        for point in points:
            image = record_of(point.payload)
            keys.append((policy.key(point.payload), point.id))
            digests.append(bytes.fromhex(image["sha256"]))
            hashes.append(int(image["phash"], 16))
        progress("reading", len(keys), total)
    best_first = sorted(range(len(keys)), key=lambda row: keys[row][1])
    best_first.sort(key=lambda row: keys[row][0], reverse=True)
    places: dict[bytes, int] = {}
    contents = _Contents([], np.zeros(0, np.uint64))
    first: list[int] = []
    for row in best_first:
        place = places.setdefault(digests[row], len(first))
        if place == len(first):
            first.append(hashes[row])
            contents.ids.append([])
        contents.ids[place].append(keys[row][1])
    contents.hashes = np.array(first, np.uint64)
    return contents


# --- what may be a copy -----------------------------------------------------------------------


def _by_hash(hashes: NDArray[np.uint64], proposals: _Proposals, progress: Progress) -> None:
    """Proposes contents with equal hashes, and with hashes that are near in some orientation."""
    telling = np.flatnonzero(is_informative(hashes))
    unique, first, inverse = np.unique(hashes[telling], return_index=True, return_inverse=True)
    # Of contents with the same hash each is proposed with the first, through which it is found.
    same = np.flatnonzero(first[inverse] != np.arange(len(telling)))
    proposals.add(telling[same], telling[first[inverse[same]]])
    taken = np.zeros(len(unique), np.int32)
    ways = oriented(unique)
    for column in range(ways.shape[1]):
        progress("comparing hashes", column, ways.shape[1])
        against = None if column == 0 else ways[:, column]
        for one, other, _ in pairs(unique, RADIUS, against=against):
            fits = (taken[one] < MOST_PROPOSED) | (taken[other] < MOST_PROPOSED)
            one, other = one[fits], other[fits]
            np.add.at(taken, one, 1)
            np.add.at(taken, other, 1)
            proposals.add(telling[first[one]], telling[first[other]])
    progress("comparing hashes", ways.shape[1], ways.shape[1])


def _by_meaning(
    checker: Checker,
    contents: _Contents,
    where: Filter | None,
    proposals: _Proposals,
    progress: Progress,
) -> None:
    """Proposes the nearest by the semantic vector."""
    name, done = checker.semantic, 0
    place_of = {point_id(ids[0]): place for place, ids in enumerate(contents.ids)}
    alike = {point_id(id): place for place, ids in enumerate(contents.ids) for id in ids[1:]}
    for points in checker.engine.scroll(where, payload=False, vectors=[name], batch=TOGETHER):
        asked = [point for point in points if point_id(point.id) in place_of]
        answers = checker.engine.nearest(
            [
                CandidateQuery(WeightedVector(name, point.vectors[name], 1.0), where, NEIGHBORS + 1)
                for point in asked
            ]
        )
        for point, candidates in zip(asked, answers, strict=True):
            own = place_of[point_id(point.id)]
            others = _places(candidates, checker.floors.proposed, place_of, alike)
            proposals.add(np.full(len(others), own), others)
        done += len(asked)
        progress("finding neighbors", done, len(contents.ids))


def _places(candidates: Candidates, floor: float, *known: Mapping[Any, int]) -> Rows:
    places = [
        places[id]
        for id, similarity in candidates
        if similarity >= floor
        for places in known
        if id in places
    ]
    return np.array(places, np.int64)


def _screened(
    checker: Checker, contents: _Contents, proposals: _Proposals, progress: Progress
) -> _Proposals:
    """Those of the proposals that are copies. They are gone through from neighbor to neighbor, so
    that what is needed of a picture is made once, and not each time it comes up."""
    count = len(contents.ids)
    neighbors = proposals.neighbors(count)
    place_in = np.full(count, -1, np.int64)  # in the order they are gone through
    copies = _Proposals()
    waiting: list[tuple[int, int]] = []
    for done, place in enumerate(_from_neighbor_to_neighbor(neighbors, count)):
        place_in[place] = done
        earlier = neighbors(place)
        waiting += [(int(other), place) for other in earlier[place_in[earlier] >= 0]]
        if len(waiting) >= PAIRS or done + 1 == count:
            _screen(checker, contents, waiting, copies)
            waiting = []
            progress("comparing pictures", done + 1, count)
    return copies


def _screen(
    checker: Checker, contents: _Contents, pairs: Sequence[tuple[int, int]], copies: _Proposals
) -> None:
    """Adds those of the pairs that are copies."""
    ids = {place: contents.ids[place][0] for pair in pairs for place in pair}
    there = {point.id: point.payload for point in _points(checker, list(ids.values()))}
    known = [(one, other) for one, other in pairs if ids[one] in there and ids[other] in there]
    begun = checker.comparer.begin([(there[ids[one]], there[ids[other]]) for one, other in known])
    are = [comparing.result() is not None for comparing in begun]
    checker.comparer.remember()
    found = np.array(known, np.int64).reshape(-1, 2)[np.array(are, bool)]
    copies.add(found[:, 0], found[:, 1])


def _from_neighbor_to_neighbor(neighbors: Callable[[int], Rows], count: int) -> Iterator[int]:
    """All places, breadth first."""
    seen = np.zeros(count, bool)
    for start in range(count):
        if seen[start]:
            continue
        seen[start] = True
        waiting = deque([start])
        while waiting:
            place = waiting.popleft()
            yield place
            others = neighbors(place)
            fresh = others[~seen[others]]
            seen[fresh] = True
            waiting.extend(fresh.tolist())


# --- what is one ------------------------------------------------------------------------------


def _grouped(
    checker: Checker,
    policy: Policy,
    contents: _Contents,
    proposals: _Proposals,
    similar: bool,
    progress: Progress,
) -> Iterator[Group]:
    count = len(contents.ids)
    neighbors = proposals.neighbors(count)
    taken = np.zeros(count, bool)

    def open_to(place: int, keeper: int) -> list[int]:
        """What is proposed with `place` and may still join the keeper. What was kept before it has
        been compared with all that is proposed with it."""
        others = neighbors(place)
        return [int(other) for other in others[(others > keeper) & ~taken[others]]]

    for place in range(count):
        if place % TOGETHER == 0:
            progress("grouping", place, count)
        if taken[place] or (len(contents.ids[place]) == 1 and not open_to(place, place)):
            continue
        there = _points(checker, contents.ids[place])
        if not there:  # it was deleted meanwhile
            continue
        keeper, *twins = there
        members = [match_of(keeper, Verdict.IDENTICAL, {"why": "kept"})]
        members += _graded(checker, keeper, twins, similar)
        tried, waiting = {place}, deque([place])
        while waiting:
            others = [other for other in open_to(waiting.popleft(), place) if other not in tried]
            tried.update(others)
            proposed = {contents.ids[other][0]: other for other in others}
            found = _points(checker, list(proposed))
            for match in _graded(checker, keeper, found, similar):
                other = proposed[match.id]
                members.append(match)
                rest = _points(checker, contents.ids[other][1:])
                members += [match_of(row, match.verdict, match.evidence) for row in rest]
                if match.verdict is not Verdict.SIMILAR:  # which may be another's copy yet
                    taken[other] = True
                    waiting.append(other)
        if len(members) > 1:
            yield Group(keeper.id, policy.reason(keeper.payload), tuple(members))
    progress("grouping", count, count)


def _graded(
    checker: Checker, keeper: Point, others: Sequence[Point], similar: bool
) -> Iterator[Duplicate]:
    others = [other for other in others if may_be_copies(keeper.payload, other.payload)]
    begun = checker.comparer.begin([(keeper.payload, other.payload) for other in others])
    for other, comparing in zip(others, begun, strict=True):
        graded = checker.comparer.grade(keeper.payload, other.payload, comparing.result())
        if graded is None and similar:
            graded = checker.similar(keeper, other)
        if graded is not None:
            yield match_of(other, *graded)


def _points(checker: Checker, ids: Sequence[str]) -> list[Point]:
    """The points of these ids that are there, in this order."""
    there = {point.id: point for point in checker.engine.retrieve(ids)} if ids else {}
    return [there[id] for id in ids if id in there]
