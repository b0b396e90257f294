"""Every name a system file uses: services, links, roles, pools, drawn values, books, files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chaoskit.errors import Problem
from chaoskit.model.system import CUSTOMERS, Between, Journey, Pick, System
from chaoskit.spec.backup_names import check_backups
from chaoskit.spec.journey_names import JOURNEY_WAYS, check_books, check_way
from chaoskit.spec.minimum import minimum_of
from chaoskit.spec.people import substitutes
from chaoskit.spec.places import Loc, Places, nearest, shown
from chaoskit.spec.release_names import check_releases
from chaoskit.spec.site_names import check_sites
from chaoskit.spec.watchdog_names import check_watchdogs

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)(\.[a-z]+)?\}")
POOL_FORMAT = re.compile(r"[^{}]*\{n(?::0?\d{0,2}d?)?\}[^{}]*")
AMOUNT_PARTS = frozenset({".minor", ".currency"})
BUILT_IN = frozenset({"key"})
"""What every request can use without drawing it: the operation's own key."""
RESERVED_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})
LOCAL_PLACEHOLDERS = frozenset({"address", "python", "home", "backups"})


class Names:
    def __init__(
        self,
        system: System,
        places: Places,
        link_index: list[int],
        left_out: Mapping[str, tuple[str, ...]],
        known: bool,
    ) -> None:
        self.system = system
        self.places = places
        self.link_index = link_index
        self.left_out = left_out
        self.services_known = known
        self.problems: list[Problem] = []

    def say(self, loc: Loc, message: str, hint: str = "", *, key: bool = False) -> None:
        self.problems.append(self.places.problem(loc, message, hint, key=key))

    def one_of(self, loc: Loc, noun: str, name: str, known: Iterable[str], *, key: bool = False) -> bool:
        words = list(known)
        if not name and not self.places.written(*loc):
            return False  # left out, and told as missing already
        if name not in words:
            self.say(loc, f"no {noun} is called {shown(name)}", nearest(name, words, f"{noun}s"), key=key)
        return name in words

    def service(self, loc: Loc, name: str, *, key: bool = False, customers: bool = False) -> None:
        if not self.services_known or (customers and name == CUSTOMERS) or name in self.system.services:
            return
        if name in self.left_out:
            profiles = ", ".join(self.left_out[name])
            self.say(
                loc,
                f"the service {shown(name)} is left out",
                f"add its profile to COMPOSE_PROFILES: {profiles}",
            )
            return
        known = [*self.system.services, *([CUSTOMERS] if customers else [])]
        self.one_of(loc, "service", name, known, key=key)

    def file(self, loc: Loc, name: str, noun: str) -> None:
        path = Path(self.system.folder) / name
        try:
            there = path.is_file() if noun != "folder" else path.is_dir()
        except (OSError, ValueError):
            there = False
        if not there:
            self.say(loc, f"{shown(name)}: no such {noun}", "the path is relative to this file")


def check_names(
    system: System,
    places: Places,
    link_index: list[int],
    left_out: Mapping[str, tuple[str, ...]],
    *,
    services_known: bool,
) -> list[Problem]:
    """Problems with the names in a system file. Without a readable Compose file, services are taken on trust."""
    names = Names(system, places, link_index, left_out, services_known)
    for check in (
        check_sites,
        _roles,
        _links,
        _speaks,
        _population,
        _journeys,
        _books,
        check_backups,
        check_releases,
        _runbooks,
        _stand_ins,
        check_watchdogs,
        _local,
    ):
        check(names)
    return [*names.problems, *substitutes(system, places), *minimum_of(system, places)]


def _roles(names: Names) -> None:
    for name, role in names.system.roles.items():
        names.service(("roles", name, "primary"), role.primary)
        if role.standby is not None:
            names.service(("roles", name, "standby"), role.standby)
            if role.standby == role.primary:
                names.say(("roles", name, "standby"), "primary and standby are the same service")


def _links(names: Names) -> None:
    seen: set[str] = set()
    for number, link in enumerate(names.system.links):
        loc: Loc = ("links", names.link_index[number] if number < len(names.link_index) else number)
        names.service(loc, link.caller, customers=True)
        if link.callee == CUSTOMERS:
            names.say(loc, f"{shown(link.name)}: customers call, nobody calls them")
        else:
            names.service(loc, link.callee)
        if link.caller == link.callee:
            names.say(loc, f"{shown(link.name)}: a service does not call itself")
        if link.name in seen:
            names.say(loc, f"the link {shown(link.name)} is declared twice")
        seen.add(link.name)


def _speaks(names: Names) -> None:
    for name, spoken in names.system.speaks.items():
        names.service(("speaks", name), name, key=True)
        known = ["http", "redis", *names.system.roles]
        names.one_of(("speaks", name), "protocol or role", spoken.protocol, known)


def _population(names: Names) -> None:
    population = names.system.population
    if population is None:
        return
    for name, pool in population.pools.items():
        loc = ("population", "pools", name, "format")
        if not POOL_FORMAT.fullmatch(pool.format):
            names.say(
                loc, f"{shown(pool.format)} is no pool's format", "write {n} in it once, like ACC-{n:05d}"
            )
    if population.load is not None:
        names.one_of(("population", "load", "on"), "role", population.load.on, names.system.roles)
        names.file(("population", "load", "script"), population.load.script, "script")


def _journeys(names: Names) -> None:
    entrances = {link.callee for link in names.system.links if link.caller == CUSTOMERS}
    for name, journey in names.system.journeys.items():
        loc: Loc = ("journeys", name)
        for span, where in (
            (journey.good, (*loc, "good", "within")),
            (journey.probe, (*loc, "probe", "every")),
        ):
            if getattr(getattr(span, str(where[-1]), None), "ns", 1) == 0:
                names.say(where, f"`{where[-1]}` is 0", "write how long")
        ways = [way for way in JOURNEY_WAYS if names.places.written(*loc, way)]
        if len(ways) != 1:
            known = ", ".join(JOURNEY_WAYS)
            names.say(loc, f"`{name}` needs exactly one of {known}; it has {len(ways)}", key=True)
            continue
        check_way(names, loc, journey, ways[0], entrances)
        if journey.books is not None:
            names.one_of((*loc, "books"), "book", journey.books, names.system.books)
        _draws(names, loc, journey)


def _draws(names: Names, loc: Loc, journey: Journey) -> None:
    pools = names.system.population.pools if names.system.population else {}
    for base, draw in (((*loc, "draw"), journey.draw), ((*loc, "probe", "draw"), journey.probe.draw)):
        for name, source in draw.items():
            where = (*base, name)
            if isinstance(source, str):
                names.one_of(where, "pool", source, pools)
            elif isinstance(source, Pick):
                names.one_of((*where, "from"), "pool", source.from_, pools)
                if source.except_ is not None:
                    _except(names, where, source, {**journey.draw, **draw})
            elif isinstance(source, Between):
                _between(names, (*where, "between"), source)
    drawn = BUILT_IN | set(journey.draw)
    amounts = {name for name, source in journey.draw.items() if isinstance(source, Between)}
    parts: list[tuple[Loc, Any]] = [((*loc, one), getattr(journey, one)) for one in ("get", "post", "put")]
    parts += [((*loc, "json"), journey.json_), ((*loc, "headers"), journey.headers)]
    parts.append(((*loc, "sql", "statement"), journey.sql.statement if journey.sql else None))
    parts.append(((*loc, "fingerprint"), journey.fingerprint))
    for where, used, part in (found for start, value in parts for found in _placeholders(start, value)):
        if used not in drawn and not names.places.written(*loc, "draw", used):
            names.say(where, f"{shown('{' + used + '}')} is not drawn", nearest(used, drawn, "drawn"))
        elif used in drawn and part and (used not in amounts or part not in AMOUNT_PARTS):
            hint = "an amount has .minor and .currency" if used in amounts else f"`{used}` is no amount"
            names.say(where, f"{shown('{' + used + part + '}')} is not drawn", hint)
    for header in journey.headers:
        if header.lower() in RESERVED_HEADERS:
            names.say((*loc, "headers", header), f"`{header}` is set by the measurer", "remove it", key=True)


def _except(names: Names, loc: Loc, source: Pick, draw: Mapping[str, Any]) -> None:
    """`except` names another value of the request, drawn on its own, and the pool leaves a choice."""
    other = source.except_ or ""
    first = [name for name, one in draw.items() if not (isinstance(one, Pick) and one.except_ is not None)]
    names.one_of((*loc, "except"), "value drawn without `except`", other, first)
    pools = names.system.population.pools if names.system.population else {}
    if source.from_ in pools and pools[source.from_].count < 2:
        names.say((*loc, "from"), f"the pool `{source.from_}` has one member, so none is different from it")


def _between(names: Names, loc: Loc, source: Between) -> None:
    low, high = source.between
    if low.currency != high.currency:
        names.say(loc, f"{low} and {high} are two currencies")
    elif low.amount > high.amount:
        names.say(loc, f"{low} is more than {high}", "write the smaller amount first")
    for number, money in enumerate(source.between):
        if money.amount * 100 % 1:
            names.say((*loc, number), f"{money} has more than two decimals")


def _placeholders(loc: Loc, value: Any) -> Iterator[tuple[Loc, str, str]]:
    """Every {name} or {name.part} in a template, with its place."""
    if isinstance(value, str):
        for match in PLACEHOLDER.finditer(value):
            yield loc, match[1], match[2] or ""
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _placeholders((*loc, key), one)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from _placeholders((*loc, number), one)


def _books(names: Names) -> None:
    for name, books in names.system.books.items():
        check_books(names, ("books", name), books)


def _runbooks(names: Names) -> None:
    for name, runbook in names.system.runbooks.items():
        loc: Loc = ("runbooks", name, "on")
        if runbook.on is None:
            continue
        role, dot, member = runbook.on.partition(".")
        if not dot:
            known = [*names.system.services, *names.system.roles]
            if names.services_known:
                names.one_of(loc, "service or role", role, known)
        elif names.one_of(loc, "role", role, names.system.roles) and member not in ("primary", "standby"):
            names.say(loc, f"{shown(runbook.on)}: a role has `primary` and `standby`")
        elif member == "standby" and role in names.system.roles and names.system.roles[role].standby is None:
            names.say(loc, f"the role `{role}` has no standby")


def _stand_ins(names: Names) -> None:
    for name in names.system.stand_ins:
        names.service(("stand-ins", name), name, key=True)


def _local(names: Names) -> None:
    for name, service in names.system.local.items():
        loc: Loc = ("local", name)
        names.service(loc, name, key=True)
        if (service.run is None) == (service.postgresql is None):
            names.say(loc, f"`{name}` needs exactly one of run, postgresql", key=True)
        for key in ("path", "directory"):
            folder = getattr(service, key)
            if folder is not None:
                names.file((*loc, key), folder, "folder")
        if service.postgresql is not None:
            owner = [
                role for role in names.system.roles.values() if getattr(role, service.postgresql) == name
            ]
            if not owner:
                hint = f"declare a role whose {service.postgresql} is {name}"
                names.say((*loc, "postgresql"), f"no role has `{name}` as its {service.postgresql}", hint)
        texts = [((*loc, "run"), service.run), ((*loc, "environment"), service.environment)]
        for where, used, _ in (found for start, value in texts for found in _placeholders(start, value)):
            if used not in LOCAL_PLACEHOLDERS:
                known = nearest(used, LOCAL_PLACEHOLDERS, "filled in")
                names.say(where, f"{shown('{' + used + '}')} is not filled in", known)
