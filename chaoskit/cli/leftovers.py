"""`chaoskit heal` and `chaoskit clean`: what dead runs have left on this machine and its Docker Engine."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from chaoskit.clock import monotonic_ns
from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes import heal as host
from chaoskit.scratch import remove_abandoned

_JANITOR_S = 3.0
_LOOK_S = 0.1


@dataclass
class Cleaning:
    """What was done, a line for each run, and of which dead runs something is still there, or nobody can tell."""

    lines: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@dataclass
class _Swept:
    lines: list[str] = field(default_factory=list)
    left: set[str] = field(default_factory=set)


def heal() -> list[str]:
    """End and remove what dead runs have left; one line for each run it dealt with."""
    return cleaned(forget=False).lines


def clean() -> list[str]:
    """`heal`, and forget dead runs' state and scratch, also of those whose engine is no more."""
    return cleaned(forget=True).lines


def cleaned(forget: bool) -> Cleaning:
    """`clean` or `heal`, and a look at what came of it: what was told to go has not gone for that."""
    before = _dead()
    lines = [*host.clean(), *remove_abandoned()] if forget else host.heal()
    swept = _swept(forget)
    return Cleaning([*lines, *swept.lines], sorted(swept.left | _still(before)))


def _still(before: set[str]) -> set[str]:
    """Those that were dead before and are not gone: one that has just died has a janitor of its own, who is at it, and
    one that has died meanwhile will have been cleaned up after as well."""
    deadline = monotonic_ns() + int(_JANITOR_S * 1e9)
    while (left := before & _dead()) and monotonic_ns() < deadline:
        time.sleep(_LOOK_S)  # whoever removes them is no child of ours
    return left


def _swept(forget: bool) -> _Swept:
    """The engines that runs of this state directory had, and the usual one; silence where nothing can be left."""
    from chaoskit.runtimes.docker.engine_socket import engine_url
    from chaoskit.runtimes.docker.sweep import dead_records, finish, sweep

    done = _Swept()
    abandoned = dead_records()
    for url in dict.fromkeys([engine_url(), *(record.engine for record in abandoned)]):
        try:
            done.lines += sweep(url)
            continue
        except EnvironmentBroken as error:
            silent = str(error)
        for record in abandoned:
            if record.engine != url:
                continue
            done.left.add(record.owner.run)
            if forget:
                left = finish(record)
                done.lines.append(f"{record.owner.run}: {'; '.join(left) or 'forgotten'}, though {silent}")
            else:
                done.lines.append(
                    f"{record.owner.run}: {silent}; what it has left there goes with the next run, or with "
                    "`chaoskit heal` once the engine answers; `chaoskit clean` forgets it"
                )
    return done


def _dead() -> set[str]:
    """Dead runs that are recorded on this machine, or of which the usual engine has something."""
    from chaoskit.runtimes.docker.engine_socket import engine_url
    from chaoskit.runtimes.docker.sweep import dead_records, dead_runs

    found = {*host.abandoned(), *(record.owner.run for record in dead_records())}
    try:
        return found | dead_runs(engine_url())
    except EnvironmentBroken:  # what it was known to have the sweep tells of
        return found
