"""Updates of the fields of many images; vectors and files are left alone."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from lookalike.errors import InputError, MetadataError, QueryError
from lookalike.fields import Field, parse_value
from lookalike.filters.conditions import equals
from lookalike.ingest.items import is_same
from lookalike.ingest.schema import infer_types, learn_new_types, parse_fields
from lookalike.manifest import Manifest
from lookalike.manifest.store import ManifestStore
from lookalike.metadata.readers import MetadataWarning
from lookalike.metadata.table import read_metadata
from lookalike.protocols import Engine
from lookalike.system.display import Displayed
from lookalike.system.inputs import Id, id_of
from lookalike.system.iteration import batched
from lookalike.types import FieldType, Point

BATCH = 1_000
"""Images that are looked up together."""
EXAMPLES = 20
"""Unknown ids that a report names."""

Lookup: TypeAlias = Callable[[Sequence[str]], Mapping[str, Sequence[Point]]]
"""Finds the images of some keys, by key."""


@dataclass(frozen=True, slots=True)
class UpdateReport(Displayed):
    """The result of an update of many images.

    Attributes:
        updated: images whose fields were changed, or would be.
        unchanged: images that have these values already.
        unknown: ids, or values of the field that names images, that no image has.
        examples: some of these.
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
    named = ((id_of(id), fields) for id, fields in pairs)
    return _update(engine, manifests, named, partial(_with_ids, engine), dry_run=dry_run)


def _update(
    engine: Engine,
    manifests: ManifestStore,
    changes: Iterable[tuple[str, Mapping[str, Any]]],
    lookup: Lookup,
    *,
    dry_run: bool,
) -> UpdateReport:
    report = UpdateReport(dry_run=dry_run)
    for batch in batched(changes, BATCH):
        report = _plus(report, _update_batch(engine, manifests, batch, lookup, dry_run=dry_run))
    return report


def update_from(
    engine: Engine,
    manifests: ManifestStore,
    file: str | os.PathLike[str],
    *,
    by: str | None = None,
    id_field: str | None = None,
    encoding: str | None = None,
    dry_run: bool = False,
) -> UpdateReport:
    """Sets fields from a metadata file; see `Index.update_from`."""
    manifest = manifests.read()
    lookup = partial(_with_ids, engine)
    if by is not None:
        lookup = partial(_with_values, engine, _key_field(by, manifest))
    column = id_field or by
    known = manifest.fields
    with read_metadata(Path(file), id_field=column, known=known, encoding=encoding) as table:
        if table.id_field is None:
            raise MetadataError(f"{file} has no column of ids: name it with --id-field.")
        manifests.require_room(table.fields)
        changes = _changes(table.rows())
        report = _update(engine, manifests, changes, lookup, dry_run=dry_run)
        return replace(report, warnings=tuple(table.warnings))


def _key_field(name: str, manifest: Manifest) -> Field:
    """The field whose values name images in a file.

    Raises:
        QueryError: there is no such field of the user's, or its values are not keys.
    """
    keys = {FieldType.KEYWORD, FieldType.INTEGER}
    usable = [known for known, type in manifest.fields.items() if type in keys]
    if name not in usable:
        raise QueryError(
            f"Images cannot be named by {name!r}: use a field of short texts or whole numbers, "
            f"{', '.join(usable) or 'which this index has not'}."
        )
    return manifest.all_fields[name]


def _with_ids(engine: Engine, ids: Sequence[str]) -> dict[str, Sequence[Point]]:
    return {point.id: [point] for point in engine.retrieve(ids)}


def _with_values(engine: Engine, field: Field, keys: Sequence[str]) -> dict[str, Sequence[Point]]:
    """The images that have one of these values in a field, by the value as the file has it."""
    values: dict[Any, str] = {}
    for key in keys:
        with suppress(InputError):  # a value that does not fit the field is that of no image
            values[parse_value(field.type, key)] = key
    found: dict[str, list[Point]] = defaultdict(list)
    if values:
        for points in engine.scroll(equals(field, list(values))):
            for point in points:
                found[values[point.payload[field.name]]].append(point)
    return dict(found)


def _changes(rows: Iterable[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for row in rows:
        if row.id is not None:
            yield row.id, row.fields


def _update_batch(
    engine: Engine,
    manifests: ManifestStore,
    batch: list[tuple[str, Mapping[str, Any]]],
    lookup: Lookup,
    *,
    dry_run: bool,
) -> UpdateReport:
    stored = lookup([key for key, _ in batch])
    types = infer_types((fields for _, fields in batch), manifests.read().fields)
    parsed = [(key, parse_fields(fields, types)) for key, fields in batch]
    if not dry_run:
        learn_new_types(engine, manifests, types)
    updates: list[tuple[str, Mapping[str, Any]]] = []
    named = [(point, fields) for key, fields in parsed for point in stored.get(key, ())]
    for point, fields in named:
        before = point.payload
        changed = {n: value for n, value in fields.items() if not is_same(before.get(n), value)}
        if changed:
            updates.append((point.id, changed))
    if updates and not dry_run:
        engine.set_payloads(updates)
    updated, unchanged = len(updates), len(named) - len(updates)
    unknown = [key for key, _ in batch if key not in stored]
    return UpdateReport(updated, unchanged, len(unknown), tuple(unknown), dry_run=dry_run)


def _plus(one: UpdateReport, other: UpdateReport) -> UpdateReport:
    return replace(
        one,
        updated=one.updated + other.updated,
        unchanged=one.unchanged + other.unchanged,
        unknown=one.unknown + other.unknown,
        examples=(*one.examples, *other.examples)[:EXAMPLES],
    )
