"""Finds the host names in an environment value, and nothing else: never a user, password, port, path or database.

postgresql://bank:ledger-db@ledger-db:5432,ledger-db-standby:5432/ledger-db?host=ledger-db
                            ^^^^^^^^^      ^^^^^^^^^^^^^^^^^                    ^^^^^^^^^
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_HOST = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_SEGMENT = re.compile(rf"\s*({_HOST})(:\d{{1,5}})?\s*")
_LIST = re.compile(rf"\s*{_HOST}(?::\d{{1,5}})?(?:[\s,;]+{_HOST}(?::\d{{1,5}})?)*\s*")
_PLACE = re.compile(rf"\s*({_HOST}):\d{{1,5}}(?:[/?]\S*)?\s*")
_AUTHORITY = re.compile(r"://(.*?)(?=[/?#\s\"'<>;|]|,[A-Za-z][A-Za-z0-9+.:-]*://|$)", re.DOTALL)
_QUERY = re.compile(r"[?&](host|hostaddr)=([^&\s\"'#]+)")
_THIN = re.compile(rf"^jdbc:[a-z]+:[a-z]*:?[^@\s]*@(?://)?({_HOST}):\d")
_PAIR = re.compile(r"\s*([A-Za-z_][\w ]*?)\s*=\s*('(?:\\.|[^'\\])*'|\"[^\"]*\"|[^\s;'\"]*)\s*(;|\s|$)")
_PAIR_KEYS = frozenset({"host", "hostaddr", "server", "address", "addr", "data source"})
_HOST_WORDS = (
    "HOST", "ADDR", "SERVER", "ENDPOINT", "URL", "URI", "DSN", "PEER", "UPSTREAM", "PRIMARY", "STANDBY", "REPLICA",
    "MASTER", "BROKER", "BOOTSTRAP", "NODE", "BACKEND", "TARGET", "SEED",
)  # fmt: skip
_OTHER_WORDS = (
    "USER", "PASS", "SECRET", "TOKEN", "CREDENTIAL", "AUTH", "ROLE", "DATABASE", "SCHEMA", "TABLE", "TOPIC", "QUEUE",
    "DIR", "PATH", "MODE", "METHOD", "LOG", "LABEL",
)  # fmt: skip


class Token(NamedTuple):
    """A host's place in the value, `value[start:end] == host`; `sure` unless it is a bare word in a variable that
    does not sound like an address."""

    start: int
    end: int
    host: str
    sure: bool


def host_tokens(variable: str, value: str) -> list[Token]:
    """Every host in a variable's value, by place; the forms understood are URLs (several, with commas), JDBC, libpq and
    `;` connection strings, host:port, comma lists of them, and a bare host name."""
    found: dict[int, Token] = {}
    for start, end, sure in (*_in_urls(value), *_in_pairs(value), *_in_lists(variable, value)):
        found.setdefault(start, Token(start, end, value[start:end], sure))
    return [found[start] for start in sorted(found)]


def sounds_like_host(variable: str) -> bool:
    """Whether a variable of this name holds an address: PGHOST, LEDGER_URL, PEERS; not DB_USER, POSTGRES_DB."""
    name = variable.upper()
    if any(word in name for word in _OTHER_WORDS) or re.search(r"(?:^|_)(?:DB|KEY|ID)$", name):
        return False
    if "NAME" in name and "HOSTNAME" not in name and "HOST_NAME" not in name:
        return False
    return any(word in name for word in _HOST_WORDS)


def _in_urls(value: str) -> Iterator[tuple[int, int, bool]]:
    for match in _AUTHORITY.finditer(value):
        authority, base = match[1], match.start(1)
        user, at, hosts = authority.rpartition("@")
        yield from _segments(hosts, base + len(user) + len(at))
        # amqp://u:p@a:5672,u:p@b:5672 repeats the user before every host.
        parts = user.split(",")
        if len(parts) > 1 and all(part.count("@") == 1 for part in parts[:-1]):
            offset = base
            for part in parts[:-1]:
                yield from _segments(part.partition("@")[2], offset + part.index("@") + 1)
                offset += len(part) + 1
    for query in _QUERY.finditer(value) if "://" in value or value.startswith("jdbc:") else ():
        yield from _segments(query[2], query.start(2))
    thin = _THIN.match(value)
    if thin and "://" not in value:
        yield thin.start(1), thin.end(1), True


def _segments(text: str, base: int) -> Iterator[tuple[int, int, bool]]:
    """host[:port] between commas."""
    offset = 0
    for part in text.split(","):
        match = _SEGMENT.fullmatch(part)
        if match:
            yield base + offset + match.start(1), base + offset + match.end(1), True
        offset += len(part) + 1


def _in_pairs(value: str) -> Iterator[tuple[int, int, bool]]:
    """`host=a,b port=5432` (libpq, PostgreSQL 34.1.1) and `Server=a;Port=5432`; the whole value must read so."""
    if "=" not in value or "://" in value:
        return
    at, pairs = 0, []
    while at < len(value):
        match = _PAIR.match(value, at)
        if not match or match.end() == at:
            return
        pairs.append(match)
        at = match.end()
    for pair in pairs:
        if pair[1].lower() in _PAIR_KEYS:
            text, start = pair[2], pair.start(2)
            if text[:1] in ("'", '"'):
                text, start = text[1:-1], start + 1
            yield from _segments(text.removeprefix("tcp:"), start + (4 if text.startswith("tcp:") else 0))


def _in_lists(variable: str, value: str) -> Iterator[tuple[int, int, bool]]:
    if "://" in value or "=" in value:
        return
    host = sounds_like_host(variable)
    secret = any(word in variable.upper() for word in _OTHER_WORDS)
    single = _PLACE.fullmatch(value)
    if single:
        yield single.start(1), single.end(1), not secret
    elif _LIST.fullmatch(value):
        parts = list(re.finditer(rf"({_HOST})(:\d{{1,5}})?(?=[\s,;]|$)", value))
        ports = any(part[2] for part in parts)
        for part in parts:
            yield part.start(1), part.end(1), host or (ports and not secret)
