"""Field types of an index: declared by the user, inferred from values, stored for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lookalike.errors import InputError
from lookalike.fields import is_missing, kind_of, parse_value, quoted, user_field, widened
from lookalike.manifest import ManifestStore
from lookalike.protocols import Engine
from lookalike.types import FieldType


def check_types(
    types: Mapping[str, FieldType | str], known: Mapping[str, FieldType]
) -> dict[str, FieldType]:
    """Returns the types that the user declares for fields.

    Raises:
        InputError: there is no such type, or the field has another in the index.
    """
    for name, type in types.items():
        if type not in list(FieldType):
            raise InputError(
                f"{type!r} is not a field type (for {name}): use one of {', '.join(FieldType)}."
            )
        if known.get(name, type) != type:
            raise InputError(
                f"{name} is a {known[name]} in this index and cannot become a {type}: to change "
                "its type, index into a new folder."
            )
    return {name: FieldType(type) for name, type in types.items()}


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


def learn_new_types(
    engine: Engine, manifests: ManifestStore, types: Mapping[str, FieldType]
) -> None:
    """Stores the types of the fields that are new to the index or have become wider."""
    known = manifests.current.fields
    if any(known.get(name) is not type for name, type in types.items()):
        learn_types(engine, manifests, types)


def learn_types(engine: Engine, manifests: ManifestStore, types: Mapping[str, FieldType]) -> None:
    """Stores the types of fields, and makes the fields fast to filter by.

    Raises:
        InputError: a field has another type, such as from another process.
    """
    merged = _merged(types, manifests.read().fields)
    for name, type in merged.items():
        field = user_field(name, type)
        engine.create_field_index(field.path, field.type)
    manifests.update(lambda manifest: manifest.with_fields(merged))


def _merged(types: Mapping[str, FieldType], known: Mapping[str, FieldType]) -> dict[str, FieldType]:
    """The types with those of the index, where whole numbers may become floats.

    Raises:
        InputError: a field has another type in the index.
    """
    numbers = {FieldType.INTEGER, FieldType.FLOAT}
    floats = {name: FieldType.FLOAT for name in types if {types[name], known.get(name)} == numbers}
    check_types({name: type for name, type in types.items() if name not in floats}, known)
    return {**types, **floats}


def _parse(name: str, type: FieldType, value: Any) -> Any:
    try:
        return parse_value(type, value)
    except InputError as error:
        raise InputError(f"{name} is a {type} in this index, and {error}.") from error
