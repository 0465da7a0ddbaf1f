"""What all tests share: where the real photos lie, and nothing that stands in for our own code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import DATA


@pytest.fixture(scope="session")
def data() -> Path:
    """Real photos, hostile files and the stand-in model; see its README."""
    if not DATA.is_dir():
        pytest.skip(f"needs the shared test data at {DATA}, which is not there")
    return DATA
