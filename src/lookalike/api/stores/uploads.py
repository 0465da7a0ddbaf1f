"""Files of images added over HTTP, named by their contents."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable
from pathlib import Path

from lookalike.api.errors import Forbidden
from lookalike.api.stores.disk import storing
from lookalike.index import Index
from lookalike.system.files import write_atomically

_log = logging.getLogger("lookalike.api")

_NAME = re.compile("[0-9a-f]{64}")


class UploadStore:
    """Stores files of added images in one folder, as `ab/<SHA-256>`."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder.resolve()

    def put(self, data: bytes) -> str:
        """Stores a file atomically, in place of a damaged one as well; returns its path.

        Raises:
            Forbidden: no folder was configured.
            DiskFull: the disk is full.
            LookalikeError: the folder cannot be written for another reason.
        """
        if self._folder is None:
            raise Forbidden(
                "This service stores no images; start it with --uploads and a folder for them."
            )
        name = hashlib.sha256(data).hexdigest()
        path = self._folder / name[:2] / name
        if not _holds(path, data):
            with storing("The image", self._folder):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, data, private=True)
        return str(path)

    def restore(self, path: str, data: bytes) -> None:
        """Stores a file again if another service has removed it before the index had its image;
        raises what `put` raises."""
        if not Path(path).exists():
            self.put(data)

    def release(self, uris: Iterable[str], index: Index) -> None:
        """Removes files of this store that no image of the index refers to any more. One that
        cannot be removed stays: the image is gone all the same.

        Another service may add an image with the file at any moment. A file is therefore renamed
        first; if the index has such an image then, it gets its name back, and if it gets one later,
        that service finds the file gone, and stores it again.
        """
        for uri in set(uris):
            path = Path(uri)
            if path.parent.parent != self._folder or not _NAME.fullmatch(path.name):
                continue
            in_use = f'image.sha256 = "{path.name}"'
            if not index.count(in_use):
                aside = path.with_name(f"{path.name}.removed")
                try:
                    path.rename(aside)
                    aside.replace(path) if index.count(in_use) else aside.unlink()
                except FileNotFoundError:  # another service was first
                    pass
                except OSError as error:
                    _log.warning("%s cannot be removed: %s", path, error.strerror)


def _holds(path: Path, data: bytes) -> bool:
    """Returns whether a file has this content."""
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
