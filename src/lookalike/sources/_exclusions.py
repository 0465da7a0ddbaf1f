"""Exclusions: the files and folders that a local source passes over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from pathspec import GitIgnoreSpec

from lookalike.errors import ImageRejected, SourceError
from lookalike.sources._reading import read_regular

IGNORE_FILE = ".lookalikeignore"
"""Name of a file with patterns in the syntax of `.gitignore`, for its folder and those below."""

SYSTEM_NAMES = (
    # previews and search data of network drives
    *("@eaDir", "@Recycle", "@Recently-Snapshot", "#recycle", "#snapshot", ".@__thumb"),
    # Windows
    *("$RECYCLE.BIN", "RECYCLER", "System Volume Information", "Thumbs.db", "ehthumbs.db"),
    *("ehthumbs_vista.db", "desktop.ini", "Picasa.ini"),
    # macOS, also what it leaves on other systems' drives and in archives
    *("__MACOSX", "._*", ".DS_Store", ".AppleDouble", "Icon\r", "Network Trash Folder"),
    *("Temporary Items", ".Spotlight-V100", ".fseventsd", ".TemporaryItems"),
    # Linux and Android
    *(".thumbnails", ".Trash*", ".trashed-*", ".pending-*", "lost+found", ".nomedia"),
    # sidecars: edits and ratings of the image beside them
    *("*.xmp", "*.aae", "*.pp3", "*.dop", "*.cos", "*.on1", "*.vrd", "*.nksc", "*.arp"),
)
"""Names of files and folders that no user means, or how they begin or end; capitals do not
matter."""

_LOWER = [name.lower() for name in SYSTEM_NAMES]
_WHOLE = frozenset(name for name in _LOWER if "*" not in name)
_STARTS = tuple(name[:-1] for name in _LOWER if name.endswith("*"))
_ENDS = tuple(name[1:] for name in _LOWER if name.startswith("*"))


def is_system_name(name: str) -> bool:
    """True for a file or folder that systems or other programs have left."""
    # A regular expression of all these takes ten times as long, for every file of a listing.
    lower = name.lower()
    return lower in _WHOLE or lower.startswith(_STARTS) or lower.endswith(_ENDS)


class Exclusions:
    """Decides what a source passes over.

    Args:
        root: the folder that patterns are relative to.
        patterns: patterns of the user, in the syntax of `.gitignore`; they come first.
        only_patterns: whether nothing but the user's patterns counts, as for a file that is named.

    Raises:
        SourceError: a pattern is not valid.

    Attributes:
        used: True once something was passed over.
    """

    def __init__(
        self, root: str, patterns: Sequence[str] = (), only_patterns: bool = False
    ) -> None:
        self.used = False
        self._arguments = (root, tuple(patterns), only_patterns)
        self._root = root
        self._only_patterns = only_patterns
        self._patterns = _parse_patterns(_relative(pattern, root) for pattern in patterns)
        self._ignore_file = lru_cache(4096)(self._load)

    def __reduce__(self) -> tuple[type[Exclusions], tuple[Any, ...]]:
        return Exclusions, self._arguments  # without what was read: another process reads it again

    def require_readable(self, folder: str) -> None:
        """Checks the ignore file in a folder.

        Raises:
            OSError, ImageRejected: it cannot be read.
            SourceError: a pattern in it is not valid.
        """
        self._ignore_file(folder)

    def exclude(self, folder: str, name: str, *, is_folder: bool) -> bool:
        """True if an entry is passed over, in a folder that is not."""
        excluded = self._decide(folder, name, is_folder)
        self.used |= excluded
        return excluded

    def exclude_path(self, path: str) -> bool:
        """True if a file is passed over by itself or with one of its folders."""
        if self._only_patterns and not self._patterns:
            return False
        *folders, name = os.path.relpath(path, self._root).split(os.sep)
        here = self._root
        for folder in folders:
            if self._decide(here, folder, is_folder=True):
                self.used = True
                return True
            here = os.path.join(here, folder)
        return self.exclude(here, name, is_folder=False)

    def _decide(self, folder: str, name: str, is_folder: bool) -> bool:
        if not self._only_patterns and is_system_name(name):
            return True
        path = os.path.join(folder, name, "") if is_folder else os.path.join(folder, name)
        for base, patterns in self._in_force(folder):
            verdict = patterns.check_file(path[len(base) :].lstrip(os.sep)).include
            if verdict is not None:
                return verdict
        return False

    def _in_force(self, folder: str) -> Iterator[tuple[str, GitIgnoreSpec]]:
        """The patterns that may concern a folder's entries, first the ones that decide."""
        if self._patterns:
            yield self._root, self._patterns
        while not self._only_patterns:
            try:
                patterns = self._ignore_file(folder)
            except (OSError, SourceError, ImageRejected):  # reported where the folder is listed
                patterns = None
            if patterns is not None:
                yield folder, patterns
            if len(folder) <= len(self._root):
                return
            folder = os.path.dirname(folder)

    def _load(self, folder: str) -> GitIgnoreSpec | None:
        """The patterns of the ignore file in a folder; None if there is none."""
        file = os.path.join(folder, IGNORE_FILE)
        if not os.path.lexists(file) or os.path.isdir(file):
            return None
        lines = read_regular(file).decode("utf-8-sig", "surrogateescape").splitlines()
        return _parse_patterns(lines)


def _parse_patterns(lines: Iterable[str]) -> GitIgnoreSpec:
    patterns = GitIgnoreSpec([])
    for line in lines:
        try:
            patterns += GitIgnoreSpec.from_lines([line])
        except ValueError:
            raise SourceError(
                f"{line!r} is not a valid pattern to exclude: write it as in a .gitignore file."
            ) from None
    return patterns


def _relative(pattern: str, root: str) -> str:
    """A pattern that starts with the path of the root, relative to it."""
    start = os.path.join(root, "")
    return pattern[len(start) - 1 :] if pattern.startswith(start) else pattern
