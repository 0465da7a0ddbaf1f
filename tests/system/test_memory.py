"""What the service does about its own memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from lookalike.system.memory import resident_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at glibc and /proc")


def heaps(before: str) -> int:
    """How many heaps malloc has in a process of twelve threads that has run some code before."""
    code = f"""
        import ctypes, threading
        {before}
        gate = threading.Barrier(13)

        def work():
            kept = bytearray(10_000)
            gate.wait()

        for _ in range(12):
            threading.Thread(target=work).start()
        libc = ctypes.CDLL(None)
        libc.fdopen.restype = ctypes.c_void_p
        out = ctypes.c_void_p(libc.fdopen(1, b"w"))
        libc.malloc_info(0, out)
        libc.fflush(out)
        gate.wait()
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return told.count("<heap nr=")


def test_threads_share_heaps() -> None:
    if heaps("pass") <= 2:
        pytest.skip("this malloc gives threads no heaps of their own")
    assert heaps("from lookalike.system.memory import share_heaps; share_heaps()") == 2


def test_the_memory_of_children_counts() -> None:
    before = resident_bytes()
    code = "kept = bytearray(100_000_000); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        grown = resident_bytes() - before
        child.communicate(b"\n")
    assert 90e6 < grown < 140e6
