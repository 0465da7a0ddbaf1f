"""How much RAM, disk, machines and time so many images take: arithmetic over measured figures.

`benchmarks/capacity.py` measures them and how far the sums are off; docs/capacity.md tells where
each is from and what is extrapolated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from lookalike.errors import InputError
from lookalike.protocols import LEAST_RESCORED

__all__ = [
    "Ask",
    "Capacity",
    "layout_bytes",
    "parse_bytes",
    "parse_count",
    "parse_milliseconds",
    "plan",
    "vector_size",
]

SEMANTIC_SIZES: Mapping[str, int] = {
    "clip": 512,
    "lookalike-small-1": 512,
    "qdrant/clip-vit-b-32-vision": 512,
    "qdrant/resnet50-onnx": 2048,
    "qdrant/unicom-vit-b-16": 768,
    "qdrant/unicom-vit-b-32": 512,
    "jinaai/jina-clip-v1": 768,
    "nomic-ai/nomic-embed-vision-v1.5": 768,
    "nomic-ai/nomic-embed-vision-v1.5-q": 768,
    "google/siglip2-base-patch16-224": 768,
}
"""Dimensions of the semantic vector by the model's name in lower case; FastEmbed's own list."""

COLOR, TEXTURE, PHASH = 125, 198, 64
"""Elements of the vectors that every index has; those of the hash are bytes."""

# Main graph with m = 16 at 10,000 points, bytes a point; 10 k index.
_GRAPH = {"semantic": 46.7, "color": 26.2, "texture": 41.8, "phash": 51.2}
# What it gains with each doubling, as neighbors' numbers get longer; 10 k to 170 k.
_GRAPH_GROWTH = 0.083
# What one filterable number adds to a graph, as a share of the main one, by how many times the
# bytes below which a filter is scanned fit into the vectors; 30 k, 50 k, 100 k, 300 k.
_LINKS = ((3.9, 0.0), (4.9, 0.1), (5.9, 0.1), (7.7, 0.99), (9.8, 1.14), (14.6, 1.16), (19.5, 1.43))
_FULL_SCAN = 10_000 * 1024
# Fields that link points are numbers and dates: width, height, bytes, indexed_at of ours, and three
# of the shop's. Keywords link so few that they are not told apart.
_OWN_LINKING, _SHOP_LINKING = 4, 3

_IDS = 29.2  # id tracker; 10 k to 300 k
_PAYLOAD = 529.0  # payload storage, with six fields of a shop's; 10 k to 170 k
_PAYLOAD_JSON = 122  # bytes of those six as JSON
_INDEXES = 920.0  # payload indexes over ours and those six; 10 k to 170 k (919 to 931)
_INDEX_FILES = 0.95e6  # and of a shard, however few its points; 10 k to 170 k
_UNIQUE_INDEXES = 355.0  # of that, over URI, SHA-256 and hash: they stay on disk; 10 k and 50 k
_SHARD = 52e6  # write-ahead log and headers of a shard; 49 to 54 MB at 10 k to 170 k, 97 at 300 k

_UPLOADED = 4_800.0  # points/s that one writer gets into one embedded index; 10 k
_BUILT = 117e3  # bytes of graph that a core makes in a second; 50 k (10 k: 188e3)

_USABLE = 0.8  # share of RAM: above it, Qdrant's guide calls resident memory a problem
_HEADROOM = 1.5  # disk while segments are rebuilt beside the old ones; an assumption
_READ_MS, _SEARCH_MS = 0.1, 5.0  # one random read from an SSD, a search without it: assumptions


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be planned for.

    Attributes:
        images: how many.
        semantic: dimensions of the model's vector.
        replicas: copies of each shard.
        node_ram: bytes of a machine.
        node_cores: cores of a machine.
        latency_ms: what one search by one picture may take; None: no matter.
        images_per_second: what all the machines that embed do together; None: not known.
        payload_bytes: the user's fields of one image as JSON.
        nodes_writing: machines that upload at the same time.
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


@dataclass(frozen=True, slots=True)
class Capacity:
    """What it takes. Bytes are decimal and of all replicas, unless it says otherwise.

    Attributes:
        images, replicas: as asked.
        parts: bytes on disk of one copy, by part.
        disk, disk_with_headroom: bytes on disk, and with room to rebuild segments.
        ram: bytes that must stay in RAM: quantized vectors, graphs, ids, payload indexes, and the
            originals where `originals_in_ram`.
        originals_in_ram: whether the asked latency wants them there.
        nodes, shards: machines, and parts the collection is cut into.
        ram_per_node, disk_per_node: bytes; the disk with its headroom.
        embed_hours: None where the speed of the model was not given.
        upload_hours, build_hours: to send the points, and to build graphs on all nodes.
        cold_search_ms: one search whose originals are all read from disk.
        notes: what is assumed or extrapolated, one sentence each.
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
    notes: tuple[str, ...]


def plan(ask: Ask) -> Capacity:
    """The plan.

    Raises:
        InputError: a number that is not above zero.
    """
    _check(ask)
    cold = _SEARCH_MS + LEAST_RESCORED * _READ_MS
    in_ram = ask.latency_ms is not None and ask.latency_ms < cold
    shards = 6
    # More nodes may want more shards, and more shards have shorter graphs: two rounds settle it.
    for _ in range(2):
        parts = layout_bytes(ask.images, ask.semantic, shards, ask.payload_bytes)
        ram = _ram(parts, ask.images, originals=in_ram) * ask.replicas
        nodes = max(ask.replicas, math.ceil(ram / (_USABLE * ask.node_ram)))
        shards = nodes * math.ceil(6 / nodes)
    disk = sum(parts.values()) * ask.replicas
    copies = ask.images * ask.replicas
    return Capacity(
        images=ask.images,
        replicas=ask.replicas,
        parts=parts,
        disk=disk,
        disk_with_headroom=round(disk * _HEADROOM),
        ram=ram,
        originals_in_ram=in_ram,
        nodes=nodes,
        shards=shards,
        ram_per_node=math.ceil(ram / nodes),
        disk_per_node=math.ceil(disk * _HEADROOM / nodes),
        embed_hours=ask.images / ask.images_per_second / 3600 if ask.images_per_second else None,
        upload_hours=copies / (_UPLOADED * ask.nodes_writing) / 3600,
        build_hours=parts["graphs"] * ask.replicas / (_BUILT * ask.node_cores * nodes) / 3600,
        cold_search_ms=cold,
        notes=_notes(ask, cold, in_ram=in_ram),
    )


def layout_bytes(
    images: int, semantic: int = 512, shards: int = 1, payload_bytes: int = _PAYLOAD_JSON
) -> dict[str, int]:
    """Bytes on disk of one copy, by part; a shard is taken for one segment."""
    floats = {"semantic": semantic, "color": COLOR, "texture": TEXTURE}
    vectors = 4 * sum(floats.values()) + PHASH
    quantized = sum(16 * math.ceil(size / 16) + 4 for size in floats.values())
    fields = _OWN_LINKING + (_SHOP_LINKING if payload_bytes else 0)
    widths = {name: 4 * size for name, size in floats.items()} | {"phash": PHASH}
    points = images / shards
    graphs = sum(_graph(name, width, points, fields) for name, width in widths.items())
    # JSON beyond what was measured is counted as it is, in the storage's blocks of 128 bytes.
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
    """Dimensions of a model's vector: by its name, or the number itself, as in "768".

    Raises:
        InputError: the name is unknown.
    """
    if model.isdecimal() and int(model):
        return int(model)
    try:
        return SEMANTIC_SIZES[model.lower()]
    except KeyError:
        raise InputError(
            f"The size of {model}'s vectors is not known: give the number in its place, as 768."
        ) from None


def parse_count(text: str) -> int:
    """A number of images: 2.5k, 100M, 1B.

    Raises:
        InputError: it is none, or below one.
    """
    return _parse(text, {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}, "100M or 2.5k")


def parse_bytes(text: str) -> int:
    """A number of bytes: 64G, 512M, 1T, decimal; 64Gi is binary.

    Raises:
        InputError: it is none, or below one.
    """
    decimal = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
    binary = {f"{unit}i": 1024**power for power, unit in enumerate("kmgt", 1)}
    units = decimal | binary
    return _parse(re.sub(r"(?<=[A-Za-z])[bB]$", "", text.strip()), units, "64G or 512M")


def parse_milliseconds(text: str) -> float:
    """A time: 20ms, 0.5s; a bare number is milliseconds.

    Raises:
        InputError: it is none, or not above zero.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|)", text.strip())
    if not found or not float(found[1]):
        raise InputError(f"{text!r} is no time: write it as 20ms or 0.5s.")
    return float(found[1]) * (1000 if found[2] == "s" else 1)


def _parse(text: str, units: Mapping[str, int], example: str) -> int:
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-z]*)", text.strip())
    factor = units.get(found[2].lower()) if found else None
    number = round(float(found[1]) * factor) if found and factor else 0
    if number < 1:
        raise InputError(f"{text!r} is no size above zero: write it as {example}.")
    return number


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


def _check(ask: Ask) -> None:
    for name in ("images", "semantic", "replicas", "node_ram", "node_cores", "nodes_writing"):
        if getattr(ask, name) < 1:
            raise InputError(f"{name.replace('_', ' ')} is {getattr(ask, name)}: give 1 or more.")
    for name in ("latency_ms", "images_per_second"):
        given = getattr(ask, name)
        if given is not None and not (given > 0 and math.isfinite(given)):
            raise InputError(f"{name.replace('_', ' ')} is {given}: give a number above zero.")
    if ask.payload_bytes < 0:
        raise InputError(f"payload bytes is {ask.payload_bytes}: give 0 or more.")


def _notes(ask: Ask, cold: float, *, in_ram: bool) -> tuple[str, ...]:
    latency = (
        f"{ask.latency_ms:g} ms is less than the {cold:g} ms that a search with {LEAST_RESCORED} "
        "reads from disk may take, so originals are counted in RAM."
        if in_ram
        else f"Originals are on disk: a search of one picture reads {LEAST_RESCORED} of them, "
        f"{cold:g} ms if none is cached; a blend of several aspects reads several times as many."
    )
    notes = [
        latency,
        f"Assumed, not measured: {_READ_MS} ms a read from a local SSD, {_SEARCH_MS:g} ms for the "
        "rest of a search.",
        "Sizes are measured on embedded indexes up to 300,000 images; beyond, and on servers, they "
        "are extrapolated with a shard as one segment.",
        "Speeds are measured on two cores with an embedded index, and scaled by cores and writers.",
    ]
    if ask.images_per_second is None:
        notes.append(
            "Hours to embed need --images-per-second: index some thousands and read it off."
        )
    return tuple(notes)
