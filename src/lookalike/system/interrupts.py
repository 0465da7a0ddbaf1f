"""Interrupts of a command: Ctrl-C and SIGTERM end it, whatever it is doing.

Python raises KeyboardInterrupt in the main thread, wherever that happens to be, and two things may
come between. In a finalizer, or in a callback from C, the exception is printed or dropped, and the
command would go on as if nobody had pressed a key. And the system may give a signal to any thread,
which does not wake a main thread that waits for another. So another thread looks after both. Only
the command line does this; a library leaves signals to the program that uses it.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lookalike.system import patience

_INTERVAL = 0.2
"""Seconds between two looks at whether an interrupt has had its effect."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_WAKE_UP = signal.SIGURG
"""The signal that wakes the main thread. Nothing else uses it, and by default it is ignored."""
_SHOW_CURSOR = b"\x1b[?25h\n"
"""Shows the cursor of a terminal, which a progress bar may have hidden."""


class Interrupt(KeyboardInterrupt):
    """Raised in the main thread. It lives as long as someone handles it: once it is gone, and
    nobody has called `settle`, it was swallowed."""


class _Handler:
    """Handles the signals of one command.

    Attributes:
        number: the first one; None before.
        settled: whether it has its effect.
        over: whether the command has ended.
    """

    number: int | None = None
    settled = False
    over = False
    _raised: weakref.ref[Interrupt] | None = None
    _arrived = False

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raises `Interrupt` at the first signal, and ends the process at the second."""
        if self.number is not None:
            _end_process(number)
        self.number = number
        # In a variable of this frame, to which it refers, it would never be gone.
        raise self._interrupt()

    def wake_up(self, number: int, frame: FrameType | None) -> None:
        """Raises an interrupt again that was swallowed. Python has called the handlers of other
        signals that have arrived before this one."""
        self._arrived = False
        if self._is_swallowed:
            raise self._interrupt()

    def watch(self, arrivals: int) -> None:
        """Wakes the main thread until signals have had their effect; runs in a thread.

        Args:
            arrivals: file descriptor that gets the number of each signal as it arrives.
        """
        while True:
            is_idle = self.number is None or self.settled
            if select.select([arrivals], [], [], None if is_idle else _INTERVAL)[0]:
                numbers = os.read(arrivals, 64)
                if not numbers:
                    break
                self._arrived = self._arrived or any(number in _SIGNALS for number in numbers)
            while not self.over and (self._arrived or self._is_swallowed):
                signal.pthread_kill(self._thread, _WAKE_UP)
                time.sleep(_INTERVAL)
        os.close(arrivals)

    @property
    def _is_swallowed(self) -> bool:
        return not self.settled and self._raised is not None and self._raised() is None

    def _interrupt(self) -> Interrupt:
        interrupt = Interrupt()
        self._raised = weakref.ref(interrupt)
        return interrupt


_handler = _Handler()


@contextmanager
def handled() -> Iterator[None]:
    """Lets signals end the work within, in the main thread, and all its waits."""
    global _handler
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _handler = handler = _Handler()
    hook = sys.unraisablehook
    sys.unraisablehook = lambda problem: (
        None if isinstance(problem.exc_value, Interrupt) else hook(problem)
    )
    try:
        with _watched(handler), patience.until(lambda: handler.number is not None):
            yield
    finally:
        sys.unraisablehook = hook


@contextmanager
def _watched(handler: _Handler) -> Iterator[None]:
    """Lets an object handle signals, and watches over it in a thread."""
    arrivals, arrival = os.pipe()
    os.set_blocking(arrival, False)
    actions = dict.fromkeys(_SIGNALS, handler) | {_WAKE_UP: handler.wake_up}
    previous = {number: signal.signal(number, action) for number, action in actions.items()}
    previous_arrival = signal.set_wakeup_fd(arrival, warn_on_full_buffer=False)
    _thread.start_new_thread(handler.watch, (arrivals,))
    try:
        yield
    finally:
        handler.settled = handler.over = True
        signal.set_wakeup_fd(previous_arrival)
        os.close(arrival)
        for number, action in previous.items():
            signal.signal(number, action)


def settle() -> None:
    """Tells that the interrupt has its effect: the caller stops the work."""
    _handler.settled = True


def exit_code() -> int:
    """The exit code of a command that was interrupted, as in shells: 130 for Ctrl-C."""
    return 128 + (_handler.number or signal.SIGINT)


def _end_process(number: int) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    os._exit(128 + number)
