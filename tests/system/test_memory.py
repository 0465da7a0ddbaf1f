"""Memory of the service: heaps for its threads, and the figure that it reports."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import psutil
import pytest

from lookalike.system.memory import resident_bytes


def heaps(setup: str) -> int:
    """Number of malloc heaps in a process with twelve threads that has run `setup` before."""
    code = f"""
        import ctypes, threading
        {setup}
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
    output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return output.count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_threads_share_heaps() -> None:
    if heaps("pass") <= 2:
        pytest.skip("this malloc gives threads no heaps of their own")
    setup = "from lookalike.system.memory import limit_malloc_arenas; limit_malloc_arenas()"
    assert heaps(setup) == 2


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


def test_a_child_that_has_ended_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        ended = psutil.Process(child.pid)
        child.communicate(b"\n")
    monkeypatch.setattr(psutil.Process, "children", lambda self, recursive: [ended])
    own = psutil.Process(os.getpid()).memory_info().rss
    assert 0 < resident_bytes() <= own
