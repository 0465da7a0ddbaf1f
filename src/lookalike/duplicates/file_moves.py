"""Moving and deleting the files of duplicates, and undoing the moves.

A file is touched only while its bytes have the SHA-256 in the index. Nothing is ever overwritten.
Symbolic links and the files behind them are never touched. Each action is logged before it happens:
see `undo_log`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from lookalike.duplicates.companions import companions
from lookalike.duplicates.undo_log import LogEntry, UndoLog, read_log
from lookalike.system.display import Displayed
from lookalike.system.files import sync, sync_folder

_NO_HARD_LINK = (
    *(errno.EXDEV, errno.EPERM, errno.EMLINK),
    *(errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS),
)
"""Errors across file systems, and on those without hard links."""


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file as the index knows it.

    Attributes:
        uri: its address in the index; for a local file the absolute path.
        sha256: of its bytes, hexadecimal.
    """

    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class HandledFile:
    """A file that was moved, deleted or removed from the index, or would be.

    Attributes:
        uri: its address before.
        to: its new path; None if it was not moved.
    """

    uri: str
    to: str | None


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that was not touched, and the reason."""

    uri: str
    reason: str


@dataclass(slots=True)
class CleanupReport(Displayed):
    """The outcome for every file: each is in one of the lists, in the order of the files."""

    done: list[HandledFile] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)


_FileState: TypeAlias = tuple[int, int, int, int, int]
"""Distinguishes a file and its content from all others, as far as the file system knows."""


class _Skip(Exception):
    """The reason why a file is skipped."""


def move_aside(
    files: Sequence[IndexedFile],
    folder: Path,
    log: Path,
    *,
    dry_run: bool,
    keepers: Mapping[IndexedFile, IndexedFile] = MappingProxyType({}),
    is_indexed: Callable[[str], bool] = lambda uri: False,
) -> CleanupReport:
    """Moves files into a folder, with their paths below the folder that all have in common, and
    their companions with them.

    Args:
        files: to move.
        folder: target, created if needed. A file whose name is taken there gets a number.
        log: appended to; `undo` needs it.
        dry_run: report only; files are read and nothing is written.
        keepers: a file with a keeper is moved only while the keeper exists unchanged.
        is_indexed: tells if an address is an indexed image; such a file is not a companion.

    Raises:
        InputError: the log cannot be written, or is not a log.
        SchemaTooNew: a newer lookalike wrote the log.
    """
    folder = Path(os.path.normpath(folder.absolute()))
    root = _common_folder(files)
    report, checks = CleanupReport(), _KeeperChecks()
    with UndoLog.open(log, dry_run=dry_run) as opened:
        for file in files:
            with _skipping(file.uri, report):
                path = _path(file)
                if path.is_relative_to(folder):
                    raise _Skip(f"is in {folder} already")
                state = _require_unchanged(path, file.sha256)
                if file in keepers:
                    checks.require(keepers[file], state)
                beside = companions(path, checks.gone, is_indexed)
                wanted = _free_name(path, folder / path.relative_to(root), beside)
                for companion in beside:  # first, so that after a kill the picture is still there
                    moved = _move_companion(
                        companion, _name_beside(companion, path, wanted), opened
                    )
                    checks.gone.add(companion)
                    report.done.append(HandledFile(str(companion), str(moved)))
                to = _move(path, wanted, file.sha256, opened)
                checks.gone.add(path)
                report.done.append(HandledFile(file.uri, str(to)))
    return report


def delete(
    pairs: Sequence[tuple[IndexedFile, IndexedFile]],
    log: Path,
    *,
    dry_run: bool,
    is_indexed: Callable[[str], bool] = lambda uri: False,
) -> CleanupReport:
    """Deletes files for good, each only while its keeper exists unchanged. Companions are never
    deleted, and neither are files that have some.

    Args:
        pairs: files to delete with their keepers.
        log: appended to; it names the deleted files and cannot restore them.
        dry_run: report only; files are read and nothing is written.
        is_indexed: tells if an address is an indexed image; such a file is not a companion.

    Raises:
        InputError: the log cannot be written, or is not a log.
        SchemaTooNew: a newer lookalike wrote the log.
    """
    report, checks = CleanupReport(), _KeeperChecks()
    with UndoLog.open(log, dry_run=dry_run) as opened:
        for file, keeper in pairs:
            with _skipping(file.uri, report):
                path = _path(file)
                state = _require_unchanged(path, file.sha256)
                keeper_state = checks.require(keeper, state)
                if alone := companions(path, checks.gone, is_indexed):
                    names = ", ".join(companion.name for companion in alone)
                    raise _Skip(f"stays because {names} belongs to it: move it aside instead")
                opened.add("delete", path, None, file.sha256, keeper=keeper.uri)
                if not dry_run:
                    if _state(path) != state or _state(Path(keeper.uri)) != keeper_state:
                        raise _Skip("changed, or its keeper did, while it was checked")
                    path.unlink()
                checks.gone.add(path)
                report.done.append(HandledFile(file.uri, None))
    return report


def undo(log: Path) -> CleanupReport:
    """Moves files back that `move_aside` moved, the last first. Files that are back are not listed.

    It can be killed at any moment and run again, and repeating it is harmless.

    Raises:
        InputError: the log cannot be read, or is not a log.
        SchemaTooNew: a newer lookalike wrote the log.
    """
    report = CleanupReport()
    for entry in reversed(read_log(log)):
        with _skipping(str(entry.path), report):
            if entry.to is None:
                _report_deleted(entry)
            elif _move_back(entry.to, entry.path, entry.sha256, entry.token):
                report.done.append(HandledFile(str(entry.to), str(entry.path)))
    return report


@contextmanager
def _skipping(uri: str, report: CleanupReport) -> Iterator[None]:
    """Records why a file is skipped, and goes on."""
    try:
        yield
    except _Skip as reason:
        report.skipped.append(SkippedFile(uri, f"{uri} {reason}."))
    except OSError as error:
        detail = error.strerror or str(error)
        report.skipped.append(SkippedFile(uri, f"{uri} cannot be moved or deleted ({detail})."))


# --- checking -------------------------------------------------------------------------------


@dataclass(slots=True)
class _KeeperChecks:
    """Keepers that were checked.

    Attributes:
        unchanged: keepers that were read: one may have thousands of copies.
        gone: files that were moved or deleted.
    """

    unchanged: dict[IndexedFile, _FileState] = field(default_factory=dict)
    gone: set[Path] = field(default_factory=set)

    def require(self, keeper: IndexedFile, copy: _FileState) -> _FileState:
        """The state of a keeper. Raises _Skip unless it exists unchanged, apart from the copy."""
        try:
            path = _path(keeper)
            if path in self.gone:
                raise _Skip("is itself gone")
            if self.unchanged.get(keeper) != _state(path):
                self.unchanged[keeper] = _require_unchanged(path, keeper.sha256)
        except _Skip as reason:
            raise _Skip(f"stays because its keeper {keeper.uri} {reason}") from None
        except OSError as error:
            raise _Skip(
                f"stays because its keeper {keeper.uri} cannot be read ({error})"
            ) from error
        if self.unchanged[keeper][:2] == copy[:2]:
            raise _Skip(f"is the same file as its keeper {keeper.uri}")
        return self.unchanged[keeper]


def _path(file: IndexedFile) -> Path:
    path = Path(file.uri)
    if not path.is_absolute():
        raise _Skip("is not a file on this machine: move or delete it where it is stored")
    return path


def _common_folder(files: Sequence[IndexedFile]) -> Path:
    paths = [path for path in (Path(file.uri) for file in files) if path.is_absolute()]
    return Path(os.path.commonpath([path.parent for path in paths])) if paths else Path("/")


def _state(path: Path) -> _FileState:
    """The state of a file. Raises _Skip if there is no regular file."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise _Skip("no longer exists") from None
    if stat.S_ISLNK(status.st_mode):
        raise _Skip("is a symbolic link, which is never touched")
    if not stat.S_ISREG(status.st_mode):
        raise _Skip("is not a regular file")
    return _state_of(status)


def _state_of(status: os.stat_result) -> _FileState:
    return (
        *(status.st_dev, status.st_ino),
        *(status.st_size, status.st_mtime_ns, status.st_ctime_ns),
    )


def _require_unchanged(path: Path, sha256: str) -> _FileState:
    """Reads a file. Raises _Skip if its bytes have another hash."""
    state = _state(path)
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        state_read = _state_of(os.fstat(opened.fileno()))
    if digest != sha256 or state_read != state:
        raise _Skip("changed since it was indexed or moved: index it again")
    return state


# --- moving ---------------------------------------------------------------------------------


def _name_beside(companion: Path, path: Path, to: Path) -> Path:
    """The name of a companion beside the new name of its picture."""
    is_named_after = companion.stem == path.name
    return to.with_name(f"{to.name if is_named_after else to.stem}{companion.suffix}")


def _numbered(wanted: Path, number: int) -> Path:
    return wanted.with_stem(f"{wanted.stem} ({number})") if number > 1 else wanted


def _free_name(path: Path, wanted: Path, beside: Sequence[Path]) -> Path:
    """The first name that is free for a picture and for all of its companions."""
    for number in range(1, 10**6):
        to = _numbered(wanted, number)
        names = [to, *(_name_beside(companion, path, to) for companion in beside)]
        if not any(os.path.lexists(name) for name in names):
            return to
    raise _Skip(f"finds no free name in {wanted.parent}")


def _move_companion(path: Path, wanted: Path, log: UndoLog) -> Path:
    _state(path)
    with path.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    return _move(path, wanted, sha256, log)


def _move(path: Path, wanted: Path, sha256: str, log: UndoLog) -> Path:
    """Moves a file to the first free name, and returns that."""
    for number in range(1, 10**6):
        to = _numbered(wanted, number)
        if os.path.lexists(to):
            continue
        token = log.add("move", path, to, sha256)
        if log.dry_run:
            return to
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            _transfer(path, to, sha256, token)
        except FileExistsError:  # another process took the name
            continue
        return to
    raise _Skip(f"finds no free name in {wanted.parent}")


def _move_back(path: Path, to: Path, sha256: str, token: str) -> bool:
    """Undoes a complete or partial move from `to` to `path`; False if there is nothing to undo."""
    for folder in (path.parent, to.parent):
        with suppress(FileNotFoundError, NotADirectoryError):
            _part(folder, token).unlink()
    if not os.path.lexists(to):
        _require_unchanged_aside(path, sha256)
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            _transfer(path, to, sha256, token)
        except FileExistsError:
            raise _Skip(f"is taken by another file: the moved file is still {path}") from None
        return True
    if not os.path.lexists(path):  # moved back, or never moved
        return False
    if _are_two_names(path, to):  # killed before the first name was removed
        path.unlink()
        return True
    raise _Skip(f"exists, and so does {path}: compare them, and remove the one you do not need")


def _are_two_names(path: Path, other: Path) -> bool:
    """True for two hard links to one file, of which either can be removed.

    Symbolic links do not count, nor does one name reached by two paths, as through a linked folder
    or one that is mounted twice.
    """
    status, other_status = path.lstat(), other.lstat()
    return (
        (status.st_dev, status.st_ino) == (other_status.st_dev, other_status.st_ino)
        and status.st_nlink > 1
        and path.parent.resolve() / path.name != other.parent.resolve() / other.name
    )


def _require_unchanged_aside(path: Path, sha256: str) -> None:
    try:
        _require_unchanged(path, sha256)
    except _Skip as reason:
        raise _Skip(f"cannot be restored: {path} {reason}") from None


def _report_deleted(entry: LogEntry) -> None:
    if not os.path.lexists(entry.path):
        raise _Skip(f"was deleted and cannot be restored; {entry.keeper} was kept in its place")


def _transfer(path: Path, to: Path, sha256: str, token: str) -> None:
    """Moves a file. Raises FileExistsError, with nothing changed, if the name is taken.

    Renaming would overwrite. A second hard link, after which the first is removed, does not.
    """
    try:
        os.link(path, to, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        _copy(path, to, sha256, token)
    try:
        path.unlink()
    except OSError:  # the folder is not writable: take the step back
        to.unlink()
        raise


def _copy(path: Path, to: Path, sha256: str, token: str) -> None:
    """Copies a file with its times and permissions, completely or not at all, onto the disk."""
    part = _part(to.parent, token)
    try:
        with path.open("rb") as source, part.open("xb") as target:
            shutil.copyfileobj(source, target, 2**20)
            sync(target)
        shutil.copystat(path, part)
        _require_unchanged(part, sha256)
        try:
            os.link(part, to)
        except OSError as error:
            if error.errno not in _NO_HARD_LINK:
                raise
            to.open("xb").close()  # reserves the name where there are no hard links
            part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    with suppress(OSError):  # not every file system can
        sync_folder(to.parent)


def _part(folder: Path, token: str) -> Path:
    return folder / f".lookalike-{token}.part"
