"""A search request: its options and their validation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias, get_args

from lookalike.errors import QueryError
from lookalike.search.colors import ColorInput
from lookalike.search.targets import Box
from lookalike.types import ImageInput

Strategy: TypeAlias = Literal["average", "best", "sum"]

Where: TypeAlias = str | Mapping[str, Any]
"""A filter: a text of the `where` language, or one of Qdrant's as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One search as it is asked for; see `Index.search` and `Index.recommend`."""

    image: ImageInput | Sequence[ImageInput] | None = None
    id: str | Sequence[str] | None = None
    text: str | Sequence[str] | None = None
    negative_text: str | Sequence[str] | None = None
    color: ColorInput | None = None
    crop: Box | None = None
    like: ImageInput | Sequence[ImageInput] = ()
    unlike: ImageInput | Sequence[ImageInput] = ()
    strategy: Strategy = "average"
    files: bool = True
    weights: Mapping[str, float] | str | None = None
    calibration: Literal["spread", "none"] = "spread"
    where: Where | None = None
    limit: int = 10
    offset: int = 0
    diversity: float = 0.0
    collapse: bool = False
    relevant: bool = False
    exact: bool = False

    def __post_init__(self) -> None:
        """Raises QueryError for what no index could answer."""
        for name, fits in _FITS.items():
            value = getattr(self, name)
            if value is not None and not fits(value):
                raise QueryError(f"{name} cannot be {value!r} in a query.")
        if self.limit < 1 or self.offset < 0:
            raise QueryError(
                f"limit is {self.limit} and offset {self.offset}: ask for at least 1 image, "
                "from 0 on."
            )
        if not 0 <= self.diversity <= 1:
            raise QueryError(f"diversity is {self.diversity}: give a number from 0 (off) to 1.")
        if self.calibration not in ("spread", "none"):
            raise QueryError(f"There is no calibration {self.calibration!r}: it is spread or none.")
        if self.strategy not in get_args(Strategy):
            raise QueryError(
                f"There is no strategy {self.strategy!r}: it is {', '.join(get_args(Strategy))}."
            )

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Request:
        """A request from its fields by name, as a file of queries holds them.

        Raises:
            QueryError: there is no such field, or a value is of the wrong type.
        """
        if not isinstance(fields, Mapping):
            raise QueryError(f"A query has fields by name, and this is {fields!r}.")
        for name in fields:
            if name not in _FITS:
                raise QueryError(f"A query has no {name!r}; it can have {', '.join(_FITS)}.")
        return cls(**{name: value for name, value in fields.items() if value is not None})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_image(value: Any) -> bool:
    return isinstance(value, str | bytes | os.PathLike)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(map(fits, value))


def _either(*fit: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: any(fits(value) for fits in fit)


def _numbers_by_name(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_number, value.values()))


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "image": _either(_is_image, _list_of(_is_image)),
    "id": _either(_is_text, _list_of(_is_text)),
    "text": _either(_is_text, _list_of(_is_text)),
    "negative_text": _either(_is_text, _list_of(_is_text)),
    "color": _either(_is_text, _list_of(_is_text), _numbers_by_name),
    "crop": _list_of(_is_number),
    "like": _either(_is_image, _list_of(_is_image)),
    "unlike": _either(_is_image, _list_of(_is_image)),
    "strategy": _is_text,
    "files": lambda value: isinstance(value, bool),
    "weights": _either(_is_text, _numbers_by_name),
    "calibration": _is_text,
    "where": _either(_is_text, lambda value: isinstance(value, Mapping)),
    "limit": _is_whole,
    "offset": _is_whole,
    "diversity": _is_number,
    "collapse": lambda value: isinstance(value, bool),
    "relevant": lambda value: isinstance(value, bool),
    "exact": lambda value: isinstance(value, bool),
}
"""What fits a field of a query that is given as data."""
