"""Images that were added by upload: files named by what they hold."""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from lookalike.api.errors import Forbidden
from lookalike.errors import DiskFull
from lookalike.index import Index
from lookalike.system.files import write_atomically

_NAME = re.compile("[0-9a-f]{64}")


class Store:
    """Keeps the files of added images below one folder, as `ab/<SHA-256>`."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder.resolve()

    def put(self, data: bytes) -> str:
        """Keeps a file, all of it or nothing; returns its path.

        Raises:
            Forbidden: there is no folder for such files.
            DiskFull: there is no room for it.
        """
        if self._folder is None:
            raise Forbidden(
                "This service keeps no images: start it with --uploads and a folder for them."
            )
        name = hashlib.sha256(data).hexdigest()
        path = self._folder / name[:2] / name
        if not path.exists():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, data, private=True)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise DiskFull("The disk is full: make room and add the image again.") from None
                raise
        return str(path)

    def release(self, uris: Iterable[str], index: Index) -> None:
        """Removes those files that are kept here and that no image of the index has."""
        for uri in set(uris):
            path = Path(uri)
            if path.parent.parent != self._folder or not _NAME.fullmatch(path.name):
                continue
            if not index.count(f'image.sha256 = "{path.name}"'):
                path.unlink(missing_ok=True)
