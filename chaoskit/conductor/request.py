"""A customer's request, ready to send: key, drawn values, the bytes, and what the books must later say of it."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from urllib.parse import quote

from pydantic_core import to_json

from chaoskit.conductor.draw import Deck, Drawn, Template, compile_tree, percent_encoded
from chaoskit.errors import InputError
from chaoskit.model.system import Between, Draw, Journey, Population

_URL_LITERALS = "/?&=%:@!$'()*+,;~-._[]"


@dataclass(frozen=True, slots=True)
class Request:
    """One operation's request; a retry and a double tap send the very same bytes."""

    journey: str
    key: str
    message: bytes
    payload_hash: str | None
    amount: int | None
    currency: str | None
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes keys and draws the same in every run of one plan, and different between the two measurers."""

    source: str
    seed: int
    salt: str = ""

    def stream(self, journey: str, purpose: str) -> str:
        """Seed of one stream of chance; each has its own, so that a change to one journey leaves the others
        as they were."""
        return f"{self.seed}/{self.source}/{journey}/{purpose}"

    def key(self, journey: str, number: int) -> str:
        """UUID (version 4 by form, made from the seed) of the journey's n-th operation."""
        text = f"{self.seed}/{self.salt}/{self.source}/{journey}/{number}"
        return str(uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest(), version=4))


class RequestMaker:
    """Makes one journey's requests, number 0, 1, 2 …; raises InputError for templates that nothing fills."""

    def __init__(
        self,
        name: str,
        journey: Journey,
        draw: Draw,
        population: Population | None,
        identity: Identity,
        host: str,
        *,
        keep: bool,
    ) -> None:
        self._name = name
        self._identity = identity
        self._deck = Deck(draw, population, identity.stream(name, "values"))
        self._amount = _amount_of(draw)
        known = frozenset(draw) | {"key"}
        where = f"journeys.{name}"
        path = quote("/" + journey.url.partition("/")[2], safe=_URL_LITERALS + "{}")
        self._path = Template.compile(path, known, f"{where}.{journey.method.lower()}")
        self._method = journey.method
        self._headers = Template.compile(_headers(journey, host, keep, where), known, f"{where}.headers")
        self._body = None if journey.json_ is None else compile_tree(journey.json_, known, f"{where}.json")
        self._fingerprint = (
            None
            if journey.fingerprint is None
            else Template.compile(journey.fingerprint, known, f"{where}.fingerprint")
        )

    def make(self, number: int) -> Request:
        """The journey's n-th request. Values come from one sequence: call with 0, 1, 2 … in this order."""
        key = self._identity.key(self._name, number)
        drawn = self._deck.deal()
        values = {**drawn, "key": Drawn(key)}
        body = b"" if self._body is None else to_json(self._body(values))
        signed = body if self._fingerprint is None else self._fingerprint.fill(values).encode()
        length = f"Content-Length: {len(body)}\r\n" if self._method != "GET" or body else ""
        head = (
            f"{self._method} {self._path.fill(values, percent_encoded)} HTTP/1.1\r\n"
            f"{self._headers.fill(values, _one_line)}{length}\r\n"
        )
        amount = drawn[self._amount] if self._amount is not None else None
        return Request(
            journey=self._name,
            key=key,
            message=head.encode() + body,
            payload_hash=hashlib.sha256(signed).hexdigest() if signed else None,
            amount=amount.minor if amount else None,
            currency=amount.currency if amount else None,
            values={name: value.text for name, value in drawn.items()},
        )


def _amount_of(draw: Draw) -> str | None:
    """The drawn amount that the books will show: the one called `amount`, otherwise the first."""
    amounts = [name for name, rule in draw.items() if isinstance(rule, Between)]
    return "amount" if "amount" in amounts else amounts[0] if amounts else None


def _headers(journey: Journey, host: str, keep: bool, where: str) -> str:
    headers = {"Host": host, "User-Agent": "chaoskit", "Accept": "application/json"}
    if journey.json_ is not None:
        headers["Content-Type"] = "application/json"
    own = {name.lower() for name in journey.headers}
    headers = {name: value for name, value in headers.items() if name.lower() not in own} | journey.headers
    if reserved := own & {"content-length", "transfer-encoding", "connection"}:
        raise InputError(f"{where}.headers: {', '.join(sorted(reserved))} is set by the measurer")
    headers["Connection"] = "keep-alive" if keep else "close"
    for name, value in headers.items():
        if (
            not name
            or not name.isascii()
            or any(c in name + value for c in "\r\n\0")
            or set(" :") & set(name)
        ):
            raise InputError(f"{where}.headers: {name!r} cannot be sent as a header")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _one_line(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")
