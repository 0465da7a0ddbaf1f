"""The ledger of a shard: how many points it holds, and the files that they are in.

The engine loads a shard without the segments that it cannot read, and says nothing. So each shard
has a ledger beside it, `ledger-NAME.json`, which is compared with the shard when an index is opened
and whenever someone asks. It is written at checkpoints, when everything is on the disk. In between,
points may only become more, unless the ledger has been marked before; so a kill at any moment
raises no false alarm.

The ledger of a shard that was closed also has checksums of its files: Qdrant Edge reads zeros in
place of vectors, payloads or indexes without a word. While the shard is written to, those of files
that never change go on to hold.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from lookalike.engines.edge.checksums import Checksum
from lookalike.system.files import files_below, write_atomically

_MAPPED = (".dat", ".mmap")
"""Suffixes of memory maps, which never shrink; other files are rewritten, and may."""

_FIXED = ("matrix.dat", "quantized.", "id_tracker.mappings")
"""Beginnings of the names of files that never change once a segment has been built."""

_VOLATILE = ("segment.json", "tracker_journal.dat", "id_tracker.versions", "version.info")
"""Ends of the names of files that loading a shard may write; without them it does not load."""

_LISTED = 3
"""Files that one message names at most."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The contents of a shard at its last checkpoint.

    Attributes:
        points: number of points.
        closed: whether nothing has been written since, so that the number is exact.
        shrinking: whether points may have been deleted since, so that the number is no bound.
        files: least bytes of each file without which points are lost, by its path in the shard.
        checksums: of files that have not changed since, by their paths in the shard.
    """

    points: int
    closed: bool = False
    shrinking: bool = False
    files: Mapping[str, int] = field(default_factory=dict)
    checksums: Mapping[str, Checksum] = field(default_factory=dict)

    def missing_files(self, shard: Path) -> list[str]:
        """Describes the files that are gone or cut short."""
        lost = [name for name, size in self.files.items() if _size(shard / name) < size]
        return _description(lost, f"missing or cut short in {shard}")

    def changed_files(self, shard: Path, *, whole: bool) -> list[str]:
        """Describes the files that are not what they were.

        Args:
            shard: the shard's folder.
            whole: reads the files to their ends; otherwise some changes are not seen.
        """
        changed = [
            name
            for name, checksum in self.checksums.items()
            if not checksum.matches(shard / name, whole=whole)
        ]
        return _description(changed, f"damaged in {shard}")

    def written(self, *, deletes: bool = False) -> Ledger:
        """The ledger from a write on: what still holds of it."""
        fixed = {name: own for name, own in self.checksums.items() if _is_fixed(name)}
        shrinking = deletes or self.shrinking
        return replace(self, closed=False, shrinking=shrinking, checksums=fixed)

    def missing_points(self, points: int) -> list[str]:
        """Compares the number of points in the loaded shard."""
        if self.closed and points != self.points:
            return [f"it holds {points:,} images and should hold {self.points:,}"]
        if not self.shrinking and points < self.points:
            return [f"it holds {points:,} images and should hold at least {self.points:,}"]
        return []


def read(shard: Path) -> Ledger | None:
    """The ledger of a shard; None if an earlier version made the shard.

    A ledger that cannot be read does not count: the shard itself may be sound.
    """
    try:
        document = json.loads(ledger_file(shard).read_text(encoding="utf-8"))
        if document.pop("checksum") != _checksum(document):
            return None
        checksums = {name: Checksum(**own) for name, own in document.pop("checksums", {}).items()}
        return Ledger(**document, checksums=checksums)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write(shard: Path, ledger: Ledger) -> None:
    """Replaces the ledger of a shard; it survives a power cut once this returns."""
    document = {one.name: getattr(ledger, one.name) for one in fields(ledger)}
    document["checksums"] = {name: own._asdict() for name, own in ledger.checksums.items()}
    content = json.dumps(document | {"checksum": _checksum(document)})
    write_atomically(ledger_file(shard), content.encode())


def ledger_file(shard: Path) -> Path:
    """The path of a shard's ledger."""
    return shard.with_name(f"ledger-{shard.name}.json")


def files_of(shard: Path) -> dict[str, int]:
    """Least bytes of the files that hold ids, vectors and payloads, by their path in the shard.

    Graphs and payload indexes are left out: the engine makes them again. So are files that it
    removes or rewrites at will.
    """
    return {
        name: _size(file) if name.endswith(_MAPPED) else 0
        for name, file in _segment_files(shard)
        if _holds_points(name.split("/")[2:])
    }


def checksums_of(shard: Path, before: Mapping[str, Checksum]) -> dict[str, Checksum]:
    """Checksums of a shard's files; everything is on the disk.

    Args:
        shard: the shard's folder.
        before: earlier checksums, which are kept for files that never change.
    """
    checksums = {}
    for name, file in _segment_files(shard):
        if not name.endswith(_VOLATILE):
            own = before.get(name)
            kept = own is not None and _is_fixed(name) and own.is_unchanged(file)
            checksums[name] = own if own is not None and kept else Checksum.of(file)
    return checksums


def _segment_files(shard: Path) -> list[tuple[str, str]]:
    """The files of a shard's segments in the order of their names, as `files_below`."""
    files = files_below(shard / "segments")
    return sorted((f"segments/{name}", file) for name, file in files)


def _is_fixed(name: str) -> bool:
    parts = name.split("/")
    return parts[-1].startswith(_FIXED) or any(part.startswith("vector_index") for part in parts)


def _description(names: list[str], state: str) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    verb = "are" if len(names) > 1 else "is"
    return [f"{', '.join(names[:_LISTED])}{more} {verb} {state}"]


def _holds_points(parts: Sequence[str]) -> bool:
    if len(parts) == 1:
        return True
    stored = parts[0] == "payload_storage" or parts[0].startswith("vector_storage")
    return stored and parts[-1] != "tracker_journal.dat"


def _size(path: Path | str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return -1


def _checksum(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
