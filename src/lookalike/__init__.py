"""lookalike finds images that look alike.

from lookalike import Index

with Index.open("shop.index") as index:
    index.add("photos/", metadata="catalog.csv")
    for hit in index.search(image="query.jpg", where="price < 100"):
        print(hit.id, hit.score)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lookalike.errors import ImageRejected, LookalikeError

if TYPE_CHECKING:
    from lookalike.duplicates import Match, Verdict
    from lookalike.given import Upload
    from lookalike.groups import Group
    from lookalike.histogram import Bin, Histogram
    from lookalike.index import Index
    from lookalike.ingest import IngestReport
    from lookalike.query import PRESETS
    from lookalike.types import (
        AspectPlan,
        Decision,
        Explanation,
        FieldType,
        Hit,
        Hits,
        Limits,
        Point,
    )

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "AspectPlan",
    "Bin",
    "Decision",
    "Explanation",
    "FieldType",
    "Group",
    "Histogram",
    "Hit",
    "Hits",
    "ImageRejected",
    "Index",
    "IngestReport",
    "Limits",
    "LookalikeError",
    "Match",
    "Point",
    "Upload",
    "Verdict",
]

_HOMES = {
    "Index": "index",
    "IngestReport": "ingest",
    "PRESETS": "query",
    "AspectPlan": "types",
    "Bin": "histogram",
    "Decision": "types",
    "Group": "groups",
    "Match": "duplicates",
    "Verdict": "duplicates",
    "Explanation": "types",
    "FieldType": "types",
    "Histogram": "histogram",
    "Hit": "types",
    "Hits": "types",
    "Limits": "types",
    "Point": "types",
    "Upload": "given",
}


def __getattr__(name: str) -> Any:
    """Imports a name when it is first used, so that `import lookalike` costs next to nothing."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
