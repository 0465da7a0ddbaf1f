"""The folder of an embedded index: its manifest, its owner, the free space of its disk.

It holds `manifest.json`, the shard's folder (see `generations`), and while the index is open
`owner.json`, which names the process that has it open.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lookalike.engines.edge import ledger
from lookalike.errors import DiskFull, EngineError, IndexDamaged
from lookalike.system.files import files_below, make_folder, write_atomically

RESERVE = 256 * 2**20
"""Free bytes that must remain before a write: a disk that fills under the engine's memory maps
kills the process, and opening the shard then kills it again."""

_LOADING = 8 * 2**20
"""Free bytes for loading a shard that was closed: four times as many as it was seen to take."""


class IndexFolder:
    """The folder of one index.

    Args:
        path: the folder; it need not exist yet.
        reserve: free bytes that must remain before a write.
        owner: the process to name while the index is open, in the form of `this_process`; by
            default this process.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        reserve: int = RESERVE,
        owner: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.reserve = reserve
        self._owner = owner or this_process()

    # --- manifest ---------------------------------------------------------------------------

    def read_manifest(self) -> Mapping[str, Any] | None:
        file = self.path / "manifest.json"
        try:
            manifest = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._require_no_points()
            return None
        except NotADirectoryError:
            raise EngineError(
                f"{self.path} is a file, but an index is a folder; choose another path."
            ) from None
        except (OSError, ValueError) as error:
            raise IndexDamaged(
                f"{file} cannot be read ({error}); restore it from a backup, or delete the folder "
                "and index again."
            ) from error
        if not isinstance(manifest, dict):
            raise IndexDamaged(
                f"{file} does not hold a manifest; restore it from a backup, or delete the folder "
                "and index again."
            )
        return manifest

    def _require_no_points(self) -> None:
        """Makes sure that a folder without a manifest holds no index that has lost it.

        Raises:
            IndexDamaged: it does.
        """
        for file in self.path.glob("ledger-*.json"):
            stored = ledger.read(file.with_name(file.stem.removeprefix("ledger-")))
            if stored and stored.points:
                raise IndexDamaged(
                    f"{self.path} holds {stored.points:,} images, but its manifest.json is gone; "
                    "restore it from a backup, or choose another folder and index again."
                )

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        make_folder(self.path)
        self.require_space(0)
        content = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
        write_atomically(self.path / "manifest.json", content)

    # --- owner ------------------------------------------------------------------------------

    def claim(self) -> None:
        """Records the owner; on a full disk, others are not told who it is."""
        with suppress(OSError):
            (self.path / "owner.json").write_text(json.dumps(self._owner), encoding="utf-8")

    def release(self) -> None:
        with suppress(OSError):
            (self.path / "owner.json").unlink()

    def describe_owner(self) -> tuple[str, bool]:
        """Names the process that has the index open and says what to do about it; also tells
        whether it is this one."""
        try:
            owner = json.loads((self.path / "owner.json").read_text(encoding="utf-8"))
            pid, command = int(owner["pid"]), str(owner["command"])
        except (OSError, ValueError, KeyError, TypeError):
            return "another process; wait until it ends", False
        if pid == self._owner["pid"]:
            return "this very process, which already has it open; close it there first", True
        return f"process {pid} ({command}); wait until it ends, or stop it", False

    # --- disk -------------------------------------------------------------------------------

    def require_space(self, needed: int) -> None:
        """Refuses a write that would leave less than the reserve.

        Args:
            needed: bytes that the write takes.

        Raises:
            DiskFull: too little is free; nothing was written.
        """
        self._require(self.reserve + needed)

    def require_space_to_load(self, shard: Path) -> None:
        """Refuses to load a shard that could not be loaded safely.

        Loading replays the log if there is something in it, and takes next to nothing otherwise.
        Only on a file system in memory does reading a hole in a file take space.
        """
        if shutil.disk_usage(self.path).free >= self.reserve:
            return
        stored = ledger.read(shard)
        replayed = 0 if stored and stored.closed else 2 * bytes_on_disk(shard / "wal")
        self._require(_LOADING + replayed + (_holes(shard) if _fills_holes(self.path) else 0))

    def _require(self, bytes: int) -> None:
        free = shutil.disk_usage(self.path).free
        if free < bytes:
            missing = (bytes - free) // 2**20 + 1
            raise DiskFull(
                f"The disk that holds {self.path} has {free // 2**20} MiB left; free at least "
                f"{missing} MiB more and run the same command again: nothing was lost."
            )


def this_process() -> dict[str, Any]:
    """This process as the owner of an index: its id, and its command without options, which may
    hold keys."""
    name = Path(sys.argv[0]).name if sys.argv else "python"
    if name in ("lookalike", "__main__.py"):
        subcommand = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        name = f"lookalike {subcommand}".strip()
    return {"pid": os.getpid(), "command": name[:200]}


def bytes_on_disk(path: Path) -> int:
    """Bytes of the blocks that a folder's files take: the engine's files are sparse."""
    total = 0
    for _, file in files_below(path):
        with suppress(FileNotFoundError):  # the optimizer drops segments meanwhile
            total += os.stat(file).st_blocks * 512  # noqa: PTH116
    return total


def _holes(folder: Path) -> int:
    """Bytes of a folder's files that take no space yet."""
    sizes = sum(os.stat(file).st_size for _, file in files_below(folder))  # noqa: PTH116
    return max(0, sizes - bytes_on_disk(folder))


def _fills_holes(folder: Path) -> bool:
    """Tells whether a hole takes space once a memory map reads it, as on tmpfs."""
    size = mmap.PAGESIZE
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(size)
            with mmap.mmap(file.fileno(), size) as mapped:
                mapped[0]
            return os.fstat(file.fileno()).st_blocks > 0
    except OSError:
        return True
