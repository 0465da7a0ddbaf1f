"""Groups of duplicates in an index: every member is confirmed against its group's keeper.

Candidates may lead from member to member, but confirmed pairs never do: no chain of weak links
joins two different pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.bulk.check import Workplace, prepare
from lookalike.duplicates.bulk.listing import StageProgress
from lookalike.duplicates.bulk.ranking import RankedFiles
from lookalike.duplicates.check import DuplicateSearch
from lookalike.duplicates.decisions import may_be_duplicates
from lookalike.duplicates.holdings import Reasons
from lookalike.duplicates.keepers import KeeperPolicy
from lookalike.duplicates.verdicts import Duplicate, Grade, Verdict
from lookalike.protocols import existing_points
from lookalike.system.display import Displayed
from lookalike.system.text import count
from lookalike.types import Filter, Point

_REPORT_EVERY = 64  # files between two reports of progress


@dataclass(frozen=True, slots=True)
class DuplicateGroup(Displayed):
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

    def __repr__(self) -> str:
        return f"<DuplicateGroup: {self.keeper!r} and {count(len(self.copies), 'copy', 'copies')}>"

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
    where: Filter | None,
    work: Workplace,
    *,
    similar: bool = False,
    verdicts: Collection[Verdict] = tuple(Verdict),
    is_protected: Callable[[str], bool] = lambda uri: False,
    progress: StageProgress = lambda stage, done, total: None,
) -> Iterator[DuplicateGroup]:
    """Yields the groups as soon as they are confirmed, those with the best keepers first.

    Args:
        search: in the index.
        policy: chooses the keepers.
        where: a filter; only matching images are considered.
        work: a place for what the search holds.
        similar: whether to list similar images beside each keeper. They may be in several groups.
        verdicts: those of the copies that are listed.
        is_protected: whether the image at an address is to be kept in any case.
        progress: called as the search goes on.
    """
    wanted = {*verdicts, *((Verdict.SIMILAR,) if similar else ())}
    with work.check(search, where, progress) as new:
        check = prepare(new, None)
        if not check.is_shared:
            check.propose()
            if not similar:
                check.compare()
        with check.ranked(policy, confirmed=not similar) as files:
            count = len(files)
            grouping = _Grouping(search, files, wanted, is_protected, np.zeros(count, bool))
            for place in range(count):
                if place % _REPORT_EVERY == 0:
                    progress("grouping", place, count)
                members, more = grouping.group(place)
                if len(members) > 1:
                    chosen = policy.reason(members[0].payload)
                    reason = f"holds more: {', '.join(more)}" if more else chosen
                    yield DuplicateGroup(members[0].id, reason, tuple(members))
        check.finish()
    progress("grouping", count, count)


@dataclass(frozen=True, slots=True)
class _Grouping:
    """Assignment of files to groups, from the best keeper to the worst.

    Attributes:
        files: their neighbors are candidates for their groups.
        verdicts: verdicts that are listed.
        is_protected: whether the image at an address is to be kept in any case.
        taken: (n,) whether a file is a copy in some group.
    """

    search: DuplicateSearch
    files: RankedFiles
    verdicts: Collection[Verdict]
    is_protected: Callable[[str], bool]
    taken: NDArray[np.bool_]

    def group(self, place: int) -> tuple[list[Duplicate], Reasons]:
        """The members of the group of this file, the best keeper of those left; empty if it has
        none. Where another member holds all that this file does and more, that one is the keeper,
        and what it holds is returned, too."""
        if self.taken[place] or not (self.files.has_twins(place) or self._open(place, place)):
            return [], ()
        more: Reasons = ()
        keeper, tried, holdings = place, {place}, self.search.comparer.holdings()
        while True:
            members, places = self._members(keeper, place)
            held = [holdings.compare(members[0], member) for member in members]
            better = {
                other: pair.second
                for other, pair in zip(places, held, strict=True)
                if pair.second_is_better and other not in tried
            }
            if not better:
                break
            keeper = min(better)  # files are in the order of the policy
            more = better[keeper]
            tried.add(keeper)
        for other, member in zip(places, members, strict=True):
            self.taken[other] |= member.verdict is not Verdict.SIMILAR
        marked = [
            replace(member, holds_more=pair.second, protected=self.is_protected(member.uri))
            for member, pair in zip(members, held, strict=True)
        ]
        return marked, more

    def _members(self, keeper: int, first: int) -> tuple[list[Duplicate], list[int]]:
        """The keeper and its copies, and for each its file. The files before `first` are no
        candidates."""
        points = existing_points(self.search.engine, self.files.ids(keeper))
        if not points:  # deleted meanwhile
            return [], []
        kept, *twins = points
        members = [Duplicate.of(kept, Grade(Verdict.IDENTICAL, {"why": "kept"}))]
        members += self._graded(kept, twins)
        places = [keeper] * len(members)
        tried, queue = {keeper}, deque([keeper])
        while queue:
            others = [other for other in self._open(queue.popleft(), first) if other not in tried]
            tried.update(others)
            ids = {other: self.files.ids(other) for other in others}
            first_ids = {ids[other][0]: other for other in others}
            candidates = existing_points(self.search.engine, list(first_ids))
            for duplicate in self._graded(kept, candidates):
                other = first_ids[duplicate.id]
                twins = existing_points(self.search.engine, ids[other][1:])
                found = [duplicate, *(Duplicate.of(twin, duplicate.grade) for twin in twins)]
                members += found
                places += [other] * len(found)
                if duplicate.verdict is not Verdict.SIMILAR:  # similar ones may be copies of others
                    queue.append(other)
        return members, places

    def _open(self, place: int, first: int) -> list[int]:
        """Candidates of a file that may still join a group. Files before `first` have been
        compared with all of their candidates."""
        others = self.files.neighbors(place)
        return [int(other) for other in others[(others >= first) & ~self.taken[others]]]

    def _graded(self, keeper: Point, points: Sequence[Point]) -> Iterator[Duplicate]:
        """Those of the points that are copies of the keeper, or similar to it."""
        points = [point for point in points if may_be_duplicates(keeper.payload, point.payload)]
        comparer = self.search.comparer
        results = comparer.start([(keeper.payload, point.payload) for point in points])
        for point, result in zip(points, results, strict=True):
            grade = comparer.grade(keeper.payload, point.payload, result.result())
            if grade is None and Verdict.SIMILAR in self.verdicts:
                grade = self.search.similar(keeper, point)
            if grade is not None and grade.verdict in self.verdicts:
                yield Duplicate.of(point, grade)
        comparer.save()
