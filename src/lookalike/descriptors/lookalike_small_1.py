"""The built-in model: things and scenes, by a small network that comes with the package.

What it was trained on, how well it does and what it does not know is in docs/model-card.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np

from lookalike.descriptors._pixels import shrink
from lookalike.errors import ModelError
from lookalike.types import Description, Distance, Image, Pixels, VectorSpec

_WEIGHTS = Path(__file__).with_name("lookalike-small-1.onnx")
_SHA256 = "8c01bf45e2539d8d391edc0f4cea50b38bab7fdddf053ab44ee8b08ae72dab4a"
_SIDE = 128
_TOGETHER = 8


class LookalikeSmall1:
    """A convolutional network of 128 x 128 pixels, distilled from MobileNetV2.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015),
    https://arxiv.org/abs/1503.02531. Its weights are read when the first picture is described.
    """

    side = _SIDE
    spec = VectorSpec(
        name="lookalike-small-1",
        aspect="semantic",
        size=512,
        distance=Distance.COSINE,
        datatype="float32",
        model="lookalike-small-1",
        revision=_SHA256[:16],
    )

    def __init__(self) -> None:
        """Raises ModelError where the package's file is missing or damaged."""
        try:
            self._weights = _WEIGHTS.read_bytes()
        except OSError:
            self._weights = b""
        if hashlib.sha256(self._weights).hexdigest() != _SHA256:
            raise ModelError(
                f"The built-in model's file {_WEIGHTS} is missing or damaged: install lookalike "
                "again."
            )
        self._lock = Lock()

    def describe(self, images: Sequence[Image]) -> Description:
        """(n, 512) float32, each row of length 1; no payload."""
        with self._lock:
            session = self._session
        squares = [_square(image) for image in images]
        # Some at a time, for which the weights are fetched once: alone a picture takes half as
        # long again. Its vector does not depend on the others.
        rows = [
            session.run(None, {"pixels": np.stack(squares[start : start + _TOGETHER])})[0]
            for start in range(0, len(squares), _TOGETHER)
        ]
        return Description(np.concatenate([np.empty((0, self.spec.size), np.float32), *rows]))

    @cached_property
    def _session(self) -> Any:
        import onnxruntime  # type: ignore[import-untyped]  # a tenth of a second

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # as in `clip.Clip`
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            self._weights, options, providers=["CPUExecutionProvider"]
        )


def _square(image: Image) -> Pixels:
    """The whole picture squashed to a square, as the network was trained."""
    pixels, _ = shrink(image, _SIDE)
    square = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(square, np.uint8)
