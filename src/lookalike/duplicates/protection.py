"""Protected folders, whose files always stay."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path


def protection(folders: Sequence[str | os.PathLike[str]]) -> Callable[[str], bool]:
    """A function that tells whether the image at an address is in one of some folders.

    Args:
        folders: paths, or addresses in an object store.
    """
    prefixes = {form for folder in folders for form in _forms(os.fspath(folder))}

    def is_protected(uri: str) -> bool:
        return bool(prefixes) and any(form.startswith(tuple(prefixes)) for form in _forms(uri))

    return is_protected


def _forms(address: str) -> set[str]:
    """An address in its spellings, with a slash at the end of each: as it is, and without links."""
    if "://" in address:
        return {f"{address.rstrip('/')}/"}
    path = Path(address).expanduser()
    return {f"{str(form).rstrip('/')}/" for form in (path.absolute(), path.resolve())}
