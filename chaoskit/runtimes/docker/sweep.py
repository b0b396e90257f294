"""Removes what runs have left on an engine whose conductor and janitor are both dead; never touches a live run.

By labels: whatever state directory a run had, its conductor's boot, pid and start time say whether it lives.
By record: what a run of this state directory had requested and may appear yet, and its folders on this machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from chaoskit.runtimes.docker.engine_socket import EngineSocket
from chaoskit.runtimes.docker.janitor_record import JanitorRecord, records
from chaoskit.runtimes.docker.ownership import RUN, Owner
from chaoskit.runtimes.docker.removal import QUIET_S, Found, labelled, remove_all

_REMOVE_S = 30.0
_STUCK_S = 1.0
"""How long what the engine will not remove keeps a run from starting: the next sweep tries again."""


def sweep(engine_url: str, state_dir: Path | None = None) -> list[str]:
    """Remove what dead runs have left on this engine; returns a line for each run that there was something to say of.

    Safe to repeat and to run side by side. Raises EnvironmentBroken when the engine does not answer.
    """
    engine = EngineSocket(engine_url)
    found = labelled(engine, [RUN])
    abandoned = [record for record in dead_records(state_dir) if record.engine == engine_url]
    dead = {record.owner for record in abandoned} | {owner for owner in map(_owner, found) if _is_dead(owner)}
    left: list[str] = []
    if dead:
        # A request of a run that has just died may still be on its way; one that left no record here died elsewhere.
        quiet_s = QUIET_S if abandoned else 0.0
        left = remove_all(
            engine, partial(_of, dead, engine), quiet_s=quiet_s, within_s=_REMOVE_S, stuck_s=_STUCK_S
        )
    still = {_owner(each) for each in _of(dead, engine)} if left else set()
    for record in abandoned:
        if record.owner not in still:
            left += finish(record)
    told = {
        owner: _in_words([each for each in found if _owner(each) == owner], removed=owner not in still)
        for owner in dead
        if owner
    }
    return [
        *(f"{owner.run}: {what}" for owner, what in sorted(told.items(), key=lambda pair: pair[0].run)),
        *(f"left: {one}" for one in left),
        *_foreign(found),
    ]


def finish(record: JanitorRecord) -> list[str]:
    """Remove what a dead run has left on this machine beside its containers; returns what would not go."""
    left = record.remove_scratch()
    if not left:
        record.settle()
        record.forget()
    return left


def dead_records(state_dir: Path | None = None) -> list[JanitorRecord]:
    """The runs of a state directory whose conductor has died and whose janitor was not done."""
    return [record for record in records(state_dir) if _is_dead(record.owner)]


def dead_runs(engine_url: str) -> set[str]:
    """The runs that are certainly dead and have something on this engine. Raises EnvironmentBroken."""
    owners = {_owner(found) for found in labelled(EngineSocket(engine_url), [RUN])}
    return {owner.run for owner in owners if owner is not None and _is_dead(owner)}


def _of(owners: set[Owner | None], engine: EngineSocket) -> list[Found]:
    return [each for each in labelled(engine, [RUN]) if _owner(each) in owners]


def _owner(found: Found) -> Owner | None:
    return Owner.of(found.labels)


def _is_dead(owner: Owner | None) -> bool:
    return owner is not None and owner.standing() == "dead"


def _in_words(objects: list[Found], removed: bool) -> str:
    counts = Counter(each.kind for each in objects)
    parts = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items()]
    if not parts:
        return "ended and removed what it had left"
    return f"{'removed' if removed else 'has left, not all of which could be removed:'} {', '.join(parts)}"


def _foreign(found: Iterable[Found]) -> list[str]:
    """A line for each run of which nobody here can tell whether it lives."""
    runs: dict[str, list[Found]] = {}
    for each in found:
        owner = _owner(each)
        if owner is None or owner.standing() == "foreign":
            runs.setdefault(each.labels[RUN], []).append(each)
    return [
        f"{run}: left alone: {', '.join(map(str, objects[:3]))}{', …' if len(objects) > 3 else ''}: started on another "
        f"machine or in a container of its own; if nobody runs it any more: docker ps -a -f label={RUN}={run}"
        for run, objects in sorted(runs.items())
    ]
