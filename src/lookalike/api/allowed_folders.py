"""Access control for paths that clients name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from lookalike.api.errors import Forbidden
from lookalike.errors import SourceError
from lookalike.system.inputs import is_url


@dataclass(frozen=True, slots=True)
class AllowedFolders:
    """The folders of this machine, of buckets and of web servers that clients may read.

    Attributes:
        roots: folders of this machine, including their subfolders.
        addresses: addresses such as `s3://bucket/folder` or `https://shop.example/feed.xml`,
            including what is below them.
        fetches: whether files below the roots may name images on the web.
        private: hosts of a private network that feeds and images may be fetched from.
    """

    roots: Sequence[Path] = ()
    addresses: Sequence[str] = ()
    _: KW_ONLY
    fetches: bool = False
    private: Sequence[str] = ()

    def resolve(self, path: str) -> str:
        """Returns the real path of a client's path, which is absolute or relative to a root; an
        address in a bucket as it is.

        Links and `..` are resolved first. A path outside the roots gives the same error whether it
        exists or not.

        Raises:
            Forbidden: the path is not below a root.
            SourceError: the path is below a root and does not exist.
        """
        is_elsewhere = _is_address(path)
        if is_elsewhere and self.contains(path):
            return path
        if not self.roots:
            raise Forbidden(
                "This service reads no folders of its machine; start it with --root and a folder "
                "that clients may index."
            )
        roots = () if is_elsewhere else self.roots
        allowed = [real for root in roots if (real := _below(root, path)) is not None]
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

    def require_fetch(self, path: str) -> None:
        """Raises Forbidden unless images on the web may be fetched that a feed, or the metadata of
        a folder, names."""
        if not self.fetches and not (is_url(path) and self.contains(path)):
            raise Forbidden(
                "This service fetches no images that files name; start it with --allow-url-fetch, "
                "or with the address of a feed as --root."
            )

    def contains(self, path: str) -> bool:
        """Tells if a path is in one of the folders once links and `..` are resolved, or an address
        below one of these."""
        if _is_address(path):
            plain = _plain_url(path) if is_url(path) else path
            return any(plain == one or plain.startswith(f"{one}/") for one in self.addresses)
        return any(_below(root, path) is not None for root in self.roots)


def _is_address(path: str) -> bool:
    return "://" in path


def _plain_url(address: str) -> str:
    """The address without its query; empty if it may lead elsewhere than it seems to."""
    parts = urlsplit(address)
    folders = unquote(parts.path).split("/")
    if parts.username is not None or "\\" in address or {".", ".."} & set(folders):
        return ""
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path, "", ""))


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
