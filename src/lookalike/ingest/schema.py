"""Field types of an index: declared by the user, inferred from values, stored for good."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from lookalike.errors import InputError
from lookalike.fields import (
    USER_TYPES,
    Field,
    describe_type,
    is_missing,
    kind_of,
    kind_of_text,
    parse_value,
    quoted,
    user_field,
    widened,
)
from lookalike.manifest import Manifest
from lookalike.manifest.store import ManifestStore
from lookalike.metadata.columns import Column, Evidence, Rules
from lookalike.metadata.notation import Decimal
from lookalike.metadata.readers import MetadataWarning
from lookalike.protocols import Engine
from lookalike.system.text import count, with_article
from lookalike.types import FieldType, Missing, Not

Pause: TypeAlias = Callable[[], object]
"""Lets other writers go first, between two steps of a long change."""


def no_pause() -> None:
    """Goes on at once."""


def declared_types(types: Mapping[str, FieldType | str]) -> dict[str, FieldType]:
    """Returns the types that the user declares for fields.

    Raises:
        InputError: there is no such type.
    """
    for name, type in types.items():
        if type not in USER_TYPES:
            raise InputError(
                f"{type!r} is not a field type (for {name}): use one of {', '.join(USER_TYPES)}."
            )
    return {name: FieldType(type) for name, type in types.items()}


@dataclass(frozen=True, slots=True)
class Retyping:
    """A change of the type of a field that the index has.

    Attributes:
        field: the field with its new type.
        column: reads the stored values.
        misfits: ids and values of the images whose value does not fit.
    """

    field: Field
    column: Column
    misfits: Sequence[tuple[str, Any]] = ()

    @classmethod
    def of(cls, engine: Engine, field: Field, decimal: Decimal | None, pause: Pause) -> Retyping:
        """Decides from all stored values of a field how to read them."""
        evidence = Evidence()
        for points in engine.scroll(Not(Missing(field.path))):
            for point in points:
                value = point.payload[field.name]
                kind = kind_of_text(value) if isinstance(value, str) else kind_of(value)
                evidence.add(value, kind)
            pause()
        rules = Rules({}, {field.name: field.type}, decimal, texts=True)
        column = rules.decide({field.name: evidence}).get(field.name)
        return cls(field, column or Column(field.type))

    def convert(self, engine: Engine, pause: Pause) -> Retyping:
        """Converts the stored values; returns the change with those that do not fit."""
        misfits: list[tuple[str, Any]] = []
        for points in engine.scroll(Not(Missing(self.field.path))):
            for point in points:
                old = point.payload[self.field.name]
                try:
                    new = self.column.parse(old)
                except InputError:
                    misfits.append((point.id, old))
                    continue
                if new != old or new.__class__ is not old.__class__:
                    engine.set_payload(point.id, {self.field.name: new})
            pause()  # others may write what was read, but not before it is used
        return replace(self, misfits=misfits)


def retypings(
    engine: Engine,
    manifests: ManifestStore,
    declared: Mapping[str, FieldType],
    decimal: Decimal | None,
    pause: Pause,
) -> list[Retyping]:
    """The fields whose declared type is not the one that they have in the index."""
    known = manifests.read().fields
    return [
        Retyping.of(engine, user_field(name, type), decimal, pause)
        for name, type in declared.items()
        if known.get(name, type) is not type
    ]


def retype(
    engine: Engine, manifests: ManifestStore, changes: Sequence[Retyping], pause: Pause
) -> list[Retyping]:
    """Converts the stored values of fields, and stores their new types; returns the changes with
    the values that do not fit.

    A run that is cut off before the types are stored is completed by the next. So are values that
    others write in between.
    """
    done = []
    for change in changes:
        done.append(change.convert(engine, pause))
        engine.create_field_index(change.field.path, change.field.type)
    if changes:
        types = {change.field.name: change.field.type for change in changes}
        manifests.update(lambda manifest: manifest.with_fields(types))
    return done


def misfit_warnings(changes: Sequence[Retyping]) -> list[MetadataWarning]:
    """A warning for each field of which stored values do not fit its new type."""
    warnings = []
    for change in changes:
        if change.misfits:
            examples = ", ".join(f"{quoted(value)} of {id}" for id, value in change.misfits[:3])
            values = count(len(change.misfits), "stored value is", "stored values are")
            detail = (
                f"{values} not {describe_type(change.field.type)}, left as before and not found by "
                f"filters, such as {examples}"
            )
            warnings.append(MetadataWarning(0, detail, column=change.field.name))
    return warnings


def infer_types(
    records: Iterable[Mapping[str, Any]], known: Mapping[str, FieldType]
) -> dict[str, FieldType]:
    """The types of all fields with values in some records.

    A new field has the type of its first value. Whole numbers become floats with the first
    fraction, also in a field of the index.

    Args:
        records: values by field name.
        known: the types of the index's fields.

    Raises:
        InputError: a field has a name or a value that no field can have.
    """
    types: dict[str, FieldType] = {}
    for name, value in ((name, value) for record in records for name, value in record.items()):
        if is_missing(value):
            user_field(name, FieldType.KEYWORD)
            continue
        type = types.get(name) or known.get(name) or kind_of(value)
        if type is None:
            raise InputError(
                f"{name} cannot be {quoted(value)}: give a number, a text, true or false, or a "
                "list of texts."
            )
        types[user_field(name, type).name] = widened(type, value)
    return types


def parse_fields(fields: Mapping[str, Any], types: Mapping[str, FieldType]) -> dict[str, Any]:
    """The values of fields as the payload holds them; None, which clears a field, for missing ones.

    Raises:
        InputError: a value does not fit the type of its field.
    """
    return {
        name: None if is_missing(value) else _parse(name, types[name], value)
        for name, value in fields.items()
    }


def set_fields(
    engine: Engine, manifests: ManifestStore, id: str, fields: Mapping[str, Any]
) -> None:
    """Sets fields of a stored point; see `Index.update`."""
    types = infer_types([fields], manifests.read().fields)
    values = parse_fields(fields, types)
    learn_new_types(engine, manifests, types)
    engine.set_payload(id, values)


def learn_fields(
    engine: Engine, manifests: ManifestStore, records: Iterable[Mapping[str, Any]], pause: Pause
) -> None:
    """Stores the types of new fields in some records; see `Index.learn_fields`."""
    records = list(records)
    types = infer_types(records, manifests.read().fields)
    for fields in records:
        parse_fields(fields, types)
    learn_new_types(engine, manifests, types, pause)


def learn_new_types(
    engine: Engine,
    manifests: ManifestStore,
    types: Mapping[str, FieldType],
    pause: Pause = no_pause,
) -> None:
    """Stores the types of the fields that are new to the index or have become wider."""
    known = manifests.current.fields
    if any(known.get(name) is not type for name, type in types.items()):
        learn_types(engine, manifests, types, pause)


def learn_types(
    engine: Engine,
    manifests: ManifestStore,
    types: Mapping[str, FieldType],
    pause: Pause = no_pause,
) -> None:
    """Stores the types of fields, and makes the fields fast to filter by, one after the other.

    A field takes a tenth of a second at 20,000 images, so other writers may go first before each.
    What they learn meanwhile counts. A run that is cut off leaves whole fields.

    Raises:
        InputError: a field has another type, such as from another process, or there are too many.
    """
    known = manifests.read().fields
    merged = _merged(types, known)
    manifests.require_room(merged)
    for name, type in merged.items():
        if known.get(name) is not type:
            pause()
            manifests.require_room([name])
            (type,) = _merged({name: type}, manifests.read().fields).values()
        field = user_field(name, type)
        engine.create_field_index(field.path, field.type)
        if known.get(name) is not type:
            manifests.update(partial(Manifest.with_fields, fields={name: type}))


def _merged(types: Mapping[str, FieldType], known: Mapping[str, FieldType]) -> dict[str, FieldType]:
    """The types with those of the index, where whole numbers may become floats.

    Raises:
        InputError: a field has another type in the index.
    """
    numbers = {FieldType.INTEGER, FieldType.FLOAT}
    floats = {name: FieldType.FLOAT for name in types if {types[name], known.get(name)} == numbers}
    for name, type in types.items():
        if name not in floats and known.get(name, type) is not type:
            raise InputError(
                f"{name} is {with_article(known[name])} in this index, not {with_article(type)}: "
                f"to change its type, use --field {name}={type}."
            )
    return {**types, **floats}


def _parse(name: str, type: FieldType, value: Any) -> Any:
    try:
        return parse_value(type, value)
    except InputError as error:
        raise InputError(f"{name} is {with_article(type)} in this index, and {error}.") from error
