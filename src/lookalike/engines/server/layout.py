"""The layout of a new collection: vectors, quantization, payload indexes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from qdrant_client import models

from lookalike import record
from lookalike.engines.options import ServerOptions
from lookalike.engines.points import UNIQUE_FIELDS
from lookalike.types import Distance, FieldType, VectorSpec

_INDEXES: Mapping[FieldType, tuple[Callable[..., Any], str]] = {
    FieldType.INTEGER: (models.IntegerIndexParams, "integer"),
    FieldType.FLOAT: (models.FloatIndexParams, "float"),
    FieldType.BOOLEAN: (models.BoolIndexParams, "bool"),
    FieldType.DATETIME: (models.DatetimeIndexParams, "datetime"),
    FieldType.KEYWORD: (models.KeywordIndexParams, "keyword"),
    FieldType.KEYWORDS: (models.KeywordIndexParams, "keyword"),
    FieldType.TEXT: (
        partial(models.TextIndexParams, tokenizer=models.TokenizerType.WORD, lowercase=True),
        "text",
    ),
    FieldType.GEO: (models.GeoIndexParams, "geo"),
}
_DISTANCES = {
    Distance.COSINE: models.Distance.COSINE,
    Distance.DOT: models.Distance.DOT,
    Distance.EUCLID: models.Distance.EUCLID,
    Distance.MANHATTAN: models.Distance.MANHATTAN,
}

_DIGESTS = UNIQUE_FIELDS - {record.URI}
"""Fields whose beginnings nobody asks for."""


def vector_params(spec: VectorSpec, options: ServerOptions) -> models.VectorParams:
    quantized = spec.distance is Distance.COSINE and spec.datatype == "float32"
    return models.VectorParams(
        size=spec.size,
        distance=_DISTANCES[spec.distance],
        datatype=models.Datatype(spec.datatype),
        memory=models.Memory.COLD if options.vectors_on_disk else models.Memory.CACHED,
        quantization_config=_quantization(options) if quantized else None,
    )


def field_params(path: str, type: FieldType, options: ServerOptions) -> models.PayloadSchemaParams:
    kind, name = _INDEXES[type]
    unique = path in UNIQUE_FIELDS
    cold = unique or options.payload_indexes_on_disk
    # Without it, strict mode refuses `startswith` where filters need an index.
    prefix = {"prefix": True} if name == "keyword" and path not in _DIGESTS else {}
    params: models.PayloadSchemaParams = kind(
        type=name,
        **prefix,
        enable_hnsw=not unique and type is not FieldType.TEXT,
        memory=models.Memory.COLD if cold else models.Memory.PINNED,
    )
    return params


def _quantization(options: ServerOptions) -> models.QuantizationConfig | None:
    memory = models.Memory.PINNED if options.quantized_in_ram else models.Memory.COLD
    match options.quantization:
        case "int8":
            return models.ScalarQuantization(
                scalar=models.ScalarQuantizationConfig(
                    type=models.ScalarType.INT8, quantile=0.99, memory=memory
                )
            )
        case "turbo":
            return models.TurboQuantization(
                turbo=models.TurboQuantQuantizationConfig(
                    bits=models.TurboQuantBitSize.BITS4, memory=memory
                )
            )
        case "binary":
            return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(memory=memory))
        case "none":
            return None


def vectors_of(info: models.CollectionInfo) -> Mapping[str, models.VectorParams]:
    """The named vectors; empty for a collection with an unnamed vector."""
    vectors = info.config.params.vectors
    return vectors if isinstance(vectors, dict) else {}


def sizes_of(
    vectors: Mapping[str, models.VectorParams],
) -> Mapping[str, tuple[int, models.Distance]]:
    return {name: (params.size, params.distance) for name, params in vectors.items()}
