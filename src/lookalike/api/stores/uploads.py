"""Files of images added over HTTP, named by their contents."""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from lookalike.api.errors import Forbidden
from lookalike.errors import DiskFull, LookalikeError
from lookalike.index import Index
from lookalike.system.files import write_atomically

_NAME = re.compile("[0-9a-f]{64}")


class UploadStore:
    """Stores files of added images in one folder, as `ab/<SHA-256>`."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder.resolve()

    def put(self, data: bytes) -> str:
        """Stores a file atomically; returns its path.

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
        if not path.exists():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, data, private=True)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise DiskFull(
                        "The disk is full; free some space and add the image again."
                    ) from None
                raise LookalikeError(
                    f"The folder for uploads {self._folder} cannot be written ({error.strerror}); "
                    "make it a folder that the service may write to."
                ) from None
        return str(path)

    def release(self, uris: Iterable[str], index: Index) -> None:
        """Removes files of this store that no image of the index refers to any more."""
        for uri in set(uris):
            path = Path(uri)
            if path.parent.parent != self._folder or not _NAME.fullmatch(path.name):
                continue
            if not index.count(f'image.sha256 = "{path.name}"'):
                path.unlink(missing_ok=True)
