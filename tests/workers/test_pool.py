"""Decoder processes give the same results as decoding and comparing in this process."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from benchmarks._documents import meme

from lookalike.comparison import batch
from lookalike.errors import ImageRejected, Reason
from lookalike.imaging.decode import decode
from lookalike.imaging.digest import content_digest
from lookalike.types import DecodeLimits, Described, FileFacts, Image
from lookalike.workers.pool import DecoderPool
from tests.support.pictures import scene
from tests.workers.samples import (
    assert_same,
    gone,
    large_photo,
    outcome,
    photo,
    pids,
    slow_photo,
    wait_until,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.mark.parametrize(
    "data",
    [photo(), photo("PNG"), photo("WEBP"), photo("TIFF", 900, 700), b"", b"nothing", photo()[:900]],
    ids=["jpeg", "png", "webp", "shrunk", "empty", "unsupported", "truncated"],
)
def test_same_as_in_this_process(pool: DecoderPool, data: bytes) -> None:
    assert_same(
        outcome(lambda: pool.decode(data, side=200)), outcome(lambda: decode(data, side=200))
    )


def test_a_thumbnail_does_not_depend_on_what_else_a_picture_is_decoded_for(
    pool: DecoderPool,
) -> None:
    buffer = BytesIO()
    buffer.write(photo("JPEG", 2400, 1800))
    thumbnails = {
        described.thumbnail
        for side in (64, 256, 320, 384, 640)
        for described in pool.describe_many([buffer.getvalue()], side=side, thumbnail=320)
        if isinstance(described, Described)
    }
    assert len(thumbnails) == 1


def test_alpha_date_and_place_come_through(pool: DecoderPool) -> None:
    exif = PIL.Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 10:20:30"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 30.0, 0.0), 3: "W", 4: (2.0, 15.0, 0.0)})
    file = BytesIO()
    PIL.Image.new("RGBA", (30, 20), (9, 8, 7, 66)).save(file, "PNG", exif=exif.tobytes())
    image = pool.decode(file.getvalue(), side=200)
    assert image.taken_at == "2024-05-01T10:20:30Z"
    assert image.gps == (48.5, -2.25)
    assert image.facts == FileFacts(alpha=True, camera_metadata=True)
    assert_same(image, decode(file.getvalue()))


def test_content_is_digested_as_in_this_process(pool: DecoderPool) -> None:
    pages = [PIL.Image.new("RGB", (40, 30), color) for color in ("red", "lime")]
    file = BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    for data in (file.getvalue(), photo(), large_photo()):
        digest = pool.content_digest(data)
        assert digest
        assert digest == content_digest(data, limits=DecodeLimits())
    assert pool.content_digest(b"") == ""
    assert pool.content_digest(photo()[:900]) == ""
    assert pool.content_digest(b"nothing") == ""


def test_content_that_takes_too_long_has_no_digest() -> None:
    with DecoderPool(1, limits=DecodeLimits(seconds=1)) as pool:
        assert pool.content_digest(slow_photo(1400)) == ""
        assert pool.content_digest(photo())


def test_many_threads(pool: DecoderPool) -> None:
    pictures = [photo("JPEG", 320 + 8 * n, 240) for n in range(8)]
    expected = [decode(data) for data in pictures]
    with ThreadPoolExecutor(12) as threads:
        images = threads.map(lambda n: pool.decode(pictures[n % 8], side=256), range(400))
        for n, image in enumerate(images):
            assert_same(image, expected[n % 8])
    assert len(pids(pool)) == 2


def test_decoders_start_when_needed() -> None:
    with DecoderPool(8) as pool:
        assert pids(pool) == []
        for _ in range(5):
            pool.decode(photo(), side=256)
        assert len(pids(pool)) == 1


def outcomes(pool: DecoderPool, files: list[bytes]) -> list[Image | Reason]:
    return [
        answer.reason if isinstance(answer, ImageRejected) else answer.image
        for answer in pool.describe_many(files, side=200)
    ]


def test_many_are_as_one_after_the_other(pool: DecoderPool) -> None:
    clear = BytesIO()
    PIL.Image.new("RGBA", (30, 20), (9, 8, 7, 66)).save(clear, "PNG")
    files = [photo(), b"", photo("PNG"), photo()[:900], b"nothing", clear.getvalue(), photo()]
    names = ("color", "texture", "phash", "lookalike-small-1")
    together = pool.describe_many(files, side=200, names=names, thumbnail=64)
    for data, answer in zip(files, together, strict=True):
        assert_same(
            outcome(lambda data=data: pool.decode(data, side=200)),  # type: ignore[misc]
            answer.reason if isinstance(answer, ImageRejected) else answer.image,
        )
        if isinstance(answer, ImageRejected):
            continue
        alone = pool.describe(data, side=200, names=names, thumbnail=64)
        assert answer.thumbnail == alone.thumbnail
        assert list(answer.descriptions) == list(names)
        for name in names:
            batched, single = answer.descriptions[name], alone.descriptions[name]
            assert batched.payload == single.payload
            np.testing.assert_allclose(batched.vectors, single.vectors, atol=1e-6)
    assert pool.describe_many([], side=200) == []


def test_one_that_hangs_among_many_is_the_only_one_refused() -> None:
    with DecoderPool(1, limits=DecodeLimits(seconds=1)) as pool:
        before, late, after = outcomes(pool, [photo(), slow_photo(1400), photo("PNG")])
        assert isinstance(before, Image)
        assert late == Reason.TIMEOUT
        assert isinstance(after, Image)


def test_one_that_crashes_among_many_is_the_only_one_refused() -> None:
    with DecoderPool(1) as pool, ThreadPoolExecutor(1) as thread:
        answers = thread.submit(outcomes, pool, [photo(), slow_photo(1400), photo("PNG")])
        for _ in range(3):  # first in the batch, then twice by itself
            wait_until(
                lambda: any(child._ready and child.is_running() for child in pool._processes)
            )
            time.sleep(0.3)
            [child] = pids(pool)
            os.kill(child, signal.SIGSEGV)
            wait_until(lambda child=child: gone(child))  # type: ignore[misc]
        before, crashed, after = answers.result()
        assert isinstance(before, Image)
        assert crashed == Reason.CORRUPT
        assert isinstance(after, Image)


def test_a_descriptor_that_fails_on_one_of_many_has_only_that_one_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "picky-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: picky\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[lookalike.descriptors]\npicky = picky:Picky\n")
    (tmp_path / "picky.py").write_text(
        textwrap.dedent("""
        import numpy as np
        from lookalike.types import Description, Distance, VectorSpec

        class Picky:
            spec = VectorSpec("picky", "style", 1, Distance.COSINE, "float32", "picky", "1")

            def describe(self, images):
                return Description(np.array([[1 / (image.width - 96)] for image in images]))
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    files = [photo(), photo("PNG", 96, 64), photo("WEBP")]
    with DecoderPool(1) as pool:
        before, failed, after = pool.describe_many(files, side=64, names=["picky"])
    assert isinstance(failed, ImageRejected)
    assert "picky cannot describe it: ZeroDivisionError" in str(failed)
    for answer in (before, after):
        assert isinstance(answer, Described)
        np.testing.assert_allclose(answer.descriptions["picky"].vectors, [[1 / 224]])


def test_one_that_is_big_among_many_waits_for_its_turn() -> None:
    with DecoderPool(2, limits=DecodeLimits(seconds=1)) as pool, ThreadPoolExecutor(1) as thread:
        with pool._large_picture_lock:
            answers = thread.submit(outcomes, pool, [photo(), large_photo(), photo("PNG")])
            time.sleep(1.3)
            assert not answers.done()
        assert [answer.width for answer in answers.result() if isinstance(answer, Image)] == [
            320,
            5000,
            320,
        ]


def pictures() -> list[batch.StoredPicture]:
    """Thumbnails of a drawing, of the same drawing in a smaller size, and of another one."""
    drawing, other = (
        np.random.default_rng(seed).integers(0, 256, (15, 20, 3), np.uint8) for seed in (1, 2)
    )
    return [
        thumbnail(PIL.Image.fromarray(pixels), size)
        for pixels, size in ((drawing, (320, 240)), (drawing, (240, 180)), (other, (320, 240)))
    ]


def thumbnail(picture: PIL.Image.Image, size: tuple[int, int]) -> batch.StoredPicture:
    file = BytesIO()
    picture.resize(size, PIL.Image.Resampling.BICUBIC).save(file, "JPEG")
    return batch.StoredPicture(b"", file.getvalue())


PAIRS = ((0, 1), (0, 2), (1, 2))


def test_compared_as_in_this_process(pool: DecoderPool) -> None:
    made = [*pictures(), batch.StoredPicture(b"", b""), batch.StoredPicture(b"", b"no JPEG")]
    sketched = pool.sketch(made[0].thumbnail)
    assert sketched == batch.sketch(made[0].thumbnail)
    assert pool.sketch(b"no JPEG") == b""
    made[0] = made[0]._replace(sketch=sketched)
    made += [thumbnail(meme(scene(3), number).convert("RGB"), (320, 240)) for number in (0, 1)]
    pairs = [*PAIRS, (0, 3), (4, 0), (5, 6)]
    compared = pool.compare(made, pairs)
    assert compared == batch.compare(made, pairs)
    assert [one is not None for one in compared.comparisons] == [True, *4 * [False], True]
    assert [one.alignment is not None for one in compared.comparisons if one] == [False, True]
    assert [bool(sketch) for sketch in compared.sketches[3:5]] == [False, False]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_where_a_decoder_dies_or_hangs_another_compares(how: signal.Signals) -> None:
    with DecoderPool(1, limits=DecodeLimits(seconds=2)) as pool:
        expected = pool.compare(pictures(), PAIRS)
        [before] = pids(pool)
        # More than fits into a pipe, so that the process dies while the request is being sent.
        made = [one._replace(thumbnail=one.thumbnail + bytes(5_000_000)) for one in pictures()]
        os.kill(before, signal.SIGSTOP)
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(pool.compare, made, PAIRS)
            time.sleep(0.2)
            assert not answer.done()
            os.kill(before, how)
            assert answer.result().comparisons == expected.comparisons
        assert pids(pool) != [before]
