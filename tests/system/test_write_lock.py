"""The write lock."""

from __future__ import annotations

import threading
import time

from lookalike.system.locks import WriteLock


def test_a_waiting_writer_goes_first_when_the_holder_gives_way() -> None:
    lock, order = WriteLock(), list[str]()

    def write() -> None:
        with lock:
            order.append("waiting")

    with lock:
        other = threading.Thread(target=write)
        other.start()
        while not lock.waiting:
            time.sleep(0.001)
        lock.give_way()
        order.append("holder")
    other.join()
    assert order == ["waiting", "holder"]


def test_waiting_ends_at_the_timeout() -> None:
    lock = WriteLock()
    with lock:
        assert not lock.acquire(timeout=0.01)
        assert lock.waiting == 0
    assert lock.acquire(timeout=0.01)
    lock.release()
