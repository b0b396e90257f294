"""Goes before everybody else who wants a processor, for the milliseconds in which an instant is taken.

Between the command of a kill and the look that proves it lies only work of ours: on a busy machine most of that time is
waiting for a processor, and all of it is width of every interval that counts from the fault. Real time
(`chaoskit.processor`), as the measurers have it; without the right to it nothing changes, and the interval is as wide
as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from chaoskit.processor import MEASURER

_FIFO = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK  # no process or thread that is begun meanwhile has it
_depth = 0
_before: tuple[int, os.sched_param] | None = None  # what the thread had, where that was changed


@contextmanager
def foremost() -> Iterator[None]:
    """For the calling thread, while inside; may be nested, and held by several tasks of one thread at once."""
    global _depth, _before
    if not _depth:
        with suppress(OSError):
            had = os.sched_getscheduler(0), os.sched_getparam(0)
            os.sched_setscheduler(0, _FIFO, os.sched_param(MEASURER))
            _before = had
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            _step_back()


def _step_back() -> None:
    global _before
    if _before is None:
        return
    (had, param), _before = _before, None
    # Whoever has no right to it may not take the mark off either; it does no harm.
    for policy in (had, had | os.SCHED_RESET_ON_FORK):
        try:
            os.sched_setscheduler(0, policy, param)
        except OSError:
            continue
        return
