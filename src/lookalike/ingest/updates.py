"""Updates of the fields of many images; vectors and files are left alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lookalike.errors import MetadataError
from lookalike.ingest.items import is_same
from lookalike.ingest.schema import infer_types, learn_new_types, parse_fields
from lookalike.manifest import ManifestStore
from lookalike.metadata.readers import MetadataWarning
from lookalike.metadata.table import read_metadata
from lookalike.protocols import Engine
from lookalike.system.inputs import Id, id_of
from lookalike.system.iteration import batched

BATCH = 1_000
"""Images that are looked up together."""
EXAMPLES = 20
"""Unknown ids that a report names."""


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """The result of an update of many images.

    Attributes:
        updated: images whose fields were changed, or would be.
        unchanged: images that have these values already.
        unknown: ids that no image has.
        examples: some of these ids.
        warnings: values that were left out because they do not fit their column.
        dry_run: whether nothing was written.
    """

    updated: int = 0
    unchanged: int = 0
    unknown: int = 0
    examples: tuple[str, ...] = ()
    warnings: tuple[MetadataWarning, ...] = ()
    dry_run: bool = False


def update_many(
    engine: Engine,
    manifests: ManifestStore,
    changes: Mapping[Id, Mapping[str, Any]] | Iterable[tuple[Id, Mapping[str, Any]]],
    *,
    dry_run: bool = False,
) -> UpdateReport:
    """Sets fields of many images; see `Index.update_many`."""
    pairs = changes.items() if isinstance(changes, Mapping) else changes
    report = UpdateReport(dry_run=dry_run)
    for batch in batched(((id_of(id), fields) for id, fields in pairs), BATCH):
        report = _plus(report, _update_batch(engine, manifests, batch, dry_run=dry_run))
    return report


def update_from(
    engine: Engine,
    manifests: ManifestStore,
    file: str | os.PathLike[str],
    *,
    id_field: str | None = None,
    encoding: str | None = None,
    dry_run: bool = False,
) -> UpdateReport:
    """Sets fields from a metadata file; see `Index.update_from`."""
    known = manifests.read().fields
    with read_metadata(Path(file), id_field=id_field, known=known, encoding=encoding) as table:
        if table.id_field is None:
            raise MetadataError(f"{file} has no column of ids: name it with --id-field.")
        manifests.require_room(table.fields)
        report = update_many(engine, manifests, _changes(table.rows()), dry_run=dry_run)
        return replace(report, warnings=tuple(table.warnings))


def _changes(rows: Iterable[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for row in rows:
        if row.id is not None:
            yield row.id, row.fields


def _update_batch(
    engine: Engine,
    manifests: ManifestStore,
    batch: list[tuple[str, Mapping[str, Any]]],
    *,
    dry_run: bool,
) -> UpdateReport:
    stored = {point.id: point.payload for point in engine.retrieve([id for id, _ in batch])}
    types = infer_types((fields for _, fields in batch), manifests.read().fields)
    parsed = [(id, parse_fields(fields, types)) for id, fields in batch]
    if not dry_run:
        learn_new_types(engine, manifests, types)
    updated = unchanged = 0
    for id, fields in parsed:
        if id not in stored:
            continue
        before = stored[id]
        changed = {n: value for n, value in fields.items() if not is_same(before.get(n), value)}
        updated, unchanged = updated + bool(changed), unchanged + (not changed)
        if changed and not dry_run:
            engine.set_payload(id, changed)
    unknown = [id for id, _ in batch if id not in stored]
    return UpdateReport(updated, unchanged, len(unknown), tuple(unknown), dry_run=dry_run)


def _plus(one: UpdateReport, other: UpdateReport) -> UpdateReport:
    return replace(
        one,
        updated=one.updated + other.updated,
        unchanged=one.unchanged + other.unchanged,
        unknown=one.unknown + other.unknown,
        examples=(*one.examples, *other.examples)[:EXAMPLES],
    )
