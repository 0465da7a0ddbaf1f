"""The groups of the last search for duplicates, as far as they still hold.

They lie in a file, one JSON object a line, of which memory knows where each line begins: a million
images may have hundreds of thousands of groups. What was deleted, replaced or decided upon since
is left out when they are looked at.
"""

from __future__ import annotations

import json
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from lookalike.duplicates.check import Duplicate, may_be_copies
from lookalike.duplicates.comparer import Verdict
from lookalike.duplicates.groups import Group
from lookalike.index import Index
from lookalike.output import documents
from lookalike.record import record_of
from lookalike.system import files
from lookalike.types import Point

TOGETHER = 50
"""Groups whose images are looked up in one request."""

Record = dict[str, Any]
"""A group as it stands in the file: keeper, reason, and members with id, sha256, verdict,
evidence, the keeper first."""


class Found:
    """Groups that outlive the service."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._path = file
        self._starts = array("Q")
        self._gone: dict[int, set[str]] = {}
        self._anew: dict[int, Record] = {}
        self._read(file)

    @property
    def total(self) -> int:
        """How many groups there are, as far as is known: each is looked at when it is shown."""
        return len(self._starts) - len(self._gone)

    @contextmanager
    def search(self) -> Iterator[Callable[[Group], None]]:
        """A new search: its groups can be seen as they are kept, and replace those of the last one
        for good if it comes to its end."""
        draft = files.Draft(self._file)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with draft.path.open("wb") as file:
            with self._lock:
                self._begin(draft.path)

            def keep(group: Group) -> None:
                with self._lock:
                    self._starts.append(file.tell())
                    file.write(json.dumps(_record(group)).encode() + b"\n")
                    file.flush()

            try:
                yield keep
                files.sync(file)
            except BaseException:
                with self._lock:
                    self._read(self._file)
                draft.discard()
                raise
        with self._lock:
            draft.commit()
            self._path = self._file

    def page(self, index: Index, offset: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """Some of the groups that still hold, as documents, and how many there are."""
        shown: list[dict[str, Any]] = []
        with self._lock:
            there = (number for number in range(len(self._starts)) if number not in self._gone)
            numbers = list(islice(there, offset, None))
            for first in range(0, len(numbers), TOGETHER):
                for number, record, points in self._look_up(index, numbers[first:][:TOGETHER]):
                    group = self._still(index, number, record, points)
                    if group is None:
                        self._gone[number] = {member["id"] for member in record["members"]}
                    else:
                        shown.append(group)
                    if len(shown) == limit:
                        return shown, self.total
            return shown, self.total

    def recheck(self, ids: Iterable[str]) -> None:
        """Looks again at groups that were left out: something was decided on these images."""
        changed = set(ids)
        with self._lock:
            self._gone = {n: own for n, own in self._gone.items() if not own & changed}

    # --- inside -----------------------------------------------------------------------------

    def _begin(self, path: Path) -> None:
        self._path = path
        self._starts = array("Q")
        self._gone, self._anew = {}, {}

    def _read(self, path: Path) -> None:
        """Takes over the groups of a file."""
        self._begin(path)
        if path.exists():
            with path.open("rb") as file:
                start = 0
                for line in file:
                    self._starts.append(start)
                    start += len(line)

    def _look_up(
        self, index: Index, numbers: Sequence[int]
    ) -> Iterator[tuple[int, Record, Mapping[str, Point]]]:
        """Groups with those of their images that are in the index, and are what they were."""
        records = []
        with self._path.open("rb") as file:
            for number in numbers:
                file.seek(self._starts[number])
                records.append(self._anew.get(number) or json.loads(file.readline()))
        digests = {one["id"]: one["sha256"] for record in records for one in record["members"]}
        points = {
            point.id: point
            for point in index.get_many(list(digests))
            if record_of(point.payload)["sha256"] == digests[point.id]
        }
        for number, record in zip(numbers, records, strict=True):
            yield number, record, points

    def _still(
        self, index: Index, number: int, record: Record, points: Mapping[str, Point]
    ) -> dict[str, Any] | None:
        """A group without what left it since; None where too little is left."""
        members = [member for member in record["members"] if member["id"] in points]
        if record["keeper"] not in points and len(members) > 1:
            record = self._anew[number] = _without_keeper(index, members)
            members = record["members"]
        if not members or members[0]["id"] != record["keeper"]:
            return None
        keeper, *others = members
        own = points[keeper["id"]].payload
        others = [one for one in others if may_be_copies(own, points[one["id"]].payload)]
        if not others:
            return None
        order = list(Verdict)
        return {
            "verdict": max((one["verdict"] for one in others), key=order.index),
            "keeper": keeper["id"],
            "reason": record["reason"],
            "members": [_shown(one, points[one["id"]]) for one in (keeper, *others)],
        }


def _without_keeper(index: Index, members: Sequence[Record]) -> Record:
    """A group whose keeper is gone: the others were compared with it alone, so they are compared
    anew, with the first of them."""
    keeper, *others = members
    similar = any(one["verdict"] == Verdict.SIMILAR for one in others)
    matches = {one.id: one for one in index.duplicates_of(id=keeper["id"], similar=similar)}
    return {
        "keeper": keeper["id"],
        "reason": "the next, as the one that was kept is gone",
        "members": [
            {**keeper, "verdict": Verdict.IDENTICAL.value, "evidence": {"why": "kept"}},
            *(_member(matches[one["id"]]) for one in others if one["id"] in matches),
        ],
    }


def _record(group: Group) -> Record:
    members = [_member(member) for member in group.members]
    return {"keeper": group.keeper, "reason": group.reason, "members": members}


def _member(match: Duplicate) -> Record:
    known = documents.of_match(match)
    return {**known, "sha256": record_of(match.payload)["sha256"]}


def _shown(member: Record, point: Point) -> dict[str, Any]:
    return {
        "id": member["id"],
        "uri": record_of(point.payload)["uri"],
        "verdict": member["verdict"],
        "evidence": member["evidence"],
        "payload": point.payload,
    }
