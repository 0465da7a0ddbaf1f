"""Time of `import lookalike` and `lookalike --help`."""

from __future__ import annotations

import subprocess
import sys

from benchmarks._figures import bound, finish, median_seconds


def seconds(*arguments: str) -> float:
    """Returns the median time of the interpreter with these arguments."""
    return median_seconds(
        lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True), 7
    )


def main() -> None:
    bare = seconds("-c", "pass")
    print(f"bare interpreter {bare:.3f} s")
    bound("import lookalike, s", seconds("-c", "import lookalike") - bare, most=0.05)
    bound("lookalike --help, s", seconds("-m", "lookalike", "--help"), most=0.5)
    finish()


if __name__ == "__main__":
    main()
