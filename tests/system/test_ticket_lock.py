"""The ticket lock: one holder at a time, first come, first served."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager

import pytest

from lookalike.system.locks import TicketLock


def test_tickets_are_served_in_order() -> None:
    lock, served = TicketLock(), list[int]()

    def work(number: int, ticket: AbstractContextManager[None]) -> None:
        with ticket:
            served.append(number)

    with lock.ticket():
        tickets = [lock.ticket() for _ in range(8)]
        threads = [
            threading.Thread(target=work, args=(number, tickets[number]))
            for number in (5, 2, 7, 0, 3, 6, 1, 4)  # started in another order
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        assert served == []
    for thread in threads:
        thread.join()
    assert served == list(range(8))


def test_one_thread_holds_it_at_a_time() -> None:
    lock, inside, most = TicketLock(), [0], [0]

    def work() -> None:
        for _ in range(200):
            with lock.ticket():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_thread_that_takes_it_again_and_again_starves_nobody() -> None:
    lock, stop = TicketLock(), threading.Event()

    def hog() -> None:
        while not stop.is_set():
            with lock.ticket():
                time.sleep(0.002)

    thread = threading.Thread(target=hog)
    thread.start()
    try:
        started = time.monotonic()
        for _ in range(10):
            with lock.ticket():
                pass
        assert time.monotonic() - started < 1
    finally:
        stop.set()
        thread.join()


def test_an_error_lets_the_next_one_in() -> None:
    lock = TicketLock()
    with pytest.raises(ZeroDivisionError), lock.ticket():
        _ = 1 / 0
    with lock.ticket():
        pass
