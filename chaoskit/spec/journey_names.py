"""What journeys and books are made of: one way each, and every name in it: service, role, class, statement, file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from chaoskit.model.own_class import Group, missing
from chaoskit.model.system import BOOK_QUERIES, CUSTOMERS, Books, Good, Journey, System
from chaoskit.spec.accepted_names import check_accepted
from chaoskit.spec.places import Loc, Places, shown

JOURNEY_WAYS = ("get", "post", "put", "sql", "class")
"""How a journey is played."""
_ONLY_HTTP = ("json", "headers")
_SQLSTATE = re.compile(r"[0-9A-Z]{5}|[0-9A-Z]{2}")
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"[^"]*\"""")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)(?:\.[a-z]+)?\}")


class Names(Protocol):
    """What is known of the system file's names; `system_names.Names` fits."""

    system: System
    places: Places
    services_known: bool

    def say(self, loc: Loc, message: str, hint: str = "", *, key: bool = False) -> None: ...

    def one_of(self, loc: Loc, noun: str, name: str, known: Iterable[str], *, key: bool = False) -> bool: ...

    def file(self, loc: Loc, name: str, noun: str) -> None: ...

    def service(self, loc: Loc, name: str, *, key: bool = False, customers: bool = False) -> None: ...


def check_way(names: Names, loc: Loc, journey: Journey, way: str, entrances: set[str]) -> None:
    """A journey's one way, that nothing of another way stands beside it, and what it may promise."""
    check_accepted(names, loc, journey, way)
    _told_apart(names, loc, journey)
    if way == "sql":
        _sql(names, loc, journey, entrances)
    elif way == "class":
        _class(names, loc, journey, entrances)
    else:
        _http(names, loc, journey, way, entrances)
    other = [*(_ONLY_HTTP if way in ("sql", "class") else ()), *(() if way == "class" else ("on", "with"))]
    for key in other:
        if names.places.written(*loc, key):
            names.say((*loc, key), f"a journey by `{way}` has no `{key}`", "remove it", key=True)
    good: Good | None = (
        journey.good
    )  # None where the file has something else in its place, and that is told already
    if way in ("sql", "class"):
        if good is not None and good.status:
            names.say((*loc, "good", "status"), f"a journey by `{way}` has no status", "remove it", key=True)
    elif good is not None and not good.statuses and not names.places.written(*loc, "good", "status"):
        names.say((*loc, "good"), "`status` is missing", "which HTTP status is good, like 200", key=True)
    if journey.refused.status and way in ("sql", "class"):
        names.say((*loc, "refused", "status"), f"a journey by `{way}` has no status", key=True)
    for number, status in enumerate(journey.refused.status):
        if good is not None and status in good.statuses:
            hint = "a refused operation did not happen, a good one did"
            names.say((*loc, "refused", "status", number), f"{status} is good already", hint)
    if journey.refused.sqlstate and way != "sql":
        names.say((*loc, "refused", "sqlstate"), f"a journey by `{way}` has no SQLSTATE", key=True)
    for number, code in enumerate(journey.refused.sqlstate):
        if not _SQLSTATE.fullmatch(code):
            hint = 'five characters like "23505", or two for a whole class like "23"'
            names.say((*loc, "refused", "sqlstate", number), f"{shown(code)} is no SQLSTATE", hint)


def _told_apart(names: Names, loc: Loc, journey: Journey) -> None:
    """`parties` and `read: of` name drawn values: by any other nothing could be told, and nothing would say so."""
    parties = journey.parties
    for key, name in (("from", getattr(parties, "from_", None)), ("to", getattr(parties, "to", None))):
        if name is not None:
            names.one_of((*loc, "parties", key), "drawn value", name, journey.draw)
    if parties is not None and parties.to is not None and parties.from_ == parties.to:
        names.say((*loc, "parties", "to"), f"{shown(parties.to)} pays and is paid", "name two drawn values")
    if journey.read.of is not None:
        names.one_of((*loc, "read", "of"), "drawn value", journey.read.of, journey.draw)


def _http(names: Names, loc: Loc, journey: Journey, way: str, entrances: set[str]) -> None:
    where = (*loc, way)
    service, slash, _ = journey.url.partition("/")
    if not service or not slash or "://" in journey.url:
        hint = "write it like gateway/transfers or gateway:8080/transfers, without a scheme"
        names.say(where, f"{shown(journey.url)} is no service/path", hint)
    else:
        _entrance(names, where, service, entrances)
    if journey.json_ is not None and way == "get":
        names.say((*loc, "json"), "a GET has no body", "use post or put", key=True)


def _sql(names: Names, loc: Loc, journey: Journey, entrances: set[str]) -> None:
    sql = journey.sql
    if sql is None:
        return  # told already
    where = (*loc, "sql", "on")
    if sql.on in names.system.roles and sql.on not in names.system.services:
        _entrance(names, where, names.system.roles[sql.on].primary, entrances)
    else:
        _entrance(names, where, sql.on, entrances)
        for key in ("database", "user"):
            if not getattr(sql, key):
                names.say(
                    (*loc, "sql"), f"`{key}` is missing", f"`{shown(sql.on)[1:-1]}` is no role", key=True
                )
    bare = _QUOTED.sub("", sql.statement)
    for match in _PLACEHOLDER.finditer(sql.statement):
        if match[0] not in bare:
            hint = "it is bound as a parameter, so it needs no quotes"
            names.say((*loc, "sql", "statement"), f"{shown(match[0])} stands in quotes", hint)


def _class(names: Names, loc: Loc, journey: Journey, entrances: set[str]) -> None:
    _own(names, (*loc, "class"), journey.class_ or "", "chaoskit.journeys")
    if not journey.on:
        names.say(loc, "`on` is missing", "the service whose customers play it", key=True)
    else:
        _entrance(names, (*loc, "on"), journey.on, entrances)


def _own(names: Names, loc: Loc, reference: str, group: Group) -> None:
    why = missing(reference, Path(names.system.folder), group)
    if why is not None:
        names.say(loc, why)


def _entrance(names: Names, where: Loc, written: str, entrances: set[str]) -> None:
    """A service, or service:port, that customers reach over a link."""
    service, colon, port = written.partition(":")
    if colon and not (port.isdecimal() and 0 < int(port) < 65536):
        names.say(where, f"{shown(port)} is no port", "write it like rabbitmq:15672")
    if names.services_known and service not in names.system.services:
        names.service(where, service)
    elif service not in entrances:
        hint = f"declare it under links: {CUSTOMERS} -> {service}"
        names.say(where, f"customers reach `{service}` over no link", hint)


def check_books(names: Names, loc: Loc, books: Books) -> None:
    """Books by SQL have a role and queries, those by a class the class, and none has both."""
    if names.places.written(*loc, "class"):
        _own(names, (*loc, "class"), books.class_ or "", "chaoskit.books")
        if books.on is not None:
            names.service((*loc, "on"), books.on)
        for key in BOOK_QUERIES:
            if names.places.written(*loc, key):
                names.say((*loc, key), f"books by `class` have no `{key}`", "the class returns it", key=True)
        return
    if names.places.written(*loc, "with"):
        names.say((*loc, "with"), "`with` belongs to `class`", key=True)
    if books.on is None:
        if not names.places.written(*loc, "on"):
            names.say(loc, "`on` is missing", "the database role that holds the books; or `class`", key=True)
    else:
        names.one_of((*loc, "on"), "role", books.on, names.system.roles)
    ledger = [key for key in ("entries", "balances") if names.places.written(*loc, key)]
    keys = names.places.written(*loc, "keys")
    if keys and (ledger or names.places.written(*loc, "transactions")):
        names.say(
            loc, "`keys` is for a system without a ledger", "remove `keys`, or the ledger's queries", key=True
        )
    elif not keys and len(ledger) != 2:
        lacking = "entries, balances" if not ledger else "balances" if ledger == ["entries"] else "entries"
        hint = "a ledger has entries and balances; a system without one has `keys`"
        names.say(loc, f"`{lacking}` is missing", hint, key=True)
    for query, path in books.queries.items():
        names.file((*loc, query), path, "query")
