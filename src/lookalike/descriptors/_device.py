"""Devices that run networks, and batches that fit into their memory."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import InputError, ModelError

T = TypeVar("T")

AUTO = "auto"
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")
_OUT_OF_MEMORY = ("out of memory", "failed to allocate", "alloc_failed", "bad_alloc", "bad alloc")

_log = logging.getLogger("lookalike.models")


def check_device(device: str) -> None:
    """Checks that there is a device.

    Raises:
        InputError: it is not a valid name.
        ModelError: ONNX Runtime cannot use it here.
    """
    if not _DEVICE.fullmatch(device):
        raise InputError(f"{device!r:.80} is not a device: use auto, cpu, cuda or cuda:N.")
    if device.startswith("cuda") and not _has_cuda():
        raise ModelError(
            f"The device {device} cannot be used, as the installed ONNX Runtime has no CUDA: put "
            "onnxruntime-gpu in the place of onnxruntime, or use --device cpu."
        )


def providers(device: str) -> list[Any]:
    """ONNX Runtime's providers for a device, which exists."""
    if device == "cpu" or (device == AUTO and not _has_cuda()):
        return [_CPU]
    number = device.partition(":")[2]
    return [(_CUDA, {"device_id": int(number or 0)}), _CPU]


def require_device(session: Any, device: str) -> None:
    """Checks that a session runs where it was meant to: ONNX Runtime falls back to the CPU, and
    says so in its log alone.

    Raises:
        ModelError: it does not.
    """
    if device.startswith("cuda") and _CUDA not in session.get_providers():
        raise ModelError(
            f"CUDA cannot be started on the device {device}: check `nvidia-smi`, and that the "
            "versions of CUDA and cuDNN are those that onnxruntime-gpu wants, or use --device cpu."
        )


def _has_cuda() -> bool:
    import onnxruntime  # type: ignore[import-untyped]  # takes 0.1 s

    return _CUDA in onnxruntime.get_available_providers()


class Batches:
    """Runs a network on batches, which are halved when memory runs out.

    Args:
        most: number of inputs at once; None takes as many as there are.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most

    def run(
        self, network: Callable[[Sequence[T]], NDArray[np.float32]], inputs: Sequence[T]
    ) -> NDArray[np.float32]:
        """(n, size): the rows of all inputs, of which there is at least one.

        Raises:
            ModelError: a single input is too much for the memory.
        """
        rows: list[NDArray[np.float32]] = []
        start = 0
        while start < len(inputs):
            size = min(self._most or len(inputs), len(inputs) - start)
            try:
                rows.append(network(inputs[start : start + size]))
                start += size
            except Exception as error:  # ONNX Runtime's errors have no common base of their own
                if not _is_out_of_memory(error):
                    raise
                self._halve(size, error)
        return np.concatenate(rows)

    def _halve(self, size: int, error: Exception) -> None:
        if size == 1:
            raise ModelError(
                "There is too little memory for a single input of the model: use another device "
                "with --device, or a smaller model."
            ) from error
        self._most = min(size // 2, self._most or size)
        _log.warning(
            "Memory ran out with %d inputs at once: the model takes %d from now on.",
            size,
            self._most,
        )


def _is_out_of_memory(error: Exception) -> bool:
    text = f"{error} {error.__cause__}".lower()
    return isinstance(error, MemoryError) or any(one in text for one in _OUT_OF_MEMORY)
