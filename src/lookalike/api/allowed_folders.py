"""Which folders and files of this machine a client may name: those below the configured roots."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.api.errors import Forbidden
from lookalike.errors import SourceError


@dataclass(frozen=True, slots=True)
class Roots:
    """The folders that may be read below.

    Attributes:
        folders: where they are; with none, nothing may be read.
    """

    folders: Sequence[Path]

    def find(self, named: str) -> str:
        """The real path of what a client names, absolute or as seen from a root.

        What lies outside and what does not exist there read the same, links and `..` followed.

        Raises:
            Forbidden: it is not below a root.
            SourceError: it would be, and is not there.
        """
        if not self.folders:
            raise Forbidden(
                "This service reads no folders of its machine: start it with --root and the "
                "folder that it may read."
            )
        inside = [path for root in self.folders if (path := _below(root, named)) is not None]
        if not inside:
            raise Forbidden(
                "That is not below a folder that this service may read: name one that is."
            )
        for path in inside:
            # What is not there must not go on either: it might be a pattern for what is.
            if os.path.isdir(path) or os.path.isfile(path):  # noqa: PTH112, PTH113
                return path
        raise SourceError(
            f"There is no {named} in what this service may read: name a folder or a file."
        )


def _below(root: Path, named: str) -> str | None:
    """The real path of what is named, if it is the root or below it."""
    try:
        path = os.path.realpath(root / named)
        path.encode("utf-8")
    except (ValueError, OSError):  # a NUL byte, a name that is no text, or one that is too long
        return None
    real = os.path.realpath(root)
    return path if path == real or path.startswith(os.path.join(real, "")) else None  # noqa: PTH118
