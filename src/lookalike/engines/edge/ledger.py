"""The ledger of a shard: how many points it holds, and the files that they are in.

The engine loads a shard without the segments that it cannot read, and says nothing. So each shard
has a ledger beside it, `ledger-NAME.json`, which is compared with the shard when an index is opened
and whenever someone asks. It is written at checkpoints, when everything is on the disk. In between,
points may only become more, unless the ledger has been marked before; so a kill at any moment
raises no false alarm.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lookalike.system.files import write_atomically

_MAPPED = {".dat", ".mmap"}
"""Suffixes of memory maps, which never shrink; other files are rewritten, and may."""

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
    """

    points: int
    closed: bool = False
    shrinking: bool = False
    files: Mapping[str, int] = field(default_factory=dict)

    def missing_files(self, shard: Path) -> list[str]:
        """Describes the files that are gone or cut short."""
        lost = [name for name, size in self.files.items() if _size(shard / name) < size]
        if not lost:
            return []
        more = f" and {len(lost) - _LISTED:,} more" if len(lost) > _LISTED else ""
        verb = "are" if len(lost) > 1 else "is"
        return [f"{', '.join(lost[:_LISTED])}{more} {verb} missing or cut short in {shard}"]

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
        checksum = document.pop("checksum")
        return Ledger(**document) if checksum == _checksum(document) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write(shard: Path, ledger: Ledger) -> None:
    """Replaces the ledger of a shard; it survives a power cut once this returns."""
    document = asdict(ledger)
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
    sizes = {}
    for folder, _, names in os.walk(shard / "segments"):
        for name in names:
            path = Path(folder, name)
            parts = path.relative_to(shard).parts
            if _holds_points(parts[2:]):
                sizes["/".join(parts)] = _size(path) if path.suffix in _MAPPED else 0
    return dict(sorted(sizes.items()))


def _holds_points(parts: tuple[str, ...]) -> bool:
    if len(parts) == 1:
        return True
    stored = parts[0] == "payload_storage" or parts[0].startswith("vector_storage")
    return stored and parts[-1] != "tracker_journal.dat"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _checksum(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
