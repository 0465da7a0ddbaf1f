"""The part of the facade that finds duplicates."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Unpack

from lookalike.duplicates import decisions, file_moves
from lookalike.duplicates.bulk.check import PartReport
from lookalike.duplicates.bulk.steps import Step
from lookalike.duplicates.file_moves import CleanupReport
from lookalike.duplicates.finder import DuplicateFinder
from lookalike.duplicates.groups import DuplicateGroups
from lookalike.duplicates.options import DuplicateOptions, GroupOptions, PartOptions
from lookalike.duplicates.verdicts import Duplicate, Duplicates
from lookalike.facade.inputs import web_files
from lookalike.facade.reading import ReadableIndex
from lookalike.options import documented
from lookalike.sources.bucket import open_bucket
from lookalike.system.inputs import Id, ids_of
from lookalike.types import Decision, ImageInput


class IndexWithDuplicates(ReadableIndex):
    """An open index whose duplicates can be found."""

    @documented(GroupOptions)
    def duplicates(self, **options: Unpack[GroupOptions]) -> DuplicateGroups:
        """Finds all groups of duplicates in the index; yields each as soon as it is confirmed.

        The iterator's `problems` say why originals could not be read, by address.

        Args:
            {options}

        Raises:
            InputError: no policy has this name.
            FilterError: `where` does not parse, or does not fit the fields.
        """
        filter = self._filter(options.get("where"), options.get("params"))
        return self._finder().groups(options, filter)

    def take_duplicate_step(self, step: Step) -> Any:
        """Finds some neighbors or compares some pairs: the part of `duplicates` that an executor
        distributes."""
        return self._finder().take_step(step)

    @documented(DuplicateOptions)
    def duplicates_of(
        self, image: ImageInput | None = None, **options: Unpack[DuplicateOptions]
    ) -> Duplicates:
        """Finds the duplicates of one image in the index, the strongest verdicts first.

        Args:
            image: a picture, in any form that `search` takes.
            {options}

        Raises:
            QueryError: neither an image nor an id, or both.
            ImageRejected: the image cannot be read.
            NotFound: no image has this id.
        """
        return self._finder().duplicates_of(image, options)

    @documented(PartOptions)
    def compare_duplicates(self, **options: Unpack[PartOptions]) -> PartReport:
        """Compares one part of the pairs that may be duplicates, as several processes can at the
        same time; when all parts are compared, `duplicates` yields the groups.

        All parts need the same folder `work`, by default one beside the thumbnails of the index.
        The images are those that the index has when the first part begins.

        Args:
            {options}

        Raises:
            InputError: the partition is not valid, another process compares this part, or the
                parts have another filter.
            FilterError: `where` does not parse, or does not fit the fields.
        """
        filter = self._filter(options.get("where"), options.get("params"))
        return self._finder().compare_part(options, filter)

    @staticmethod
    def undo(log: str | os.PathLike[str]) -> CleanupReport:
        """Moves files back that `resolve_duplicates` moved, by its log; deleted ones are named.

        It can be repeated, and finishes moves that were interrupted. Nothing is overwritten.

        Raises:
            InputError: the log cannot be read, or is not a log.
            SchemaTooNew: a newer lookalike wrote the log.
        """
        return file_moves.undo(Path(log), open_bucket)

    def difference(self, keeper: Duplicate, copy: Duplicate) -> bytes | None:
        """Shows the differences between two images of a group: a JPEG of the keeper in gray, red
        where the copy, laid over it, differs. None if the two cannot be aligned."""
        return self._finder().difference(keeper, copy)

    def decide(self, ids: Iterable[Id], decision: Decision | None) -> None:
        """Stores a decision about images that look like copies: `duplicates` and `duplicates_of`
        no longer show them beside each other.

        Args:
            ids: two or more images.
            decision: that they are not duplicates, or that all of them are kept; None removes
                earlier decisions.

        Raises:
            NotFound: no image has one of these ids.
            InputError: fewer than two images, or too many different files.
            Conflict: another process decided otherwise about the same images at the same time.
        """
        decisions.decide(self._engine, ids_of(ids), decision)

    # --- inside -----------------------------------------------------------------------------

    def _finder(self) -> DuplicateFinder:
        own, loader = self._parts, self._loader
        services = own.decoder, loader, own.decoder, own.cache
        return DuplicateFinder(
            *(own.engine, self._manifest, own.models, *services),
            open_web=lambda private: web_files(private, own.decoder.limits),
            opener=self._opener,
        )
