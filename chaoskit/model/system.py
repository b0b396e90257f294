"""The system under drill: what system.yaml says of it, and the services its Compose file declares."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.model.compose import ComposeService
from chaoskit.model.compose_project import ComposeProject
from chaoskit.model.journey import BOOK_QUERIES as BOOK_QUERIES
from chaoskit.model.journey import Accepted as Accepted
from chaoskit.model.journey import Between as Between
from chaoskit.model.journey import Books as Books
from chaoskit.model.journey import Draw as Draw
from chaoskit.model.journey import Good as Good
from chaoskit.model.journey import Journey as Journey
from chaoskit.model.journey import JourneyProbe as JourneyProbe
from chaoskit.model.journey import MinimumService as MinimumService
from chaoskit.model.journey import Parties as Parties
from chaoskit.model.journey import Pick as Pick
from chaoskit.model.journey import Read as Read
from chaoskit.model.journey import Refused as Refused
from chaoskit.model.journey import Sql as Sql
from chaoskit.model.people import Substitute as Substitute
from chaoskit.model.population import Pool as Pool
from chaoskit.model.population import Population as Population
from chaoskit.model.population import PopulationLoad as PopulationLoad
from chaoskit.model.release import Release, StopRule
from chaoskit.quantity import Duration

CUSTOMERS = "customers"
"""The reserved caller: the load generator and the prober take its links."""


class Link(Frozen):
    """A TCP dependency that gets a proxy: the callee's name and port stay what they were."""

    caller: str
    callee: str

    @property
    def name(self) -> str:
        """`caller -> callee`, as drills write it."""
        return f"{self.caller} -> {self.callee}"

    @classmethod
    def parse(cls, text: str) -> Link:
        caller, arrow, callee = text.partition("->")
        if not arrow or not caller.strip() or not callee.strip() or "->" in callee:
            raise ValueError(f"{text!r} is no link; write it like 'gateway -> ledger'")
        return cls(caller=caller.strip(), callee=callee.strip())


class DatabaseRole(Frozen):
    """A replicated database: who is primary, who stands by, and how to log in."""

    engine: Annotated[Literal["postgresql"], Field(description="which adapter speaks to it")]
    primary: Annotated[str, Field(description="service that takes writes")]
    standby: Annotated[str | None, Field(description="service that takes over")] = None
    database: Annotated[str, Field(description="name of the database")]
    user: Annotated[
        str, Field(description="the application's role, used to read the books and to load the population")
    ]
    password: Annotated[str, Field(description="password of `user`")] = ""
    superuser: Annotated[
        str | None, Field(description="role for promote and replication state; default `user`")
    ] = None
    superuser_password: Annotated[str | None, Field(description="password of `superuser`")] = None
    port: Annotated[int, Field(description="port on which its members listen")] = 5432


class Runbook(Frozen):
    """A response by machine that the system brings itself."""

    database: Annotated[
        Literal["promote", "mend", "leave"] | None,
        Field(description="what is done to a database role; `leave`: nothing, and that is recorded"),
    ] = None
    on: Annotated[str | None, Field(description="role.primary, role.standby or a service")] = None


class Backup(Frozen):
    """Backups of a database: a base backup from before the drill and every byte of log since, in a store of the run's
    own, which no service is told of unless its environment names it (`{backups}`)."""

    of: Annotated[str, Field(description="database role that is backed up")]
    restore_point: Annotated[
        str | None,
        Field(
            description="service/path where the system says, by its own evidence, up to where its data is sound: JSON "
            "{lsn, at, horizon, proof}"
        ),
    ] = None
    proof: Annotated[
        str | None,
        Field(
            description="SQL file with one value, given the answer's `horizon` as %(horizon)s: what the restored "
            "database says must be the answer's `proof`"
        ),
    ] = None
    resubmit: Annotated[
        str | None,
        Field(
            description="service/path that sends again, by key, what the system accepted after `since` (POST, JSON "
            "{since}); it answers {resubmitted, replayed, refused}, lists of keys"
        ),
    ] = None
    volume: Annotated[
        str | None,
        Field(
            description="on docker: volume of the Compose file that is the store, for services that mount it; by "
            "default the store is a volume of the run's that no service has"
        ),
    ] = None


class LocalService(Frozen):
    """How a service runs without Docker; exactly one of run, postgresql."""

    run: Annotated[
        str | None,
        Field(
            description="command line, split as a shell splits words; {address} and {python} are filled in"
        ),
    ] = None
    postgresql: Annotated[
        Literal["primary", "standby"] | None,
        Field(description="run the embedded PostgreSQL as this member of its role"),
    ] = None
    path: Annotated[str | None, Field(description="folder put on PYTHONPATH, relative to system.yaml")] = None
    directory: Annotated[str | None, Field(description="working directory, relative to system.yaml")] = None
    ready: Annotated[
        str | None,
        Field(description="path that answers 2xx when the service is ready; default: its port accepts"),
    ] = None
    port: Annotated[
        int | None, Field(description="port; default: the first of `expose`/`ports` in the Compose file")
    ] = None
    environment: Annotated[
        dict[str, str],
        Field(
            description="added to the Compose environment; {address} is the service's own, {home} its own folder, "
            "{backups} the store of the run's backups"
        ),
    ] = {}
    start_within: Annotated[Duration, Field(description="limit for becoming ready")] = Duration.parse("20s")


class Spoken(Frozen):
    """Which protocol a service speaks: `http` with a path, `redis`, or PostgreSQL's, as a database role logs in."""

    protocol: str
    port: int | None = None
    path: str = "/"

    @classmethod
    def parse(cls, text: str) -> Spoken:
        """`http`, `http:8080/health`, `redis`, `redis:6380`, or a role's name. Raises ValueError."""
        where, slash, path = text.strip().partition("/")
        protocol, colon, port = where.partition(":")
        if not protocol or (colon and not (port.isdecimal() and 0 < int(port) < 65536)):
            raise ValueError(
                f"{text!r} is no protocol; write it like 'http:8080/health', 'redis' or a role's name"
            )
        if slash and protocol != "http":
            raise ValueError(f"{text!r}: only http has a path")
        return cls(protocol=protocol, port=int(port) if port else None, path="/" + path)


class Variant(Frozen):
    """The same system with Compose override files merged over its Compose file, and with parts of its own laid over it.

    Maps are merged key by key, `links` are added to what `without-links` leaves, anything else replaces what stands
    there. Paths stay relative to system.yaml.
    """

    compose: Annotated[
        str | tuple[str, ...],
        Field(description="Compose override file, or several in order, relative to system.yaml"),
    ] = ()
    title: Annotated[str, Field(description="what is different, in words")] = ""
    sites: Annotated[dict[str, Any], Field(description="laid over `sites`")] = {}
    roles: Annotated[dict[str, Any], Field(description="laid over `roles`")] = {}
    links: Annotated[tuple[Any, ...], Field(description="further links, added to `links`")] = ()
    without_links: Annotated[
        tuple[str, ...], Field(description="links of the system that this variant does not have")
    ] = ()
    speaks: Annotated[dict[str, Any], Field(description="laid over `speaks`")] = {}
    population: Annotated[dict[str, Any], Field(description="laid over `population`")] = {}
    journeys: Annotated[dict[str, Any], Field(description="laid over `journeys`")] = {}
    minimum_service: Annotated[dict[str, Any], Field(description="laid over `minimum-service`")] = {}
    books: Annotated[dict[str, Any], Field(description="laid over `books`")] = {}
    releases: Annotated[dict[str, Any], Field(description="laid over `releases`")] = {}
    backups: Annotated[dict[str, Any], Field(description="laid over `backups`")] = {}
    stop_rules: Annotated[dict[str, Any], Field(description="laid over `stop-rules`")] = {}
    runbooks: Annotated[dict[str, Any], Field(description="laid over `runbooks`")] = {}
    substitutes: Annotated[dict[str, Any], Field(description="laid over `substitutes`")] = {}
    stand_ins: Annotated[dict[str, Any], Field(description="laid over `stand-ins`")] = {}
    watchdogs: Annotated[dict[str, Any], Field(description="laid over `watchdogs`")] = {}
    local: Annotated[dict[str, Any], Field(description="laid over `local`")] = {}

    @property
    def overrides(self) -> tuple[str, ...]:
        """The Compose override files, in order."""
        return (self.compose,) if isinstance(self.compose, str) else self.compose


class Service(Frozen):
    """One service of the Compose file, as far as every runtime needs it."""

    name: str
    environment: dict[str, str] = {}
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    image: str | None = None
    build: str | None = None
    depends_on: dict[str, str] = {}
    mounts: Annotated[
        dict[str, str], Field(description="container path → absolute host path, bind mounts only")
    ] = {}
    stop_grace: Duration = Duration.parse("10s")
    unapplied: Annotated[
        tuple[str, ...],
        Field(description="further keys of the service, by name; a runtime applies or refuses them"),
    ] = ()
    compose: Annotated[ComposeService, Field(description="all that the Compose file says of it")] = (
        ComposeService()
    )


class System(Frozen):
    """system.yaml with its Compose file resolved and the drill's variant merged in."""

    system: str
    compose: str
    folder: Annotated[str, Field(description="absolute folder of system.yaml")]
    variant: str | None = None
    services: dict[str, Service]
    sites: dict[str, tuple[str, ...]] = {}
    roles: dict[str, DatabaseRole] = {}
    links: tuple[Link, ...]
    speaks: dict[str, Spoken] = {}
    population: Population | None = None
    journeys: dict[str, Journey]
    minimum_service: MinimumService | None = None
    books: dict[str, Books] = {}
    releases: dict[str, Release] = {}
    stop_rules: dict[str, StopRule] = {}
    backups: dict[str, Backup] = {}
    runbooks: dict[str, Runbook] = {}
    substitutes: dict[str, tuple[Substitute, ...]] = {}
    stand_ins: dict[str, str] = {}
    watchdogs: dict[str, str] = {}
    local: dict[str, LocalService] = {}
    disposable: Annotated[
        bool, Field(description="external volumes and networks may be used, and written to")
    ] = False
    compose_project: ComposeProject = ComposeProject()

    def role_of(self, service: str) -> str | None:
        """The database role a service belongs to, if any."""
        for name, role in self.roles.items():
            if service in (role.primary, role.standby):
                return name
        return None
