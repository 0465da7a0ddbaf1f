"""Paths that tests share."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""Root of the checkout."""

DATA = ROOT.parent / "shared" / "data"
"""Real photos, hostile files and the stand-in model; see its README. May be absent."""

PICTURES = ROOT / "tests" / "data"
"""Small pictures that every clone has."""
