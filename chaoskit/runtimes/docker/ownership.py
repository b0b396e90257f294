"""Whose a Docker object is: labels that name its run and its conductor, and what /proc says of that conductor."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chaoskit.clock import boot_id
from chaoskit.runtimes.process_table import alive, look
from chaoskit.runtimes.record import this_process

RUN = "chaoskit.run"
BOOT = "chaoskit.boot"
PID = "chaoskit.pid"
START = "chaoskit.start"
STATE = "chaoskit.state"
NAMESPACE = "chaoskit.namespace"
HOST = "chaoskit.host"

Standing = Literal["alive", "dead", "foreign"]


@dataclass(frozen=True)
class Owner:
    """The conductor of a run: what every object of the run is labelled with.

    `start` is in clock ticks since boot; `state` is the run's folder in the state directory; `namespace` is the pid
    namespace that `pid` counts in; `host` tells one machine from another after a reboot of either.
    """

    run: str
    boot: str
    pid: int
    start: int
    state: str
    namespace: str
    host: str

    @classmethod
    def this(cls, run: str, state: str) -> Owner:
        """The calling process as the conductor of `run`."""
        me = this_process()
        return cls(run, boot_id(), me.pid, me.start, state, pid_namespace(), host_identity())

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Owner | None:
        """Read back from an object's labels; None when they do not name a conductor."""
        try:
            pid, start = int(labels[PID]), int(labels[START])
            return cls(
                labels[RUN],
                labels[BOOT],
                pid,
                start,
                labels.get(STATE, ""),
                labels.get(NAMESPACE, ""),
                labels.get(HOST, ""),
            )
        except (KeyError, ValueError):
            return None

    @property
    def labels(self) -> dict[str, str]:
        """For every container, network and volume of the run."""
        return {
            RUN: self.run,
            BOOT: self.boot,
            PID: str(self.pid),
            START: str(self.start),
            STATE: self.state,
            NAMESPACE: self.namespace,
            HOST: self.host,
        }

    @property
    def selector(self) -> tuple[str, ...]:
        """The `label=value` pairs that select this run's objects and no other's.

        A run's name alone does not: two state directories may both hold a run of the same name.
        """
        return tuple(f"{key}={self.labels[key]}" for key in (RUN, BOOT, PID, START))

    def standing(self) -> Standing:
        """Whether the conductor lives.

        `dead` only when that is certain: this boot's /proc does not know the process, or the machine has been started
        anew since. `foreign` when it counts its processes elsewhere (another machine on the same engine, another pid
        namespace) or /proc hides other users' processes: nobody here can tell.
        """
        if self.boot != boot_id():
            return "dead" if self.host == host_identity() else "foreign"
        if self.namespace not in ("", pid_namespace()):
            return "foreign"
        if alive(self.pid, self.start):
            return "alive"
        return "dead" if look(1) is not None else "foreign"  # mounted with hidepid, /proc has no pid 1 for us


def pid_namespace() -> str:
    """The pid namespace of this process, as the kernel names it; empty where /proc does not tell."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path
    except OSError:
        return ""


def host_identity() -> str:
    """What stays the same over reboots of one machine: its machine id, else its host name."""
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            found = file.read().strip()
    except (OSError, ValueError):
        found = ""
    return found or os.uname().nodename
