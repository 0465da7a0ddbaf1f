"""Interruptions: after any kill or Ctrl-C, the same command leads to the same index."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from lookalike.index import Index
from lookalike.ingest.pipeline import Pipeline
from tests.support.pictures import draw, folder_of

COUNT = 240


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos and metadata that gives half of them ids of their own."""
    shop = tmp_path_factory.mktemp("shop")
    folder_of(shop / "photos", COUNT)
    (shop / "photos" / "broken.jpg").write_text("no picture")
    lines = ["id,file,price"] + [f"sku-{i},{i:03}.jpg,{i}" for i in range(0, COUNT, 2)]
    (shop / "photos" / "catalog.csv").write_text("\n".join(lines), encoding="utf-8")
    return shop


def command(shop: Path, index: Path) -> list[str]:
    photos = shop / "photos"
    return [
        *(sys.executable, "-m", "lookalike", "index", str(photos), "--index", str(index)),
        *("--metadata", str(photos / "catalog.csv"), "--model", "built-in", "--json"),
    ]


def prepare(shop: Path, index: Path) -> None:
    """Makes an older index: without metadata, and with other pictures in some of the files."""
    with Index.open(index, model="built-in") as made:
        for i in range(0, 60, 7):
            draw(1000 + i).save(shop / "photos" / f"{i:03}.jpg")
        made.add(*(shop / "photos" / f"{i:03}.jpg" for i in range(60)))
    folder_of(shop / "photos", 60)
    for file in (shop / "photos").iterdir():
        os.utime(file, ns=(0, 1_700_000_000_000_000_000 + file.stat().st_size))


def content(index: Path) -> dict[str, tuple[dict[str, Any], dict[str, list[float]]]]:
    """All points of an index, without the times at which they were written."""
    with Index.open(index, create=False) as opened:
        found = {}
        for point in opened.scroll(vectors=True):
            payload = json.loads(json.dumps(point.payload))
            del payload["image"]["indexed_at"]
            vectors = {name: vector.tolist() for name, vector in point.vectors.items()}
            found[point.id] = (payload, vectors)
        return found


@pytest.fixture(scope="module")
def uninterrupted(shop: Path) -> tuple[dict[str, Any], float]:
    """The index that an uninterrupted run makes, and its duration in seconds."""
    index = shop / "uninterrupted"
    prepare(shop, index)
    started = time.monotonic()
    subprocess.run(command(shop, index), check=True, capture_output=True)
    return content(index), time.monotonic() - started


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_at_any_moment(
    shop: Path, uninterrupted: tuple[dict[str, Any], float], seed: int
) -> None:
    expected, seconds = uninterrupted
    index = shop / f"killed-{seed}"
    prepare(shop, index)
    moments = random.Random(seed)
    for _ in range(8):
        process = subprocess.Popen(command(shop, index), stdout=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.2, seconds))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command(shop, index), check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    found = content(index)
    assert report["rejected"] == 1
    assert report["added"] + report["updated"] + report["unchanged"] == COUNT == len(found)
    assert found.keys() == expected.keys()
    for id, (payload, vectors) in found.items():
        assert payload == expected[id][0]
        for name, vector in vectors.items():
            np.testing.assert_allclose(vector, expected[id][1][name], atol=1e-6)


def test_kill_while_the_index_is_made(shop: Path) -> None:
    index = shop / "new"
    for moment in (0.3, 0.5, 0.7, 0.9, 1.1, 1.3):
        process = subprocess.Popen(command(shop, index), stdout=subprocess.DEVNULL)
        time.sleep(moment)
        process.kill()
        process.wait()
    subprocess.run(command(shop, index), check=True, capture_output=True)
    assert len(content(index)) == COUNT


def test_control_c_stops_cleanly_and_the_same_command_goes_on(shop: Path, tmp_path: Path) -> None:
    index, photos = tmp_path / "index", tmp_path / "photos"
    photos.mkdir()
    files = sorted((shop / "photos").glob("[0-9]*.jpg"))
    for i in range(10 * len(files)):  # enough for a signal during the run
        os.link(files[i % len(files)], photos / f"{i}.jpg")
    run = [
        *(sys.executable, "-m", "lookalike", "index", str(photos), "--index", str(index)),
        *("--model", "built-in", "--json"),
    ]
    process = subprocess.Popen(
        run,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Background jobs of a shell ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (index / "manifest.json").exists():
        time.sleep(0.01)
    time.sleep(0.8)
    os.killpg(process.pid, signal.SIGINT)  # to the whole process group, as a terminal does
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Run the same command again" in errors
    assert "Traceback" not in errors
    first = json.loads(out)
    assert first["added"] < len(list(photos.iterdir()))
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    second = json.loads(done.stdout)
    assert second["unchanged"] >= first["added"]
    assert second["added"] + second["unchanged"] == len(list(photos.iterdir()))


@pytest.mark.parametrize("moment", range(1, 60, 5))
def test_the_report_counts_what_is_stored_wherever_control_c_comes(
    tmp_path: Path, moment: int
) -> None:
    """Ctrl-C at the given line of the main thread's work, counted from its start."""
    photos = folder_of(tmp_path / "photos", 100)
    work = {Pipeline._submit_all.__code__, Pipeline._submit.__code__}
    work.add(Pipeline._wait_for_first.__code__)
    lines = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        if frame.f_code not in work:
            return None
        lines += event == "line"
        if event == "line" and lines == moment:
            time.sleep(0.2)  # threads end what they have begun
            raise KeyboardInterrupt
        return trace

    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(photos / "000.jpg")
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            report = index.add(photos)
        finally:
            sys.settrace(before)
        assert report.added == len(index) - 1
        assert report.interrupted == (lines >= moment)
        again = index.add(photos)
        assert again.added + report.added == 99
