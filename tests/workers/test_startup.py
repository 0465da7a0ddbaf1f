"""Child processes start fast: they import nothing that they do not need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import lookalike

HEAVY = {"fastembed", "numpy.ma", "platformdirs", "psutil", "socket", "sqlite3", "urllib.request"}
SCRIPT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import lookalike.workers.main
from lookalike import descriptors
before = set(sys.modules)
for name in ("color", "texture", "phash", "lookalike-small-1"):
    descriptors.load(name)
print(json.dumps([sorted(before), sorted(sys.modules)]))
"""


def test_a_child_imports_nothing_heavy() -> None:
    path = [str(Path(lookalike.__file__).parents[1]), *sys.path]
    output = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SCRIPT, json.dumps(path)],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    before, after = json.loads(output)
    assert "lookalike.workers.main" in before
    assert not HEAVY & set(after)
    assert not {"cv2", "onnxruntime"} & set(before)  # decoding alone does without
