"""Rendering of self-contained HTML pages from the templates in this folder."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined

from lookalike.errors import LookalikeError

ThumbnailLoader: TypeAlias = Callable[[str], bytes]
"""Returns the JPEG thumbnail of an image, by id; may raise LookalikeError."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture inside a page.

    Attributes:
        url: the picture as a data URL; empty if it could not be loaded.
        problem: the reason why not.
    """

    url: str = ""
    problem: str = ""


def load_picture(load: ThumbnailLoader, id: str) -> Picture:
    """Loads the thumbnail of an image, or the reason why there is none."""
    try:
        return Picture(url=data_url(load(id)))
    except LookalikeError as error:
        return Picture(problem=str(error))


def data_url(jpeg: bytes) -> str:
    """Encodes a picture as a URL that contains it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def render(template: str, **values: object) -> str:
    """Renders a template; values are escaped unless the template says otherwise."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lookalike.output"),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(data_url=data_url, percent="{:.0%}".format, thousands="{:,}".format)
    return environment


def _printable(value: object) -> object:
    """Replaces control characters, which could hide text or reverse its direction."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
