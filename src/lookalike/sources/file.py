"""Local files: a folder with its subfolders, one file, or a glob."""

from __future__ import annotations

import builtins
import glob
import mimetypes
import os
import re
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


def open(uri: str) -> Source:
    """Opens the source for a local path, which may start with `file://` or `~`.

    Raises:
        SourceError: the path does not exist.
    """
    path = os.path.expanduser(uri.removeprefix("file://"))
    if os.path.isdir(path):
        return Folder(os.path.realpath(path))
    if os.path.isfile(path):
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
                os.listdir(ref.uri)  # a folder that could not be listed: raises the reason
            with builtins.open(ref.uri, "rb") as file:
                return file.read()
        except OSError as error:
            detail = error.strerror or str(error)
            raise ImageRejected(Reason.UNREADABLE, detail) from error

    def covers(self, uri: str) -> bool:
        raise NotImplementedError

    def has(self, uri: str) -> bool:
        if not self.covers(uri):
            return False
        try:
            os.stat(uri)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # it may still be there
            return True
        return True


class Folder(_LocalSource):
    """The files in a folder and its subfolders that may be images.

    It skips hidden folders, indexes, anything that is not a regular file, files whose extension
    stands for something else (text, video, sound, a document), and files without an extension
    whose content is not an image, such as LICENSE. It follows links to files, not links to folders.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def refs(self) -> Iterator[ImageRef]:
        yield from self._below(self.root)

    def covers(self, uri: str) -> bool:
        if not uri.startswith(os.path.join(self.root, "")):
            return False
        *folders, name = os.path.relpath(uri, self.root).split(os.sep)
        return not any(folder.startswith(".") for folder in folders) and _may_be_image(name)

    def _below(self, folder: str) -> Iterator[ImageRef]:
        try:
            with os.scandir(folder) as entries:
                by_name = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            yield ImageRef(folder, etag="", size=0)  # reading it raises the reason
            return
        for entry in by_name:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and not _is_index(entry.path):
                    yield from self._below(entry.path)
            elif _may_be_image(entry.name) and entry.is_file() and _seems_image(entry):
                yield _ref(entry.path, entry.stat())


class Files(_LocalSource):
    """The files that match a glob (`**` matches any folders), or one file. All are tried."""

    def __init__(self, pattern: str, root: str) -> None:
        self.root = root
        self.pattern = os.path.abspath(pattern)
        self._matches = re.compile(_regex(self.pattern)).fullmatch

    def refs(self) -> Iterator[ImageRef]:
        # A file may have a name that looks like a pattern.
        literal = os.path.isfile(self.pattern)
        paths = [self.pattern] if literal else sorted(glob.iglob(self.pattern, recursive=True))
        for path in paths:
            if os.path.isfile(path):
                yield _ref(path, os.stat(path))

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


def _ref(path: str, stat: os.stat_result) -> ImageRef:
    modified = datetime.fromtimestamp(stat.st_mtime, UTC)
    etag = f"{stat.st_size}-{stat.st_mtime_ns}"
    return ImageRef(path, etag, stat.st_size, format_datetime(modified, "microseconds"))
