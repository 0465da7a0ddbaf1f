"""Ingest on a GPU: a network of CLIP ViT-B/32's size, alone and in an ingest.

The bare network gets prepared arrays in batches of the ingest's size, from as many threads. The
ingest starts from JPEG files and ends with a searchable index. Without a GPU that ONNX Runtime can
use, the script says so and measures nothing.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from benchmarks import _clip_sized
from benchmarks._figures import bound, finish, need_data
from lookalike import Index
from lookalike.descriptors._runtime import Network
from lookalike.ingest.pipeline import BATCH_SIZE

ROUNDS = 3
COPIES = 8
"""Times that the catalog is indexed, so that a run takes longer than it takes to start."""


def main() -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        print("ONNX Runtime has no CUDA here: nothing was measured. It needs onnxruntime-gpu.")
        return
    measure("cuda")
    finish()


def measure(device: str) -> None:
    data = need_data()
    with tempfile.TemporaryDirectory() as folder:
        model = _clip_sized.write(Path(folder) / "model", data / "standin-clip")
        photos = Path(folder) / "photos"
        for copy in range(COPIES):
            for file in (data / "catalog" / "images").rglob("*.jpg"):
                (photos / str(copy)).mkdir(parents=True, exist_ok=True)
                # An image that equals another is not described again.
                target = Path(shutil.copy(file, photos / str(copy)))
                target.write_bytes(target.read_bytes() + bytes([copy]))
        network = Network(model / "model.onnx", ("image_embeds",), device)
        for size in (1, 8, 32, 128, 512):
            print(f"bare network, {size} at once: {_bare(network, size, 1):.0f} images/s")
        ratios, rates = [], []
        for _ in range(ROUNDS):
            bare = _bare(network, BATCH_SIZE, len(os.sched_getaffinity(0)))
            rates.append(_ingest(photos, model, device))
            ratios.append(rates[-1] / bare)
            print(f"bare network {bare:.0f} images/s, ingest {rates[-1]:.0f} images/s")
        bound("ingest / bare network on a GPU", statistics.median(ratios), least=0.85)
        bound("ingest on a GPU, images/s", statistics.median(rates), least=500)


def _bare(network: Network, size: int, threads: int) -> float:
    """Images per second of the network by itself."""
    pixels = np.random.default_rng(0).normal(size=(size, 3, 224, 224)).astype(np.float32)
    network.vectors({"pixel_values": pixels})
    runs = max(2, 512 // size)
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        for _ in pool.map(lambda _: network.vectors({"pixel_values": pixels}), range(runs)):
            pass
        return runs * size / (time.perf_counter() - started)


def _ingest(photos: Path, model: Path, device: str) -> float:
    """Images per second of an ingest."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "index"
        with Index.open(place, model=f"onnx:{model}", device=device) as index:
            report = index.add(photos)
        assert report.rejected == 0, report.rejects[:3]
        return report.images_per_second


if __name__ == "__main__":
    main()
