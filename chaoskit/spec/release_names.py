"""What releases and stop rules name: services, roles, journeys, files that are to be replaced."""

from __future__ import annotations

from pathlib import Path

from chaoskit.model.release import Release, StopRule
from chaoskit.quantity import Duration, Percent
from chaoskit.spec.journey_names import Names
from chaoskit.spec.places import Loc, shown


def check_releases(names: Names) -> None:
    """Every name that a release or a stop rule uses."""
    for name, release in names.system.releases.items():
        loc: Loc = ("releases", name)
        if name in names.system.services:
            names.say(loc, f"{shown(name)} is a service; call the release something else", key=True)
        for number, service in enumerate(release.services):
            where: Loc = (*loc, "services", number)
            names.service(where, service)
            if service in release.services[:number]:
                names.say(where, f"{shown(service)} is named twice")
            elif names.system.role_of(service) is not None:
                names.say(
                    where, f"{shown(service)} is a database's server; a release changes what runs before it"
                )
        for service in release.environment:
            if service not in release.services:
                hint = "add it to `services`, or remove its settings"
                names.say(
                    (*loc, "environment", service), f"the release does not change `{service}`", hint, key=True
                )
        _files(names, (*loc, "files"), release)
        _migration(names, (*loc, "migration"), release)
    for name, rule in names.system.stop_rules.items():
        _rule(names, ("stop-rules", name), rule)
        for number, journey in enumerate(rule.journeys):
            names.one_of(("stop-rules", name, "journeys", number), "journey", journey, names.system.journeys)


def _rule(names: Names, loc: Loc, rule: StopRule) -> None:
    """One that looks at nothing speaks whatever happens, and one below nothing never does."""
    spans: dict[str, Duration | None] = {"over": rule.over, "for": rule.for_}
    for key, value in spans.items():
        if value is not None and not value.ns:
            names.say((*loc, key), f"`{key}` is 0", "write how long")
    below: Percent | None = rule.below
    if below is not None and not below.ratio:
        names.say((*loc, "below"), "`below` is 0: no share is less", "write a share like 90%")


def _files(names: Names, loc: Loc, release: Release) -> None:
    if release.files is None:
        return
    names.file(loc, release.files, "folder")
    for service in release.services:
        local = names.system.local.get(service)
        if local is not None and local.path is None:
            names.say(loc, f"`{service}` has no `path` under `local` whose files could be replaced")
    if (Path(names.system.folder) / release.files).resolve() == Path(names.system.folder).resolve():
        names.say(loc, f"{shown(release.files)} is the folder of the system itself")


def _migration(names: Names, loc: Loc, release: Release) -> None:
    migration = release.migration
    if migration is None:
        return
    names.one_of((*loc, "on"), "role", migration.on, names.system.roles)
    names.file((*loc, "up"), migration.up, "script")
    for key, script in (("down", migration.down), ("finish", migration.finish)):
        if script is not None:
            names.file((*loc, key), script, "script")
