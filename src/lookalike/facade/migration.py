"""The part of the facade that replaces a model of a living index."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, Unpack

from lookalike.admin import migration
from lookalike.admin.migration import (
    Filler,
    FillProgress,
    FillReport,
    GrowingEngine,
    MissedImage,
    NewModel,
)
from lookalike.descriptors.loader import model_choice
from lookalike.duplicates.originals import Originals
from lookalike.errors import InputError
from lookalike.facade.duplicates import IndexWithDuplicates
from lookalike.facade.inputs import web_files
from lookalike.ingest.partition import Partition, check_partition
from lookalike.manifest import Phase
from lookalike.options import Option, documented, with_defaults
from lookalike.search.calibration import calibrate
from lookalike.types import VectorSpec

_PASSES = 3
"""Times that the images without the new vector are looked for: others may add some meanwhile."""


class MigrationOptions(TypedDict, total=False):
    """Options of `Index.migrate`."""

    model: Annotated[
        str | None,
        Option(
            "The new model; names as of `Index.open`. By default the newest revision of the "
            "aspect's own, as after an upgrade of lookalike."
        ),
    ]
    model_dir: Annotated[
        str | os.PathLike[str] | None,
        Option("Folder with the model's files, or with the folders `vision` and `text`."),
    ]
    precision: Annotated[
        Literal["fp32", "fp16", "int8"] | None,
        Option("Precision of the model's weights, where its files have several."),
    ]
    aspect: Annotated[str, Option("The aspect whose model is replaced.", "semantic")]
    device: Annotated[str, Option("Device that runs the model; see `Index.open`.", "auto")]
    fetch: Annotated[bool, Option("Read originals on the web again, too.", False)]
    private: Annotated[
        Sequence[str], Option("Hosts of a private network that may be read, as 10.0.0.5:8080.", ())
    ]
    partition: Annotated[
        Partition | None,
        Option(
            "Part of the images for this process to describe, such as (1, 4); a run without it "
            "completes the migration. On a server alone."
        ),
    ]
    progress: Annotated[
        FillProgress | None,
        Option("Called with the activity, the number of images done and their total, if known."),
    ]


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """The state of a migration.

    Attributes:
        phase: "filling", "ready", "cut over" or "ending".
        aspect: the aspect whose model is replaced.
        old, new: the models, by the names that the index records.
        images: images in the index.
        lacking: those of them without the new vector.
    """

    phase: Phase
    aspect: str
    old: VectorSpec
    new: VectorSpec
    images: int
    lacking: int


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """The result of a run that describes images by a new model.

    Attributes:
        status: the migration after the run.
        filled: images that this run described.
        missed: images that it could not describe.
        problems: the first of them, with reasons.
    """

    status: MigrationStatus
    filled: int
    missed: int
    problems: tuple[MissedImage, ...]


class IndexWithMigration(IndexWithDuplicates):
    """An open index whose models can be replaced."""

    @documented(MigrationOptions)
    def migrate(self, **options: Unpack[MigrationOptions]) -> MigrationReport:
        """Describes all images by another model, while the index is searched and changed as ever;
        the one that it has goes on to serve until `cut_over`.

        Call it again after an interruption, or to describe what was added meanwhile: it goes on
        where it stopped. An index in a folder must be open with `subprocess=True`.

        Args:
            {options}

        Raises:
            InputError: another migration is under way, or the index has this model.
            QueryError: there is no such aspect.
            ModelError: the model cannot be loaded, or its vectors are of no use.
            DiskFull: the disk has no room for both; nothing was written.
        """
        chosen = with_defaults(MigrationOptions, options)
        engine = migration.require_growing(self._engine)
        progress = chosen["progress"] or (lambda activity, done, total: None)
        part = None if chosen["partition"] is None else check_partition(chosen["partition"])
        progress("loading the model", 0, None)
        model = self._new_model(chosen)
        begun = migration.begin(self._manifests, chosen["aspect"], model)
        name = begun.target.name
        self._models.adopt(model.descriptor, name)
        web = web_files(chosen["private"], self._decoder.limits) if chosen["fetch"] else None
        with closing(Originals(self._loader, web)) as originals:
            filler = Filler(engine, model, self._decoder, originals.read, part or (1, 1))
            report = self._fill(engine, begun.target, filler, progress, whole=part is None)
        status = self.migration()
        assert status is not None  # noqa: S101 -- for the type checker
        return MigrationReport(status, report.filled, report.missed, report.problems)

    def migration(self) -> MigrationStatus | None:
        """Returns the state of the migration that is under way; None if none is."""
        self.refresh()
        manifest, under_way = self._manifest, self._manifest.migration
        if under_way is None:
            return None
        images = lacking = self._engine.count()
        if isinstance(self._engine, GrowingEngine):
            lacking = self._engine.count_lacking(under_way.target.name)
        old = manifest.vectors.get(under_way.source, under_way.target)
        own = under_way.phase, under_way.aspect, old, under_way.target
        return MigrationStatus(*own, images, lacking)

    def cut_over(self) -> None:
        """Has the new model serve its aspect from now on, for all processes.

        Raises:
            InputError: the migration is not ready.
        """
        manifest = self._manifests.read()
        if manifest.migration is None or manifest.migration.phase is not Phase.READY:
            migration.cut_over(self._manifests, None)  # raises
        under_way = migration.current(manifest)
        after = manifest.serving(under_way.aspect, under_way.target.name)
        specs = [after.vectors[name] for name in after.aspects.values()]
        migration.cut_over(self._manifests, calibrate(self._engine, specs, self._engine.count()))

    def roll_back(self) -> None:
        """Has the old model serve its aspect again, as before `cut_over`.

        Raises:
            InputError: the new one does not serve.
        """
        migration.roll_back(self._manifests)

    def finish_migration(self) -> None:
        """Removes the vectors of the old model, after which there is no way back.

        Raises:
            InputError: the new one does not serve yet.
        """
        migration.end(self._manifests, migration.require_growing(self._engine), cancel=False)

    def cancel_migration(self) -> None:
        """Gives a migration up: removes the vectors of the new model.

        Raises:
            InputError: none is under way, or the new model serves.
        """
        migration.end(self._manifests, migration.require_growing(self._engine), cancel=True)

    # --- inside -----------------------------------------------------------------------------

    def _new_model(self, chosen: dict[str, Any]) -> NewModel:
        folder = None if chosen["model_dir"] is None else Path(chosen["model_dir"])
        model, precision = chosen["model"], chosen["precision"]
        if precision is not None:
            if model is None:
                raise InputError(f"Name the model that is wanted in {precision}.")
            model = f"{model}:{precision}"
        choice = model_choice(model, folder, Path(), None, chosen["device"])
        return NewModel(*self._models.load(choice, chosen["aspect"]))

    def _fill(
        self,
        engine: GrowingEngine,
        target: VectorSpec,
        filler: Filler,
        progress: FillProgress,
        *,
        whole: bool,
    ) -> FillReport:
        """Describes the images, and makes the vector one of the index."""
        phase = migration.current(self._manifests.read()).phase
        if phase is Phase.FILLING:
            progress("making room", 0, None)
            engine.add_vector(target)
        report = filler.fill(target.name, progress)
        if not whole or phase is Phase.ENDING:
            return report
        if phase is Phase.FILLING:
            progress("building the search graph", 0, None)
            engine.install_vector(target.name)
            migration.make_ready(self._manifests)
        for _ in range(_PASSES):
            if engine.count_lacking(target.name) <= report.missed:
                break
            again = filler.fill(target.name, progress)
            report = FillReport(report.filled + again.filled, again.missed, again.problems)
        return report
