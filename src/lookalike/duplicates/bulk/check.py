"""A check of a whole index in steps; one that was interrupted goes on where it was.

What it holds is in one folder: the results of comparisons, which stay, and the files of the check,
which go when its groups are complete. Several processes can share the folder and the work: each
compares the pairs of its part.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lookalike.duplicates.bulk import proposals
from lookalike.duplicates.bulk.listing import Listing, Numbers, StageProgress, write_listing
from lookalike.duplicates.bulk.order import side_by_side
from lookalike.duplicates.bulk.ranking import RankedFiles, rank
from lookalike.duplicates.bulk.steps import (
    CheckExecutor,
    ComparisonStep,
    NeighborStep,
    TakeSteps,
    taken_here,
)
from lookalike.duplicates.check import DuplicateSearch
from lookalike.duplicates.comparison_store import ComparisonStore, StoreInUse, code_version
from lookalike.duplicates.keepers import KeeperPolicy
from lookalike.errors import InputError
from lookalike.ingest.partition import Partition
from lookalike.system.display import Displayed
from lookalike.system.external_sort import ExternalSort, Table, absent, read_table, write_table
from lookalike.system.text import count
from lookalike.types import Filter

LEAST_MEMORY = 3 * 10**8
OTHER_MEMORY = 250 * 10**6
"""Bytes of a process with its libraries, and of the pictures that are compared."""

IMAGES_PER_STEP = 8192
"""Images whose neighbors are found again if a check is killed, at most."""
PAIRS_PER_STEP = 32_768
"""Pairs that are in memory together."""

_LONG = 30 * 86_400.0  # seconds


class _Report:
    """Reports the progress of steps that begin at some numbers of a total."""

    def __init__(
        self, progress: StageProgress, stage: str, starts: Sequence[int], total: int
    ) -> None:
        self._progress = progress
        self._stage = stage
        self._starts = deque(starts)
        self._total = total

    def __call__(self, done: int) -> None:
        """Reports what is done of the current step."""
        self._progress(self._stage, min(self._starts[0] + done, self._total), self._total)

    def next(self) -> None:
        """Goes on to the next step."""
        self._starts.popleft()
        reached = min(self._starts[0], self._total) if self._starts else self._total
        self._progress(self._stage, reached, self._total)


@dataclass(frozen=True, slots=True)
class BulkCheck:
    """A check in its folder.

    Attributes:
        search: in the index.
        where: a filter; only matching images are considered.
        folder: of the check.
        part: the pairs that this process compares.
        memory: bytes for tables.
        progress: called as the work goes on.
        take: takes the steps, here or elsewhere.
    """

    search: DuplicateSearch
    where: Filter | None
    folder: Path
    part: Partition
    memory: int
    progress: StageProgress
    take: TakeSteps

    @property
    def listing(self) -> Listing:
        """The images of the check."""
        return Listing(self.folder)

    def propose(self) -> None:
        """Writes the pairs of this part, unless that is done."""
        listing, own = self.listing, self._file("found")
        if not own.exists():
            steps = range(self.part[0] - 1, -(-listing.count // IMAGES_PER_STEP), self.part[1])
            self._find_neighbors(listing, steps)
            found = proposals.unique_pairs(self.folder, self.memory)
            for step in steps:
                for table in read_table(self._neighbor_file(step), 1):
                    found.add(table[:, 0])
            write_table(own, found)
            for step in steps:
                self._neighbor_file(step).unlink()
        if not self._file("pairs").exists():
            write_table(self._file("pairs"), self._own_pairs(own))

    def compare(self) -> None:
        """Compares the pairs of this part, and writes those that are copies."""
        listing, total = self.listing, self._file("pairs").stat().st_size // 8
        left = [
            start
            for start in range(0, total, PAIRS_PER_STEP)
            if not self._copies_file(start).exists()
        ]
        ordered: deque[Numbers] = deque()

        def steps() -> Iterator[ComparisonStep]:
            for start in left:
                ordered.append(self._pairs_from(start))
                columns = proposals.files_of(ordered[-1])
                ids = [listing.ids(column) for column in columns]
                yield ComparisonStep(list(zip(*ids, strict=True)))

        report = _Report(self.progress, "comparing pictures", left, total)
        for start, answer in zip(left, self.take(steps(), report), strict=True):
            if self.search.comparer.store is not None:
                self.search.comparer.store.put_many(answer.results)
            self.search.comparer.problems.update(answer.problems)
            copies = ordered.popleft()[np.array(answer.are_copies, bool)]
            write_table(self._copies_file(start), [np.sort(copies)[:, None]])
            report.next()
        self._file("done").touch()

    # --- the pairs of all parts -----------------------------------------------------------------

    def pairs(self, *, confirmed: bool) -> Iterator[Table]:
        """The pairs of all parts: those that are copies, or all that were proposed."""
        for file in self._written("copies" if confirmed else "pairs"):
            yield from read_table(file, 1)

    @property
    def is_shared(self) -> bool:
        """True for a check in parts, all of which have been compared."""
        return self.part[1] > 1

    @contextmanager
    def ranked(self, policy: KeeperPolicy, *, confirmed: bool) -> Iterator[RankedFiles]:
        """The files that may be in groups, in the order of a policy; for the arguments see
        `pairs`."""
        with TemporaryDirectory(dir=self.folder) as folder:
            pairs = self.pairs(confirmed=confirmed)
            files = rank(Path(folder), self.search, self.listing, pairs, policy, self.memory)
            try:
                yield files
            finally:
                files.close()

    def finish(self) -> None:
        """Removes the files of the check; the comparisons stay."""
        shutil.rmtree(self.folder)

    def report(self) -> PartReport:
        """The result of this part."""
        pairs = self._file("pairs").stat().st_size // 8
        written = self._written("copies")
        sizes = [
            file.stat().st_size // 8 for file in written if file.name.endswith(self._file("").name)
        ]
        return PartReport(self.part, pairs, sum(sizes), tuple(self.unfinished()))

    def unfinished(self) -> list[str]:
        """The parts that have not been compared yet."""
        count = self.part[1]
        names = [f"{number}-of-{count}" for number in range(1, count + 1)]
        return [
            name.replace("-of-", "/")
            for name in names
            if not (self.folder / f"done-{name}").exists()
        ]

    # --- inside -----------------------------------------------------------------------------

    def _written(self, name: str) -> list[Path]:
        """The files of all parts with this name, without those that are being written."""
        return [file for file in sorted(self.folder.glob(f"{name}-*")) if not file.suffix]

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}-{self.part[0]}-of-{self.part[1]}"

    def _copies_file(self, start: int) -> Path:
        return self._file(f"copies-{start // PAIRS_PER_STEP}")

    def _pairs_from(self, start: int) -> Numbers:
        file = self._file("pairs")
        stop = min(start + PAIRS_PER_STEP, file.stat().st_size // 8)
        return side_by_side(np.concatenate(list(read_table(file, 1, start=start, stop=stop)))[:, 0])

    def _find_neighbors(self, listing: Listing, steps: Sequence[int]) -> None:
        """Writes the neighbors of the images of steps where that is not done."""
        left = [step for step in steps if not self._neighbor_file(step).exists()]

        def files(step: int) -> Numbers:
            start = step * IMAGES_PER_STEP
            return listing.files_within(start, start + IMAGES_PER_STEP)

        begun = [steps.index(step) * IMAGES_PER_STEP for step in left]
        report = _Report(
            self.progress, "finding neighbors", begun, -(-listing.count // self.part[1])
        )
        tasks = (NeighborStep(listing.ids(files(step)), self.where) for step in left)
        for step, answer in zip(left, self.take(tasks, report), strict=True):
            own = files(step)
            numbers = dict(zip(listing.ids(own), own.tolist(), strict=True))
            first = np.array([numbers[id] for id, near in answer for _ in near], np.int64)
            second = listing.find([point for _, near in answer for point in near])
            known = second >= 0
            pairs = np.unique(proposals.pairs_of(first[known], second[known]))
            write_table(self._neighbor_file(step), [pairs[:, None]])
            report.next()

    def _neighbor_file(self, step: int) -> Path:
        return self.folder / f"neighbors-{step}"

    # A pair belongs to the part of its lower file if hashes or that part propose it, else to the
    # part that does. So no pair is compared twice, if the other part has published its pairs.

    def _own_pairs(self, found: Path) -> ExternalSort:
        own = proposals.unique_pairs(self.folder, self.memory // 2)
        others = proposals.unique_pairs(self.folder, self.memory // 2)
        for table in read_table(self.folder / "hash_pairs", 1):
            own.add(table[self._are_own(table), 0])
        for table in read_table(found, 1):
            are_own = self._are_own(table)
            own.add(table[are_own, 0])
            others.add(table[~are_own, 0])
        rest: Iterator[Table] = iter(others)
        for file in self._written("found"):
            if file != found:
                rest = absent(rest, read_table(file, 1))
        rest = absent(rest, read_table(self.folder / "hash_pairs", 1))
        for table in rest:
            own.add(table[:, 0])
        return own

    def _are_own(self, table: Table) -> Any:
        lower, _ = proposals.files_of(table[:, 0])
        return lower // IMAGES_PER_STEP % self.part[1] == self.part[0] - 1


@dataclass(frozen=True, slots=True)
class PartReport(Displayed):
    """The result of comparing one part.

    Attributes:
        partition: the part, from 1, and the number of parts.
        pairs: pairs that were compared, now or before.
        copies: those that are copies.
        unfinished: the parts that are still to be compared, such as "2/4".
    """

    partition: Partition
    pairs: int
    copies: int
    unfinished: tuple[str, ...]


def compare_part(
    search: DuplicateSearch,
    where: Filter | None,
    work: Workplace,
    part: Partition,
    progress: StageProgress,
) -> PartReport:
    """Compares one part of the pairs; see `Index.compare_duplicates`."""
    with work.check(search, where, progress, part) as new:
        check = prepare(new, part)
        check.propose()
        check.compare()
        return check.report()


# --- folders --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Workplace:
    """A place for what checks of one index hold.

    Attributes:
        folder: holds what is found, also for later checks.
        tables: bytes of memory for tables.
        executor: takes the steps of a check; None takes them in this process.
        opener: opens the index for the executor.
    """

    folder: Path
    tables: int
    executor: CheckExecutor | None = None
    opener: Callable[..., Any] | None = None

    @contextmanager
    def check(
        self,
        search: DuplicateSearch,
        where: Filter | None,
        progress: StageProgress,
        part: Partition | None = None,
    ) -> Iterator[BulkCheck]:
        """A new check in the folder; for the arguments see `BulkCheck`.

        Raises:
            InputError: another process compares this part, or the executor cannot be used.
        """
        with ExitStack() as stack:
            folder = stack.enter_context(self._open(search, part))
            take = taken_here(search)
            if self.executor is not None:
                take = stack.enter_context(self.executor.start_check(self.opener))
            yield BulkCheck(search, where, folder, part or (1, 1), self.tables, progress, take)

    @contextmanager
    def _open(self, search: DuplicateSearch, part: Partition | None) -> Iterator[Path]:
        """Yields the folder, where the search keeps its comparisons; or a temporary one if another
        process checks the index, or if nothing can be written there.

        Raises:
            InputError: another process compares this part, or cannot be told about it.
        """
        name = "comparisons" if part is None else f"comparisons-{part[0]}-of-{part[1]}"
        with ExitStack() as stack:
            folder = self.folder
            try:
                folder.mkdir(parents=True, exist_ok=True)
                store = ComparisonStore(folder, name)
            except StoreInUse as error:
                if part is not None:
                    raise InputError(
                        f"Another process compares part {part[0]}/{part[1]} in {folder}: wait for "
                        "it, or name another part."
                    ) from error
                store = None
            except OSError as error:
                if part is not None:
                    raise InputError(
                        f"Parts of a check need a folder to write to ({error}): name one with "
                        "--work."
                    ) from error
                store = None
            if store is None:
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="lookalike-")))
                store = ComparisonStore(folder, name)
            stack.callback(store.close)
            search.comparer.store = store
            yield folder


def prepare(new: BulkCheck, part: Partition | None) -> BulkCheck:
    """Lists the index and joins its hashes, unless that is done.

    A whole check lists the index each time, and goes on with one before that had listed the same.
    Parts share the listing of the first one.

    Args:
        new: a check in the folder of all checks.
        part: None for a whole check.

    Raises:
        InputError: there are parts, and they are of another check or not finished.
    """
    work = new.folder
    shared = next(work.glob("parts-*"), None)
    if part is not None:
        with _locked(work / "preparing.lock"):
            folder = _shared_folder(work, part)
            if not folder.exists():
                _list(replace(new, folder=work / "new-parts"))
                (work / "new-parts").replace(folder)
            check = replace(new, folder=folder, part=part)
            _require_same(check)
            _join(check)
        return check
    if shared is not None:
        check = replace(new, folder=shared, part=(1, int(shared.name.removeprefix("parts-"))))
        _require_same(check)
        _require_finished(check)
        return check
    name = _list(replace(new, folder=work / "new-check"))
    check = replace(new, folder=_resumed(work / "new-check", work / f"check-{name}"))
    _join(check)
    return check


def _shared_folder(work: Path, part: Partition) -> Path:
    folder = work / f"parts-{part[1]}"
    for other in work.glob("parts-*"):
        if other != folder:
            raise InputError(
                f"There is a check in another number of parts in {other}: finish it, or remove "
                "that folder."
            )
    return folder


def _join(check: BulkCheck) -> None:
    file = check.folder / "hash_pairs"
    if not file.exists():
        proposals.write_hash_pairs(file, check.listing, check.memory, check.progress)


def _list(check: BulkCheck) -> str:
    """Writes the images as they are now to the folder of a check, and returns a digest of all that
    proposals depend on. The folder of a killed process is replaced."""
    folder = check.folder
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    engine = check.search.engine
    digest = write_listing(folder, engine, check.where, check.memory, check.progress)
    (folder / "options").write_text(_options(check), "utf-8")
    content = repr((digest, _options(check), check.search.thresholds))
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def _resumed(new: Path, folder: Path) -> Path:
    """The folder of an earlier check of the same images, else the new one under its name."""
    for other in folder.parent.glob("check-*"):
        if other != folder:
            shutil.rmtree(other)
    if folder.exists():
        shutil.rmtree(new)
        return folder
    return new.replace(folder)


def _options(check: BulkCheck) -> str:
    """All in which the parts of a check must agree."""
    return repr((check.where, check.search.semantic, code_version()))


def _require_same(check: BulkCheck) -> None:
    if (check.folder / "options").read_text("utf-8") != _options(check):
        raise InputError(
            f"The parts in {check.folder} are of a check with another --where, or by another "
            "version: finish it, or remove that folder."
        )


def _require_finished(check: BulkCheck) -> None:
    left = check.unfinished()
    if left:
        raise InputError(
            f"Of this check, {count(len(left), 'part')} of {check.part[1]} must be compared first: "
            f"run it with --partition {left[0]}, or remove {check.folder} to check all at once."
        )


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Waits until no other process prepares the check; a killed process holds no lock."""
    with closing(sqlite3.connect(file, timeout=_LONG, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        yield
