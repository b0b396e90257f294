"""How a command ends that has read a history: to free an hour's, object by object, takes a tenth of all its time."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import NoReturn

_KEPT: list[object] = []


def keep(history: object) -> None:
    """Keep what need not be freed before the process ends; the last one, where a process runs many commands."""
    _KEPT[:] = [history]


def end(code: int) -> NoReturn:
    """End the process, whose output has been flushed; at once, where something is kept and no thread is left."""
    if _KEPT and threading.active_count() == 1:
        atexit._run_exitfuncs()
        os._exit(code)
    sys.exit(code)
