"""Moving and deleting the files of duplicates, and undoing the moves.

A file is touched only while its bytes have the SHA-256 in the index. Nothing is ever overwritten.
Files stay in their place, a disk or an object store. Each action is logged before it happens: see
`undo_log`.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from types import MappingProxyType

from lookalike.duplicates.bucket_files import BucketFiles, OpenBucket
from lookalike.duplicates.companions import companions
from lookalike.duplicates.disk_files import DiskFiles
from lookalike.duplicates.file_places import FileState, IndexedFile, Location, Skip
from lookalike.duplicates.undo_log import LogEntry, UndoLog, read_log
from lookalike.errors import InputError, SourceError
from lookalike.system.display import Displayed
from lookalike.system.inputs import BUCKET_SCHEMES, is_object


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


class FilePlaces:
    """The places of files.

    Args:
        open_bucket: opens a bucket.
    """

    def __init__(self, open_bucket: OpenBucket) -> None:
        self._disk = DiskFiles()
        self._stores = {scheme: BucketFiles(scheme, open_bucket) for scheme in BUCKET_SCHEMES}

    def locate(self, address: str) -> Location:
        """The place and the path of a file. Raises Skip if it is neither on disk nor in a store."""
        if is_object(address):
            scheme, _, key = address.partition("://")
            path = PurePosixPath(key)
            if str(path) == key and not (path.is_absolute() or ".." in path.parts):
                return Location(self._stores[scheme], path)
        elif Path(address).is_absolute():
            return Location(self._disk, Path(address))
        raise Skip("is not a file on this machine: move or delete it where it is stored")

    def folder(self, address: str | os.PathLike[str]) -> Location:
        """A folder, which need not exist.

        Raises:
            InputError: it is an address of a store, and not of a folder there.
        """
        name = os.fspath(address)
        if not is_object(name):
            return self.locate(os.path.normpath(Path(name).absolute()))
        scheme, _, key = name.partition("://")
        with suppress(Skip):
            if key.strip("/"):
                return self.locate(f"{scheme}://{key.removesuffix('/')}")
        raise InputError(
            f"{name} is not the address of a folder: write it as {scheme}://bucket/folder/."
        )


def move_aside(
    files: Sequence[IndexedFile],
    folder: Location,
    log: Path,
    places: FilePlaces,
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
        places: of the files.
        dry_run: report only; files are read and nothing is written.
        keepers: a file with a keeper is moved only while the keeper exists unchanged.
        is_indexed: tells if an address is an indexed image; such a file is not a companion.

    Raises:
        InputError: the log cannot be written, or is not a log.
        SchemaTooNew: a newer lookalike wrote the log.
    """
    root = _common_folder(files, folder, places)
    report, checks = CleanupReport(), _KeeperChecks(places)
    with UndoLog.open(log, dry_run=dry_run) as opened:
        for file in files:
            with _skipping(file.uri, report):
                picture = places.locate(file.uri)
                place, path = picture
                _require_movable(picture, folder)
                state = place.require_unchanged(path, file)
                if file in keepers:
                    checks.require(keepers[file], state)
                beside = companions(picture, checks.gone, is_indexed)
                wanted = _free_name(picture, folder.path / path.relative_to(root), beside)
                for companion in beside:  # first, so that after a kill the picture is still there
                    name = _name_beside(companion, path, wanted)
                    moved = _move_companion(Location(place, companion), name, opened)
                    checks.gone.add(place.address(companion))
                    report.done.append(HandledFile(place.address(companion), moved))
                to = _move(picture, wanted, state, file.sha256, opened)
                checks.gone.add(file.uri)
                report.done.append(HandledFile(file.uri, to))
    return report


def delete(
    pairs: Sequence[tuple[IndexedFile, IndexedFile]],
    log: Path,
    places: FilePlaces,
    *,
    dry_run: bool,
    is_indexed: Callable[[str], bool] = lambda uri: False,
) -> CleanupReport:
    """Deletes files for good, each only while its keeper exists unchanged. Companions are never
    deleted, and neither are files that have some.

    Args:
        pairs: files to delete with their keepers.
        log: appended to; it names the deleted files and cannot restore them.
        places: of the files.
        dry_run: report only; files are read and nothing is written.
        is_indexed: tells if an address is an indexed image; such a file is not a companion.

    Raises:
        InputError: the log cannot be written, or is not a log.
        SchemaTooNew: a newer lookalike wrote the log.
    """
    report, checks = CleanupReport(), _KeeperChecks(places)
    with UndoLog.open(log, dry_run=dry_run) as opened:
        for file, keeper in pairs:
            with _skipping(file.uri, report):
                picture = places.locate(file.uri)
                place, path = picture
                state = place.require_unchanged(path, file)
                keeper_state = checks.require(keeper, state)
                if alone := companions(picture, checks.gone, is_indexed):
                    names = ", ".join(companion.name for companion in alone)
                    raise Skip(f"stays because {names} belongs to it: move it aside instead")
                opened.add("delete", file.uri, None, file.sha256, keeper=keeper.uri)
                if not dry_run:
                    if place.state(path) != state or checks.state(keeper) != keeper_state:
                        raise Skip("changed, or its keeper did, while it was checked")
                    place.delete(path)
                checks.gone.add(file.uri)
                report.done.append(HandledFile(file.uri, None))
    return report


def undo(log: Path, open_bucket: OpenBucket) -> CleanupReport:
    """Moves files back that `move_aside` moved, the last first. Files that are back are not listed.

    It can be killed at any moment and run again, and repeating it is harmless.

    Raises:
        InputError: the log cannot be read, or is not a log.
        SchemaTooNew: a newer lookalike wrote the log.
    """
    report, places = CleanupReport(), FilePlaces(open_bucket)
    for entry in reversed(read_log(log)):
        with _skipping(entry.uri, report):
            place, path = places.locate(entry.uri)
            if entry.to is None:
                if not place.is_taken(path):
                    raise Skip(_deleted(entry))
                continue
            aside = places.locate(entry.to)
            if aside.place is not place:
                raise Skip(f"cannot be restored from {entry.to}, which is in another store")
            if place.move_back(aside.path, path, entry.sha256, entry.token):
                report.done.append(HandledFile(entry.to, entry.uri))
    return report


def _deleted(entry: LogEntry) -> str:
    return f"was deleted and cannot be restored; {entry.keeper} was kept in its place"


@contextmanager
def _skipping(uri: str, report: CleanupReport) -> Iterator[None]:
    """Records why a file is skipped, and goes on."""
    try:
        yield
    except Skip as reason:
        report.skipped.append(SkippedFile(uri, f"{uri} {reason}."))
    except OSError as error:
        detail = error.strerror or str(error)
        report.skipped.append(SkippedFile(uri, f"{uri} cannot be moved or deleted ({detail})."))
    except SourceError as error:
        report.skipped.append(SkippedFile(uri, f"{uri} cannot be moved or deleted: {error}"))


# --- checking -------------------------------------------------------------------------------


@dataclass(slots=True)
class _KeeperChecks:
    """Keepers that were checked.

    Attributes:
        places: of the files.
        unchanged: keepers that were read: one may have thousands of copies.
        gone: addresses of files that were moved or deleted.
    """

    places: FilePlaces
    unchanged: dict[IndexedFile, FileState] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def require(self, keeper: IndexedFile, copy: FileState) -> FileState:
        """The state of a keeper. Raises Skip unless it exists unchanged, apart from the copy."""
        try:
            if keeper.uri in self.gone:
                raise Skip("is itself gone")
            if self.unchanged.get(keeper) != self.state(keeper):
                place, path = self.places.locate(keeper.uri)
                self.unchanged[keeper] = place.require_unchanged(path, keeper)
        except Skip as reason:
            raise Skip(f"stays because its keeper {keeper.uri} {reason}") from None
        except (OSError, SourceError) as error:
            raise Skip(f"stays because its keeper {keeper.uri} cannot be read ({error})") from error
        if self.unchanged[keeper].file == copy.file:
            raise Skip(f"is the same file as its keeper {keeper.uri}")
        return self.unchanged[keeper]

    def state(self, keeper: IndexedFile) -> FileState:
        place, path = self.places.locate(keeper.uri)
        return place.state(path)


def _require_movable(file: Location, folder: Location) -> None:
    """Raises Skip for a file that is in the folder already, or can never get there."""
    if file.place is not folder.place:
        kind = "of this machine" if isinstance(file.place, DiskFiles) else "of its own store"
        raise Skip(f"cannot be moved to {folder.address}: choose a folder {kind}")
    if file.path.is_relative_to(folder.path):
        raise Skip(f"is in {folder.address} already")


def _common_folder(files: Sequence[IndexedFile], folder: Location, places: FilePlaces) -> PurePath:
    """The folder that all those files have in common which can be moved to a folder."""
    folders = []
    for file in files:
        with suppress(Skip):
            place, path = places.locate(file.uri)
            if place is folder.place:
                folders.append(path.parent)
    if not folders:
        return folder.path
    # On every system, paths in a store have slashes.
    common = os.path.commonpath if isinstance(folders[0], Path) else posixpath.commonpath
    return type(folders[0])(common(folders))


# --- moving ---------------------------------------------------------------------------------


def _name_beside(companion: PurePath, path: PurePath, to: PurePath) -> PurePath:
    """The name of a companion beside the new name of its picture."""
    is_named_after = companion.stem == path.name
    return to.with_name(f"{to.name if is_named_after else to.stem}{companion.suffix}")


def _numbered(wanted: PurePath, number: int) -> PurePath:
    return wanted.with_stem(f"{wanted.stem} ({number})") if number > 1 else wanted


def _free_name(picture: Location, wanted: PurePath, beside: Sequence[PurePath]) -> PurePath:
    """The first name that is free for a picture and for all of its companions."""
    place, path = picture
    for number in range(1, 10**6):
        to = _numbered(wanted, number)
        names = [to, *(_name_beside(companion, path, to) for companion in beside)]
        if not any(place.is_taken(name) for name in names):
            return to
    raise Skip(f"finds no free name in {place.address(wanted.parent)}")


def _move_companion(companion: Location, wanted: PurePath, log: UndoLog) -> str:
    place, path = companion
    state = place.state(path)
    return _move(companion, wanted, state, place.sha256(path), log)


def _move(file: Location, wanted: PurePath, state: FileState, sha256: str, log: UndoLog) -> str:
    """Moves a file in a known state to the first free name, and returns its new address."""
    place, path = file
    for number in range(1, 10**6):
        to = _numbered(wanted, number)
        if place.is_taken(to):
            continue
        address = place.address(to)
        token = log.add("move", file.address, address, sha256)
        if log.dry_run:
            return address
        try:
            place.move(path, to, state, sha256, token)
        except FileExistsError:  # another process took the name
            continue
        return address
    raise Skip(f"finds no free name in {place.address(wanted.parent)}")
