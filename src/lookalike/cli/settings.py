"""Settings from environment variables; no other module reads the environment.

Command-line options take precedence over them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies

import platformdirs

from lookalike.descriptors.catalog import default_cache_dir
from lookalike.descriptors.loader import HUB

_TRUE = {"1", "TRUE", "YES", "ON"}


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the command line.

    Attributes:
        index: URL of the index for commands without `--index`.
        cache_dir: folder for downloaded weights.
        hub: URL whose response shows that weights can be downloaded; None disables downloads.
        server: options of the connection to a server, as --server takes them.
        api_key: API key of the Qdrant server, for indexes on a server.
        read_key, write_key: API keys that `lookalike serve` requires of its clients.
    """

    index: str
    cache_dir: Path
    hub: str | None
    server: Mapping[str, str]
    api_key: str | None
    read_key: str | None
    write_key: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Reads LOOKALIKE_INDEX, LOOKALIKE_SERVER, LOOKALIKE_READ_KEY, LOOKALIKE_WRITE_KEY,
        QDRANT_API_KEY, FASTEMBED_CACHE_PATH, HF_ENDPOINT, HF_HUB_OFFLINE and the proxies."""
        offline = environment.get("HF_HUB_OFFLINE", "").strip().upper() in _TRUE
        endpoint = environment.get("HF_ENDPOINT") or HUB
        return cls(
            index=environment.get("LOOKALIKE_INDEX")
            or str(platformdirs.user_data_path("lookalike") / "default"),
            cache_dir=Path(environment.get("FASTEMBED_CACHE_PATH") or default_cache_dir()),
            # Behind a proxy the hub itself cannot be reached, so the proxy must respond.
            hub=None if offline else getproxies().get(endpoint.partition(":")[0], endpoint),
            server=_pairs(environment.get("LOOKALIKE_SERVER", "")),
            api_key=environment.get("QDRANT_API_KEY") or None,
            read_key=environment.get("LOOKALIKE_READ_KEY") or None,
            write_key=environment.get("LOOKALIKE_WRITE_KEY") or None,
        )


def _pairs(text: str) -> Mapping[str, str]:
    """Parses NAME=VALUE,…; a part without = has no value, and is refused with the others."""
    parts = (part.partition("=") for part in text.split(",") if part.strip())
    return {name.strip(): value.strip() for name, _, value in parts}
