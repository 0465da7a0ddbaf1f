"""Ingest speed: relative to the bare model, and absolute with the built-in model.

The bare model is FastEmbed's `embed` on decoded pictures, with a thread per core. It is the upper
bound for a script without any pipeline. The ingest starts from JPEG files and ends with a
searchable index, with all descriptors. In both cases the model is loaded before. The two run
alternately, so that each pair sees the machine in the same state.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from fastembed import ImageEmbedding
from PIL import Image

from benchmarks._figures import bound, finish, need_data
from lookalike import Index, IngestReport

ROUNDS = 5


def main() -> None:
    data = need_data()
    files = sorted((data / "catalog" / "images").rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for file in files:
            shutil.copy(file, photos)
        compare_with_bare_model(data, photos)
        rate = statistics.median(
            ingest(photos, model="built-in").images_per_second for _ in range(ROUNDS)
        )
        bound("built-in model, 350-pixel JPEGs, images/s", rate, least=500)
        large = Path(folder) / "large"
        make_large(files, large)
        rate = statistics.median(
            ingest(large, model="built-in").images_per_second for _ in range(ROUNDS)
        )
        bound("built-in model, 12-megapixel JPEGs, images/s", rate, least=40)
    finish()


def compare_with_bare_model(data: Path, photos: Path) -> None:
    decoded = [Image.open(file).convert("RGB") for file in sorted(photos.iterdir())]
    model = ImageEmbedding(
        "Qdrant/clip-ViT-B-32-vision",
        specific_model_path=str(data / "standin-clip" / "vision"),
        threads=len(os.sched_getaffinity(0)),
    )
    list(model.embed(decoded[:32]))
    ratios = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        list(model.embed(decoded))
        bare = len(decoded) / (time.perf_counter() - started)
        ours = ingest(photos, model_dir=data / "standin-clip").images_per_second
        print(f"bare model {bare:.0f} images/s, ingest {ours:.0f} images/s")
        ratios.append(ours / bare)
    bound("ingest / bare model, median of the pairs", statistics.median(ratios), least=0.85)


def ingest(
    photos: Path, *, model: str | None = None, model_dir: Path | None = None
) -> IngestReport:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "index"
        with Index.open(place, hub=None, model=model, model_dir=model_dir) as index:
            report = index.add(photos)
        assert report.rejected == 0, report.rejects[:3]
        return report


def make_large(files: list[Path], folder: Path) -> None:
    folder.mkdir()
    for i, file in enumerate(files[:48]):
        photo = Image.open(file).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
        photo.save(folder / f"{i}.jpg", quality=90)


if __name__ == "__main__":
    main()
