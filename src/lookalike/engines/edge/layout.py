"""The layout of a new shard: vectors, quantization, payload indexes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import qdrant_edge as qe

from lookalike.engines.points import UNIQUE_FIELDS
from lookalike.errors import EngineError
from lookalike.types import Distance, FieldType, VectorSpec

_CONFIG = "edge_config.json"

_THREADS = 2
"""Threads of a search: one for the segment with a graph, one for the points added since. The
engine's default, four a core, waits by spinning: counting a facet took a fifth longer, and all
requests together cost a fifth more CPU time."""

_INDEXES: Mapping[FieldType, Callable[..., Any]] = {
    FieldType.INTEGER: qe.IntegerIndexParams,
    FieldType.FLOAT: qe.FloatIndexParams,
    FieldType.BOOLEAN: qe.BoolIndexParams,
    FieldType.DATETIME: qe.DatetimeIndexParams,
    FieldType.KEYWORD: qe.KeywordIndexParams,
    FieldType.KEYWORDS: qe.KeywordIndexParams,
    FieldType.TEXT: partial(qe.TextIndexParams, tokenizer=qe.TokenizerType.Word, lowercase=True),
    FieldType.GEO: qe.GeoIndexParams,
}


def shard_config(vectors: Sequence[VectorSpec]) -> qe.EdgeConfig:
    return qe.EdgeConfig(
        vectors={spec.name: _vector_params(spec) for spec in vectors},
        hnsw_config=qe.HnswIndexConfig(m=16, ef_construct=128, full_scan_threshold=10_000),
        max_search_threads=_THREADS,
    )


def vector_sizes(shard: Path) -> dict[str, int]:
    """Bytes of one point's vector in a shard, by vector name.

    Raises:
        EngineError: the shard's configuration cannot be read.
    """
    vectors = _read_config(shard)["vectors"]
    return {
        name: spec["size"] * (1 if spec.get("datatype") == "uint8" else 4)
        for name, spec in vectors.items()
    }


def bytes_of(spec: VectorSpec) -> int:
    """Bytes of one point's vector."""
    return spec.size * (1 if spec.datatype == "uint8" else 4)


def copy_config(shard: Path, to: Path, *, without: str | None) -> None:
    """Copies the configuration of a shard into the folder of a new one, without one vector.

    Raises:
        EngineError: it cannot be read.
    """
    config = _read_config(shard)
    config["vectors"].pop(without, None)
    (to / _CONFIG).write_text(json.dumps(config), encoding="utf-8")


def _read_config(shard: Path) -> dict[str, Any]:
    file = shard / _CONFIG
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        sizes = [spec["size"] for spec in config["vectors"].values()]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise EngineError(
            f"{file} cannot be read ({error}); restore the index folder from a backup."
        ) from error
    if not all(isinstance(size, int) for size in sizes):
        raise EngineError(f"{file} names no sizes; restore the index folder from a backup.")
    return config


def index_params(path: str, type: FieldType) -> Any:
    """Parameters of the payload index over a field."""
    options: dict[str, Any] = {}
    if path in UNIQUE_FIELDS:
        options = {"enable_hnsw": False, "memory": qe.Memory.Cold}
    elif type is FieldType.TEXT:  # a graph for every frequent word would take minutes
        options = {"enable_hnsw": False}
    return _INDEXES[type](**options)


_DISTANCES = {
    Distance.COSINE: qe.Distance.Cosine,
    Distance.DOT: qe.Distance.Dot,
    Distance.EUCLID: qe.Distance.Euclid,
    Distance.MANHATTAN: qe.Distance.Manhattan,
}


def _vector_params(spec: VectorSpec) -> qe.EdgeVectorParams:
    quantized = spec.distance is Distance.COSINE and spec.datatype == "float32"
    searched = not quantized and spec.datatype == "float32"  # the originals themselves
    return qe.EdgeVectorParams(
        size=spec.size,
        distance=_DISTANCES[spec.distance],
        datatype=qe.VectorStorageDatatype.Uint8 if spec.datatype == "uint8" else None,
        memory=qe.Memory.Cached if searched else qe.Memory.Cold,
        quantization_config=qe.ScalarQuantizationConfig(
            qe.ScalarType.Int8, quantile=0.99, memory=qe.Memory.Pinned
        )
        if quantized
        else None,
    )
