"""A catalog of drawn products: pictures, and a table that says what is true of each.

What it is for: trying the whole of lookalike without a photo of one's own, and measuring it, for
of a drawn product the color and the pattern are known.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from PIL import Image, ImageEnhance, ImageOps

from lookalike.demo import products
from lookalike.demo.drawing import (
    Backdrop,
    Layer,
    Paint,
    Part,
    Pose,
    compose,
    cut_out,
    paint_product,
    seam_color,
)
from lookalike.demo.patterns import CREAM, INK, PALETTE, Cloth, Field, luma, mix, rgb
from lookalike.errors import InputError
from lookalike.system.times import format_datetime, parse_datetime

VERSION = 1
"""Of the drawings: raise it whenever a picture changes, so that old catalogs are drawn anew."""

COPIES = 24 / 640
"""Share of near-copies among all pictures."""

MARK = ".drawn.json"


@dataclass(frozen=True, slots=True)
class Category:
    """What there is to know of a kind of product.

    Attributes:
        name: as it stands in the table.
        sketch: draws its shape.
        price: lowest and highest.
        aspect: the picture's width divided by its height.
        stands: on a floor; else it hangs, or lies flat.
        folds: how much its cloth falls in folds.
        gloss: how much it shines.
        materials: words for its name.
        patterns: what it comes in, the frequent ones repeatedly.
    """

    name: str
    sketch: Callable[[Random], products.Sketch]
    price: tuple[float, float]
    aspect: float
    stands: bool
    folds: float
    gloss: float
    materials: str
    patterns: str


# fmt: off
CATEGORIES = (
    Category("t-shirt", products.t_shirt, (14, 45), 0.95, False, 1.0, 0.0,
             "Cotton Jersey Organic-cotton", "plain plain stripes stripes dots floral zigzag"),
    Category("shirt", products.shirt, (29, 95), 0.9, False, 0.9, 0.0,
             "Linen Cotton Poplin", "plain plain stripes check check herringbone floral denim"),
    Category("hoodie", products.hoodie, (39, 110), 0.9, False, 1.2, 0.0,
             "Fleece Cotton", "plain plain stripes knit check herringbone"),
    Category("dress", products.dress, (45, 190), 0.75, False, 1.2, 0.05,
             "Silk Viscose Linen", "plain dots dots floral floral stripes check"),
    Category("skirt", products.skirt, (29, 120), 0.8, False, 1.0, 0.0,
             "Wool Cotton Satin", "plain check herringbone dots floral corduroy denim leather"),
    Category("trousers", products.trousers, (39, 140), 0.75, False, 0.8, 0.0,
             "Cotton Wool Linen", "plain check herringbone corduroy denim denim denim denim"),
    Category("shorts", products.shorts, (19, 70), 1.0, False, 0.9, 0.0,
             "Cotton Linen", "plain stripes check floral corduroy denim denim denim"),
    Category("sneaker", products.sneaker, (49, 160), 1.25, True, 0.0, 0.05,
             "Canvas Suede", "plain plain leather knit check dots stripes"),
    Category("boot", products.boot, (79, 260), 1.0, True, 0.0, 0.3,
             "Suede Nubuck", "leather leather plain plain corduroy herringbone"),
    Category("handbag", products.handbag, (49, 320), 1.0, True, 0.0, 0.15,
             "Canvas Felt", "leather leather plain check herringbone floral stripes"),
    Category("backpack", products.backpack, (39, 180), 0.85, True, 0.2, 0.05,
             "Canvas Nylon", "plain plain leather check herringbone dots floral"),
    Category("hat", products.hat, (15, 85), 1.2, False, 0.2, 0.0,
             "Wool Cotton Felt", "plain plain knit corduroy check herringbone stripes"),
    Category("watch", products.watch, (59, 450), 0.8, False, 0.0, 0.15,
             "Steel Titanium", "leather leather plain stripes herringbone"),
    Category("mug", products.mug, (9, 32), 1.1, True, 0.0, 0.4,
             "Stoneware Porcelain Enamel",
             "plain speckle speckle stripes dots check zigzag floral"),
    Category("vase", products.vase, (19, 140), 0.8, True, 0.0, 0.4,
             "Ceramic Glazed Stoneware", "plain plain speckle stripes dots zigzag floral"),
    Category("chair", products.chair, (89, 690), 0.9, True, 0.3, 0.0,
             "Bouclé Linen Velvet", "plain plain corduroy check herringbone leather knit"),
    Category("lamp", products.lamp, (35, 290), 0.85, True, 0.0, 0.25,
             "Linen Metal Paper", "plain plain plain stripes dots zigzag floral"),
    Category("cushion", products.cushion, (15, 75), 1.05, False, 0.25, 0.0,
             "Cotton Linen Velvet",
             "plain stripes dots check herringbone zigzag floral knit corduroy"),
)
# fmt: on

BRANDS = (
    "Alder & Finch",
    "Norrvik",
    "Tuileway",
    "Haldenby",
    "Portmore",
    "Saltmarsh",
    "Okarow",
    "Quillon",
)

MATERIAL = {
    "denim": "Denim",
    "leather": "Leather",
    "knit": "Knitted",
    "corduroy": "Corduroy",
    "speckle": "Speckled stoneware",
}
"""Patterns that are themselves what a product is made of."""

ONLY_IN = {"denim": "blue black grey", "leather": "black brown red grey blue green"}
"""Colors in which a material is to be had."""

SOLID = {
    "metal": "#c3c1bc",
    "brass": "#c2a15e",
    "iron": "#3b3a3a",
    "wood": "#b98a5a",
    "clay": "#c98f68",
    "rubber": "#f1ede4",
    "button": "#efe8da",
    "cord": "#f0eadd",
    "dial": "#f6f1e6",
    "coffee": "#4a3023",
    "stem": "#7b7a4f",
    "leaf": "#8d9568",
    "glow": "#ffe9b8",
    "shade": "#1d1820",
}

WHEAT, NAVY, WINE, TAN = "#ead3a2", "#2b3d66", "#6d2338", "#83583a"

ACCENTS = {
    "black": (CREAM, WHEAT, "#c9ccd1"),
    "white": (NAVY, INK, "#a4523b", "#47614d", "#7f9cbd"),
    "red": (CREAM, WHEAT, "#f0cfc6"),
    "green": (CREAM, WHEAT, "#dbe6cf"),
    "yellow": (NAVY, INK, "#6b4a30"),
    "blue": (CREAM, "#d5e2f0", NAVY),
    "brown": (CREAM, WHEAT, "#b9cbd8"),
    "purple": (CREAM, "#e2d3ee", "#f3d9de"),
    "pink": (CREAM, WINE, NAVY),
    "orange": (CREAM, NAVY, INK),
    "grey": (CREAM, INK, WINE),
}
"""What goes with each color; only those that stand out from the very shade are used."""

STUDIO = ("#f2efe9", "#efece8", "#f3f1ee", "#ecebe8", "#f0eae2", "#e9ecec")
TINTED = ("#e6dccf", "#dde3df", "#e8dcd8", "#d9e0e6", "#e3dfea", "#ebe3cc")
DARKER = ("#cfc4b4", "#bcc7c4", "#d2bfb6", "#b9c3cc", "#c6bfcd", "#c9c2a8")
"""Walls for white things."""

FLOORS = ("#d9cbb8", "#cfd0c8", "#d8c9c2", "#c9ced2")
OAK, ASH = "#d3b48c", "#dccbb2"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of catalog.csv."""

    id: str
    file: str
    name: str
    category: str
    brand: str
    color: str
    pattern: str
    price: str
    in_stock: str
    uploaded_at: str


@dataclass(frozen=True, slots=True)
class Design:
    """Everything that decides a product's picture."""

    row: Row
    parts: tuple[Part, ...]
    paints: dict[str, Paint]
    backdrop: Backdrop
    size: tuple[int, int]
    angle: float
    fill: float
    stands: bool
    seed: int
    cut: bool

    def layer(self) -> Layer:
        """The product alone, where it is in its picture."""
        width, height = self.size
        rim = (1 - self.fill) / 2
        low = 0.87 if self.stands else 1 - rim
        frame = (width * rim, height * rim, width * (1 - rim), height * low)
        pose = Pose.fitting(self.parts, frame, self.angle, self.stands)
        return paint_product(self.parts, self.paints, pose, self.size)

    def picture(self) -> Image.Image:
        """RGB with its backdrop, or RGBA where it is cut out."""
        if self.cut:
            return cut_out(self.layer())
        return compose(self.layer(), self.backdrop.paint(self.size, self.seed), self.stands)

    def save(self, path: Path) -> None:
        """Writes the picture as its suffix says."""
        self.picture().save(path, quality=88)


def design(number: int, seed: int) -> Design:
    """The product with this number, counted from 0."""
    r = Random(f"{seed}/{number}")
    kind = CATEGORIES[number % len(CATEGORIES)]
    turn = number // len(CATEGORIES)
    color = list(PALETTE)[(turn * 3 + number % len(CATEGORIES) * 4) % len(PALETTE)]
    shade, code = r.choice(list(PALETTE[color].items()))
    pattern = r.choice(kind.patterns.split())
    if color not in ONLY_IN.get(pattern, color):
        pattern = "plain"
    noun, parts = kind.sketch(r)
    material = MATERIAL.get(pattern) or r.choice(kind.materials.split()).replace("-", " ")
    look = shade if pattern in (*MATERIAL, "plain") else f"{shade} {pattern}"
    cut = number % 47 == 20 and color != "white"
    name = f"{kind.name}-{turn + 1:03d}"
    low, high = kind.price
    price = r.triangular(low, high, low + (high - low) * 0.3)
    row = Row(
        id=name,
        file=f"images/{name}.{'png' if cut else 'jpg'}",
        name=f"{material} {noun}, {look}",
        category=kind.name,
        brand=r.choice(BRANDS),
        color=color,
        pattern=pattern,
        price=f"{int(price) + r.choice((0, 0.5, 0.9)):.2f}",
        in_stock=str(r.random() < 0.85).lower(),
        uploaded_at=format_datetime(
            datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=r.randrange(340 * 86400))
        ),
    )
    side = r.choice((400, 416, 432, 448, 464, 480))
    size = (
        (side, round(side / kind.aspect)) if kind.aspect > 1 else (round(side * kind.aspect), side)
    )
    return Design(
        row=row,
        parts=tuple(parts),
        paints=_paints(r, color, rgb(code), pattern, kind),
        backdrop=_backdrop(r, color, kind.stands),
        size=size,
        angle=r.gauss(0, 0.008 if kind.stands else 0.035),
        fill=r.uniform(0.74, 0.82) if kind.stands else r.uniform(0.78, 0.86),
        stands=kind.stands and not noun.startswith("pendant"),
        seed=r.randrange(2**31),
        cut=cut,
    )


def _paints(r: Random, color: str, base: Field, pattern: str, kind: Category) -> dict[str, Paint]:
    """What each paint of a sketch is for a product of this color and pattern."""
    clear = [c for c in map(rgb, ACCENTS[color]) if abs(luma(c) - luma(base)) > 0.25]
    accent = mix(r.choice(clear), base, 0.1)
    body = Cloth(pattern, base, accent, r.uniform(0.85, 1.2), r.randrange(12), r.randrange(2**31))
    trim = r.choice((body.deep, body.deep, accent, accent if kind.folds > 0.5 else rgb(TAN)))
    gloss = max(kind.gloss, 0.3) if pattern == "leather" else kind.gloss
    colors = {
        "plain": base,
        "trim": trim,
        "inside": mix(base * 0.62, rgb(INK), 0.12),
        "deep": body.deep,
        "strap": r.choice((body.deep, base, rgb(TAN))),
        "sole": rgb(r.choice(("#2b2625", "#5b4030"))),
        "seam": seam_color(base),
        **{name: rgb(code) for name, code in SOLID.items()},
    }
    opacity = {"seam": 0.6, "shade": 0.1}
    paints = {
        name: Paint(Cloth("plain", color, color), opacity.get(name, 1.0), gloss)
        for name, color in colors.items()
    }
    return {**paints, "body": Paint(body, 1.0, gloss, kind.folds)}


def _backdrop(r: Random, color: str, stands: bool) -> Backdrop:
    luck = r.random()
    oak = r.choice((OAK, ASH))
    if color == "white":
        wall = r.choice(DARKER)
        return (
            Backdrop(wall, wall, False, r.uniform(0.7, 0.76))
            if stands and luck < 0.4
            else Backdrop(wall)
        )
    if luck < 0.5:
        return Backdrop(r.choice(STUDIO))
    if luck < 0.72:
        return Backdrop(r.choice(TINTED))
    if stands:
        wood = luck > 0.86 and color not in ("brown", "orange", "yellow")
        return Backdrop(
            r.choice(STUDIO + TINTED),
            oak if wood else r.choice(FLOORS),
            wood,
            r.uniform(0.68, 0.76),
        )
    if luck > 0.86 and color not in ("brown", "orange", "yellow"):
        return Backdrop(oak, wood=True)
    return Backdrop(r.choice(TINTED))


# --- near-copies ----------------------------------------------------------------------------


def _crop(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((width // 24, height // 30, width - width // 30, height - height // 24))


EDITS: tuple[tuple[Callable[[Image.Image], Image.Image], int], ...] = (
    (lambda picture: picture, 42),
    (lambda picture: picture.resize((picture.width * 5 // 8, picture.height * 5 // 8)), 85),
    (_crop, 88),
    (ImageOps.mirror, 88),
    (lambda picture: ImageEnhance.Brightness(picture).enhance(1.1), 88),
    (lambda picture: ImageEnhance.Brightness(picture).enhance(0.86), 80),
)
"""What others do to a picture that they take over, and the JPEG quality they save it with."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A near-copy of a product's picture, under an id of its own."""

    row: Row
    original: Design
    edit: int

    def save(self, path: Path) -> None:
        change, quality = EDITS[self.edit]
        change(self.original.picture()).save(path, quality=quality)


def _copy(original: Design, edit: int) -> Copy:
    name = f"{original.row.id}-copy"
    at = parse_datetime(original.row.uploaded_at) + timedelta(days=edit + 1, hours=3)
    row = replace(original.row, id=name, file=f"images/{name}.jpg", uploaded_at=format_datetime(at))
    return Copy(row, original, edit)


# --- the catalog --------------------------------------------------------------------------


def plan(count: int, seed: int) -> list[Design | Copy]:
    """What a catalog of `count` pictures holds, near-copies last."""
    copies = round(count * COPIES)
    designs = [design(number, seed) for number in range(count - copies)]
    whole = [item for item in designs if not item.cut]
    chosen = Random(f"{seed}/copies").sample(whole, copies)
    return [*designs, *(_copy(item, i % len(EDITS)) for i, item in enumerate(chosen))]


def draw_catalog(
    folder: Path,
    *,
    count: int = 640,
    seed: int = 7,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draws product pictures and the table of what they show: the same bytes for the same seed.

    One that is there already and whole is left as it is; one that was interrupted, or was drawn
    by another version, is drawn anew, without touching other files.

    Args:
        folder: gets `catalog.csv` and `images/`.
        count: number of pictures, of which one in 27 is a near-copy of another.
        progress: called with the pictures done and their number.

    Returns:
        The path of catalog.csv. `color` is the basic color term of most of the product and
        `pattern` what covers it; `file` is relative to the table.

    Raises:
        InputError: `count` is not positive, or the folder has another catalog.csv.
    """
    if count < 1:
        raise InputError(f"A catalog of {count} pictures cannot be drawn; ask for at least 1.")
    table, mark = folder / "catalog.csv", folder / MARK
    wanted = {"version": VERSION, "count": count, "seed": seed, "complete": True}
    if table.exists():
        if not mark.exists():
            raise InputError(f"{table} is not a drawn catalog; choose another folder.")
        if json.loads(mark.read_text()) == wanted and all(map(Path.exists, _files(table))):
            return table
    items = plan(count, seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({**wanted, "complete": False}))
    stale = set(_files(table)) - {folder / item.row.file for item in items}
    for path in stale:
        path.unlink(missing_ok=True)
    _write_table(table, [item.row for item in items])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(item.save, folder / item.row.file) for item in items]
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                if progress:
                    progress(done, count)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    mark.write_text(json.dumps(wanted))
    return table


def _files(table: Path) -> list[Path]:
    """The pictures that a drawn table names."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as lines:
        return [table.parent / "images" / Path(row["file"]).name for row in csv.DictReader(lines)]


def _write_table(table: Path, rows: list[Row]) -> None:
    with table.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, rows))
