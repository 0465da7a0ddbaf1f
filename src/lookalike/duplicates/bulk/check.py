"""A check of a whole index in steps; one that was interrupted goes on where it was.

What it holds is in one folder: the results of comparisons, which stay, and the files of the check,
which go when its groups are complete. Several processes can share the folder and the work: each
compares the pairs of its part.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lookalike.duplicates.bulk import proposals
from lookalike.duplicates.bulk.comparison import copies
from lookalike.duplicates.bulk.listing import Listing, StageProgress, write_listing
from lookalike.duplicates.bulk.ranking import RankedFiles, rank
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
    """

    search: DuplicateSearch
    where: Filter | None
    folder: Path
    part: Partition
    memory: int
    progress: StageProgress

    @property
    def listing(self) -> Listing:
        """The images of the check."""
        return Listing(self.folder)

    def propose(self) -> None:
        """Writes the pairs of this part, unless that is done."""
        listing, own = self.listing, self._file("found")
        if not own.exists():
            steps = range(self.part[0] - 1, -(-listing.count // IMAGES_PER_STEP), self.part[1])
            for earlier, step in enumerate(steps):
                self._find_neighbors(listing, step, earlier * IMAGES_PER_STEP)
            found = proposals.unique_pairs(self.folder, self.memory)
            for step in steps:
                for table in read_table(self.folder / f"neighbors-{step}", 1):
                    found.add(table[:, 0])
            write_table(own, found)
            for step in steps:
                (self.folder / f"neighbors-{step}").unlink()
        if not self._file("pairs").exists():
            write_table(self._file("pairs"), self._own_pairs(own))

    def compare(self) -> None:
        """Compares the pairs of this part, and writes those that are copies."""
        listing, file = self.listing, self._file("pairs")
        total = file.stat().st_size // 8
        for start in range(0, total, PAIRS_PER_STEP):
            step = self._file(f"copies-{start // PAIRS_PER_STEP}")
            if step.exists():
                continue
            stop = min(start + PAIRS_PER_STEP, total)
            tables = list(read_table(file, 1, start=start, stop=stop))
            pairs = np.concatenate(tables)[:, 0]

            def report(done: int, start: int = start) -> None:
                self.progress("comparing pictures", start + done, total)

            write_table(step, [copies(self.search, listing, pairs, report)[:, None]])
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

    def _find_neighbors(self, listing: Listing, step: int, earlier: int) -> None:
        file = self.folder / f"neighbors-{step}"
        if file.exists():
            return
        start, total = step * IMAGES_PER_STEP, -(-listing.count // self.part[1])
        files = listing.files_within(start, start + IMAGES_PER_STEP)

        def report(done: int) -> None:
            self.progress("finding neighbors", min(earlier + done, total), total)

        pairs = proposals.semantic_pairs(self.search, self.where, listing, files, report)
        write_table(file, [pairs[:, None]])

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
    with work.open(search, part) as folder:
        check = prepare(folder, search, where, part, work.tables, progress)
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
    """

    folder: Path
    tables: int

    @contextmanager
    def open(self, search: DuplicateSearch, part: Partition | None = None) -> Iterator[Path]:
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


def prepare(
    work: Path,
    search: DuplicateSearch,
    where: Filter | None,
    part: Partition | None,
    memory: int,
    progress: StageProgress,
) -> BulkCheck:
    """Lists the index and joins its hashes, unless that is done.

    A whole check lists the index each time, and goes on with one before that had listed the same.
    Parts share the listing of the first one.

    Raises:
        InputError: there are parts, and they are of another check or not finished.
    """
    check_in = partial(BulkCheck, search, where, memory=memory, progress=progress)
    shared = next(work.glob("parts-*"), None)
    if part is not None:
        with _locked(work / "preparing.lock"):
            folder = _shared_folder(work, part)
            if not folder.exists():
                new, _ = _listed(work / "new-parts", search, where, memory, progress)
                new.replace(folder)
            check = check_in(folder, part)
            _require_same(check)
            _join(check)
        return check
    if shared is not None:
        check = check_in(shared, (1, int(shared.name.removeprefix("parts-"))))
        _require_same(check)
        _require_finished(check)
        return check
    new, name = _listed(work / "new-check", search, where, memory, progress)
    check = check_in(_resumed(new, work / f"check-{name}"), (1, 1))
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


def _listed(
    folder: Path,
    search: DuplicateSearch,
    where: Filter | None,
    memory: int,
    progress: StageProgress,
) -> tuple[Path, str]:
    """A new folder with the images as they are now, and a digest of all that proposals depend on.
    The folder of a killed process is replaced."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    digest = write_listing(folder, search.engine, where, memory, progress)
    (folder / "options").write_text(_options(search, where), "utf-8")
    content = repr((digest, _options(search, where), search.thresholds))
    return folder, hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def _resumed(new: Path, folder: Path) -> Path:
    """The folder of an earlier check of the same images, else the new one under its name."""
    for other in folder.parent.glob("check-*"):
        if other != folder:
            shutil.rmtree(other)
    if folder.exists():
        shutil.rmtree(new)
        return folder
    return new.replace(folder)


def _options(search: DuplicateSearch, where: Filter | None) -> str:
    """All in which the parts of a check must agree."""
    return repr((where, search.semantic, code_version()))


def _require_same(check: BulkCheck) -> None:
    if (check.folder / "options").read_text("utf-8") != _options(check.search, check.where):
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
