"""Samples of sources: for each scheme a module of its name, by which the contract suite tries it.

A sample module has `FORMS`, the ways to name the same place or a part of it, the first one all of
it; and `Sample`, a context manager that serves the place. Servers that take seconds to start are
`SLOW`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from lookalike.protocols import Source


class SourceSample(Protocol):
    """A place with images that a source serves.

    Attributes:
        environment: variables that the source needs.
        elsewhere: addresses that are not of this place.
    """

    environment: Mapping[str, str]
    elsewhere: Sequence[str]

    def __init__(self, folder: Path) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def fill(self, files: Mapping[str, bytes]) -> None:
        """Puts these files there, by their paths, and no others."""
        ...

    def open(self, form: str) -> Source: ...
