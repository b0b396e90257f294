"""What somebody in a service's place holds: its links, and the database log-ins in its environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:  # the intruder takes this module only, so that he is there at once
    from chaoskit.model.system import DatabaseRole, System

MARK = "LOCKED:"
"""What rows that `attack.ransomware` has overwritten begin with, as files of real ransomware bear its ending."""
SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True)
class LogIn:
    """A PostgreSQL URL in a variable of the environment. `hosts` as it names them, ports as it gives them."""

    variable: str
    url: str
    user: str
    password: str
    hosts: tuple[tuple[str, int], ...]
    database: str


def log_ins(environment: Mapping[str, str]) -> tuple[LogIn, ...]:
    """Every PostgreSQL URL with a password that the environment holds, in the order of the variables' names."""
    found = []
    for variable, value in sorted(environment.items()):
        scheme, _, rest = value.partition("://")
        if scheme not in SCHEMES or "@" not in rest:
            continue
        # Several hosts make it no URL that urlsplit could take the port of.
        credentials, _, tail = rest.rpartition("@")
        user, colon, password = credentials.partition(":")
        where = urlsplit(f"//{tail}")
        hosts = []
        for one in where.netloc.split(","):
            host, _, port = one.partition(":")
            hosts.append((host, int(port) if port.isdecimal() else 5432))
        if colon and password:
            database = where.path.strip("/")
            found.append(
                LogIn(variable, value, unquote(user), unquote(password), tuple(hosts), unquote(database))
            )
    return tuple(found)


def links_of(services: Sequence[str], system: System) -> list[str]:
    """Every declared link from or to one of them."""
    return [link.name for link in system.links if link.caller in services or link.callee in services]


def members_behind(system: System, service: str) -> tuple[tuple[str, DatabaseRole], ...]:
    """The members of database roles to which the service's links lead, each with its role."""
    callees = [link.callee for link in system.links if link.caller == service]
    return tuple(
        (callee, role)
        for callee in callees
        for role in system.roles.values()
        if callee in (role.primary, role.standby)
    )


def members_of(system: System, service: str) -> tuple[tuple[str, DatabaseRole], ...]:
    """As `members_behind`, with the partners that replicate from them."""
    roles = list(dict.fromkeys(id(role) for _, role in members_behind(system, service)))
    return tuple(
        (member, role)
        for role in system.roles.values()
        if id(role) in roles
        for member in (role.primary, role.standby)
        if member is not None
    )
