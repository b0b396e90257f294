"""What customers do, and where the truth about it lies: journeys and books, as system.yaml says them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from chaoskit.model.accepted import Accepted as Accepted
from chaoskit.model.base import Frozen
from chaoskit.quantity import Duration, Money, Percent


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


class Good(Frozen):
    """What the customer accepts as done."""

    status: Annotated[
        int | tuple[int, ...],
        Field(description="HTTP status, or several; a journey by SQL or by a class of your own has none"),
    ] = ()
    within: Annotated[
        Duration, Field(description="limit from the intended time to the answer; slower is bad")
    ]

    @property
    def statuses(self) -> frozenset[int]:
        return frozenset((self.status,) if isinstance(self.status, int) else self.status)


class Refused(Frozen):
    """Answers after which the operation certainly did not happen."""

    status: Annotated[tuple[int, ...], Field(description="HTTP statuses, like [400, 409, 422]")] = ()
    sqlstate: Annotated[
        tuple[str, ...],
        Field(
            description='SQLSTATEs, like ["23514"]; one of two characters is its whole class, like ["22", "23"]'
        ),
    ] = ()


class Read(Frozen):
    """JSON fields, or columns of the first row, that are recorded, so that stale reads can be judged."""

    value: Annotated[
        str | None, Field(description="field of the answer, or column, that holds the value read")
    ] = None
    position: Annotated[
        str | None,
        Field(
            description="field of the answer that says as of when it is true: the last entry that the value includes"
        ),
    ] = None
    age: Annotated[
        str | None,
        Field(
            description="field of the answer that is a number of seconds when the answer admits to be stale"
        ),
    ] = None
    of: Annotated[
        str | None,
        Field(description="drawn value that says whose account was read; default: the only one drawn"),
    ] = None
    books: Annotated[
        str | None, Field(description="books it must agree with; default: the only ones there are")
    ] = None


class Parties(Frozen):
    """The direction of a payment."""

    from_: Annotated[str, Field(description="drawn value that is the account of the one who pays")]
    to: Annotated[str, Field(description="drawn value that is the account of the one who is paid")]


class JourneyProbe(Frozen):
    """The prober's own schedule for this journey."""

    every: Annotated[Duration, Field(description="period; at most min(RTO/100, 1 s)")] = Duration.parse(
        "100ms"
    )
    draw: Annotated[
        Draw, Field(description="drawn instead of the journey's own, for example a tiny amount")
    ] = {}


class Sql(Frozen):
    """A statement that a customer of the database sends; what is drawn is bound as a parameter, never pasted."""

    on: Annotated[
        str,
        Field(description="service it is sent to, or a database role: its primary, with the role's log-in"),
    ]
    statement: Annotated[
        str,
        Field(
            description="one SQL statement; {key}, and what is drawn, become bound parameters, so no quotes"
        ),
    ]
    database: Annotated[str, Field(description="name of the database; default: the role's")] = ""
    user: Annotated[str, Field(description="who logs in; default: the role's user")] = ""
    password: Annotated[str, Field(description="password of `user`; default: the role's")] = ""
    port: Annotated[
        int | None, Field(ge=1, le=65535, description="port; default: the role's, or the service's first")
    ] = None


class Journey(Frozen):
    """Something a customer does end to end; exactly one of get, post, put, sql, class."""

    title: Annotated[str, Field(description="what the customer does, in words")] = ""
    get: Annotated[str | None, Field(description="service/path, or service:port/path; {name} is drawn")] = (
        None
    )
    post: Annotated[str | None, Field(description="service/path, or service:port/path; {name} is drawn")] = (
        None
    )
    put: Annotated[str | None, Field(description="service/path, or service:port/path; {name} is drawn")] = (
        None
    )
    sql: Annotated[Sql | None, Field(description="a statement for a database (PostgreSQL's protocol)")] = None
    class_: Annotated[
        str | None,
        Field(
            description="a class of your own: file.py:Class beside system.yaml, package.module:Class, or the name of "
            "an entry point in the group chaoskit.journeys"
        ),
    ] = None
    on: Annotated[str | None, Field(description="`class`: the service, or service:port, it talks to")] = None
    with_: Annotated[
        dict[str, Any], Field(description="`class`: keyword arguments its instances are made with")
    ] = {}
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
    parties: Annotated[
        Parties | None,
        Field(
            description="which drawn values pay and are paid, so that a wrong direction is seen; default: "
            "both parties must be among what was drawn"
        ),
    ] = None
    bound_key: Annotated[
        bool,
        Field(
            description="a key belongs to its first payload: the load also sends one in 25 acknowledged keys with "
            "another payload, which must not be acknowledged; for the check keys-are-bound"
        ),
    ] = False
    good: Annotated[Good, Field(description="what the customer accepts as done")]
    refused: Annotated[
        Refused, Field(description="answers after which the operation certainly did not happen")
    ] = Refused()
    accepted: Annotated[
        Accepted | None, Field(description="answers that promise the operation, to be done later")
    ] = None
    read: Annotated[Read, Field(description="fields of the answer that are recorded")] = Read()
    probe: Annotated[JourneyProbe, Field(description="the prober's schedule for this journey")] = (
        JourneyProbe()
    )

    @property
    def kind(self) -> Literal["http", "sql", "class"]:
        return "sql" if self.sql is not None else "class" if self.class_ is not None else "http"

    @property
    def reads(self) -> bool:
        """Whether it changes nothing by its nature; then nothing is sent again."""
        return self.kind == "http" and self.get is not None

    @property
    def method(self) -> str:
        return "GET" if self.get else "POST" if self.post else "PUT"

    @property
    def url(self) -> str:
        """service/path or service:port/path."""
        return self.get or self.post or self.put or ""

    @property
    def service(self) -> str:
        """The service whose customers play it."""
        return self._where.partition(":")[0]

    @property
    def port(self) -> int | None:
        """The port that is written; None: the service's first one."""
        if self.sql is not None:
            return self.sql.port
        port = self._where.partition(":")[2]
        return int(port) if port.isdecimal() else None

    @property
    def _where(self) -> str:
        if self.sql is not None:
            return self.sql.on
        return (self.on or "") if self.class_ is not None else self.url.partition("/")[0]


class Books(Frozen):
    """Where the truth lies, by SQL from each live member of a database role, or by a class of your own.

    By SQL: read-only queries over one REPEATABLE READ snapshot; either a ledger (entries and balances) or, for a system
    without one, `keys`: the key of every operation that took effect.
    """

    on: Annotated[
        str | None,
        Field(
            description="database role that holds them; `class`: the service that holds them, if it is one"
        ),
    ] = None
    entries: Annotated[str | None, Field(description="SQL file: every leg ever posted")] = None
    balances: Annotated[
        str | None, Field(description="SQL file: opening and stored balance of each account")
    ] = None
    holds: Annotated[str | None, Field(description="SQL file: every reservation")] = None
    transactions: Annotated[
        str | None, Field(description="SQL file: every transaction, by the key that asked for it")
    ] = None
    keys: Annotated[
        str | None,
        Field(
            description="SQL file: the key of every operation that took effect; no ledger, so nothing balances"
        ),
    ] = None
    class_: Annotated[
        str | None,
        Field(
            description="a class of your own that reads them: file.py:Class beside system.yaml, package.module:Class, "
            "or the name of an entry point in the group chaoskit.books"
        ),
    ] = None
    with_: Annotated[
        dict[str, Any], Field(description="`class`: keyword arguments its instance is made with")
    ] = {}

    @property
    def queries(self) -> dict[str, str]:
        """SQL files by what they list."""
        files = {name: getattr(self, name) for name in BOOK_QUERIES}
        return {name: path for name, path in files.items() if path is not None}


BOOK_QUERIES = ("entries", "balances", "holds", "transactions", "keys")
"""What books can be asked for by SQL."""


MINIMUM_SERVICE = "minimum-service"
"""What objectives call the minimum service of the whole system; no journey may have this name."""


class MinimumService(Frozen):
    """What customers must at least be able to do: these journeys, so many of their probes, for so long."""

    journeys: Annotated[tuple[str, ...], Field(min_length=1, description="all of these, at the same time")]
    share: Annotated[
        Percent, Field(description="share of the probes that must be good in every window, per journey")
    ]
    for_: Annotated[Duration, Field(description="how long it must hold; at least 20 probe periods, and 1 s")]
