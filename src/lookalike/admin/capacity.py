"""Estimates of the RAM, disk, machines and time of an index: arithmetic over measured figures.

`benchmarks/capacity.py` measures the figures and the error of the estimates. docs/capacity.md gives
the source of each, and says what is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lookalike.errors import InputError
from lookalike.system.distances import LEAST_RESCORED

__all__ = ["CapacityEstimate", "CapacityRequest", "estimate", "layout_bytes", "vector_size"]

SEMANTIC_SIZES: Mapping[str, int] = {
    "clip": 512,
    "siglip2": 768,
    "fashion": 768,
    "products": 768,
    "dinov2": 384,
    "built-in": 512,
    "lookalike-small-1": 512,
    "marqo/marqo-fashionsiglip": 768,
    "marqo/marqo-ecommerce-embeddings-b": 768,
    "onnx-community/dinov2-small-onnx": 384,
    "qdrant/clip-vit-b-32-vision": 512,
    "qdrant/resnet50-onnx": 2048,
    "qdrant/unicom-vit-b-16": 768,
    "qdrant/unicom-vit-b-32": 512,
    "jinaai/jina-clip-v1": 768,
    "nomic-ai/nomic-embed-vision-v1.5": 768,
    "nomic-ai/nomic-embed-vision-v1.5-q": 768,
    "google/siglip2-base-patch16-224": 768,
}
"""Dimensions of the semantic vector by model name in lower case."""

COLOR, TEXTURE, PHASH = 125, 198, 64
"""Elements of the vectors that every index has: floats, and bytes for the hash."""

# Comments name the index that a figure was measured on: 10 k is one of 10,000 points.

# Bytes per point of the main graph with m = 16 at 10,000 points; 10 k.
_GRAPH = {"semantic": 46.7, "color": 26.2, "texture": 41.8, "phash": 51.2}
# Its growth with each doubling, as the numbers of neighbors get longer; 10 k to 170 k.
_GRAPH_GROWTH = 0.083
# Links that one filterable number adds to a graph, as a multiple of the main graph, by the ratio of
# the vectors' bytes to the threshold below which Qdrant scans a filter's matches instead; 30 k,
# 50 k, 100 k, 300 k.
_LINKS = ((3.9, 0.0), (4.9, 0.1), (5.9, 0.1), (7.7, 0.99), (9.8, 1.14), (14.6, 1.16), (19.5, 1.43))
_FULL_SCAN = 10_000 * 1024
# Numbers and dates link points: width, height, bytes and indexed_at of ours, and three of a shop.
# Keywords add too few links to be measurable.
_OWN_LINKING, _SHOP_LINKING = 4, 3

_THUMBNAIL = 18e3 * 1.07  # a photo's thumbnail, and 7 % for the file that holds it; 500
_IDS = 29.2  # id tracker; 10 k to 300 k
_PAYLOAD = 529.0  # payload storage, with six fields of a shop; 10 k to 170 k
_PAYLOAD_JSON = 122  # bytes of those six fields as JSON
_INDEXES = 1_032.0  # payload indexes over our fields and those six; 5 k to 20 k
_INDEX_FILES = 1.465e6  # fixed size of a shard's payload indexes; 5 k to 20 k
_UNIQUE_INDEXES = 355.0  # part of _INDEXES over URI, SHA-256 and hash, on disk; 10 k and 50 k
_SHARD = 52e6  # write-ahead log and headers of a shard; 49 to 54 MB at 10 k to 170 k, 97 at 300 k

_UPLOADED = 4_800.0  # points/s of one writer into one embedded index; 10 k
_BUILT = 117e3  # bytes of graph that a core builds in a second; 50 k (10 k: 188e3)

_USABLE = 0.8  # share of RAM above which Qdrant's guide warns of resident memory
_HEADROOM = 1.5  # factor of disk for segments rebuilt beside the old ones; assumed
_READ_MS, _SEARCH_MS = 0.1, 5.0  # a random read from an SSD, and a search without reads; assumed


@dataclass(frozen=True, slots=True)
class CapacityRequest:
    """The index to estimate, and the machines for it.

    Attributes:
        images: number of images.
        semantic: dimensions of the model's vector.
        replicas: copies of each shard.
        node_ram: bytes of RAM of a node.
        node_cores: cores of a node.
        latency_ms: limit for one search by one image; None for no limit.
        images_per_second: embedding speed of all machines together; None if unknown.
        payload_bytes: bytes of the user's fields of one image, as JSON.
        nodes_writing: machines that upload at the same time.
        thumbnails: disk budget for thumbnails in bytes.
        further: dimensions of the vectors of models beside the semantic one.
    """

    images: int
    semantic: int = 512
    replicas: int = 1
    node_ram: int = 64 * 10**9
    node_cores: int = 16
    latency_ms: float | None = None
    images_per_second: float | None = None
    payload_bytes: int = _PAYLOAD_JSON
    nodes_writing: int = 1
    thumbnails: int = 10 * 10**9
    further: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class CapacityEstimate:
    """The resources that an index needs. Bytes cover all replicas unless stated otherwise.

    Attributes:
        images, replicas: as in the request.
        parts: bytes on disk of one copy, by part.
        disk, disk_with_headroom: bytes on disk, without and with room to rebuild segments.
        ram: bytes that must stay in RAM: quantized vectors, graphs, ids, payload indexes, and the
            original vectors if `originals_in_ram`.
        originals_in_ram: whether the latency limit requires the original vectors in RAM.
        nodes, shards: machines, and shards of the collection.
        ram_per_node, disk_per_node: bytes; the disk with its headroom.
        embed_hours: hours to embed the images; None if the speed is unknown.
        upload_hours, build_hours: hours to upload the points, and to build graphs on all nodes.
        cold_search_ms: one search that reads all the original vectors it needs from disk.
        thumbnails: bytes of thumbnails on the machine where lookalike runs, within their budget;
            not part of `disk`.
        notes: assumptions and extrapolations, one sentence each.
    """

    images: int
    replicas: int
    parts: Mapping[str, int]
    disk: int
    disk_with_headroom: int
    ram: int
    originals_in_ram: bool
    nodes: int
    shards: int
    ram_per_node: int
    disk_per_node: int
    embed_hours: float | None
    upload_hours: float
    build_hours: float
    cold_search_ms: float
    thumbnails: int
    notes: tuple[str, ...]


def estimate(request: CapacityRequest) -> CapacityEstimate:
    """Estimates the resources for an index.

    Raises:
        InputError: a number is out of range.
    """
    _check(request)
    cold = _SEARCH_MS + LEAST_RESCORED * _READ_MS
    in_ram = request.latency_ms is not None and request.latency_ms < cold
    shards = 6
    # More nodes may need more shards, and smaller shards have smaller graphs: two rounds converge.
    for _ in range(2):
        models = request.semantic, *request.further
        parts = layout_bytes(request.images, models, shards, request.payload_bytes)
        ram = _ram(parts, request.images, originals=in_ram) * request.replicas
        nodes = max(request.replicas, math.ceil(ram / (_USABLE * request.node_ram)))
        shards = nodes * math.ceil(6 / nodes)
    disk = sum(parts.values()) * request.replicas
    copies = request.images * request.replicas
    return CapacityEstimate(
        images=request.images,
        replicas=request.replicas,
        parts=parts,
        disk=disk,
        disk_with_headroom=round(disk * _HEADROOM),
        ram=ram,
        originals_in_ram=in_ram,
        nodes=nodes,
        shards=shards,
        ram_per_node=math.ceil(ram / nodes),
        disk_per_node=math.ceil(disk * _HEADROOM / nodes),
        embed_hours=request.images / request.images_per_second / 3600
        if request.images_per_second
        else None,
        upload_hours=copies / (_UPLOADED * request.nodes_writing) / 3600,
        build_hours=parts["graphs"]
        * request.replicas
        / (_BUILT * request.node_cores * nodes)
        / 3600,
        cold_search_ms=cold,
        thumbnails=min(round(request.images * _THUMBNAIL), request.thumbnails),
        notes=_notes(request, cold, in_ram=in_ram),
    )


def layout_bytes(
    images: int,
    models: Sequence[int] = (512,),
    shards: int = 1,
    payload_bytes: int = _PAYLOAD_JSON,
) -> dict[str, int]:
    """Bytes on disk of one copy, by part, if each shard is one segment."""
    floats = [*(("semantic", size) for size in models), ("color", COLOR), ("texture", TEXTURE)]
    vectors = 4 * sum(size for _, size in floats) + PHASH
    quantized = sum(16 * math.ceil(size / 16) + 4 for _, size in floats)
    fields = _OWN_LINKING + (_SHOP_LINKING if payload_bytes else 0)
    widths = [*((name, 4 * size) for name, size in floats), ("phash", PHASH)]
    points = images / shards
    graphs = sum(_graph(name, width, points, fields) for name, width in widths)
    # JSON beyond the measured size counts in full, in the storage's blocks of 128 bytes.
    payload = _PAYLOAD + 128 * math.ceil(max(0, payload_bytes - _PAYLOAD_JSON) / 128)
    return {
        "vectors": images * vectors,
        "quantized": images * quantized,
        "graphs": round(images * graphs),
        "payload": round(images * payload),
        "payload indexes": round(images * _INDEXES + shards * _INDEX_FILES),
        "ids": round(images * _IDS),
        "fixed": round(shards * _SHARD),
    }


def vector_size(model: str) -> int:
    """Dimensions of a model's vectors, from its name or from the number itself, such as "768".

    Raises:
        InputError: the model is unknown.
    """
    if model.isdecimal() and int(model):
        return int(model)
    try:
        return SEMANTIC_SIZES[model.lower()]
    except KeyError:
        raise InputError(
            f"The vector size of {model!r} is unknown; give the number in its place, such as 768."
        ) from None


def _graph(name: str, width: int, points: float, fields: int) -> float:
    main = _GRAPH[name] * (1 + _GRAPH_GROWTH * math.log2(max(points, 2) / 10_000))
    return main * (1 + fields * _links(width * points / _FULL_SCAN))


def _links(times: float) -> float:
    if times <= _LINKS[0][0]:
        return 0.0
    for (low, under), (high, over) in pairwise(_LINKS):
        if times <= high:
            return under + (over - under) * (times - low) / (high - low)
    return _LINKS[-1][1]


def _ram(parts: Mapping[str, int], images: int, *, originals: bool) -> int:
    indexes = parts["payload indexes"] - round(images * _UNIQUE_INDEXES)
    held = parts["quantized"] + parts["graphs"] + parts["ids"] + indexes
    return held + (parts["vectors"] if originals else 0)


def _check(request: CapacityRequest) -> None:
    for name in ("images", "semantic", "replicas", "node_ram", "node_cores", "nodes_writing"):
        if getattr(request, name) < 1:
            raise _out_of_range(request, name, "at least 1")
    for name in ("latency_ms", "images_per_second"):
        value = getattr(request, name)
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise _out_of_range(request, name, "a number above 0")
    if min(request.further, default=1) < 1:
        raise _out_of_range(request, "further", "at least 1 each")
    for name in ("payload_bytes", "thumbnails"):
        if getattr(request, name) < 0:
            raise _out_of_range(request, name, "at least 0")


def _out_of_range(request: CapacityRequest, name: str, range: str) -> InputError:
    return InputError(f"{name.replace('_', ' ')} must be {range} (got {getattr(request, name)}).")


def _notes(request: CapacityRequest, cold: float, *, in_ram: bool) -> tuple[str, ...]:
    latency = (
        f"{request.latency_ms:g} ms is less than the {cold:g} ms of a search with {LEAST_RESCORED} "
        "reads from disk, so the original vectors are counted in RAM."
        if in_ram
        else f"Original vectors stay on disk: a search by one image reads {LEAST_RESCORED} of "
        f"them, {cold:g} ms if none is cached; a blend of several aspects reads several times as "
        "many."
    )
    notes = [
        latency,
        f"Assumed, not measured: {_READ_MS} ms for a read from a local SSD, {_SEARCH_MS:g} ms for "
        "the rest of a search.",
        "Sizes were measured on embedded indexes of up to 300,000 images; beyond that, and on "
        "servers, they are extrapolated with one segment per shard.",
        "Speeds were measured on two cores with an embedded index, and are scaled by cores and "
        "writers.",
    ]
    if request.images * _THUMBNAIL > request.thumbnails > 0:
        notes.append(
            f"Thumbnails of all images would take {request.images * _THUMBNAIL / 1e9:,.0f} GB: "
            "within their budget the least recently used are dropped, and made again when needed."
        )
    if request.images_per_second is None:
        notes.append(
            "Hours to embed need --images-per-second: index a few thousand images to measure it."
        )
    return tuple(notes)
