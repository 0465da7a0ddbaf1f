"""Local files: a folder with its subfolders, one file, or a glob. See `_exclusions` for what they
pass over."""

from __future__ import annotations

import builtins
import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from lookalike.errors import ImageRejected, Reason, SourceError
from lookalike.imaging.formats import image_format
from lookalike.protocols import Source
from lookalike.sources._exclusions import IGNORE_FILE, Exclusions, is_system_name
from lookalike.sources._names import glob_regex, may_be_image
from lookalike.sources._reading import SPECIAL, read_regular
from lookalike.system.times import format_datetime
from lookalike.types import ImageRef, SourceOptions

SCHEMES = ("file",)


def open(uri: str, options: SourceOptions) -> Source:
    """Opens the source for a local path, which may start with `file://` or `~`.

    Args:
        uri: the path.
        options: see `SourceOptions`.

    Raises:
        SourceError: the path does not exist, or a pattern is not valid.
    """
    path = os.path.expanduser(uri.removeprefix("file://"))
    if os.path.isdir(path):
        root = os.path.realpath(path)
        return Folder(root, Exclusions(root, options.exclude))
    if os.path.lexists(path):
        named = Exclusions(os.sep, options.exclude, only_patterns=True)
        return Files(path, os.path.dirname(os.path.abspath(path)), named)
    if glob.has_magic(path):
        root = _fixed_part(path)
        return Files(path, root, Exclusions(root, options.exclude))
    raise SourceError(f"{uri} does not exist: give a folder, a file or a glob.")


class _LocalSource:
    """The common part of folders and globs.

    Attributes:
        root: absolute path of the folder, or of the part of a glob before its first wildcard.
    """

    root: str
    readers = 1
    incomplete = False
    _exclusions: Exclusions

    @property
    def passed_over(self) -> bool:
        return self._exclusions.used

    def read(self, ref: ImageRef) -> bytes:
        try:
            if not ref.etag:
                raise ImageRejected(Reason.UNREADABLE, self._problem(ref.uri))
            return read_regular(ref.uri)
        except OSError as error:
            detail = error.strerror or str(error)
            raise ImageRejected(Reason.UNREADABLE, detail) from error

    def _problem(self, path: str) -> str:
        """Explains why an entry was listed as unreadable; raises `OSError` if the system knows."""
        folder, name = os.path.split(path)
        if name == IGNORE_FILE:
            try:
                self._exclusions.require_readable(folder)
            except SourceError as error:
                return str(error)
        return _problem(path)

    def covers(self, uri: str) -> bool:
        raise NotImplementedError

    def excludes(self, uri: str) -> bool:
        return self.covers(uri) and self._exclusions.exclude_path(uri)

    def has(self, uri: str) -> bool:
        if not self.covers(uri) or self._exclusions.exclude_path(uri):
            return False
        return _is_there(uri)

    def exists(self, uri: str) -> bool:
        return not os.path.isabs(uri) or _is_there(uri)

    def lost_folder(self, uri: str) -> str | None:
        lost = None
        folder = os.path.dirname(uri)
        while folder != os.path.dirname(folder) and _is_empty(folder):
            lost, folder = folder, os.path.dirname(folder)
        return lost


class Folder(_LocalSource):
    """The files in a folder and its subfolders that may be images.

    It skips hidden folders, indexes, exclusions, files whose extension stands for something else
    (text, video, sound, a document), and files without an extension whose content is not an image,
    such as LICENSE. It follows links to files, not links to folders. An entry that cannot be read,
    such as a forbidden folder, a link to itself or a pipe, is listed too, so that the run reports
    it.
    """

    def __init__(self, root: str, exclusions: Exclusions) -> None:
        self.root = root
        self._exclusions = exclusions

    def refs(self) -> Iterator[ImageRef]:
        # A stack instead of recursion: folders may be nested deeper than Python's calls.
        stack = [self._entries(self.root)]
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
            elif isinstance(entry, ImageRef):
                yield entry
            else:
                stack.append(self._entries(entry))

    def covers(self, uri: str) -> bool:
        if not uri.startswith(os.path.join(self.root, "")):
            return False
        *folders, name = os.path.relpath(uri, self.root).split(os.sep)
        return not any(folder.startswith(".") for folder in folders) and may_be_image(name)

    def _entries(self, folder: str) -> Iterator[ImageRef | str]:
        """The images in a folder and the paths of its subfolders, by name."""
        try:
            with os.scandir(folder) as entries:
                by_name = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            yield _unreadable(folder)
            return
        if any(entry.name == IGNORE_FILE for entry in by_name):
            try:
                self._exclusions.require_readable(folder)
            except (OSError, SourceError, ImageRejected):
                # Without it, what the user wanted to exclude would be indexed.
                yield _unreadable(os.path.join(folder, IGNORE_FILE))
                return
        for entry in by_name:
            if _is_folder(entry):
                if not entry.name.startswith(".") and not self._passes_over(folder, entry, True):
                    yield entry.path
            elif may_be_image(entry.name) and not self._passes_over(folder, entry, False):
                ref = _ref(entry.path)
                if ref is not None and (not ref.etag or _seems_image(entry)):
                    yield ref

    def _passes_over(self, folder: str, entry: os.DirEntry[str], is_folder: bool) -> bool:
        if self._exclusions.exclude(folder, entry.name, is_folder=is_folder):
            return True
        return is_folder and _is_index(entry.path)


class Files(_LocalSource):
    """The files that match a glob (`**` matches any folders), or one file. All are tried but those
    that are excluded."""

    def __init__(self, pattern: str, root: str, exclusions: Exclusions) -> None:
        self.root = root
        self._exclusions = exclusions
        self.pattern = os.path.abspath(pattern)
        self._matches = re.compile(glob_regex(self.pattern)).fullmatch

    def refs(self) -> Iterator[ImageRef]:
        # A file may have a name that looks like a pattern.
        literal = os.path.lexists(self.pattern)
        paths = [self.pattern] if literal else sorted(glob.iglob(self.pattern, recursive=True))
        for path in paths:
            ref = _ref(path)
            if ref is not None and not self._exclusions.exclude_path(path):
                yield ref

    def covers(self, uri: str) -> bool:
        hidden = "/." in uri[len(self.root) :] and "/." not in self.pattern[len(self.root) :]
        return uri == self.pattern or (self._matches(uri) is not None and not hidden)


class Paths(_LocalSource):
    """Files, and folders and globs among them, in the order of a list. A path where nothing is is
    listed too, so that the run reports it."""

    def __init__(self, paths: Iterable[str], options: SourceOptions) -> None:
        self.root = os.getcwd()
        self._exclusions = Exclusions(os.sep, options.exclude, only_patterns=True)
        self._parts: dict[str, Source | None] = {}
        for path in paths:
            named = os.path.expanduser(path.removeprefix("file://"))
            several = os.path.isdir(named) or (glob.has_magic(named) and not os.path.lexists(named))
            part = open(path, options) if several else None
            self._parts[os.path.abspath(named)] = part
        self._sources = [part for part in self._parts.values() if part is not None]

    @property
    def passed_over(self) -> bool:
        return self._exclusions.used or any(source.passed_over for source in self._sources)

    def refs(self) -> Iterator[ImageRef]:
        listed: list[Source] = []
        for path, part in self._parts.items():
            if part is not None:
                new = (r for r in part.refs() if not self._is_listed(r.uri, listed))
                yield from (ref for ref in new if ref.uri not in self._parts)
                listed.append(part)
            elif not self._exclusions.exclude_path(path):
                yield _ref(path) or _unreadable(path)

    def covers(self, uri: str) -> bool:
        return uri in self._parts or any(source.covers(uri) for source in self._sources)

    def excludes(self, uri: str) -> bool:
        if uri in self._parts:
            return self._exclusions.exclude_path(uri)
        return self.covers(uri) and not self._is_listed(uri, self._sources, anyway=True)

    def has(self, uri: str) -> bool:
        if self._parts.get(uri, self) is None:
            return not self._exclusions.exclude_path(uri) and _is_there(uri)
        return self._is_listed(uri, self._sources)

    def _is_listed(self, uri: str, sources: Sequence[Source], *, anyway: bool = False) -> bool:
        """Tells if one of the sources lists an address; `anyway`, would list it, were it there."""
        return any(
            source.covers(uri) and not source.excludes(uri) if anyway else source.has(uri)
            for source in sources
        )


def _fixed_part(pattern: str) -> str:
    """The folders of a glob before its first wildcard."""
    parts = Path(os.path.abspath(pattern)).parts
    fixed = []
    for part in parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return os.path.join(*fixed)


def _is_index(folder: str) -> bool:
    """True if a folder is an index, which may be in the folder that it indexes."""
    return os.path.isfile(os.path.join(folder, "manifest.json")) and bool(
        glob.glob(os.path.join(glob.escape(folder), "shard*"))
    )


def _seems_image(entry: os.DirEntry[str]) -> bool:
    """True if a file is an image by its name, or by its content if the name has no extension."""
    if os.path.splitext(entry.name)[1]:
        return True
    try:
        with builtins.open(entry.path, "rb") as file:
            return image_format(file.read(512)) is not None
    except OSError:
        return True  # reading it raises the reason


def _is_there(path: str) -> bool:
    """True if there is something at a path, be it a link to a file that is out of reach."""
    try:
        status = os.lstat(path)
        folder, name = os.path.split(path)
        # Where capitals do not matter, a file that was renamed answers to its old name.
        other = os.lstat(os.path.join(folder, name.swapcase())) if name.swapcase() != name else None
    except (FileNotFoundError, NotADirectoryError):
        return os.path.lexists(path)
    except OSError:  # it may still be there
        return True
    return other is None or not os.path.samestat(status, other) or _is_spelled_so(path)


def _is_spelled_so(path: str) -> bool:
    """True if the names in a path are spelled as its folders list them."""
    while os.path.dirname(path) != path:
        folder, name = os.path.split(path)
        try:
            if name not in os.listdir(folder):
                return False
        except OSError:
            return True
        path = folder
    return True


def _is_empty(folder: str) -> bool:
    """True if nothing but hidden files and system files is in a folder, or it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return all(
                entry.name.startswith(".") or is_system_name(entry.name) for entry in entries
            )
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # it may still be there
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """True for a folder, False for a link to one."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # reading it raises the reason
        return False


def _ref(path: str) -> ImageRef | None:
    """The reference to a file, to be read or rejected; None for a folder or a link to one."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            return None
        if not stat.S_ISREG(status.st_mode):
            return _unreadable(path)
        modified = format_datetime(datetime.fromtimestamp(status.st_mtime, UTC), "microseconds")
    except (OSError, ValueError, OverflowError):
        return _unreadable(path)
    return ImageRef(path, f"{status.st_size}-{status.st_mtime_ns}", status.st_size, modified)


def _unreadable(path: str) -> ImageRef:
    """A reference to an entry that cannot be read: it has no etag. Reading it raises the reason."""
    return ImageRef(path, etag="", size=0)


def _problem(path: str) -> str:
    """Explains why an entry was listed as unreadable.

    Raises:
        OSError: the reason is the system's.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        os.listdir(path)
    elif not stat.S_ISREG(mode):
        return SPECIAL
    elif _ref(path) == _unreadable(path):
        return "its modification time is out of range: set it, for example with `touch`"
    return "it changed while it was listed: run the same command again"
