"""`chaoskit heal` and `chaoskit clean`: what dead runs have left on this machine and its Docker Engine."""

from __future__ import annotations

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes import heal as host
from chaoskit.scratch import remove_abandoned


def heal() -> list[str]:
    """End and remove what dead runs have left; one line for each run it dealt with."""
    return [*host.heal(), *_sweep(forget=False)]


def clean() -> list[str]:
    """`heal`, and forget dead runs' state and scratch, also of those whose engine is no more."""
    return [*host.clean(), *remove_abandoned(), *_sweep(forget=True)]


def _sweep(forget: bool) -> list[str]:
    """The engines that runs of this state directory had, and the usual one; silence where nothing can be left."""
    from chaoskit.runtimes.docker.engine_socket import engine_url
    from chaoskit.runtimes.docker.sweep import dead_records, finish, sweep

    lines: list[str] = []
    abandoned = dead_records()
    for url in dict.fromkeys([engine_url(), *(record.engine for record in abandoned)]):
        try:
            lines += sweep(url)
            continue
        except EnvironmentBroken as error:
            silent = str(error)
        for record in abandoned:
            if record.engine != url:
                continue
            if forget:
                left = finish(record)
                lines.append(f"{record.owner.run}: {'; '.join(left) or 'forgotten'}, though {silent}")
            else:
                lines.append(
                    f"{record.owner.run}: {silent}; what it has left there goes with the next run, or with "
                    "`chaoskit heal` once the engine answers; `chaoskit clean` forgets it"
                )
    return lines
