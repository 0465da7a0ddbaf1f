"""Keepers: of a photo and a copy that holds less, the photo stays under every policy.

Each photo is saved with one copy, which sorts first, is older, and often has more pixels and bytes.
A keeper is wrong if resolving the duplicates would remove the photo. How many of the copies would
be removed is printed, too: where it cannot be told which of two holds more, both stay.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageFilter
import PIL.ImageOps
from PIL.Image import Resampling

from benchmarks._figures import bound, finish, need_data
from benchmarks._transforms import chat_screenshot
from lookalike.duplicates.keepers import KeeperChoice
from lookalike.index import Index

Picture = PIL.Image.Image
Make = Callable[[Picture, Path], None]

POLICIES: dict[str, KeeperChoice] = {
    **{name: name for name in ("largest", "oldest", "best", "first")},
    "a function": lambda payload: payload["image"]["bytes"],
}


def photo(im: Picture, folder: Path, **options: Any) -> None:
    im.save(folder / "photo.jpg", quality=92, **options)


def edited(change: Callable[[Picture], Picture], suffix: str = "jpg", **options: Any) -> Make:
    """A case of a photo and an edited copy of it."""

    def make(im: Picture, folder: Path) -> None:
        photo(im, folder)
        change(PIL.Image.open(folder / "photo.jpg")).save(folder / f"copy.{suffix}", **options)

    return make


def scaled(by: float, kernel: Resampling = Resampling.BICUBIC) -> Callable[[Picture], Picture]:
    return lambda im: im.resize((round(im.width * by), round(im.height * by)), kernel)


def cropped(by: float, share: float = 0.7) -> Callable[[Picture], Picture]:
    """Cuts out the middle, and enlarges it."""

    def change(im: Picture) -> Picture:
        x, y = (round(side * (1 - share) / 2) for side in im.size)
        return scaled(by)(im.crop((x, y, im.width - x, im.height - y)))

    return change


def with_bars(by: float, color: str) -> Callable[[Picture], Picture]:
    def change(im: Picture) -> Picture:
        im = scaled(by)(im)
        screen = PIL.Image.new("RGB", (im.width, im.width * 2), color)
        screen.paste(im, (0, (screen.height - im.height) // 3))
        return screen

    return change


def phone(im: Picture) -> Picture:
    """A phone's screen with the picture as wide as the screen."""
    return with_bars(1080 / im.width, "black")(im)


def chat(im: Picture, folder: Path) -> None:
    photo(im, folder)
    (folder / "copy.png").write_bytes(chat_screenshot(im, np.random.default_rng(0)))


def blurred(sigma: float) -> Callable[[Picture], Picture]:
    return lambda im: im.filter(PIL.ImageFilter.GaussianBlur(sigma))


def stripped(im: Picture, folder: Path) -> None:
    exif = PIL.Image.Exif()
    exif[271], exif[272] = "ACME", "One"
    photo(im, folder, exif=exif)
    scaled(1.5)(PIL.Image.open(folder / "photo.jpg")).save(folder / "copy.jpg", quality=95)


def pages(im: Picture, folder: Path) -> None:
    im.save(folder / "photo.tif", save_all=True, append_images=[im.rotate(180), im.rotate(90)])
    im.save(folder / "copy.tif")


def animation(im: Picture, folder: Path) -> None:
    frames = [im.rotate(180), im.rotate(90)]
    im.save(folder / "photo.webp", save_all=True, append_images=frames, quality=90)
    im.save(folder / "copy.png")


def cutout(im: Picture, folder: Path) -> None:
    mask = PIL.Image.new("L", im.size, 255)
    mask.paste(0, (0, 0, im.width // 6, im.height // 6))
    cut = im.convert("RGBA")
    cut.putalpha(mask)
    cut.save(folder / "photo.png")
    flat = PIL.Image.new("RGB", im.size, "white")
    flat.paste(cut, mask=mask)
    flat.save(folder / "copy.jpg", quality=98)


def deep(im: Picture, folder: Path) -> None:
    gray = np.asarray(im.convert("L"), np.uint16) * 257
    PIL.Image.fromarray(gray).save(folder / "photo.png")
    im.convert("L").save(folder / "copy.png")


def motion(im: Picture, folder: Path) -> None:
    photo(im, folder)
    video = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(5000)
    (folder / "copy.jpg").write_bytes((folder / "photo.jpg").read_bytes())
    with (folder / "photo.jpg").open("ab") as file:
        file.write(video)


MUST_STAY: dict[str, Make] = {
    "bars": edited(with_bars(1, "black"), "png"),
    "bars, enlarged": edited(with_bars(1.7, "white"), quality=95),
    "phone": edited(phone, "png"),
    "chat": chat,
    "border": edited(lambda im: PIL.ImageOps.expand(im, 30, "white")),
    "enlarged 1.25": edited(scaled(1.25), quality=92),
    "enlarged 1.5": edited(scaled(1.5), quality=90),
    "enlarged 2": edited(scaled(2), "png"),
    "enlarged 3": edited(scaled(3), quality=85),
    "enlarged 2, linear": edited(scaled(2, Resampling.BILINEAR), quality=92),
    "enlarged 2, Lanczos": edited(scaled(2, Resampling.LANCZOS), quality=92),
    "enlarged 2, in steps": edited(scaled(2, Resampling.NEAREST), "png"),
    "blurred 1": edited(blurred(1), "png"),
    "blurred 2.5": edited(blurred(2.5), quality=95),
    "blurred, enlarged": edited(lambda im: scaled(1.5)(blurred(1.5)(im)), quality=95),
    "shrunk 0.8": edited(scaled(0.8), quality=98),
    "shrunk 0.5": edited(scaled(0.5), "png"),
    "crop": edited(cropped(1), "png"),
    "crop, enlarged": edited(cropped(2.5), quality=95),
    "JPEG 40": edited(lambda im: im, quality=40),
    "stripped, enlarged": stripped,
    "pages": pages,
    "animation": animation,
    "cut-out": cutout,
    "16 bits": deep,
    "motion photo": motion,
}
"""Cases in which the copy holds less."""

MAY_GO: dict[str, Make] = {
    "JPEG 90": edited(lambda im: im, quality=90),
    "PNG": edited(lambda im: im, "png"),
}
"""Cases in which both hold the same, and a policy may choose either."""


def measure(photos: list[Path], cases: dict[str, Make], folder: Path) -> tuple[Counter[str], ...]:
    """Resolves photos with one copy each, of different kinds, under each policy, in a dry run.

    Returns:
        how often the photo would be removed, and how often its copy, by the kind of copy.
    """
    names = list(cases)
    wrong: Counter[str] = Counter()
    resolved: Counter[str] = Counter()
    kinds = {}
    for number, path in enumerate(photos):
        kind = names[number % len(names)]
        own = folder / f"{number:04}"
        own.mkdir(parents=True)
        cases[kind](PIL.Image.open(path).convert("RGB"), own)
        for copy in own.glob("copy.*"):
            os.utime(copy, (10**9, 10**9))
        kinds[own.name] = kind
    with Index.open(folder / "index", model="built-in") as index:
        index.add(folder)
        for keep in POLICIES.values():
            groups = list(index.duplicates(keep=keep))
            done = index.resolve_duplicates(groups, "remove", dry_run=True).done
            for file in (Path(handled.uri) for handled in done):
                gone = wrong if file.stem == "photo" else resolved
                gone[kinds[file.parent.name]] += 1
    return wrong, resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--photos", type=int, default=8, help="photos for each kind of copy")
    options = parser.parse_args()
    every = sorted((need_data() / "photos").rglob("*.jpg"))
    count = options.photos * len(MUST_STAY)
    chosen = [every[n] for n in np.random.default_rng(0).permutation(len(every))[:count]]
    with tempfile.TemporaryDirectory() as folder:
        wrong, resolved = measure(chosen, MUST_STAY, Path(folder) / "less")
        _, equal = measure(chosen[: options.photos * len(MAY_GO)], MAY_GO, Path(folder) / "same")
    runs = options.photos * len(POLICIES)
    for kind in MUST_STAY:
        print(f"{kind:22} copies removed {resolved[kind] / runs:5.2f}, wrong {wrong[kind]}")
    for kind in MAY_GO:
        print(f"{kind:22} copies removed {equal[kind] / runs:5.2f} (else the photo was)")
    bound("keepers wrong", sum(wrong.values()), most=0)
    bound("copies removed", sum(resolved.values()) / (runs * len(MUST_STAY)), least=0.5)
    finish()


if __name__ == "__main__":
    main()
