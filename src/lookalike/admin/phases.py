"""The phases of a migration, as the manifest records them: each begins by one change of it.

What a change requires is checked in the change itself, as other processes make some, too.
"""

from __future__ import annotations

from dataclasses import replace

from lookalike.admin.migration import GrowingEngine, NewModel
from lookalike.errors import InputError
from lookalike.manifest import Calibration, Manifest, Migration, Phase
from lookalike.manifest.store import ManifestStore
from lookalike.types import VectorSpec


def plan(manifests: ManifestStore, aspect: str, model: NewModel) -> Migration:
    """The migration to a model: a new one, or the one that was begun with the same model.

    Raises:
        InputError: another one is under way or ending, or the index has this very model.
    """
    target = replace(model.descriptor.spec, aspect=None)
    stored = manifests.read()
    if (current := stored.migration) is not None:
        _refuse_ending(stored)
        if not _is_same(current, aspect, target):
            raise InputError(_under_way(current))
        return current
    source = stored.aspects[aspect]
    own = stored.vectors[source]
    if _kind(own) == _kind(target):
        raise InputError(
            f"The index has {own.model} (revision {own.revision}) for {aspect!r} already: name "
            "another model."
        )
    return Migration(Phase.FILLING, aspect, target, source, model.files)


def begin(manifests: ManifestStore, migration: Migration) -> None:
    """Records a migration that was planned, once there is room for its vector.

    Raises:
        InputError: another one has begun meanwhile.
    """

    def change(manifest: Manifest) -> Manifest:
        if (under_way := manifest.migration) is None:
            return replace(manifest, migration=migration)
        if not _is_same(under_way, migration.aspect, migration.target):
            raise InputError(_under_way(under_way))
        return manifest

    manifests.update(change)


def make_ready(manifests: ManifestStore, errors: int) -> None:
    """From now on new images get both vectors.

    Args:
        manifests: of the index.
        errors: images that the new model failed on.
    """

    def change(manifest: Manifest) -> Manifest:
        migration = replace(current(manifest), errors=errors)
        if migration.phase is not Phase.FILLING:
            return replace(manifest, migration=migration)
        target = migration.target
        return replace(
            manifest,
            vectors={**manifest.vectors, target.name: target},
            further={**manifest.further, target.name: migration.files},
            migration=replace(migration, phase=Phase.READY),
        )

    manifests.update(change)


def require_target(manifest: Manifest, target: VectorSpec) -> None:
    """Checks that a migration is still to give the index a vector.

    Raises:
        InputError: another process has ended it.
    """
    migration = manifest.migration
    is_ended = migration is None or migration.phase is Phase.ENDING
    if is_ended and target.name not in manifest.vectors:
        raise ended(target)


def ended(target: VectorSpec) -> InputError:
    """The error for a run whose migration is over."""
    return InputError(f"The migration to {target.model} was ended by another process.")


def require_both(manifest: Manifest) -> Migration:
    """The migration during which the index has both vectors.

    Raises:
        InputError: none is under way, or the index does not have both yet, or any more.
    """
    migration = current(manifest)
    return migration if migration.phase is Phase.CUT_OVER else require_ready(manifest)


def require_ready(manifest: Manifest) -> Migration:
    """The migration that is ready for the cut-over.

    Raises:
        InputError: none is.
    """
    migration = current(manifest)
    _refuse_ending(manifest)
    if migration.phase is not Phase.READY:
        raise InputError(
            f"The migration is {migration.phase}, not ready: run `lookalike migrate start` to its "
            "end first."
        )
    return migration


def cut_over(manifests: ManifestStore, calibration: Calibration | None) -> None:
    """Has the new vector serve the aspect.

    Args:
        manifests: of the index.
        calibration: of the index with the new vector.

    Raises:
        InputError: the migration is not ready.
    """

    def change(manifest: Manifest) -> Manifest:
        require_ready(manifest)
        return _swapped(manifest, Phase.CUT_OVER, calibration)

    manifests.update(change)


def roll_back(manifests: ManifestStore) -> None:
    """Has the old vector serve the aspect again, with the calibration that it had.

    Raises:
        InputError: the new one does not serve.
    """

    def change(manifest: Manifest) -> Manifest:
        migration = current(manifest)
        if migration.phase is not Phase.CUT_OVER:
            raise InputError(f"The migration is {migration.phase}: there is nothing to roll back.")
        return _swapped(manifest, Phase.READY, migration.calibration)

    manifests.update(change)


def end(manifests: ManifestStore, engine: GrowingEngine, *, cancel: bool) -> str:
    """Ends a migration: removes the vector that serves no aspect; returns its name.

    Args:
        manifests: of the index.
        engine: holds the index.
        cancel: keeps the old model; otherwise the new one, which must serve.

    Raises:
        InputError: no migration is under way, the other model serves, or the migration is ending
            in the other way.
    """

    def change(manifest: Manifest) -> Manifest:
        migration = require_end(manifest, cancel=cancel)
        return _without(manifest, migration.target.name if cancel else migration.source)

    manifests.update(change)
    migration = current(manifests.current)
    dropped = migration.target.name if cancel else migration.source
    engine.drop_vector(dropped)
    manifests.update(lambda manifest: replace(manifest, migration=None))
    return dropped


def require_end(manifest: Manifest, *, cancel: bool) -> Migration:
    """The migration, which may end; see `end`.

    Raises:
        InputError: no migration is under way, the other model serves, or the migration is ending
            in the other way.
    """
    migration = current(manifest)
    serves = migration.phase is Phase.CUT_OVER
    if migration.phase is Phase.ENDING:
        if cancel is not _is_canceled(manifest):
            _refuse_ending(manifest)
        return migration
    if serves and cancel:
        raise InputError(
            "The new model serves already: run `lookalike migrate roll-back` before `cancel`."
        )
    if not serves and not cancel:
        raise InputError(
            f"The migration is {migration.phase}: run `lookalike migrate cut-over` before "
            "`finish`, or `cancel` to give it up."
        )
    return migration


def _swapped(manifest: Manifest, phase: Phase, calibration: Calibration | None) -> Manifest:
    """The manifest with the other of the two vectors in service."""
    migration = current(manifest)
    name = migration.target.name if phase is Phase.CUT_OVER else migration.source
    return replace(
        manifest.serving(migration.aspect, name),
        calibration=calibration,
        migration=replace(migration, phase=phase, calibration=manifest.calibration),
    )


def _without(manifest: Manifest, name: str) -> Manifest:
    """The manifest without a vector, which is to be removed from the points as well."""
    return replace(
        manifest,
        vectors={one: spec for one, spec in manifest.vectors.items() if one != name},
        further={one: files for one, files in manifest.further.items() if one != name},
        migration=replace(current(manifest), phase=Phase.ENDING),
    )


def current(manifest: Manifest) -> Migration:
    """The migration that is under way.

    Raises:
        InputError: none is.
    """
    if manifest.migration is None:
        raise InputError(
            "No migration is under way: begin one with `lookalike migrate start --model NAME`."
        )
    return manifest.migration


def _is_canceled(manifest: Manifest) -> bool:
    """True if the migration that is ending is one that was given up."""
    return current(manifest).target.name not in manifest.vectors


def _refuse_ending(manifest: Manifest) -> None:
    """Raises InputError for a migration whose end was cut off."""
    if current(manifest).phase is Phase.ENDING:
        command = "cancel" if _is_canceled(manifest) else "finish"
        raise InputError(
            f"The migration is ending: run `lookalike migrate {command}` once more first."
        )


def _is_same(migration: Migration, aspect: str, target: VectorSpec) -> bool:
    return migration.aspect == aspect and _kind(migration.target) == _kind(target)


def _kind(spec: VectorSpec) -> tuple[object, ...]:
    """All of a spec but its name and its aspect, which a migration chooses."""
    return spec.model, spec.revision, spec.size, spec.distance, spec.datatype


def _under_way(migration: Migration) -> str:
    return (
        f"A migration to {migration.target.model} is under way ({migration.phase}): end it with "
        "`lookalike migrate finish` or `cancel` first."
    )
