"""Groups of duplicates in an index: every member is confirmed against its group's keeper.

Candidates may lead from member to member, but confirmed pairs never do: no chain of weak links
joins two different pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates import candidates
from lookalike.duplicates.candidates import DistinctFiles, Places, StageProgress
from lookalike.duplicates.check import DuplicateSearch
from lookalike.duplicates.decisions import may_be_duplicates
from lookalike.duplicates.keepers import KeeperPolicy
from lookalike.duplicates.verdicts import Duplicate, Grade, Verdict
from lookalike.protocols import existing_points
from lookalike.types import Filter, Point

_REPORT_EVERY = 64  # files between two reports of progress


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Copies of one picture.

    Attributes:
        keeper: id of the image to keep.
        reason: why that one, in words.
        members: all images, the keeper first; verdicts and evidence compare each with the keeper.
        verdict: the weakest of the members.
    """

    keeper: str
    reason: str
    members: tuple[Duplicate, ...]

    @property
    def verdict(self) -> Verdict:
        return max((member.verdict for member in self.members), key=lambda verdict: verdict.rank)

    @property
    def copies(self) -> tuple[Duplicate, ...]:
        """The members without the keeper."""
        return self.members[1:]


class DuplicateGroups(Iterator[DuplicateGroup]):
    """An iterator over groups of duplicates, each available as soon as it is confirmed.

    Attributes:
        problems: reasons why originals could not be read, by address, as known so far.
    """

    def __init__(self, groups: Iterator[DuplicateGroup], problems: Mapping[str, str]) -> None:
        self._groups = groups
        self.problems = problems

    def __next__(self) -> DuplicateGroup:
        return next(self._groups)


def find_groups(
    search: DuplicateSearch,
    policy: KeeperPolicy,
    where: Filter | None = None,
    *,
    similar: bool = False,
    progress: StageProgress = lambda stage, done, total: None,
) -> Iterator[DuplicateGroup]:
    """Yields the groups as soon as they are confirmed, those with the best keepers first.

    Args:
        search: in the index.
        policy: chooses the keepers.
        where: a filter; only matching images are considered.
        similar: whether to list similar images beside each keeper. They may be in several groups.
        progress: called as the search goes on.
    """
    files = candidates.distinct_files(search, policy, where, progress)
    pairs = candidates.propose(search, files, where, progress)
    if not similar:
        pairs = candidates.confirm(search, files, pairs, progress)
    count = len(files)
    grouping = _Grouping(search, files, pairs.neighbors(count), similar, np.zeros(count, bool))
    for place in range(count):
        if place % _REPORT_EVERY == 0:
            progress("grouping", place, count)
        members = grouping.members(place)
        if len(members) > 1:
            reason = policy.reason(members[0].payload)
            yield DuplicateGroup(members[0].id, reason, tuple(members))
    progress("grouping", count, count)


@dataclass(frozen=True, slots=True)
class _Grouping:
    """Assignment of files to groups, from the best keeper to the worst.

    Attributes:
        neighbors: candidates of a file.
        similar: whether to list similar images, too.
        taken: (n,) whether a file is a copy in some group.
    """

    search: DuplicateSearch
    files: DistinctFiles
    neighbors: Callable[[int], Places]
    similar: bool
    taken: NDArray[np.bool_]

    def members(self, place: int) -> list[Duplicate]:
        """The members of the group whose keeper is this file; empty if it can keep none."""
        ids = self.files.ids[place]
        if self.taken[place] or (len(ids) == 1 and not self._open(place, place)):
            return []
        points = existing_points(self.search.engine, ids)
        if not points:  # deleted meanwhile
            return []
        keeper, *twins = points
        members = [Duplicate.of(keeper, Grade(Verdict.IDENTICAL, {"why": "kept"}))]
        members += self._graded(keeper, twins)
        tried, queue = {place}, deque([place])
        while queue:
            others = [other for other in self._open(queue.popleft(), place) if other not in tried]
            tried.update(others)
            first_ids = {self.files.ids[other][0]: other for other in others}
            candidates = existing_points(self.search.engine, list(first_ids))
            for duplicate in self._graded(keeper, candidates):
                other = first_ids[duplicate.id]
                grade = Grade(duplicate.verdict, duplicate.evidence)
                twins = existing_points(self.search.engine, self.files.ids[other][1:])
                members += [duplicate, *(Duplicate.of(twin, grade) for twin in twins)]
                if grade.verdict is not Verdict.SIMILAR:  # similar ones may be copies of others
                    self.taken[other] = True
                    queue.append(other)
        return members

    def _open(self, place: int, keeper: int) -> list[int]:
        """Candidates of a file that may still join this keeper. Files before the keeper have been
        compared with all of their candidates."""
        others = self.neighbors(place)
        return [int(other) for other in others[(others > keeper) & ~self.taken[others]]]

    def _graded(self, keeper: Point, points: Sequence[Point]) -> Iterator[Duplicate]:
        """Those of the points that are copies of the keeper, or similar to it."""
        points = [point for point in points if may_be_duplicates(keeper.payload, point.payload)]
        comparer = self.search.comparer
        results = comparer.start([(keeper.payload, point.payload) for point in points])
        for point, result in zip(points, results, strict=True):
            grade = comparer.grade(keeper.payload, point.payload, result.result())
            if grade is None and self.similar:
                grade = self.search.similar(keeper, point)
            if grade is not None:
                yield Duplicate.of(point, grade)
