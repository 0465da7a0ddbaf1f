"""What sees to it that no child takes too long."""

from __future__ import annotations

import subprocess
import threading
import time


class Watchdog:
    """Kills children that are late. Its thread sleeps unless one might be."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[subprocess.Popen[bytes], float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._asleep = False
        self._thread: threading.Thread | None = None

    def start(self, process: subprocess.Popen[bytes]) -> None:
        """From now on the process has its seconds."""
        with self._changed:
            self._due[process] = time.monotonic() + self._seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            elif self._asleep:
                self._changed.notify()  # else it wakes for an older one, which is due sooner

    def stop(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the process was in time; if not it has been killed."""
        with self._changed:
            return self._due.pop(process, None) is not None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for process in [process for process, due in self._due.items() if due <= now]:
                    process.kill()
                    del self._due[process]
                wait = min(self._due.values(), default=float("inf")) - now
                self._asleep = not self._due
                self._changed.wait(min(wait, threading.TIMEOUT_MAX))
