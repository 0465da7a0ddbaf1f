"""Values as people see them: with pictures in a notebook, as rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

_Renderer = Callable[[Any], str]
R = TypeVar("R", bound=_Renderer)

_renderers: dict[str, _Renderer] = {}


def renders(name: str) -> Callable[[R], R]:
    """Decorates the function that renders the values of a class as HTML.

    The classes are below the templates in the layers, so a class is given by its name.
    """

    def decorate(function: R) -> R:
        _renderers[name] = function
        return function

    return decorate


class Displayed:
    """A value that a notebook shows as HTML, once its templates are loaded."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        render = _renderers.get(type(self).__name__)
        return None if render is None else render(self)


def flat_hit(rank: int, hit: Any) -> dict[str, Any]:
    """A hit as one row: rank, id, scores, the user's fields, and `image.width` and the like."""
    own: Mapping[str, Any] = hit.payload.get("image", {})
    return {
        "rank": rank,
        "id": hit.id,
        "score": hit.score,
        **{f"score.{aspect}": score for aspect, score in hit.scores.items()},
        **{name: value for name, value in hit.payload.items() if name != "image"},
        **{f"image.{name}": value for name, value in own.items()},
    }


def data_frame(rows: list[dict[str, Any]]) -> Any:
    """A data frame of pandas.

    Raises:
        ModuleNotFoundError: pandas is not installed.
    """
    import pandas  # type: ignore[import-untyped]

    return pandas.DataFrame(rows)
