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
    from lookalike.descriptors.catalog import models
    from lookalike.duplicates.groups import DuplicateGroup
    from lookalike.duplicates.verdicts import Duplicate, Verdict
    from lookalike.index import Index
    from lookalike.ingest.report import IngestReport
    from lookalike.ingest.uploads import Upload
    from lookalike.output.progress import progress_bar
    from lookalike.protocols import AspectDescriptor
    from lookalike.search.histogram import Bin, Histogram
    from lookalike.search.hits import AspectPlan, Explanation, Hit, Hits
    from lookalike.search.weights import PRESETS
    from lookalike.types import Decision, DecodeLimits, FieldType, Point

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "AspectDescriptor",
    "AspectPlan",
    "Bin",
    "Decision",
    "DecodeLimits",
    "Duplicate",
    "DuplicateGroup",
    "Explanation",
    "FieldType",
    "Histogram",
    "Hit",
    "Hits",
    "ImageRejected",
    "Index",
    "IngestReport",
    "LookalikeError",
    "Point",
    "Upload",
    "Verdict",
    "models",
    "progress_bar",
]

_HOMES = {
    "Index": "index",
    "IngestReport": "ingest.report",
    "PRESETS": "search.weights",
    "AspectDescriptor": "protocols",
    "AspectPlan": "search.hits",
    "Bin": "search.histogram",
    "Decision": "types",
    "DuplicateGroup": "duplicates.groups",
    "Duplicate": "duplicates.verdicts",
    "Verdict": "duplicates.verdicts",
    "Explanation": "search.hits",
    "FieldType": "types",
    "Histogram": "search.histogram",
    "Hit": "search.hits",
    "Hits": "search.hits",
    "DecodeLimits": "types",
    "Point": "types",
    "Upload": "ingest.uploads",
    "models": "descriptors.catalog",
    "progress_bar": "output.progress",
}


def __getattr__(name: str) -> Any:
    """Imports a name when it is first used, so that `import lookalike` costs next to nothing."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
