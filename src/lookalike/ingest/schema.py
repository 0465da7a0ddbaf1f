"""Field types of an index: declared by the user, inferred from values, stored for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lookalike.errors import InputError
from lookalike.fields import kind_of, parse_value, quoted, user_field
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
    """The types of all fields in some records; a new field has the type of its first value.

    Args:
        records: values by field name.
        known: the types of the index's fields.

    Raises:
        InputError: a new field has a name or a value that no field can have.
    """
    types: dict[str, FieldType] = {}
    for name, value in ((name, value) for record in records for name, value in record.items()):
        type = types.get(name) or known.get(name) or kind_of(value)
        if type is None:
            raise InputError(
                f"{name} cannot be {quoted(value)}: give a number, a text, true or false, or a "
                "list of texts."
            )
        types[user_field(name, type).name] = type
    return types


def parse_fields(fields: Mapping[str, Any], types: Mapping[str, FieldType]) -> dict[str, Any]:
    """The values of fields as the payload holds them.

    Raises:
        InputError: a value does not fit the type of its field.
    """
    return {name: _parse(name, types[name], value) for name, value in fields.items()}


def parse_update(fields: Mapping[str, Any], known: Mapping[str, FieldType]) -> dict[str, Any]:
    """The values for an update of some fields; None, which removes a field, stays as it is.

    Raises:
        InputError: the index has no such field, or a value does not fit its type.
    """
    unknown = next((name for name in fields if name not in known), None)
    if unknown is not None:
        raise InputError(
            f"There is no field {unknown!r} to set: this index has "
            f"{', '.join(known) or 'none yet, metadata brings them'}."
        )
    return {
        name: None if value is None else _parse(name, known[name], value)
        for name, value in fields.items()
    }


def learn_types(engine: Engine, manifests: ManifestStore, types: Mapping[str, FieldType]) -> None:
    """Stores the types of fields, and makes the fields fast to filter by.

    Raises:
        InputError: a field has another type, such as from another process.
    """
    check_types(types, manifests.read().fields)
    for name, type in types.items():
        field = user_field(name, type)
        engine.create_field_index(field.path, field.type)
    manifests.update(lambda manifest: manifest.with_fields(types))


def _parse(name: str, type: FieldType, value: Any) -> Any:
    try:
        return parse_value(type, value)
    except InputError as error:
        raise InputError(f"{name} is a {type} in this index, and {error}.") from error
