"""The groups of the last search for duplicates.

They are stored in a file, one JSON object per line. Memory holds only where each line starts: an
index of a million images may have hundreds of thousands of groups. Members that were deleted,
replaced, or decided on since the search are left out when a group is read.
"""

from __future__ import annotations

import json
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from lookalike.api.stores.disk import storing
from lookalike.duplicates.decisions import may_be_duplicates
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.verdicts import Duplicate, Verdict
from lookalike.errors import LookalikeError
from lookalike.index import Index
from lookalike.output import documents
from lookalike.record import record_of
from lookalike.system.files import Draft, sync
from lookalike.types import Point

LOOKUP_GROUPS = 50
"""Groups whose images are looked up in one request."""

GroupRecord: TypeAlias = dict[str, Any]
"""One line of the file: keeper, reason, and members, the keeper first. Each member has id, uri,
sha256, verdict, evidence, holds_more, and protected."""


class DuplicateGroupStore:
    """Duplicate groups in a file that survives a restart."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._open_file = file
        self._starts = array("Q")
        self._obsolete: dict[int, set[str]] = {}
        self._regrouped: dict[int, GroupRecord] = {}
        self._load(file)

    @property
    def total(self) -> int:
        """Number of groups. An obsolete group counts until it is read for the first time."""
        return len(self._starts) - len(self._obsolete)

    @contextmanager
    def replacement(self) -> Iterator[Callable[[DuplicateGroup], None]]:
        """Starts a new set of groups; yields the function that appends one.

        Groups can be read as soon as they are appended. They replace the former set for good only
        if the block ends without an error.
        """
        draft, disk = Draft(self._file), partial(storing, "The list of duplicates", self._file)
        with disk():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            file = draft.path.open("wb")
        with self._lock:
            self._reset(draft.path)

        def append(group: DuplicateGroup) -> None:
            line = json.dumps(_group_record(group)).encode() + b"\n"
            with self._lock, disk():
                start = file.tell()
                file.write(line)
                file.flush()
                self._starts.append(start)

        try:
            with file:
                yield append
                with disk():
                    sync(file)
            with self._lock, disk():
                draft.commit()
                self._open_file = self._file
        except BaseException:
            with self._lock:
                self._load(self._file)
            draft.discard()
            raise

    def page(self, index: Index, offset: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """Returns some of the groups that still hold, as documents, and the total."""
        shown: list[dict[str, Any]] = []
        with self._lock:
            current = (n for n in range(len(self._starts)) if n not in self._obsolete)
            numbers = list(islice(current, offset, None))
            for first in range(0, len(numbers), LOOKUP_GROUPS):
                batch = numbers[first : first + LOOKUP_GROUPS]
                for number, record, points in self._look_up(index, batch):
                    document = self._document(index, number, record, points)
                    if document is None:
                        self._obsolete[number] = {member["id"] for member in record["members"]}
                    else:
                        shown.append(document)
                    if len(shown) == limit:
                        return shown, self.total
            return shown, self.total

    def recheck(self, ids: Iterable[str]) -> None:
        """Considers obsolete groups again whose members include these images."""
        changed = set(ids)
        with self._lock:
            self._obsolete = {
                number: members
                for number, members in self._obsolete.items()
                if not members & changed
            }

    # --- inside -----------------------------------------------------------------------------

    def _reset(self, path: Path) -> None:
        self._open_file = path
        self._starts = array("Q")
        self._obsolete, self._regrouped = {}, {}

    def _load(self, path: Path) -> None:
        """Reads where the lines of a file start. One that cannot be read counts as a group, so
        that whoever asks for groups learns of it."""
        self._reset(path)
        try:
            with path.open("rb") as file:
                start = 0
                for line in file:
                    self._starts.append(start)
                    start += len(line)
        except FileNotFoundError:
            pass
        except OSError:
            self._starts.append(0)

    def _look_up(
        self, index: Index, numbers: Sequence[int]
    ) -> Iterator[tuple[int, GroupRecord, Mapping[str, Point]]]:
        """Yields groups with their images, without those that were deleted or replaced."""
        records = self._read(numbers)
        digests = {
            member["id"]: member["sha256"] for record in records for member in record["members"]
        }
        points = {
            point.id: point
            for point in index.get_many(list(digests))
            if record_of(point.payload)["sha256"] == digests[point.id]
        }
        for number, record in zip(numbers, records, strict=True):
            yield number, record, points

    def _read(self, numbers: Sequence[int]) -> list[GroupRecord]:
        """Reads groups from the file.

        Raises:
            LookalikeError: it is damaged or gone.
        """
        try:
            with self._open_file.open("rb") as file:
                records = []
                for number in numbers:
                    file.seek(self._starts[number])
                    records.append(self._regrouped.get(number) or _group(file.readline()))
                return records
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise LookalikeError(
                f"The list of duplicates in {self._open_file} is damaged; search for duplicates "
                "again to replace it."
            ) from None

    def _document(
        self, index: Index, number: int, record: GroupRecord, points: Mapping[str, Point]
    ) -> dict[str, Any] | None:
        """Returns what is left of a group; None if that is less than two images."""
        members = [member for member in record["members"] if member["id"] in points]
        if record["keeper"] not in points and len(members) > 1:
            record = self._regrouped[number] = _regrouped(index, members)
            members = record["members"]
        if not members or members[0]["id"] != record["keeper"]:
            return None
        keeper, *others = members
        payload = points[keeper["id"]].payload
        copies = [
            member for member in others if may_be_duplicates(payload, points[member["id"]].payload)
        ]
        if not copies:
            return None
        order = list(Verdict)
        return {
            "verdict": max((member["verdict"] for member in copies), key=order.index),
            "keeper": keeper["id"],
            "reason": record["reason"],
            "members": [
                _member_document(member, points[member["id"]]) for member in (keeper, *copies)
            ],
        }


def _group(line: bytes) -> GroupRecord:
    """Reads a line of the file; raises ValueError, KeyError, TypeError, or AttributeError if it is
    no group."""
    record: GroupRecord = json.loads(line)
    required = {"id", "sha256", "verdict", "evidence"}
    if not {"keeper", "reason"} <= record.keys():
        raise ValueError("the group is incomplete")
    for member in record["members"]:
        if not required <= member.keys() or member["verdict"] not in list(Verdict):
            raise ValueError("a member is incomplete")
    return record


def _regrouped(index: Index, members: Sequence[GroupRecord]) -> GroupRecord:
    """Returns a group whose keeper was removed, under a new keeper.

    The other members were only compared with the old keeper, so they are compared with the new
    one, the first of them.
    """
    keeper, *others = members
    similar = any(member["verdict"] == Verdict.SIMILAR for member in others)
    found = index.duplicates_of(id=keeper["id"], similar=similar, holds_more=True)
    copies = {copy.id: copy for copy in found}
    return {
        "keeper": keeper["id"],
        "reason": "first of the rest, as the former keeper was removed",
        "members": [
            {
                **keeper,
                "verdict": Verdict.IDENTICAL.value,
                "evidence": {"why": "kept"},
                "holds_more": [],
            },
            *(_member_record(copies[member["id"]]) for member in others if member["id"] in copies),
        ],
    }


def _group_record(group: DuplicateGroup) -> GroupRecord:
    members = [_member_record(member) for member in group.members]
    return {"keeper": group.keeper, "reason": group.reason, "members": members}


def _member_record(duplicate: Duplicate) -> GroupRecord:
    return {
        **documents.of_duplicate(duplicate),
        "sha256": record_of(duplicate.payload)["sha256"],
    }


def _member_document(member: GroupRecord, point: Point) -> dict[str, Any]:
    return {
        "id": member["id"],
        "uri": record_of(point.payload)["uri"],
        "verdict": member["verdict"],
        "evidence": member["evidence"],
        "holds_more": member.get("holds_more", []),
        "protected": member.get("protected", False),
        "payload": point.payload,
    }
