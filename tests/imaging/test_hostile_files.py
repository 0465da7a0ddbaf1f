"""Hostile and broken files: each is decoded or refused with the right reason."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import ImageRejected, Reason
from lookalike.imaging.decode import decode
from tests.support.paths import DATA

EVIL = DATA / "evil"


# Files that the baseline of the manifest treats differently.
DIFFERENT = {
    "heif_RGB_8__128x128.heif": "decodes",  # valid, and HEIC is supported
    "heif_RGBA_10__128x128.heif": "decodes",
    "made_bomb_9000x9000_gray.png": "decodes",  # 81 Mpx: our limit is 128, the baseline's 64
    "made_missing_eoi.jpg": "decodes",  # the picture is whole
    "made_strip_1x60000.png": "rejects",  # our limit of the aspect ratio
    "made_strip_60000x1.png": "rejects",
}


REASONS = {
    "avif_plum-blossom-small.profile0.8bpc.yuv420.alpha-full.avif": Reason.CORRUPT,
    "avif_plum-blossom-small.profile2.12bpc.yuv422.alpha-full.monochrome.avif": Reason.CORRUPT,
    "heif_corrupted.heic": Reason.CORRUPT,
    "heif_truncated.heic": Reason.TRUNCATED,
    "imagededup_ukbench09268_corrupt.jpg": Reason.UNSUPPORTED_FORMAT,
    "made_bmp_huge.bmp": Reason.TOO_LARGE,
    "made_bomb_20000x10000_rgb.png": Reason.TOO_LARGE,
    "made_bomb_30000x30000_1bit.png": Reason.TOO_LARGE,
    "made_elf.png": Reason.UNSUPPORTED_FORMAT,
    "made_gif_no_frames.gif": Reason.CORRUPT,
    "made_iccp_bomb.png": Reason.TOO_LARGE,
    "made_magic_only.png": Reason.CORRUPT,
    "made_pdf.jpg": Reason.UNSUPPORTED_FORMAT,
    "made_postscript.jpg": Reason.UNSUPPORTED_FORMAT,
    "made_script.svg": Reason.UNSUPPORTED_FORMAT,
    "made_soi_only.jpg": Reason.CORRUPT,
    "made_strip_1x60000.png": Reason.EXTREME_ASPECT,
    "made_strip_60000x1.png": Reason.EXTREME_ASPECT,
    "made_text.jpg": Reason.UNSUPPORTED_FORMAT,
    "made_truncated.webp": Reason.TRUNCATED,
    "made_zero_dimensions.png": Reason.CORRUPT,
    "made_zip.jpg": Reason.UNSUPPORTED_FORMAT,
    "made_ztxt_bomb.png": Reason.TOO_LARGE,
    "pil_broken.png": Reason.CORRUPT,
    "pil_broken_data_stream.png": Reason.CORRUPT,
    "pil_crash-2020-10-test.tif": Reason.CORRUPT,
    "pil_decompression_bomb.gif": Reason.TOO_LARGE,
    "pil_decompression_bomb.ico": Reason.UNSUPPORTED_FORMAT,
    "pil_oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif": Reason.CORRUPT,
    "pil_timeout-6646305047838720": Reason.TRUNCATED,
    "pil_truncated_end_chunk.png": Reason.TRUNCATED,
    "pil_truncated_image.png": Reason.TRUNCATED,
    "pil_zero_width.gif": Reason.CORRUPT,
    "pngsuite_xc9n2c08.png": Reason.CORRUPT,
    "pngsuite_xd9n2c08.png": Reason.CORRUPT,
    "pngsuite_xdtn0g01.png": Reason.CORRUPT,
    "pngsuite_xhdn0g08.png": Reason.CORRUPT,
    "pngsuite_xs1n0g01.png": Reason.UNSUPPORTED_FORMAT,
    "pngsuite_xs4n0g01.png": Reason.UNSUPPORTED_FORMAT,
}


def evil_files() -> list[Any]:
    if not EVIL.is_dir():
        skip = pytest.mark.skip(reason=f"needs the shared test data at {EVIL}, which is not there")
        return [pytest.param({}, marks=skip, id="evil")]
    with (EVIL / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return [pytest.param(row, id=Path(row["file"]).name) for row in csv.DictReader(file)]


@pytest.mark.parametrize("row", evil_files())
def test_evil_file(row: dict[str, str], recwarn: pytest.WarningsRecorder) -> None:
    name = Path(row["file"]).name
    data = (EVIL / row["file"]).read_bytes()
    if DIFFERENT.get(name, row["expected"]) == "decodes":
        image = decode(data)
        assert image.pixels.shape[2] == 3
        assert image.sha256 == hashlib.sha256(data).hexdigest()
    else:
        with pytest.raises(ImageRejected) as caught:
            decode(data)
        assert caught.value.reason == REASONS[name]
        assert 0 < len(caught.value.detail) <= 150
        assert "\n" not in caught.value.detail
        assert "0x" not in caught.value.detail  # no address of a Python object
    assert not recwarn.list


def test_evil_files_take_little_memory(data: Path) -> None:
    """Measures the peak resident memory of one process that decodes all of them."""
    script = """
import resource, sys
from pathlib import Path
from lookalike.errors import ImageRejected
from lookalike.imaging.decode import decode
for file in sorted(Path(sys.argv[1]).iterdir()):
    try:
        decode(file.read_bytes())
    except ImageRejected:
        pass
try:  # getrusage would count the memory of the parent before it started this process
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
except (OSError, StopIteration):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak // 1024 if sys.platform == "darwin" else peak)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(data / "evil" / "files")],
        capture_output=True,
        check=True,
        text=True,
    )
    assert int(done.stdout) < 700 * 1024
