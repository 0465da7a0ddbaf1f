"""What the environment says: the only reader of it. Command-line options come before it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies

import platformdirs

from lookalike.descriptors import HUB, default_cache_dir


@dataclass(frozen=True, slots=True)
class Settings:
    """See `from_environment` for where each comes from.

    Attributes:
        index: address of the index when no option names one.
        cache_dir: folder for downloaded weights.
        hub: address whose answer means that weights can be downloaded; None: do not try.
        api_key: of the Qdrant server, where the index is on one.
        read_key, write_key: what callers of `lookalike serve` must show.
    """

    index: str
    cache_dir: Path
    hub: str | None
    api_key: str | None
    read_key: str | None
    write_key: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """LOOKALIKE_INDEX, LOOKALIKE_READ_KEY, LOOKALIKE_WRITE_KEY, QDRANT_API_KEY,
        FASTEMBED_CACHE_PATH, HF_ENDPOINT, HF_HUB_OFFLINE and the proxies."""
        offline = environment.get("HF_HUB_OFFLINE", "").strip().upper() in {
            "1",
            "TRUE",
            "YES",
            "ON",
        }
        endpoint = environment.get("HF_ENDPOINT") or HUB
        return cls(
            index=environment.get("LOOKALIKE_INDEX")
            or str(platformdirs.user_data_path("lookalike") / "default"),
            cache_dir=Path(environment.get("FASTEMBED_CACHE_PATH") or default_cache_dir()),
            hub=None if offline else getproxies().get(endpoint.partition(":")[0], endpoint),
            api_key=environment.get("QDRANT_API_KEY") or None,
            read_key=environment.get("LOOKALIKE_READ_KEY") or None,
            write_key=environment.get("LOOKALIKE_WRITE_KEY") or None,
        )
