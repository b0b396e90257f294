"""A command that has read a long history ends at once, and leaves out nothing but to free it."""

from __future__ import annotations

import subprocess
import sys

BEGIN = """
import atexit, os, sys, threading
from chaoskit.cli import ending

class Long:
    def __del__(self):
        os.write(1, b"freed ")

long = Long()
atexit.register(os.write, 1, b"atexit ")
"""


def ended(how: str) -> tuple[int, str]:
    """Exit code and output of a process that ends so."""
    process = subprocess.run([sys.executable, "-c", BEGIN + how], capture_output=True, text=True, timeout=60)
    assert not process.stderr
    return process.returncode, process.stdout


def test_what_is_kept_is_not_freed() -> None:
    assert ended("ending.keep(long); ending.end(3)") == (3, "atexit ")


def test_a_command_that_keeps_nothing_ends_as_ever() -> None:
    assert ended("ending.end(1)") == (1, "atexit freed ")


def test_only_the_last_is_kept() -> None:
    """Where one process runs many commands."""
    assert ended("ending.keep(long); del long; ending.keep(1); ending.end(0)") == (0, "freed atexit ")


def test_a_thread_is_waited_for() -> None:
    late = "def late(): threading.main_thread().join(); os.write(1, b'late ')\n"
    code, said = ended(late + "threading.Thread(target=late).start(); ending.keep(long); ending.end(4)")
    assert code == 4
    assert said.startswith("late atexit ")
