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
    """The folders of this machine and of buckets that clients may read.

    Attributes:
        roots: folders of this machine, including their subfolders.
        buckets: addresses such as `s3://bucket/folder`, including what is below them.
    """

    roots: Sequence[Path] = ()
    buckets: Sequence[str] = ()

    def resolve(self, path: str) -> str:
        """Returns the real path of a client's path, which is absolute or relative to a root; an
        address in a bucket as it is.

        Links and `..` are resolved first. A path outside the roots gives the same error whether it
        exists or not.

        Raises:
            Forbidden: the path is not below a root.
            SourceError: the path is below a root and does not exist.
        """
        if self.buckets and _is_address(path) and self.contains(path):
            return path
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
        """Tells if a path is in one of the folders once links and `..` are resolved, or an address
        below one of the buckets."""
        if _is_address(path):
            return any(path == one or path.startswith(f"{one}/") for one in self.buckets)
        return any(_below(root, path) is not None for root in self.roots)


def _is_address(path: str) -> bool:
    return "://" in path


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
