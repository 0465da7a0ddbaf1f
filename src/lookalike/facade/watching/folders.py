"""Watching of folders.

Events only say where to look. They may be late, doubled, lost, or of a folder whose files they do
not name, so each one stands for its folder, and a pass over everything comes first and every hour.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.errors import InputError
from lookalike.facade.watching.changes import Change
from lookalike.protocols import Source
from lookalike.sources import open_source
from lookalike.system import patience
from lookalike.types import SourceOptions

DEBOUNCE = 2.0
"""Seconds over which events are collected."""
LOOK = 1.0
"""Seconds between two looks at whether a pass over everything is due."""
STEP = 1.0
"""Seconds for which a file must not change, so that it is not read half-copied."""
LONGEST_COPY = 600.0
"""Seconds after which a file that goes on changing is not waited for."""
NETWORK_POLL = 60.0
"""Seconds between two looks at a network drive, which sends no events."""

_NETWORK = ("9p", "cifs", "drvfs", "fuse.", "nfs", "smb", "virtiofs", "vboxsf")
_UNSETTLED = (0, 0)


@dataclass(frozen=True, slots=True)
class FolderWatch:
    """Folders to watch.

    Attributes:
        folders: absolute paths.
        exclude: patterns of what to pass over, in the syntax of `.gitignore`.
        index: folder of the index, whose own files do not count; None for one on a server.
        poll: seconds between two looks where the system tells of no changes; None decides by the
            kind of drive.
        every: seconds between two passes over everything.
    """

    folders: Sequence[str]
    exclude: Sequence[str] = ()
    index: str | None = None
    poll: float | None = None
    every: float = 3600.0

    def changes(self) -> Generator[Change]:
        """Yields the folders to index, as something changes, until the work in this context is
        over: first all of them.

        Raises:
            InputError: the library is missing, a path is not a folder, or the system permits no
                more watches.
        """
        try:
            import watchfiles
        except ModuleNotFoundError:
            raise InputError("Watching needs a library: pip install 'lookalike[watch]'.") from None
        for folder in self.folders:
            if not os.path.isdir(folder):
                raise InputError(f"{folder} is not a folder: watch folders.")
        poll = self.poll or (NETWORK_POLL if any(map(_is_network, self.folders)) else None)
        events = watchfiles.watch(
            *self.folders,
            watch_filter=None,
            debounce=round(DEBOUNCE * 1000),
            rust_timeout=round(LOOK * 1000),
            yield_on_timeout=True,
            force_polling=poll is not None,
            poll_delay_ms=round((poll or 1) * 1000),
            ignore_permission_denied=True,
        )
        try:
            yield from self._passes(events)
        except OSError as error:
            raise InputError(_explained(error)) from error

    def _passes(self, events: Iterator[set[tuple[Any, str]]]) -> Iterator[Change]:
        next(events)  # begins to watch, so that nothing is missed during the first pass
        yield Change(self.folders, is_whole=True)
        passed = time.monotonic()
        for changes in events:
            if patience.is_over():
                return
            if time.monotonic() - passed >= self.every:
                yield Change(self.folders, is_whole=True)
                passed = time.monotonic()
                continue
            sources = {one: open_source(one, SourceOptions(self.exclude)) for one in self.folders}
            paths = [path for _, path in changes if self._concerns(path, sources)]
            if paths:
                _wait_until_settled(paths)
                yield Change(_without_nested(_folder_of(path, sources) for path in paths))

    def _concerns(self, path: str, sources: Mapping[str, Source]) -> bool:
        if self.index is not None and _is_below(path, self.index):
            return False
        if os.path.isdir(path):
            return True
        return any(one.covers(path) and not one.excludes(path) for one in sources.values())


def _folder_of(path: str, sources: Mapping[str, Source]) -> str:
    """The folder that an event is about: the nearest one with images, of those that are watched."""
    root = next(one for one in sources if _is_below(path, one))
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    while len(folder) > len(root) and not _has_images(folder):
        folder = os.path.dirname(folder)
    return folder


def _has_images(folder: str) -> bool:
    return os.path.isdir(folder) and any(True for _ in open_source(folder).refs())


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def _wait_until_settled(paths: Sequence[str]) -> None:
    """Waits until size and time of every file hold for a step."""
    end = time.monotonic() + LONGEST_COPY
    before = [_state(path) for path in paths]
    while time.monotonic() < end and not patience.is_over():
        patience.pause(STEP)
        now = [_state(path) for path in paths]
        if now == before:
            return
        before = now


def _state(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return _UNSETTLED
    return status.st_size, status.st_mtime_ns


def _without_nested(folders: Iterable[str]) -> list[str]:
    """Folders without those that are in another one of them."""
    kept: list[str] = []
    for folder in sorted(set(folders)):
        if not kept or not folder.startswith(f"{kept[-1]}/"):
            kept.append(folder)
    return kept


def _is_network(folder: str) -> bool:
    """True for a folder on a drive that sends no events; False where the system does not tell."""
    try:
        mounts = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False
    points = {fields[1]: fields[2] for line in mounts if len(fields := line.split()) > 2}
    here = Path(folder)
    kind = next((points[str(one)] for one in (here, *here.parents) if str(one) in points), "")
    return kind.startswith(_NETWORK)


def _explained(error: OSError) -> str:
    if "watch" in str(error) and ("limit" in str(error) or "space" in str(error)):
        return (
            "The system permits no more watched folders: raise it with `sysctl "
            "fs.inotify.max_user_watches=1000000`, or use --poll 60."
        )
    return f"The folders cannot be watched ({error}): use --poll 60."
