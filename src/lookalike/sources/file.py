"""Local files: a folder with its subfolders, one file, or a glob."""

from __future__ import annotations

import builtins
import glob
import mimetypes
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lookalike.errors import ImageRejected, Reason, SourceError
from lookalike.imaging.formats import image_format
from lookalike.protocols import Source
from lookalike.system.times import format_datetime
from lookalike.types import ImageRef

# Only the types that Python itself knows: those of a machine must not change what is listed.
_TYPES = mimetypes.MimeTypes(filenames=())

_SPECIAL = "a pipe, a socket or a device instead of a file"


def open(uri: str) -> Source:
    """Opens the source for a local path, which may start with `file://` or `~`.

    Raises:
        SourceError: the path does not exist.
    """
    path = os.path.expanduser(uri.removeprefix("file://"))
    if os.path.isdir(path):
        return Folder(os.path.realpath(path))
    if os.path.lexists(path):
        return Files(path, os.path.dirname(os.path.abspath(path)))
    if glob.has_magic(path):
        return Files(path, _fixed_part(path))
    raise SourceError(f"{uri} does not exist: give a folder, a file or a glob.")


class _LocalSource:
    """The common part of folders and globs.

    Attributes:
        root: absolute path of the folder, or of the part of a glob before its first wildcard.
    """

    root: str

    def read(self, ref: ImageRef) -> bytes:
        try:
            if not ref.etag:
                raise ImageRejected(Reason.UNREADABLE, _problem(ref.uri))
            return _read_regular(ref.uri)
        except OSError as error:
            detail = error.strerror or str(error)
            raise ImageRejected(Reason.UNREADABLE, detail) from error

    def covers(self, uri: str) -> bool:
        raise NotImplementedError

    def has(self, uri: str) -> bool:
        if not self.covers(uri):
            return False
        try:
            os.lstat(uri)  # a link to a file that is out of reach is still there
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # it may still be there
            return True
        return True


class Folder(_LocalSource):
    """The files in a folder and its subfolders that may be images.

    It skips hidden folders, indexes, files whose extension stands for something else (text, video,
    sound, a document), and files without an extension whose content is not an image, such as
    LICENSE. It follows links to files, not links to folders. An entry that cannot be read, such as
    a forbidden folder, a link to itself or a pipe, is listed too, so that the run reports it.
    """

    def __init__(self, root: str) -> None:
        self.root = root

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
        return not any(folder.startswith(".") for folder in folders) and _may_be_image(name)

    def _entries(self, folder: str) -> Iterator[ImageRef | str]:
        """The images in a folder and the paths of its subfolders, by name."""
        try:
            with os.scandir(folder) as entries:
                by_name = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            yield _unreadable(folder)
            return
        for entry in by_name:
            if _is_folder(entry):
                if not entry.name.startswith(".") and not _is_index(entry.path):
                    yield entry.path
            elif _may_be_image(entry.name):
                ref = _ref(entry.path)
                if ref is not None and (not ref.etag or _seems_image(entry)):
                    yield ref


class Files(_LocalSource):
    """The files that match a glob (`**` matches any folders), or one file. All are tried."""

    def __init__(self, pattern: str, root: str) -> None:
        self.root = root
        self.pattern = os.path.abspath(pattern)
        self._matches = re.compile(_regex(self.pattern)).fullmatch

    def refs(self) -> Iterator[ImageRef]:
        # A file may have a name that looks like a pattern.
        literal = os.path.lexists(self.pattern)
        paths = [self.pattern] if literal else sorted(glob.iglob(self.pattern, recursive=True))
        yield from filter(None, map(_ref, paths))

    def covers(self, uri: str) -> bool:
        hidden = "/." in uri[len(self.root) :] and "/." not in self.pattern[len(self.root) :]
        return uri == self.pattern or (self._matches(uri) is not None and not hidden)


def _regex(pattern: str) -> str:
    """Translates a glob as `glob` reads it: `*` stays within a name, `**` matches any folders."""
    parts = []
    for part in re.findall(r"\*\*/|\*\*$|\*|\?|\[!?\]?[^\]]*\]|.", pattern, re.DOTALL):
        if part == "**/":
            parts.append("(?:[^/]+/)*")
        elif part in ("*", "**"):
            parts.append("[^/]*" if part == "*" else ".*")
        elif part == "?":
            parts.append("[^/]")
        elif len(part) > 1:  # a set of characters
            negated = part[1] == "!"
            parts.append(f"[{'^' if negated else ''}{re.escape(part[1 + negated : -1])}]")
        else:
            parts.append(re.escape(part))
    return "".join(parts).replace("\\-", "-")


def _fixed_part(pattern: str) -> str:
    """The folders of a glob before its first wildcard."""
    parts = Path(os.path.abspath(pattern)).parts
    fixed = []
    for part in parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return os.path.join(*fixed)


def _may_be_image(name: str) -> bool:
    guess, _ = _TYPES.guess_type(name)
    return guess is None or guess.startswith("image/")


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
        return _SPECIAL
    elif _ref(path) == _unreadable(path):
        return "its modification time is out of range: set it, for example with `touch`"
    return "it changed while it was listed: run the same command again"


def _read_regular(path: str) -> bytes:
    """Reads a file; a pipe or a device, which could block for ever, is rejected unread."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with builtins.open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ImageRejected(Reason.UNREADABLE, _SPECIAL)
        return file.read()
