"""Files on the disks of this machine: moved without overwriting, and back.

Symbolic links and the files behind them are never touched.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path, PurePath

from lookalike.duplicates.file_places import FileState, IndexedFile, Skip
from lookalike.system.files import sync, sync_folder

_NO_HARD_LINK = (
    *(errno.EXDEV, errno.EPERM, errno.EMLINK),
    *(errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS),
)
"""Errors across file systems, and on those without hard links."""


class DiskFiles:
    """The files of this machine. See `file_places.FilePlace`."""

    def address(self, path: PurePath) -> str:
        return str(path)

    def state(self, path: PurePath) -> FileState:
        try:
            status = Path(path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            raise Skip("no longer exists") from None
        if stat.S_ISLNK(status.st_mode):
            raise Skip("is a symbolic link, which is never touched")
        if not stat.S_ISREG(status.st_mode):
            raise Skip("is not a regular file")
        return _state_of(status)

    def require_unchanged(self, path: PurePath, file: IndexedFile) -> FileState:
        return _require_hash(self.state(path), Path(path), file.sha256)

    def sha256(self, path: PurePath) -> str:
        self.state(path)
        with Path(path).open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()

    def neighbors(self, path: PurePath) -> list[PurePath]:
        named = [one for one in Path(path).parent.iterdir() if one.name.startswith(path.stem)]
        return [one for one in named if one != path and one.is_file()]

    def is_taken(self, path: PurePath) -> bool:
        return os.path.lexists(path)

    def move(self, path: PurePath, to: PurePath, state: FileState, sha256: str, token: str) -> None:
        if self.state(path) != state:
            raise Skip("changed while it was checked")
        Path(to).parent.mkdir(parents=True, exist_ok=True)
        _transfer(Path(path), Path(to), sha256, token)

    def move_back(self, path: PurePath, to: PurePath, sha256: str, token: str) -> bool:
        for folder in (path.parent, to.parent):
            with suppress(FileNotFoundError, NotADirectoryError):
                _part(folder, token).unlink()
        if not os.path.lexists(to):
            try:
                state = _require_hash(self.state(path), Path(path), sha256)
            except Skip as reason:
                raise Skip(f"cannot be restored: {path} {reason}") from None
            try:
                self.move(path, to, state, sha256, token)
            except FileExistsError:
                raise Skip(f"is taken by another file: the moved file is still {path}") from None
            return True
        if not os.path.lexists(path):  # moved back, or never moved
            return False
        if _are_two_names(Path(path), Path(to)):  # killed before the first name was removed
            self.delete(path)
            return True
        raise Skip(f"exists, and so does {path}: compare them, and remove the one you do not need")

    def delete(self, path: PurePath) -> None:
        Path(path).unlink()


def _state_of(status: os.stat_result) -> FileState:
    return FileState(
        (status.st_dev, status.st_ino), (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    )


def _require_hash(state: FileState, path: Path, sha256: str) -> FileState:
    """Reads a file in a known state, and returns that. Raises Skip if its bytes have another
    hash."""
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        state_read = _state_of(os.fstat(opened.fileno()))
    if digest != sha256 or state_read != state:
        raise Skip("changed since it was indexed or moved: index it again")
    return state


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
        _require_hash(_state_of(part.lstat()), part, sha256)
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


def _part(folder: PurePath, token: str) -> Path:
    return Path(folder, f".lookalike-{token}.part")
