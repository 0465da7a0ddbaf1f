"""Categories of the drawn products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lookalike.demo.drawing.parts import Sketch
from lookalike.demo.products import accessories, garments, home, shoes


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of product.

    Attributes:
        name: the category in the table.
        sketch: draws its shape.
        price: lowest and highest price.
        aspect: width of the picture divided by its height.
        stands: whether it stands on a floor; otherwise it hangs or lies flat.
        folds: depth of the folds in its cloth; 1 is ordinary.
        gloss: strength of its highlights, 0 to 1.
        materials: materials for its name, separated by spaces.
        patterns: its patterns, separated by spaces; frequent ones are repeated.
    """

    name: str
    sketch: Callable[[Random], Sketch]
    price: tuple[float, float]
    aspect: float
    stands: bool
    folds: float
    gloss: float
    materials: str
    patterns: str


# fmt: off
CATEGORIES = (
    Category("t-shirt", garments.t_shirt, (14, 45), 0.95, False, 1.0, 0.0,
             "Cotton Jersey Organic-cotton", "plain plain stripes stripes dots floral zigzag"),
    Category("shirt", garments.shirt, (29, 95), 0.9, False, 0.9, 0.0,
             "Linen Cotton Poplin", "plain plain stripes check check herringbone floral denim"),
    Category("hoodie", garments.hoodie, (39, 110), 0.9, False, 1.2, 0.0,
             "Fleece Cotton", "plain plain stripes knit check herringbone"),
    Category("dress", garments.dress, (45, 190), 0.75, False, 1.2, 0.05,
             "Silk Viscose Linen", "plain dots dots floral floral stripes check"),
    Category("skirt", garments.skirt, (29, 120), 0.8, False, 1.0, 0.0,
             "Wool Cotton Satin", "plain check herringbone dots floral corduroy denim leather"),
    Category("trousers", garments.trousers, (39, 140), 0.75, False, 0.8, 0.0,
             "Cotton Wool Linen", "plain check herringbone corduroy denim denim denim denim"),
    Category("shorts", garments.shorts, (19, 70), 1.0, False, 0.9, 0.0,
             "Cotton Linen", "plain stripes check floral corduroy denim denim denim"),
    Category("sneaker", shoes.sneaker, (49, 160), 1.25, True, 0.0, 0.05,
             "Canvas Suede", "plain plain leather knit check dots stripes"),
    Category("boot", shoes.boot, (79, 260), 1.0, True, 0.0, 0.3,
             "Suede Nubuck", "leather leather plain plain corduroy herringbone"),
    Category("handbag", accessories.handbag, (49, 320), 1.0, True, 0.0, 0.15,
             "Canvas Felt", "leather leather plain check herringbone floral stripes"),
    Category("backpack", accessories.backpack, (39, 180), 0.85, True, 0.2, 0.05,
             "Canvas Nylon", "plain plain leather check herringbone dots floral"),
    Category("hat", accessories.hat, (15, 85), 1.2, False, 0.2, 0.0,
             "Wool Cotton Felt", "plain plain knit corduroy check herringbone stripes"),
    Category("watch", accessories.watch, (59, 450), 0.8, False, 0.0, 0.15,
             "Steel Titanium", "leather leather plain stripes herringbone"),
    Category("mug", home.mug, (9, 32), 1.1, True, 0.0, 0.4,
             "Stoneware Porcelain Enamel",
             "plain speckle speckle stripes dots check zigzag floral"),
    Category("vase", home.vase, (19, 140), 0.8, True, 0.0, 0.4,
             "Ceramic Glazed Stoneware", "plain plain speckle stripes dots zigzag floral"),
    Category("chair", home.chair, (89, 690), 0.9, True, 0.3, 0.0,
             "Bouclé Linen Velvet", "plain plain corduroy check herringbone leather knit"),
    Category("lamp", home.lamp, (35, 290), 0.85, True, 0.0, 0.25,
             "Linen Metal Paper", "plain plain plain stripes dots zigzag floral"),
    Category("cushion", home.cushion, (15, 75), 1.05, False, 0.25, 0.0,
             "Cotton Linen Velvet",
             "plain stripes dots check herringbone zigzag floral knit corduroy"),
)
# fmt: on
