"""Field types of an index: declared, inferred, learned."""

from __future__ import annotations

from collections.abc import Mapping

from lookalike.errors import InputError
from lookalike.types import FieldType

# --- metadata -------------------------------------------------------------------------------


def declared_types(
    types: Mapping[str, FieldType | str], known: Mapping[str, FieldType]
) -> dict[str, FieldType]:
    """The types that the user sets, which must not contradict those the index has.

    Raises:
        InputError: there is no such type, or the field has another.
    """
    for name, type in types.items():
        if type not in list(FieldType):
            raise InputError(f"{type!r} is no type for {name}; there are {', '.join(FieldType)}.")
        if known.get(name, type) != type:
            raise InputError(
                f"{name} is a {known[name]} in this index and stays one: index into a new folder "
                f"to make it a {type}."
            )
    return {name: FieldType(type) for name, type in types.items()}
