"""Search requests: the options of a search, each declared once.

An entry here gives an option its type, default, help and bounds in Python, on the command line, in
a batch, and over HTTP; see `options`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Annotated, Any, Literal, TypeAlias, TypedDict, cast
from uuid import UUID

from lookalike.errors import QueryError
from lookalike.options import Option, check
from lookalike.system.inputs import (
    Id,
    ImageInput,
    NumberArray,
    id_of,
    ids_of,
    is_one_image,
    plain_image,
)

ColorInput: TypeAlias = str | Sequence[str] | Mapping[str, float]
"""One color; several, each with a share ("navy=0.6") or without; or shares by name."""

Box: TypeAlias = Sequence[float]
"""A part of a picture: x, y, width, height as shares of the whole, from the upper left corner."""

Numbers: TypeAlias = Sequence[float] | NumberArray

VectorInput: TypeAlias = Mapping[str, Sequence[float]] | Mapping[str, Numbers] | Numbers
"""A vector of the aspect semantic, or vectors by aspect: lists, or arrays of one dimension."""

Where: TypeAlias = str | Mapping[str, Any]
"""A filter: a text of the `where` language, or one of Qdrant's as JSON."""

Params: TypeAlias = Mapping[str, Any]
"""Values by name that a `where` text refers to as `:name`; lists after `in`."""

Strategy: TypeAlias = Literal["average", "best", "sum"]

TEXT = "text:"
"""Prefix of an example that is text, not an id or a file."""


_PARAMS = Option(
    "Value that the filter names, as in price < :max; can be repeated.",
    metavar="NAME=VALUE",
    flag="--param",
)


_SORT = Option(
    "Field of numbers or dates to sort by; after a minus sign, the greatest first. Without "
    "anything to search by, all matching images; else the 200 best.",
    metavar="FIELD|-FIELD",
)


class FilterOptions(TypedDict, total=False):
    """A filter."""

    where: Annotated[
        Where | None,
        Option('Filter, such as price < 100 and category = "dress".', metavar="EXPR"),
    ]
    params: Annotated[Params | None, _PARAMS]


class ScrollOptions(TypedDict, total=False):
    """Options of `Index.scroll` beside its filter."""

    params: Annotated[Params | None, _PARAMS]
    sort: Annotated[str | None, _SORT]
    vectors: Annotated[bool, Option("Whether to return the vectors, too.", default=False)]
    after: Annotated[Id | None, Option("Image after which to start; it need not exist.")]


class TableOptions(TypedDict, total=False):
    """Options of a table of images beside its filter."""

    params: Annotated[Params | None, _PARAMS]
    vectors: Annotated[bool, Option("Whether to add columns of vectors.", default=False)]


class TargetOptions(TypedDict, total=False):
    """Targets of a search."""

    image: Annotated[
        ImageInput | Sequence[ImageInput] | None,
        Option(
            "Picture that results should resemble; several count by their mean.", metavar="FILE"
        ),
    ]
    id: Annotated[
        Id | Sequence[Id] | None,
        Option(
            "Image of the index that results should resemble; it is left out of the results.",
            metavar="ID",
        ),
    ]
    vector: Annotated[
        VectorInput | None,
        Option(
            "Vector that results should resemble, as `embed` makes it: one of the aspect semantic, "
            "or one by the name of each aspect.",
            metavar="X,…",
        ),
    ]
    text: Annotated[
        str | Sequence[str] | None,
        Option("Text that results should show, if the index's model supports text.", metavar="T"),
    ]
    negative_text: Annotated[
        str | Sequence[str] | None,
        Option(
            "Text that results should not show; requires a picture, id or text beside it.",
            metavar="T",
        ),
    ]
    color: Annotated[
        ColorInput | None,
        Option(
            "Color of the results, such as navy or #1a2b3c: images that have it come first. With a "
            "share (navy=0.6) or weights, likeness to the palette of all colors counts instead.",
            metavar="NAME|#HEX[=SHARE]",
        ),
    ]
    crop: Annotated[
        Box | None,
        Option(
            "Part of the one picture or id to search by: x, y, width and height as shares of the "
            "whole, from the upper left corner.",
            metavar="X,Y,W,H",
        ),
    ]


Example: TypeAlias = ImageInput | Id
"""An image of the index, a picture in any form, or text after "text:"."""


class ExampleOptions(TypedDict, total=False):
    """Examples of a recommendation."""

    like: Annotated[
        Example | Sequence[Example],
        Option(
            "Example that results should resemble: an image of the index, a picture, or text "
            "after text:.",
            default=(),
            metavar="ID|FILE|text:T",
        ),
    ]
    unlike: Annotated[
        Example | Sequence[Example],
        Option(
            "Example that results should not resemble. Without any to resemble, the images least "
            "like these come first.",
            default=(),
            metavar="ID|FILE|text:T",
        ),
    ]


class StrategyOptions(TypedDict, total=False):
    """Combination of examples."""

    strategy: Annotated[
        Strategy,
        Option(
            "average ranks by the mean of the likes less a quarter of the mean of the dislikes; "
            "best by the nearest like, leaving out images nearer to a dislike; sum by the sum of "
            "similarities to the likes less that to the dislikes.",
            default="average",
        ),
    ]


class RankingOptions(FilterOptions, total=False):
    """Options of searches of every kind."""

    weights: Annotated[
        Mapping[str, float] | str | None,
        Option(
            "Weights by aspect (semantic, color, texture), or a preset: style, color, material, "
            "balanced.",
            metavar="PRESET|ASPECT=W,…",
        ),
    ]
    calibration: Annotated[
        Literal["spread", "none"],
        Option(
            "spread divides weights by the spread of each aspect's similarities, so that they "
            "mean influence; none takes the plain weighted sum.",
            default="spread",
        ),
    ]
    limit: Annotated[
        int, Option("Number of results.", default=10, metavar="N", short="-k", least=1)
    ]
    offset: Annotated[
        int, Option("Number of best results to skip.", default=0, metavar="N", least=0)
    ]
    sort: Annotated[str | None, _SORT]
    after: Annotated[
        str | None,
        Option(
            "Image after which to continue, with sort and nothing to search by: the last one of "
            "the page before.",
            metavar="ID",
        ),
    ]
    diversity: Annotated[
        float,
        Option(
            "Weight of differences between results, from 0 to 1.",
            default=0.0,
            metavar="0…1",
            least=0,
            most=1,
        ),
    ]
    collapse: Annotated[
        bool | str,
        Option(
            "Show near-identical images once, the others as its variants; or, with the name of a "
            "field, the best image of each value, such as a product.",
            default=False,
            metavar="[FIELD]",
        ),
    ]
    relevant: Annotated[bool, Option("Drop results no closer than chance.", default=False)]
    exact: Annotated[
        bool,
        Option(
            "Search exactly: compare every matching image, and prove the answer complete.",
            default=False,
        ),
    ]


class SearchOptions(TargetOptions, RankingOptions, total=False):
    """The options of `Index.search`."""


class RecommendOptions(TargetOptions, StrategyOptions, RankingOptions, total=False):
    """The options of `Index.recommend` except its examples: a search is refined by examples, and
    keeps what it is about."""


class Request(ExampleOptions, RecommendOptions, total=False):
    """A search or recommendation, with every option."""

    files: Annotated[bool, Option("Whether an example may name a file.", default=True)]


_SUBJECTS = (TargetOptions.__annotations__ | ExampleOptions.__annotations__).keys() - {"crop"}
"""Options to search by. A crop only belongs to one."""


def is_listing(request: Request) -> bool:
    """True if a request has nothing to search by, but an order to list images in."""
    values: list[Any] = [request.get(name) for name in _SUBJECTS]
    return request["sort"] is not None and all(
        value is None or (isinstance(value, str | list | tuple | dict) and not value)
        for value in values
    )


def read_request(options: Mapping[str, Any]) -> Request:
    """Makes a request of options.

    Raises:
        QueryError: an unknown option, or a value of another type or out of bounds.
    """
    if not isinstance(options, Mapping):
        raise QueryError(f"A query must be an object with options by name (got {options!r:.80}).")
    return cast(Request, check(Request, {name: _plain(name, options[name]) for name in options}))


def _plain(name: str, value: Any) -> Any:
    """The value of an option with its ids as text, and its images as paths or bytes."""
    if value is None or (isinstance(value, list | tuple) and not value):
        return value
    if name == "id":
        return ids_of(value)
    if name == "vector":
        vectors = isinstance(value, Mapping)
        return {k: _numbers(v) for k, v in value.items()} if vectors else _numbers(value)
    if name == "image":
        return _several(value, plain_image)
    return _several(value, _plain_example) if name in ("like", "unlike") else value


def _numbers(value: Any) -> Any:
    """The numbers of an array or of any other sequence as a list."""
    return value.tolist() if hasattr(value, "tolist") else value


def _several(value: Any, plain: Callable[[Any], Any]) -> list[Any]:
    """One value or several as a list of plain ones."""
    one = is_one_image(value) or isinstance(value, Mapping) or not isinstance(value, Iterable)
    return [plain(value)] if one else [plain(part) for part in value]


def _plain_example(value: Any) -> Any:
    return id_of(value) if isinstance(value, Integral | UUID) else plain_image(value)
