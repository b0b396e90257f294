"""The system under drill: what system.yaml says of it, and the services its Compose file declares."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.quantity import Duration, Money

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


class Between(Frozen):
    """A uniformly drawn amount, both ends included, in the currency's minor unit (two decimals)."""

    between: Annotated[
        tuple[Money, Money], Field(description='[least, most], like ["1.00 CNY", "200.00 CNY"]')
    ]


class Pick(Frozen):
    """A member of a pool, different from another drawn value."""

    from_: Annotated[str, Field(description="pool it is drawn from")]
    except_: Annotated[
        str | None, Field(description="another drawn value of this request that it must differ from")
    ] = None


Draw = dict[str, Annotated[str | Pick | Between, Field(union_mode="left_to_right")]]


class Pool(Frozen):
    """A named set of identifiers, like the accounts: `count` of them, written by `format` with {n} from 1."""

    count: Annotated[int, Field(ge=1, le=10_000_000, description="how many members")]
    format: Annotated[str, Field(description="Python format with {n}, like ACC-{n:05d}")]


class PopulationLoad(Frozen):
    """SQL script run once on the primary; each pool is a text[] parameter of its name, the seed is %(seed)s."""

    on: Annotated[str, Field(description="database role on whose primary it runs")]
    script: Annotated[str, Field(description="SQL file, relative to system.yaml")]


class Population(Frozen):
    """The customers and accounts that exist before the drill begins."""

    seed: Annotated[int, Field(description="drawn values of the population come from it")] = 0
    pools: Annotated[dict[str, Pool], Field(min_length=1, description="sets of identifiers, by name")]
    load: Annotated[PopulationLoad | None, Field(description="how the population gets into the database")] = (
        None
    )


class Good(Frozen):
    """What the customer accepts as done."""

    status: Annotated[int | tuple[int, ...], Field(description="HTTP status, or several")]
    within: Annotated[
        Duration, Field(description="limit from the intended time to the answer; slower is bad")
    ]

    @property
    def statuses(self) -> frozenset[int]:
        return frozenset((self.status,) if isinstance(self.status, int) else self.status)


class Refused(Frozen):
    """Answers after which the operation certainly did not happen."""

    status: Annotated[tuple[int, ...], Field(description="HTTP statuses, like [400, 409, 422]")] = ()


class Read(Frozen):
    """JSON fields of the answer that are recorded, so that stale reads can be judged."""

    value: Annotated[str | None, Field(description="field of the answer that holds the value read")] = None
    position: Annotated[
        str | None, Field(description="field of the answer that says as of when it is true")
    ] = None


class JourneyProbe(Frozen):
    """The prober's own schedule for this journey."""

    every: Annotated[Duration, Field(description="period; at most min(RTO/100, 1 s)")] = Duration.parse(
        "100ms"
    )
    draw: Annotated[
        Draw, Field(description="drawn instead of the journey's own, for example a tiny amount")
    ] = {}


class Journey(Frozen):
    """Something a customer does end to end; exactly one of get, post, put."""

    title: Annotated[str, Field(description="what the customer does, in words")] = ""
    get: Annotated[str | None, Field(description="service/path; {name} is drawn")] = None
    post: Annotated[str | None, Field(description="service/path; {name} is drawn")] = None
    put: Annotated[str | None, Field(description="service/path; {name} is drawn")] = None
    json_: Annotated[Any, Field(description="request body; {key}, and what is drawn, are filled in")] = None
    headers: Annotated[
        dict[str, str], Field(description="request headers; {key}, and what is drawn, are filled in")
    ] = {}
    draw: Annotated[
        Draw, Field(description="values drawn for each request: a pool, a pick from one, or an amount")
    ] = {}
    books: Annotated[
        str | None, Field(description="the books in which every acknowledged key must be found")
    ] = None
    fingerprint: Annotated[
        str | None,
        Field(
            description="text whose SHA-256 the books keep as payload_hash, like '{payer}|{payee}|{amount.minor}'; "
            "default: the request body"
        ),
    ] = None
    good: Annotated[Good, Field(description="what the customer accepts as done")]
    refused: Annotated[
        Refused, Field(description="answers after which the operation certainly did not happen")
    ] = Refused()
    read: Annotated[Read, Field(description="fields of the answer that are recorded")] = Read()
    probe: Annotated[JourneyProbe, Field(description="the prober's schedule for this journey")] = (
        JourneyProbe()
    )

    @property
    def method(self) -> str:
        return "GET" if self.get else "POST" if self.post else "PUT"

    @property
    def url(self) -> str:
        """service/path."""
        return self.get or self.post or self.put or ""

    @property
    def service(self) -> str:
        return self.url.partition("/")[0]


class Books(Frozen):
    """Where the truth lies: read-only queries over one REPEATABLE READ snapshot of each live member."""

    on: Annotated[str, Field(description="database role that holds them")]
    entries: Annotated[str, Field(description="SQL file: every leg ever posted")]
    balances: Annotated[str, Field(description="SQL file: opening and stored balance of each account")]
    holds: Annotated[str | None, Field(description="SQL file: every reservation")] = None
    transactions: Annotated[
        str | None, Field(description="SQL file: every transaction, by the key that asked for it")
    ] = None


class Runbook(Frozen):
    """A response by machine that the system brings itself."""

    database: Annotated[Literal["promote"] | None, Field(description="what is done to a database role")] = (
        None
    )
    on: Annotated[str | None, Field(description="role.primary, role.standby or a service")] = None


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
        dict[str, str], Field(description="added to the Compose environment; {address} is the service's own")
    ] = {}
    start_within: Annotated[Duration, Field(description="limit for becoming ready")] = Duration.parse("20s")


class Variant(Frozen):
    """The same system with a Compose override file merged over it."""

    compose: Annotated[str, Field(description="Compose override file, relative to system.yaml")]
    title: Annotated[str, Field(description="what is different, in words")] = ""


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
    population: Population | None = None
    journeys: dict[str, Journey]
    books: dict[str, Books] = {}
    releases: dict[str, Any] = {}
    runbooks: dict[str, Runbook] = {}
    local: dict[str, LocalService] = {}

    def role_of(self, service: str) -> str | None:
        """The database role a service belongs to, if any."""
        for name, role in self.roles.items():
            if service in (role.primary, role.standby):
                return name
        return None
