"""Networks in ONNX files, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.descriptors._device import AUTO, providers, require_device
from lookalike.descriptors._weights import first_line
from lookalike.errors import ModelError

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
_TOKENS = "last_hidden_state"


class Network:
    """A network with one vector for each input.

    Each call runs on its caller's thread alone. As many callers as cores keep all cores busy,
    which is faster than one call on all cores.

    Attributes:
        inputs: shapes of the inputs by name; a dimension that may vary is a text or None.
        output: name of the output that holds the vectors.
    """

    def __init__(self, weights: Path, outputs: Sequence[str], device: str = AUTO) -> None:
        """Loads a network.

        Args:
            weights: its file.
            outputs: names of the output to take, best first; otherwise it is the first that holds
                one vector for each input, or the first token of the last layer.
            device: where it runs; see `_device`.

        Raises:
            ModelError: the file cannot be loaded, or has no such output.
        """
        self._weights = weights
        self._session = _session(weights, device)
        self.inputs: Mapping[str, Sequence[int | str | None]] = {
            one.name: one.shape for one in self._session.get_inputs()
        }
        self._types = {one.name: _TYPES.get(one.type) for one in self._session.get_inputs()}
        ranks = {one.name: len(one.shape) for one in self._session.get_outputs()}
        flat = [name for name, rank in ranks.items() if rank == 2]
        tokens = [name for name in ranks if name == _TOKENS]
        found = [name for name in outputs if name in flat] or flat or tokens
        if not found:
            raise ModelError(
                f"The model {weights} has no output with one vector for each input, only "
                f"{', '.join(ranks)}: export it with {outputs[0]}."
            )
        self.output = found[0]

    def vectors(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """(n, size): the vectors of inputs, each of length 1.

        Raises:
            ModelError: the network failed, or a vector is zero or not finite.
        """
        typed = {name: array.astype(self._types[name]) for name, array in inputs.items()}
        try:
            (rows,) = self._session.run([self.output], typed)
        except Exception as error:  # ONNX Runtime's errors have no common base of their own
            raise ModelError(f"The model {self._weights} failed: {first_line(error)}") from error
        rows = np.asarray(rows, np.float32)
        if rows.ndim == 3:
            rows = rows[:, 0]
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            raise ModelError(
                f"The model {self._weights} returned a vector that is zero, or holds NaN or "
                "infinity: export it with another precision, or use another model."
            )
        return np.asarray(rows / lengths, np.float32)


def _session(weights: Path, device: str) -> Any:
    import onnxruntime  # type: ignore[import-untyped]  # takes 0.1 s

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(weights), options, providers=providers(device))
    except Exception as error:  # as above
        raise ModelError(f"The model {weights} cannot be loaded: {first_line(error)}") from error
    require_device(session, device)
    return session
