"""Who goes before whom when there are fewer processors than work: real time for those whose lateness spoils numbers.

    2  measurers, and who kills and looks for the milliseconds of an instant
    1  the proxy that carries the links, and the conductor while it measures: busier than a measurer, which may not wait
    0  everybody else (SCHED_OTHER)

All of it is asked for (root, or RLIMIT_RTPRIO), and refused is fine: what was held up then says so itself. Real time
is bounded: 0.1 s of processor without a pause takes it away (SIGXCPU), 2 s ends a measurer or a proxy, so that one gone
wrong cannot hold the machine.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

MEASURER = 2
PROXY = CONDUCTOR = 1
_SOFT_US, _HARD_US = 100_000, 2_000_000


def claim_processor(priority: int) -> str:
    """Ask for the best scheduling this process may have, which what it starts does not inherit; returns what it got."""
    _bound(_HARD_US)
    signal.signal(signal.SIGXCPU, yield_processor)
    if not _real_time(priority):
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -5)
        except OSError:
            pass  # nor RLIMIT_NICE
    return scheduling()


@contextmanager
def borrowed_processor(priority: int) -> Iterator[Callable[[], None]]:
    """Real time for this thread while inside; what is yielded asks for it again. Nothing ends the process for it.

    Only for a main thread: no other one hears SIGXCPU, and would have it unbounded.
    """
    if threading.current_thread() is not threading.main_thread():
        yield _nothing
        return
    limits, handler = resource.getrlimit(resource.RLIMIT_RTTIME), signal.getsignal(signal.SIGXCPU)
    _bound(None)
    signal.signal(signal.SIGXCPU, yield_processor)
    try:
        _real_time(priority)
        yield partial(reclaim_processor, priority)
    finally:
        yield_processor()
        resource.setrlimit(resource.RLIMIT_RTTIME, limits)
        signal.signal(signal.SIGXCPU, handler)


def reclaim_processor(priority: int) -> None:
    """Once more, for one that lost it by a long piece of work and has paused since."""
    if os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_FIFO:
        _real_time(priority)


def scheduling() -> str:
    """What this process has now."""
    if os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO:
        return f"SCHED_FIFO {os.sched_getparam(0).sched_priority}"
    return f"nice {os.getpriority(os.PRIO_PROCESS, 0)}"


def still_garbage() -> None:
    """No collection at a moment of the interpreter's choosing: it takes the longer the more there is, 0.2 s were seen.

    A measurer collects at its beats; the proxy leaves nothing to collect of a connection that is over.
    """
    gc.collect()
    gc.freeze()
    gc.disable()


def yield_processor(*_: object) -> None:
    """Give real time back, if there was any; also the handler of SIGXCPU."""
    had = os.sched_getscheduler(0)
    if had & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO:
        # Who has no right to it may not take the mark off either; it does no harm.
        os.sched_setscheduler(0, os.SCHED_OTHER | (had & os.SCHED_RESET_ON_FORK), os.sched_param(0))


def _bound(ends_us: int | None) -> None:
    """SIGXCPU after so long without a pause, and the end after `ends_us`, or sooner where less is allowed already."""
    _, most = resource.getrlimit(resource.RLIMIT_RTTIME)
    unbound = most == resource.RLIM_INFINITY
    hard = most if ends_us is None else ends_us if unbound else min(ends_us, most)
    soft = _SOFT_US if hard == resource.RLIM_INFINITY else min(_SOFT_US, hard)
    resource.setrlimit(resource.RLIMIT_RTTIME, (soft, hard))


def _nothing() -> None:
    return


def _real_time(priority: int) -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError:
        return False  # neither root nor RLIMIT_RTPRIO, or a control group without real-time budget
    return True
