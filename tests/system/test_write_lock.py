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


def test_a_writer_that_comes_again_and_again_does_not_keep_a_holder_that_gives_way() -> None:
    lock, stop = WriteLock(), threading.Event()

    def hog() -> None:
        while not stop.is_set():
            with lock:
                time.sleep(0.001)

    threads = [threading.Thread(target=hog) for _ in range(3)]
    with lock:
        for thread in threads:
            thread.start()
        started = time.monotonic()
        for _ in range(10):
            lock.give_way()
        stop.set()
        assert time.monotonic() - started < 2
    for thread in threads:
        thread.join()


def test_writers_get_it_in_the_order_in_which_they_came() -> None:
    lock, order = WriteLock(), list[int]()

    def write(number: int, timeout: float | None) -> None:
        if lock.acquire(timeout):
            order.append(number)
            lock.release()

    threads = []
    with lock:
        for number in range(6):
            timeout = 0.02 if number % 2 else None
            threads.append(threading.Thread(target=write, args=(number, timeout)))
            threads[-1].start()
            if timeout:
                threads[-1].join()
            else:
                while lock.waiting <= number // 2:
                    time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == [0, 2, 4]
