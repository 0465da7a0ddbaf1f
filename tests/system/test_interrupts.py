"""Interrupts that something swallows, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.command_line import lookalike

START = """
import ctypes, signal, sys, threading, time, weakref
from concurrent.futures import ThreadPoolExecutor
from lookalike.system import interrupts, patience

def press(*_):
    "Stands for a user who presses Ctrl-C at this moment."
    signal.raise_signal(signal.SIGINT)
    return 0

class Finalized:
    def __del__(self):
        press()

class Referent:
    pass

def in_finalizer():
    Finalized()

def in_weak_reference():
    referent = Referent()
    reference = weakref.ref(referent, press)
    del referent

def in_callback_of_c():
    ctypes.CFUNCTYPE(ctypes.c_int)(press)()

def in_code_that_takes_everything():
    try:
        press()
    except BaseException:
        pass

def command(work):
    with interrupts.handled():
        try:
            work()
        except KeyboardInterrupt:
            sys.exit(interrupts.exit_code())
"""
SWALLOWERS = [
    "in_finalizer",
    "in_weak_reference",
    "in_callback_of_c",
    "in_code_that_takes_everything",
]


def run(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """The exit code and the output of a process, which must end by itself soon."""
    with process:
        try:
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, stdout, stderr


@pytest.mark.parametrize("swallower", SWALLOWERS)
def test_an_interrupt_that_is_swallowed_comes_again(swallower: str) -> None:
    process = run(f"""
def work():
    with ThreadPoolExecutor(1) as pool:
        {swallower}()
        pool.submit(patience.carried(patience.pause), 300)
        pool.submit(time.sleep, 0.5).result()
    print("too late")

command(work)
""")
    assert ended(process) == (130, "", "")


def test_waits_of_other_threads_end_though_it_is_swallowed() -> None:
    process = run("""
def work():
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(patience.carried(patience.pause), 300)
        in_finalizer()
        wait.result()
        print("waited")

command(work)
""")
    assert ended(process) == (130, "", "")


def test_an_interrupt_that_another_thread_gets_wakes_the_main_one() -> None:
    process = run("""
def work():
    threading.Thread(target=time.sleep, args=[300], daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    print("working", flush=True)
    threading.Event().wait()

command(work)
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "", "")


def test_an_interrupt_with_an_effect_comes_once() -> None:
    process = run("""
def work():
    try:
        press()
    finally:
        time.sleep(0.7)
        print("cleaned up")

try:
    command(work)
except SystemExit:
    pass

def settled():
    try:
        press()
    except KeyboardInterrupt:
        interrupts.settle()
    time.sleep(0.7)
    print("finished")

command(settled)
""")
    assert ended(process) == (0, "cleaned up\nfinished\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    process = run("""
def work():
    try:
        print("working", flush=True)
        time.sleep(300)
    finally:
        print("cleaning up", flush=True)
        time.sleep(300)

command(work)
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(number)
    assert process.stdout.readline() == "cleaning up\n"
    process.send_signal(number)
    assert ended(process) == (128 + number, "", "")


def test_only_a_running_command_handles_signals() -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    hook = sys.unraisablehook
    lookalike("--version")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert sys.unraisablehook is hook
