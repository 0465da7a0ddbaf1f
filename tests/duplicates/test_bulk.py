"""A check of a whole index: the same groups within any memory, and after any interruption."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.comparison import batch
from lookalike.comparison.batch import StoredPicture
from lookalike.comparison.hamming import Hashes, all_orientations
from lookalike.comparison.sketch import THUMBNAIL_SIDE
from lookalike.duplicates.bulk import proposals
from lookalike.duplicates.bulk.listing import Listing
from lookalike.duplicates.comparer import Comparer
from lookalike.duplicates.comparison_store import ComparisonStore
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.verdicts import measurements
from lookalike.errors import InputError
from lookalike.imaging.thumbnails import encode_thumbnail
from lookalike.index import Index
from lookalike.system.external_sort import read_table, write_table
from tests.support.pictures import scene

Pair = tuple[str, str]
"""SHA-256 of two files."""


@pytest.fixture
def tiny_memory(monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes that a check takes, and that hold next to nothing."""
    monkeypatch.setattr("lookalike.duplicates.finder.OTHER_MEMORY", 0)
    monkeypatch.setattr("lookalike.duplicates.finder.LEAST_MEMORY", 0)
    return 100


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Counter[Pair]:
    """Pairs of contents, with the number of times that they were compared."""
    seen: Counter[Pair] = Counter()
    compare = Comparer._compare

    def counted(comparer: Comparer, keys: Sequence[Pair], *rest: Any) -> None:
        seen.update((min(pair), max(pair)) for pair in keys)
        compare(comparer, keys, *rest)

    monkeypatch.setattr(Comparer, "_compare", counted)
    return seen


def contents(groups: Sequence[DuplicateGroup]) -> list[object]:
    return [
        (group.keeper, group.reason, [(one.id, one.verdict, one.evidence) for one in group.members])
        for group in groups
    ]


def work_of(index: Path) -> Path:
    return index / "thumbnails.duplicates"


def test_groups_do_not_depend_on_memory(filled: Index, tmp_path: Path, tiny_memory: int) -> None:
    for similar in (False, True):
        expected = list(filled.duplicates(similar=similar, work=tmp_path / f"much {similar}"))
        little = filled.duplicates(
            similar=similar, memory=tiny_memory, work=tmp_path / f"little {similar}"
        )
        assert len(expected) >= 3
        assert contents(list(little)) == contents(expected)


def test_too_little_memory_is_refused(filled: Index) -> None:
    with pytest.raises(InputError, match="at least 300 MB"):
        filled.duplicates(memory=10**8)


@pytest.mark.slow
def test_nothing_is_compared_again(filled: Index, tmp_path: Path, compared: Counter[Pair]) -> None:
    work = tmp_path / "work"
    expected = list(filled.duplicates(work=work))
    assert compared
    assert max(compared.values()) == 1
    before = compared.total()
    assert contents(list(filled.duplicates(work=work))) == contents(expected)
    assert list(filled.duplicates(work=work, keep="first"))
    assert compared.total() == before
    assert [path.name for path in work.iterdir()] == ["comparisons.sqlite"]


def test_an_abandoned_check_goes_on_where_it_was(
    filled: Index,
    tmp_path: Path,
    compared: Counter[Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = tmp_path / "work"
    monkeypatch.setattr("lookalike.duplicates.bulk.steps.PAIRS_PER_BATCH", 4)
    expected = contents(list(filled.duplicates(work=tmp_path / "whole")))
    pairs = compared.total()
    compared.clear()
    for stage in ("comparing hashes", "finding neighbors", "comparing pictures", "grouping"):

        def stop(name: str, done: int, total: int, stage: str = stage) -> None:
            if name == stage and done > total // 2:
                raise KeyboardInterrupt

        try:
            list(filled.duplicates(work=work, progress=stop))
        except KeyboardInterrupt:
            continue
    assert compared.total() > 0
    assert contents(list(filled.duplicates(work=work))) == expected
    assert compared.total() <= pairs + 4 * 4  # a batch, or what a group compared, may be lost


def test_a_killed_check_goes_on_where_it_was(
    original: Path, tmp_path: Path, compared: Counter[Pair]
) -> None:
    killed = """
import os, sys
from lookalike.duplicates.bulk import steps
from lookalike.index import Index
steps.PAIRS_PER_BATCH = 4
def kill(stage, done, total):
    if stage == "comparing pictures" and done >= total // 2:
        os.kill(os.getpid(), 9)
with Index.open(sys.argv[1]) as index:
    list(index.duplicates(progress=kill))
"""
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(original)
        expected = contents(list(index.duplicates(work=tmp_path / "whole")))
    pairs = compared.total()
    compared.clear()
    ended = subprocess.run([sys.executable, "-c", killed, str(tmp_path / "index")])
    assert ended.returncode == -9
    with Index.open(tmp_path / "index") as index:
        assert contents(list(index.duplicates())) == expected
    assert 0 < compared.total() <= pairs // 2 + 1


def test_images_that_came_and_went_meanwhile_are_seen(
    index: Index, photos: Path, compared: Counter[Pair]
) -> None:
    groups = index.duplicates()
    next(groups)
    groups._groups.close()  # type: ignore[attr-defined]
    before = set(compared)
    index.delete([copy.id for copy in index.duplicates_of(photos / "scene01.jpg")])
    compared.clear()
    shutil.copy(photos / "scene05.jpg", photos / "another.jpg")
    index.add(photos / "another.jpg")
    members = [{Path(one.uri).stem for one in group.members} for group in index.duplicates()]
    assert {"scene05", "another"} in members
    assert not any("scene01" in names for names in members)
    assert before
    assert not before & set(compared)


@pytest.mark.slow
def test_a_second_check_at_the_same_time_is_right_too(filled: Index, tmp_path: Path) -> None:
    work = tmp_path / "work"
    first = filled.duplicates(work=work)
    second = filled.duplicates(work=work)
    one = next(first)
    assert contents([one, *first]) == contents(list(second))
    groups = filled.duplicates(work=work)
    begun = [next(groups)]
    meanwhile = list(filled.duplicates(work=work))
    assert contents([*begun, *groups]) == contents(meanwhile)


@pytest.mark.slow
def test_an_unusable_folder_is_no_obstacle(index: Index, photos: Path, tmp_path: Path) -> None:
    expected = contents(list(index.duplicates()))
    (tmp_path / "file").write_bytes(b"")
    assert contents(list(index.duplicates(work=tmp_path / "file" / "work"))) == expected
    store = work_of(photos.with_name("index")) / "comparisons.sqlite"
    store.write_bytes(b"no database" * 1000)
    assert contents(list(index.duplicates())) == expected


# --- hashes ---------------------------------------------------------------------------------


def near_hashes(count: int) -> Hashes:
    """Hashes in clouds: so many near ones that some exceed the pairs of an image."""
    rng = np.random.default_rng(2)
    clouds = rng.integers(0, 2**64, 6, dtype=np.uint64)
    of = all_orientations(clouds)[rng.integers(0, 6, count), rng.integers(0, 8, count)]
    for _ in range(3):
        of ^= np.uint64(1) << rng.integers(0, 40, count).astype(np.uint64)
    return np.unique(of)


def hash_pairs(folder: Path, hashes: Hashes, memory: int) -> list[int]:
    folder.mkdir()
    rows = np.arange(len(hashes), dtype=np.uint64) * np.uint64(2)
    write_table(folder / "hashes", [np.column_stack([rows, hashes])])
    write_table(folder / "offsets", [np.zeros((2 * len(hashes), 1), np.uint64)])
    for name in ("twins", "equal_hashes"):
        write_table(folder / name, [])
    file = folder / "pairs"
    proposals.write_hash_pairs(file, Listing(folder), memory, lambda stage, done, total: None)
    return [int(pair) for table in read_table(file, 1) for pair in table[:, 0]]


def test_pairs_of_hashes_do_not_depend_on_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposals, "MAX_HASH_PAIRS", 12)
    monkeypatch.setattr(proposals, "JOIN_RADII", ((10**9, 6),))
    hashes = near_hashes(1000)
    expected = hash_pairs(tmp_path / "much", hashes, 10**8)
    assert 1000 < len(expected) < 12 * len(hashes)
    assert hash_pairs(tmp_path / "little", hashes, 300_000) == expected
    assert hash_pairs(tmp_path / "least", hashes[:300], 20_000) == hash_pairs(
        tmp_path / "enough", hashes[:300], 10**8
    )


def test_the_nearest_hashes_are_proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "MAX_HASH_PAIRS", 5)
    hashes = near_hashes(300)
    pairs = hash_pairs(tmp_path / "found", hashes, 30_000)
    for row in range(0, len(hashes), 7):
        turned = all_orientations(hashes)
        distances = np.bitwise_count(turned ^ hashes[row]).min(axis=1).astype(int)
        distances[row] = 64
        limit = np.sort(distances)[4]
        near = np.flatnonzero((distances < limit) & (distances <= 10))
        expected = {(min(row, j) * 2 << 32) | max(row, j) * 2 for j in near.tolist()}
        assert expected <= set(pairs)


# --- parts ----------------------------------------------------------------------------------


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives each part some of the few images."""
    monkeypatch.setattr("lookalike.duplicates.bulk.check.IMAGES_PER_STEP", 2)
    monkeypatch.setattr("lookalike.duplicates.bulk.check.PAIRS_PER_STEP", 8)


@pytest.mark.usefixtures("small_steps")
def test_parts_make_the_same_groups(filled: Index, tmp_path: Path, compared: Counter[Pair]) -> None:
    work = tmp_path / "work"
    expected = contents(list(filled.duplicates(work=tmp_path / "whole")))
    whole = set(compared)
    compared.clear()
    reports = [filled.compare_duplicates(work=work, partition=(number, 3)) for number in (1, 3, 2)]
    assert [report.unfinished for report in reports] == [("2/3", "3/3"), ("2/3",), ()]
    assert all(report.pairs > 0 for report in reports)
    assert sum(report.copies for report in reports) > 0
    assert contents(list(filled.duplicates(work=work))) == expected
    assert set(compared) == whole
    assert [path.name for path in work.glob("parts*")] == []


@pytest.mark.usefixtures("small_steps")
def test_no_pair_is_compared_in_two_parts(
    filled: Index, tmp_path: Path, compared: Counter[Pair]
) -> None:
    work = tmp_path / "work"
    for number in (1, 2, 3, 4):
        filled.compare_duplicates(work=work, partition=(number, 4))
    assert max(compared.values()) == 1
    before = compared.total()
    filled.compare_duplicates(work=work, partition=(3, 4))
    assert compared.total() == before


@pytest.mark.usefixtures("small_steps")
def test_groups_wait_for_all_parts(filled: Index, tmp_path: Path) -> None:
    work = tmp_path / "work"
    filled.compare_duplicates(work=work, partition=(2, 3))
    with pytest.raises(InputError, match=r"2 parts of 3 .* --partition 1/3"):
        list(filled.duplicates(work=work))
    with pytest.raises(InputError, match="another number of parts"):
        filled.compare_duplicates(work=work, partition=(1, 2))
    with pytest.raises(InputError, match="another --where"):
        filled.compare_duplicates(work=work, partition=(1, 3), where="image.width > 100")
    with pytest.raises(InputError, match="not a valid partition"):
        filled.compare_duplicates(work=work, partition=(0, 3))


def test_stored_results_are_those_of_the_comparison(tmp_path: Path) -> None:
    pictures = [scene(1), scene(1).resize((300, 225)), scene(1).crop((20, 15, 460, 345)), scene(2)]
    made = [StoredPicture(b"", encode_thumbnail(np.array(one), THUMBNAIL_SIDE)) for one in pictures]
    names = ["c" * 64, "a" * 64, "b" * 64, "d" * 64]
    pairs = [(0, 1), (2, 0), (1, 2), (0, 3)]
    found = batch.compare(made, pairs).comparisons
    assert [result is None for result in found] == [False, False, False, True]
    results = {
        (names[one], names[other]): result
        for (one, other), result in zip(pairs, found, strict=True)
    }
    with ComparisonStore(tmp_path, "own") as store:
        store.put_many(results)
    with ComparisonStore(tmp_path, "another") as store:
        known = store.get_many(results)
        back = store.get_many([(other, one) for one, other in results])
        assert store.get_many([("e" * 64, "f" * 64)]) == {}
    assert known.keys() == results.keys()
    for pair, result in results.items():
        assert (known[pair] is None) == (result is None)
        reverse = back[pair[1], pair[0]]
        for one in (known[pair], reverse and reverse.reversed()):
            if result is not None and one is not None:
                assert one.looks_identical == result.looks_identical
                assert measurements(one.evidence) == measurements(result.evidence)
                assert (one.alignment is None) == (result.alignment is None)
