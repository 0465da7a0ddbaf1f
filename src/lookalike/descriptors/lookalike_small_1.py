"""The built-in model: a small network for things and scenes, shipped with the package.

Its training, quality and limits are described in docs/model-card.md.
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
from lookalike.descriptors._words import Vocabulary
from lookalike.errors import ModelError
from lookalike.types import Description, Distance, Image, Mention, Pixels, Vector, VectorSpec, Word

WEIGHTS = Path(__file__).with_name("lookalike-small-1.onnx")
_WORDS = Path(__file__).with_name("lookalike-small-1-words.npz")
_SHA256 = "239220131d956db64ef53a369144ae8ab060ecc3a0a8a641765d27836947de47"
_SIDE = 128
_PREPROCESSING_VERSION = 2
"""Part of the revision, as other pre-processing makes other vectors."""

_BATCH = 16
PROBE_RESULT = (0.0070526, 0.0134293, 0.0094943, -0.0106288)
"""The first elements of the vector of `probe` under exact arithmetic. New weights need new ones."""


class LookalikeSmall1:
    """A convolutional network on 128 x 128 pixels, in 8 bits, distilled from MobileNetV2.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015),
    https://arxiv.org/abs/1503.02531. The network is created with the first picture.
    """

    side = _SIDE
    spec = VectorSpec(
        name="lookalike-small-1",
        aspect="semantic",
        size=512,
        distance=Distance.COSINE,
        datatype="float32",
        model="lookalike-small-1",
        revision=f"{_SHA256[:12]}.{_PREPROCESSING_VERSION}",
    )

    def __init__(self) -> None:
        """Raises ModelError if the package's file is missing or damaged."""
        try:
            self._weights = WEIGHTS.read_bytes()
        except OSError:
            self._weights = b""
        if hashlib.sha256(self._weights).hexdigest() != _SHA256:
            raise ModelError(
                f"The built-in model's file {WEIGHTS} is missing or damaged: install lookalike "
                "again."
            )
        self._lock = Lock()
        self._vocabulary = Vocabulary(_WORDS)

    def describe(self, images: Sequence[Image]) -> Description:
        """(n, 512) float32, each row of length 1; no payload."""
        with self._lock:
            session = self._session
        squares = [_square(image) for image in images]
        # In batches, for which the weights are fetched from memory once: a single picture takes
        # half as long again. Vectors do not depend on the rest of the batch.
        rows = [
            session.run(None, {"pixels": np.stack(squares[start : start + _BATCH])})[0]
            for start in range(0, len(squares), _BATCH)
        ]
        return Description(np.concatenate([np.empty((0, self.spec.size), np.float32), *rows]))

    @property
    def words(self) -> Sequence[Word]:
        """The words that pictures can be searched by."""
        return self._vocabulary.words

    def mentions(self, text: str) -> Sequence[Mention]:
        return self._vocabulary.mentions(text)

    def describe_text(self, texts: Sequence[str]) -> list[Vector]:
        """Raises QueryError if a text has a word that the model does not know."""
        return [self._vocabulary.vector(text) for text in texts]

    @cached_property
    def _session(self) -> Any:
        fast = open_network(self._weights, exact=False)
        # On processors without VNNI (instructions for sums of 8-bit products), the fast kernels
        # saturate these sums at 16 bits and make other vectors.
        vector = fast.run(None, {"pixels": probe()})[0][0]
        is_exact = np.abs(vector[: len(PROBE_RESULT)] - PROBE_RESULT).max() < 1e-4
        return fast if is_exact else open_network(self._weights, exact=True)


def open_network(weights: bytes, *, exact: bool) -> Any:
    """Creates an ONNX Runtime session. An exact one gives the same result on every processor, at
    half the speed."""
    import onnxruntime  # type: ignore[import-untyped]  # takes 0.1 s

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # as in `clip.Clip`
    options.log_severity_level = 3
    options.add_session_config_entry("session.x64quantprecision", str(int(exact)))
    return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


def probe() -> Pixels:
    """Returns a picture of noise, whose large differences make large products."""
    noise = np.arange(3 * _SIDE**2, dtype=np.uint32) * np.uint32(2654435761) >> np.uint32(24)
    return noise.astype(np.uint8).reshape(1, _SIDE, _SIDE, 3)


def _square(image: Image) -> Pixels:
    """Squashes the whole picture to a square.

    If neither side is more than halved, interpolation stays within one level of the area means
    that the network was trained on, in a fifth of the time: precision@10 is 0.525 and 0.698 instead
    of 0.526 and 0.698.
    """
    pixels, _ = shrink(image, _SIDE)
    method = cv2.INTER_LINEAR if max(pixels.shape) <= 2 * _SIDE else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, (_SIDE, _SIDE), interpolation=method), np.uint8)
