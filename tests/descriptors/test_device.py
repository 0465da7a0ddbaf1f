"""The device of models, and memory that runs out. Nothing here needs a GPU."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from onnx import TensorProto, helper, numpy_helper

from lookalike.descriptors._device import Batches, check_device, providers
from lookalike.descriptors._probes import probes
from lookalike.descriptors.onnx_model import load_onnx
from lookalike.errors import InputError, ModelError
from lookalike.index import Index
from tests.support.command_line import error
from tests.support.onnx_models import write_preprocessing, write_vision
from tests.support.paths import ROOT

without_cuda = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    reason="ONNX Runtime has CUDA here",
)


def hungry(folder: Path, most: int) -> Path:
    """A model that wants 70 terabytes of memory for each picture beyond `most` in a batch."""
    write_preprocessing(folder)
    constants = {"most": most, "bytes": 2**46, "zero": 0, "one": 1, "axis": 0}
    more = [
        *(
            helper.make_node(
                "Constant", [], [name], value=numpy_helper.from_array(np.array([value]), name)
            )
            for name, value in constants.items()
        ),
        helper.make_node("Shape", ["vector0"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["pictures"]),
        helper.make_node("Sub", ["pictures", "most"], ["beyond"]),
        helper.make_node("Max", ["beyond", "zero"], ["excess"]),
        helper.make_node("Mul", ["excess", "bytes"], ["room"]),
        helper.make_node("ConstantOfShape", ["room"], ["filled"]),
        helper.make_node("ReduceSum", ["filled", "axis"], ["sum"], keepdims=1),
        helper.make_node("Add", ["vector0", "sum"], ["image_embeds"]),
    ]
    assert TensorProto.FLOAT == 1  # the type that ConstantOfShape makes by default
    write_vision(folder / "model.onnx", more=more)
    return folder


def test_a_batch_beyond_the_memory_is_halved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = load_onnx(hungry(tmp_path, 3), "onnx:hungry")
    images = probes(40) * 5
    with caplog.at_level(logging.WARNING, "lookalike.models"):
        vectors = model.describe(images).vectors
    assert [record.getMessage() for record in caplog.records] == [
        "Memory ran out with 10 inputs at once: the model takes 5 from now on.",
        "Memory ran out with 5 inputs at once: the model takes 2 from now on.",
    ]
    alone = [model.describe([image]).vectors[0] for image in images]
    np.testing.assert_allclose(vectors, alone, atol=1e-6)
    caplog.clear()
    model.describe(images)
    assert not caplog.records


def test_a_single_picture_beyond_the_memory(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="too little memory for a single input of the model"):
        load_onnx(hungry(tmp_path, 0), "onnx:hungry")


def test_other_errors_are_not_taken_for_it() -> None:
    def network(inputs: object) -> np.ndarray:
        raise ModelError("The model failed: the shapes do not fit")

    with pytest.raises(ModelError, match="the shapes do not fit"):
        Batches().run(network, [1, 2])


@without_cuda
def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    command = ("index", ROOT / "docs", "--index", tmp_path / "index", "--model", "built-in")
    message = error(*command, "--device", "cuda:1", code=1)
    assert "The device cuda:1 cannot be used, as the installed ONNX Runtime has no CUDA" in message
    assert not (tmp_path / "index").exists()
    with pytest.raises(ModelError, match="use --device cpu"):
        Index.open(tmp_path / "index", model="built-in", device="cuda")


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "", "cpu:1"])
def test_a_name_that_is_no_device(device: str) -> None:
    with pytest.raises(InputError, match="is not a device: use auto, cpu, cuda or cuda:N"):
        check_device(device)


@without_cuda
def test_auto_is_the_cpu_where_there_is_no_other() -> None:
    check_device("auto")
    assert providers("auto") == providers("cpu") == ["CPUExecutionProvider"]


def test_a_gpu_is_named_by_its_number() -> None:
    assert providers("cuda:2")[0] == ("CUDAExecutionProvider", {"device_id": 2})
    assert providers("cuda")[0] == ("CUDAExecutionProvider", {"device_id": 0})
