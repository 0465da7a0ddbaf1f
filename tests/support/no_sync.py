"""Syncs that do nothing, for tests: only a power cut would tell, and its tests record them.

They take most of the time of making an index, and more on a slow disk or a busy one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def library(folder: Path) -> Path | None:
    """Makes the library to preload; None where there is no C compiler, and elsewhere than on Linux.

    Tests take longer without it.
    """
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        return None
    made = folder / "no_sync.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(made), str(source)], check=True)
    return made
