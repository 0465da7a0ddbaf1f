"""Declared options: each interface derives its options from one declaration.

A set of options is a `TypedDict` whose keys are annotated with an `Option`. From it come the
signature and docstring of a method (`documented`), the check of values (`check`), the options of a
command (`cli.options`) and the schema of a request (`api.schemas`).

Nothing here or in `search.request` imports NumPy, so that the command line shows its help without
waiting for it.
"""

from __future__ import annotations

import inspect
import math
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cache, wraps
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from lookalike.errors import QueryError
from lookalike.system.inputs import ArrayLike, NumberArray, ReadableFile, TensorLike

F = TypeVar("F", bound=Callable[..., Any])

_INDENT = " " * 12

LARGEST = 2**63 - 1
"""The largest whole number that an option takes."""


@dataclass(frozen=True, slots=True)
class Option:
    """Metadata of an option: the second argument of its `Annotated`.

    Attributes:
        help: one or two sentences for `help()`, `--help` and the OpenAPI document.
        default: value of an option that is left out.
        metavar: placeholder for the value on the command line.
        flag: spelling on the command line, if it is not that of the name, such as "--param".
        short: one-letter spelling on the command line, such as "-k".
        least, most: bounds of a number, both included.
        type: the annotated type, which `options_of` fills in.
    """

    help: str
    default: Any = None
    _: KW_ONLY
    metavar: str | None = None
    flag: str | None = None
    short: str | None = None
    least: float | None = None
    most: float | None = None
    type: Any = None


@cache
def options_of(declaration: type) -> Mapping[str, Option]:
    """The options of a declaration by name, in its order."""
    options = {}
    for name, hint in get_type_hints(declaration, include_extras=True).items():
        annotated, option = get_args(hint)
        options[name] = replace(option, type=annotated)
    return options


def with_defaults(declaration: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the defaults of the options that are left out."""
    options = options_of(declaration)
    return {name: values.get(name, option.default) for name, option in options.items()}


# --- checking values ------------------------------------------------------------------------


def check(declaration: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Checks values, and adds the defaults of options without one; None counts as none.

    Raises:
        QueryError: an unknown name, or a value of another type or out of bounds.
    """
    options = options_of(declaration)
    for name, value in values.items():
        if name not in options:
            raise QueryError(f"There is no option {name!r:.80}; a query has {', '.join(options)}.")
        if value is not None:
            _check_value(name, options[name], value)
    return {
        name: option.default if values.get(name) is None else values[name]
        for name, option in options.items()
    }


def _check_value(name: str, option: Option, value: Any) -> None:
    if _is_too_large(value):
        raise QueryError(f"{name} has a whole number beyond {LARGEST:,}: give a smaller one.")
    if not _checker(option.type)(value):
        raise QueryError(f"{name} must be {_describe(option.type)} (got {value!r:.80}).")
    if option.least is None and option.most is None:
        return
    least = -math.inf if option.least is None else option.least
    most = math.inf if option.most is None else option.most
    if not least <= value <= most:
        bounds = f"at least {least:g}" if option.most is None else f"from {least:g} to {most:g}"
        raise QueryError(f"{name} must be {bounds} (got {value!r:.80}).")


def _is_too_large(value: Any) -> bool:
    """True for a whole number that no engine takes, and for a list or mapping with one."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(isinstance(one, int) and abs(one) > LARGEST for one in value)
    return isinstance(value, int) and abs(value) > LARGEST


def is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


@cache
def _checker(hint: Any) -> Callable[[Any], bool]:
    """A function that checks values of a type."""
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if is_union(hint):
        parts = [_checker(part) for part in arguments]
        return lambda value: any(fits(value) for fits in parts)
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in arguments
    if origin is Sequence:
        (fits,) = map(_checker, arguments)
        return lambda value: isinstance(value, list | tuple) and all(map(fits, value))
    if origin is Mapping:
        _, fits = map(_checker, arguments)
        return lambda value: isinstance(value, Mapping) and all(map(fits, value.values()))
    if origin in (int, float):
        kind = Integral if origin is int else Real
        return lambda value: isinstance(value, kind) and not isinstance(value, bool)
    return lambda value: origin is Any or isinstance(value, origin)


def _describe(hint: Any, *, plural: bool = False) -> str:
    """Words for the values of a type."""
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if is_union(hint):
        kinds = [part for part in arguments if part is not NoneType]
        parts = list(dict.fromkeys(_describe(part, plural=plural) for part in kinds))
        return "these" if plural and len(parts) > 1 else _either(parts)
    if origin is Literal:
        return _either(arguments)
    if origin is Sequence:
        lists = "lists" if plural else "a list"
        return f"{lists} of {_describe(arguments[0], plural=True)}"
    if origin is Mapping:
        return f"{_describe(arguments[1], plural=True)} by name"
    return _WORDS[origin][plural]


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


_WORDS: Mapping[Any, tuple[str, str]] = {
    bool: ("true or false", "true and false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
    UUID: ("a UUID", "UUIDs"),
    bytes: ("bytes", "bytes"),
    bytearray: ("bytes", "bytes"),
    memoryview: ("bytes", "bytes"),
    ReadableFile: ("an open file", "open files"),
    ArrayLike: ("a picture", "pictures"),
    TensorLike: ("a picture", "pictures"),
    NumberArray: ("a list of numbers", "lists of numbers"),
    os.PathLike: ("a path", "paths"),
    Any: ("a value", "values"),
}


# --- methods --------------------------------------------------------------------------------


def documented(declaration: type) -> Callable[[F], F]:
    """Decorates a method that takes options as `**options`.

    Its signature lists them, its docstring has their help in place of `{options}`, and any other
    name is a `TypeError`.
    """
    options = options_of(declaration)

    def decorate(method: F) -> F:
        named = inspect.signature(method)
        own = [p for p in named.parameters.values() if p.kind is not p.VAR_KEYWORD]
        declared = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=one.type
            )
            for name, one in options.items()
        ]
        known = {*options, *(parameter.name for parameter in own)}

        @wraps(method)
        def checked(*arguments: Any, **values: Any) -> Any:
            for name in values:
                if name not in known:
                    raise TypeError(
                        f"{method.__name__}() got an unexpected keyword argument {name!r}"
                    )
            return method(*arguments, **values)

        checked.__signature__ = named.replace(parameters=[*own, *declared])  # type: ignore[attr-defined]
        checked.__doc__ = (method.__doc__ or "").replace("{options}", _help(options).lstrip())
        return checked  # type: ignore[return-value]

    return decorate


def _help(options: Mapping[str, Option]) -> str:
    return "\n".join(
        textwrap.fill(
            f"{name}: {option.help}",
            100,
            initial_indent=_INDENT,
            subsequent_indent=_INDENT + " " * 4,
        )
        for name, option in options.items()
    )
