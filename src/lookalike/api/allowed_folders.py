"""Access control for paths that clients name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.api.errors import Forbidden
from lookalike.errors import SourceError


@dataclass(frozen=True, slots=True)
class AllowedFolders:
    """The folders of this machine that clients may read.

    Attributes:
        roots: the folders, including their subfolders; without any, nothing may be read.
    """

    roots: Sequence[Path]

    def resolve(self, path: str) -> str:
        """Returns the real path of a client's path, which is absolute or relative to a root.

        Links and `..` are resolved first. A path outside the roots gives the same error whether it
        exists or not.

        Raises:
            Forbidden: the path is not below a root.
            SourceError: the path is below a root and does not exist.
        """
        if not self.roots:
            raise Forbidden(
                "This service reads no folders of its machine; start it with --root and a folder "
                "that clients may index."
            )
        allowed = [real for root in self.roots if (real := _below(root, path)) is not None]
        if not allowed:
            raise Forbidden("The path is not below a folder that this service may read.")
        for real in allowed:
            # A missing path must not be passed on: it might be a glob that matches something.
            if os.path.isdir(real) or os.path.isfile(real):  # noqa: PTH112, PTH113
                return real
        raise SourceError(
            f"There is no {path} in the folders that this service may read; name an existing "
            "folder or file."
        )

    def contains(self, path: str) -> bool:
        """Tells if a path is in one of the folders once links and `..` are resolved."""
        return any(_below(root, path) is not None for root in self.roots)


def _below(root: Path, path: str) -> str | None:
    """Returns the real path if it is the root or below it, else None."""
    try:
        real = os.path.realpath(root / path)
        real.encode("utf-8")
    except (ValueError, OSError):  # a NUL byte, an undecodable name, or a name that is too long
        return None
    real_root = os.path.realpath(root)
    inside = real == real_root or real.startswith(os.path.join(real_root, ""))  # noqa: PTH118
    return real if inside else None
