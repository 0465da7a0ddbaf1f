"""The part of the facade that replaces a model of a living index."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, Unpack

from lookalike.admin import phases
from lookalike.admin.migration import (
    Filler,
    FillProgress,
    FillReport,
    GrowingEngine,
    MigrationReport,
    MigrationStatus,
    NewModel,
    require_growing,
)
from lookalike.cache.store import state_folder
from lookalike.descriptors.loader import model_choice, with_precision
from lookalike.duplicates.originals import Originals
from lookalike.errors import EngineError, InputError, ModelError, QueryError
from lookalike.facade.duplicates import IndexWithDuplicates
from lookalike.facade.inputs import web_files
from lookalike.ingest import prune
from lookalike.ingest.partition import Partition, check_partition
from lookalike.manifest import Phase
from lookalike.opening import Parts
from lookalike.options import Option, documented, options_of, with_defaults
from lookalike.search import embedding
from lookalike.search.calibration import calibrate
from lookalike.search.gates import Evidence, GateResult, Gates
from lookalike.search.model_comparison import ModelComparison
from lookalike.search.query_log import FILE, read_queries
from lookalike.search.shadow import ShadowOptions, compare_models
from lookalike.types import VectorSpec

_REMOVED = 256
"""Images that are removed together."""
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


class CutOverOptions(ShadowOptions, total=False):
    """Options of `Index.cut_over`."""

    require: Annotated[
        str | Mapping[str, float] | None,
        Option(
            "Bounds of gates by name, in place of the usual ones or beside them: filled, errors, "
            'p95, precision, overlap, rank_overlap; also as text, "overlap=0.3,p95=1.5".'
        ),
    ]
    missing: Annotated[
        Literal["keep", "drop"] | None,
        Option(
            "What becomes of images without the new vector, such as those whose files are gone: "
            '"keep" leaves them in the index, where the aspect does not find them, "drop" removes '
            "them from it; by default too many of them prevent the cut-over."
        ),
    ]
    dry_run: Annotated[bool, Option("Check the gates only; change nothing.", False)]


@dataclass(frozen=True, slots=True)
class CutOver:
    """The result of a cut-over.

    Attributes:
        done: whether the new model serves now: it passed every gate, and this was no dry run.
        gates: the verdicts.
        comparison: the comparison that they are based on; None where there are too few images.
    """

    done: bool
    gates: tuple[GateResult, ...]
    comparison: ModelComparison | None


class IndexWithMigration(IndexWithDuplicates):
    """An open index whose models can be replaced."""

    def __init__(self, parts: Parts, opener: Callable[..., Any] | None = None) -> None:
        super().__init__(parts, opener)
        self._prepared: set[str] = set()

    @property
    def can_migrate(self) -> bool:
        """True if the engine goes on to answer during a migration: it is on a server, or in a
        process of its own."""
        return isinstance(self._engine, GrowingEngine)

    @documented(MigrationOptions)
    def migrate(self, **options: Unpack[MigrationOptions]) -> MigrationReport:
        """Describes all images by another model, while the index is searched and changed as ever;
        the one that it has goes on to serve until `cut_over`.

        Call it again after an interruption, or to describe what was added meanwhile: it goes on
        where it stopped. An index in a folder must be open with `subprocess=True`.

        Args:
            {options}

        Raises:
            InputError: another migration is under way, the index has this model, or another process
                has ended the migration meanwhile.
            QueryError: there is no such aspect.
            ModelError: the model cannot be loaded, or its vectors are of no use.
            DiskFull: the disk has no room for both; nothing was written.
        """
        chosen = with_defaults(MigrationOptions, options)
        engine = require_growing(self._engine)
        progress = chosen["progress"] or (lambda activity, done, total: None)
        part = None if chosen["partition"] is None else check_partition(chosen["partition"])
        progress("loading the model", 0, None)
        model = self._new_model(chosen)
        planned = phases.plan(self._manifests, chosen["aspect"], model)
        target = planned.target
        if planned.phase is Phase.FILLING:
            progress("making room", 0, None)
            engine.add_vector(target)
        phases.begin(self._manifests, planned)
        self._models.adopt(model.descriptor, target.name)
        web = web_files(chosen["private"], self._decoder.limits) if chosen["fetch"] else None
        with closing(Originals(self._loader, web)) as originals:
            filler = Filler(engine, model, self._decoder, originals.read, part or (1, 1))
            try:
                report = self._fill(engine, target, filler, progress, whole=part is None)
            except (EngineError, InputError):
                phases.require_target(self._manifests.read(), target)
                raise
        status = self.migration()
        if status is None:
            raise phases.ended(target)
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

    @documented(ShadowOptions)
    def compare_models(self, **options: Unpack[ShadowOptions]) -> ModelComparison:
        """Compares the results of both models of a migration for the same queries: stored images,
        and what people searched for where a service logs it.

        Args:
            {options}

        Raises:
            InputError: no migration is under way, its images are not described yet, or it is
                ending.
            QueryError: too few images, or a field that does not judge results.
        """
        self.refresh()
        manifest = self._manifest
        under_way = phases.require_both(manifest)
        both = manifest.vectors[under_way.source], manifest.vectors[under_way.target.name]
        logged = read_queries(state_folder(self._parts.url) / FILE)
        own = self._engine, manifest, *both
        return compare_models(*own, options, models=self._models, logged=logged)

    @documented(ShadowOptions)
    def review_migration(
        self, **options: Unpack[ShadowOptions]
    ) -> tuple[ModelComparison, tuple[GateResult, ...]]:
        """Returns the comparison of both models and, until the new one serves, the verdicts of the
        usual gates.

        Args:
            {options}

        Raises:
            InputError, QueryError: as `compare_models`.
        """
        status = self.migration()
        if status is not None and status.phase is Phase.READY:
            result = self.cut_over(**options, dry_run=True)
            if result.comparison is not None:
                return result.comparison, result.gates
        return self.compare_models(**options), ()

    @documented(CutOverOptions)
    def cut_over(self, **options: Unpack[CutOverOptions]) -> CutOver:
        """Has the new model serve its aspect from now on, for all processes, if it passes the
        gates; `roll_back` undoes it at once.

        The gates: 99.9 % of the images have its vector, it failed on none, its searches take at
        most 1.2 times as long, and their label precision is at most 0.01 lower.

        Args:
            {options}

        Raises:
            InputError: the migration is not ready, or there is no such gate.
        """
        chosen = with_defaults(CutOverOptions, options)
        gates = Gates.parse(chosen["require"])
        manifest = self._manifests.read()
        under_way = phases.require_ready(manifest)
        engine, name = require_growing(self._engine), under_way.target.name
        images, lacking = engine.count(), engine.count_lacking(name)
        filled = images if chosen["missing"] else images - lacking
        comparison = self._compared(chosen)
        results = gates.check(Evidence(filled, images, under_way.errors, comparison))
        passed = all(result.passed for result in results)
        if passed and not chosen["dry_run"]:
            if chosen["missing"] == "drop":
                self._drop_lacking(engine, name)
            after = manifest.serving(under_way.aspect, name)
            specs = [after.vectors[name] for name in after.aspects.values()]
            phases.cut_over(self._manifests, calibrate(engine, specs, engine.count()))
        return CutOver(passed and not chosen["dry_run"], results, comparison)

    def roll_back(self) -> None:
        """Has the old model serve its aspect again, as before `cut_over`.

        Raises:
            InputError: the new one does not serve.
        """
        phases.roll_back(self._manifests)

    def finish_migration(self, *, dry_run: bool = False) -> None:
        """Removes the vectors of the old model, after which there is no way back.

        Args:
            dry_run: check only whether it is time for that; change nothing.

        Raises:
            InputError: the new one does not serve yet.
        """
        self._end(cancel=False, dry_run=dry_run)

    def cancel_migration(self, *, dry_run: bool = False) -> None:
        """Gives a migration up: removes the vectors of the new model.

        Args:
            dry_run: check only whether that is possible; change nothing.

        Raises:
            InputError: none is under way, or the new model serves.
        """
        self._end(cancel=True, dry_run=dry_run)

    def prepare_models(self) -> None:
        """Loads both models of a migration that is ready, by describing something, so that no
        search waits for them after a cut-over by another process. A service does so by itself."""
        manifest = self._manifest
        if manifest.migration is None:
            return
        own = manifest.migration
        for name in {own.source, own.target.name} & manifest.vectors.keys() - self._prepared:
            self._prepared.add(name)
            with suppress(ModelError):  # a search that needs it says what is wrong
                embedding.try_out(self._models.descriptor(name))

    # --- inside -----------------------------------------------------------------------------

    def _end(self, *, cancel: bool, dry_run: bool) -> None:
        engine = require_growing(self._engine)
        phases.require_end(self._manifests.read(), cancel=cancel)
        if not dry_run:
            phases.end(self._manifests, engine, cancel=cancel)

    def _compared(self, chosen: Mapping[str, Any]) -> ModelComparison | None:
        """The comparison of both models; None where there are too few images for one."""
        options = {name: chosen[name] for name in options_of(ShadowOptions)}
        try:
            return self.compare_models(**options)
        except QueryError:
            if options["by"] is not None:
                raise
            return None

    def _drop_lacking(self, engine: GrowingEngine, name: str) -> None:
        """Removes the images without the new vector from the index."""
        while page := engine.lacking(name, None, _REMOVED):
            prune.remove(engine, page, self._cache)

    def _new_model(self, chosen: dict[str, Any]) -> NewModel:
        folder = None if chosen["model_dir"] is None else Path(chosen["model_dir"])
        model = with_precision(chosen["model"], chosen["precision"])
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
        phase = phases.current(self._manifests.read()).phase
        report = filler.fill(target.name, progress)
        if not whole:
            return report
        if phase is Phase.FILLING:
            progress("building the search graph", 0, None)
            engine.install_vector(target.name)
        phases.make_ready(self._manifests, report.errors)
        for _ in range(_PASSES):
            if engine.count_lacking(target.name) <= report.missed:
                break
            again = filler.fill(target.name, progress)
            report = replace(again, filled=report.filled + again.filled)
            phases.make_ready(self._manifests, report.errors)
        return report
