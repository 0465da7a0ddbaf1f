"""A search by one stored image and nothing else, whose first answers come with its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lookalike.manifest import Manifest
from lookalike.protocols import Engine, ServedEngine
from lookalike.search import threshold
from lookalike.search.request import Request
from lookalike.system.inputs import ids_of
from lookalike.types import Filter, Query, Vector, WeightedVector

_OTHERS = ("image", "vector", "text", "negative_text", "color", "crop", "like", "unlike")
"""Options that name something else to search by, or another part of it."""
_LARGER = ("diversity", "collapse", "sort", "after", "exact")
"""Options that take more than the rows of the page, or a count of the matching images."""


@dataclass(slots=True)
class LoneImage:
    """The image of such a search.

    Attributes:
        engine: finds its vectors itself.
        id: its id.
        vectors: its vectors by name, once they are known.
    """

    engine: ServedEngine
    id: str
    vectors: dict[str, Vector] = field(default_factory=dict)

    @classmethod
    def of(cls, request: Request, engine: Engine, *, most: int) -> LoneImage | None:
        """Makes one for a request; None if it takes more, or the engine cannot do it.

        Args:
            request: the request.
            engine: holds the points.
            most: number of rows above which matching images are counted first.
        """
        ids = ids_of(request["id"])
        if len(ids) != 1 or not isinstance(engine, ServedEngine):
            return None
        options: dict[str, object] = {**request}
        others = any(_is_given(options[name]) for name in (*_OTHERS, *_LARGER))
        if others or request["offset"] + request["limit"] > most:
            return None
        return cls(engine, ids[0])

    def first_round(
        self,
        manifest: Manifest,
        aspects: Sequence[str],
        filter: Filter | None,
        request: Request,
        *,
        exact: bool,
    ) -> threshold.FirstRound | None:
        """Asks for the first answers, and takes its vectors from them; None without such an image.

        Args:
            manifest: that of the index.
            aspects: those with a weight.
            filter: the filter of the search, without the image.
            request: the request.
            exact: whether every matching image is compared.
        """
        specs = [manifest.vectors[manifest.aspects[aspect]] for aspect in aspects]
        unknown: Vector = np.empty(0, np.float32)
        near = tuple(WeightedVector(spec.name, unknown, 1.0, spec.distance) for spec in specs)
        query = Query(near, filter, request["limit"], request["offset"], exact=exact)
        candidates, rankings = threshold.first_queries(query)
        answer = self.engine.nearest_to(self.id, candidates, rankings)
        if answer is None:
            return None
        point, lists, rows = answer
        self.vectors.update(point.vectors)
        return threshold.FirstRound(lists, rows[0] if rows else ())


def _is_given(value: object) -> bool:
    """False for the default of an option that is left out."""
    return value is not None and value is not False and value != 0 and value != ()
