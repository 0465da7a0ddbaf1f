"""What happens to files on the disk when somebody acts on duplicates, and how it is undone.

A file is touched only while its bytes have the sha256 by which it is known. Nothing is ever
overwritten. What stands behind a symbolic link is never touched, and neither is the link.

The log is JSON Lines, one object for each thing done, in that order:

    version  1
    time     RFC 3339, UTC
    action   "move" or "delete"
    from     absolute path of the file as it was
    to       absolute path that it got; null where it was deleted
    sha256   of its bytes
    keeper   absolute path of the file it was deleted in favor of; null where it was moved
    token    a random name: a copy across file systems is `.lookalike-TOKEN.part` until it is whole

A line lies on the disk before its file is touched. So a kill at any moment can be undone, and a
line may tell of something that was not done, or not to its end. A last line without its end tells
of nothing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, TypeAlias

from lookalike.errors import InputError, SchemaTooNew
from lookalike.system.times import now

VERSION = 1

_KEYS = {"version", "time", "action", "from", "to", "sha256", "keeper", "token"}

_CANNOT_LINK = (
    *(errno.EXDEV, errno.EPERM, errno.EMLINK),
    *(errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS),
)
"""Another file system, or one that has no hard links."""


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is known.

    Attributes:
        uri: its address in the index; a local file's is its absolute path.
        sha256: of its bytes, hexadecimal.
    """

    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Done:
    """A file that was dealt with, or would be.

    Attributes:
        uri: where it was.
        to: where it is now; None where it was deleted.
    """

    uri: str
    to: str | None


@dataclass(frozen=True, slots=True)
class Left:
    """A file that was left alone, and why."""

    uri: str
    reason: str


@dataclass(slots=True)
class Report:
    """What became of every file, in their order: each is in one of the two."""

    done: list[Done] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


_Mark: TypeAlias = tuple[int, int, int, int, int]
"""Tells a file and its content from any other, as far as the file system knows."""


class _Leave(Exception):
    """The reason for which a file is left alone."""


def move_aside(
    files: Sequence[File],
    folder: Path,
    log: Path,
    *,
    dry_run: bool,
    keepers: Mapping[File, File] = MappingProxyType({}),
) -> Report:
    """Moves files into a folder, which keeps what lies below the folder that all have in common.

    Args:
        files: what to move.
        folder: is made where needed. A file whose name is taken there gets a number.
        log: is added to; `undo` needs it.
        dry_run: only say what would be done; files are read, and nothing is written.
        keepers: a file that has one here is moved only while that is there and unchanged.

    Raises:
        InputError: the log cannot be written, or is something else.
        SchemaTooNew: a newer lookalike wrote the log.
    """
    folder = Path(os.path.normpath(folder.absolute()))
    root = _common_folder(files)
    report, kept = Report(), _Kept()
    with _Log.open(log, dry_run=dry_run) as written:
        for file in files:
            with _reported(file.uri, report):
                path = _path(file)
                if path.is_relative_to(folder):
                    raise _Leave(f"lies in {folder} already")
                mark = _require_unchanged(path, file.sha256)
                if file in keepers:
                    kept.require(keepers[file], mark)
                to = _move(path, folder / path.relative_to(root), file.sha256, written)
                kept.gone.add(path)
                report.done.append(Done(file.uri, str(to)))
    return report


def delete(pairs: Sequence[tuple[File, File]], log: Path, *, dry_run: bool) -> Report:
    """Deletes files for good, each only while the file that is kept instead is there and unchanged.

    Args:
        pairs: what to delete, and its keeper.
        log: is added to; it says what was deleted, and cannot bring it back.
        dry_run: only say what would be done; files are read, and nothing is written.

    Raises:
        InputError: the log cannot be written, or is something else.
        SchemaTooNew: a newer lookalike wrote the log.
    """
    report, keepers = Report(), _Kept()
    with _Log.open(log, dry_run=dry_run) as written:
        for file, keeper in pairs:
            with _reported(file.uri, report):
                path = _path(file)
                mark = _require_unchanged(path, file.sha256)
                kept = keepers.require(keeper, mark)
                written.add("delete", path, None, file.sha256, keeper=keeper.uri)
                if not dry_run:
                    if _mark(path) != mark or _mark(Path(keeper.uri)) != kept:
                        raise _Leave("changed, or its keeper did, while it was looked at")
                    path.unlink()
                keepers.gone.add(path)
                report.done.append(Done(file.uri, None))
    return report


def undo(log: Path) -> Report:
    """Moves back what `move_aside` moved, the last first; files that are back are not reported.

    Cut off at any moment it can be run again, and harms nothing when it is.

    Raises:
        InputError: the log cannot be read, or is something else.
        SchemaTooNew: a newer lookalike wrote the log.
    """
    report = Report()
    for line in reversed(_lines(log)):
        with _reported(line["from"], report):
            if line["to"] is None:
                _tell_of_deletion(line)
            elif _move_back(Path(line["to"]), Path(line["from"]), line["sha256"], line["token"]):
                report.done.append(Done(line["to"], line["from"]))
    return report


# --- looking --------------------------------------------------------------------------------


@contextmanager
def _reported(uri: str, report: Report) -> Iterator[None]:
    """Takes down why a file is left alone, and goes on with the next."""
    try:
        yield
    except _Leave as reason:
        report.left.append(Left(uri, f"{uri} {reason}."))
    except OSError as error:
        detail = error.strerror or str(error)
        report.left.append(Left(uri, f"{uri} cannot be moved or deleted ({detail})."))


def _path(file: File) -> Path:
    path = Path(file.uri)
    if not path.is_absolute():
        raise _Leave("is not a file on this machine: move or delete it where it is stored")
    return path


def _common_folder(files: Sequence[File]) -> Path:
    paths = [path for path in (Path(file.uri) for file in files) if path.is_absolute()]
    return Path(os.path.commonpath([path.parent for path in paths])) if paths else Path("/")


def _mark(path: Path) -> _Mark:
    """Raises _Leave where there is no regular file."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise _Leave("is not there any more") from None
    if stat.S_ISLNK(found.st_mode):
        raise _Leave("is a symbolic link, which is never touched")
    if not stat.S_ISREG(found.st_mode):
        raise _Leave("is no regular file")
    return _mark_of(found)


def _mark_of(found: os.stat_result) -> _Mark:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _require_unchanged(path: Path, sha256: str) -> _Mark:
    """Reads a file; raises _Leave where its bytes are others than stated."""
    mark = _mark(path)
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        read = _mark_of(os.fstat(opened.fileno()))
    if digest != sha256 or read != mark:
        raise _Leave("changed since it was indexed or moved: index it again")
    return mark


@dataclass(slots=True)
class _Kept:
    """The files that are kept instead of others.

    Attributes:
        sound: those that were read: one may stand for thousands of copies.
        gone: files that were moved or deleted.
    """

    sound: dict[File, _Mark] = field(default_factory=dict)
    gone: set[Path] = field(default_factory=set)

    def require(self, keeper: File, copy: _Mark) -> _Mark:
        """Raises _Leave unless the keeper is there, unchanged, and another file than the copy."""
        try:
            path = _path(keeper)
            if path in self.gone:
                raise _Leave("is itself gone")
            if self.sound.get(keeper) != _mark(path):
                self.sound[keeper] = _require_unchanged(path, keeper.sha256)
        except _Leave as reason:
            raise _Leave(f"stays, for its keeper {keeper.uri} {reason}") from None
        except OSError as error:
            raise _Leave(f"stays, for its keeper {keeper.uri} cannot be read ({error})") from error
        if self.sound[keeper][:2] == copy[:2]:
            raise _Leave(f"is the same file as its keeper {keeper.uri}")
        return self.sound[keeper]


# --- moving ---------------------------------------------------------------------------------


def _move(path: Path, wanted: Path, sha256: str, log: _Log) -> Path:
    """Moves a file to the first name that is free, and returns that."""
    for number in range(1, 10**6):
        to = wanted.with_stem(f"{wanted.stem} ({number})") if number > 1 else wanted
        if os.path.lexists(to):
            continue
        token = log.add("move", path, to, sha256)
        if log.dry_run:
            return to
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            _transfer(path, to, sha256, token)
        except FileExistsError:  # somebody was quicker
            continue
        return to
    raise _Leave(f"finds no free name in {wanted.parent}")


def _move_back(path: Path, to: Path, sha256: str, token: str) -> bool:
    """Undoes a move of `to` to `path`, as far as it came; False where there is nothing to undo."""
    for folder in (path.parent, to.parent):
        with suppress(FileNotFoundError, NotADirectoryError):
            _part(folder, token).unlink()
    if not os.path.lexists(to):
        _require_unchanged_aside(path, sha256)
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            _transfer(path, to, sha256, token)
        except FileExistsError:
            raise _Leave(f"is taken by another file: what was there is still {path}") from None
        return True
    if not os.path.lexists(path):  # moved back, or never moved
        return False
    if _are_two_names(path, to):  # cut off before the first name was taken away
        path.unlink()
        return True
    raise _Leave(f"is there, and so is {path}: compare them, and remove the one you do not need")


def _are_two_names(path: Path, other: Path) -> bool:
    """Whether these are two names of one file, so that either can go and the file stays.

    A symbolic link is no name. Nor is the same name seen by two ways: through a folder that is a
    link, or that is mounted twice.
    """
    one, two = path.lstat(), other.lstat()
    return (
        (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)
        and one.st_nlink > 1
        and path.parent.resolve() / path.name != other.parent.resolve() / other.name
    )


def _require_unchanged_aside(path: Path, sha256: str) -> None:
    try:
        _require_unchanged(path, sha256)
    except _Leave as reason:
        raise _Leave(f"cannot be brought back: {path} {reason}") from None


def _tell_of_deletion(line: dict[str, Any]) -> None:
    if not os.path.lexists(line["from"]):
        raise _Leave(f"was deleted and cannot be brought back; {line['keeper']} was kept instead")


def _transfer(path: Path, to: Path, sha256: str, token: str) -> None:
    """Moves a file; raises FileExistsError where the name is taken, having changed nothing.

    Renaming would overwrite; a second name, of which the first is then taken away, does not.
    """
    try:
        os.link(path, to, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        _copy(path, to, sha256, token)
    try:
        path.unlink()
    except OSError:  # a folder that cannot be written: take back what was done
        to.unlink()
        raise


def _copy(path: Path, to: Path, sha256: str, token: str) -> None:
    """A whole copy with the times and rights of the file, or none; it lies on the disk."""
    part = _part(to.parent, token)
    try:
        with path.open("rb") as source, part.open("xb") as target:
            shutil.copyfileobj(source, target, 2**20)
            target.flush()
            os.fsync(target.fileno())
        shutil.copystat(path, part)
        _require_unchanged(part, sha256)
        try:
            os.link(part, to)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            to.open("xb").close()  # takes the name where there are no hard links
            part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    _sync(to.parent)


def _part(folder: Path, token: str) -> Path:
    return folder / f".lookalike-{token}.part"


def _sync(folder: Path) -> None:
    """Brings the names in a folder to the disk."""
    with suppress(OSError):  # not every system can
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


# --- the log --------------------------------------------------------------------------------


class _Log:
    """The log while it is written; without a file in a dry run."""

    def __init__(self, file: BinaryIO | None) -> None:
        self.dry_run = file is None
        self._file = file

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, dry_run: bool) -> Iterator[_Log]:
        if os.path.lexists(path):
            _lines(path)  # it must be a log, whatever is done with it
        if dry_run:
            yield cls(None)
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("ab")
        except OSError as error:
            raise InputError(
                f"The log {path} cannot be written ({error.strerror}): name another file."
            ) from error
        with file:
            if file.tell():
                file.truncate(path.read_bytes().rfind(b"\n") + 1)  # what was cut off
            _sync(path.parent)
            yield cls(file)

    def add(
        self, action: str, path: Path, to: Path | None, sha256: str, keeper: str | None = None
    ) -> str:
        """Writes a line, which lies on the disk when this returns its token."""
        token = secrets.token_hex(8)
        line = {
            "version": VERSION,
            "time": now(),
            "action": action,
            "from": str(path),
            "to": None if to is None else str(to),
            "sha256": sha256,
            "keeper": keeper,
            "token": token,
        }
        if self._file is not None:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        return token


def _lines(log: Path) -> list[dict[str, Any]]:
    """Raises InputError, SchemaTooNew."""
    try:
        text = log.read_bytes()
    except OSError as error:
        raise InputError(f"The log {log} cannot be read ({error.strerror}).") from error
    *whole, cut_off = text.split(b"\n")
    lines = [_parsed(log, number, line) for number, line in enumerate(whole, 1)]
    if cut_off and not (lines or cut_off.startswith(b'{"version"')):
        raise InputError(f"{log} is no log of moves: name another file.")
    return lines


def _parsed(log: Path, number: int, text: bytes) -> dict[str, Any]:
    line: Any = None
    with suppress(ValueError):
        line = json.loads(text)
    if not isinstance(line, dict) or not line.keys() >= _KEYS:
        raise InputError(
            f"{log} is no log of moves, or damaged in line {number}: take that line out, or name "
            "another file."
        )
    if line["version"] > VERSION:
        raise SchemaTooNew(
            f"The log {log} has version {line['version']} and this lookalike knows up to "
            f"{VERSION}: upgrade it with `pip install -U lookalike`."
        )
    return line
