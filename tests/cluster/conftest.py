"""A cluster to lose nodes of: doubles everywhere, real nodes where there are any."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from random import Random

import pytest

from tests.cluster.losses import Scene
from tests.cluster.nodes import Nodes, doubles, qdrant, real_nodes

SEED = os.environ.get("CLUSTER_SEED", "1")
"""Moments, nodes and pictures are drawn from this."""


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Real nodes for all tests together."""
    with qdrant(tmp_path_factory.mktemp("qdrant")) as nodes:
        yield nodes


@pytest.fixture(params=["doubles", "qdrant"] if real_nodes() else ["doubles"])
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """A cluster whose nodes are all there at first."""
    if request.param == "doubles":
        with doubles() as made:
            yield made
    else:
        real: Nodes = request.getfixturevalue("real")
        real.wait()
        yield real


@pytest.fixture
def scene(request: pytest.FixtureRequest, nodes: Nodes) -> Iterator[Scene]:
    """A collection of its own on the nodes, which are all brought back at the end."""
    draw = Random(f"{SEED} {request.node.name}")
    with Scene(nodes, f"lookalike-{uuid.uuid4()}", draw) as scene:
        yield scene
