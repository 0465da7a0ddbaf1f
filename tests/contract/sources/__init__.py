"""Samples of sources: for each scheme a module of its name, by which the contract suite tries it.

A sample module has `FORMS`, the ways to name the same place or a part of it, the first one all of
it; and `Sample`, a context manager that serves the place. Servers that take seconds to start are
`SLOW`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from lookalike.protocols import Source


class SourceSample(ExitStack):
    """A place with images that a source serves.

    Attributes:
        environment: variables that the source needs.
        elsewhere: addresses that are not of this place.
    """

    environment: Mapping[str, str] = {}
    elsewhere: Sequence[str]

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __enter__(self) -> Self:
        self.start()
        return super().__enter__()

    def start(self) -> None:
        """Starts what serves the place, and registers how it ends."""

    @abstractmethod
    def fill(self, files: Mapping[str, bytes]) -> None:
        """Puts these files there, by their paths, and no others."""

    @abstractmethod
    def open(self, form: str) -> Source:
        """Opens the source."""
