"""Speed of a second run over unchanged files, without and with metadata."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks._figures import bound, finish, need_data
from lookalike import Index

COPIES = 5


def main() -> None:
    data = need_data()
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        for i in range(COPIES):
            shutil.copytree(data / "catalog" / "images", photos / str(i))
        with Index.open(Path(folder) / "index", model="built-in") as index:
            first = index.add(photos)
            runs = [index.add(photos) for _ in range(3)]
            assert all(run.unchanged == first.added for run in runs)
        print(f"{first.added} files: first run {first.images_per_second:.0f} images/s")
        bound(
            "second run over unchanged files, files/s",
            statistics.median(run.images_per_second for run in runs),
            least=5000,
        )
        with_metadata(data, Path(folder) / "with-metadata")
    finish()


def with_metadata(data: Path, folder: Path) -> None:
    with Index.open(folder, model="built-in") as index:
        source, table = data / "catalog" / "images", data / "catalog" / "catalog.csv"
        index.add(source, metadata=table)
        again = [index.add(source, metadata=table) for _ in range(3)]
        assert all(run.updated == run.added == 0 for run in again)
        rate = statistics.median(run.images_per_second for run in again)
        print(f"with a metadata table of as many rows: {rate:.0f} files/s")


if __name__ == "__main__":
    main()
