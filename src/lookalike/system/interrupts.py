"""Interrupts of a command: Ctrl-C and SIGTERM end it, whatever becomes of the exception they raise.

Python raises KeyboardInterrupt wherever the main thread happens to be. In a finalizer, or in a
callback from C, it is printed or dropped, and the command would go on as if nobody had pressed a
key. Here it is raised again until it has an effect. Only the command line installs handlers; a
library leaves them to the program that uses it.
"""

from __future__ import annotations

import _thread
import os
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
"""Seconds between two looks at whether an interrupt still has an effect."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
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
    """

    number: int | None = None
    settled = False
    _raised: weakref.ref[Interrupt] | None = None
    _repeats = False

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raises `Interrupt` at the first signal, and ends the process at the second."""
        if self._repeats:
            self._repeats = False
            if self.settled:
                return
        elif self.number is None:
            self.number = number
            _thread.start_new_thread(self._repeat, ())  # takes no lock that this thread may hold
        else:
            _end_process(number)
        # In a variable of this frame, to which it refers, it would never be gone.
        raise self._interrupt()

    def _interrupt(self) -> Interrupt:
        interrupt = Interrupt()
        self._raised = weakref.ref(interrupt)
        return interrupt

    def _repeat(self) -> None:
        """Raises the interrupt again whenever it is gone without an effect; runs in a thread."""
        while not self.settled:
            time.sleep(_INTERVAL)
            gone = self._raised is not None and self._raised() is None
            if gone and not self.settled:
                self._repeats = True
                signal.pthread_kill(self._thread, signal.SIGINT)


_handler = _Handler()


@contextmanager
def handled() -> Iterator[None]:
    """Lets signals end the work within, in the main thread, and all its waits."""
    global _handler
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _handler = handler = _Handler()
    previous = {number: signal.signal(number, handler) for number in _SIGNALS}
    hook = sys.unraisablehook
    sys.unraisablehook = lambda problem: (
        None if isinstance(problem.exc_value, Interrupt) else hook(problem)
    )
    try:
        with patience.until(lambda: handler.number is not None):
            yield
    finally:
        settle()
        for number, action in previous.items():
            signal.signal(number, action)
        sys.unraisablehook = hook


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
