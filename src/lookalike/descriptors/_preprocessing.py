"""Pre-processing of pictures as a `preprocessor_config.json` of Hugging Face describes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lookalike.errors import ModelError
from lookalike.types import Pixels

_SHORTER_SIDE = ("CLIP", "Bit", "ConvNext", "Chinese")
"""Kinds of processors for which a single number is the length of the shorter side; for all others
it is both sides of a square."""

_UNSUPPORTED = (
    "do_pad",
    "do_thumbnail",
    "do_align_long_axis",
    "do_image_splitting",
    "do_flip_channel_order",
    "max_num_patches",
)


_LARGEST = 4096


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Steps from a picture to a network's input.

    Attributes:
        resize: height and width, or the length of the shorter side.
        crop: height and width of the part in the middle; None takes all of the picture.
        resample: filter of the resize.
        scale, mean, std: a pixel becomes `(pixel * scale - mean) / std`.
    """

    resize: int | tuple[int, int]
    crop: tuple[int, int] | None
    resample: PIL.Image.Resampling
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def side(self) -> int:
        """Pixels that are wanted on a picture's shorter side."""
        return self.resize if isinstance(self.resize, int) else max(self.resize)

    def __call__(self, pixels: Pixels) -> NDArray[np.float32]:
        """(3, height, width): the network's input for a picture."""
        image = PIL.Image.fromarray(pixels)
        image = image.resize(self._size(image.width, image.height), self.resample)
        if self.crop is not None:
            height, width = self.crop
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        array = (np.asarray(image, np.float32) * np.float32(self.scale) - mean) / std
        return np.ascontiguousarray(array.transpose(2, 0, 1), np.float32)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after the resize."""
        if not isinstance(self.resize, int):
            return self.resize[1], self.resize[0]
        longer = int(self.resize * max(width, height) / min(width, height))
        return (self.resize, longer) if width <= height else (longer, self.resize)


def read_preprocessing(file: Path) -> Preprocessing:
    """Reads a `preprocessor_config.json`.

    Raises:
        ModelError: it cannot be read, or asks for a step that is not supported.
    """
    try:
        return _preprocessing(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"The pre-processing in {file} cannot be used: {reason}.") from error


def _preprocessing(config: Mapping[str, Any]) -> Preprocessing:
    for name in _UNSUPPORTED:
        if config.get(name):
            raise ValueError(f"{name} is not supported")
    if not config.get("do_resize", True):
        raise ValueError("without do_resize, pictures have different sizes")
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    resize = _resize(config["size"], is_shorter_side=kind.startswith(_SHORTER_SIDE))
    crop = None
    if config.get("do_center_crop", "crop_size" in config):
        crop = _both_sides(config["crop_size"])
    elif isinstance(resize, int) and kind.startswith("ConvNext"):
        resize, crop = _convnext(resize, config.get("crop_pct") or 0.875)
    if isinstance(resize, int) and crop is None:
        raise ValueError("shortest_edge without do_center_crop makes pictures of different sizes")
    sides = (resize, resize) if isinstance(resize, int) else resize
    if not all(1 <= side <= _LARGEST for side in (*sides, *(crop or ()))):
        raise ValueError(f"size and crop_size must be from 1 to {_LARGEST}")
    if crop is not None and max(crop) > min(sides):
        raise ValueError("crop_size is larger than size")
    is_normalized = config.get("do_normalize", "image_mean" in config)
    return Preprocessing(
        resize,
        crop,
        PIL.Image.Resampling(config.get("resample", PIL.Image.Resampling.BICUBIC)),
        float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
        _channels(config["image_mean"]) if is_normalized else (0.0, 0.0, 0.0),
        _channels(config["image_std"]) if is_normalized else (1.0, 1.0, 1.0),
    )


def _resize(size: Any, *, is_shorter_side: bool) -> int | tuple[int, int]:
    if isinstance(size, int):
        return size if is_shorter_side else (size, size)
    if "shortest_edge" in size:
        return int(size["shortest_edge"])
    if "height" in size:
        return _both_sides(size)
    raise ValueError("size has neither shortest_edge nor height and width")


def _convnext(side: int, share: float) -> tuple[int | tuple[int, int], tuple[int, int] | None]:
    """The resize and the crop of a ConvNeXt: the middle of a small picture, all of a large one."""
    return (int(side / share), (side, side)) if side < 384 else ((side, side), None)


def _both_sides(size: Any) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else (int(size["height"]), int(size["width"]))


def _channels(values: Any) -> tuple[float, float, float]:
    red, green, blue = values if isinstance(values, list) else [values] * 3
    return float(red), float(green), float(blue)
