"""What PostgreSQL's own tools say when a member is made to follow another one, and whom it is to follow."""

from __future__ import annotations

import re

from psycopg.conninfo import conninfo_to_dict

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.followers import ControlFile
from chaoskit.model.system import DatabaseRole, System

# Its recovery from the crash must not throw away the log back to the last checkpoint that both members have.
KEEP_LOG = "wal_keep_size = '10GB'\n"
_COPIED = re.compile(r"\b(\d+)/\d+ kB \(100%\) copied")
_STATE = re.compile(r"^Database cluster state: +(.+)$", re.MULTILINE)
_CHECKPOINT = re.compile(r"^Latest checkpoint location: +([0-9A-F]+)/([0-9A-F]+)$", re.MULTILINE)
_TIMELINE = re.compile(r"^Latest checkpoint's TimeLineID: +(\d+)$", re.MULTILINE)
_SAID = re.compile(r"^pg_rewind: (?:error|fatal): .+$", re.MULTILINE)


def control_file(text: str, service: str) -> ControlFile:
    """What pg_controldata has printed."""
    state, at, timeline = _STATE.search(text), _CHECKPOINT.search(text), _TIMELINE.search(text)
    if state is None or at is None or timeline is None:
        raise EnvironmentBroken(f"the control file of {service} does not say what was expected: {text}")
    where = (int(at[1], 16) << 32) + int(at[2], 16)
    return ControlFile(state[1].strip(), where, int(timeline[1]))


def rewound_bytes(text: str) -> int:
    """How much pg_rewind says it has copied; its progress is rewritten in place. 0: nothing had to be."""
    copied = _COPIED.findall(text.replace("\r", "\n"))
    return 1024 * int(copied[-1]) if copied else 0


def why_not_rewound(text: str) -> str:
    """pg_rewind's last word of an error, empty if it said none."""
    said = _SAID.findall(text)
    return said[-1].removeprefix("pg_rewind: ") if said else ""


def role_of(service: str, system: System) -> DatabaseRole:
    """The role of which it is a member. Raises EnvironmentBroken."""
    name = system.role_of(service)
    if name is None:
        raise EnvironmentBroken(f"{service} is no member of a database role")
    return system.roles[name]


def receiver(service: str, told: str | None, role: DatabaseRole) -> dict[str, str]:
    """The log-in by which `service` receives the log: the standby's own, under a name of its own."""
    if told is None:
        raise EnvironmentBroken(
            f"{role.standby} has no PRIMARY_CONNINFO: nothing says who may receive the log"
        )
    keys = {name: str(value) for name, value in conninfo_to_dict(told).items() if value is not None}
    return keys if service == role.standby else {**keys, "application_name": service.replace("-", "_")}


def settings(conninfo: str) -> str:
    """Lines of postgresql.auto.conf. Whom the primary waited for, if that is in a file, must not be waited for."""
    quoted = conninfo.replace("'", "''")
    return f"primary_conninfo = '{quoted}'\nsynchronous_standby_names = ''\n"
