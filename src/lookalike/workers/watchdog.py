"""A time limit for child processes."""

from __future__ import annotations

import subprocess
import threading
import time


class Watchdog:
    """Kills processes that exceed their time. Its thread sleeps while none is being watched.

    Args:
        seconds: the time that each process has.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadlines: dict[subprocess.Popen[bytes], float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._asleep = False
        self._thread: threading.Thread | None = None

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """Starts the time of a process."""
        with self._changed:
            self._deadlines[process] = time.monotonic() + self._seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            elif self._asleep:  # otherwise it wakes in time, for an earlier deadline
                self._changed.notify()

    def release(self, process: subprocess.Popen[bytes]) -> bool:
        """Stops the time of a process; returns False if it was late and has been killed."""
        with self._changed:
            return self._deadlines.pop(process, None) is not None

    def close(self) -> None:
        """Ends the thread; nothing is killed from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                late = [process for process, due in self._deadlines.items() if due <= now]
                for process in late:
                    process.kill()
                    del self._deadlines[process]
                wait = min(self._deadlines.values(), default=float("inf")) - now
                self._asleep = not self._deadlines
                self._changed.wait(min(wait, threading.TIMEOUT_MAX))
