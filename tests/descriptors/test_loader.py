"""The choice of the semantic model."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from lookalike.descriptors.loader import BUILT_IN, ModelChoice, choose_semantic, hub_answers


def test_a_hub_that_never_answers_costs_seconds_not_minutes(tmp_path: Path) -> None:
    started = time.monotonic()
    descriptor, notice = choose_semantic(
        ModelChoice(None, None, tmp_path, "http://192.0.2.1")  # never answers (RFC 5737)
    )
    assert time.monotonic() - started < 5
    assert descriptor.spec.name == BUILT_IN
    assert notice is not None
    assert "--model clip" in notice


def test_the_probe_distinguishes_an_open_port_from_a_closed_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert hub_answers(f"http://127.0.0.1:{port}")
    assert not hub_answers(f"http://127.0.0.1:{port}", seconds=1)
