"""Statistics of an index."""

from __future__ import annotations

from typing import Any

from lookalike.manifest import Manifest
from lookalike.protocols import Engine
from lookalike.search.facets import distinct_values


def statistics(engine: Engine, manifest: Manifest, *, thumbnails: int) -> dict[str, Any]:
    """Statistics of an index; see `Index.stats`.

    Args:
        engine: holds the points.
        manifest: of the index.
        thumbnails: bytes of thumbnails on disk.
    """
    info = engine.info()
    return {
        "images": info["points"],
        "bytes_on_disk": info["bytes_on_disk"],
        "indexed_vectors": info["indexed_vectors"],
        "vectors": {
            name: {"size": spec.size, "model": spec.model, "aspect": spec.aspect}
            for name, spec in manifest.vectors.items()
        },
        "fields": {
            name: {"type": str(field.type), "values": distinct_values(engine, field)}
            for name, field in manifest.all_fields.items()
            if name in manifest.fields
        },
        "engine": info["engine"],
        "notes": list(info.get("notes", ())),
        "schema": manifest.to_json()["schema"],
        "thumbnails": thumbnails,
        "problems": engine.problems(),
    }
