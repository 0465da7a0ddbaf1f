"""Documents on one template: slides, tickets, price tags, cards, forms, boards, and memes.

Each function draws one document of its kind; another number gives other words, numbers or
positions on the same template. No two of them are copies of each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

Picture = PIL.Image.Image
Draw = Callable[[int], Picture]
Font = PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont

WORDS = [
    "amber",
    "basin",
    "copper",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbor",
    "island",
    "jasper",
    "kernel",
    "lagoon",
    "meadow",
    "nickel",
    "onyx",
    "prairie",
    "quartz",
    "ridge",
    "summit",
    "timber",
    "umber",
    "valley",
    "willow",
    "yonder",
    "zephyr",
]


def _font(size: int) -> Font:
    return PIL.ImageFont.load_default(size)


def _sheet(width: int, height: int, color: str) -> tuple[Picture, PIL.ImageDraw.ImageDraw]:
    sheet = PIL.Image.new("RGB", (width, height), color)
    return sheet, PIL.ImageDraw.Draw(sheet)


def _words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(count))


def slide(number: int) -> Picture:
    rng = random.Random(number)
    sheet, pen = _sheet(1280, 720, "white")
    pen.rectangle((0, 0, 1280, 90), "#204060")
    pen.text((40, 20), "Quarterly review", "white", _font(44))
    for y in range(150, 660, 85):
        pen.ellipse((60, y + 10, 76, y + 26), "#204060")
        pen.text((100, y), _words(rng, 6), "black", _font(34))
    return sheet


def invoice(number: int) -> Picture:
    """Only the number, the day and the total are other ones."""
    same = random.Random(99)
    sheet, pen = _sheet(1240, 1754, "white")
    pen.text((80, 80), "ACME Ltd", "black", _font(60))
    title = f"Invoice No. 2024-{1000 + number * 1371} of {1 + number * 3} May"
    pen.text((80, 200), title, "black", _font(40))
    for y in range(300, 1650, 45):
        pen.text((90, y), _words(same, 8), "black", _font(28))
    pen.text((900, 1680), f"{number * 331 + 117}.50", "black", _font(40))
    return sheet


def ticket(number: int) -> Picture:
    rng = random.Random(number)
    sheet, pen = _sheet(1000, 420, "#f4e9c8")
    pen.rectangle((0, 0, 220, 420), "#8a1c2c")
    pen.text((30, 180), "ADMIT ONE", "white", _font(30))
    pen.text((260, 40), "City Concert Hall", "#222", _font(52))
    seat = f"Row {rng.randrange(1, 40)}  Seat {rng.randrange(1, 60)}"
    pen.text((260, 140), seat, "#222", _font(44))
    pen.text((260, 310), f"No. {rng.randrange(10**7, 10**8)}", "#222", _font(32))
    for x in range(800, 980, 6):
        pen.line((x, 60, x, 360), "black", rng.choice((1, 2, 4)))
    return sheet


def price_tag(number: int) -> Picture:
    rng = random.Random(number)
    sheet, pen = _sheet(600, 400, "#ffe14d")
    pen.text((30, 20), rng.choice(WORDS).upper(), "black", _font(60))
    pen.text((60, 120), f"{rng.randrange(1, 99)}.{rng.randrange(10, 99)}", "#cc0000", _font(170))
    pen.text((30, 340), "per piece, incl. VAT", "black", _font(28))
    return sheet


def business_card(number: int) -> Picture:
    rng = random.Random(number)
    sheet, pen = _sheet(1050, 600, "#fafafa")
    pen.polygon([(0, 0), (400, 0), (200, 600), (0, 600)], "#0a7d6b")
    pen.text((460, 120), _words(rng, 2).title(), "#111", _font(56))
    pen.text((460, 380), f"+49 30 {rng.randrange(10**6, 10**7)}", "#111", _font(30))
    pen.text((460, 430), f"{rng.choice(WORDS)}@example.com", "#111", _font(30))
    return sheet


def time_sheet(number: int) -> Picture:
    rng = random.Random(number)
    sheet, pen = _sheet(1200, 1600, "white")
    pen.text((60, 40), "Time sheet", "black", _font(60))
    for y in range(160, 1500, 55):
        pen.line((60, y, 1140, y), "#999")
        for x in range(80, 1140, 215):
            time = f"{rng.randrange(10, 24)}:{rng.randrange(10, 60)}"
            pen.text((x, y + 10), time, "black", _font(30))
    return sheet


def calendar(number: int) -> Picture:
    sheet, pen = _sheet(1000, 800, "white")
    pen.rectangle((0, 0, 1000, 120), "#aa3355")
    names = ("January", "February", "March", "April", "May", "June", "July", "August")
    pen.text((380, 30), names[number % 8], "white", _font(60))
    for day in range(30):
        row, column = divmod(day + number % 7, 7)
        pen.text((40 + column * 140, 150 + row * 120), str(day + 1), "black", _font(44))
    return sheet


def receipt(number: int) -> Picture:
    rng = random.Random(number)
    sheet, pen = _sheet(500, 1000, "#fdfdfd")
    pen.text((120, 30), "MARKET 24", "black", _font(50))
    for y in range(150, 850, 50):
        pen.text((30, y), rng.choice(WORDS), "black", _font(30))
        pen.text((380, y), f"{rng.randrange(1, 20)}.{rng.randrange(10, 99)}", "black", _font(30))
    pen.text(
        (30, 900), f"TOTAL {rng.randrange(20, 300)}.{rng.randrange(10, 99)}", "black", _font(44)
    )
    return sheet


def board(number: int) -> Picture:
    """A position of black and white pieces on a board."""
    rng = random.Random(number)
    sheet, pen = _sheet(900, 900, "white")
    for square in range(64):
        x, y = 50 + square % 8 * 100, 50 + square // 8 * 100
        pen.rectangle((x, y, x + 100, y + 100), ("#eeeedd", "#779966")[sum(divmod(square, 8)) % 2])
    for _ in range(14):
        x, y = 100 + rng.randrange(8) * 100, 100 + rng.randrange(8) * 100
        color = rng.choice(("black", "white"))
        pen.ellipse((x - 20, y - 30, x + 20, y + 5), color, "black")
        pen.rectangle((x - 28, y + 5, x + 28, y + 30), color, "black")
    return sheet


def meme(photo: Picture, number: int) -> Picture:
    """A photo with words across the top and the bottom."""
    rng = random.Random(number)
    picture = photo.convert("RGB").resize((640, round(640 / photo.width * photo.height)))
    pen = PIL.ImageDraw.Draw(picture)
    for y in (0.1, 0.9):
        pen.text(
            (320, y * picture.height),
            _words(rng, 3).upper(),
            "white",
            _font(42),
            anchor="mm",
            stroke_width=3,
            stroke_fill="black",
        )
    return picture


def printed(garment: Picture, number: int) -> Picture:
    """A garment with another print on its chest."""
    rng = random.Random(number)
    picture = garment.convert("RGB")
    pen = PIL.ImageDraw.Draw(picture)
    width, height = picture.size
    color = tuple(rng.randrange(256) for _ in range(3))
    for _ in range(9):
        x, y = (rng.uniform(0.36, 0.56) * width, rng.uniform(0.3, 0.5) * height)
        reach = rng.uniform(0.04, 0.1) * width
        shape = rng.choice((pen.ellipse, pen.rectangle))
        shape((x, y, x + reach, y + reach), color, rng.choice(("black", "white")), 2)
    return picture


DOCUMENTS: Mapping[str, Draw] = MappingProxyType(
    {
        "slide": slide,
        "invoice": invoice,
        "ticket": ticket,
        "price tag": price_tag,
        "business card": business_card,
        "time sheet": time_sheet,
        "calendar": calendar,
        "receipt": receipt,
        "board": board,
    }
)
