"""Everything that a job works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from lookalike.api.allowed_folders import AllowedFolders
from lookalike.api.stores.groups import DuplicateGroupStore
from lookalike.index import Index
from lookalike.system.locks import WriteLock


class JobProgress(Protocol):
    """Records the progress of a job."""

    def __call__(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """Raises `Canceled` if the job was canceled or the service is stopping."""
        ...


@dataclass(frozen=True, slots=True)
class JobContext:
    """Everything that a job works with.

    Attributes:
        index: the index that the job reads or changes.
        write_lock: held while the index is changed.
        turn: held by a job that no other one runs beside.
        folders: the folders that an ingest may read.
        groups: receives duplicate groups.
        progress: called as the job proceeds.
        publish: called with the report, which remains if the job is stopped later.
    """

    index: Index
    write_lock: WriteLock
    turn: WriteLock
    folders: AllowedFolders
    groups: DuplicateGroupStore
    progress: JobProgress
    publish: Callable[[Mapping[str, Any]], None]


JobFunction: TypeAlias = Callable[[JobContext, dict[str, Any]], None]
"""Runs a job with the parameters of its request. Raises `Canceled` where `progress` did."""
