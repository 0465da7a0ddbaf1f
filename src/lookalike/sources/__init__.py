"""Sources: where images come from. One file a scheme (`file`, later `s3`, …)."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Sequence
from importlib.metadata import entry_points

from lookalike.errors import SourceError
from lookalike.protocols import Source

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://")


def open_source(uri: str) -> Source:
    """The source for a path, a glob, or an address such as `s3://bucket/prefix`.

    The scheme names the module in this package, or an entry point of the group
    `lookalike.sources`; its `open` makes the source.

    Raises:
        SourceError: nothing is there, or nothing serves the scheme.
    """
    found = _SCHEME.match(uri)
    scheme = found[1] if found else "file"
    source: Source
    if scheme in {module.name for module in pkgutil.iter_modules(__path__)}:
        module = importlib.import_module(f"{__name__}.{scheme}")
        if hasattr(module, "open"):
            source = module.open(uri)
            return source
    for entry in entry_points(group="lookalike.sources", name=scheme):
        source = entry.load()(uri)
        return source
    raise SourceError(
        f"{uri}: nothing here reads {scheme}:// addresses; give a folder, a file or a glob."
    )


def open_sources(named: Sequence[str | os.PathLike[str]]) -> list[Source]:
    """The sources of these names, which must hold something.

    Raises:
        SourceError: one does not exist, or there is nothing in any.
    """
    opened = [open_source(os.fspath(source)) for source in named]
    if not any(next(source.refs(), None) for source in opened):
        names = ", ".join(os.fspath(source) for source in named)
        raise SourceError(f"There is nothing to index in {names}.")
    return opened
