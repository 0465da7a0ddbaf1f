"""Accuracy of `lookalike plan` for the size of real indexes.

It builds an index as an ingest does: vectors of CLIP's size, of color and of texture, distributed
like those of real photos, hashes, all of lookalike's own fields and six of a shop, and an index
over each field. Then it compares the size on disk with the estimate, part by part. It runs at two
sizes, as a formula that fits one can be wrong in its growth.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._figures import bound, finish
from benchmarks._synthetic import SIZES, SPECS, draw
from lookalike.admin.capacity import layout_bytes
from lookalike.descriptors.phash import Phash
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.fields import indexed_fields
from lookalike.imaging.palette import TERMS
from lookalike.types import FieldType, Point

POINTS = (10_000, 50_000)
FIELDS = {
    "category": FieldType.KEYWORD,
    "brand": FieldType.KEYWORD,
    "price": FieldType.FLOAT,
    "stock": FieldType.INTEGER,
    "on_sale": FieldType.BOOLEAN,
    "uploaded_at": FieldType.DATETIME,
}
_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def build(folder: Path, count: int) -> Mapping[str, float]:
    """Builds an index of `count` points; returns the seconds of `upload` and `optimize`."""
    engine = EdgeEngine(folder)
    engine.create([*SPECS, Phash.spec])
    for field in indexed_fields(FIELDS):
        engine.create_field_index(field.path, field.type)
    points, seconds = list(_points(count)), {}
    started = time.perf_counter()
    for first in range(0, count, 500):
        engine.upsert(points[first : first + 500])
    seconds["upload"] = time.perf_counter() - started
    started = time.perf_counter()
    engine.optimize()
    seconds["optimize"] = time.perf_counter() - started
    engine.close()
    return seconds


def measure(folder: Path) -> dict[str, int]:
    """Bytes of the blocks taken on disk, by part."""
    sizes: dict[str, int] = {}
    for file in folder.rglob("*"):
        if file.is_file():
            part = _part(file.relative_to(folder).as_posix())
            sizes[part] = sizes.get(part, 0) + file.stat().st_blocks * 512
    return sizes


def _part(path: str) -> str:
    if "/vector_storage" in path:
        return "quantized" if "/quantized" in path else "vectors"
    named = {
        "/vector_index": "graphs",
        "/payload_storage": "payload",
        "/payload_index": "payload indexes",
        "/id_tracker": "ids",
    }
    return next((part for name, part in named.items() if name in path), "fixed")


def _points(count: int) -> Iterator[Point]:
    made, rng = draw(count), np.random.default_rng(1)
    bits = rng.integers(0, 2, (count, Phash.spec.size), np.uint8)
    for i in range(count):
        vectors = {f"{aspect}-made": made.vectors[aspect][i] for aspect in SIZES}
        hash = np.packbits(bits[i]).tobytes().hex()
        yield Point(f"sku-{i:09}", vectors | {"phash": bits[i]}, _payload(i, hash, rng))


def _payload(i: int, phash: str, rng: np.random.Generator) -> Mapping[str, Any]:
    digest = hashlib.sha256(str(i).encode()).hexdigest()
    shares = sorted(rng.dirichlet(np.ones(int(rng.integers(1, 4)))), reverse=True)
    names = rng.choice(TERMS, len(shares), replace=False)
    size = int(rng.integers(30_000, 300_000))
    image = {
        "id": f"sku-{i:09}",
        "uri": f"/srv/shop/images/{digest[:2]}/sku-{i:09}.jpg",
        "etag": f"{size}-17952356365{i:08}",
        "sha256": digest,
        "width": int(rng.integers(300, 2000)),
        "height": int(rng.integers(300, 2000)),
        "format": "JPEG",
        "bytes": size,
        "indexed_at": _time(i // 40),
        "phash": phash,
        "colors": [
            {"name": str(name), "hex": f"#{digest[at : at + 6]}", "share": round(float(share), 3)}
            for at, (name, share) in enumerate(zip(names, shares, strict=True))
        ],
    }
    return {
        "category": f"category {int(rng.zipf(1.5)) % 50}",
        "brand": f"brand {int(rng.zipf(1.3)) % 1000}",
        "price": round(float(rng.lognormal(3.5, 0.8)), 2),
        "stock": int(rng.integers(0, 500)),
        "on_sale": bool(rng.random() < 0.2),
        "uploaded_at": _time(int(rng.integers(60_000_000))),
        "image": image,
    }


def _time(seconds: int) -> str:
    return (_DAY + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> None:
    for count in POINTS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "index"
            seconds, estimated = build(path, count), layout_bytes(count)
            measured = measure(path)
        print(
            f"{count:,} points, {count / seconds['upload']:,.0f}/s uploaded; graphs built at ",
            end="",
        )
        speed = measured["graphs"] / seconds["optimize"] / len(os.sched_getaffinity(0))
        print(f"{speed / 1e3:,.0f} kB/s per core")
        for part, size in measured.items():
            each = f"{size / count:8.1f} bytes per point"
            what = f"{count:,} points, {part:15} {each}, estimated / measured"
            if part == "fixed":  # the engine keeps more or less of its log, by chance
                print(f"     {what}: {estimated[part] / size:.3f}")
            else:
                within(what, estimated[part] / size)
        within(f"{count:,} points, total, estimated / measured", ratio(estimated, measured))
    finish()


def ratio(estimated: Mapping[str, int], measured: Mapping[str, int]) -> float:
    return sum(estimated.values()) / sum(measured.values())


def within(what: str, value: float) -> None:
    bound(what, value, least=0.9, most=1.1)


if __name__ == "__main__":
    main()
