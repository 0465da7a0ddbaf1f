"""Designs of products: everything random about a picture, and the facts in its table row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from PIL import Image

from lookalike.demo.categories import CATEGORIES, Category
from lookalike.demo.drawing.colors import CREAM, INK, PALETTE, Field, luma, mix, rgb, seam_color
from lookalike.demo.drawing.painting import Layer, Paint, Pose, paint_product
from lookalike.demo.drawing.parts import Part
from lookalike.demo.drawing.patterns import Cloth
from lookalike.demo.drawing.scenes import Backdrop, compose, cut_out
from lookalike.system.times import format_datetime

_BRANDS = (
    "Alder & Finch",
    "Norrvik",
    "Tuileway",
    "Haldenby",
    "Portmore",
    "Saltmarsh",
    "Okarow",
    "Quillon",
)

_MATERIAL = {
    "denim": "Denim",
    "leather": "Leather",
    "knit": "Knitted",
    "corduroy": "Corduroy",
    "speckle": "Speckled stoneware",
}
"""Patterns that are a material themselves."""

_ONLY_IN = {"denim": "blue black grey", "leather": "black brown red grey blue green"}
"""Colors of a material."""

_SOLID = {
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

_WHEAT, _NAVY, _WINE, _TAN = "#ead3a2", "#2b3d66", "#6d2338", "#83583a"

_ACCENTS = {
    "black": (CREAM, _WHEAT, "#c9ccd1"),
    "white": (_NAVY, INK, "#a4523b", "#47614d", "#7f9cbd"),
    "red": (CREAM, _WHEAT, "#f0cfc6"),
    "green": (CREAM, _WHEAT, "#dbe6cf"),
    "yellow": (_NAVY, INK, "#6b4a30"),
    "blue": (CREAM, "#d5e2f0", _NAVY),
    "brown": (CREAM, _WHEAT, "#b9cbd8"),
    "purple": (CREAM, "#e2d3ee", "#f3d9de"),
    "pink": (CREAM, _WINE, _NAVY),
    "orange": (CREAM, _NAVY, INK),
    "grey": (CREAM, INK, _WINE),
}
"""Accents for each color; only those that contrast with the shade are used."""

_STUDIO = ("#f2efe9", "#efece8", "#f3f1ee", "#ecebe8", "#f0eae2", "#e9ecec")
_TINTED = ("#e6dccf", "#dde3df", "#e8dcd8", "#d9e0e6", "#e3dfea", "#ebe3cc")
_DARKER = ("#cfc4b4", "#bcc7c4", "#d2bfb6", "#b9c3cc", "#c6bfcd", "#c9c2a8")
"""Walls for white products."""

_FLOORS = ("#d9cbb8", "#cfd0c8", "#d8c9c2", "#c9ced2")
_OAK, _ASH = "#d3b48c", "#dccbb2"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of catalog.csv."""

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
    """Everything that determines the picture of a product.

    Attributes:
        row: its row in the table.
        parts: its parts, from back to front.
        paints: the paint of each part, by name.
        backdrop: its background.
        size: width and height of the picture in pixels.
        angle: its rotation in radians.
        fill: share of the picture that it may fill, in each direction.
        stands: whether it stands on a floor.
        seed: seed of the background's noise.
        cut: whether it is cut out, without a background.
    """

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
        """Paints the product alone, at its place in the picture."""
        width, height = self.size
        rim = (1 - self.fill) / 2
        low = 0.87 if self.stands else 1 - rim
        frame = (width * rim, height * rim, width * (1 - rim), height * low)
        pose = Pose.fitting(self.parts, frame, self.angle, self.stands)
        return paint_product(self.parts, self.paints, pose, self.size)

    def picture(self) -> Image.Image:
        """Paints the picture: RGB with a background, or RGBA if it is cut out."""
        if self.cut:
            return cut_out(self.layer())
        return compose(self.layer(), self.backdrop.paint(self.size, self.seed), self.stands)

    def save(self, path: Path) -> None:
        """Writes the picture in the format of the suffix."""
        self.picture().save(path, quality=88)


def design(number: int, seed: int) -> Design:
    """Designs the product with a number, counted from 0."""
    r = Random(f"{seed}/{number}")
    kind = CATEGORIES[number % len(CATEGORIES)]
    turn = number // len(CATEGORIES)
    color = list(PALETTE)[(turn * 3 + number % len(CATEGORIES) * 4) % len(PALETTE)]
    shade, code = r.choice(list(PALETTE[color].items()))
    pattern = r.choice(kind.patterns.split())
    if color not in _ONLY_IN.get(pattern, color):
        pattern = "plain"
    noun, parts = kind.sketch(r)
    material = _MATERIAL.get(pattern) or r.choice(kind.materials.split()).replace("-", " ")
    look = shade if pattern in (*_MATERIAL, "plain") else f"{shade} {pattern}"
    cut = number % 47 == 20 and color != "white"
    name = f"{kind.name}-{turn + 1:03d}"
    low, high = kind.price
    price = r.triangular(low, high, low + (high - low) * 0.3)
    row = Row(
        id=name,
        file=f"images/{name}.{'png' if cut else 'jpg'}",
        name=f"{material} {noun}, {look}",
        category=kind.name,
        brand=r.choice(_BRANDS),
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
    """Returns the paints of a sketch for a product of a color and pattern."""
    clear = [c for c in map(rgb, _ACCENTS[color]) if abs(luma(c) - luma(base)) > 0.25]
    accent = mix(r.choice(clear), base, 0.1)
    body = Cloth(pattern, base, accent, r.uniform(0.85, 1.2), r.randrange(12), r.randrange(2**31))
    trim = r.choice((body.deep, body.deep, accent, accent if kind.folds > 0.5 else rgb(_TAN)))
    gloss = max(kind.gloss, 0.3) if pattern == "leather" else kind.gloss
    colors = {
        "plain": base,
        "trim": trim,
        "inside": mix(base * 0.62, rgb(INK), 0.12),
        "deep": body.deep,
        "strap": r.choice((body.deep, base, rgb(_TAN))),
        "sole": rgb(r.choice(("#2b2625", "#5b4030"))),
        "seam": seam_color(base),
        **{name: rgb(code) for name, code in _SOLID.items()},
    }
    opacity = {"seam": 0.6, "shade": 0.1}
    paints = {
        name: Paint(Cloth("plain", color, color), opacity.get(name, 1.0), gloss)
        for name, color in colors.items()
    }
    return {**paints, "body": Paint(body, 1.0, gloss, kind.folds)}


def _backdrop(r: Random, color: str, stands: bool) -> Backdrop:
    luck = r.random()
    oak = r.choice((_OAK, _ASH))
    if color == "white":
        wall = r.choice(_DARKER)
        return (
            Backdrop(wall, wall, False, r.uniform(0.7, 0.76))
            if stands and luck < 0.4
            else Backdrop(wall)
        )
    if luck < 0.5:
        return Backdrop(r.choice(_STUDIO))
    if luck < 0.72:
        return Backdrop(r.choice(_TINTED))
    if stands:
        wood = luck > 0.86 and color not in ("brown", "orange", "yellow")
        return Backdrop(
            r.choice(_STUDIO + _TINTED),
            oak if wood else r.choice(_FLOORS),
            wood,
            r.uniform(0.68, 0.76),
        )
    if luck > 0.86 and color not in ("brown", "orange", "yellow"):
        return Backdrop(oak, wood=True)
    return Backdrop(r.choice(_TINTED))
